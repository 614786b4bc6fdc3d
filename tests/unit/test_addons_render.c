/*
 * The rendered addons, for every image set, mode and version: that they are what Kubernetes of that
 * version takes, that they name only images of the set, and what every workload must have.
 */
#include "addons_cluster.h"
#include "addons_render.h"
#include "imageset.h"
#include "mem.h"
#include "yamlimages.h"
#include "yamltree.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATH(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void render(const struct addons_options *o, struct addons_files *files, struct findings *f)
{
    auto_addons_settings struct addons_settings s = {.iface_args = NULL};
    auto_err struct err *e = NULL;

    if (addons_settings_parse(o, &s, &e) < 0 || addons_render(&s, files, f, &e) < 0)
        fail_msg("%s %s %s: %s", o->set, o->mode, o->kube_version, err_text(e));
}

/* Calls `check` with every rendering that there is. */
static void each_rendering(void (*check)(const struct addons_options *o,
                                         const struct addons_files *files))
{
    static const char *const modes[] = {"multus", "chained"};
    static const char *const ifaces[] = {"ens4", NULL};
    const char *const *sets = imageset_names();

    for (size_t i = 0; sets[i]; i++)
        for (int j = 0; j < 8; j++)
            for (int minor = 11; minor <= ADDONS_KUBE_NEWEST; minor++) {
                auto_addons_files struct addons_files files = {.n_items = 0};
                auto_findings struct findings f = {.n_items = 0};
                auto_free char *version = xasprintf("1.%d", minor);
                struct addons_options o = {.set = sets[i],
                                           .kube_version = version,
                                           .mode = modes[j % 2],
                                           .ifaces = j % 4 < 2 ? NULL : ifaces,
                                           .has_webhook = j >= 4};

                if ((!strcmp(sets[i], "current") && minor < 16) ||
                    (!strcmp(sets[i], "2019-original") && (j % 2 || j >= 4)))
                    continue;
                render(&o, &files, &f);
                check(&o, &files);
            }
}

static const struct addons_file *find(const struct addons_files *files, const char *name)
{
    for (size_t i = 0; i < files->n_items; i++)
        if (!strcmp(files->items[i].name, name))
            return &files->items[i];
    return NULL;
}

static void parse(const struct addons_file *file, struct yamltree *t)
{
    auto_err struct err *e = NULL;

    assert_non_null(file);
    if (yamltree_parse(file->text, file->len, t, &e) < 0)
        fail_msg("%s: %s", file->name, err_text(e));
}

/* --- files --- */

static void check_files(const struct addons_options *o, const struct addons_files *files)
{
    auto_buf struct buf sum;

    buf_init(&sum, 1 << 20);
    assert_string_equal(files->items[0].name, "multus-flannel-macvlan.yml");
    assert_string_equal(files->items[1].name, "macvlan-network.yml");
    assert_string_equal(files->items[0].text, files->items[1].text);
    for (size_t i = 0; i < files->n_items; i++) {
        const struct addons_file *file = &files->items[i];

        assert_int_equal(file->len, strlen(file->text));
        assert_null(strstr(file->text, "#@"));
        assert_null(strchr(file->text, '@'));
        if (i > 1 && !strstr(file->name, "-roles"))
            (void)buf_addstr(&sum, file->text);
    }
    /* The whole is a line that says how it was made, and the parts. */
    assert_string_equal(strchr(files->items[0].text, '\n') + 1, sum.data);
    assert_int_equal(find(files, "multus-daemonset.yml") != NULL, !strcmp(o->mode, "multus"));
    assert_int_equal(find(files, "k8s-net-attach-def-controller.yml") != NULL,
                     !strcmp(o->set, "2019-original"));
}

static void come_whole_and_in_parts(void **state)
{
    (void)state;
    each_rendering(check_files);
}

static void are_the_same_each_time(void **state)
{
    static const struct addons_options o = {.kube_version = "1.20"};
    auto_addons_files struct addons_files a = {.n_items = 0}, b = {.n_items = 0};
    auto_findings struct findings f = {.n_items = 0};

    (void)state;
    render(&o, &a, &f);
    render(&o, &b, &f);
    assert_int_equal(a.n_items, b.n_items);
    for (size_t i = 0; i < a.n_items; i++)
        assert_string_equal(a.items[i].text, b.items[i].text);
}

