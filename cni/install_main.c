/* Options of `static-macvlan-cni install` and `uninstall`. */
#include "install.h"

#include "fs.h"
#include "log.h"
#include "mem.h"
#include "netlink/nlreq.h"
#include "vlandev.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: static-macvlan-cni install [OPTION]...\n"
    "       static-macvlan-cni uninstall [--conf-dir DIR] [--also FILE]... [--purge] [--stay]\n"
    "\n"
    "install keeps on this node what the plugin needs, until it is stopped: the executables, "
    "their\n"
    "kubeconfig, and in chained mode the network configuration that comes first. All of it stays\n"
    "when it stops. uninstall removes configuration and kubeconfig; the executables stay, since\n"
    "pods that run are taken down by them; --purge is for when no pod uses an address any more.\n"
    "\n"
    "  --mode multus|chained      how the plugin is called; default: multus\n"
    "  --conf-dir DIR             network configurations; default: /etc/cni/net.d\n"
    "  --bin-dir DIR              plugins; default: /opt/cni/bin\n"
    "  --service-account DIR      token and CA; default: where Kubernetes mounts them\n"
    "  --run-dir DIR              locks that the plugin takes too; default: /run/flatnet\n"
    "  --listen [ADDRESS]:PORT    health and metrics; default: :9479\n"
    "  --also FILE                uninstall: a file of DIR that goes too; up to 8\n"
    "  --purge                    uninstall: executables, VLAN devices without a user and the\n"
    "                             promiscuous mode that we switched on go too\n"
    "  --stay                     uninstall: do nothing more, until SIGTERM\n"
    "  --logging-format text|json default: text\n"
    "  --version\n"
    "  --help\n";

enum {
    MODE = 1,
    CONF_DIR,
    BIN_DIR,
    ACCOUNT,
    RUN_DIR,
    LISTEN,
    ALSO,
    PURGE,
    STAY,
    FORMAT,
    VERSION,
    HELP
};

static const struct option table[] = {
    {"mode", required_argument, NULL, MODE},
    {"conf-dir", required_argument, NULL, CONF_DIR},
    {"bin-dir", required_argument, NULL, BIN_DIR},
    {"service-account", required_argument, NULL, ACCOUNT},
    {"run-dir", required_argument, NULL, RUN_DIR},
    {"listen", required_argument, NULL, LISTEN},
    {"also", required_argument, NULL, ALSO},
    {"purge", no_argument, NULL, PURGE},
    {"stay", no_argument, NULL, STAY},
    {"logging-format", required_argument, NULL, FORMAT},
    {"version", no_argument, NULL, VERSION},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

/* *out tells whether it is the second of the two; -1 after a message. */
static int read_choice(const char *option, const char *first, const char *second, bool *out)
{
    *out = !strcmp(optarg, second);
    if (*out || !strcmp(optarg, first))
        return 0;
    fprintf(stderr, "static-macvlan-cni: '%s' is no value of --%s; it takes %s or %s\n", optarg,
            option, first, second);
    return -1;
}

static int set_format(void)
{
    bool is_json;
    int r = read_choice("logging-format", "text", "json", &is_json);

    if (r == 0)
        log_set_json(is_json);
    return r;
}

static int add_file(struct install_options *o)
{
    size_t n = 0;

    while (n < INSTALL_ALSO_MAX && o->also[n])
        n++;
    if (n == INSTALL_ALSO_MAX || !fs_path_is_plain(optarg)) {
        fprintf(stderr,
                "static-macvlan-cni: --also takes up to %d files, each by its path below "
                "the folder, not '%s'\n",
                INSTALL_ALSO_MAX, optarg);
        return -1;
    }
    o->also[n] = optarg;
    return 0;
}

static int set_option(struct install_options *o, int option)
{
    switch (option) {
    case MODE:
        return read_choice("mode", "multus", "chained", &o->is_chained);
    case CONF_DIR:
        o->conf_dir = optarg;
        return 0;
    case BIN_DIR:
        o->bin_dir = optarg;
        return 0;
    case ACCOUNT:
        o->service_account = optarg;
        return 0;
    case RUN_DIR:
        o->run_dir = optarg;
        return 0;
    case LISTEN:
        o->listen = optarg;
        return 0;
    case ALSO:
        return add_file(o);
    case PURGE:
        o->purges = true;
        return 0;
    case STAY:
        o->stays = true;
        return 0;
    case FORMAT:
        return set_format();
    default:
        return -1;
    }
}

static int purge(const struct install_options *o, struct err **e)
{
    auto_free char *locks = xasprintf("%s/vlan", o->run_dir);
    auto_free char *sessions = xasprintf("%s/tls", o->run_dir);
    struct nl_sock *sock = NULL;
    int r = install_remove_programs(o, e);

    if (r == 0)
        r = nlreq_open(&sock, e);
    if (r < 0)
        return r;
    r = vlandev_purge(sock, locks, e);
    fs_remove_files(sessions);
    nlreq_close(&sock);
    return r;
}

/* The first process of a container gets no signal that it does not wait for. */
static int uninstall(const struct install_options *o)
{
    auto_err struct err *e = NULL;
    int r, number;
    sigset_t ends;

    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    if (o->stays)
        (void)sigprocmask(SIG_BLOCK, &ends, NULL);
    r = install_remove(o, &e);
    if (r == 0 && o->purges)
        r = purge(o, &e);
    if (r < 0)
        log_error("%s", err_text(e));
    else if (o->stays)
        (void)sigwait(&ends, &number);
    return r < 0 ? err_exit_status(r) : EXIT_OK;
}

int install_main(int argc, char **argv)
{
    struct install_options o = {.conf_dir = "/etc/cni/net.d",
                                .bin_dir = "/opt/cni/bin",
                                .run_dir = "/run/flatnet",
                                .listen = ":9479"};
    int option;

    while ((option = getopt_long(argc, argv, "", table, NULL)) >= 0) {
        if (option == HELP || option == VERSION) {
            (void)fputs(option == HELP ? usage : "static-macvlan-cni " FLATNET_VERSION "\n",
                        stdout);
            return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
        }
        if (set_option(&o, option) < 0)
            return EXIT_USAGE;
    }
    if (optind < argc) {
        fprintf(stderr, "static-macvlan-cni: unexpected argument '%s'; see --help\n", argv[optind]);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[0], "install"))
        return install_run(&o);
    return uninstall(&o);
}
