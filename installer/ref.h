#pragma once
/*
 * Image references, normalised as github.com/distribution/reference v0.6 does it (ParseDockerRef):
 * "nginx" is docker.io/library/nginx:latest; the first part is a host only if it holds '.' or
 * ':' or is "localhost" (or has upper case letters); index.docker.io is docker.io; with a digest
 * the tag is dropped from what is pulled but kept in the name.
 *
 * Three departures, each towards refusing: only sha256 digests; a first part that holds '.' or
 * ':' and is not a valid host ("a_b.com/x", which the original turns into a path without a
 * host); nothing but printable ASCII, so that a reference can be shown as it is.
 */
#include "err.h"
#include "hash.h"

#include <stdbool.h>

#define REF_REPO_MAX 255
#define REF_TAG_MAX 128

struct ref {
    char *host;          /* "docker.io", "127.0.0.1:5000", "[::1]:5000" */
    char *repo;          /* "library/nginx" */
    char *tag;           /* NULL only where there is a digest and no tag was written */
    char *digest;        /* "sha256:...", or NULL */
    bool tag_is_default; /* no tag and no digest was written, so tag is "latest" */
};

/* -EINVAL: the message says what is wrong ("repository name must be lowercase", ...). */
int ref_parse(const char *text, struct ref *out, struct err **e);
void ref_release(struct ref *r);
/* The full form host/repo[:tag][@digest], to be freed. */
char *ref_format(const struct ref *r);
/* Tag or digest to ask a registry for: the digest where there is one; borrowed. */
const char *ref_selector(const struct ref *r);

#define auto_ref __attribute__((cleanup(ref_release)))