/* --- images --- */

static void check_images(const struct addons_options *o, const struct addons_files *files)
{
    auto_yamlimages struct yamlimages used = {.n_items = 0};
    auto_imagelist struct imagelist list = {.n_entries = 0};
    auto_findings struct findings f = {.n_items = 0};
    auto_buf struct buf text;

    buf_init(&text, 1 << 20);
    assert_int_equal(imageset_text(o->set, FLATNET_VERSION, &text, NULL), 0);
    assert_int_equal(imagelist_add_text(&list, o->set, text.data, text.len, &f, NULL), 0);
    yamlimages_add(&used, "x", files->items[0].text, files->items[0].len, &f);
    yamlimages_crosscheck(&used, &list, false, &f);
    if (f.count[FINDING_ERROR])
        fail_msg("%s %s: %s", o->set, o->mode, f.items[0].text);
    /* With multus, every image of the set is of use. */
    if (!strcmp(o->mode, "multus") && f.count[FINDING_NOTE])
        fail_msg("%s %s: %s", o->set, o->mode, f.items[0].text);
}

static void name_the_images_of_their_set(void **state)
{
    (void)state;
    each_rendering(check_images);
}

static void name_them_below_a_registry(void **state)
{
    static const struct addons_options o = {.registry = "harbor.example/team"};
    auto_addons_files struct addons_files files = {.n_items = 0};
    auto_yamlimages struct yamlimages used = {.n_items = 0};
    auto_findings struct findings f = {.n_items = 0};

    (void)state;
    render(&o, &files, &f);
    yamlimages_add(&used, "x", files.items[0].text, files.items[0].len, &f);
    assert_int_equal(f.n_items, 0);
    assert_int_equal(used.n_items, 5);
    for (size_t i = 0; i < used.n_items; i++)
        assert_int_equal(strncmp(used.items[i].name, "harbor.example/team/", 20), 0);
    assert_non_null(
        strstr(files.items[0].text, "image: harbor.example/team/coreos/flannel:v0.10.0-amd64\n"));
}

/* --- workloads --- */

static void check_container(const struct yamlnode *c, bool has_probes)
{
    assert_non_null(yamlnode_str(yamlnode_get(c, "name")));
    assert_string_equal(yamlnode_str(yamlnode_get(c, "imagePullPolicy")), "IfNotPresent");
    assert_non_null(yamlnode_path(c, PATH("resources", "requests", "cpu")));
    assert_non_null(yamlnode_path(c, PATH("resources", "requests", "memory")));
    if (!has_probes)
        return;
    assert_non_null(yamlnode_get(c, "livenessProbe"));
    assert_non_null(yamlnode_get(c, "readinessProbe"));
}

static void check_workload(const struct yamlnode *doc, bool is_agent)
{
    const struct yamlnode *spec = yamlnode_path(doc, PATH("spec", "template", "spec"));
    const struct yamlnode *containers = yamlnode_get(spec, "containers");
    const struct yamlnode *init = yamlnode_get(spec, "initContainers");
    const struct yamlnode *tolerations = yamlnode_get(spec, "tolerations");

    assert_string_equal(yamlnode_str(yamlnode_get(doc, "apiVersion")), "apps/v1");
    assert_non_null(yamlnode_path(doc, PATH("spec", is_agent ? "updateStrategy" : "strategy")));
    assert_string_equal(yamlnode_str(yamlnode_get(spec, "priorityClassName")),
                        is_agent ? "system-node-critical" : "system-cluster-critical");
    assert_true(tolerations && tolerations->n_items > 0);
    if (is_agent) {
        /* One toleration without key and effect bears every taint. */
        assert_int_equal(tolerations->n_items, 1);
        assert_int_equal(tolerations->items[0]->n_items, 2);
        assert_string_equal(yamlnode_str(yamlnode_get(tolerations->items[0], "operator")),
                            "Exists");
    }
    assert_true(containers && containers->n_items > 0);
    for (size_t i = 0; i < containers->n_items; i++)
        check_container(containers->items[i], true);
    for (size_t i = 0; init && i < init->n_items; i++)
        check_container(init->items[i], false);
}

