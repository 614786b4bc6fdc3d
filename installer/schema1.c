/*
 * Reading schema 1. Both lists have the newest step first; each history entry is a JSON document
 * inside a string, the format in which docker kept layers before 1.10. The newest one is also the
 * image's configuration, most of which is taken over byte for byte.
 */
#include "schema1.h"

#include "jsonstrict.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Members of history entries that mean something here or in a configuration. */
static const char *const entry_members[] = {"id",
                                            "parent",
                                            "parent_id",
                                            "layer_id",
                                            "Size",
                                            "throwaway",
                                            "created",
                                            "author",
                                            "comment",
                                            "config",
                                            "container_config",
                                            "rootfs",
                                            "docker_version",
                                            "history",
                                            "os",
                                            "architecture",
                                            "variant",
                                            NULL};

/* What a schema 2 configuration has no place for (as dockerd's image/v1.MakeConfigFromV1Config
 * leaves it out), and what is written anew. */
static const char *const dropped_members[] = {"id",   "parent",       "parent_id", "layer_id",
                                              "Size", "throwaway",    "rootfs",    "history",
                                              "os",   "architecture", "variant",   NULL};

/* One step, as long as the manifest is read. */
struct step {
    const char *text; /* its v1Compatibility */
    cJSON *tree;
    const char *blob;
    const char *id, *parent;
    bool is_throwaway;
};

static bool is_listed(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(*names, name))
            return true;
    return false;
}

static int read_step(const cJSON *layer, const cJSON *history, struct step *s, struct err **e)
{
    int r;

    s->blob = json_get_str(layer, "blobSum");
    s->text = json_get_str(history, "v1Compatibility");
    if (!digest_is_valid(s->blob))
        return err_set(e, -EBADMSG, "its blobSum is not a SHA-256 digest");
    if (!s->text)
        return err_set(e, -EBADMSG, "it has no v1Compatibility");
    if ((r = json_parse(s->text, strlen(s->text), &s->tree, e)) < 0)
        return r;
    if (!cJSON_IsObject(s->tree))
        return err_set(e, -EBADMSG, "its v1Compatibility is not a JSON object");
    if ((r = json_check_members(s->tree, entry_members, e)) < 0 ||
        (r = json_get_text(s->tree, "id", &s->id, e)) < 0 ||
        (r = json_get_text(s->tree, "parent", &s->parent, e)) < 0)
        return r;
    if (!*s->id)
        return err_set(e, -EBADMSG, "it has no id");
    s->is_throwaway = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(s->tree, "throwaway")) ||
                      !strcmp(s->blob, SCHEMA1_EMPTY_LAYER);
    return 0;
}

/* Every entry names the next older one as its parent; one that is there twice in a row counts
 * once, since docker up to 1.9 pushed such. */
static int check_chain(struct step *steps, size_t *n_steps, struct err **e)
{
    size_t kept = 0;

    for (size_t i = 0; i < *n_steps; i++) {
        bool is_last = i + 1 == *n_steps;

        if (!is_last && !strcmp(steps[i].id, steps[i + 1].id)) {
            cJSON_Delete(steps[i].tree);
            steps[i].tree = NULL;
            continue;
        }
        if (strcmp(steps[i].parent, is_last ? "" : steps[i + 1].id))
            return err_set(e, -EBADMSG,
                           "history entry %zu names the parent '%.64s', the entry behind it is "
                           "'%.64s'",
                           i + 1, steps[i].parent, is_last ? "" : steps[i + 1].id);
        if (kept != i) {
            steps[kept] = steps[i];
            steps[i].tree = NULL;
        }
        kept++;
    }
    *n_steps = kept;
    return 0;
}

/* container_config.Cmd in one line, NULL for none; to be freed. */
static char *command_of(const cJSON *step)
{
    const cJSON *cmd =
        cJSON_GetObjectItemCaseSensitive(json_get_obj(step, "container_config"), "Cmd");
    auto_buf struct buf text;
    const cJSON *item;

    buf_init(&text, MANIFEST_MAX_SIZE);
    if (cJSON_IsString(cmd))
        return xstrdup(cmd->valuestring);
    cJSON_ArrayForEach(item, cmd)
    {
        if (cJSON_IsString(item))
            (void)buf_addf(&text, "%s%s", text.len ? " " : "", item->valuestring);
    }
    return text.len ? buf_steal(&text) : NULL;
}

static char *history_of(const struct step *steps, size_t n_steps)
{
    auto_json cJSON *list = cJSON_CreateArray();

    for (size_t i = n_steps; i-- > 0;) {
        cJSON *item = cJSON_CreateObject(), *step = steps[i].tree;
        auto_free char *command = command_of(step);

        json_add_str(item, "created", json_get_str(step, "created"));
        json_add_str(item, "author", json_get_str(step, "author"));
        json_add_str(item, "created_by", command);
        json_add_str(item, "comment", json_get_str(step, "comment"));
        if (steps[i].is_throwaway)
            (void)cJSON_AddTrueToObject(item, "empty_layer");
        (void)cJSON_AddItemToArray(list, item);
    }
    return json_print(list);
}

