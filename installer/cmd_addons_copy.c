/* flatnet addons copy: the addon folder into the rancher-server container. */
#include "cmd_addons_copy.h"

#include "addons_cluster.h"
#include "addons_copy.h"
#include "cli.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "yamledit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct {
    const char *container;
    const char *path;
    const char *kubeconfig;
    const char *context;
    const char *namespace;
} options = {.path = ADDONS_FOLDER};

static const struct cli_option option_table[] = {
    {"container", 0, CLI_STRING, "NAME", &options.container,
     "name or id; else the one called rancher-server, or that runs Rancher; in pods rancher"},
    {"path", 0, CLI_STRING, "DIR", &options.path,
     "folder inside of it (default " ADDONS_FOLDER ")"},
    {"kubeconfig", 0, CLI_STRING, "FILE", &options.kubeconfig,
     "copy into each Rancher pod of that cluster"},
    {"context", 0, CLI_STRING, "NAME", &options.context,
     "the same by a context; without --kubeconfig in the files that kubectl reads"},
    {"namespace", 0, CLI_STRING, "NAME", &options.namespace,
     "where those pods are (default cattle-system)"},
    {0},
};

static const struct cli_verb verb = {
    .path = "addons copy",
    .args = "DIR [--container NAME] [--path DIR] [--kubeconfig FILE]",
    .summary = "Copies a folder of addons into the rancher-server container, and reads it back.",
    .text = "Docker is found as its own client finds it (DOCKER_HOST). For a Rancher of several\n"
            "pods, --kubeconfig names the cluster that it runs in. Then addons_include is\n"
            "printed, as it belongs into the cluster's YAML.",
    .options = option_table,
    .min_args = 1,
    .max_args = 1,
};

/* An absolute path of plain components. */
static int check_path(const char *path, struct err **e)
{
    const char *p = path;
    bool is_plain = *p == '/' && p[1];

    while (is_plain && *p) {
        size_t len = strcspn(++p, "/");

        is_plain = len && !(len == 1 && *p == '.') && !(len == 2 && !strncmp(p, "..", 2));
        p += len;
    }
    for (p = path; *p; p++)
        is_plain = is_plain && (unsigned char)*p >= ' ' && *p != 0x7f;
    return is_plain ? 0
                    : err_set(e, -EINVAL,
                              "'--path' takes an absolute path without '.' and '..', "
                              "not '%s'",
                              path);
}

static bool is_yaml(const char *name)
{
    const char *dot = strrchr(name, '.');

    return !strchr(name, '/') && dot && (!strcmp(dot, ".yml") || !strcmp(dot, ".yaml"));
}

/* The combined file alone where there is one, else every YAML file at the top of the folder. */
static bool is_included(const struct addons_listing *files, const char *name)
{
    if (addons_listing_find(files, ADDONS_FILE_OLD))
        return !strcmp(name, ADDONS_FILE_OLD);
    if (addons_listing_find(files, ADDONS_FILE))
        return !strcmp(name, ADDONS_FILE);
    return is_yaml(name);
}

void copy_print_include(const struct addons_listing *files, const char *path)
{
    (void)printf("addons_include:\n");
    for (size_t i = 0; i < files->n_items; i++) {
        auto_free char *whole = addons_join(path, files->items[i].path);
        auto_free char *scalar = yamledit_scalar(whole, YAMLNODE_PLAIN);

        if (is_included(files, files->items[i].path))
            (void)printf("  - %s\n", scalar);
    }
}

void copy_add_json(cJSON *root, const struct addons_listing *files, const char *path)
{
    cJSON *list, *include;

    json_add_str(root, "path", path);
    list = cJSON_AddArrayToObject(root, "files");
    include = cJSON_AddArrayToObject(root, "addonsInclude");
    for (size_t i = 0; i < files->n_items; i++) {
        const struct addons_entry *entry = &files->items[i];
        auto_free char *whole = addons_join(path, entry->path);
        cJSON *item = cJSON_CreateObject();

        json_add_str(item, "path", entry->path);
        json_add_int(item, "size", entry->size);
        json_add_str(item, "digest", entry->digest);
        cJSON_AddItemToArray(list, item);
        if (is_included(files, entry->path))
            cJSON_AddItemToArray(include, cJSON_CreateString(whole));
    }
}

void copy_warn_others(const struct addons_listing *others, const char *path, const char *where)
{
    for (size_t i = 0; i < others->n_items; i++)
        log_warn("'%s/%s' was there already in '%s', and is not from this folder", path,
                 others->items[i].path, where);
}

static void print_json(const struct addons_container *c, const struct addons_copied *copied)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;

    json_add_int(root, "schemaVersion", 1);
    json_add_str(root, "container", c->name);
    json_add_str(root, "id", c->id);
    json_add_str(root, "image", c->image);
    json_add_str(root, "foundBy", c->found_by);
    (void)cJSON_AddBoolToObject(root, "onVolume", addons_is_on_volume(c, options.path));
    copy_add_json(root, &copied->files, options.path);
    text = json_print(root);
    (void)printf("%s\n", text);
}

static void print(const struct addons_container *c, const struct addons_copied *copied)
{
    log_info("%zu files copied to '%s' of container '%s' (%s), and read back",
             copied->files.n_items, options.path, c->name, c->image);
    if (cli_common.json)
        print_json(c, copied);
    else
        copy_print_include(&copied->files, options.path);
}

static void warn(const struct addons_container *c, const struct addons_copied *copied)
{
    if (!addons_is_on_volume(c, options.path))
        log_warn("'%s' is not on a volume of '%s': when that container is made anew, as for an "
                 "upgrade, the files are gone, and RKE then leaves the addons out without an error",
                 options.path, c->name);
    if (!c->is_running)
        log_warn("container '%s' is not running", c->name);
    copy_warn_others(&copied->others, options.path, c->name);
}

static int copy_container(const char *folder, struct addons_container *c, struct docker **d,
                          struct err **e)
{
    struct addons_copied copied;
    int r = docker_open("", d, e);

    if (r == 0)
        r = addons_find_container(*d, options.container, c, e);
    if (r < 0)
        return r;
    log_info("container '%s' (%s), found %s", c->name, c->image, c->found_by);
    r = addons_copy(*d, c, folder, options.path, &copied, e);
    if (r < 0)
        return r;
    print(c, &copied);
    warn(c, &copied);
    addons_copied_release(&copied);
    return EXIT_OK;
}

static int copy(const char *folder, struct err **e)
{
    struct copy_pods pods = {.folder = folder,
                             .kubeconfig = options.kubeconfig,
                             .context = options.context,
                             .namespace = options.namespace,
                             .container = options.container,
                             .path = options.path};
    struct addons_container c = {.id = NULL};
    struct docker *d = NULL;
    int r = check_path(options.path, e);

    if (r < 0)
        return r;
    if (options.kubeconfig || options.context)
        return copy_pods(&pods, e);
    if (options.namespace)
        return err_set(e, -EINVAL, "'--namespace' goes with '--kubeconfig'");
    r = copy_container(folder, &c, &d, e);
    addons_container_release(&c);
    docker_free(d);
    return r;
}

int cmd_addons_copy(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    char **args;
    int n_args, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r > 0)
        return EXIT_OK;
    if (r == 0)
        r = copy(args[0], &e);
    return r < 0 ? cli_fail(&verb, e) : r;
}
