#pragma once
/* JSON in tests, written with ' for ", and the pods and services that many of them need. */
#include "json.h"
#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static inline cJSON *quoted_json(const char *text)
{
    auto_free char *copy = xstrdup(text);
    cJSON *tree = NULL;

    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    assert_int_equal(json_parse(copy, strlen(copy), &tree, NULL), 0);
    return tree;
}

static inline void assert_json_equal(const cJSON *has, const char *expected)
{
    auto_json cJSON *wanted = quoted_json(expected);
    auto_free char *has_text = has ? json_print(has) : xstrdup("(none)");
    auto_free char *wanted_text = json_print(wanted);

    if (!cJSON_Compare(has, wanted, true))
        assert_string_equal(has_text, wanted_text);
}

/* Follows "a.b.0.c" into a tree; NULL where a step leads nowhere. */
static inline const cJSON *json_at(const cJSON *tree, const char *path)
{
    auto_free char *copy = xstrdup(path);
    char *rest = copy, *step;

    while (tree && (step = strsep(&rest, ".")) != NULL)
        tree = cJSON_IsArray(tree) ? cJSON_GetArrayItem(tree, (int)strtol(step, NULL, 10))
                                   : cJSON_GetObjectItemCaseSensitive(tree, step);
    return tree;
}

/* RFC 7396, as the API server applies it. */
static inline void merge_patch(cJSON *target, const cJSON *patch)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, patch)
    {
        cJSON *there = cJSON_GetObjectItemCaseSensitive(target, item->string);

        if (cJSON_IsNull(item)) {
            cJSON_DeleteItemFromObjectCaseSensitive(target, item->string);
        } else if (cJSON_IsObject(item)) {
            if (!cJSON_IsObject(there)) {
                cJSON_DeleteItemFromObjectCaseSensitive(target, item->string);
                there = cJSON_AddObjectToObject(target, item->string);
            }
            merge_patch(there, item);
        } else {
            cJSON_DeleteItemFromObjectCaseSensitive(target, item->string);
            (void)cJSON_AddItemToObject(target, item->string, cJSON_Duplicate(item, true));
        }
    }
}
