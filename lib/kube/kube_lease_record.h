#pragma once
/* The record of an election inside the object that carries it: pure. For kube_lease.c, and for who
 * only looks. */
#include "kube_lease.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <time.h>

struct lease_record {
    char *holder;             /* "": nobody */
    char *acquired, *renewed; /* as written; compared, never understood */
    int64_t duration_s;       /* 0: none, or none that makes sense */
    int64_t transitions;
};

/* What the object has; fields that are not there are empty. */
void lease_record_read(enum kube_lease_kind kind, const cJSON *object, struct lease_record *out);
void lease_record_release(struct lease_record *r);
bool lease_record_equal(const struct lease_record *a, const struct lease_record *b);
/* Into the object; all else in it stays. */
void lease_record_write(enum kube_lease_kind kind, const struct lease_record *r, cJSON *object);
/* An object without a record. */
cJSON *lease_object_new(enum kube_lease_kind kind, const char *ns, const char *name);
/* Now, as this kind of object has it. */
char *lease_time(enum kube_lease_kind kind, const struct timespec *now);
