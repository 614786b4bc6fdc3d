#pragma once
/*
 * Progress of long work on stderr. On a terminal: one bar per running item and a total with rate
 * and time left, redrawn in place; otherwise a line every few seconds; with --format json one
 * event object per line; nothing with --quiet or --no-progress. Calls are cheap and may come
 * from any thread.
 */
#include <stddef.h>
#include <stdint.h>

struct progress;

/* `verb` is what happens ("fetching", "verifying"); `total` in bytes, of which `done` are there
 * already (they do not count into the rate). */
struct progress *progress_new(const char *verb, int64_t total, int64_t done);
/* Stops the display and wipes the bars. NULL is fine. */
void progress_free(struct progress *p);

/* An item begins to run; `name` is copied. Returns its handle for the next two. */
size_t progress_start(struct progress *p, const char *name, int64_t size, int64_t done);
void progress_add(struct progress *p, size_t item, int64_t bytes);
void progress_end(struct progress *p, size_t item);
