/* YAML of any bytes: the walk ends, and the images that are found parse to themselves. */
#include "yamlimages.h"
#include "yamlscan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check_value(void *arg, const struct yamlscan_value *value, struct err **e)
{
    (void)arg;
    (void)e;
    if (!value->document || !value->line || !value->column || value->text[value->len])
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_yamlimages struct yamlimages y = {.n_items = 0};
    auto_imagelist struct imagelist l = {.n_entries = 0};
    auto_findings struct findings f = {.n_items = 0};

    (void)yamlscan_each((const char *)data, size, check_value, NULL, NULL);
    yamlimages_add(&y, "x", (const char *)data, size, &f);
    for (size_t i = 0; i < y.n_items; i++) {
        auto_ref struct ref r = {.host = NULL};

        if (ref_parse(y.items[i].name, &r, NULL) < 0)
            abort();
        imagelist_add_ref(&l, "l", i + 1, &r, &f);
    }
    yamlimages_crosscheck(&y, &l, false, &f);
    return 0;
}
