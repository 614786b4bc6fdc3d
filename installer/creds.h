#pragma once
/*
 * Credentials that the user's other tools left behind: containers' auth.json (podman, skopeo) and
 * docker's config.json, with their helpers.
 *
 * The files, in order: the one named by --authfile or REGISTRY_AUTH_FILE and then no other, or
 *   $XDG_RUNTIME_DIR/containers/auth.json   (/run/containers/UID/auth.json without that variable)
 *   $XDG_CONFIG_HOME/containers/auth.json   (default ~/.config)
 *   $DOCKER_CONFIG/config.json              (default ~/.docker)
 * In one file a helper of the host (credHelpers) comes first, then an entry of `auths` for the
 * longest part of host/repository, then the helper for all hosts (credsStore).
 * HOME comes from the environment alone.
 */
#include "err.h"

#include <stdbool.h>
#include <stddef.h>

struct creds {
    char *username;
    char *password;
    char *identity_token; /* instead of both: an OAuth2 refresh token */
    char *source;         /* "'/root/.docker/config.json'", "docker-credential-pass" */
};

void creds_release(struct creds *c);
#define auto_creds __attribute__((cleanup(creds_release)))

/* A host, or a key of these files, in the form that references use: without the scheme of docker's
 * keys and then without a path, and "docker.io" for each name of Docker Hub. To be freed. */
char *creds_host_key(const char *text);

/* All files, read once. Lookups may come from several threads. */
struct creds_store;

/* `authfile` as from --authfile, or NULL. A named file that is absent, and any file that is not
 * JSON, is -EINVAL. */
int creds_store_new(const char *authfile, struct creds_store **out, struct err **e);
void creds_store_free(struct creds_store *s); /* NULL is fine */

/* 1: found, 0: none. `host` as in references ("docker.io" for Docker Hub); `repo` or NULL. A helper
 * that fails is warned about and passed over. */
int creds_find(struct creds_store *s, const char *host, const char *repo, struct creds *out);

/*
 * Puts username and password of `host` into the named file, else into the first of containers'
 * files that has an entry for it already, else into the one below the configuration folder, which
 * outlives a log-out. Everything else in the file stays; its mode becomes 0600. *out_path (to be
 * freed) is where it went.
 */
int creds_save(const char *authfile, const char *host, const char *username, const char *password,
               char **out_path, struct err **e);
/* Takes the entry of `host` out of the file that creds_find would find it in, but never out of
 * docker's. 1 with *out_path, or 0 where there is none. */
int creds_erase(const char *authfile, const char *host, char **out_path, struct err **e);

/*
 * Asks docker-credential-NAME for `server` (creds_helper.c): no shell, at most 64 KiB of answer,
 * 30 seconds. 1: *out filled, 0: it has none, negative: it failed.
 */
int creds_ask_helper(const char *name, const char *server, struct creds *out, struct err **e);
