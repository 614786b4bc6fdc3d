/* flatnet: the verb table, and nothing else. Each verb is a function in a file of its own. */
#include "cli.h"
#include "http.h"
#include "log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *group;
    const char *name; /* NULL: the verb is one word */
    int (*run)(int argc, char **argv);
    const char *summary; /* NULL: for flatnet itself, and not shown */
} verbs[] = {
    {"bundle", "create", cmd_bundle_create, "make one file of images and addons"},
    {"bundle", "verify", cmd_bundle_verify, "check every byte of a bundle"},
    {"bundle", "ls", cmd_bundle_ls, "list what is in a bundle"},
    {"bundle", "diff", cmd_bundle_diff, "compare two bundles"},
    {"bundle", "split", cmd_bundle_split, "cut a bundle into volumes"},
    {"bundle", "join", cmd_bundle_join, "put volumes together again"},
    {"bundle", "extract", cmd_bundle_extract, "take addons and programs out of a bundle"},
    {"images", "load", cmd_images_load, "load a bundle's images into docker or containerd"},
    {"images", "push", cmd_images_push, "push a bundle's images to a registry"},
    {"images", "ls", cmd_images_ls, "compare a bundle's images with what this host has"},
    {"addons", "render", cmd_addons_render, "write the addons for a cluster"},
    {"addons", "lint", cmd_addons_lint, "check addon YAML"},
    {"addons", "copy", cmd_addons_copy, "copy addons into the rancher-server container"},
    {"host", "check", cmd_host_check, "check whether this host can be a node"},
    {"host", "prepare", cmd_host_prepare, "make this host ready"},
    {"host", "restore", cmd_host_restore, "undo what prepare changed"},
    {"host", "status", cmd_host_status, "show what prepare changed"},
    {"host", "iface", cmd_host_iface, "say which interface flannel takes"},
    {"test", "node", cmd_test_node,
     "test this host's NICs, VLANs and flannel's links to all others"},
    {"test", "cluster", cmd_test_cluster, "test pods of the cluster's subnets against each other"},
    {"agent", "serve", cmd_agent_serve, NULL},
    {"agent", "probe", cmd_agent_probe, NULL},
    {"subnet", "create", cmd_subnet_create, "make subnets for pods"},
    {"subnet", "ls", cmd_subnet_ls, "list subnets, and how full they are"},
    {"subnet", "show", cmd_subnet_show, "show who has which address of a subnet"},
    {"subnet", "rm", cmd_subnet_rm, "remove subnets that nobody uses"},
    {"subnet", "check", cmd_subnet_check, "look for what is wrong with subnets and addresses"},
    {"workload", "enable", cmd_workload_enable,
     "give the pods of a workload an interface in a subnet"},
    {"workload", "disable", cmd_workload_disable, "take that out again"},
    {"workload", "show", cmd_workload_show, "show what a workload asks for and what its pods have"},
    {"registry", "login", cmd_registry_login, "check and store credentials for a registry"},
    {"registry", "logout", cmd_registry_logout, "forget the credentials for a registry"},
    {"deploy", NULL, cmd_deploy, "bring the addons into a cluster that is there"},
    {"undeploy", NULL, cmd_undeploy, "take out of a cluster what deploy put in"},
    {"status", NULL, cmd_status, "show what is deployed, and whether it works"},
    {"doctor", NULL, cmd_doctor, "gather what support asks for into one file, without secrets"},
};
#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void print_verbs(FILE *to, const char *only_group)
{
    for (size_t i = 0; i < N_VERBS; i++)
        if (verbs[i].summary && (!only_group || !strcmp(only_group, verbs[i].group)))
            (void)fprintf(to, "  %-9s %-8s  %s\n", verbs[i].group,
                          verbs[i].name ? verbs[i].name : "", verbs[i].summary);
}

static void print_usage(FILE *to)
{
    (void)fprintf(to, "usage: flatnet VERB [options]\n\n"
                      "Carries container images and addons into a site without Internet, in one\n"
                      "file, prepares its hosts, and loads the images there.\n\nverbs:\n");
    print_verbs(to, NULL);
    (void)fprintf(to, "  version             show the version\n"
                      "  help                show this text\n\n"
                      "'flatnet VERB --help' shows the options of a verb.\n");
}

static int unknown_word(const char *word, const char *group)
{
    const char *names[N_VERBS + 3] = {NULL};
    const char *nearest;
    size_t n = 0;

    for (size_t i = 0; i < N_VERBS; i++)
        if (!group || !strcmp(group, verbs[i].group))
            names[n++] = group ? verbs[i].name : verbs[i].group;
    if (!group) {
        names[n++] = "version";
        names[n++] = "help";
    }
    nearest = cli_nearest(word, names);
    log_error("unknown verb '%s%s%s'%s%s%s", group ? group : "", group ? " " : "", word,
              nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    (void)fprintf(stderr, "see 'flatnet --help'\n");
    return EXIT_USAGE;
}

static bool is_help(const char *word)
{
    return !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help");
}

static int run_group(int argc, char **argv)
{
    const char *group = argv[1];
    bool known = false;

    for (size_t i = 0; i < N_VERBS; i++) {
        if (strcmp(verbs[i].group, group))
            continue;
        if (!verbs[i].name)
            return verbs[i].run(argc - 1, argv + 1);
        known = true;
        if (argc > 2 && !strcmp(verbs[i].name, argv[2]))
            return verbs[i].run(argc - 2, argv + 2);
    }
    if (!known)
        return unknown_word(group, NULL);
    if (argc > 2 && !is_help(argv[2]))
        return unknown_word(argv[2], group);
    print_verbs(argc > 2 ? stdout : stderr, group);
    return argc > 2 ? EXIT_OK : EXIT_USAGE;
}

/* Results that could not be written (a full disk, a closed pipe) are not success. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    log_error("cannot write to standard output");
    return status == EXIT_OK ? EXIT_FAILED : status;
}

int main(int argc, char **argv)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    /* A peer that closes its end is an error to report, not a reason to die. */
    (void)sigaction(SIGPIPE, &ignore, NULL);
    http_global_init();
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (is_help(argv[1])) {
        print_usage(stdout);
        return finish(EXIT_OK);
    }
    if (!strcmp(argv[1], "version") || !strcmp(argv[1], "--version")) {
        (void)printf("flatnet %s\n", FLATNET_VERSION);
        return finish(EXIT_OK);
    }
    return finish(run_group(argc, argv));
}
