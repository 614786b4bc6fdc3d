#pragma once
/*
 * Command lines: every verb has one table of options, from which parsing, --help and the
 * suggestion of the nearest word come. Common options are known to all verbs.
 */
#include "err.h"

#include <stdbool.h>
#include <stddef.h>

enum cli_kind {
    CLI_FLAG,   /* dest: bool *, set to true */
    CLI_STRING, /* dest: const char **, the last one wins */
    CLI_LIST,   /* dest: struct cli_list *, appended to */
    CLI_INT,    /* dest: int *, decimal, at least 0 */
    CLI_TRI,    /* dest: bool *, "--x", "--x=true", "--x=false" */
    CLI_CHOICE, /* dest: const char **, "--x" ("") or "--x=WORD"; arg begins with "[=" */
};

struct cli_list {
    const char **items; /* NULL-terminated once it has members; NULL before */
    size_t count;
};

struct cli_option {
    const char *name; /* without dashes; NULL ends the table */
    char letter;      /* '\0' for none */
    enum cli_kind kind;
    const char *arg; /* what --help calls the argument; NULL for flags */
    void *dest;
    const char *help;
};

struct cli_verb {
    const char *path;    /* "bundle create" */
    const char *args;    /* "BUNDLE", "[-f LIST]... [-o FILE]"; what usage shows behind the path */
    const char *summary; /* one line for the list of verbs */
    const char *text;    /* more for --help, or NULL */
    const struct cli_option *options; /* NULL-name terminated; or NULL */
    int min_args, max_args;           /* positional arguments; max_args < 0: any number */
};

/* Results of common options, valid after cli_parse. */
struct cli_common {
    bool quiet;       /* -q, --quiet: no progress, no summary */
    bool json;        /* --format json */
    bool debug;       /* --debug */
    bool no_progress; /* --no-progress */
};
extern struct cli_common cli_common;

/*
 * Parses argv[1..argc): options may stand anywhere before "--". Returns 0 with *out_args the
 * positional arguments (borrowed from argv, NULL-terminated, reordered in place) and
 * *out_count; 1 when --help was answered on stdout; -EINVAL with a message.
 */
int cli_parse(const struct cli_verb *verb, int argc, char **argv, char ***out_args, int *out_count,
              struct err **e);
void cli_list_release(struct cli_list *list);

/* Options that take names with commas between: --only a,b --only c. Case does not count. */
bool cli_names_have(const struct cli_list *list, const char *name);
/* -EINVAL for one that is not in `known` (ended by NULL), with the nearest that is; `what` is what
 * they are the names of: "item". */
int cli_names_check(const struct cli_list *list, const char *option, const char *what,
                    const char *const *known, struct err **e);

/* Are colours welcome on standard output? A terminal, and NO_COLOR and TERM do not say no. */
bool cli_wants_colour(void);

/* Prints "flatnet: error: ..." for *e (and for -EINVAL how to get help) and returns the exit
 * status that belongs to it. */
int cli_fail(const struct cli_verb *verb, const struct err *e);

/* The member of the NULL-terminated list nearest to `word` (optimal string alignment distance at
 * most a third of its length, at least 1), or NULL. */
const char *cli_nearest(const char *word, const char *const *candidates);

/* The verbs: argv[0] is the last word of the verb. Each returns an exit status. */
int cmd_bundle_create(int argc, char **argv);
int cmd_bundle_verify(int argc, char **argv);
int cmd_bundle_ls(int argc, char **argv);
int cmd_bundle_diff(int argc, char **argv);
int cmd_bundle_split(int argc, char **argv);
int cmd_bundle_join(int argc, char **argv);
int cmd_bundle_extract(int argc, char **argv);
int cmd_images_load(int argc, char **argv);
int cmd_images_push(int argc, char **argv);
int cmd_images_ls(int argc, char **argv);
int cmd_addons_render(int argc, char **argv);
int cmd_addons_lint(int argc, char **argv);
int cmd_addons_copy(int argc, char **argv);
int cmd_host_check(int argc, char **argv);
int cmd_host_prepare(int argc, char **argv);
int cmd_host_restore(int argc, char **argv);
int cmd_host_status(int argc, char **argv);
int cmd_host_iface(int argc, char **argv);
int cmd_test_node(int argc, char **argv);
int cmd_test_cluster(int argc, char **argv);
int cmd_agent_serve(int argc, char **argv);
int cmd_agent_probe(int argc, char **argv);
int cmd_subnet_create(int argc, char **argv);
int cmd_subnet_ls(int argc, char **argv);
int cmd_subnet_show(int argc, char **argv);
int cmd_subnet_rm(int argc, char **argv);
int cmd_subnet_check(int argc, char **argv);
int cmd_workload_enable(int argc, char **argv);
int cmd_workload_disable(int argc, char **argv);
int cmd_workload_show(int argc, char **argv);
int cmd_registry_login(int argc, char **argv);
int cmd_registry_logout(int argc, char **argv);
int cmd_deploy(int argc, char **argv);
int cmd_undeploy(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
