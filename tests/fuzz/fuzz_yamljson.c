/* Any YAML is refused or becomes JSON which, printed as YAML, reads as the same JSON. */
#include "json.h"
#include "mem.h"
#include "yamljson.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX (1u << 20)

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

static void again(const cJSON *value)
{
    auto_yamltree struct yamltree tree = {.n_documents = 0};
    auto_json cJSON *same = NULL;
    auto_buf struct buf text;

    buf_init(&text, TEXT_MAX);
    if (yamljson_print(value, &text) < 0)
        return;
    must(yamltree_parse(text.data, text.len, &tree, NULL) == 0 && tree.n_documents == 1);
    must(yamljson_convert(tree.documents[0], &same, NULL) == 0);
    must(cJSON_Compare(value, same, true));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_yamltree struct yamltree tree = {.n_documents = 0};

    if (size > 1u << 12 || yamltree_parse((const char *)data, size, &tree, NULL) < 0)
        return 0;
    for (size_t i = 0; i < tree.n_documents; i++) {
        auto_json cJSON *value = NULL;

        if (yamljson_convert(tree.documents[i], &value, NULL) == 0)
            again(value);
    }
    return 0;
}
