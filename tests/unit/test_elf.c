/* Which programs may travel in a bundle: static ones for a machine that we know. */
#include "elf.h"

#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A program that is nothing but its headers. */
struct program {
    Elf64_Ehdr header;
    Elf64_Phdr segments[2];
};

static struct program make_program(int machine, uint32_t second_type)
{
    struct program p = {
        .header = {.e_machine = (Elf64_Half)machine,
                   .e_type = ET_DYN,
                   .e_phoff = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 2},
        .segments = {{.p_type = PT_LOAD}, {.p_type = second_type}},
    };

    memcpy(p.header.e_ident, ELFMAG, SELFMAG);
    p.header.e_ident[EI_CLASS] = ELFCLASS64;
    return p;
}

static void takes_static_programs(void **state)
{
    static const struct {
        int machine;
        const char *arch;
    } table[] = {{EM_X86_64, "amd64"}, {EM_AARCH64, "arm64"}};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct program p = make_program(table[i].machine, PT_NOTE);
        const char *arch = NULL;

        assert_int_equal(elf_static_arch(&p, sizeof(p), &arch, NULL), 0);
        assert_string_equal(arch, table[i].arch);
    }
}

static void refused(const void *bytes, size_t len, const char *message)
{
    auto_err struct err *e = NULL;
    const char *arch = "kept";

    assert_int_equal(elf_static_arch(bytes, len, &arch, &e), -EINVAL);
    assert_string_equal(arch, "kept");
    assert_non_null(strstr(err_text(e), message));
}

static void refuses_what_needs_the_host(void **state)
{
    struct program p = make_program(EM_X86_64, PT_INTERP);

    (void)state;
    refused(&p, sizeof(p), "shared libraries");
}

static void refuses_what_is_no_program_of_ours(void **state)
{
    struct program p = make_program(EM_386, PT_NOTE);

    (void)state;
    refused("#!/bin/sh\n", 10, "no ELF file");
    refused("", 0, "no ELF file");
    refused(&p, sizeof(p), "no program for amd64 or arm64");
    p = make_program(EM_X86_64, PT_NOTE);
    p.header.e_ident[EI_CLASS] = ELFCLASS32;
    refused(&p, sizeof(p), "no program for amd64 or arm64");
}

static void does_not_read_behind_the_end(void **state)
{
    static const Elf64_Off offsets[] = {sizeof(struct program), sizeof(Elf64_Ehdr) + 1, 1u << 20,
                                        UINT64_MAX, UINT64_MAX - sizeof(Elf64_Phdr) * 2};
    struct program p = make_program(EM_X86_64, PT_INTERP);

    (void)state;
    refused(&p, sizeof(Elf64_Ehdr) - 1, "no ELF file");
    refused(&p, sizeof(p) - 1, "no program for");
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        p.header.e_phoff = offsets[i];
        refused(&p, sizeof(p), "no program for");
    }
    p = make_program(EM_X86_64, PT_INTERP);
    p.header.e_phentsize = 1;
    refused(&p, sizeof(p), "no program for");
    p.header.e_phentsize = sizeof(Elf64_Phdr);
    p.header.e_phnum = UINT16_MAX;
    refused(&p, sizeof(p), "no program for");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_static_programs),
        cmocka_unit_test(refuses_what_needs_the_host),
        cmocka_unit_test(refuses_what_is_no_program_of_ours),
        cmocka_unit_test(does_not_read_behind_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
