/* Objects of any YAML: as objdiff writes them they read back as the same, and a merge of any three
 * ends, and changes nothing the second time. */
#include "deploy_managed.h"
#include "deploy_merge.h"
#include "json.h"
#include "objdiff.h"
#include "yamljson.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DOCUMENTS 3
#define TEXT_MAX (1u << 20)

static void check_writing(const cJSON *tree)
{
    auto_yamltree struct yamltree again = {.n_documents = 0};
    auto_json cJSON *back = NULL;
    auto_buf struct buf text;

    buf_init(&text, TEXT_MAX);
    (void)yamljson_print(tree, &text);
    if (text.overflowed)
        return;
    if (yamltree_parse(text.data, text.len, &again, NULL) < 0 || again.n_documents != 1 ||
        yamljson_convert(again.documents[0], &back, NULL) < 0 || !cJSON_Compare(tree, back, true))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_yamltree struct yamltree t = {.n_documents = 0};
    cJSON *trees[DOCUMENTS] = {NULL};
    size_t n = 0;

    if (yamltree_parse((const char *)data, size, &t, NULL) < 0)
        return 0;
    for (size_t i = 0; i < t.n_documents && n < DOCUMENTS; i++)
        if (yamljson_convert(t.documents[i], &trees[n], NULL) == 0)
            check_writing(trees[n++]);
    if (n == DOCUMENTS) {
        auto_json cJSON *merged = deploy_merge(trees[0], trees[1], trees[2]);
        auto_json cJSON *again = deploy_merge(trees[1], trees[1], merged);

        if (!cJSON_Compare(merged, again, true))
            abort();
        free(deploy_managed_conflicts(trees[2], trees[1]));
    }
    for (size_t i = 0; i < DOCUMENTS; i++)
        cJSON_Delete(trees[i]);
    return 0;
}
