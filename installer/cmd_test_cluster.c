/* flatnet test cluster: probe pods on the subnets of a cluster, each against all others. */
#include "cluster.h"
#include "cluster_test.h"
#include "conn_pairs.h"
#include "interrupt.h"
#include "json.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NODES "/api/v1/nodes"
#define SUBNETS "/apis/macvlan.cluster.cattle.io/v1/macvlansubnets"
#define KUBE_DNS "/api/v1/namespaces/kube-system/services/kube-dns"
#define SPACES "/api/v1/namespaces?labelSelector=" TESTPODS_LABEL
#define DEFAULT_NODES 2
/* A kubelet keeps a pod that has ended for up to a minute, and takes its time on a busy node: some
 * times what a start may take. */
#define CLOSE_FACTOR 3

static struct cluster_options where;
static struct cli_list subnets, nodes;
static const char *image, *registry, *pull_secret, *junit;
static bool all_nodes, is_routed, keep, no_wait;
static int ready_s = 120, timeout_s = 1, count = 3;

static const struct conn_check checks[] = {
    {"start", "the probe pods run and can be asked"},
    {"address", "their interface has the address and MAC of their MacvlanIP"},
    {"route", "their default route leads by the right interface"},
    {"same-node", "pods of a subnet on one node reach each other"},
    {"cross-node", "pods of a subnet on different nodes reach each other"},
    {"namespace", "pods of a subnet in different namespaces reach each other"},
    {"isolation", "pods of different VLANs do not"},
    {"routed", "with --routed: they do, by the router"},
    {"gateway", "the subnet's gateway answers"},
    {"duplicate", "one MAC answers ARP for each address"},
    {"overlay", "pods reach each other across nodes by eth0"},
    {"mtu", "packets of full size pass between nodes"},
    {"service", "a service is reached by eth0"},
    {"macvlan-service", "its -macvlan companion has the pods' addresses, and they are reached"},
    {"dns", "names of services are found"},
    {"fixed", "a fixed address and MAC are kept over a restart"},
    {0},
};
static struct conn_choice choice = {.checks = checks};

static const struct cli_option table[] = {
    CLUSTER_OPTIONS(where),
    {"subnet", 's', CLI_LIST, "NAME", &subnets, "a subnet (several times; default: all)"},
    {"node", 0, CLI_LIST, "NAME", &nodes, "a node (several times; default: the first two ready)"},
    {"all-nodes", 0, CLI_FLAG, NULL, &all_nodes, "every node that is ready"},
    {"routed", 0, CLI_FLAG, NULL, &is_routed, "a router joins the VLANs: pods of all must reach"},
    {"image", 0, CLI_STRING, "REF", &image,
     "the probe's image (flatnet/flatnet:" FLATNET_VERSION ")"},
    {"registry", 0, CLI_STRING, "HOST[/PREFIX]", &registry, "where the image is"},
    {"image-pull-secret", 0, CLI_STRING, "NAME", &pull_secret, "for that registry"},
    {"ready-timeout", 0, CLI_INT, "S", &ready_s, "seconds until pods have to run (120)"},
    {"timeout", 0, CLI_INT, "S", &timeout_s, "seconds to wait for an answer (1)"},
    {"count", 0, CLI_INT, "N", &count, "pings of each pair (3)"},
    {"only", 0, CLI_LIST, "NAME[,NAME]", &choice.only, "these checks and no others"},
    {"skip", 0, CLI_LIST, "NAME[,NAME]", &choice.skip, "all checks but these"},
    {"keep", 0, CLI_FLAG, NULL, &keep, "leave the probe pods where they are"},
    {"no-wait", 0, CLI_FLAG, NULL, &no_wait, "do not wait until the probe pods are gone"},
    {"junit", 0, CLI_STRING, "FILE", &junit, "write the results as JUnit XML, too"},
    {0},
};

