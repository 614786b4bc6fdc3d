#pragma once
/*
 * Events (core/v1) for people who ask "kubectl describe". Best effort: never repeated, bounded in
 * number and memory, and without an answer to the caller.
 *
 * As client-go does it: the same event of the same object counts up in one Event; from the tenth
 * different text of one reason on within ten minutes they are combined in one; each object may have
 * 25 in a burst and then one in 5 minutes.
 */
#include "kube_io.h"

#include <stdbool.h>
#include <stdint.h>

struct kube_events;

struct kube_events_options {
    const char *component; /* source.component: "network-controller" */
    const char *host;      /* source.host, or NULL */
    /* What tests turn; 0: as client-go has it. */
    unsigned burst;       /* 25 */
    int64_t refill_ms;    /* 300000 */
    unsigned similar_max; /* 10 */
    int64_t similar_ms;   /* 600000 */
    unsigned remembered;  /* Events that can still count up; 4096 */
};

/* What an event is about. ns NULL: an object without namespace; its Events stand in "default". */
struct kube_event_object {
    const char *api_version; /* "v1" */
    const char *kind;        /* "Pod" */
    const char *ns, *name, *uid;
    const char *resource_version; /* or NULL */
};

struct kube_events_stats {
    uint64_t sent;    /* requests made */
    uint64_t dropped; /* by the limits */
    uint64_t failed;  /* requests refused */
};

struct kube_events *kube_events_new(struct kube_io *io, const struct kube_events_options *options);
void kube_events_free(struct kube_events *ev); /* what is under way is dropped. NULL is fine */

/* `reason` is a word in CamelCase; the text is cut at 1024 bytes, which is what the server takes.
 */
void kube_event_warn(struct kube_events *ev, const struct kube_event_object *object,
                     const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void kube_event_note(struct kube_events *ev, const struct kube_event_object *object,
                     const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

void kube_events_get_stats(const struct kube_events *ev, struct kube_events_stats *out);
