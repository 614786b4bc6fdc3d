#pragma once
/* Just enough of ELF to tell a static program from one that needs the host's libraries. */
#include "err.h"

#include <stddef.h>

/*
 * `bytes` is the whole file. *out_arch becomes "amd64" or "arm64" (static text). -EINVAL with a
 * reason: not ELF, another machine, or dynamically linked (it has a PT_INTERP segment).
 */
int elf_static_arch(const void *bytes, size_t len, const char **out_arch, struct err **e);
