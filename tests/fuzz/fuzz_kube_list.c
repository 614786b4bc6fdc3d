/*
 * A list: read at once and in small pieces it gives the same items, and they are those that a
 * parser of the whole text finds.
 */
#include "json.h"
#include "kube/kube_stream.h"
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int log_item(void *arg, const cJSON *object, struct err **e)
{
    auto_free char *text = json_print(object);

    (void)e;
    return buf_addf(arg, "%s\n", text);
}

/* Keeps *l for the caller. */
static int read_list(const char *text, size_t len, size_t piece, struct kube_list_reader *l,
                     struct buf *out)
{
    int r = 0;

    buf_init(out, 1u << 24);
    kube_list_reader_init(l, log_item, out);
    for (size_t at = 0, n; at < len && r == 0; at += n) {
        n = len - at < piece ? len - at : piece;
        r = kube_list_reader_feed(l, text + at, n, NULL);
    }
    return r == 0 ? kube_list_reader_end(l, NULL) : r;
}

/* What the whole text has. */
static void compare(const char *text, size_t len, const struct kube_list_reader *l,
                    const struct buf *items)
{
    auto_json cJSON *tree = NULL;
    auto_buf struct buf expected;
    const cJSON *item, *list;

    buf_init(&expected, 1u << 24);
    if (json_parse(text, len, &tree, NULL) < 0)
        return;
    list = json_get_arr(tree, "items");
    cJSON_ArrayForEach(item, list)
    {
        (void)log_item(&expected, item, NULL);
    }
    if (strcmp(expected.data, items->data) != 0)
        abort();
    if (strcmp(l->resource_version,
               json_get_str(json_get_obj(tree, "metadata"), "resourceVersion")) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t piece = size ? 1 + data[size - 1] % 17 : 1;
    auto_buf struct buf whole, pieces;
    struct kube_list_reader a, b;
    int r = read_list(text, size, size ? size : 1, &a, &whole);

    if (read_list(text, size, piece, &b, &pieces) != r || strcmp(whole.data, pieces.data) != 0 ||
        a.n_items != b.n_items)
        abort();
    if (r == 0)
        compare(text, size, &a, &whole);
    kube_list_reader_release(&a);
    kube_list_reader_release(&b);
    return 0;
}
