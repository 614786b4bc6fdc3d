#pragma once
/*
 * A copy of all objects of one collection that follows the server: list, then watch, for ever,
 * through broken connections, restarts and expired versions (client-go's reflector and store). Of
 * each object only what the owner's parse function takes is kept.
 *
 * Keys are "namespace/name", or "name" of objects without namespace. The store has changed already
 * when `changed` is called. What vanished while nobody watched is told as deleted after the next
 * list. An object that was deleted and made anew under its name (another UID) is always told as
 * deleted, then as added, never as changed.
 */
#include "err.h"
#include "kube_io.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kube_informer;

/* All run from the loop, with `arg` of the options, and must not free the informer. */
struct kube_informer_ops {
    /* Takes a copy of what is needed of an object (metadata.name and uid are there). NULL: not
     * interesting, which is the same as not there. */
    void *(*parse)(void *arg, const cJSON *object);
    void (*free_value)(void *value); /* NULL: free() */
    /* `before` NULL: added, `now` NULL: deleted. `before` is freed when this returns. Not called
     * for an object that a new list shows with the version that is known. May be NULL. */
    void (*changed)(void *arg, const char *key, const void *before, const void *now);
    /* The first list is complete, and `changed` was called for all of it. May be NULL. */
    void (*synced)(void *arg);
    /* A list or watch failed and is tried again by itself; for the log. May be NULL. */
    void (*failed)(void *arg, const struct err *e);
};

struct kube_informer_options {
    const char *path; /* "/api/v1/pods" */
    /* The same collection in another version of its group, for servers that do not have the first,
     * or lose it in an upgrade; or NULL. */
    const char *other_path;
    const char *query; /* selectors, percent-encoded: "labelSelector=a%3Db"; or NULL */
    const struct kube_informer_ops *ops; /* borrowed */
    void *arg;
    /* What tests turn; 0: as client-go has it. */
    unsigned page_size;   /* 500 */
    int watch_timeout_s;  /* how long the server keeps a watch; at random 300 to 600 */
    int backoff_ms;       /* 800, doubled up to the next, each with jitter to the double */
    int backoff_max_ms;   /* 30 s */
    int backoff_reset_ms; /* quiet time that makes it begin anew; 2 min */
};

struct kube_informer_stats {
    uint64_t lists;    /* complete */
    uint64_t watches;  /* begun */
    uint64_t events;   /* of watches, bookmarks too */
    uint64_t failures; /* of lists and watches */
};

/* Begins to list at once (from the loop). `io` is borrowed, *options copied. */
struct kube_informer *kube_informer_new(struct kube_io *io,
                                        const struct kube_informer_options *options);
/* Stops, and frees all values without telling. NULL is fine. */
void kube_informer_free(struct kube_informer *inf);

bool kube_informer_has_synced(const struct kube_informer *inf);
/* NULL where it is not there. Borrowed until its next change, at most until back in the loop. */
const void *kube_informer_get(const struct kube_informer *inf, const char *key);
size_t kube_informer_count(const struct kube_informer *inf);
/* Calls `fn` for each object in no order until it returns false. It must change nothing. */
void kube_informer_each(const struct kube_informer *inf,
                        bool (*fn)(void *arg, const char *key, const void *value), void *arg);
void kube_informer_get_stats(const struct kube_informer *inf, struct kube_informer_stats *out);
