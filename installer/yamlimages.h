#pragma once
/*
 * The images that Kubernetes YAML names, and the check of YAML and image list against each other.
 */
#include "err.h"
#include "findings.h"
#include "imagelist.h"
#include "ref.h"

#include <stdbool.h>
#include <stddef.h>

#define YAMLIMAGES_MAX 10000 /* of all files together */

struct yamlimage {
    struct ref ref;
    char *name; /* ref_format() */
    char *file;
    size_t line;
};

struct yamlimages {
    struct yamlimage *items; /* in the order of the files */
    size_t n_items;
};

/*
 * Adds what a YAML file names: every scalar under a key "image", in all documents, at any depth
 * (containers, init containers, job templates, custom resources), and "reference" beneath "image"
 * (image volumes). Empty and null ones are passed over, and so is "image" beneath "rbd", which is
 * a disk. Errors in `f`: what is no YAML, an unrendered template, what is no reference.
 */
void yamlimages_add(struct yamlimages *y, const char *file, const char *text, size_t len,
                    struct findings *f);
void yamlimages_release(struct yamlimages *y);

/*
 * Every image of the YAML that the list lacks is an error (with `allow_missing` a warning), every
 * one of the list that no YAML names is a note; rancher-server and flatnet itself are excused. Two
 * names mean the same image when host and repository are equal and so are the digests where both
 * have one, else the tags.
 */
void yamlimages_crosscheck(const struct yamlimages *y, const struct imagelist *list,
                           bool allow_missing, struct findings *f);

#define auto_yamlimages __attribute__((cleanup(yamlimages_release)))
