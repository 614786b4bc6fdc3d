/* The tables that ctr prints. */
#include "containerd.h"

#include "mem.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = xstrndup((const char *)data, size);
    struct containerd_images list = {.count = 0};

    if (containerd_parse_images(text, &list, NULL) == 0)
        containerd_parse_check(text, &list);
    containerd_images_release(&list);
    return 0;
}
