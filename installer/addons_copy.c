/* Docker containers: which one is rancher-server, and files into it and out of it. */
#include "addons_copy.h"

#include "docker_internal.h"
#include "mem.h"
#include "ref.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 4096

/* --- which container --- */

static int ask(struct docker *d, const char *what, const char *name, const char *rest, cJSON **out,
               struct err **e)
{
    struct buf path;
    int r;

    buf_init(&path, LIST_MAX);
    (void)buf_addstr(&path, what);
    http_url_encode(&path, name);
    (void)buf_addstr(&path, rest);
    r = docker_get_json(d, path.data, out, e);
    buf_release(&path);
    return r;
}

static char *printable(const char *text)
{
    char *copy = xstrdup(text ? text : "");

    for (char *p = copy; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    return copy;
}

/* "/rancher-server" is what the API calls it. */
static const char *name_of(const cJSON *container)
{
    const char *name =
        cJSON_GetStringValue(cJSON_GetArrayItem(json_get_arr(container, "Names"), 0));

    return !name ? "" : *name == '/' ? name + 1 : name;
}

static bool has_name(const cJSON *container, const char *wanted)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get_arr(container, "Names"))
    {
        const char *name = cJSON_GetStringValue(item);

        if (name && !strcmp(*name == '/' ? name + 1 : name, wanted))
            return true;
    }
    return false;
}

/* A running container of rancher/rancher or cnrancher/rancher, from whatever registry. */
static bool runs_rancher(const cJSON *container)
{
    const char *image = json_get_str(container, "Image"), *state = json_get_str(container, "State");
    auto_ref struct ref ref = {.host = NULL};
    const char *tail;

    if (!image || !state || strcmp(state, "running") != 0 || ref_parse(image, &ref, NULL) < 0)
        return false;
    tail = ref.repo + strlen(ref.repo);
    for (int slashes = 0; tail > ref.repo; tail--)
        if (tail[-1] == '/' && ++slashes == 2)
            break;
    return !strcmp(tail, "rancher/rancher") || !strcmp(tail, "cnrancher/rancher");
}

static int several(const cJSON *list, struct err **e)
{
    const cJSON *item;
    struct buf names;
    int r;

    buf_init(&names, LIST_MAX);
    cJSON_ArrayForEach(item, list)
    {
        auto_free char *name = printable(name_of(item));
        auto_free char *image = printable(json_get_str(item, "Image"));

        if (runs_rancher(item))
            (void)buf_addf(&names, "\n  %s (%s)", name, image);
    }
    r = err_set(e, -EINVAL, "several containers run Rancher; name one with --container:%s",
                names.data);
    buf_release(&names);
    return r;
}

/* The id of the container to take, and how it was found. */
static int choose(const cJSON *list, const char **out_id, const char **out_how, struct err **e)
{
    const cJSON *item, *found = NULL;
    size_t n = 0;

    cJSON_ArrayForEach(item, list)
    {
        if (has_name(item, ADDONS_CONTAINER)) {
            *out_id = json_get_str(item, "Id");
            *out_how = "by its name";
            return 0;
        }
        if (!runs_rancher(item))
            continue;
        found = item;
        n++;
    }
    if (n > 1)
        return several(list, e);
    if (!n)
        return err_set(e, -ENOENT,
                       "no container is called '" ADDONS_CONTAINER "' or runs an image "
                       "of Rancher; name one with --container");
    *out_id = json_get_str(found, "Id");
    *out_how = "by its image";
    return 0;
}

static void add_mounts(struct addons_container *c, const cJSON *tree)
{
    const cJSON *list = json_get_arr(tree, "Mounts"), *item;
    size_t n = 0;

    c->mounts = xcalloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*c->mounts));
    cJSON_ArrayForEach(item, list)
    {
        const char *destination = json_get_str(item, "Destination");
        const char *type = json_get_str(item, "Type");

        if (destination && (!type || strcmp(type, "tmpfs") != 0))
            c->mounts[n++] = xstrdup(destination);
    }
}

static int describe(struct docker *d, const char *id, struct addons_container *c, struct err **e)
{
    auto_json cJSON *tree = NULL;
    int r = ask(d, "/containers/", id, "/json", &tree, e);
    const char *name, *full;

    if (r == -ENOENT)
        return err_set(e, -ENOENT, "docker has no container '%s'", id);
    if (r < 0)
        return r;
    name = json_get_str(tree, "Name");
    full = json_get_str(tree, "Id");
    if (!name || !full)
        return err_set(e, -EPROTO, "docker's description of '%s' has no name", id);
    c->id = xstrdup(full);
    c->name = printable(*name == '/' ? name + 1 : name);
    c->image = printable(json_get_str(json_get_obj(tree, "Config"), "Image"));
    c->is_running = cJSON_IsTrue(cJSON_GetObjectItem(json_get_obj(tree, "State"), "Running"));
    add_mounts(c, tree);
    return 0;
}

