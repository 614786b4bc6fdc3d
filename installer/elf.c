/* Telling a static program from one that needs the host's libraries. */
#include "elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

static const char *arch_of(const Elf64_Ehdr *header)
{
    switch (header->e_machine) {
    case EM_X86_64:
        return "amd64";
    case EM_AARCH64:
        return "arm64";
    default:
        return NULL;
    }
}

int elf_static_arch(const void *bytes, size_t len, const char **out_arch, struct err **e)
{
    Elf64_Ehdr header;
    const char *arch;

    if (len < sizeof(header) || memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return err_set(e, -EINVAL, "it is no program (no ELF file)");
    memcpy(&header, bytes, sizeof(header));
    arch = header.e_ident[EI_CLASS] == ELFCLASS64 ? arch_of(&header) : NULL;
    if (!arch || header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phoff > len ||
        header.e_phnum > (len - header.e_phoff) / sizeof(Elf64_Phdr))
        return err_set(e, -EINVAL, "it is no program for amd64 or arm64");
    for (size_t i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        memcpy(&segment, (const char *)bytes + header.e_phoff + i * sizeof(segment),
               sizeof(segment));
        if (segment.p_type == PT_INTERP)
            return err_set(
                e, -EINVAL,
                "it needs the host's shared libraries; use the static one of 'make dist'");
    }
    *out_arch = arch;
    return 0;
}
