/* The kernel's names of machines are not those of images. */
#include "machine.h"

#include <stddef.h>
#include <string.h>
#include <sys/utsname.h>

int platform_of_machine(const char *os, const char *machine, struct platform *out, struct err **e)
{
    /* What platform_from_fields does not know by itself. */
    static const struct {
        const char *machine, *arch, *variant;
    } names[] = {
        {"i486", "386", ""},     {"i586", "386", ""},
        {"i686", "386", ""},     {"armv5l", "arm", "v5"},
        {"armv6l", "arm", "v6"}, {"armv7l", "arm", "v7"},
        {"armv8l", "arm", "v8"}, {"loongarch64", "loong64", ""},
    };

    for (size_t i = 0; machine && i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(machine, names[i].machine))
            return platform_from_fields(os, names[i].arch, names[i].variant, out, e);
    return platform_from_fields(os, machine, NULL, out, e);
}

int platform_of_host(struct platform *out, struct err **e)
{
    struct utsname name;

    (void)uname(&name);
    return platform_of_machine("linux", name.machine, out, e);
}
