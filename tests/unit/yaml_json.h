#pragma once
/* For tests: JSON trees written as YAML. */
#include "yamljson.h"

#include <string.h>

#include <cmocka.h>

/* The first document of `text`, to be deleted. */
static inline cJSON *yaml(const char *text)
{
    auto_yamltree struct yamltree t = {.n_documents = 0};
    auto_err struct err *e = NULL;
    cJSON *tree = NULL;

    if (yamltree_parse(text, strlen(text), &t, &e) < 0 ||
        yamljson_convert(t.documents[0], &tree, &e) < 0)
        fail_msg("%s: %s", text, err_text(e));
    return tree;
}

/* The two say the same; frees `got`. */
static inline void assert_yaml(cJSON *got, const char *expected)
{
    cJSON *want = yaml(expected);
    char *text = cJSON_Print(got);

    if (!cJSON_Compare(got, want, true))
        fail_msg("got %s, expected %s", text, expected);
    cJSON_free(text);
    cJSON_Delete(want);
    cJSON_Delete(got);
}
