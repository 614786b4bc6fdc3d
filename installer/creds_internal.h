#pragma once
/* Shared by creds.c (finding) and creds_edit.c (changing) only. */
#include "creds.h"

#include <cjson/cJSON.h>

#define CREDS_FILE_MAX (1u << 20)
#define CREDS_PLACES 3

enum creds_owner { CREDS_NAMED, CREDS_CONTAINERS, CREDS_DOCKER };

struct creds_place {
    char *path;
    enum creds_owner owner;
};

/* The files in the order of creds.h, whether they exist or not; returns their number. */
size_t creds_places(const char *authfile, struct creds_place out[CREDS_PLACES]);
void creds_places_release(struct creds_place places[CREDS_PLACES]);

/* Parses a file; *out_tree is NULL where it does not exist. -EINVAL: not a JSON object. */
int creds_read_file(const char *path, cJSON **out_tree, struct err **e);

/* The helper that the member `credHelpers` of a file names for `host`, borrowed, or NULL. */
const char *creds_host_helper(const cJSON *tree, const char *host);