int addons_find_container(struct docker *d, const char *name, struct addons_container *out,
                          struct err **e)
{
    struct addons_container c = {.found_by = "as named"};
    auto_json cJSON *list = NULL;
    const char *id = name;
    int r = name ? 0 : docker_get_json(d, "/containers/json?all=1", &list, e);

    if (r == 0 && !name)
        r = choose(list, &id, &c.found_by, e);
    if (r == 0 && !id)
        r = err_set(e, -EPROTO, "docker's list of containers is not usable");
    if (r == 0)
        r = describe(d, id, &c, e);
    if (r == 0)
        *out = c;
    return r;
}

void addons_container_release(struct addons_container *c)
{
    for (char **mount = c->mounts; mount && *mount; mount++)
        free(*mount);
    free(c->mounts);
    free(c->id);
    free(c->name);
    free(c->image);
    *c = (struct addons_container){.id = NULL};
}

bool addons_is_on_volume(const struct addons_container *c, const char *path)
{
    for (char **mount = c->mounts; *mount; mount++)
        if (addons_is_below(*mount, path))
            return true;
    return false;
}

/* --- files --- */

/* A request to the archive endpoint for `path` inside of the container. */
static int call(struct docker *d, const struct addons_container *c, struct http_request *req,
                const char *path, struct http_response *resp, struct err **e)
{
    struct buf url;
    int r;

    buf_init(&url, 64 << 10);
    (void)buf_addf(&url, "/containers/%s/archive?path=", c->id);
    http_url_encode(&url, path);
    r = docker_call(d, req, url.data, 200, resp, e);
    buf_release(&url);
    return r;
}

/* The nearest folder above (or at) `path` that is there: its length within `path`. */
static int find_existing(struct docker *d, const struct addons_container *c, const char *path,
                         size_t *out_len, struct err **e)
{
    size_t len = strlen(path);

    while (len > 1) {
        auto_response struct http_response resp = HTTP_RESPONSE_INIT;
        struct http_request req = {.method = "HEAD"};
        auto_free char *part = xstrndup(path, len);
        auto_err struct err *why = NULL;
        int r = call(d, c, &req, part, &resp, &why);

        if (r == 0)
            break;
        if (r != -ENOENT)
            return err_set(e, r, "%s", err_text(why));
        while (len > 1 && path[len - 1] != '/')
            len--;
        while (len > 1 && path[len - 1] == '/')
            len--;
    }
    *out_len = len;
    return 0;
}

static int send_files(struct docker *d, const struct addons_container *c, const char *folder,
                      const char *path, struct addons_listing *listing, struct err **e)
{
    static const char *const headers[] = {"Content-Type: application/x-tar", NULL};
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    struct http_request req = {.method = "PUT", .headers = headers};
    auto_buf struct buf tar;
    size_t len = 0;
    int r = find_existing(d, c, path, &len, e);

    buf_init(&tar, 2 * ADDONS_TOTAL_MAX);
    if (r == 0) {
        auto_free char *parent = xstrndup(path, len);
        const char *rest = path + len + (path[len] == '/');
        auto_free char *prefix = *rest ? xasprintf("%s/", rest) : xstrdup("");

        r = addons_tar_folder(folder, prefix, &tar, listing, e);
        req.body = tar.data;
        req.body_len = (int64_t)tar.len;
        if (r == 0)
            r = call(d, c, &req, parent, &resp, e);
    }
    return r;
}

int addons_copy(struct docker *d, const struct addons_container *c, const char *folder,
                const char *path, struct addons_copied *out, struct err **e)
{
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    auto_addons_listing struct addons_listing back = {.n_items = 0};
    struct addons_copied copied = {.files = {.n_items = 0}};
    struct http_request req = {.method = "GET"};
    int r = send_files(d, c, folder, path, &copied.files, e);

    if (r == 0)
        r = call(d, c, &req, path, &resp, e);
    if (r == 0)
        r = addons_tar_list(resp.body.data, resp.body.len, &back, e);
    if (r == 0)
        r = addons_listing_compare(&copied.files, &back, &copied.others, e);
    if (r == 0)
        *out = copied;
    else
        addons_copied_release(&copied);
    return r < 0 ? err_wrap(e, "container '%s'", c->name) : 0;
}

void addons_copied_release(struct addons_copied *c)
{
    addons_listing_release(&c->files);
    addons_listing_release(&c->others);
}
