/* Names and paths of what is deployed, verdicts about it, and what cleans the nodes. */
#include "deploy.h"
#include "deploy_health.h"
#include "deploy_object.h"
#include "json.h"
#include "mem.h"
#include "status.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include "yaml_json.h"

static void names_are_read_back(void **state)
{
    static const char *const good[] = {"DaemonSet kube-system/x", "ClusterRole a.b",
                                       "ConfigMap d/e"};
    static const char *const bad[] = {"",
                                      "DaemonSet",
                                      "DaemonSet x",
                                      "Pod a/b",
                                      "ClusterRole a/b",
                                      "ConfigMap ../x",
                                      "ConfigMap a/b/c",
                                      "DaemonSet /x",
                                      "ClusterRole A b"};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        auto_deploy_name struct deploy_name n = {.kind = NULL};
        auto_free char *text = NULL;

        assert_int_equal(deploy_name_parse(good[i], &n, NULL), 0);
        text = deploy_name_text(&n);
        assert_string_equal(text, good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct deploy_name n;

        assert_int_equal(deploy_name_parse(bad[i], &n, NULL), -EINVAL);
    }
}

static void paths_follow_the_version(void **state)
{
    const struct deploy_kind *crd = deploy_kind_find("CustomResourceDefinition");
    auto_free char *now = deploy_path(crd, 16, "", "x");
    auto_free char *before = deploy_path(crd, 15, "", NULL);
    auto_free char *core = deploy_path(deploy_kind_find("ConfigMap"), 20, "n", "x");

    (void)state;
    assert_string_equal(now, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x");
    assert_string_equal(before, "/apis/apiextensions.k8s.io/v1beta1/customresourcedefinitions");
    assert_string_equal(core, "/api/v1/namespaces/n/configmaps/x");
}

static void what_the_server_fills_in_is_written_out(void **state)
{
    cJSON *object = yaml("{kind: Deployment, metadata: {name: x}, spec: {template: {spec: "
                         "{containers: [{ports: [{containerPort: 1}]}]}}}}");

    (void)state;
    deploy_complete(object);
    assert_yaml(object,
                "{kind: Deployment, metadata: {name: x, labels: {app.kubernetes.io/managed-by: "
                "flatnet}}, spec: {template: {spec: {containers: [{ports: [{containerPort: 1, "
                "protocol: TCP}]}]}}}}");
}

static void fixed_fields_are_found(void **state)
{
    auto_json cJSON *a = yaml("{kind: DaemonSet, spec: {selector: {matchLabels: {a: b}}}}");
    auto_json cJSON *b = yaml("{kind: DaemonSet, spec: {selector: {matchLabels: {a: c}}}}");
    auto_json cJSON *c = yaml("{kind: RoleBinding, roleRef: {name: a}}");
    auto_json cJSON *d = yaml("{kind: RoleBinding, roleRef: {name: b}}");

    (void)state;
    assert_null(deploy_fixed_field(a, a));
    assert_string_equal(deploy_fixed_field(a, b), "spec.selector");
    assert_string_equal(deploy_fixed_field(c, d), "roleRef");
}

static void objects_are_judged(void **state)
{
    static const struct {
        const char *object;
        bool is_ready;
        const char *text;
    } table[] = {
        {"kind: ConfigMap", true, NULL},
        {"{kind: CustomResourceDefinition, status: {conditions: [{type: Established, status: "
         "'True'}]}}",
         true, NULL},
        {"{kind: CustomResourceDefinition, status: {conditions: [{type: NamesAccepted, message: m, "
         "status: 'False'}]}}",
         false, "not established: m"},
        {"{kind: DaemonSet, metadata: {generation: 2}, status: {observedGeneration: 1}}", false,
         "not yet seen by the controller-manager"},
        {"{kind: DaemonSet, metadata: {generation: 2}, status: {observedGeneration: 2, "
         "desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 2}}",
         false, "2 of 3 nodes ready"},
        {"{kind: DaemonSet, metadata: {generation: 2}, status: {observedGeneration: 2, "
         "desiredNumberScheduled: 3, updatedNumberScheduled: 2, numberAvailable: 3}}",
         false, "2 of 3 nodes updated"},
        {"{kind: DaemonSet, metadata: {generation: 2}, status: {observedGeneration: 2, "
         "desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 3}}",
         true, "3 of 3 nodes ready"},
        {"{kind: Deployment, spec: {replicas: 2}, status: {replicas: 3, updatedReplicas: 2, "
         "availableReplicas: 3}}",
         false, "1 old pods are still there"},
        {"{kind: Deployment, spec: {replicas: 2}, status: {replicas: 2, updatedReplicas: 2, "
         "availableReplicas: 1}}",
         false, "1 of 2 pods ready"},
        {"{kind: Deployment, spec: {replicas: 2}, status: {replicas: 2, updatedReplicas: 2, "
         "availableReplicas: 2}}",
         true, "2 of 2 pods ready"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_json cJSON *object = yaml(table[i].object);
        auto_health struct deploy_health h = {.text = NULL};

        deploy_health_of(object, &h);
        assert_int_equal(h.is_ready, table[i].is_ready);
        if (table[i].text)
            assert_string_equal(h.text, table[i].text);
        else
            assert_null(h.text);
    }
}

static void pods_say_why(void **state)
{
    /* spec and status, the cause, the container that says more */
    static const char *const table[][3] = {
        {"spec: {nodeName: w}\nstatus: {conditions: [{type: Ready, status: 'True'}]}", NULL, NULL},
        {"status: {conditions: [{type: PodScheduled, status: 'False', message: no room}]}",
         "pod 'p': not scheduled: no room", NULL},
        {"spec: {nodeName: w}\nstatus: {phase: Pending}",
         "node 'w': pod 'p': not ready (Pending); has its kubelet seen it?", NULL},
        {"spec: {nodeName: w}\nstatus: {containerStatuses: [{name: c, image: 'a/b:1', state: "
         "{waiting: {reason: ImagePullBackOff, message: no such host}}}]}",
         "node 'w': pod 'p': image 'a/b:1': ImagePullBackOff: no such host", NULL},
        {"spec: {nodeName: w}\nstatus: {containerStatuses: [{name: c, state: {waiting: {reason: "
         "CrashLoopBackOff}}, lastState: {terminated: {exitCode: 2, reason: Error}}}]}",
         "node 'w': pod 'p': container 'c': CrashLoopBackOff, exit status 2 (Error)", "c"},
        {"spec: {nodeName: w}\nstatus: {initContainerStatuses: [{name: i, state: {terminated: "
         "{exitCode: 0}}}], containerStatuses: [{name: c, ready: false, state: {running: {}}}]}",
         "node 'w': pod 'p': container 'c' runs but is not ready", "c"},
        {"spec: {nodeName: w}\nstatus: {initContainerStatuses: [{name: i, state: {terminated: "
         "{exitCode: 3}}}], containerStatuses: [{name: c, state: {waiting: {reason: "
         "PodInitializing}}}]}",
         "node 'w': pod 'p': container 'i': exit status 3", "i"},
        {"  deletionTimestamp: '2026-01-01T00:00:00Z'\nspec: {nodeName: w}\nstatus: "
         "{containerStatuses: [{name: c, state: {waiting: {reason: ContainerCreating}}, lastState: "
         "{terminated: {exitCode: 137}}}]}",
         "node 'w': pod 'p': is being deleted", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_free char *text = xasprintf("metadata:\n  name: p\n%s", table[i][0]);
        auto_json cJSON *pod = yaml(text);
        const char *speaks = NULL;
        auto_free char *cause = deploy_pod_cause(pod, &speaks);

        if (!table[i][1]) {
            assert_null(cause);
            continue;
        }
        assert_string_equal(cause, table[i][1]);
        if (table[i][2])
            assert_string_equal(speaks, table[i][2]);
        else
            assert_null(speaks);
    }
}

static cJSON *args_of(const cJSON *pod, const char *list)
{
    return cJSON_Duplicate(json_get_arr(json_get_arr(pod, list)->child, "args"), true);
}

static void the_cleanup_has_the_nodes_and_the_image_of_the_plugin(void **state)
{
    static const char *const files[] = {"70-multus.conf", NULL}, *const none[] = {NULL};
    struct deploy_cleanup c = {.files = files}, purge = {.files = none, .purges = true};
    auto_json cJSON *cni =
        yaml("kind: DaemonSet\nspec:\n  template:\n    spec:\n      hostNetwork: true\n"
             "      serviceAccountName: x\n      tolerations: [{operator: Exists}]\n"
             "      nodeSelector: {a: b}\n      volumes: [{name: cni}]\n      containers:\n"
             "      - {name: c, image: 'i:1', args: [install, --mode=chained, --conf-dir=/host/x, "
             "--bin-dir=/host/y], volumeMounts: [{name: cni}], livenessProbe: {x: 1}}\n");
    auto_json cJSON *other = yaml("{spec: {template: {spec: {containers: [{args: ['']}]}}}}");
    auto_json cJSON *made = deploy_cleanup_make(cni, &c), *all = deploy_cleanup_make(cni, &purge);
    const cJSON *pod = json_get_obj(json_get_obj(json_get_obj(made, "spec"), "template"), "spec");

    (void)state;
    assert_null(deploy_cleanup_make(other, &c));
    assert_yaml(cJSON_Duplicate(pod, true),
                "hostNetwork: true\ntolerations: [{operator: Exists}]\nnodeSelector: {a: b}\n"
                "volumes: [{name: cni}]\nautomountServiceAccountToken: false\ninitContainers:\n"
                "- {name: uninstall, image: 'i:1', volumeMounts: [{name: cni}], args: [uninstall, "
                "--conf-dir=/host/x, --also=70-multus.conf]}\ncontainers:\n"
                "- {name: stay, image: 'i:1', volumeMounts: [{name: cni}], args: [uninstall, "
                "--conf-dir=/host/x, --also=70-multus.conf, --stay]}\n");
    pod = json_get_obj(json_get_obj(json_get_obj(all, "spec"), "template"), "spec");
    assert_yaml(args_of(pod, "initContainers"),
                "[uninstall, --conf-dir=/host/x, --bin-dir=/host/y, --purge]");
    assert_yaml(args_of(pod, "containers"), "[uninstall, --conf-dir=/host/x, --stay]");
}

static bool has_finding(const struct findings *f, enum finding_level level, const char *text)
{
    for (size_t i = 0; i < f->n_items; i++)
        if (f->items[i].level == level && strstr(f->items[i].text, text))
            return true;
    return false;
}

static void what_is_wrong_is_found(void **state)
{
    auto_json cJSON *node = yaml("{metadata: {name: w}, status: {conditions: [{type: Ready, "
                                 "status: 'False'}]}}");
    auto_json cJSON *pods = yaml("[{metadata: {name: p}, spec: {nodeName: other}}]");
    auto_json cJSON *subnet = yaml("{metadata: {name: s}, status: {phase: Failed, message: m, "
                                   "total: 4, used: 4, free: 0}}");
    auto_findings struct findings f = {.n_items = 0}, none = {.n_items = 0};
    struct status_node n;
    struct status_subnet s;
    struct status_object o = {.is_ready = false, .text = (char[]){"missing"}};
    struct status st = {.objects = &o,
                        .n_objects = 1,
                        .nodes = &n,
                        .n_nodes = 1,
                        .subnets = &s,
                        .n_subnets = 1,
                        .has_leader = true,
                        .leader = {.holder = (char[]){"h"}}};
    struct status nothing = {.n_objects = 0};

    (void)state;
    assert_int_equal(deploy_name_parse("ClusterRole x", &o.name, NULL), 0);
    status_judge_node(node, pods, &n);
    status_judge_subnet(subnet, &s);
    st.site.rke_config = (char[]){"rke-user-addon"};
    status_judge(&st, &f);
    assert_true(has_finding(&f, FINDING_ERROR, "ClusterRole x: missing"));
    assert_true(has_finding(&f, FINDING_WARNING, "node 'w' is not Ready"));
    assert_true(has_finding(&f, FINDING_ERROR, "node 'w' has no working plugin: no pod"));
    assert_true(has_finding(&f, FINDING_ERROR, "'h' has the record and does not renew it"));
    assert_true(has_finding(&f, FINDING_ERROR, "subnet 's': m"));
    assert_true(has_finding(&f, FINDING_WARNING, "subnet 's' has no free address"));
    assert_true(has_finding(&f, FINDING_WARNING, "'rke-user-addon-deploy-job' puts"));
    status_judge(&nothing, &none);
    assert_true(has_finding(&none, FINDING_ERROR, "not deployed"));
    free(n.cause);
    deploy_name_release(&o.name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_back),
        cmocka_unit_test(paths_follow_the_version),
        cmocka_unit_test(what_the_server_fills_in_is_written_out),
        cmocka_unit_test(fixed_fields_are_found),
        cmocka_unit_test(objects_are_judged),
        cmocka_unit_test(pods_say_why),
        cmocka_unit_test(the_cleanup_has_the_nodes_and_the_image_of_the_plugin),
        cmocka_unit_test(what_is_wrong_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