static const struct cli_verb verb = {
    .path = "test cluster",
    .args = "[--subnet NAME]... [options]",
    .summary = "test pods of the cluster's subnets against each other",
    .text =
        "Starts probe pods from flatnet's own image in namespaces of its own, and removes them\n"
        "afterwards, also after an interrupt.\n\n"
        "Checks: start, address, route, same-node, cross-node, namespace, isolation, routed,\n"
        "gateway, duplicate, overlay, mtu, service, macvlan-service, dns, fixed.\n\n"
        "Exit status: 0 all is as expected, 3 something is not.",
    .options = table,
};

/* --- what is there --- */

static bool is_usable(const cJSON *node)
{
    const cJSON *condition;

    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json_get_obj(node, "spec"), "unschedulable")))
        return false;
    cJSON_ArrayForEach(condition, json_get_arr(json_get_obj(node, "status"), "conditions"))
    {
        const char *type = json_get_str(condition, "type");
        const char *status = json_get_str(condition, "status");

        if (type && status && !strcmp(type, "Ready"))
            return !strcmp(status, "True");
    }
    return false;
}

static const cJSON *find_node(const cJSON *items, const char *name)
{
    const cJSON *node;

    cJSON_ArrayForEach(node, items)
    {
        const char *has = json_get_str(json_get_obj(node, "metadata"), "name");

        if (has && !strcmp(has, name))
            return node;
    }
    return NULL;
}

/* Names borrowed from `items`, in *out_names to be freed. */
static int choose_nodes(const cJSON *items, char ***out_names, size_t *out_count, struct err **e)
{
    const cJSON *node;
    char **names = NULL;
    size_t n = 0;

    for (size_t i = 0; i < nodes.count; i++) {
        if (!find_node(items, nodes.items[i]) || !is_usable(find_node(items, nodes.items[i]))) {
            free(names);
            return err_set(e, -EINVAL, "'--node' has '%s', which is no node that is ready",
                           nodes.items[i]);
        }
        array_grow(names, n);
        names[n++] = (char *)(uintptr_t)nodes.items[i];
    }
    cJSON_ArrayForEach(node, items)
    {
        const char *name = json_get_str(json_get_obj(node, "metadata"), "name");

        if (nodes.count || !name || !is_usable(node) || (!all_nodes && n == DEFAULT_NODES))
            continue;
        array_grow(names, n);
        names[n++] = (char *)(uintptr_t)name;
    }
    if (!n)
        return err_set(e, -ENOENT, "no node is ready");
    *out_names = names;
    *out_count = n;
    return 0;
}

static int plan(struct testpods *t, struct flannel_nodes *out_nodes, struct err **e)
{
    auto_json cJSON *all_subnets = NULL, *all = NULL;
    auto_free char **names = NULL;
    size_t n = 0;
    int r = kube_list(t->kube, SUBNETS, &all_subnets, e);

    if (r == -ENOENT)
        return err_set(e, r, "the cluster has no MacvlanSubnets; see 'flatnet deploy'");
    if (r == 0)
        r = testnets_read(all_subnets, subnets.items, t, e);
    if (r == 0)
        r = kube_list(t->kube, NODES, &all, e);
    if (r == 0)
        r = choose_nodes(all, &names, &n, e);
    if (r < 0)
        return r;
    testpods_plan(t, names, n);
    flannel_nodes_read(all, out_nodes);
    return 0;
}

static void warn_of_leftovers(struct testpods *t)
{
    auto_json cJSON *spaces = NULL;
    const cJSON *space;

    (void)kube_list(t->kube, SPACES, &spaces, NULL);
    cJSON_ArrayForEach(space, spaces)
    {
        const char *name = json_get_str(json_get_obj(space, "metadata"), "name");

        if (name && !json_get_str(json_get_obj(space, "metadata"), "deletionTimestamp"))
            log_warn("namespace '%s' is of another run, or of one that was killed: kubectl delete "
                     "namespace %s",
                     name, name);
    }
}

