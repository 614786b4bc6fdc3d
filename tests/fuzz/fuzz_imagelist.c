/* Lists of any bytes: what is taken is in order, found again, and parses to itself. */
#include "imagelist.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_imagelist struct imagelist l = {.n_entries = 0};
    auto_findings struct findings f = {.n_items = 0};

    (void)imagelist_add_text(&l, "x", (const char *)data, size, &f, NULL);
    for (size_t i = 0; i < l.n_entries; i++) {
        auto_ref struct ref r = {.host = NULL};

        if (imagelist_find(&l, l.entries[i]->name) != l.entries[i])
            abort();
        if (ref_parse(l.entries[i]->name, &r, NULL) < 0)
            abort();
        if (i && strcmp(l.sorted[i - 1]->name, l.sorted[i]->name) >= 0)
            abort();
    }
    return 0;
}
