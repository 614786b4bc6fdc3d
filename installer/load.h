#pragma once
/*
 * Bringing images of a bundle into a runtime, one after the other, so that the daemon's temporary
 * space is that of one image. An image that fails does not stop the others.
 */
#include "bundle.h"
#include "err.h"
#include "runtime.h"

#include <stdint.h>

enum load_result {
    LOAD_WAITING,
    LOAD_LOADED,  /* sent */
    LOAD_TAGGED,  /* was there under another name */
    LOAD_PRESENT, /* was there */
    LOAD_WRITTEN, /* into an archive that the runtime will import */
    LOAD_FAILED,
};
#define LOAD_RESULTS 6

struct load_item {
    struct runtime_image image;
    enum load_result result;
    struct err *error; /* why it failed; or NULL */
    int64_t sent;      /* bytes */
    size_t omitted;    /* layers not sent */
};

struct load {
    struct load_item *items;
    size_t count;
    size_t results[LOAD_RESULTS]; /* how many of each */
    int64_t sent;
    double seconds;
};

/* Lists the chosen images (flags as selection_match gives them), each with the platform that suits
 * `wanted`; an image that has none is listed as failed. */
void load_list(const struct bundle *b, const bool *chosen, const struct platform *wanted,
               struct load *out);
/* Names them as the runtime will. */
void load_name(struct load *l, const struct runtime *rt);
/* As containerd does, for an archive that is for one. */
void load_name_for_containerd(struct load *l);
/* Does it, and fills in what became of each; -ECANCELED when the user interrupted, else 0. Every
 * image that did not fail was seen in the runtime afterwards under its name and with its id. */
int load_run(struct load *l, const struct runtime *rt, const struct bundle *b, struct err **e);
/* Counts the results. */
void load_count(struct load *l);
void load_fail(struct load_item *item, struct err *why); /* takes `why` over and logs it */
const char *load_result_name(enum load_result result);   /* "loaded" */
/* Bytes of the blobs that make up the image's platform. */
int64_t load_size(const struct bundle_platform *p);
double load_clock(void); /* seconds, monotonic */
void load_release(struct load *l);