/* --- the run --- */

static int wait_for_all(struct testpods *t, struct err **e)
{
    auto_free struct testpod **all = xcalloc(t->n_pods, sizeof(struct testpod *));

    for (size_t i = 0; i < t->n_pods; i++)
        all[i] = &t->pods[i];
    return testpods_wait(t, all, t->n_pods, ready_s, e);
}

static int start_pods(struct cluster_test *t, struct err **e)
{
    struct testpods *pods = t->pods;
    int r = testpods_open(pods, e);

    for (size_t i = 0; r == 0 && i < pods->n_pods; i++)
        r = testpods_create(pods, &pods->pods[i], e);
    log_info("%zu pods on %zu subnets", pods->n_pods, pods->n_nets);
    if (r == 0)
        r = wait_for_all(pods, e);
    return r;
}

static int ask_pairs(struct cluster_test *t, struct conn_pairs *pairs, struct err **e)
{
    conn_pairs_plan(t->pods, is_routed, t->mtus, pairs);
    for (size_t i = 0; i < t->pods->n_pods; i++) {
        const struct testpod *pod = &t->pods->pods[i];
        auto_json cJSON *question = NULL, *answer = NULL;
        auto_err struct err *why = NULL;
        int r;

        if (!pod->is_ready)
            continue;
        question = conn_pairs_question(pairs, pod, t->links[i], t->timeout_ms);
        if (!cJSON_GetArraySize(json_get_arr(question, "pings")))
            continue;
        r = testpods_ask(t->pods, pod, question, &answer, &why);
        if (r == 0)
            r = conn_pairs_answer(pairs, pod, answer, &why);
        if (r < 0 && cluster_test_is_over(r))
            return err_set(e, r, "%s", err_text(why));
        if (r < 0)
            conn_say(t->report, CONN_FAIL, "start", pod->name, "%s", err_text(why));
    }
    conn_pairs_judge(pairs, t->pods, t->report);
    return 0;
}

static bool wants_any(const char *a, const char *b, const char *c)
{
    return conn_wants(&choice, a) || conn_wants(&choice, b) || conn_wants(&choice, c);
}

static int run_checks(struct cluster_test *t, struct conn_pairs *pairs, struct err **e)
{
    auto_json cJSON *dns = NULL;
    int r = start_pods(t, e);

    if (r == 0)
        r = cluster_test_pods(t, e);
    if (r == 0)
        r = ask_pairs(t, pairs, e);
    if (r == 0 && conn_wants(&choice, "duplicate"))
        r = cluster_test_duplicates(t, e);
    t->has_dns = kube_get(t->pods->kube, KUBE_DNS, &dns, NULL) == 0;
    if (r == 0 && wants_any("service", "macvlan-service", "dns"))
        r = cluster_test_services(t, e);
    if (r == 0 && conn_wants(&choice, "fixed"))
        r = cluster_test_fixed(t, e);
    return r;
}

/* Also after an interrupt, which must not end the requests that clean up. */
static int clean_up(struct testpods *t, int status, struct err **e)
{
    auto_err struct err *why = NULL;

    if (keep) {
        log_info("the probe pods stay: kubectl delete namespace -l " TESTPODS_LABEL "=%s", t->run);
        return status;
    }
    kube_client_cancel_when(t->kube, NULL);
    if (testpods_close(t, no_wait ? 0 : ready_s * CLOSE_FACTOR, &why) == 0)
        return status;
    if (status >= 0)
        return err_set(e, why->status, "%s", why->msg);
    log_warn("%s; remove them with kubectl delete namespace -l " TESTPODS_LABEL "=%s", why->msg,
             t->run);
    return status;
}

