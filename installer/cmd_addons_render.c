/* flatnet addons render: the addons for one cluster, and the cluster YAML that names them. */
#include "cli.h"

#include "addons_cluster.h"
#include "addons_render.h"
#include "cmd_addons.h"
#include "fs.h"
#include "json.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CLUSTER_MAX 4096

static struct {
    struct addons_options settings;
    struct cli_list ifaces, regexes;
    const char *output, *folder, *url;
    const char *from, *cluster_yaml;
} options = {.output = "network-addons", .folder = ADDONS_FOLDER};

static const struct cli_option option_table[] = {
    {"kube-version", 0, CLI_STRING, "1.N", &options.settings.kube_version,
     "Kubernetes of the cluster (default 1.13; 1.34 for current)"},
    ADDONS_OPTIONS(options),
    {"from", 0, CLI_STRING, "DIR", &options.from,
     "change your own YAML files of that folder instead"},
    {"cluster-yaml", 0, CLI_STRING, "FILE", &options.cluster_yaml,
     "put the settings into your own cluster YAML, in its place"},
    {"path", 0, CLI_STRING, "DIR", &options.folder,
     "where rancher-server has the files (default " ADDONS_FOLDER ")"},
    {"url", 0, CLI_STRING, "URL", &options.url, "where a web server has them"},
    {"output", 'o', CLI_STRING, "DIR", &options.output,
     "folder to write into (default network-addons)"},
    {0},
};

static const struct cli_verb verb = {
    .path = "addons render",
    .args = "[--kube-version 1.N] [--mode multus|chained] [-o DIR]",
    .summary = "Writes the addons for a cluster, and prints the cluster YAML that names them.",
    .text = "The whole is written as " ADDONS_FILE " and, the same, as\n" ADDONS_FILE_OLD
            ", and each component to a file of its own. macvlan-roles.yml and\n"
            "rancher-roles.yml are not in the whole: the latter is applied where Rancher runs.\n"
            "With --from, images (--registry), flannel's arguments (--iface), net-conf.json\n"
            "(--pod-cidr) and a missing cniVersion of multus are changed; all else stays as it is.",
    .options = option_table,
    .max_args = 0,
};

static int check_options(struct err **e)
{
    if (*options.folder != '/')
        return err_set(e, -EINVAL, "'--path' takes an absolute path, not '%s'", options.folder);
    if (options.url && strncmp(options.url, "http://", 7) && strncmp(options.url, "https://", 8))
        return err_set(e, -EINVAL,
                       "'--url' takes an http or https address, not '%s'; RKE reads no other",
                       options.url);
    if (strpbrk(options.folder, "\r\n") || (options.url && strpbrk(options.url, "\r\n ")))
        return err_set(e, -EINVAL, "'--path' and '--url' must not hold line breaks");
    if (!*options.output)
        return err_set(e, -EINVAL, "'-o' takes the name of a folder");
    if (options.from &&
        (options.settings.mode || options.settings.set || options.settings.has_webhook))
        return err_set(e, -EINVAL,
                       "'--mode', '--images' and '--webhook' choose among flatnet's own addons, "
                       "and do not go with '--from'");
    options.settings.ifaces = options.ifaces.items;
    options.settings.iface_regexes = options.regexes.items;
    return 0;
}

static int write_files(const struct addons_files *files, struct render_result *out, struct err **e)
{
    int r = fs_mkdirs(options.output, 0755, e);

    for (size_t i = 0; i < files->n_items && r == 0; i++) {
        const struct addons_file *file = &files->items[i];
        auto_free char *path = addons_join(options.output, file->name);

        r = fs_write_file(path, file->text, file->len, 0644, e);
        render_add_file(out, file->name, !strcmp(file->name, ADDONS_FILE_OLD));
    }
    out->summary = xasprintf("%zu files", files->n_items);
    return r;
}

static bool is_rendered(const struct addons_files *files, const char *name)
{
    for (size_t i = 0; i < files->n_items; i++)
        if (!strcmp(files->items[i].name, name))
            return true;
    return false;
}

