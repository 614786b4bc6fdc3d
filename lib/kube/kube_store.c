/* Objects by key, and what a new version of one means. */
#include "kube_store.h"

#include "json.h"
#include "kube_hash.h"
#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MAX 512    /* a namespace has 63, a name 253 */
#define VERSION_MAX 24 /* 64 bits in decimal; a longer one is not kept, and counts as new */

struct kube_entry {
    UT_hash_handle hh;
    void *value;
    uint32_t generation;
    char version[VERSION_MAX];
    char text[]; /* key, NUL, uid, NUL */
};

/* What identifies an object. */
struct identity {
    char key[KEY_MAX];
    const char *uid, *version;
};

static int identify(const cJSON *object, struct identity *out, struct err **e)
{
    const cJSON *meta = json_get_obj(object, "metadata");
    const char *ns = json_get_str(meta, "namespace"), *name = json_get_str(meta, "name");
    bool has_ns = ns && *ns;
    int len;

    out->uid = json_get_str(meta, "uid");
    out->version = json_get_str(meta, "resourceVersion");
    if (!name || !*name || !out->uid || !out->version || !*out->version)
        return err_set(e, -EBADMSG, "an object has no name, uid or resourceVersion");
    len = snprintf(out->key, KEY_MAX, "%s%s%s", has_ns ? ns : "", has_ns ? "/" : "", name);
    return len < KEY_MAX ? 0 : err_set(e, -EBADMSG, "the name of an object is too long");
}

static struct kube_entry *find(const struct kube_store *s, const char *key)
{
    struct kube_entry *entry = NULL;

    HASH_FIND_STR(s->entries, key, entry);
    return entry;
}

static const char *uid_of(const struct kube_entry *entry)
{
    return entry->text + entry->hh.keylen + 1;
}

static void free_value(const struct kube_store *s, void *value)
{
    if (s->ops->free_value)
        s->ops->free_value(value);
    else
        free(value);
}

static void tell(const struct kube_store *s, const char *key, const void *before, const void *now)
{
    if (s->ops->changed)
        s->ops->changed(s->arg, key, before, now);
}

static void set_version(struct kube_entry *entry, const char *version)
{
    size_t len = strlen(version);

    entry->version[0] = '\0';
    if (len < VERSION_MAX)
        memcpy(entry->version, version, len + 1);
}

static void add(struct kube_store *s, const struct identity *id, void *value)
{
    size_t key_len = strlen(id->key), uid_len = strlen(id->uid);
    struct kube_entry *entry = xmalloc(sizeof(*entry) + key_len + uid_len + 2);

    memset(entry, 0, sizeof(*entry));
    memcpy(entry->text, id->key, key_len + 1);
    memcpy(entry->text + key_len + 1, id->uid, uid_len + 1);
    entry->value = value;
    entry->generation = s->generation;
    set_version(entry, id->version);
    HASH_ADD_KEYPTR(hh, s->entries, entry->text, key_len, entry);
    tell(s, entry->text, NULL, value);
}

static void drop(struct kube_store *s, struct kube_entry *entry)
{
    HASH_DEL(s->entries, entry);
    tell(s, entry->text, entry->value, NULL);
    free_value(s, entry->value);
    free(entry);
}

static void replace(struct kube_store *s, struct kube_entry *entry, const struct identity *id,
                    void *value)
{
    void *before = entry->value;

    entry->value = value;
    set_version(entry, id->version);
    tell(s, entry->text, before, value);
    free_value(s, before);
}

int kube_store_put(struct kube_store *s, const cJSON *object, struct err **e)
{
    struct identity id;
    struct kube_entry *entry;
    void *value;
    int r = identify(object, &id, e);

    if (r < 0)
        return r;
    entry = find(s, id.key);
    if (entry && strcmp(uid_of(entry), id.uid) != 0) {
        drop(s, entry);
        entry = NULL;
    }
    if (entry)
        entry->generation = s->generation;
    if (entry && !strcmp(entry->version, id.version))
        return 0;
    value = s->ops->parse(s->arg, object);
    if (value && entry)
        replace(s, entry, &id, value);
    else if (value)
        add(s, &id, value);
    else if (entry)
        drop(s, entry);
    return 0;
}

int kube_store_delete(struct kube_store *s, const cJSON *object, struct err **e)
{
    struct identity id;
    struct kube_entry *entry;
    int r = identify(object, &id, e);

    if (r < 0)
        return r;
    entry = find(s, id.key);
    if (entry && !strcmp(uid_of(entry), id.uid))
        drop(s, entry);
    return 0;
}

void kube_store_sweep(struct kube_store *s)
{
    struct kube_entry *entry, *next;

    HASH_ITER(hh, s->entries, entry, next)
    {
        if (entry->generation != s->generation)
            drop(s, entry);
    }
}

void kube_store_release(struct kube_store *s)
{
    struct kube_entry *entry, *next;

    HASH_ITER(hh, s->entries, entry, next)
    {
        HASH_DEL(s->entries, entry);
        free_value(s, entry->value);
        free(entry);
    }
}

const void *kube_store_get(const struct kube_store *s, const char *key)
{
    const struct kube_entry *entry = find(s, key);

    return entry ? entry->value : NULL;
}

size_t kube_store_count(const struct kube_store *s)
{
    return HASH_COUNT(s->entries);
}

void kube_store_each(const struct kube_store *s,
                     bool (*fn)(void *arg, const char *key, const void *value), void *arg)
{
    const struct kube_entry *entry;

    for (entry = s->entries; entry && fn(arg, entry->text, entry->value); entry = entry->hh.next)
        ;
}
