/* Frames from the wire: the first byte chooses the family. A conflict has another MAC than ours. */
#include "addrprobe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct addrprobe p = {.mac = {{0x02, 0, 0, 0, 0, 5}}};
    struct ip_mac other;

    if (!size || ip_parse(data[0] == '4' ? "10.1.0.5" : "fd00::5", &p.addr) < 0)
        return 0;
    if (addrprobe_is_conflict(&p, data + 1, size - 1, &other) &&
        !memcmp(other.bytes, p.mac.bytes, sizeof(other.bytes)))
        abort();
    return 0;
}
