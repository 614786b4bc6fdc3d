#pragma once
/* Shared by the files registry*.c only. */
#include "auth.h"
#include "creds.h"
#include "http.h"
#include "registry.h"

#include <pthread.h>

/* Everything that manifest_parse knows; schema 1 too, since it is converted. */
#define REGISTRY_ACCEPT_MANIFESTS                                                                  \
    MT_DOCKER_MANIFEST ", " MT_DOCKER_LIST ", " MT_OCI_MANIFEST ", " MT_OCI_INDEX                  \
                       ", " MT_DOCKER_SCHEMA1_SIGNED ", " MT_DOCKER_SCHEMA1

/* TLS settings of one HOST[:PORT]. */
struct registry_site {
    char *authority;
    struct http_tls tls;
    struct buf ca_pem;
    char *cert_file;
    char *key_file;
    struct registry_site *next;
};

/* One place that serves the images of a host: a mirror, or the host itself. */
struct registry_endpoint {
    char *base;   /* URL up to and with the API's "/v2" */
    char *prefix; /* before repository names: "" or "proxy/" */
    char *origin; /* of base, see http_origin */
    char *name;   /* HOST[:PORT]: the key of its credentials, and its name in messages */
    bool is_mirror;

    /* Under the registry's lock. What it asked for: AUTH_OTHER until it did. */
    enum auth_scheme scheme;
    char *realm;
    char *service;
    bool needs_chunks;     /* refused a blob in one piece */
    int64_t down_until_ms; /* not worth a try until then */
};

struct registry_host {
    char *name;
    struct registry_endpoint *endpoints; /* mirrors first, the host itself last */
    size_t n_endpoints;
    struct registry_host *next;
};

struct registry_mirror {
    char *host;
    char *url;
};

struct registry {
    char **plain_http;
    size_t n_plain_http;
    struct registry_mirror *mirrors;
    size_t n_mirrors;
    struct buf extra_ca; /* of --ca-file */
    bool insecure;
    int retries;
    int retry_base_ms;
    int idle_timeout_ms;

    struct creds_store *store; /* NULL: `login` is all there is */
    const struct creds *login; /* borrowed */
    struct auth_cache *tokens;
    pthread_mutex_t lock; /* of the lists and of what endpoints learn */
    struct registry_host *hosts;
    struct registry_site *sites;
};

struct registry_conn {
    struct registry *r;
    struct http *http;
    uint64_t random; /* state of the jitter */
};

/* registry_hosts.c. Hosts and sites are made when first asked for and live as long as r. */
int registry_find_host(struct registry *r, const char *name, const struct registry_host **out,
                       struct err **e);
/* The place that is no mirror. */
struct registry_endpoint *registry_own_endpoint(const struct registry_host *host);
int registry_find_tls(struct registry *r, const char *url, const struct http_tls **out,
                      struct err **e);
void registry_free_hosts(struct registry *r);

/* One request of the protocol, as often as it takes. */
struct registry_call {
    struct registry_endpoint *ep;
    const char *method; /* NULL: GET */
    const char *url;
    const char *what;  /* subject of messages: "manifest 'docker.io/library/x:1'" */
    const char *scope; /* what to ask a token server for; NULL: the request needs no token */
    const char *accept;
    const char *content_type;
    const char *range;
    const char *content_range;
    const void *body;
    http_source source;
    void *source_arg;
    int64_t body_len;
    http_sink sink;
    void *sink_arg;
    size_t max_body;
    int idle_timeout_ms; /* 0: the registry's */

    /* Out: who answered last; differs from the endpoint's name after a redirect to another. */
    char *answered_by;
    bool is_foreign;
};
void registry_call_release(struct registry_call *call);
#define auto_call __attribute__((cleanup(registry_call_release)))

/* registry_call.c. One request with the given header (or NULL), which goes to the origin of the
 * endpoint and to no other; redirects are followed. */
int registry_send(struct registry_conn *c, struct registry_call *call, const char *authorization,
                  struct http_response *resp, struct err **e);
/* One try: authenticates and follows redirects. A refused token is fetched anew
 * once, except under a body that streams: then the 401 comes back and the token is forgotten. */
int registry_exchange(struct registry_conn *c, struct registry_call *call,
                      struct http_response *resp, struct err **e);
/* The same with retries. */
int registry_call(struct registry_conn *c, struct registry_call *call, struct http_response *resp,
                  struct err **e);
/* *e and the error number of an answer that is not what was wanted. */
int registry_answer_error(const struct registry_call *call, const struct http_response *resp,
                          struct err **e);
/* `location` as the next URL after `url`: absolute, never from https to http; to be freed. NULL
 * with *e filled. */
char *registry_next_url(const char *url, const struct http_response *resp,
                        const struct registry_call *call, struct err **e);

/* registry_auth.c. The Authorization header for a call, or NULL where none is known to be needed or
 * there are no credentials. *out_is_fresh: it was not used before, so a 401 to it is final. `resp`
 * takes what a token server answers. */
int registry_authorize(struct registry_conn *c, const struct registry_call *call, const char *scope,
                       struct http_response *resp, char **out_header, bool *out_is_fresh,
                       struct err **e);
/* Reads the challenge of a 401 and returns the scopes to ask for from now on, to be freed; NULL
 * with *e filled where nothing in it can be answered. */
char *registry_learn_challenge(struct registry *r, struct registry_call *call, const char *scope,
                               const struct http_response *resp, struct err **e);
/* Forgets the header that was refused. */
void registry_forget(struct registry *r, const struct registry_call *call, const char *scope,
                     const char *refused);
/* -EKEYREJECTED: which credentials were used, and how to give others. */
int registry_denied(struct registry *r, const struct registry_call *call,
                    const struct http_response *resp, struct err **e);

/* registry_retry.c */
struct registry_retry {
    int left;
    int number; /* of the try that failed last */
};
struct registry_retry registry_retry_start(const struct registry_conn *c,
                                           const struct registry_endpoint *ep);
/* True where the same request may do better later. `result` is what registry_exchange returned. */
bool registry_is_transient(int result, const struct http_response *resp, bool is_foreign);
/* After a try that failed with `result`: waits and returns 0, for another try, or returns the
 * error: `result` when the tries are used up or the registry wants a longer wait than is sensible
 * (then *e says that), -ECANCELED when interrupted. */
int registry_wait(struct registry_conn *c, struct registry_retry *retry, int result,
                  const struct http_response *resp, struct err **e);
int64_t registry_now_ms(void);

/* registry_pull.c. Calls `fn` for each place of `host` until one does it; `is_final` (or NULL) set
 * by fn ends that early. */
int registry_try_places(struct registry_conn *c, const char *host,
                        int (*fn)(struct registry_conn *c, struct registry_endpoint *ep, void *arg,
                                  struct err **e),
                        void *arg, const bool *is_final, struct err **e);

/* Texts to be freed. */
char *registry_pull_scope(const struct registry_endpoint *ep, const char *repo);
char *registry_blob_url(const struct registry_endpoint *ep, const struct ref *ref,
                        const char *digest);
char *registry_blob_name(const struct ref *ref, const char *digest);
/* The Content-Length of an answer, or -1. */
int64_t registry_answer_length(const struct http_response *resp);
