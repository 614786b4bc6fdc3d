/* flatnet host prepare, restore and status: changes, their undoing, and what stands. */
#include "cmd_host.h"

#include "host_apply.h"
#include "interrupt.h"
#include "log.h"
#include "mem.h"
#include "num.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DIFF_MAX (8u << 20)

static struct host_options options = HOST_OPTIONS_INIT;
static bool dry_run, yes;

static const struct cli_option prepare_table[] = {
    HOST_OPTIONS(options),
    {"dry-run", 'n', CLI_FLAG, NULL, &dry_run, "print what would be changed, as a diff"},
    {"yes", 'y', CLI_FLAG, NULL, &yes, "do not ask"},
    {0},
};

static const struct cli_verb prepare_verb = {
    .path = "host prepare",
    .args = "[--master IF]... [options]",
    .summary = "make this host ready: swap, modules, settings, promiscuous mode",
    .text = "Changes what 'flatnet host check' finds and can mend, each change written to\n"
            "/var/lib/flatnet/host.journal first; 'flatnet host restore' undoes exactly that. A\n"
            "second run changes nothing. With --root only files below DIR are changed.",
    .options = prepare_table,
};

/* --- prepare --- */

static cJSON *change_json(const struct host_change *c)
{
    auto_free char *text = host_change_text(c);
    cJSON *obj = cJSON_CreateObject();

    json_add_str(obj, "item", c->item);
    json_add_str(obj, "change", text);
    json_add_str(obj, "subject", c->subject);
    return obj;
}

static void print_plan_json(const struct host_plan *plan, bool is_done)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;
    cJSON *list;

    json_add_int(root, "schemaVersion", 1);
    (void)cJSON_AddBoolToObject(root, "dryRun", !is_done);
    list = cJSON_AddArrayToObject(root, "changes");
    for (size_t i = 0; i < plan->count; i++)
        cJSON_AddItemToArray(list, change_json(&plan->changes[i]));
    text = json_print(root);
    (void)printf("%s\n", text);
}

static void print_diff(const struct host_plan *plan)
{
    auto_buf struct buf diff;

    buf_init(&diff, DIFF_MAX);
    for (size_t i = 0; i < plan->count; i++)
        host_change_diff(&plan->changes[i], &diff);
    (void)fwrite(diff.data, 1, diff.len, stdout);
}

/* What stays unmended is said, with what to add by hand; only items that prepare is for. */
static void warn_of_rest(const struct host_options *given)
{
    struct host_report report = {.results = NULL};
    struct host h;

    if (host_open(given, &h, NULL) < 0)
        return;
    if (host_check(&h, &report, NULL) == 0)
        for (size_t i = 0; i < report.count; i++) {
            const struct host_result *r = &report.results[i];

            if (r->item->plan && r->verdict.level != HOST_PASS && !r->is_ignored)
                log_warn("%s: %s: %s", r->item->name, r->verdict.seen.data, r->verdict.mend.data);
        }
    host_report_release(&report);
    host_close(&h);
}

static int ask(const struct host_plan *plan, struct err **e)
{
    char answer[8] = "";

    if (yes)
        return 0;
    if (!isatty(STDIN_FILENO))
        return err_set(e, -EINVAL, "nothing was changed; add --yes to make the %zu change%s",
                       plan->count, num_plural(plan->count));
    print_diff(plan);
    (void)printf("make the %zu change%s? [y/N] ", plan->count, num_plural(plan->count));
    (void)fflush(stdout);
    if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
        return err_set(e, -ECANCELED, "nothing was changed");
    return 0;
}

