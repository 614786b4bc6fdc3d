/* Manifests and configurations from anywhere: no crash, and what is taken keeps its promises. */
#include "manifest.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_descriptors(const struct descriptor *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!list[i].media_type || !digest_is_valid(list[i].digest) || list[i].size < 1)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_manifest struct manifest m = {.n_layers = 0};
    auto_config struct image_config c = {.n_diff_ids = 0};

    if (!manifest_parse((const char *)data, size, NULL, &m, NULL)) {
        if (!m.media_type || m.n_layers > MANIFEST_MAX_LAYERS ||
            m.n_children > MANIFEST_MAX_CHILDREN)
            abort();
        check_descriptors(m.layers, m.n_layers);
        check_descriptors(m.children, m.n_children);
        check_descriptors(&m.config, m.kind == MANIFEST_IMAGE);
    }
    if (!image_config_parse((const char *)data, size, &c, NULL))
        for (size_t i = 0; i < c.n_diff_ids; i++)
            if (!digest_is_valid(c.diff_ids[i]))
                abort();
    return 0;
}
