#pragma once
/*
 * A client of the Docker Engine API, as far as images need it
 * (https://docs.docker.com/reference/api/engine/, versions 1.24 to 1.47).
 *
 * Where the daemon is follows docker's own rules: DOCKER_HOST (unix://PATH, tcp://HOST[:PORT]),
 * else /var/run/docker.sock; TLS where DOCKER_TLS_VERIFY is set, with ca.pem, cert.pem and key.pem
 * from DOCKER_CERT_PATH (default ~/.docker). The proxies of the environment are not used.
 *
 * Besides the numbers of err.h: -EREMOTEIO means that the daemon answered and refused.
 */
#include "err.h"
#include "hash.h"
#include "http.h"
#include "platform.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct docker_host {
    char *socket; /* path of a unix socket, or NULL */
    char *url;    /* "http://docker", "https://10.0.0.1:2376" */
};

/* Reads a DOCKER_HOST; `tls` chooses the scheme and the default port (2376, else 2375). -EINVAL for
 * what we cannot speak (ssh, npipe, fd). */
int docker_host_parse(const char *text, bool tls, struct docker_host *out, struct err **e);
void docker_host_release(struct docker_host *h);

struct docker_info {
    char *version; /* of the engine: "20.10.24+dfsg1" */
    int major;     /* its first number; 0 where it has none */
    char *driver;  /* "overlay2" */
    char *root;    /* its data root */
    /* Images live in containerd's content store, so an image's id is its manifest's digest (or its
     * index's), not its configuration's. */
    bool containerd_store;
    struct platform platform;
};

struct docker;

/* Connects, agrees on an API version and asks for the facts. `root` is put before the default
 * socket's path. -EHOSTUNREACH says where no daemon answered, and why. */
int docker_open(const char *root, struct docker **out, struct err **e);
void docker_free(struct docker *d); /* NULL is fine */
const struct docker_info *docker_info(const struct docker *d);
/* "unix:///var/run/docker.sock", "tcp://10.0.0.1:2376" */
const char *docker_address(const struct docker *d);

struct docker_image {
    char id[DIGEST_SIZE];
    char (*layers)[DIGEST_SIZE]; /* diff ids, lowest first */
    size_t n_layers;
};

/* The image of a name (full reference with tag) or id. 1: *out is filled, 0: there is none. */
int docker_inspect(struct docker *d, const char *name, struct docker_image *out, struct err **e);
void docker_image_release(struct docker_image *image);

/* One row for each name; an image without a name has one row without. */
struct docker_row {
    char id[DIGEST_SIZE];
    char *name; /* as docker shows it ("busybox:1"), or NULL */
    int64_t size;
};
struct docker_list {
    struct docker_row *rows;
    size_t count;
};
int docker_list(struct docker *d, struct docker_list *out, struct err **e);
void docker_list_release(struct docker_list *list);

/* Gives the image `id` one more name, a full reference with tag. */
int docker_tag(struct docker *d, const char *id, const char *name, struct err **e);

/* Sends an archive of `len` bytes. The daemon reports failures inside its 200 answer too. What
 * `source` returns as an error comes back as is; the daemon has then seen a broken request. */
int docker_load(struct docker *d, http_source source, void *arg, int64_t len, struct err **e);