static int carry_out(const struct host *h, struct host_plan *plan, struct err **e)
{
    struct host_journal journal;
    size_t made = 0;
    int r = ask(plan, e);

    if (r == 0)
        r = host_journal_open(h->root, true, &journal, e);
    if (r < 0)
        return r;
    interrupt_init();
    r = host_apply(h, plan, &journal, &made, e);
    host_journal_close(&journal);
    if (r < 0)
        return err_wrap(e, "%zu of %zu changes made ('flatnet host restore' undoes them)", made,
                        plan->count);
    if (cli_common.json)
        print_plan_json(plan, true);
    else if (!cli_common.quiet)
        (void)printf("%zu change%s made; 'flatnet host restore' undoes them\n", made,
                     num_plural(made));
    warn_of_rest(h->options);
    return 0;
}

/* Nothing to change; but a run that was killed before its end may have to be ended. */
static int finish_earlier(const struct host *h, struct host_plan *plan, struct err **e)
{
    struct host_journal journal;
    size_t made;
    int r = host_journal_open(h->root, false, &journal, e);

    if (r < 0)
        return r;
    if (journal.fd >= 0 && !journal.is_complete)
        r = host_apply(h, plan, &journal, &made, e);
    host_journal_close(&journal);
    if (r < 0)
        return r;
    if (cli_common.json)
        print_plan_json(plan, true);
    else if (!cli_common.quiet)
        (void)printf("nothing to change\n");
    warn_of_rest(h->options);
    return 0;
}

static int prepare(struct err **e)
{
    struct host_plan plan = {.changes = NULL};
    struct host h;
    int r = host_open(&options, &h, e);

    if (r < 0)
        return r;
    r = host_make_plan(&h, &plan, e);
    if (r == 0 && dry_run && cli_common.json)
        print_plan_json(&plan, false);
    else if (r == 0 && dry_run && !plan.count)
        (void)printf("nothing to change\n");
    else if (r == 0 && dry_run)
        print_diff(&plan);
    else if (r == 0 && !plan.count)
        r = finish_earlier(&h, &plan, e);
    else if (r == 0)
        r = carry_out(&h, &plan, e);
    host_plan_release(&plan);
    host_close(&h);
    return r;
}

int cmd_host_prepare(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    auto_free char *root = NULL;
    char **args;
    int count, r = cli_parse(&prepare_verb, argc, argv, &args, &count, &e);

    if (r == 1)
        return EXIT_OK;
    root = cmd_host_root(&options);
    if (r == 0)
        r = prepare(&e);
    cmd_host_release(&options);
    return r < 0 ? cli_fail(&prepare_verb, e) : r;
}

/* --- restore --- */

static const struct cli_option restore_table[] = {
    {"root", 0, CLI_STRING, "DIR", &options.root, "the files below DIR"},
    {0},
};

static const struct cli_verb restore_verb = {
    .path = "host restore",
    .args = "[--root DIR]",
    .summary = "undo what 'flatnet host prepare' changed",
    .text =
        "Undoes the journal from its end: bytes, modes, owners and attributes of files, swap with\n"
        "its priorities, promiscuous mode. What somebody else changed since is left as it is\n"
        "and named. May be repeated after it was interrupted.\n\n"
        "Exit status: 0 all is undone, 1 something failed, 5 something was left as it is.",
    .options = restore_table,
};

static const char *result_of(const struct host_undone *u)
{
    return u->error ? "failed" : u->result == UNDO_KEPT ? "kept" : "undone";
}

static void print_undo_json(const struct host_undo *u)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;
    cJSON *list;

    json_add_int(root, "schemaVersion", 1);
    list = cJSON_AddArrayToObject(root, "changes");
    for (size_t i = 0; i < u->count; i++) {
        const struct host_undone *item = &u->items[i];
        cJSON *obj = change_json(item->change);

        json_add_str(obj, "result", result_of(item));
        json_add_str(obj, "reason", item->error ? item->error : item->why);
        cJSON_AddItemToArray(list, obj);
    }
    text = json_print(root);
    (void)printf("%s\n", text);
}

