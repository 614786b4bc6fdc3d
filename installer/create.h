#pragma once
/* The steps of `bundle create` and what they share. */
#include "cli.h"
#include "findings.h"
#include "imagefile.h"
#include "imagelist.h"
#include "output.h"
#include "plan.h"

struct create_options {
    struct cli_list lists;     /* -f */
    struct cli_list from;      /* --from */
    struct cli_list sets;      /* --images */
    struct cli_list addons;    /* --addons */
    struct cli_list programs;  /* --program */
    struct cli_list platforms; /* --platform */
    struct cli_list plain_http;
    struct cli_list mirrors;
    const char *output, *base, *volume_size_text, *authfile, *ca_file;
    bool allow_partial, allow_missing, tls_verify;
    int jobs, retries;
};

/* What the command line names, read and checked. */
struct create_inputs {
    struct imagelist list;
    struct imagefile **files; /* of --from */
    size_t n_files;
    struct platform *platforms;
    size_t n_platforms;
    struct plan plan; /* its images and files are filled */
    int64_t volume_size;
};

int create_read_inputs(const struct create_options *o, struct create_inputs *out, struct err **e);
void create_inputs_release(struct create_inputs *in);

/* Writes FILE.failed: each failed image on a line of its own, so that the file is a list again,
 * below a comment with the reason. */
int create_write_failed(const char *output, const struct plan *plan, struct err **e);
/*
 * Makes the plan and the plain output file smaller by the images that have an error: what was
 * fetched moves together. What an interruption leaves cannot be gone on with.
 */
int create_close_up(struct plan *plan, const struct bundle *base, struct output *o, struct err **e);
/* An image fails with any of its layers: moves their errors to the images. */
void create_blame_images(struct plan *plan);
