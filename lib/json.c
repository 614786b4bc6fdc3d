/* Bounded JSON reading on cJSON. */
#include "json.h"

#include "mem.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* cJSON recurses, so the depth is known before it sees the text. Strings hide brackets. */
static size_t nesting_of(const char *text, size_t len)
{
    size_t depth = 0, deepest = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > deepest)
                deepest = depth;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return deepest;
}

static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\r\n", text[i]) || !text[i])
            return false;
    return true;
}

/* cJSON ends a string at a NUL, so what follows would go unseen. */
static bool has_nul(const char *text, size_t len)
{
    if (memchr(text, '\0', len))
        return true;
    for (size_t i = 0; i + 6 <= len; i++) {
        if (text[i] != '\\')
            continue;
        if (!memcmp(text + i, "\\u0000", 6))
            return true;
        i++;
    }
    return false;
}

int json_parse(const char *text, size_t len, cJSON **out_tree, struct err **e)
{
    auto_json cJSON *tree = NULL;
    const char *end = NULL;

    if (nesting_of(text, len) > JSON_MAX_DEPTH)
        return err_set(e, -EBADMSG, "JSON is nested deeper than %d levels", JSON_MAX_DEPTH);
    if (has_nul(text, len))
        return err_set(e, -EBADMSG, "the JSON holds a NUL character");
    tree = cJSON_ParseWithLengthOpts(text, len, &end, false);
    if (!tree)
        return err_set(e, -EBADMSG, "not valid JSON at byte %zu", end ? (size_t)(end - text) : 0);
    if (!is_blank(end, len - (size_t)(end - text)))
        return err_set(e, -EBADMSG, "text behind the JSON document at byte %zu",
                       (size_t)(end - text));
    *out_tree = take(tree);
    return 0;
}

const char *json_get_str(const cJSON *obj, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(obj, name));
}

const cJSON *json_get_obj(const cJSON *obj, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(obj, name);
    return cJSON_IsObject(item) ? item : NULL;
}

const cJSON *json_get_arr(const cJSON *obj, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(obj, name);
    return cJSON_IsArray(item) ? item : NULL;
}

int json_get_size(const cJSON *obj, const char *name, int64_t *out_value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(obj, name);
    double value;

    if (!item)
        return -ENOENT;
    if (!cJSON_IsNumber(item))
        return -EINVAL;
    value = item->valuedouble;
    if (!(value >= 0 && value <= 9007199254740992.0) || value != floor(value))
        return -EINVAL;
    *out_value = (int64_t)value;
    return 0;
}

void json_add_str(cJSON *obj, const char *name, const char *value)
{
    if (value)
        (void)cJSON_AddStringToObject(obj, name, value);
}

void json_add_int(cJSON *obj, const char *name, int64_t value)
{
    (void)cJSON_AddNumberToObject(obj, name, (double)value);
}

void json_copy(cJSON *obj, const cJSON *from, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(from, name);

    if (item)
        (void)cJSON_AddItemToObject(obj, name, cJSON_Duplicate(item, true));
}

char *json_print(const cJSON *tree)
{
    char *text = cJSON_PrintUnformatted(tree);
    return text ? text : xstrdup("null");
}

void json_cleanup(cJSON **tree)
{
    cJSON_Delete(*tree);
    *tree = NULL;
}
