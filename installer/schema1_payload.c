/*
 * What was signed. A JSON web signature in its "pretty" form lies inside the document: each
 * protected header tells how many bytes of the document come before it (formatLength) and what
 * closed the document before it was put in (formatTail).
 */
#include "json.h"
#include "schema1.h"

#include <errno.h>
#include <string.h>

#define PROTECTED_MAX (64u << 10)

static int value_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* base64url (RFC 4648, section 5), padded or not. -EBADMSG, -EFBIG. */
static int decode(const char *text, struct buf *out)
{
    size_t len = strlen(text);
    unsigned bits = 0, held = 0;

    while (len && text[len - 1] == '=')
        len--;
    if (len % 4 == 1)
        return -EBADMSG;
    for (size_t i = 0; i < len; i++) {
        int value = value_of(text[i]);

        if (value < 0)
            return -EBADMSG;
        held = (held << 6 | (unsigned)value) & 0xffffff;
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        if (buf_addch(out, (char)(held >> bits & 0xff)) < 0)
            return -EFBIG;
    }
    return 0;
}

/* Length of the text before the signatures, and what followed it, from one protected header. */
static int read_header(const cJSON *signature, int64_t *out_length, struct buf *tail,
                       struct err **e)
{
    const char *protected = json_get_str(signature, "protected"), *text;
    auto_json cJSON *header = NULL;
    auto_buf struct buf plain;

    buf_init(&plain, PROTECTED_MAX);
    if (!protected || decode(protected, &plain) < 0)
        return err_set(e, -EBADMSG, "a signature has no protected header in base64url");
    if (json_parse(plain.data, plain.len, &header, e) < 0)
        return err_wrap(e, "protected header of a signature");
    text = json_get_str(header, "formatTail");
    if (json_get_size(header, "formatLength", out_length) < 0 || !text || decode(text, tail) < 0)
        return err_set(e, -EBADMSG,
                       "the protected header of a signature lacks formatLength or formatTail");
    return 0;
}

/* All signatures must speak of the same payload. */
static int read_signatures(const cJSON *list, int64_t *out_length, struct buf *tail, struct err **e)
{
    const cJSON *item;
    bool first = true;

    cJSON_ArrayForEach(item, list)
    {
        auto_buf struct buf other;
        int64_t length = 0;
        int r;

        buf_init(&other, tail->max);
        if ((r = read_header(item, &length, &other, e)) < 0)
            return r;
        if (!first && (length != *out_length || other.len != tail->len ||
                       memcmp(other.data, tail->data, tail->len)))
            return err_set(e, -EBADMSG, "the signatures sign different payloads");
        if (first)
            (void)buf_add(tail, other.data, other.len);
        *out_length = length;
        first = false;
    }
    return 0;
}

int schema1_payload(const char *bytes, size_t len, struct buf *out, struct err **e)
{
    auto_json cJSON *tree = NULL;
    auto_buf struct buf tail;
    int64_t length = (int64_t)len;
    int r;

    buf_init(&tail, PROTECTED_MAX);
    if (len > MANIFEST_MAX_SIZE)
        return err_set(e, -EBADMSG, "the manifest is larger than %u bytes", MANIFEST_MAX_SIZE);
    if ((r = json_parse(bytes, len, &tree, e)) < 0 ||
        (r = read_signatures(json_get_arr(tree, "signatures"), &length, &tail, e)) < 0)
        return r;
    if (length > (int64_t)len)
        return err_set(e, -EBADMSG, "the signed part is longer than the manifest");
    if (buf_add(out, bytes, (size_t)length) < 0 || buf_add(out, tail.data, tail.len) < 0)
        return err_set(e, -EBADMSG, "the signed part is larger than %zu bytes", out->max);
    return 0;
}
