#pragma once
/*
 * What a look at lists and YAML files brought to light, collected so that everything is said in
 * one go: errors with the place they are at, warnings, notes.
 */
#include "err.h"

#include <stddef.h>

enum finding_level { FINDING_ERROR, FINDING_WARNING, FINDING_NOTE };
#define FINDING_LEVELS 3

/* This many texts are kept of each level; more are only counted. */
#define FINDINGS_KEPT 200

struct finding {
    enum finding_level level;
    char *text; /* "FILE:LINE: what", or without a place */
};

struct findings {
    struct finding *items;
    size_t n_items;
    size_t count[FINDING_LEVELS]; /* of each level, kept or not */
};

/* `file` may be NULL, `line` 0, for what has no place. */
void findings_add(struct findings *f, enum finding_level level, const char *file, size_t line,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));

/* 0 without errors, else -EINVAL with "SUBJECT: N errors" and each on a line of its own. */
int findings_error(const struct findings *f, const char *subject, struct err **e);

/* Warnings and notes to the log, in the order they came. */
void findings_log(const struct findings *f);
void findings_release(struct findings *f);

#define auto_findings __attribute__((cleanup(findings_release)))
