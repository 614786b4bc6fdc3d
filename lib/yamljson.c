/* YAML to JSON: the types of plain scalars. */
#include "yamljson.h"

#include "json.h"
#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- plain scalars --- */

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (!strcmp(text, *words))
            return true;
    return false;
}

static bool is_null(const char *text)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};

    return is_one_of(text, words);
}

static bool is_true(const char *text)
{
    static const char *const words[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                        "True", "TRUE", "on",  "On",  "ON",  NULL};

    return is_one_of(text, words);
}

static bool is_false(const char *text)
{
    static const char *const words[] = {"n",     "N",     "no",  "No",  "NO",  "false",
                                        "False", "FALSE", "off", "Off", "OFF", NULL};

    return is_one_of(text, words);
}

static size_t skip_digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* Decimal, octal with a leading 0, or hexadecimal. */
static bool is_whole(const char *text)
{
    const char *digits = text + (*text == '-' || *text == '+');

    if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
        return digits[2] && !digits[2 + strspn(digits + 2, "0123456789abcdefABCDEF")];
    if (digits[0] == '0')
        return !digits[strspn(digits, "01234567")];
    return isdigit((unsigned char)*digits) && !digits[skip_digits(digits)];
}

static bool is_real(const char *text)
{
    const char *at = text + (*text == '-' || *text == '+');
    size_t n = skip_digits(at), m = 0;

    at += n;
    if (*at == '.') {
        m = skip_digits(at + 1);
        at += 1 + m;
    }
    if (!n && !m)
        return false;
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '-' || at[1] == '+');
        n = skip_digits(at);
        at += n;
        return n && !*at;
    }
    return !*at;
}

/* ".inf", ".NaN" and so on: numbers in YAML, but not in JSON. */
static bool is_no_json_number(const char *text)
{
    const char *name = text + (*text == '-' || *text == '+');

    return *name == '.' && (!strcasecmp(name, ".inf") || !strcasecmp(name, ".nan"));
}

static int plain(const struct yamlnode *n, cJSON **out, struct err **e)
{
    double number;

    if (is_null(n->text)) {
        *out = cJSON_CreateNull();
    } else if (is_true(n->text) || is_false(n->text)) {
        *out = cJSON_CreateBool(is_true(n->text));
    } else if (is_whole(n->text) || is_real(n->text)) {
        number = is_whole(n->text) ? (double)strtoll(n->text, NULL, 0) : strtod(n->text, NULL);
        if (!isfinite(number))
            return err_set(e, -EINVAL, "line %zu: '%s' is too large a number", n->line, n->text);
        *out = cJSON_CreateNumber(number);
    } else if (is_no_json_number(n->text)) {
        return err_set(e, -EINVAL, "line %zu: JSON has no number '%s'", n->line, n->text);
    } else {
        *out = cJSON_CreateString(n->text);
    }
    return 0;
}

/* --- YAML to JSON --- */

struct conversion {
    size_t n_nodes;
    struct err **e;
};

static int convert(struct conversion *c, const struct yamlnode *n, cJSON **out);

static int check_node(struct conversion *c, const struct yamlnode *n)
{
    if (++c->n_nodes > YAMLJSON_MAX_NODES)
        return err_set(c->e, -EINVAL, "line %zu: more than %d values", n->line, YAMLJSON_MAX_NODES);
    if (n->has_tag)
        return err_set(c->e, -EINVAL, "line %zu: tags are not taken here; quote the text", n->line);
    return 0;
}

static int convert_scalar(struct conversion *c, const struct yamlnode *n, cJSON **out)
{
    if (strlen(n->text) != n->len)
        return err_set(c->e, -EINVAL, "line %zu: a text with NUL bytes", n->line);
    if (n->style == YAMLNODE_PLAIN)
        return plain(n, out, c->e);
    *out = cJSON_CreateString(n->text);
    return 0;
}

static int convert_list(struct conversion *c, const struct yamlnode *n, cJSON **out)
{
    auto_json cJSON *list = cJSON_CreateArray();

    for (size_t i = 0; i < n->n_items; i++) {
        cJSON *item = NULL;
        int r = convert(c, n->items[i], &item);

        if (r < 0)
            return r;
        (void)cJSON_AddItemToArray(list, item);
    }
    *out = take(list);
    return 0;
}

static int check_key(struct conversion *c, const struct yamlnode *key, const cJSON *object,
                     size_t line)
{
    if (!key || key->kind != YAMLNODE_SCALAR || strlen(key->text) != key->len || key->has_tag)
        return err_set(c->e, -EINVAL, "line %zu: a key that is no plain text", line);
    if (key->style == YAMLNODE_PLAIN && !strcmp(key->text, "<<"))
        return err_set(c->e, -EINVAL, "line %zu: merge keys are not taken here", line);
    if (cJSON_GetObjectItemCaseSensitive(object, key->text))
        return err_set(c->e, -EINVAL, "line %zu: '%s' stands there twice", line, key->text);
    return 0;
}

static int convert_mapping(struct conversion *c, const struct yamlnode *n, cJSON **out)
{
    auto_json cJSON *object = cJSON_CreateObject();

    for (size_t i = 0; i + 1 < n->n_items; i += 2) {
        const struct yamlnode *key = yamlnode_deref(n->items[i]);
        cJSON *value = NULL;
        int r = check_key(c, key, object, n->items[i]->line);

        if (r == 0)
            r = convert(c, n->items[i + 1], &value);
        if (r < 0)
            return r;
        (void)cJSON_AddItemToObject(object, key->text, value);
    }
    *out = take(object);
    return 0;
}

static int convert(struct conversion *c, const struct yamlnode *n, cJSON **out)
{
    const struct yamlnode *target = yamlnode_deref(n);
    int r;

    if (!target)
        return err_set(c->e, -EINVAL, "line %zu: an alias inside of what it stands for", n->line);
    r = check_node(c, target);
    if (r < 0)
        return r;
    switch (target->kind) {
    case YAMLNODE_LIST:
        return convert_list(c, target, out);
    case YAMLNODE_MAPPING:
        return convert_mapping(c, target, out);
    case YAMLNODE_SCALAR:
    case YAMLNODE_ALIAS:
        break;
    }
    return convert_scalar(c, target, out);
}

int yamljson_convert(const struct yamlnode *node, cJSON **out, struct err **e)
{
    struct conversion c = {.e = e};

    return convert(&c, node, out);
}
