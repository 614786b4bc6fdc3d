/* flatnet host check: all items, each with what was seen and how to mend it. */
#include "cmd_host.h"

#include "log.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct host_options options = HOST_OPTIONS_INIT;

static const struct cli_option table[] = {
    HOST_OPTIONS(options),
    {"pod-cidr", 0, CLI_STRING, "NET", &options.pod_cidr, "the pods' network (10.42.0.0/16)"},
    {"service-cidr", 0, CLI_STRING, "NET", &options.service_cidr,
     "the services' network (10.43.0.0/16)"},
    {"bundle", 0, CLI_STRING, "BUNDLE", &options.bundle, "whose images must find room"},
    {0},
};

static const struct cli_verb verb = {
    .path = "host check",
    .args = "[--master IF]... [options]",
    .summary = "check whether this host can be a node with pods on its VLANs",
    .text =
        "Runs all items before it speaks. Nothing is changed; 'flatnet host prepare' mends what\n"
        "can be mended. With --root only items about files are looked at.\n\n"
        "Exit status: 0 no item fails, 3 some do.",
    .options = table,
};

void cmd_host_release(struct host_options *o)
{
    cli_list_release(&o->roles);
    cli_list_release(&o->masters);
    cli_list_release(&o->only);
    cli_list_release(&o->ignore);
}

char *cmd_host_root(struct host_options *o)
{
    char *root = xstrdup(o->root);
    size_t len = strlen(root);

    while (len && root[len - 1] == '/')
        root[--len] = '\0';
    o->root = root;
    return root;
}

/* --- what is printed --- */

static const char *const words[] = {"pass", "warn", "fail"};

static const char *word_of(const struct host_result *r)
{
    return r->is_ignored ? "warn" : words[r->verdict.level];
}

static void print_json(const struct host_report *report)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;
    cJSON *list, *sum;

    json_add_int(root, "schemaVersion", 1);
    list = cJSON_AddArrayToObject(root, "items");
    for (size_t i = 0; i < report->count; i++) {
        const struct host_result *r = &report->results[i];
        cJSON *obj = cJSON_CreateObject();

        json_add_str(obj, "name", r->item->name);
        json_add_str(obj, "about", r->item->about);
        json_add_str(obj, "result", word_of(r));
        (void)cJSON_AddBoolToObject(obj, "ignored", r->is_ignored);
        json_add_str(obj, "seen", r->verdict.seen.data);
        json_add_str(obj, "mend", r->verdict.mend.len ? r->verdict.mend.data : NULL);
        cJSON_AddItemToArray(list, obj);
    }
    sum = cJSON_AddObjectToObject(root, "summary");
    json_add_int(sum, "pass", (int64_t)report->passed);
    json_add_int(sum, "warn", (int64_t)report->warned);
    json_add_int(sum, "fail", (int64_t)report->failed);
    text = json_print(root);
    (void)printf("%s\n", text);
}

static void print_text(const struct host_report *report)
{
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
    bool colour = cli_wants_colour();

    for (size_t i = 0; i < report->count; i++) {
        const struct host_result *r = &report->results[i];
        enum host_level level = r->is_ignored ? HOST_WARN : r->verdict.level;

        if (cli_common.quiet && level == HOST_PASS)
            continue;
        (void)printf("%s%s%s  %-15s  %s%s\n", colour ? colours[level] : "", words[level],
                     colour ? "\033[0m" : "", r->item->name, r->verdict.seen.data,
                     r->is_ignored ? " (ignored)" : "");
        if (r->verdict.mend.len)
            (void)printf("      %-15s  mend: %s\n", "", r->verdict.mend.data);
    }
    (void)printf("%zu pass, %zu warn, %zu fail\n", report->passed, report->warned, report->failed);
}

static int run(struct err **e)
{
    struct host_report report = {.results = NULL};
    struct host h;
    size_t failed;
    int r = host_open(&options, &h, e);

    if (r < 0)
        return r;
    r = host_check(&h, &report, e);
    if (r == 0 && cli_common.json)
        print_json(&report);
    else if (r == 0)
        print_text(&report);
    failed = report.failed;
    host_report_release(&report);
    host_close(&h);
    if (r < 0)
        return r;
    return failed ? EXIT_CHECKS : EXIT_OK;
}

int cmd_host_check(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    auto_free char *root = NULL;
    char **args;
    int count, r = cli_parse(&verb, argc, argv, &args, &count, &e);

    if (r == 1)
        return EXIT_OK;
    root = cmd_host_root(&options);
    if (r == 0)
        r = run(&e);
    cmd_host_release(&options);
    return r < 0 ? cli_fail(&verb, e) : r;
}
