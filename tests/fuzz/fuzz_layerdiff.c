/* Layers of any bytes: in one push or in many, the outcome is the same. */
#include "layerdiff.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run(const uint8_t *data, size_t size, size_t step, char out[DIGEST_SIZE])
{
    auto_layerdiff struct layerdiff *d = layerdiff_new();
    int r = 0;

    while (size && r == 0) {
        size_t n = size < step ? size : step;

        r = layerdiff_push(d, data, n, NULL);
        data += n;
        size -= n;
    }
    return r < 0 ? r : layerdiff_final(d, out, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char whole[DIGEST_SIZE] = "", pieces[DIGEST_SIZE] = "";
    int r = run(data, size, size ? size : 1, whole);

    if (run(data, size, size ? 1 + data[size / 2] % 61 : 1, pieces) != r || strcmp(whole, pieces))
        abort();
    return 0;
}
