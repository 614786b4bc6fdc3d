/* Storing and removing credentials, without touching what else is in a file. */
#include "auth.h"
#include "creds.h"
#include "creds_internal.h"
#include "fs.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The entry for exactly `host`, not for a part of its repositories. */
static cJSON *find_entry(const cJSON *tree, const char *host)
{
    cJSON *entry;

    cJSON_ArrayForEach(entry, json_get_obj(tree, "auths"))
    {
        auto_free char *key = creds_host_key(entry->string);
        if (!strcmp(key, host))
            return entry;
    }
    return NULL;
}

static bool file_has_entry(const char *path, const char *host)
{
    auto_json cJSON *tree = NULL;

    return creds_read_file(path, &tree, NULL) == 0 && tree && find_entry(tree, host);
}

/* A link stays a link: what it points to is replaced. */
static int write_tree(const char *path, const cJSON *tree, struct err **e)
{
    auto_free char *text = cJSON_Print(tree);
    auto_free char *real = realpath(path, NULL);
    auto_free char *line = xasprintf("%s\n", text ? text : "{}");

    return fs_write_file(real ? real : path, line, strlen(line), 0600, e);
}

static int make_parent(const char *path, struct err **e)
{
    auto_free char *folder = xstrdup(path);
    char *slash = strrchr(folder, '/');

    if (!slash || slash == folder)
        return 0;
    *slash = '\0';
    return fs_mkdirs(folder, 0700, e);
}

static int put_entry(cJSON *tree, const char *path, const char *host, const char *auth,
                     struct err **e)
{
    static const char *const old[] = {"auth", "username", "password", "identitytoken"};
    cJSON *auths = cJSON_GetObjectItemCaseSensitive(tree, "auths");
    cJSON *entry = find_entry(tree, host);

    if (creds_host_helper(tree, host))
        return err_set(e, -EINVAL,
                       "'%s' leaves the credentials of '%s' to the helper 'docker-credential-%s', "
                       "store them with that",
                       path, host, creds_host_helper(tree, host));
    if (!auths)
        auths = cJSON_AddObjectToObject(tree, "auths");
    if (cJSON_IsObject(auths) && !entry)
        entry = cJSON_AddObjectToObject(auths, host);
    if (!cJSON_IsObject(entry))
        return err_set(e, -EINVAL, "'%s' is not a file of credentials: 'auths' is of another kind",
                       path);
    for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
        cJSON_DeleteItemFromObjectCaseSensitive(entry, old[i]);
    json_add_str(entry, "auth", auth);
    return 0;
}

/* The file to store in, borrowed from `places`; NULL where HOME is needed and not set. */
static const char *place_for(const struct creds_place *places, size_t n, const char *host)
{
    const char *last = NULL;

    for (size_t i = 0; i < n; i++) {
        if (places[i].owner == CREDS_NAMED)
            return places[i].path;
        if (places[i].owner == CREDS_DOCKER)
            continue;
        if (file_has_entry(places[i].path, host))
            return places[i].path;
        last = i > 0 ? places[i].path : NULL;
    }
    return last;
}

static int save_in(const char *path, const char *host, const char *auth, struct err **e)
{
    auto_json cJSON *tree = NULL;
    int r = creds_read_file(path, &tree, e);

    if (r < 0)
        return r;
    if (!tree)
        tree = cJSON_CreateObject();
    r = put_entry(tree, path, host, auth, e);
    if (r < 0)
        return r;
    r = make_parent(path, e);
    return r < 0 ? r : write_tree(path, tree, e);
}

int creds_save(const char *authfile, const char *host, const char *username, const char *password,
               char **out_path, struct err **e)
{
    struct creds_place places[CREDS_PLACES];
    size_t n = creds_places(authfile, places);
    const char *path = place_for(places, n, host);
    auto_free char *basic = auth_basic(username, password);
    int r;

    if (path)
        r = save_in(path, host, basic + strlen("Basic "), e);
    else
        r = err_set(e, -EINVAL,
                    "neither HOME nor XDG_CONFIG_HOME is set, name a file with --authfile");
    if (r == 0)
        *out_path = xstrdup(path);
    creds_places_release(places);
    return r;
}

static int erase_in(const char *path, const char *host, struct err **e)
{
    auto_json cJSON *tree = NULL;
    cJSON *auths, *entry;
    int found = 0;
    int r = creds_read_file(path, &tree, e);

    if (r < 0 || !tree)
        return r;
    auths = cJSON_GetObjectItemCaseSensitive(tree, "auths");
    for (; (entry = find_entry(tree, host)); found = 1)
        cJSON_Delete(cJSON_DetachItemViaPointer(auths, entry));
    if (!found)
        return 0;
    r = write_tree(path, tree, e);
    return r < 0 ? r : 1;
}

int creds_erase(const char *authfile, const char *host, char **out_path, struct err **e)
{
    struct creds_place places[CREDS_PLACES];
    size_t n = creds_places(authfile, places);
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        if (places[i].owner == CREDS_DOCKER)
            continue;
        r = erase_in(places[i].path, host, e);
        if (r > 0)
            *out_path = xstrdup(places[i].path);
    }
    creds_places_release(places);
    return r;
}
