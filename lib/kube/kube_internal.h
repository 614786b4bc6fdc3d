#pragma once
/* Shared by the files of lib/kube/ only. */
#include "http.h"
#include "kube_client.h"
#include "kube_io.h"

#include <stdbool.h>

/* Where the server is. */
struct kube_server {
    char *url;        /* "https://10.0.0.1:6443/prefix", its host replaced by tls-server-name */
    char *connect_to; /* HOST:PORT where it was replaced, or NULL */
    char *host;       /* "Host: 10.0.0.1:6443" */
};

/* -EINVAL: the server of the configuration is no URL of one. */
int kube_server_find(const struct kube_config *config, struct kube_server *out, struct err **e);
void kube_server_release(struct kube_server *s);

struct kube_client {
    const struct kube_config *config;
    struct http *http;
    struct http_tls tls;
    struct kube_server server;
    char *authorization; /* "Authorization: Bearer TOKEN", or NULL */
    bool (*is_cancelled)(void);
};

/* "Content-Type: ...". */
const char *kube_content_header(enum kube_content content);

/* Nothing given. */
void kube_config_init(struct kube_config *c);
/* Text of visible ASCII characters only, as it can go into a header or a URL. */
bool kube_config_is_word(const char *text);
/* Without the white space at its end: is it a token? */
bool kube_config_trim_token(struct buf *token);

/*
 * Credential plugins (client.authentication.k8s.io v1alpha1, v1beta1, v1): runs c->exec, which is
 * there, and puts what it says into c->token, or c->cert and c->key. No terminal is given to it.
 * -EKEYREJECTED: it cannot be run, failed, or its answer makes no sense.
 */
int kube_exec_plugin_run(struct kube_config *c, struct err **e);
void kube_exec_plugin_free(struct kube_exec_plugin *p);

/* Whom to ask, and how to get there; the path is the caller's. */
void kube_client_address(const struct kube_client *c, struct http_request *req);

/* The certificates of `config`, borrowed from it. */
struct http_tls kube_config_tls(const struct kube_config *config);

/* The one table from statuses of HTTP to error numbers, see kube_io.h. `reason` is that of the
 * Status object, or NULL. */
int kube_status_number(int http_status, const char *reason);
/* What the server refused, in its own words: `tree` is its Status object, or NULL where `body` is
 * none. Returns kube_status_number. */
int kube_status_refused(const char *server, int http_status, const cJSON *tree,
                        const struct buf *body, struct err **e);
/* 410 in one of its forms, or a version that this server has not seen yet (it lags behind the one
 * that gave it): code 504 with this cause, which servers before 1.17 only have as text. */
bool kube_is_version_refused(const struct kube_reply *reply);
/* The same for an answer of kube_client. */
int kube_refused(const struct kube_client *c, const struct http_response *resp, struct err **e);

/* At most 400 bytes of somebody's text, on one line, to be freed. */
char *kube_clean_text(const char *text, size_t len);

/* Puts U+FFFD for each U+0000 in the strings of a JSON text, which keeps its length. */
void kube_mend_nul(char *text, size_t len);
