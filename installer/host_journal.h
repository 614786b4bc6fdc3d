#pragma once
/*
 * What `host prepare` changed: /var/lib/flatnet/host.journal, one JSON object on each line, with
 * the state before and after. A line reaches the disk before its change is made, so that a killed
 * run leaves at most one line whose change did not take place; undoing that is harmless. A last
 * line without its newline was never acted on and is dropped.
 *
 * {"schemaVersion":1,"change":{...}} as host_change_json makes it; {"complete":true} ends a run
 * that made all its changes and told systemd of them.
 */
#include "err.h"
#include "host_change.h"

#include <stdbool.h>
#include <stddef.h>

#define HOST_JOURNAL "/var/lib/flatnet/host.journal"

struct host_journal {
    char *path;                  /* with the root */
    int fd;                      /* -1: there is none */
    struct host_change *changes; /* in the order in which they were made */
    size_t count;
    bool is_complete; /* the last run ended well; true for an empty one */
};

/*
 * Reads and locks it; with `create` it is made where it is not there, else there may be none (fd
 * is -1). -EBUSY: another flatnet works on this host. -EBADMSG: a line cannot be read.
 */
int host_journal_open(const char *root, bool create, struct host_journal *out, struct err **e);
/* Writes one change to the disk. */
int host_journal_add(struct host_journal *j, const struct host_change *c, struct err **e);
int host_journal_complete(struct host_journal *j, struct err **e);
/* All is undone: removes it, and its folder if that is empty. */
int host_journal_remove(struct host_journal *j, const char *root, struct err **e);
void host_journal_close(struct host_journal *j);
