#pragma once
/* Shared by ctl_webhook.c and ctl_webhook_cert.c only. */
#include "ctl.h"

struct http_server;
struct keeper;

/*
 * Keeps the certificate of `server`, and the API server's trust in it.
 *
 * All replicas watch the Secret and serve the newest pair in it that is any good; one that becomes
 * bad or goes is served on until another one is there. Whoever leads makes pairs, and writes the
 * Secret with the version that it has read as a guard. A new pair comes in four steps, each of
 * which leaves a state from which the next leader goes on:
 *
 *   1. it is made, in memory only; the caBundle gets its CA beside the one that is in use;
 *   2. the API servers have had time to see that: the Secret gets the new pair, and the CA of the
 *      pair before beside it;
 *   3. the replicas serve it as they see it;
 *   4. an hour later the Secret and the caBundle lose the CA of the pair before.
 *
 * Where a leader dies between 1 and 2, the next one makes another pair, and takes the CA of the
 * first one, whose key is gone, out of the caBundle. What a frozen leader writes too late is put
 * right when the watch shows it.
 */
struct keeper *keeper_new(struct ctl *c, struct http_server *server);
void keeper_free(struct keeper *k); /* NULL is fine */
/* The Secret has been read, or there is none. */
bool keeper_has_synced(const struct keeper *k);
/* Leading: whoever does not only watches. */
void keeper_start(struct keeper *k);
void keeper_stop(struct keeper *k);
