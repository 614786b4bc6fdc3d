#pragma once
/* Carrying a plan out, journalled, and undoing the journal. */
#include "host.h"
#include "host_journal.h"

struct host_undone {
    const struct host_change *change; /* borrowed from the journal */
    enum undo_result result;
    char *why;   /* where it was kept */
    char *error; /* where undoing failed; the journal stays then */
};
struct host_undo {
    struct host_undone *items; /* the last change first */
    size_t count, kept, failed;
};

/*
 * Makes the plan's changes, each written to the journal first, and tells systemd where units
 * changed. What is as planned already is left out; *out_made is how many were made.
 */
int host_apply(const struct host *h, struct host_plan *plan, struct host_journal *j,
               size_t *out_made, struct err **e);

/* Undoes everything in the journal, the last change first, and goes on where one fails. The journal
 * is removed when none did. */
int host_undo_all(const char *root, struct host_journal *j, struct host_undo *out, struct err **e);
void host_undo_release(struct host_undo *u);
