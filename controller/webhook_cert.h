#pragma once
/*
 * The webhook's own certificate: a CA made for this one purpose, whose key is thrown away at once,
 * and a serving certificate for the names that the API server calls a Service by. ECDSA P-256, one
 * year, valid from an hour before it was made for clocks that differ. Pure: all in memory.
 */
#include "err.h"

#include <stdint.h>
#include <time.h>

struct webhook_cert {
    char *ca_pem;   /* for caBundle */
    char *cert_pem; /* serving certificate, signed by it */
    char *key_pem;  /* PKCS #8, not encrypted */
};

/* Makes a pair for `<service>.<namespace>.svc` and the same with `.cluster.local`. -EINVAL: a name
 * that no certificate can bear. */
int webhook_cert_make(const char *service, const char *namespace, time_t now,
                      struct webhook_cert *out_cert, struct err **e);

/*
 * Whether a pair, from anywhere, serves these names at that time: 1 fine, 0 fine but less than a
 * third of its time is left and it is to be made anew. -EBADMSG with the reason: it is not (no PEM,
 * another CA or key, other names, not valid yet or not any more).
 */
int webhook_cert_check(const struct webhook_cert *cert, const char *service, const char *namespace,
                       time_t now, struct err **e);

/* The first certificate of a text, written anew; NULL: it has none. To be freed. */
char *webhook_cert_first(const char *pem);
/* Seconds since the serving certificate was made; 0 where it cannot be told. */
int64_t webhook_cert_age_s(const struct webhook_cert *cert, time_t now);

void webhook_cert_copy(const struct webhook_cert *from, struct webhook_cert *out);
void webhook_cert_release(struct webhook_cert *cert);
#define auto_webhook_cert __attribute__((cleanup(webhook_cert_release)))