static void print_undo(const struct host_undo *u)
{
    for (size_t i = 0; i < u->count; i++) {
        const struct host_undone *item = &u->items[i];
        auto_free char *text = host_change_text(item->change);

        if (item->error)
            log_error("not undone: %s: %s", text, item->error);
        else if (item->result == UNDO_KEPT)
            log_warn("left as it is: %s: %s", text, item->why);
        else
            log_info("undone: %s", text);
    }
    if (cli_common.json)
        print_undo_json(u);
    else if (!cli_common.quiet)
        (void)printf("%zu change%s undone, %zu left as they are, %zu failed\n",
                     u->count - u->kept - u->failed, num_plural(u->count - u->kept - u->failed),
                     u->kept, u->failed);
}

static int restore(struct err **e)
{
    struct host_undo undo = {.items = NULL};
    struct host_journal journal;
    int r = host_journal_open(options.root, false, &journal, e);

    if (r < 0)
        return r;
    if (journal.fd >= 0)
        r = host_undo_all(options.root, &journal, &undo, e);
    if (r == 0 && journal.fd < 0 && !cli_common.json)
        (void)printf("nothing to undo\n");
    else if (r == 0)
        print_undo(&undo);
    if (r == 0)
        r = undo.failed ? EXIT_FAILED : undo.kept ? EXIT_PARTIAL : EXIT_OK;
    host_undo_release(&undo);
    host_journal_close(&journal);
    return r;
}

int cmd_host_restore(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    auto_free char *root = NULL;
    char **args;
    int count, r = cli_parse(&restore_verb, argc, argv, &args, &count, &e);

    if (r == 1)
        return EXIT_OK;
    root = cmd_host_root(&options);
    if (r == 0)
        r = restore(&e);
    return r < 0 ? cli_fail(&restore_verb, e) : r;
}

/* --- status --- */

static const struct cli_verb status_verb = {
    .path = "host status",
    .args = "[--root DIR]",
    .summary = "show what 'flatnet host prepare' changed and whether it still holds",
    .text = "Exit status: 0 all holds or nothing was changed, 3 something does not hold any more.",
    .options = restore_table,
};

/* How a change stands now: "holds", "gone", or "unknown". */
static const char *standing(const struct host_change *c)
{
    struct host_change now = {.kind = c->kind, .subject = c->subject};
    int r;

    now.after = c->after;
    host_file_init(&now.before, HOST_ABSENT, "");
    r = host_change_look(options.root, &now, NULL);
    host_file_release(&now.before);
    return r < 0 ? "unknown" : r ? "gone" : "holds";
}

static int print_status(const struct host_journal *j)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *json = NULL;
    cJSON *list;
    int status = EXIT_OK;

    json_add_int(root, "schemaVersion", 1);
    (void)cJSON_AddBoolToObject(root, "complete", j->is_complete);
    list = cJSON_AddArrayToObject(root, "changes");
    for (size_t i = 0; i < j->count; i++) {
        auto_free char *text = host_change_text(&j->changes[i]);
        const char *stands = standing(&j->changes[i]);
        cJSON *obj = change_json(&j->changes[i]);

        json_add_str(obj, "state", stands);
        cJSON_AddItemToArray(list, obj);
        if (strcmp(stands, "holds") != 0)
            status = EXIT_CHECKS;
        if (!cli_common.json)
            (void)printf("%-7s  %s\n", stands, text);
    }
    json = json_print(root);
    if (cli_common.json)
        (void)printf("%s\n", json);
    else if (!j->is_complete)
        (void)printf("the last run did not end: run 'flatnet host prepare' again, or restore\n");
    else if (!j->count)
        (void)printf("nothing was changed\n");
    return status;
}

int cmd_host_status(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    auto_free char *root = NULL;
    struct host_journal journal;
    char **args;
    int count, r = cli_parse(&status_verb, argc, argv, &args, &count, &e);

    if (r == 1)
        return EXIT_OK;
    root = cmd_host_root(&options);
    if (r == 0)
        r = host_journal_open(options.root, false, &journal, &e);
    if (r < 0)
        return cli_fail(&status_verb, e);
    r = print_status(&journal);
    host_journal_close(&journal);
    return r;
}