/* The one label that the selector has must be the template's too, and no other workload's. */
static void check_selector(const struct yamlnode *doc, struct buf *seen)
{
    const struct yamlnode *match = yamlnode_path(doc, PATH("spec", "selector", "matchLabels"));
    const struct yamlnode *labels =
        yamlnode_path(doc, PATH("spec", "template", "metadata", "labels"));
    auto_free char *pair = NULL;

    assert_true(match && match->n_items == 2);
    pair = xasprintf("|%s=%s|", match->items[0]->text, match->items[1]->text);
    assert_string_equal(yamlnode_str(yamlnode_get(labels, match->items[0]->text)),
                        match->items[1]->text);
    if (strstr(seen->data, pair))
        fail_msg("two workloads select %s", pair);
    (void)buf_addstr(seen, pair);
}

static void check_workloads(const struct addons_options *o, const struct addons_files *files)
{
    auto_yamltree struct yamltree t = {.n_documents = 0};
    auto_buf struct buf selectors;
    size_t n = 0;

    buf_init(&selectors, 4096);
    parse(&files->items[0], &t);
    for (size_t i = 0; i < t.n_documents; i++) {
        const char *kind = yamlnode_str(yamlnode_get(t.documents[i], "kind"));

        assert_non_null(kind);
        if (strcmp(kind, "DaemonSet") != 0 && strcmp(kind, "Deployment") != 0)
            continue;
        check_workload(t.documents[i], !strcmp(kind, "DaemonSet"));
        check_selector(t.documents[i], &selectors);
        n++;
    }
    assert_int_equal(n, 3 + !strcmp(o->mode, "multus") + !strcmp(o->set, "2019-original"));
}

static void have_what_every_workload_needs(void **state)
{
    (void)state;
    each_rendering(check_workloads);
}

/* --- versions --- */

/* The API group and version of each kind, as those versions of Kubernetes serve them. */
static bool is_served(const char *api, const char *kind, int minor)
{
    if (!strcmp(kind, "CustomResourceDefinition"))
        return !strcmp(api,
                       minor < 16 ? "apiextensions.k8s.io/v1beta1" : "apiextensions.k8s.io/v1");
    if (!strcmp(kind, "DaemonSet") || !strcmp(kind, "Deployment"))
        return !strcmp(api, "apps/v1");
    if (!strncmp(kind, "ClusterRole", 11) || !strncmp(kind, "Role", 4))
        return !strcmp(api, "rbac.authorization.k8s.io/v1");
    if (!strcmp(kind, "ValidatingWebhookConfiguration"))
        return !strcmp(api, minor < 16 ? "admissionregistration.k8s.io/v1beta1"
                                       : "admissionregistration.k8s.io/v1");
    if (!strcmp(kind, "Service"))
        return !strcmp(api, "v1");
    return !strcmp(api, "v1") && (!strcmp(kind, "ServiceAccount") || !strcmp(kind, "ConfigMap"));
}

static void check_apis(const struct addons_options *o, const struct addons_files *files)
{
    int minor = (int)strtol(o->kube_version + 2, NULL, 10);

    for (size_t i = 0; i < files->n_items; i++) {
        auto_yamltree struct yamltree t = {.n_documents = 0};

        if (!strcmp(files->items[i].name, "rancher-roles.yml"))
            continue;
        parse(&files->items[i], &t);
        for (size_t d = 0; d < t.n_documents; d++) {
            const char *api = yamlnode_str(yamlnode_get(t.documents[d], "apiVersion"));
            const char *kind = yamlnode_str(yamlnode_get(t.documents[d], "kind"));

            assert_true(api && kind);
            if (!is_served(api, kind, minor))
                fail_msg("1.%d: %s %s", minor, api, kind);
        }
    }
}

static void use_apis_of_the_version(void **state)
{
    (void)state;
    each_rendering(check_apis);
}

