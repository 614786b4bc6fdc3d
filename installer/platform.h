#pragma once
/* os/architecture[/variant], as containers write it ("linux/amd64", "linux/arm/v7"). */
#include "err.h"

#include <stdbool.h>
#include <stddef.h>

struct platform {
    char os[32];
    char arch[32];
    char variant[32]; /* "" for none */
};

/* Normalises as containerd/platforms does: lower case, x86_64 -> amd64, i386 -> 386,
 * aarch64 -> arm64, arm64/v8 -> arm64, amd64/v1 -> amd64, armhf and plain arm -> arm/v7,
 * armel -> arm/v6. -EINVAL with a message that shows the form. */
int platform_parse(const char *text, struct platform *out, struct err **e);
/* From the three fields of a descriptor or a configuration; NULLs count as "". As above, but plain
 * arm stays without a variant, since configurations seldom name theirs. os and arch must be
 * there. -EINVAL. */
int platform_from_fields(const char *os, const char *arch, const char *variant,
                         struct platform *out, struct err **e);
/* Equal after normalisation; a wanted platform without a variant takes any variant, and arm
 * without a variant is taken for any wanted one. */
bool platform_matches(const struct platform *wanted, const struct platform *have);

#define PLATFORM_TEXT 100
/* "linux/arm/v7" into `out`, which is returned. */
const char *platform_format(const struct platform *p, char out[PLATFORM_TEXT]);
