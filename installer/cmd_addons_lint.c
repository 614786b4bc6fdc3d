/* flatnet addons lint: what is wrong with addon YAML, before a cluster finds out. */
#include "cli.h"

#include "addons_cluster.h"
#include "addons_lint.h"
#include "bundle.h"
#include "fs.h"
#include "imageset.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "yamlimages.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct {
    const char *kube_version;
    const char *bundle, *base;
    struct cli_list lists, sets;
} options = {.kube_version = "1.13"};

static const struct cli_option option_table[] = {
    {"kube-version", 0, CLI_STRING, "1.N", &options.kube_version,
     "Kubernetes of the cluster (default 1.13)"},
    {"bundle", 0, CLI_STRING, "BUNDLE", &options.bundle, "images must be in there"},
    {"base", 0, CLI_STRING, "OLD", &options.base, "what a delta was made against"},
    {"file", 'f', CLI_LIST, "LIST", &options.lists, "or in this image list"},
    {"images", 0, CLI_LIST, "SET", &options.sets,
     "or in this embedded set: default, 2019-original, current"},
    {0},
};

static const struct cli_verb verb = {
    .path = "addons lint",
    .args = "PATH... [--kube-version 1.N] [--bundle BUNDLE]",
    .summary = "Checks addon YAML: every document, not only the first as RKE does.",
    .text = "Files named here count as applied together; of a folder, each file by itself.\n"
            "Exit status 3: there are errors.",
    .options = option_table,
    .min_args = 1,
    .max_args = -1,
};

struct run {
    struct addons_lint lint;
    struct findings f;
    struct yamlimages used;
    struct imagelist have;
    size_t n_files;
};

static bool knows_images(void)
{
    return options.bundle || options.lists.count || options.sets.count;
}

static int lint_file(struct run *run, const char *path, struct err **e)
{
    auto_buf struct buf text;
    int r;

    /* One byte more than the parser takes, so that it is the one to say so. */
    buf_init(&text, YAMLTREE_MAX_SIZE + 1);
    r = fs_read_file(path, &text, e);
    if (r < 0)
        return r;
    run->n_files++;
    addons_lint_file(&run->lint, path, text.data, text.len);
    if (knows_images())
        yamlimages_add(&run->used, path, text.data, text.len, &run->f);
    return 0;
}

static int is_yaml(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return entry->d_name[0] != '.' && dot && (!strcmp(dot, ".yml") || !strcmp(dot, ".yaml"));
}

static int lint_folder(struct run *run, const char *folder, struct err **e)
{
    struct dirent **names = NULL;
    int n = scandir(folder, &names, is_yaml, alphasort);
    int r = n < 0 ? err_set(e, -errno, "cannot read folder '%s': %s", folder, strerror(errno)) : 0;

    for (int i = 0; i < n; i++) {
        auto_free char *path = addons_join(folder, names[i]->d_name);

        addons_lint_cut(&run->lint);
        if (r == 0)
            r = lint_file(run, path, e);
        free(names[i]);
    }
    free(names);
    addons_lint_cut(&run->lint);
    return r == 0 && !n ? err_set(e, -EINVAL, "no YAML file is in '%s'", folder) : r;
}

static int lint_paths(struct run *run, char **paths, struct err **e)
{
    int r = 0;

    for (; *paths && r == 0; paths++) {
        struct stat st;

        if (stat(*paths, &st) < 0)
            return err_set(e, -errno, "cannot open '%s': %s", *paths, strerror(errno));
        r = S_ISDIR(st.st_mode) ? lint_folder(run, *paths, e) : lint_file(run, *paths, e);
    }
    return r;
}

static int add_bundle_images(struct run *run, struct findings *f, struct err **e)
{
    auto_bundle struct bundle *b = NULL;
    int r = bundle_open(options.bundle, options.base, &b, e);

    for (size_t i = 0; r == 0 && i < bundle_index(b)->n_images; i++) {
        struct ref ref = {.host = NULL};

        r = ref_parse(bundle_index(b)->images[i].reference, &ref, e);
        if (r == 0)
            imagelist_add_ref(&run->have, options.bundle, 0, &ref, f);
    }
    return r;
}