static void differ_by_version(void **state)
{
    static const struct {
        const char *version, *has, *has_not;
    } table[] = {
        {"1.13", "    JSONPath: .spec.subnet\n", "jsonPath"},
        {"1.15", "  validation:\n      openAPIV3Schema:\n", "served: true"},
        {"1.16", "      jsonPath: .spec.subnet\n", "JSONPath"},
        {"1.13", "        beta.kubernetes.io/arch: amd64\n", "        kubernetes.io/arch"},
        {"1.14", "        kubernetes.io/arch: amd64\n", "beta.kubernetes.io"},
        {"1.13", "--leader-elect-resource-lock=configmaps\n", "leases"},
        {"1.14", "--leader-elect-resource-lock=leases\n", "[\"configmaps\"]"},
        {"1.16", "endpoints", "endpointslices"},
        {"1.17", "endpointslices", "JSONPath"},
        {"1.11", "  failurePolicy: Ignore\n", "sideEffects"},
        {"1.12", "  sideEffects: None\n", "\n  timeoutSeconds"},
        {"1.14", "\n  timeoutSeconds: 5\n", "admissionReviewVersions"},
        {"1.16", "  admissionReviewVersions: [\"v1\", \"v1beta1\"]\n",
         "admissionregistration.k8s.io/v1beta1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct addons_options o = {.kube_version = table[i].version, .has_webhook = true};
        auto_addons_files struct addons_files files = {.n_items = 0};
        auto_findings struct findings f = {.n_items = 0};

        render(&o, &files, &f);
        if (!strstr(files.items[0].text, table[i].has))
            fail_msg("%zu: '%s' is missing", i, table[i].has);
        if (strstr(files.items[0].text, table[i].has_not))
            fail_msg("%zu: '%s' is there", i, table[i].has_not);
    }
}

/* The controller with and without its webhook, by what the option adds. */
static void have_a_webhook_only_where_asked_for(void **state)
{
    static const char *const added[] = {"        - --webhook\n",
                                        "containerPort: 9443\n",
                                        "kind: Service\n",
                                        "kind: ValidatingWebhookConfiguration\n",
                                        "resources: [\"secrets\"]\n",
                                        "resources: [\"validatingwebhookconfigurations\"]\n"};

    (void)state;
    for (int j = 0; j < 2; j++) {
        struct addons_options o = {.kube_version = "1.20", .has_webhook = j == 1};
        auto_addons_files struct addons_files files = {.n_items = 0};
        auto_findings struct findings f = {.n_items = 0};

        render(&o, &files, &f);
        for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++)
            assert_int_equal(strstr(files.items[0].text, added[i]) != NULL, j == 1);
    }
}

