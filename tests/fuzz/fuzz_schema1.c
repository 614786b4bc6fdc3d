/* Schema 1 from anywhere: what is taken renders to documents that our own readers take. */
#include "json.h"
#include "schema1.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_schema1 struct schema1 s = {.n_layers = 0};
    auto_schema1_documents struct schema1_documents d = {.config_digest = ""};
    auto_config struct image_config c = {.n_diff_ids = 0};
    auto_manifest struct manifest m = {.n_layers = 0};

    if (schema1_parse((const char *)data, size, &s, NULL) < 0)
        return 0;
    for (size_t i = 0; i < s.n_layers; i++)
        s.layers[i].size = 1 + (int64_t)i * 1000;
    if (schema1_render(&s, NULL, &d, NULL) < 0)
        abort();
    if (manifest_parse(d.manifest.data, d.manifest.len, MT_DOCKER_MANIFEST, &m, NULL) < 0 ||
        m.n_layers != s.n_layers)
        abort();
    if (image_config_parse(d.config.data, d.config.len, &c, NULL) < 0 || c.n_diff_ids != s.n_layers)
        abort();
    return 0;
}
