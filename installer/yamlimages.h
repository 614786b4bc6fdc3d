#pragma once
/*
 * The images that YAML files ask for: every scalar value of a mapping key "image", in every
 * document, whatever the kind; compared with what a bundle holds, both ways.
 */
#include "findings.h"
#include "imagelist.h"

#include <stdbool.h>
#include <stddef.h>

struct yamlimage {
    char *name; /* ref_format() */
    char *file;
    size_t line;
};

struct yamlimages {
    struct yamlimage *items;
    size_t n_items;
};

/* Collects from one file. What is no YAML and what is no reference are errors in `f` with their
 * place; a value of a template language ("{{") is a note. */
void yamlimages_add(struct yamlimages *y, const char *file, const char *text, size_t len,
                    struct findings *f);

/* An image of the YAML that the list lacks: an error (a warning with `allow_missing`) for each
 * place. An image of the list that nothing uses: a note; rancher-server's and our own are excused. */
void yamlimages_crosscheck(const struct yamlimages *y, const struct imagelist *list,
                           bool allow_missing, struct findings *f);
void yamlimages_release(struct yamlimages *y);

#define auto_yamlimages __attribute__((cleanup(yamlimages_release)))
