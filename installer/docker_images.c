/* Docker Engine API: what is asked and done about images. */
#include "docker_internal.h"

#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IMAGES_MAX 100000
/* After the last byte the daemon unpacks in silence; a slow disk takes long over a large image. */
#define LOAD_IDLE_MS (2 * 3600 * 1000)

static int copy_id(const cJSON *tree, char out[DIGEST_SIZE], struct err **e)
{
    const char *id = json_get_str(tree, "Id");

    if (!digest_is_valid(id))
        return err_set(e, -EPROTO, "docker names an image without a usable id");
    memcpy(out, id, DIGEST_SIZE);
    return 0;
}

static int copy_layers(const cJSON *tree, struct docker_image *image, struct err **e)
{
    const cJSON *list = json_get_arr(json_get_obj(tree, "RootFS"), "Layers"), *item;

    image->layers = xcalloc((size_t)cJSON_GetArraySize(list), sizeof(*image->layers));
    cJSON_ArrayForEach(item, list)
    {
        const char *digest = cJSON_GetStringValue(item);

        if (!digest_is_valid(digest))
            return err_set(e, -EPROTO, "docker names a layer that is no digest");
        memcpy(image->layers[image->n_layers++], digest, DIGEST_SIZE);
    }
    return 0;
}

int docker_inspect(struct docker *d, const char *name, struct docker_image *out, struct err **e)
{
    auto_free char *path = xasprintf("/images/%s/json", name);
    struct docker_image image = {.n_layers = 0};
    auto_json cJSON *tree = NULL;
    auto_err struct err *why = NULL;
    int r = docker_get_json(d, path, &tree, &why);

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return err_set(e, r, "%s", err_text(why));
    r = copy_id(tree, image.id, e);
    if (r == 0)
        r = copy_layers(tree, &image, e);
    if (r < 0) {
        docker_image_release(&image);
        return r;
    }
    *out = image;
    return 1;
}

void docker_image_release(struct docker_image *image)
{
    free(image->layers);
    *image = (struct docker_image){.n_layers = 0};
}

static void add_row(struct docker_list *list, const struct docker_row *row, const char *name)
{
    array_grow(list->rows, list->count);
    list->rows[list->count] = *row;
    list->rows[list->count++].name = xstrdup(name);
}

/* Adds a row for each name in a list of the image; "<none>:<none>" is docker's word for none. */
static size_t add_names(struct docker_list *list, const struct docker_row *row, const cJSON *names)
{
    size_t before = list->count;
    const cJSON *item;

    cJSON_ArrayForEach(item, names)
    {
        const char *name = cJSON_GetStringValue(item);

        if (name && !strstr(name, "<none>"))
            add_row(list, row, name);
    }
    return list->count - before;
}

static int add_image(struct docker_list *list, const cJSON *tree, struct err **e)
{
    struct docker_row row = {.size = -1};
    int r = copy_id(tree, row.id, e);

    if (r < 0)
        return r;
    (void)json_get_size(tree, "Size", &row.size);
    if (!add_names(list, &row, json_get_arr(tree, "RepoTags")) &&
        !add_names(list, &row, json_get_arr(tree, "RepoDigests")))
        add_row(list, &row, NULL);
    return 0;
}

int docker_list(struct docker *d, struct docker_list *out, struct err **e)
{
    struct docker_list list = {.count = 0};
    auto_json cJSON *tree = NULL;
    const cJSON *item;
    int r = docker_get_json(d, "/images/json", &tree, e);

    if (r == 0 && (!cJSON_IsArray(tree) || cJSON_GetArraySize(tree) > IMAGES_MAX))
        r = err_set(e, -EPROTO, "docker's list of images is not usable");
    if (r < 0)
        return r;
    cJSON_ArrayForEach(item, tree)
    {
        if (r == 0)
            r = add_image(&list, item, e);
    }
    if (r < 0)
        docker_list_release(&list);
    else
        *out = list;
    return r;
}

void docker_list_release(struct docker_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->rows[i].name);
    free(list->rows);
    *list = (struct docker_list){.count = 0};
}

int docker_tag(struct docker *d, const char *id, const char *name, struct err **e)
{
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    struct http_request req = {.method = "POST"};
    const char *tag = strrchr(name, ':');
    struct buf path;
    int r;

    buf_init(&path, 4096);
    (void)buf_addf(&path, "/images/%s/tag?repo=", id);
    auto_free char *repo = xstrndup(name, (size_t)(tag - name));
    http_url_encode(&path, repo);
    (void)buf_addf(&path, "&tag=%s", tag + 1);
    r = docker_call(d, &req, path.data, 201, &resp, e);
    buf_release(&path);
    return r;
}

/* The answer to a load is a stream of JSON objects, one a line; an "error" among them is what
 * became of it. */
static int find_error(const struct docker *d, char *stream, struct err **e)
{
    char *end;

    for (char *line = stream; *line; line = end) {
        auto_json cJSON *tree = NULL;
        const char *error;

        end = line + strcspn(line, "\n");
        if (json_parse(line, (size_t)(end - line), &tree, NULL) == 0) {
            error = json_get_str(tree, "error");
            if (!error)
                error = json_get_str(json_get_obj(tree, "errorDetail"), "message");
            if (error)
                return docker_refused(d, "cannot load it", error, e);
        }
        end += *end == '\n';
    }
    return 0;
}

int docker_load(struct docker *d, http_source source, void *arg, int64_t len, struct err **e)
{
    static const char *const headers[] = {"Content-Type: application/x-tar", NULL};
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    struct http_request req = {
        .method = "POST",
        .headers = headers,
        .source = source,
        .source_arg = arg,
        .body_len = len,
        .idle_timeout_ms = LOAD_IDLE_MS,
    };
    int r = docker_call(d, &req, "/images/load?quiet=1", 200, &resp, e);

    return r < 0 ? r : find_error(d, resp.body.data, e);
}
