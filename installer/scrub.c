/* What must not leave a site. */
#include "scrub.h"

#include "json.h"
#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define JWT_LEAST 20 /* characters of its first part; shorter ones are no JSON header */
#define DEPTH_MAX 64

static bool ends_with(const char *text, size_t len, const char *end)
{
    size_t n = strlen(end);

    return len >= n && !strncasecmp(text + len - n, end, n);
}

/* "token", "bearerToken", "DB_PASSWORD", "client-key-data". */
static bool names_a_secret(const char *name, size_t len)
{
    static const char *const ends[] = {"token",  "password", "passwd",   "secret",
                                       "apikey", "api_key",  "key-data", "credentials"};

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (ends_with(name, len, ends[i]))
            return true;
    return false;
}

static bool is_base64(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '+' || c == '/' || c == '=';
}

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
}

/* Each of the following: how many bytes at `p` (of `len`) are secret, 0 for none. */

static size_t private_key(const char *p, size_t len)
{
    static const char begin[] = "-----BEGIN ", end[] = "-----END ", mark[] = "PRIVATE KEY-----";
    const char *line, *stop;

    if (len < sizeof(begin) || strncmp(p, begin, sizeof(begin) - 1) != 0)
        return 0;
    line = memchr(p, '\n', len);
    line = line ? line : p + len;
    if (!memmem(p, (size_t)(line - p), mark, sizeof(mark) - 1))
        return 0;
    stop = memmem(line, len - (size_t)(line - p), end, sizeof(end) - 1);
    if (!stop)
        return len;
    stop = memchr(stop, '\n', len - (size_t)(stop - p));
    return stop ? (size_t)(stop - p) : len;
}

/* RFC 7519: three parts of base64url, the first of which is a JSON object. */
static size_t jwt(const char *p, size_t len)
{
    size_t n = 0, first;

    if (len < 3 || strncmp(p, "eyJ", 3) != 0)
        return 0;
    while (n < len && is_base64(p[n]))
        n++;
    first = n;
    if (first < JWT_LEAST || n == len || p[n] != '.')
        return 0;
    while (n < len && (is_base64(p[n]) || p[n] == '.'))
        n++;
    return n;
}

/* To the end of the value that begins at `p`, behind its quote if it has one. */
static size_t value_len(const char *p, size_t len)
{
    char quote = len && (*p == '"' || *p == '\'') ? *p : '\0';
    size_t n = quote ? 1 : 0;

    while (n < len && p[n] != '\n' &&
           (quote ? p[n] != quote : !isspace((unsigned char)p[n]) && p[n] != ',' && p[n] != '"'))
        n += quote && p[n] == '\\' && n + 1 < len ? 2 : 1;
    return n < len && quote && p[n] == quote ? n + 1 : n;
}

/* Behind a name at `p`: where its value begins; 0 where it has none. */
static size_t value_at(const char *p, size_t len, size_t name_len)
{
    size_t n = name_len;

    while (n < len && (p[n] == '"' || p[n] == '\'' || p[n] == ' ' || p[n] == '\\'))
        n++;
    if (n == len || (p[n] != ':' && p[n] != '='))
        return 0;
    n++;
    while (n < len && p[n] == ' ')
        n++;
    return n < len && p[n] != '\n' ? n : 0;
}

/* Basic and Bearer, with what follows on that line. */
static size_t authorization(const char *p, size_t len)
{
    static const char *const schemes[] = {"Bearer ", "Basic "};

    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]), begin = n;

        if (len <= n || strncasecmp(p, schemes[i], n) != 0)
            continue;
        while (n < len && (is_base64(p[n]) || p[n] == '.'))
            n++;
        return n - begin >= 8 ? n : 0;
    }
    return 0;
}

static size_t name_len(const char *p, size_t len)
{
    size_t n = 0;

    while (n < len && is_name(p[n]))
        n++;
    return n;
}

/* One step: takes at least one byte of `p`, and appends what may be handed on. */
static size_t step(const char *p, size_t len, bool at_word, struct buf *out)
{
    size_t n = private_key(p, len), begin;

    if (!n && at_word)
        n = jwt(p, len);
    if (!n && at_word)
        n = authorization(p, len);
    if (n) {
        (void)buf_addstr(out, SCRUBBED);
        return n;
    }
    n = at_word ? name_len(p, len) : 0;
    begin = n && names_a_secret(p, n) ? value_at(p, len, n) : 0;
    if (begin) {
        (void)buf_add(out, p, begin);
        (void)buf_addstr(out, SCRUBBED);
        return begin + value_len(p + begin, len - begin);
    }
    n = n ? n : 1;
    (void)buf_add(out, p, n);
    return n;
}

int scrub_text(const char *text, size_t len, struct buf *out)
{
    size_t at = 0;

    while (at < len && !out->overflowed)
        at += step(text + at, len - at, !at || !is_name(text[at - 1]), out);
    return out->overflowed ? -EFBIG : 0;
}

/* --- objects --- */

static void scrub_string(cJSON *item)
{
    struct buf out;

    buf_init(&out, strlen(item->valuestring) * 2 + 4096);
    if (scrub_text(item->valuestring, strlen(item->valuestring), &out) < 0)
        (void)cJSON_SetValuestring(item, SCRUBBED);
    else if (strcmp(out.data, item->valuestring) != 0)
        (void)cJSON_SetValuestring(item, out.data);
    buf_release(&out);
}

static void hide_value(cJSON *object, const char *name)
{
    if (cJSON_HasObjectItem(object, name))
        cJSON_ReplaceItemInObjectCaseSensitive(object, name, cJSON_CreateString(SCRUBBED));
}

static void scrub_members(cJSON *object)
{
    const char *kind = json_get_str(object, "kind"), *variable = json_get_str(object, "name");

    if (kind && !strcmp(kind, "Secret")) {
        hide_value(object, "data");
        hide_value(object, "stringData");
    }
    if (variable && json_get_str(object, "value") && names_a_secret(variable, strlen(variable)))
        hide_value(object, "value");
    cJSON_DeleteItemFromObjectCaseSensitive(object, "managedFields");
    cJSON_DeleteItemFromObjectCaseSensitive(object,
                                            "kubectl.kubernetes.io/last-applied-configuration");
}

static void scrub_at(cJSON *tree, int depth)
{
    cJSON *item;

    if (cJSON_IsString(tree) && tree->string && names_a_secret(tree->string, strlen(tree->string)))
        (void)cJSON_SetValuestring(tree, SCRUBBED);
    else if (cJSON_IsString(tree))
        scrub_string(tree);
    if (cJSON_IsObject(tree))
        scrub_members(tree);
    if (depth < DEPTH_MAX && (cJSON_IsObject(tree) || cJSON_IsArray(tree)))
        cJSON_ArrayForEach(item, tree) scrub_at(item, depth + 1);
}

void scrub_object(cJSON *tree)
{
    scrub_at(tree, 0);
}
