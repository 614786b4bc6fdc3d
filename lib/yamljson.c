/* YAML to JSON: the types of plain scalars. */
#include "yamljson.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_MAX 9007199254740992.0 /* 2^53 */
#define NUMBER_MAX 64                /* characters */

struct maker {
    size_t n_nodes;
    int depth;
};

static int make(struct maker *m, const struct yamlnode *n, cJSON **out, struct err **e);

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

/* 1, 0, or -1 where it is no boolean. */
static int boolean_of(const char *text)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes", "YES",
                                      "on",   "On",   "ON",   "y",   "Y",   NULL};
    static const char *const no[] = {"false", "False", "FALSE", "no", "No", "NO",
                                     "off",   "Off",   "OFF",   "n",  "N",  NULL};

    return is_one_of(text, yes) ? 1 : is_one_of(text, no) ? 0 : -1;
}

/* "0x1F", "0o17", "017" and "0b11" too, with a sign, as YAML 1.1 has them. */
static bool is_whole(const char *text, double *out)
{
    const char *digits = text + (*text == '-' || *text == '+');
    int base = 10;
    char *end = NULL;
    unsigned long long value;

    if (digits[0] == '0' && digits[1]) {
        base = digits[1] == 'x' ? 16 : digits[1] == 'b' ? 2 : 8;
        digits += base != 8 || digits[1] == 'o' ? 2 : 1;
    }
    if (!*digits || strspn(digits, "0123456789abcdefABCDEF") != strlen(digits))
        return false;
    errno = 0;
    value = strtoull(digits, &end, base);
    if (*end)
        return false;
    *out = errno ? HUGE_VAL : (double)value * (*text == '-' ? -1 : 1);
    return true;
}

/* "1.5", ".5", "1e3"; not "1.2.3", "1e", "0x1p3". */
static bool is_fraction(const char *text, double *out)
{
    const char *p = text + (*text == '-' || *text == '+');
    size_t before = strspn(p, "0123456789"), after = 0;
    char *end = NULL;

    p += before;
    if (*p == '.') {
        after = strspn(p + 1, "0123456789");
        p += 1 + after;
    }
    if (!before && !after)
        return false;
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '-' || p[1] == '+');
        if (!*p || strspn(p, "0123456789") != strlen(p))
            return false;
    } else if (*p) {
        return false;
    }
    *out = strtod(text, &end);
    return !*end;
}

static int fault(const struct yamlnode *n, const char *what, struct err **e)
{
    return err_set(e, -EINVAL, "line %zu: %s", n->line, what);
}

static int make_plain(const struct yamlnode *n, cJSON **out, struct err **e)
{
    double value;
    int truth = boolean_of(n->text);

    if (is_null(n->text)) {
        *out = cJSON_CreateNull();
    } else if (truth >= 0) {
        *out = cJSON_CreateBool(truth);
    } else if (n->len < NUMBER_MAX && is_whole(n->text, &value)) {
        if (fabs(value) > EXACT_MAX)
            return fault(n, "the number is too large to be kept exactly; quote it", e);
        *out = cJSON_CreateNumber(value);
    } else if (n->len < NUMBER_MAX && is_fraction(n->text, &value) && isfinite(value)) {
        *out = cJSON_CreateNumber(value);
    } else {
        *out = cJSON_CreateString(n->text);
    }
    return 0;
}

static int make_scalar(const struct yamlnode *n, cJSON **out, struct err **e)
{
    if (strlen(n->text) != n->len)
        return fault(n, "the text holds a NUL character", e);
    if (n->style == YAMLNODE_PLAIN && !n->has_tag)
        return make_plain(n, out, e);
    *out = cJSON_CreateString(n->text);
    return 0;
}

static int make_list(struct maker *m, const struct yamlnode *n, cJSON **out, struct err **e)
{
    auto_json cJSON *list = cJSON_CreateArray();

    for (size_t i = 0; i < n->n_items; i++) {
        cJSON *item = NULL;
        int r = make(m, n->items[i], &item, e);

        if (r < 0)
            return r;
        cJSON_AddItemToArray(list, item);
    }
    *out = take(list);
    return 0;
}

static int check_key(const struct yamlnode *key, const struct yamlnode *at, const cJSON *map,
                     struct err **e)
{
    if (!key || key->kind != YAMLNODE_SCALAR || strlen(key->text) != key->len)
        return fault(at, "a key that is no plain text", e);
    if (!strcmp(key->text, "<<") && key->style == YAMLNODE_PLAIN)
        return fault(at, "merge keys ('<<') are not read; write the fields out", e);
    if (cJSON_GetObjectItemCaseSensitive(map, key->text))
        return err_set(e, -EINVAL, "line %zu: the key '%s' is there twice", at->line, key->text);
    return 0;
}

static int make_mapping(struct maker *m, const struct yamlnode *n, cJSON **out, struct err **e)
{
    auto_json cJSON *map = cJSON_CreateObject();

    for (size_t i = 0; i + 1 < n->n_items; i += 2) {
        const struct yamlnode *key = yamlnode_deref(n->items[i]);
        cJSON *value = NULL;
        int r = check_key(key, n->items[i], map, e);

        if (r == 0)
            r = make(m, n->items[i + 1], &value, e);
        if (r < 0)
            return r;
        cJSON_AddItemToObject(map, key->text, value);
    }
    *out = take(map);
    return 0;
}

static int make(struct maker *m, const struct yamlnode *n, cJSON **out, struct err **e)
{
    const struct yamlnode *target = yamlnode_deref(n);
    int r;

    if (!target || m->depth > YAMLTREE_MAX_DEPTH)
        return fault(n, "an alias inside of what it stands for, or nested too deep", e);
    if (++m->n_nodes > YAMLJSON_MAX_NODES)
        return fault(n, "too large with its aliases written out", e);
    m->depth++;
    r = target->kind == YAMLNODE_SCALAR    ? make_scalar(target, out, e)
        : target->kind == YAMLNODE_MAPPING ? make_mapping(m, target, out, e)
                                           : make_list(m, target, out, e);
    m->depth--;
    return r;
}

int yamljson_make(const struct yamlnode *node, cJSON **out, struct err **e)
{
    struct maker m = {.n_nodes = 0};

    return make(&m, node, out, e);
}
