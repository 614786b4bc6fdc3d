#pragma once
/*
 * One leader among several replicas, by a record that they all try to hold (client-go's leader
 * election, so that programs of both kinds can stand in one election). Whether another's record has
 * run out is judged by how long it has not been seen to change, never by the times in it.
 *
 * A leader that cannot renew within `renew_ms` has lost, for good: it must end at once, since
 * another may lead a moment later. A write that is under way then cannot be called back, so that
 * everything that a leader writes must be guarded by resourceVersions or epochs as well.
 */
#include "err.h"
#include "kube_io.h"

#include <stdbool.h>
#include <stdint.h>

struct kube_lease;

enum kube_lease_kind {
    KUBE_LEASE,           /* coordination.k8s.io/v1, from Kubernetes 1.14 */
    KUBE_LEASE_CONFIGMAP, /* annotation control-plane.alpha.kubernetes.io/leader, for older ones */
};

struct kube_lease_options {
    enum kube_lease_kind kind; /* the same in every replica, or there are two elections */
    const char *ns, *name;     /* of the record */
    const char *identity;      /* of this process: kube_lease_identity() */
    /* 0: 15, 10 and 2 s. lease > renew > 1.2 * retry. */
    int lease_ms; /* others wait so long without a renewal; whole seconds */
    int renew_ms; /* without one for so long a leader has lost */
    int retry_ms; /* between attempts */
    /* `transitions` is how often leadership has moved, from the record: not unique over deletions
     * of the record. */
    void (*started)(void *arg, int64_t transitions);
    /* Once; nothing is tried any more. Not called for a release. */
    void (*lost)(void *arg, const struct err *e);
    /* Somebody holds it now, for status and logs; "": nobody. Or NULL. */
    void (*observed)(void *arg, const char *holder);
    /* An attempt failed; for the log. Or NULL. */
    void (*failed)(void *arg, const struct err *e);
    void *arg;
};

/* "HOSTNAME_UUID", to be freed. */
char *kube_lease_identity(void);

/* Stands for election at once (from the loop). *options is copied. -EINVAL: times that do not go
 * together, or no name. */
int kube_lease_new(struct kube_io *io, const struct kube_lease_options *options,
                   struct kube_lease **out, struct err **e);
/* Stops without a word: others wait until the record has run out. NULL is fine. */
void kube_lease_free(struct kube_lease *l);

/* Lets the record go so that another can lead at once; to be called when everything that writes has
 * stopped. `done` (never from inside this call) has 0, or a negative errno when others have to wait
 * for the time. From the call on the lease is not held. Not called twice. */
void kube_lease_release(struct kube_lease *l, void (*done)(void *arg, int status), void *arg);

/* True while this process may write as leader. Asks the clock (CLOCK_BOOTTIME) and no timer, so
 * that a process that was frozen gets the right answer before anything else has run. */
bool kube_lease_is_held_now(const struct kube_lease *l);
/* Time since the last renewal went out that succeeded; -1 where the lease is not held. For /livez.
 */
int64_t kube_lease_age_ms(const struct kube_lease *l);
/* Who holds it as far as is known, "" for nobody; borrowed until back in the loop. */
const char *kube_lease_holder(const struct kube_lease *l);