static int add_set_images(struct run *run, const char *set, struct findings *f, struct err **e)
{
    auto_free char *label = xasprintf("image set %s", set);
    auto_buf struct buf text;
    int r;

    buf_init(&text, IMAGELIST_MAX_SIZE);
    r = imageset_text(set, FLATNET_VERSION, &text, e);
    return r < 0 ? r : imagelist_add_text(&run->have, label, text.data, text.len, f, e);
}

static int read_images(struct run *run, struct err **e)
{
    auto_findings struct findings f = {.n_items = 0};
    int r = options.bundle ? add_bundle_images(run, &f, e) : 0;

    for (size_t i = 0; i < options.lists.count && r == 0; i++)
        r = imagelist_add_file(&run->have, options.lists.items[i], &f, e);
    for (size_t i = 0; i < options.sets.count && r == 0; i++)
        r = add_set_images(run, options.sets.items[i], &f, e);
    return r < 0 ? r : findings_error(&f, "image lists", e);
}

/* The YAML against the images. That no YAML names an image is no fault of the YAML. */
static void check_images(struct run *run)
{
    auto_findings struct findings f = {.n_items = 0};

    if (!knows_images())
        return;
    yamlimages_crosscheck(&run->used, &run->have, false, &f);
    for (size_t i = 0; i < f.n_items; i++)
        if (f.items[i].level == FINDING_ERROR)
            findings_add(&run->f, FINDING_ERROR, NULL, 0, "%s", f.items[i].text);
    addons_lint_system_images(&run->have, run->lint.kube_minor, &run->f);
}

static void print_json(const struct run *run)
{
    static const char *const levels[] = {"error", "warning", "note"};
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;
    cJSON *list = cJSON_CreateArray();

    json_add_int(root, "schemaVersion", 1);
    for (size_t i = 0; i < run->f.n_items; i++) {
        cJSON *item = cJSON_CreateObject();

        json_add_str(item, "level", levels[run->f.items[i].level]);
        json_add_str(item, "text", run->f.items[i].text);
        cJSON_AddItemToArray(list, item);
    }
    cJSON_AddItemToObject(root, "findings", list);
    json_add_int(root, "files", (int64_t)run->n_files);
    json_add_int(root, "documents", (int64_t)run->lint.n_documents);
    json_add_int(root, "errors", (int64_t)run->f.count[FINDING_ERROR]);
    json_add_int(root, "warnings", (int64_t)run->f.count[FINDING_WARNING]);
    text = json_print(root);
    (void)printf("%s\n", text);
}

static void print(const struct run *run)
{
    static const char *const levels[] = {"error", "warning", "note"};

    if (cli_common.json) {
        print_json(run);
        return;
    }
    for (size_t i = 0; i < run->f.n_items; i++)
        (void)printf("%s: %s\n", levels[run->f.items[i].level], run->f.items[i].text);
    log_info("%zu files, %zu documents: %zu errors, %zu warnings", run->n_files,
             run->lint.n_documents, run->f.count[FINDING_ERROR], run->f.count[FINDING_WARNING]);
}

static int lint(struct run *run, char **paths, struct err **e)
{
    int r = addons_kube_minor(options.kube_version, &run->lint.kube_minor, e);

    if (r == 0 && options.base && !options.bundle)
        r = err_set(e, -EINVAL, "'--base' goes with '--bundle'");
    if (r == 0)
        r = read_images(run, e);
    if (r == 0)
        r = lint_paths(run, paths, e);
    if (r < 0)
        return r;
    check_images(run);
    print(run);
    return run->f.count[FINDING_ERROR] ? EXIT_CHECKS : EXIT_OK;
}

int cmd_addons_lint(int argc, char **argv)
{
    struct run run = {.n_files = 0};
    auto_err struct err *e = NULL;
    char **args;
    int n_args, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    run.lint.f = &run.f;
    if (r == 0)
        r = lint(&run, args, &e);
    else if (r > 0)
        r = EXIT_OK;
    addons_lint_release(&run.lint);
    yamlimages_release(&run.used);
    imagelist_release(&run.have);
    findings_release(&run.f);
    cli_list_release(&options.lists);
    cli_list_release(&options.sets);
    return r < 0 ? cli_fail(&verb, e) : r;
}
