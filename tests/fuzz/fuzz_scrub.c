/* Any text is scrubbed within its limit and holds no private key then; any JSON object is, too. */
#include "json.h"
#include "mem.h"
#include "scrub.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_buf struct buf once;
    auto_json cJSON *tree = NULL;

    buf_init(&once, size * 9 + 16);
    must(scrub_text((const char *)data, size, &once) == 0);
    must(!memmem(once.data, once.len, "-----BEGIN PRIVATE KEY-----", 27));
    if (json_parse((const char *)data, size, &tree, NULL) == 0)
        scrub_object(tree);
    return 0;
}
