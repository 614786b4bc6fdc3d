/* Any text is refused or becomes a reference whose full form parses to itself. */
#include "mem.h"
#include "ref.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = xmalloc(size + 1), *full = NULL, *again = NULL;
    auto_ref struct ref r = {.host = NULL}, twice = {.host = NULL};

    memcpy(text, data, size);
    text[size] = '\0';
    if (ref_parse(text, &r, NULL) < 0)
        return 0;
    full = ref_format(&r);
    if (ref_parse(full, &twice, NULL) < 0 || !ref_selector(&twice))
        abort();
    again = ref_format(&twice);
    if (strcmp(full, again))
        abort();
    return 0;
}
