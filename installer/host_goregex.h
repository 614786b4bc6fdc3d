#pragma once
/*
 * Regular expressions as Go's regexp package reads them (https://golang.org/s/re2syntax), which is
 * how flannel takes --iface-regex: unanchored, first match anywhere. They are translated to POSIX
 * extended ones; a match or none is all that is asked, so that the difference between Go's leftmost
 * first and POSIX's leftmost longest cannot show.
 *
 * Known: literals, ., [classes] with ranges and \d \s \w inside, [:alpha:] names, ^ $ \A \z, |, ( )
 * and (?: ), * + ? {n,m} and their lazy forms, \d \D \s \S \w \W \b \B, \t \n, escaped
 * punctuation, and (?i) at the very start. The rest (\p, \Q, \x, flags elsewhere, named groups) is
 * refused: an expression that is not understood is never guessed at.
 */
#include "err.h"

#include <stdbool.h>

struct goregex;

#define GOREGEX_MAX 256 /* bytes of an expression */

/* -EINVAL says what is not understood. */
int goregex_new(const char *pattern, struct goregex **out, struct err **e);
bool goregex_matches(const struct goregex *g, const char *text);
void goregex_free(struct goregex *g); /* NULL is fine */

#define auto_goregex __attribute__((cleanup(goregex_cleanup)))
void goregex_cleanup(struct goregex **g);
