#pragma once
/*
 * What is to happen to which object. A plan is made by trying: the server is asked for every object
 * what would become of it, before anything is written, so that all refusals and conflicts are known
 * at once, and what is right already is not written again.
 */
#include "deploy_object.h"
#include "deploy_server.h"
#include "err.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

enum deploy_action {
    DEPLOY_UNCHANGED,
    DEPLOY_CREATE,
    DEPLOY_CONFIGURE,
    DEPLOY_RECREATE, /* a field differs that never changes */
    DEPLOY_DELETE,
};

struct deploy_item {
    struct deploy_name name;
    cJSON *wanted;  /* NULL: it is to go */
    cJSON *live;    /* NULL: it is not there */
    cJSON *planned; /* what it would become */
    enum deploy_action action;
    bool is_taken_over; /* from kubectl, which applied it from its side */
    bool is_obsolete;   /* goes before what replaces it comes */
    bool is_stopped;    /* recreated: its pods end before the new ones begin */
    char *note;         /* why it is recreated or goes, or NULL */
    struct err *error;  /* the server would refuse it, or NULL */
};

struct deploy_plan {
    struct deploy_item *items; /* in the order in which they are carried out */
    size_t n_items;
};

/* Adds what one YAML document of `text` after the other says. `what` is for messages. */
int deploy_plan_add_yaml(struct deploy_plan *p, const char *what, const char *text, size_t len,
                         struct err **e);
/* Adds an object that is to go. */
struct deploy_item *deploy_plan_add_deletion(struct deploy_plan *p, const struct deploy_name *n,
                                             const char *note);
struct deploy_item *deploy_plan_find(const struct deploy_plan *p, const struct deploy_name *n);

/* Reads what is there and tries what is wanted; brings the items in order. With `by_client` nothing
 * is tried on the server. What the server refuses stands in the items. */
int deploy_plan_make(const struct deploy_server *s, struct deploy_plan *p, bool by_client,
                     struct err **e);
/* All refusals as one error; 0 without any. */
int deploy_plan_check(const struct deploy_plan *p, struct err **e);
/* Differences to what is there, as 'kubectl diff' shows them. */
void deploy_plan_diff(const struct deploy_plan *p, struct buf *out);
/* "created", "configured" ... */
const char *deploy_action_done(enum deploy_action action);
size_t deploy_plan_count(const struct deploy_plan *p, enum deploy_action action);

/* Makes one item so, as it was planned. */
int deploy_item_apply(const struct deploy_server *s, struct deploy_item *item, int64_t deadline_ms,
                      struct err **e);
/* Waits until an object is gone and, with `workload`, its pods too: that is the object as it was,
 * of which a DaemonSet needs nothing (may be empty), any other its selector. NULL: the pods may
 * stay. -ETIMEDOUT, which says what is still there. */
int deploy_wait_gone(const struct deploy_server *s, const struct deploy_name *n,
                     const cJSON *workload, int64_t deadline_ms, struct err **e);

void deploy_plan_release(struct deploy_plan *p);
#define auto_deploy_plan __attribute__((cleanup(deploy_plan_release)))
