/* A watch: read at once and in small pieces it gives the same events and the same verdict. */
#include "json.h"
#include "kube/kube_stream.h"
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int log_event(void *arg, enum kube_event_type type, const cJSON *object, struct err **e)
{
    auto_free char *text = json_print(object);

    (void)e;
    if (!cJSON_IsObject(object))
        abort();
    return buf_addf(arg, "%d%s\n", (int)type, text);
}

static int read_watch(const char *text, size_t len, size_t piece, struct buf *out)
{
    struct kube_watch_reader w;
    int r = 0;

    buf_init(out, 1u << 24);
    kube_watch_reader_init(&w, log_event, out);
    for (size_t at = 0, n; at < len && r == 0; at += n) {
        n = len - at < piece ? len - at : piece;
        r = kube_watch_reader_feed(&w, text + at, n, NULL);
    }
    if (r == 0)
        r = kube_watch_reader_end(&w, NULL);
    kube_watch_reader_release(&w);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_buf struct buf whole, pieces;
    size_t piece = size ? 1 + data[0] % 17 : 1;
    int r = read_watch((const char *)data, size, size ? size : 1, &whole);

    if (read_watch((const char *)data, size, piece, &pieces) != r || whole.len != pieces.len ||
        memcmp(whole.data, pieces.data, whole.len) != 0)
        abort();
    return 0;
}
