/* Whose a pod is. */
#include "ctl_pod.h"

#include "svc_scene.h"

static struct ctl_pod *make(const char *name, const char *labels, const char *owner)
{
    auto_free char *text = xasprintf(
        "{'metadata':{'namespace':'shop','name':'%s','uid':'u','labels':{%s},'annotations':{"
        "'macvlan.pandaria.cattle.io/ip':'auto','macvlan.pandaria.cattle.io/subnet':'lan'},"
        "'ownerReferences':[{'kind':'Node','name':'n','uid':'u-n'}%s%s]}}",
        name, labels, *owner ? "," : "", owner);
    auto_json cJSON *object = quoted_json(text);
    struct ctl_pod *pod = ctl_pod_new(object, false);

    assert_non_null(pod);
    return pod;
}

static void a_pod_is_its_workloads(void **state)
{
    static const struct {
        const char *labels, *owner; /* of pod "web-1" */
        const char *kind, *name;
        bool is_of;
    } table[] = {
        {"'pod-template-hash':'7d4b'", "{'kind':'ReplicaSet','name':'web-7d4b','controller':true}",
         "Deployment", "web", true},
        {"'pod-template-hash':'7d4b'", "{'kind':'ReplicaSet','name':'web-7d4b','controller':true}",
         "Deployment", "web-7d4b", false},
        {"'pod-template-hash':'7d4b'", "{'kind':'ReplicaSet','name':'web-7d4b','controller':true}",
         "StatefulSet", "web", false},
        {"", "{'kind':'ReplicaSet','name':'web-7d4b','controller':true}", "Deployment", "web",
         false},
        {"", "{'kind':'ReplicaSet','name':'web-7d4b','controller':true}", "ReplicaSet", "web-7d4b",
         true},
        {"'pod-template-hash':'web'", "{'kind':'ReplicaSet','name':'web','controller':true}",
         "Deployment", "", false},
        {"'pod-template-hash':'4b'", "{'kind':'ReplicaSet','name':'web-7d4b','controller':true}",
         "Deployment", "web-", false},
        {"", "{'kind':'StatefulSet','name':'web','uid':'s','controller':true}", "StatefulSet",
         "web", true},
        {"", "{'kind':'StatefulSet','name':'web','uid':'s','controller':true}", "Pod", "web-1",
         false},
        {"", "{'kind':'DaemonSet','name':'web','controller':true}", "DaemonSet", "web", true},
        {"", "{'kind':'DaemonSet','name':'web','controller':true}", "DaemonSet", "web2", false},
        {"", "{'kind':'DaemonSet','name':'web'}", "DaemonSet", "web", false},
        {"", "{'kind':'Job','name':'web-1600000','controller':true}", "Job", "web-1600000", true},
        {"", "{'kind':'Job','name':'web-1600000','controller':true}", "Job", "web", false},
        {"", "{'kind':'Job','name':'web-1600000','controller':true}", "CronJob", "web", true},
        {"", "{'kind':'Job','name':'web-b','controller':true}", "CronJob", "web", false},
        {"", "{'kind':'Job','name':'web-','controller':true}", "CronJob", "web", false},
        {"", "{'kind':'Job','name':'web','controller':true}", "CronJob", "web", false},
        {"", "", "Pod", "web-1", true},
        {"", "", "Pod", "", false},
        {"", "", "StatefulSet", "web", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct ctl_pod *pod = make("web-1", table[i].labels, table[i].owner);

        if (ctl_pod_is_of(pod, table[i].kind, table[i].name) != table[i].is_of)
            fail_msg("row %zu: %s '%s'", i, table[i].kind, table[i].name);
        ctl_pod_free(pod);
    }
}

static void a_stateful_set_is_known_by_its_uid(void **state)
{
    struct ctl_pod *pod =
        make("web-1", "", "{'kind':'StatefulSet','name':'web','uid':'s','controller':true}");

    (void)state;
    assert_string_equal(pod->set_name, "web");
    assert_string_equal(pod->set_uid, "s");
    ctl_pod_free(pod);
    pod = make("web-1", "", "{'kind':'DaemonSet','name':'web','uid':'s','controller':true}");
    assert_null(pod->set_name);
    assert_null(pod->set_uid);
    ctl_pod_free(pod);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_is_its_workloads),
        cmocka_unit_test(a_stateful_set_is_known_by_its_uid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