static void print(const struct testpods *t, const struct conn_pairs *pairs,
                  const struct conn_report *report)
{
    auto_json cJSON *root = NULL;
    auto_free char *text = NULL;

    if (!cli_common.json) {
        if (!cli_common.quiet)
            conn_pairs_print(pairs, t);
        conn_print(report);
        return;
    }
    root = cJSON_CreateObject();
    json_add_int(root, "schemaVersion", 1);
    conn_pairs_add_json(root, pairs);
    conn_add_json(root, report);
    text = json_print(root);
    (void)printf("%s\n", text);
}

/* Returns `status` where that is an error already, whose text is in *e. */
static int write_junit(const struct conn_report *report, int status, struct err **e)
{
    auto_err struct err *why = NULL;
    int r = conn_write_junit(report, "flatnet test cluster", junit, &why);

    if (r < 0 && status < 0)
        log_warn("%s", err_text(why));
    return status < 0 || r == 0 ? status : err_set(e, r, "%s", err_text(why));
}

static int test(struct testpods *t, struct err **e)
{
    auto_conn_report struct conn_report report = {.choice = &choice};
    struct conn_pairs pairs = {.n_pings = (unsigned)count, .choice = &choice};
    struct cluster_test x = {.pods = t,
                             .report = &report,
                             .choice = &choice,
                             .ready_s = ready_s,
                             .timeout_ms = timeout_s * 1000};
    int checked, r = plan(t, &pairs.nodes, e);

    if (r < 0)
        return r;
    x.links = xcalloc(t->n_pods, sizeof(*x.links));
    x.mtus = xcalloc(t->n_pods, sizeof(*x.mtus));
    checked = run_checks(&x, &pairs, e);
    r = clean_up(t, checked, e);
    /* What was seen is told, whatever became of the probe pods. */
    if (checked == 0)
        print(t, &pairs, &report);
    if (checked == 0 && junit)
        r = write_junit(&report, r, e);
    conn_pairs_release(&pairs);
    free(x.links);
    free(x.mtus);
    return r < 0 ? r : conn_exit_status(&report);
}

static int check_numbers(struct err **e)
{
    if (count < 1 || count > 100)
        return err_set(e, -EINVAL, "'--count' takes 1 to 100, not %d", count);
    if (timeout_s < 1 || timeout_s > 60)
        return err_set(e, -EINVAL, "'--timeout' takes 1 to 60 seconds, not %d", timeout_s);
    if (ready_s < 1 || ready_s > 3600)
        return err_set(e, -EINVAL, "'--ready-timeout' takes 1 to 3600 seconds, not %d", ready_s);
    if (image && registry)
        return err_set(e, -EINVAL, "'--image' and '--registry' exclude each other");
    return 0;
}

static int run(struct err **e)
{
    auto_cluster struct cluster c = {.kube = NULL};
    auto_free char *own_image = xasprintf("%s%sflatnet/flatnet:%s", registry ? registry : "",
                                          registry ? "/" : "", FLATNET_VERSION);
    struct testpods t = {.image = image ? image : own_image, .pull_secret = pull_secret};
    uint32_t id = 0;
    int r = conn_choice_check(&choice, e);

    if (r == 0)
        r = check_numbers(e);
    if (r == 0)
        r = cluster_open(&where, &c, e);
    if (r < 0)
        return r;
    if (getrandom(&id, sizeof(id), 0) < 0)
        return err_set(e, -errno, "no random bytes: %s", strerror(errno));
    t.run = xasprintf("%06x", id & 0xffffff);
    t.kube = c.kube;
    warn_of_leftovers(&t);
    r = test(&t, e);
    testpods_release(&t);
    return r;
}

int cmd_test_cluster(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    char **args;
    int n, r = cli_parse(&verb, argc, argv, &args, &n, &e);

    if (r == 1)
        return EXIT_OK;
    if (r == 0)
        r = run(&e);
    cli_list_release(&subnets);
    cli_list_release(&nodes);
    cli_list_release(&choice.only);
    cli_list_release(&choice.skip);
    return r < 0 ? cli_fail(&verb, e) : r;
}
