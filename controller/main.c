/* network-controller: gives macvlan pods their addresses. */
#include "ctl.h"

#include "http.h"
#include "log.h"
#include "num.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: network-controller [OPTION]...\n"
    "\n"
    "Allocates the addresses of macvlan pods, and keeps their networks and services true.\n"
    "\n"
    "  --kubeconfig FILE             speak as the user in FILE; default: the pod's service "
    "account\n"
    "  --mode multus|chained         how the plugin is called; default: multus\n"
    "  --listen [ADDRESS]:PORT       health and metrics; default: :9480\n"
    "  --leader-elect-resource-lock leases|configmaps\n"
    "                                the same in every replica; default: leases\n"
    "  --leader-elect-resource-namespace NAMESPACE   default: kube-system\n"
    "  --leader-elect-resource-name NAME             default: network-controller\n"
    "  --leader-elect-lease-duration SECONDS         default: 15\n"
    "  --leader-elect-renew-deadline SECONDS         default: 10\n"
    "  --leader-elect-retry-period SECONDS           default: 2\n"
    "  --webhook                     answer the API server's questions about subnets and "
    "workloads\n"
    "  --webhook-listen [ADDRESS]:PORT               default: :9443\n"
    "  --webhook-service NAME                        default: network-controller-webhook\n"
    "  --webhook-namespace NAMESPACE                 of that Service; default: kube-system\n"
    "  --legacy-octet-rule           keep back what ends in .0 or .255, as in 2019\n"
    "  --log-level error|warn|info|debug             default: info; SIGUSR1 toggles debug\n"
    "  --logging-format text|json                    default: text\n"
    "  --version, --help\n";

enum {
    KUBECONFIG = 1,
    MODE,
    LISTEN,
    LOCK,
    NS,
    NAME,
    LEASE,
    RENEW,
    RETRY,
    WEBHOOK,
    WEBHOOK_LISTEN,
    WEBHOOK_SERVICE,
    WEBHOOK_NS,
    LEGACY,
    LEVEL,
    FORMAT,
    VERSION,
    HELP
};

static const struct option table[] = {
    {"kubeconfig", required_argument, NULL, KUBECONFIG},
    {"mode", required_argument, NULL, MODE},
    {"listen", required_argument, NULL, LISTEN},
    {"leader-elect-resource-lock", required_argument, NULL, LOCK},
    {"leader-elect-resource-namespace", required_argument, NULL, NS},
    {"leader-elect-resource-name", required_argument, NULL, NAME},
    {"leader-elect-lease-duration", required_argument, NULL, LEASE},
    {"leader-elect-renew-deadline", required_argument, NULL, RENEW},
    {"leader-elect-retry-period", required_argument, NULL, RETRY},
    {"webhook", no_argument, NULL, WEBHOOK},
    {"webhook-listen", required_argument, NULL, WEBHOOK_LISTEN},
    {"webhook-service", required_argument, NULL, WEBHOOK_SERVICE},
    {"webhook-namespace", required_argument, NULL, WEBHOOK_NS},
    {"legacy-octet-rule", no_argument, NULL, LEGACY},
    {"log-level", required_argument, NULL, LEVEL},
    {"logging-format", required_argument, NULL, FORMAT},
    {"version", no_argument, NULL, VERSION},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

/* The place of `word` in a NULL-terminated list, or -1 after a message. */
static int find_word(const char *option, const char *word, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (!strcmp(word, words[i]))
            return i;
    fprintf(stderr, "network-controller: '%s' is no value of --%s; see --help\n", word, option);
    return -1;
}

static int set_seconds(const char *option, const char *text, int *out_ms)
{
    uint64_t seconds;

    if (num_parse_u64(text, 3600, &seconds) < 0 || !seconds) {
        fprintf(stderr, "network-controller: --%s takes seconds from 1 to 3600, not '%s'\n", option,
                text);
        return -1;
    }
    *out_ms = (int)seconds * 1000;
    return 0;
}

static int set_level(const char *text)
{
    static const char *const words[] = {"error", "warn", "info", "debug", NULL};
    int level = find_word("log-level", text, words);

    if (level >= 0)
        log_set_level((enum log_level)level);
    return level;
}

static int set_format(const char *text)
{
    static const char *const words[] = {"text", "json", NULL};
    int format = find_word("logging-format", text, words);

    log_set_json(format == 1);
    return format;
}

static int set_webhook(struct ctl_options *o, int option)
{
    if (option == WEBHOOK)
        o->has_webhook = true;
    else if (option == WEBHOOK_LISTEN)
        o->webhook_listen = optarg;
    else if (option == WEBHOOK_SERVICE)
        o->webhook_service = optarg;
    else
        o->webhook_ns = optarg;
    return 0;
}

/* 0, or -1 after a message. */
static int set_option(struct ctl_options *o, int option)
{
    static const char *const modes[] = {"multus", "chained", NULL};
    static const char *const locks[] = {"leases", "configmaps", NULL};
    int n;

    switch (option) {
    case KUBECONFIG:
        o->kubeconfig = optarg;
        return 0;
    case MODE:
        n = find_word("mode", optarg, modes);
        o->is_multus = n == 0;
        return n;
    case LISTEN:
        o->listen = optarg;
        return 0;
    case LOCK:
        n = find_word("leader-elect-resource-lock", optarg, locks);
        o->lock = n == 0 ? KUBE_LEASE : KUBE_LEASE_CONFIGMAP;
        return n;
    case NS:
        o->lease_ns = optarg;
        return 0;
    case NAME:
        o->lease_name = optarg;
        return 0;
    case LEASE:
        return set_seconds("leader-elect-lease-duration", optarg, &o->lease_ms);
    case RENEW:
        return set_seconds("leader-elect-renew-deadline", optarg, &o->renew_ms);
    case RETRY:
        return set_seconds("leader-elect-retry-period", optarg, &o->retry_ms);
    case WEBHOOK:
    case WEBHOOK_LISTEN:
    case WEBHOOK_SERVICE:
    case WEBHOOK_NS:
        return set_webhook(o, option);
    case LEGACY:
        o->legacy_octets = true;
        return 0;
    case LEVEL:
        return set_level(optarg);
    case FORMAT:
        return set_format(optarg);
    default:
        return -1;
    }
}

int main(int argc, char **argv)
{
    struct ctl_options options = {.lease_ns = CTL_SUBNET_NS,
                                  .lease_name = CTL_NAME,
                                  .listen = ":9480",
                                  .webhook_listen = ":9443",
                                  .webhook_service = CTL_NAME "-webhook",
                                  .webhook_ns = CTL_SUBNET_NS,
                                  .is_multus = true};
    int option;

    while ((option = getopt_long(argc, argv, "", table, NULL)) >= 0) {
        if (option == HELP || option == VERSION) {
            (void)fputs(option == HELP ? usage : CTL_NAME " " FLATNET_VERSION "\n", stdout);
            return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
        }
        if (set_option(&options, option) < 0)
            return EXIT_USAGE;
    }
    if (optind < argc) {
        fprintf(stderr, "network-controller: unexpected argument '%s'; see --help\n", argv[optind]);
        return EXIT_USAGE;
    }
    http_global_init();
    return ctl_run(&options);
}
