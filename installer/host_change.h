#pragma once
/*
 * One change to a host: what it is about, what was there before, what shall be there. A change can
 * be shown, applied, written to the journal, read back and undone; each of these is in this module
 * for all kinds, so that no item can change a thing that cannot be undone.
 *
 * Undoing may be repeated: it brings about the state before, whatever of the change took place.
 */
#include "err.h"
#include "host_file.h"
#include "json.h"

#include <stdbool.h>
#include <stddef.h>

enum change_kind {
    CHANGE_FOLDER,  /* subject: a path */
    CHANGE_FILE,    /* subject: a path; before and after are its states */
    CHANGE_SWAP,    /* subject: a file or device that is switched off */
    CHANGE_PROMISC, /* subject: a link's name */
    CHANGE_MODULE,  /* subject: a module; after.content: all that gets loaded with it, in order */
    CHANGE_SYSCTL,  /* subject: a path below /proc/sys; before and after hold values */
};

struct host_change {
    enum change_kind kind;
    const char *item; /* borrowed from the item's table; NULL in one from the journal */
    char *subject;
    struct host_file before, after;
    int priority;        /* of swap */
    unsigned swap_flags; /* for swapon(2), without the priority */
};

struct host_plan {
    struct host_change *changes; /* in the order in which they are to be made */
    size_t count;
};

/* Adds a change; what the pointer holds is the plan's from then on. */
struct host_change *host_plan_add(struct host_plan *plan, enum change_kind kind, const char *item,
                                  const char *subject);
/* Adds the change of a file to `after` (taken over), and before it its missing folders. Nothing is
 * added where it is like that already. */
int host_plan_file(const char *root, struct host_plan *plan, const char *item, const char *path,
                   struct host_file *after, struct err **e);
/* The plan's change of that file so far, so that two items can add to one; NULL without. */
struct host_change *host_plan_find_file(struct host_plan *plan, const char *path);
void host_plan_release(struct host_plan *plan);

/* Looks at what is there now, for the journal. 1: there is something to do, 0: it is like that
 * already. */
int host_change_look(const char *root, struct host_change *c, struct err **e);
int host_change_apply(const char *root, const struct host_change *c, struct err **e);

enum undo_result {
    UNDO_DONE, /* it is as before */
    UNDO_KEPT, /* somebody changed it since, or uses it: left as it is; *out_why says so */
};
/* `out_why` is to be freed. */
int host_change_undo(const char *root, const struct host_change *c, enum undo_result *out,
                     char **out_why, struct err **e);

/* True for a file that systemd reads (units), so that it must be told. */
bool host_change_is_unit(const struct host_change *c);
/* "swapoff /dev/sda2 (priority 5)". To be freed. */
char *host_change_text(const struct host_change *c);
/* A unified diff for a file, "# text" for anything else; appended. */
void host_change_diff(const struct host_change *c, struct buf *out);

cJSON *host_change_json(const struct host_change *c);
/* -EBADMSG */
int host_change_from_json(const cJSON *tree, struct host_change *out, struct err **e);
void host_change_release(struct host_change *c);
