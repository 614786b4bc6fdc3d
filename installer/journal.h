#pragma once
/*
 * What a running `bundle create` has on disk, so that a killed one goes on in the middle of a
 * blob. Append-only text beside the partial bundle: a first line that names the plan, then
 * "NUMBER BYTES" lines; the last one of a number counts, a torn last line does not. It says what
 * was written, not what reached the disk: whoever goes on hashes those bytes again.
 */
#include "err.h"
#include "hash.h"

#include <stddef.h>
#include <stdint.h>

struct journal;

/*
 * Opens or makes the journal at `path` for the plan with that digest and `count` numbers, and
 * locks it (-EBUSY: another process writes here). A journal of another plan is emptied; then, and
 * for a new one, *out_resumed is 0.
 */
int journal_open(const char *path, const char *plan, size_t count, struct journal **out,
                 int *out_resumed, struct err **e);
/* Bytes known to have been written of one number. */
int64_t journal_get(const struct journal *j, size_t number);
/* Records it; callable from any thread. 0 or negative errno. */
int journal_put(struct journal *j, size_t number, int64_t bytes);
void journal_free(struct journal *j); /* NULL is fine; the file stays */
