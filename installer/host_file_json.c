/* A file's state as JSON: bytes in hexadecimal, since they need not be text. */
#include "host_file.h"

#include "mem.h"

#include <errno.h>
#include <string.h>

static const char *const kinds[] = {"absent", "file", "link"};

static char *to_hex(const struct buf *bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = xmalloc(bytes->len * 2 + 1), *to = text;

    for (size_t i = 0; i < bytes->len; i++) {
        *to++ = digits[(unsigned char)bytes->data[i] >> 4];
        *to++ = digits[(unsigned char)bytes->data[i] & 15];
    }
    *to = '\0';
    return text;
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int from_hex(const char *text, struct buf *out)
{
    for (; text && *text; text += 2) {
        int high = nibble(text[0]), low = high < 0 ? -1 : nibble(text[1]);

        if (low < 0 || buf_addch(out, (char)(high * 16 + low)) < 0)
            return -EBADMSG;
    }
    return text ? 0 : -EBADMSG;
}

static void add_hex(cJSON *obj, const char *name, const struct buf *bytes)
{
    auto_free char *text = to_hex(bytes);

    json_add_str(obj, name, text);
}

cJSON *host_file_json(const struct host_file *f)
{
    cJSON *obj = cJSON_CreateObject(), *xattrs;

    json_add_str(obj, "kind", kinds[f->kind]);
    if (f->kind == HOST_ABSENT)
        return obj;
    json_add_int(obj, "mode", (int64_t)f->mode);
    json_add_int(obj, "uid", (int64_t)f->uid);
    json_add_int(obj, "gid", (int64_t)f->gid);
    json_add_int(obj, "mtime", f->mtime_s > 0 ? f->mtime_s : 0);
    json_add_int(obj, "mtimeNanoseconds", f->mtime_ns);
    add_hex(obj, "content", &f->content);
    xattrs = cJSON_AddObjectToObject(obj, "xattrs");
    for (size_t i = 0; i < f->n_xattrs; i++)
        add_hex(xattrs, f->xattrs[i].name, &f->xattrs[i].value);
    return obj;
}

static int read_xattrs(const cJSON *obj, struct host_file *f)
{
    const cJSON *list = json_get_obj(obj, "xattrs"), *item;
    int r = list ? 0 : -EBADMSG;

    cJSON_ArrayForEach(item, list)
    {
        struct host_xattr *x;

        array_grow(f->xattrs, f->n_xattrs);
        x = &f->xattrs[f->n_xattrs++];
        x->name = xstrdup(item->string);
        buf_init(&x->value, 64u << 10);
        if (r == 0)
            r = from_hex(cJSON_GetStringValue(item), &x->value);
    }
    return r;
}

static int read_numbers(const cJSON *obj, struct host_file *f)
{
    int64_t mode, uid, gid;

    if (json_get_size(obj, "mode", &mode) < 0 || json_get_size(obj, "uid", &uid) < 0 ||
        json_get_size(obj, "gid", &gid) < 0 || json_get_size(obj, "mtime", &f->mtime_s) < 0 ||
        json_get_size(obj, "mtimeNanoseconds", &f->mtime_ns) < 0 || mode > 07777 ||
        uid > UINT32_MAX || gid > UINT32_MAX || f->mtime_ns > 999999999)
        return -EBADMSG;
    f->mode = (mode_t)mode;
    f->uid = (uid_t)uid;
    f->gid = (gid_t)gid;
    return 0;
}

int host_file_from_json(const cJSON *tree, struct host_file *out, struct err **e)
{
    const char *kind = json_get_str(tree, "kind");
    auto_host_file struct host_file f;
    int r = kind ? 0 : -EBADMSG;

    host_file_init(&f, HOST_ABSENT, "");
    if (r == 0 && !strcmp(kind, kinds[HOST_ABSENT])) {
        f.mode = 0;
    } else if (r == 0) {
        f.kind = !strcmp(kind, kinds[HOST_SYMLINK]) ? HOST_SYMLINK : HOST_REGULAR;
        r = read_numbers(tree, &f);
        if (r == 0)
            r = from_hex(json_get_str(tree, "content"), &f.content);
        if (r == 0)
            r = read_xattrs(tree, &f);
    }
    if (r < 0)
        return err_set(e, r, "a file's state cannot be read");
    *out = f;
    f = (struct host_file){.kind = HOST_ABSENT};
    return 0;
}