/* Length of the JSON value at the start of `text`, which is known to be valid; its blanks too. */
static size_t value_len(const char *text)
{
    size_t i = 0, depth = 0;

    for (bool in_string = false; text[i]; i++) {
        char c = text[i];

        if (in_string) {
            if (c == '\\' && text[i + 1])
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (depth && (c == '}' || c == ']')) {
            depth--;
        } else if (!depth && strchr(",:}]", c)) {
            break;
        }
    }
    return i;
}

/*
 * The members of the newest entry as they were written, since reprinting a number may change it.
 * The tree has them in the same order, and its names are free of escapes.
 */
static char *members_of(const struct step *newest)
{
    const char *text = newest->text + strcspn(newest->text, "{");
    const cJSON *item;
    auto_buf struct buf out;

    buf_init(&out, 2 * MANIFEST_MAX_SIZE);
    cJSON_ArrayForEach(item, newest->tree)
    {
        size_t name_len = value_len(++text), len = value_len(text + name_len + 1);

        if (!is_listed(item->string, dropped_members)) {
            (void)buf_addch(&out, ',');
            (void)buf_add(&out, text, name_len + 1 + len);
        }
        text += name_len + 1 + len;
    }
    return buf_steal(&out);
}

/* os and architecture: containerd insists on both, old images may leave them unsaid. */
static int find_platform(const cJSON *tree, const cJSON *newest, struct platform *out,
                         struct err **e)
{
    const char *os, *arch, *variant;
    int r;

    if ((r = json_get_text(newest, "os", &os, e)) < 0 ||
        (r = json_get_text(newest, "architecture", &arch, e)) < 0 ||
        (r = json_get_text(newest, "variant", &variant, e)) < 0)
        return r;
    if (!*arch && (r = json_get_text(tree, "architecture", &arch, e)) < 0)
        return r;
    if (platform_from_fields(*os ? os : "linux", arch, variant, out, e) < 0)
        return err_set(e, -EBADMSG, "its platform '%.31s/%.31s/%.31s' is not one", os, arch,
                       variant);
    return 0;
}

static void take_layers(const struct step *steps, size_t n_steps, struct schema1 *s)
{
    s->layers = xcalloc(n_steps, sizeof(*s->layers));
    for (size_t i = n_steps; i-- > 0;)
        if (!steps[i].is_throwaway)
            memcpy(s->layers[s->n_layers++].digest, steps[i].blob, DIGEST_SIZE);
}

static int read_steps(const cJSON *layers, const cJSON *histories, struct step *steps,
                      struct err **e)
{
    const cJSON *history = histories->child, *layer;
    size_t i = 0;

    cJSON_ArrayForEach(layer, layers)
    {
        if (read_step(layer, history, &steps[i], e) < 0)
            return err_wrap(e, "history entry %zu", i + 1);
        history = history->next;
        i++;
    }
    return 0;
}

static int convert(const cJSON *tree, struct step *steps, size_t n_steps, struct schema1 *s,
                   struct err **e)
{
    int r = read_steps(json_get_arr(tree, "fsLayers"), json_get_arr(tree, "history"), steps, e);

    if (r < 0 || (r = check_chain(steps, &n_steps, e)) < 0 ||
        (r = find_platform(tree, steps[0].tree, &s->platform, e)) < 0)
        return r;
    take_layers(steps, n_steps, s);
    s->members = members_of(&steps[0]);
    s->history = history_of(steps, n_steps);
    return 0;
}

static int check_tree(const cJSON *tree, struct err **e)
{
    static const char *const members[] = {"schemaVersion", "architecture", "fsLayers",
                                          "history",       "signatures",   NULL};
    int layers = cJSON_GetArraySize(json_get_arr(tree, "fsLayers"));
    int64_t version = 0;

    if (json_get_size(tree, "schemaVersion", &version) < 0 || version != 1)
        return err_set(e, -EBADMSG, "not a schema 1 manifest");
    if (json_get_arr(tree, "signatures"))
        return err_set(e, -EBADMSG, "the signed part of the manifest has signatures of its own");
    if (layers < 1 || layers > MANIFEST_MAX_LAYERS)
        return err_set(e, -EBADMSG, "fsLayers has not 1 to %d members", MANIFEST_MAX_LAYERS);
    if (cJSON_GetArraySize(json_get_arr(tree, "history")) != layers)
        return err_set(e, -EBADMSG, "fsLayers and history differ in length");
    return json_check_members(tree, members, e);
}

int schema1_parse(const char *bytes, size_t len, struct schema1 *out, struct err **e)
{
    auto_schema1 struct schema1 s = {.n_layers = 0};
    auto_json cJSON *tree = NULL;
    auto_free struct step *steps = NULL;
    auto_buf struct buf payload;
    size_t count;
    int r;

    buf_init(&payload, MANIFEST_MAX_SIZE);
    if ((r = schema1_payload(bytes, len, &payload, e)) < 0 ||
        (r = json_parse(payload.data, payload.len, &tree, e)) < 0 || (r = check_tree(tree, e)) < 0)
        return err_wrap(e, "schema 1 manifest");
    hash_digest(payload.data, payload.len, s.digest);
    count = (size_t)cJSON_GetArraySize(json_get_arr(tree, "fsLayers"));
    steps = xcalloc(count, sizeof(*steps));
    r = convert(tree, steps, count, &s, e);
    for (size_t i = 0; i < count; i++)
        cJSON_Delete(steps[i].tree);
    if (r < 0)
        return err_wrap(e, "schema 1 manifest");
    *out = s;
    s = (struct schema1){.n_layers = 0};
    return 0;
}

void schema1_release(struct schema1 *s)
{
    free(s->layers);
    free(s->members);
    free(s->history);
    *s = (struct schema1){.n_layers = 0};
}

void schema1_free(struct schema1 *s)
{
    if (!s)
        return;
    schema1_release(s);
    free(s);
}