/* A part of another rendering beside these would be taken for one of them. */
static void warn_of_leftovers(const struct addons_files *files)
{
    for (const char *const *name = addons_file_names(); *name; name++) {
        auto_free char *path = addons_join(options.output, *name);

        if (!is_rendered(files, *name) && access(path, F_OK) == 0)
            log_warn("'%s' is left from another rendering; remove it", path);
    }
}

static int render_own(const struct addons_settings *s, struct render_result *out,
                      struct findings *f, struct err **e)
{
    auto_addons_files struct addons_files files = {.n_items = 0};
    int r = addons_render(s, &files, f, e);

    if (r == 0)
        r = write_files(&files, out, e);
    if (r == 0)
        warn_of_leftovers(&files);
    return r;
}

static void print_json(const struct addons_settings *s, const struct render_result *result,
                       const char *const texts[2])
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;
    cJSON *cluster = cJSON_CreateObject();

    json_add_int(root, "schemaVersion", 1);
    json_add_str(root, "folder", options.output);
    if (!options.from) {
        json_add_str(root, "imageSet", s->set);
        json_add_str(root, "mode", addons_mode_name(s->mode));
        (void)cJSON_AddBoolToObject(root, "webhook", s->has_webhook);
    }
    cJSON_AddItemToObject(root, "files",
                          cJSON_CreateStringArray((const char *const *)result->files,
                                                  (int)result->n_files));
    json_add_str(cluster, "rke", texts[ADDONS_RKE]);
    json_add_str(cluster, "rancher", texts[ADDONS_RANCHER]);
    cJSON_AddItemToObject(root, "clusterYAML", cluster);
    text = json_print(root);
    (void)printf("%s\n", text);
}

static void print(const struct addons_settings *s, const struct addons_places *places,
                  const struct render_result *result)
{
    auto_buf struct buf rke, rancher;

    buf_init(&rke, CLUSTER_MAX);
    buf_init(&rancher, CLUSTER_MAX);
    addons_cluster_text(s, ADDONS_RKE, places, &rke);
    addons_cluster_text(s, ADDONS_RANCHER, places, &rancher);
    log_info("%s, written to '%s'", result->summary, options.output);
    if (cli_common.json)
        print_json(s, result, (const char *const[]){rke.data, rancher.data});
    else if (!options.cluster_yaml)
        (void)printf("# Cluster YAML for RKE, and for Rancher 2.2 (Edit as YAML):\n%s\n"
                     "# For later versions of Rancher:\n%s",
                     rke.data, rancher.data);
}

static int finish(const struct addons_settings *s, const struct render_result *result,
                  struct err **e)
{
    struct addons_places places = {.folder = options.folder,
                                   .url = options.url,
                                   .names = result->includes};
    int r = 0;

    if (options.cluster_yaml)
        r = render_cluster_yaml(s, &places, options.cluster_yaml, e);
    if (r < 0)
        return r;
    print(s, &places, result);
    if (options.cluster_yaml)
        log_info("'%s' %s", options.cluster_yaml, r ? "is changed" : "has the settings already");
    return 0;
}

static int render(struct render_result *result, struct err **e)
{
    auto_addons_settings struct addons_settings settings = {.iface_args = NULL};
    auto_findings struct findings f = {.n_items = 0};
    int r = check_options(e);

    if (r == 0)
        r = addons_settings_parse(&options.settings, &settings, e);
    if (r < 0)
        return r;
    r = options.from ? render_from(&settings, options.from, options.output, result, &f, e)
                     : render_own(&settings, result, &f, e);
    findings_log(&f);
    for (size_t i = 0; i < f.n_items; i++)
        if (f.items[i].level == FINDING_ERROR)
            log_warn("%s", f.items[i].text);
    return r < 0 ? r : finish(&settings, result, e);
}

int cmd_addons_render(int argc, char **argv)
{
    struct render_result result = {.n_files = 0};
    auto_err struct err *e = NULL;
    char **args;
    int n_args, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r == 0)
        r = render(&result, &e);
    render_result_release(&result);
    cli_list_release(&options.ifaces);
    cli_list_release(&options.regexes);
    return r < 0 ? cli_fail(&verb, e) : EXIT_OK;
}
