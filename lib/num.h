#pragma once
/* Numbers and sizes in text: whole strings only, overflow checked, no locale. */
#include "err.h"

#include <stddef.h>
#include <stdint.h>

/* Decimal digits only (no sign, no blanks), at most `max`. 0 or -EINVAL. */
int num_parse_u64(const char *text, uint64_t max, uint64_t *out_value);

/*
 * A size with an optional suffix: bare bytes, decimal KB MB GB TB (k, M, G, T too), or binary
 * KiB MiB GiB TiB; one fraction is allowed ("4.7GB" is 4700000000). Suffixes are not
 * case-sensitive. -EINVAL with a message otherwise.
 */
int num_parse_size(const char *text, int64_t *out_bytes, struct err **e);

/* "s" behind the name of what there are `n` of, "" for one. */
const char *num_plural(size_t n);

#define NUM_SIZE_TEXT 16
/* "999 B", "1.2 KB", "37.9 MB" (decimal units, three digits) into `out`, which is returned. */
const char *num_format_size(int64_t bytes, char out[NUM_SIZE_TEXT]);