static void warn_about_old_multus(void **state)
{
    static const struct {
        struct addons_options o;
        size_t warnings;
    } table[] = {
        {{.kube_version = "1.20"}, 0},
        {{.kube_version = "1.21"}, 1},
        {{.kube_version = "1.21", .mode = "chained"}, 0},
        {{.kube_version = "1.21", .set = "2019-original"}, 1},
        {{.kube_version = "1.21", .set = "current"}, 0},
        {{.kube_version = "1.99", .set = "current"}, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_addons_files struct addons_files files = {.n_items = 0};
        auto_findings struct findings f = {.n_items = 0};

        render(&table[i].o, &files, &f);
        assert_int_equal(f.count[FINDING_WARNING], table[i].warnings);
        assert_int_equal(f.n_items, table[i].warnings);
    }
}

/* --- settings that show in the text --- */

static void pass_on_the_interface(void **state)
{
    static const char *const ifaces[] = {"ens4", NULL}, *const regexes[] = {"^10\\.1\\.", NULL};
    static const struct addons_options o = {.ifaces = ifaces, .iface_regexes = regexes},
                                       plain = {.set = NULL};
    auto_addons_files struct addons_files with = {.n_items = 0}, without = {.n_items = 0};
    auto_findings struct findings f = {.n_items = 0};

    (void)state;
    render(&o, &with, &f);
    render(&plain, &without, &f);
    assert_non_null(strstr(find(&with, "flannel-daemonset.yml")->text,
                           "        - --kube-subnet-mgr\n"
                           "        - --iface=ens4\n"
                           "        - '--iface-regex=^10\\.1\\.'\n"
                           "        resources:\n"));
    assert_non_null(strstr(find(&without, "flannel-daemonset.yml")->text,
                           "        - --kube-subnet-mgr\n"
                           "        # - --iface=eth0\n"
                           "        resources:\n"));
}

/* Someone must write flannel's configuration, and in the mode multus nobody may. */
static void supply_flannel_where_nobody_else_does(void **state)
{
    static const struct {
        struct addons_options o;
        bool has;
    } table[] = {
        {{.mode = "multus"}, false},
        {{.mode = "chained"}, true},
        {{.mode = "multus", .set = "2019-original"}, false},
        {{.mode = "multus", .set = "current"}, true}, /* multus 4 takes it from there */
        {{.mode = "chained", .set = "current"}, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_addons_files struct addons_files files = {.n_items = 0};
        auto_findings struct findings f = {.n_items = 0};
        const char *text;

        render(&table[i].o, &files, &f);
        text = find(&files, "flannel-daemonset.yml")->text;
        assert_int_equal(strstr(text, "/etc/cni/net.d/10-flannel.conflist") != NULL, table[i].has);
        assert_int_equal(strstr(text, "\"type\": \"flannel\"") != NULL, table[i].has);
    }
}

static void print_cluster_yaml(void **state)
{
    static const struct addons_options plain = {.set = NULL},
                                       other = {.pod_cidr = "172.20.0.0/16",
                                                .service_cidr = "172.21.0.0/16"};
    static const char *const old[] = {"macvlan-network.yml", NULL},
                             *const new[] = {"multus-flannel-macvlan.yml", NULL};
    static const struct addons_places path = {.folder = "/x/", .names = old},
                                      url = {.folder = "/x",
                                             .url = "http://w.example/a",
                                             .names = new};
    auto_addons_settings struct addons_settings a = {.iface_args = NULL}, b = {.iface_args = NULL};
    auto_buf struct buf out;

    (void)state;
    buf_init(&out, 4096);
    assert_int_equal(addons_settings_parse(&plain, &a, NULL), 0);
    assert_int_equal(addons_settings_parse(&other, &b, NULL), 0);
    addons_cluster_text(&a, ADDONS_RKE, &path, &out);
    assert_string_equal(out.data, "network:\n"
                                  "  plugin: none\n"
                                  "addons_include:\n"
                                  "  - /x/macvlan-network.yml\n");
    buf_clear(&out);
    addons_cluster_text(&b, ADDONS_RANCHER, &url, &out);
    assert_string_equal(out.data, "rancher_kubernetes_engine_config:\n"
                                  "  network:\n"
                                  "    plugin: none\n"
                                  "  services:\n"
                                  "    kube-api:\n"
                                  "      service_cluster_ip_range: 172.21.0.0/16\n"
                                  "    kube-controller:\n"
                                  "      cluster_cidr: 172.20.0.0/16\n"
                                  "      service_cluster_ip_range: 172.21.0.0/16\n"
                                  "    kubelet:\n"
                                  "      cluster_dns_server: 172.21.0.10\n"
                                  "  addons_include:\n"
                                  "    - /x/multus-flannel-macvlan.yml\n"
                                  "    # or, from a web server:\n"
                                  "    # - http://w.example/a/multus-flannel-macvlan.yml\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(come_whole_and_in_parts),
        cmocka_unit_test(are_the_same_each_time),
        cmocka_unit_test(name_the_images_of_their_set),
        cmocka_unit_test(name_them_below_a_registry),
        cmocka_unit_test(have_what_every_workload_needs),
        cmocka_unit_test(use_apis_of_the_version),
        cmocka_unit_test(differ_by_version),
        cmocka_unit_test(have_a_webhook_only_where_asked_for),
        cmocka_unit_test(warn_about_old_multus),
        cmocka_unit_test(pass_on_the_interface),
        cmocka_unit_test(supply_flannel_where_nobody_else_does),
        cmocka_unit_test(print_cluster_yaml),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
