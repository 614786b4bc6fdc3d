#pragma once
/*
 * What connectivity tests find: one result for each thing looked at, with what was seen and, where
 * it is not as it should be, the causes, the likeliest first. Shown as text, JSON or JUnit.
 */
#include "cli.h"
#include "err.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

enum conn_level { CONN_PASS, CONN_WARN, CONN_FAIL, CONN_SKIP };
#define CONN_LEVELS 4

struct conn_result {
    const char *check; /* the name of a check, not owned: "fdb" */
    char *subject;     /* what it is about: "node-2", "10.1.0.5 > 10.1.0.6" */
    enum conn_level level;
    char *seen;
    char **causes; /* each with its mend */
    size_t n_causes;
};

/* Checks that a verb has, and those of them that the user wants. */
struct conn_check {
    const char *name; /* NULL ends a table */
    const char *about;
};

struct conn_choice {
    const struct conn_check *checks;
    struct cli_list only, skip; /* names, with commas between; both empty: all */
};

/* -EINVAL: a name that is not in the table. */
int conn_choice_check(const struct conn_choice *c, struct err **e);
bool conn_wants(const struct conn_choice *c, const char *name);

struct conn_report {
    const struct conn_choice *choice; /* results of other checks are not taken; NULL: all are */
    bool is_muted;                    /* the last one was not taken */
    struct conn_result *results;
    size_t count;
    size_t n[CONN_LEVELS]; /* results of each level */
};

void conn_say(struct conn_report *r, enum conn_level level, const char *check, const char *subject,
              const char *format, ...) __attribute__((format(printf, 5, 6)));
/* One more cause of the last result. */
void conn_cause(struct conn_report *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void conn_report_release(struct conn_report *r);
#define auto_conn_report __attribute__((cleanup(conn_report_release)))

/* On standard output. With --quiet only what does not pass. */
void conn_print(const struct conn_report *r);
/* The results as a member "results" of `root`, and "summary". */
void conn_add_json(cJSON *root, const struct conn_report *r);
/* JUnit XML as Jenkins and GitLab read it, into a new file by rename. */
int conn_write_junit(const struct conn_report *r, const char *suite, const char *path,
                     struct err **e);
/* EXIT_CHECKS where something failed, else EXIT_OK. */
int conn_exit_status(const struct conn_report *r);
