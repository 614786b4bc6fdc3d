/* Platforms of images: parsing, normalisation, comparison. */
#include "platform.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Other names of architectures; a NULL variant leaves the variant as it is. */
static const struct {
    const char *name, *arch, *variant;
} names[] = {
    {"x86_64", "amd64", NULL}, {"x86-64", "amd64", NULL}, {"aarch64", "arm64", NULL},
    {"i386", "386", ""},       {"armhf", "arm", "v7"},    {"armel", "arm", "v6"},
};

/* Other names of variants; "" where it is the baseline that goes without saying. */
static const struct {
    const char *arch, *name, *variant;
} variants[] = {
    {"amd64", "v1", ""}, {"arm64", "8", ""}, {"arm64", "v8", ""}, {"arm", "5", "v5"},
    {"arm", "6", "v6"},  {"arm", "7", "v7"}, {"arm", "8", "v8"},
};

static void put(char out[32], const char *text)
{
    (void)snprintf(out, 32, "%s", text);
}

static void normalise(struct platform *p)
{
    if (!strcmp(p->os, "macos"))
        put(p->os, "darwin");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(p->arch, names[i].name))
            continue;
        put(p->arch, names[i].arch);
        if (names[i].variant)
            put(p->variant, names[i].variant);
        break;
    }
    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
        if (!strcmp(p->arch, variants[i].arch) && !strcmp(p->variant, variants[i].name))
            put(p->variant, variants[i].variant);
}

/* Copies in lower case; false where the field is too long or holds other characters. */
static bool copy_field(char out[32], const char *text, size_t len)
{
    if (len >= 32)
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= 0x80 || !(isalnum(c) || strchr("_.-", c)))
            return false;
        out[i] = (char)tolower(c);
    }
    out[len] = '\0';
    return true;
}

int platform_from_fields(const char *os, const char *arch, const char *variant,
                         struct platform *out, struct err **e)
{
    struct platform p = {.os = ""};

    os = os ? os : "";
    arch = arch ? arch : "";
    variant = variant ? variant : "";
    if (!copy_field(p.os, os, strlen(os)) || !copy_field(p.arch, arch, strlen(arch)) ||
        !copy_field(p.variant, variant, strlen(variant)))
        return err_set(e, -EINVAL,
                       "a field of the platform is longer than 31 characters or holds others than "
                       "letters, digits, '_', '.' and '-'");
    if (!*p.os || !*p.arch)
        return err_set(e, -EINVAL, "the platform has no %s", *p.os ? "architecture" : "os");
    normalise(&p);
    *out = p;
    return 0;
}

/* Splits at the slashes; false where a part is empty or not a field. */
static bool split(const char *text, struct platform *out)
{
    size_t os_len = strcspn(text, "/"), arch_len;

    if (!copy_field(out->os, text, os_len) || text[os_len] != '/')
        return false;
    text += os_len + 1;
    arch_len = strcspn(text, "/");
    if (!copy_field(out->arch, text, arch_len))
        return false;
    text += arch_len;
    if (*text && (!text[1] || !copy_field(out->variant, text + 1, strlen(text + 1))))
        return false;
    return os_len && arch_len;
}

int platform_parse(const char *text, struct platform *out, struct err **e)
{
    struct platform p = {.os = ""};

    if (!split(text, &p))
        return err_set(e, -EINVAL,
                       "'%.100s' is not a platform: write OS/ARCHITECTURE[/VARIANT], such as "
                       "linux/amd64 or linux/arm/v7",
                       text);
    normalise(&p);
    if (!strcmp(p.arch, "arm") && !*p.variant)
        put(p.variant, "v7");
    *out = p;
    return 0;
}

bool platform_matches(const struct platform *wanted, const struct platform *have)
{
    if (strcmp(wanted->os, have->os) || strcmp(wanted->arch, have->arch))
        return false;
    if (!*wanted->variant || !strcmp(wanted->variant, have->variant))
        return true;
    return !*have->variant && !strcmp(have->arch, "arm");
}

const char *platform_format(const struct platform *p, char out[PLATFORM_TEXT])
{
    (void)snprintf(out, PLATFORM_TEXT, "%s/%s%s%s", p->os, p->arch, *p->variant ? "/" : "",
                   p->variant);
    return out;
}
