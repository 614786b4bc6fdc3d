#pragma once
/* Layers from registries and image files, straight into their places in the output. */
#include "journal.h"
#include "output.h"
#include "plan.h"
#include "progress.h"

struct fetch {
    struct plan *plan;
    struct output *output;
    struct journal *journal;
    struct registry *registry;
    size_t jobs;
};

/*
 * Fetches every layer of the plan, `jobs` at a time, the largest first, and hashes each byte,
 * those of an earlier run too. A layer that cannot be had carries its error and the others go
 * on. Returns the number of those, or a negative errno with *e for what stops everything: a
 * full disk, an interrupt.
 */
int fetch_layers(struct fetch *f, struct err **e);
