/* Numbers and sizes in text. */
#include "num.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int num_parse_u64(const char *text, uint64_t max, uint64_t *out_value)
{
    uint64_t value = 0;

    if (!*text)
        return -EINVAL;
    for (const char *p = text; *p; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (*p < '0' || *p > '9' || value > (max - digit) / 10)
            return -EINVAL;
        value = value * 10 + digit;
    }
    if (value > max)
        return -EINVAL;
    *out_value = value;
    return 0;
}

static int64_t suffix_factor(const char *suffix)
{
    static const struct {
        const char *name;
        int64_t factor;
    } table[] = {
        {"", 1},
        {"B", 1},
        {"K", 1000},
        {"KB", 1000},
        {"KiB", 1024},
        {"M", 1000000},
        {"MB", 1000000},
        {"MiB", 1048576},
        {"G", 1000000000},
        {"GB", 1000000000},
        {"GiB", 1073741824},
        {"T", 1000000000000},
        {"TB", 1000000000000},
        {"TiB", 1099511627776},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (!strcasecmp(suffix, table[i].name))
            return table[i].factor;
    return 0;
}

int num_parse_size(const char *text, int64_t *out_bytes, struct err **e)
{
    static const char mend[] = "use a number with an optional suffix, such as 4.7GB or 4GiB";
    size_t whole_len = strspn(text, "0123456789");
    const char *rest = text + whole_len;
    int64_t whole = 0, fraction = 0, scale = 1, factor;

    if (!whole_len || whole_len > 15)
        return err_set(e, -EINVAL, "'%s' is not a size: %s", text, mend);
    for (size_t i = 0; i < whole_len; i++)
        whole = whole * 10 + (text[i] - '0');
    if (*rest == '.') {
        size_t digits = strspn(++rest, "0123456789");
        if (!digits || digits > 6)
            return err_set(e, -EINVAL, "'%s' is not a size: %s", text, mend);
        for (; digits; digits--, rest++, scale *= 10)
            fraction = fraction * 10 + (*rest - '0');
    }
    factor = suffix_factor(rest);
    if (!factor || whole > (INT64_MAX - factor) / factor || (scale > 1 && factor == 1))
        return err_set(e, -EINVAL, "'%s' is not a size: %s", text, mend);
    *out_bytes =
        whole * factor + (int64_t)((double)fraction / (double)scale * (double)factor + 0.5);
    return 0;
}

const char *num_format_size(int64_t bytes, char out[NUM_SIZE_TEXT])
{
    static const char *const units[] = {"KB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;

    if (bytes < 1000) {
        (void)snprintf(out, NUM_SIZE_TEXT, "%d B", (int)bytes);
        return out;
    }
    for (value /= 1000; value >= 999.5 && unit < 5; unit++)
        value /= 1000;
    (void)snprintf(out, NUM_SIZE_TEXT, value < 99.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

const char *num_plural(size_t n)
{
    return n == 1 ? "" : "s";
}
