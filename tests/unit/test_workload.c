/* Patches for workloads: what they set, and that the opposite takes out exactly that. */
#include "workload.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define DEPLOYMENT (&netview_kinds[0])
#define SET (&netview_kinds[1])
#define DAEMONSET (&netview_kinds[2])
#define JOB (&netview_kinds[3])
#define CRONJOB (&netview_kinds[4])
#define OURS "[{\"name\":\"static-macvlan-cni-attach\",\"interface\":\"eth1\"}]"

static cJSON *parse(const char *text)
{
    cJSON *tree = NULL;

    if (json_parse(text, strlen(text), &tree, NULL) < 0)
        fail_msg("no JSON: %s", text);
    return tree;
}

/* RFC 7396. */
static void merge(cJSON *object, const cJSON *patch)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, patch)
    {
        cJSON *old = cJSON_GetObjectItemCaseSensitive(object, item->string);

        if (cJSON_IsObject(item)) {
            if (!cJSON_IsObject(old)) {
                cJSON_DeleteItemFromObjectCaseSensitive(object, item->string);
                old = cJSON_AddObjectToObject(object, item->string);
            }
            merge(old, item);
            continue;
        }
        cJSON_DeleteItemFromObjectCaseSensitive(object, item->string);
        if (!cJSON_IsNull(item))
            (void)cJSON_AddItemToObject(object, item->string, cJSON_Duplicate(item, 1));
    }
}

/* Empty objects that a patch leaves behind say nothing. */
static void drop_empty(cJSON *object)
{
    cJSON *item, *next;

    for (item = object->child; item; item = next) {
        next = item->next;
        if (!cJSON_IsObject(item))
            continue;
        drop_empty(item);
        if (!item->child)
            cJSON_Delete(cJSON_DetachItemViaPointer(object, item));
    }
}

static void names_are_kubectls(void **state)
{
    static const struct {
        const char *args[2];
        const char *kind, *error;
    } table[] = {
        {{"deployment/web"}, "Deployment", NULL},
        {{"deploy", "web"}, "Deployment", NULL},
        {{"Deployments.apps/web"}, "Deployment", NULL},
        {{"sts/web"}, "StatefulSet", NULL},
        {{"ds/web"}, "DaemonSet", NULL},
        {{"jobs/web"}, "Job", NULL},
        {{"cj", "web"}, "CronJob", NULL},
        {{"web"}, NULL, "KIND/NAME"},
        {{"deploy/web", "web"}, NULL, "KIND/NAME"},
        {{"pod/web"}, NULL, "'pod' is no kind"},
        {{"/web"}, NULL, "'' is no kind"},
        {{"deploy/"}, NULL, "'' cannot be the name"},
        {{"deploy/../x"}, NULL, "cannot be the name"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char *args[] = {(char *)(uintptr_t)table[i].args[0], (char *)(uintptr_t)table[i].args[1]};
        auto_err struct err *e = NULL;
        struct workload_ref ref;
        int r = workload_ref_parse(args, args[1] ? 2 : 1, &ref, &e);

        if (table[i].error) {
            assert_int_equal(r, -EINVAL);
            assert_non_null(strstr(err_text(e), table[i].error));
            continue;
        }
        assert_int_equal(r, 0);
        assert_string_equal(ref.kind->kind, table[i].kind);
        assert_string_equal(ref.name, "web");
    }
}

#define TEMPLATE "\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}}}"
#define META "\"metadata\":{\"name\":\"web\",\"resourceVersion\":\"7\"}"

/* What is done can be undone, whatever was there. */
static void disable_undoes_enable(void **state)
{
    static const struct {
        const struct netview_kind *kind;
        const char *object;
    } table[] = {
        {DEPLOYMENT, "{" META ",\"spec\":{" TEMPLATE "}}"},
        {DEPLOYMENT,
         "{" META ",\"spec\":{\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{"
         "\"maxSurge\":\"25%\",\"maxUnavailable\":0}}," TEMPLATE "}}"},
        {DEPLOYMENT, "{" META ",\"spec\":{\"strategy\":{\"type\":\"Recreate\"}," TEMPLATE "}}"},
        {SET, "{" META ",\"spec\":{\"updateStrategy\":{\"type\":\"OnDelete\"}," TEMPLATE "}}"},
        {DAEMONSET, "{" META ",\"spec\":{\"updateStrategy\":{\"rollingUpdate\":{\"maxSurge\":1,"
                    "\"maxUnavailable\":0}}," TEMPLATE "}}"},
        {CRONJOB, "{" META ",\"spec\":{\"jobTemplate\":{\"spec\":{" TEMPLATE "}}}}"},
        {DEPLOYMENT,
         "{" META ",\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"k8s.v1.cni.cncf.io/"
         "networks\":\"[{\\\"name\\\":\\\"a\\\",\\\"ips\\\":[\\\"1.2.3.4/5\\\"]}]\"}}}}}"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table) * 2; i++) {
        const struct netview_kind *kind = table[i / 2].kind;
        const struct workload_ask ask = {"s1", i % 2 ? "10.0.0.5, 10.0.0.6" : NULL, NULL, true};
        auto_json cJSON *before = parse(table[i / 2].object), *object = parse(table[i / 2].object);
        auto_json cJSON *enable = NULL, *again = NULL, *disable = NULL;

        assert_int_equal(workload_enable(kind, object, &ask, &enable, NULL), 0);
        assert_string_equal(json_get_str(json_get_obj(enable, "metadata"), "resourceVersion"), "7");
        assert_true(workload_patch_trim(object, enable));
        merge(object, enable);
        assert_int_equal(workload_enable(kind, object, &ask, &again, NULL), 0);
        assert_false(workload_patch_trim(object, again));
        assert_int_equal(workload_disable(kind, object, &disable, NULL), 0);
        assert_true(workload_patch_trim(object, disable));
        merge(object, disable);
        drop_empty(object);
        drop_empty(before);
        if (!cJSON_Compare(before, object, true)) {
            auto_free char *text = json_print(object);
            fail_msg("%zu: %s", i, text);
        }
    }
}

/* The pods of a Deployment with fixed addresses have to stop first. */
static void fixed_addresses_stop_first(void **state)
{
    static const struct {
        const char *rolling, *ip, *patch;
    } table[] = {
        {"{}", "10.0.0.5", "{\"maxSurge\":0,\"maxUnavailable\":1}"},
        {"{\"maxSurge\":\"25%\",\"maxUnavailable\":\"25%\"}", "10.0.0.5", "{\"maxSurge\":0}"},
        {"{\"maxSurge\":1,\"maxUnavailable\":\"0%\"}", "10.0.0.5",
         "{\"maxSurge\":0,\"maxUnavailable\":1}"},
        {"{\"maxSurge\":0,\"maxUnavailable\":2}", "10.0.0.5", NULL},
        {"{\"maxSurge\":1,\"maxUnavailable\":0}", "auto", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        const struct workload_ask ask = {"s1", table[i].ip, NULL, false};
        auto_free char *text =
            xasprintf("{\"metadata\":{},\"spec\":{\"strategy\":{\"rollingUpdate\":"
                      "%s}," TEMPLATE "}}",
                      table[i].rolling);
        auto_json cJSON *object = parse(text), *patch = NULL, *want = NULL;
        const cJSON *strategy;

        assert_int_equal(workload_enable(DEPLOYMENT, object, &ask, &patch, NULL), 0);
        strategy = json_get_obj(json_get_obj(patch, "spec"), "strategy");
        if (!table[i].patch) {
            assert_null(strategy);
            continue;
        }
        want = parse(table[i].patch);
        assert_true(cJSON_Compare(json_get_obj(strategy, "rollingUpdate"), want, true));
    }
}

static void networks_are_merged(void **state)
{
    static const struct {
        const char *there, *with, *without;
    } table[] = {
        {NULL, OURS, NULL},
        {"", OURS, NULL},
        {OURS, OURS, NULL},
        {"static-macvlan-cni-attach@eth1", "static-macvlan-cni-attach@eth1", NULL},
        {"ns/a@net7,b",
         "[{\"name\":\"a\",\"namespace\":\"ns\",\"interface\":\"net7\"},{\"name\":\"b\"},{\"name\":"
         "\"static-macvlan-"
         "cni-attach\",\"interface\":\"eth1\"}]",
         "ns/a@net7,b"},
        {"static-macvlan-cni-attach,b,static-macvlan-cni-attach@eth2",
         "static-macvlan-cni-attach,b,static-macvlan-cni-attach@eth2", "[{\"name\":\"b\"}]"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        const struct workload_ask ask = {"s1", NULL, NULL, true};
        auto_json cJSON *object =
            parse("{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{}}}}}");
        auto_json cJSON *with = NULL, *without = NULL;
        cJSON *annotations =
            (cJSON *)(uintptr_t)netview_annotations(netview_template(DEPLOYMENT, object));
        const char *key = "k8s.v1.cni.cncf.io/networks", *text;

        json_add_str(annotations, key, table[i].there);
        assert_int_equal(workload_enable(DEPLOYMENT, object, &ask, &with, NULL), 0);
        text = json_get_str(netview_annotations(netview_template(DEPLOYMENT, with)), key);
        assert_string_equal(text, table[i].with);
        assert_int_equal(workload_disable(DEPLOYMENT, object, &without, NULL), 0);
        text = json_get_str(netview_annotations(netview_template(DEPLOYMENT, without)), key);
        if (table[i].without)
            assert_string_equal(text, table[i].without);
        else if (table[i].there && *table[i].there)
            assert_null(text);
    }
}

static void a_job_is_refused(void **state)
{
    const struct workload_ask ask = {"s1", NULL, NULL, true};
    auto_json cJSON *object = parse("{" META ",\"spec\":{" TEMPLATE "}}");
    auto_err struct err *e = NULL;
    cJSON *patch = NULL;

    (void)state;
    assert_int_equal(workload_enable(JOB, object, &ask, &patch, &e), -ENOTSUP);
    assert_int_equal(workload_disable(JOB, object, &patch, &e), -ENOTSUP);
    assert_null(patch);
}

static void pods_are_counted(void **state)
{
    static const struct {
        const struct netview_kind *kind;
        const char *object;
        size_t n;
    } table[] = {
        {DEPLOYMENT, "{\"spec\":{\"replicas\":3}}", 3},
        {DEPLOYMENT, "{\"spec\":{}}", 1},
        {SET, "{\"spec\":{\"replicas\":0}}", 0},
        {DAEMONSET, "{\"status\":{\"desiredNumberScheduled\":5}}", 5},
        {JOB, "{\"spec\":{\"parallelism\":2}}", 2},
        {CRONJOB, "{\"spec\":{\"jobTemplate\":{\"spec\":{\"parallelism\":4}}}}", 4},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_json cJSON *object = parse(table[i].object);

        assert_int_equal(workload_pods(table[i].kind, object), table[i].n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_kubectls),         cmocka_unit_test(disable_undoes_enable),
        cmocka_unit_test(fixed_addresses_stop_first), cmocka_unit_test(networks_are_merged),
        cmocka_unit_test(a_job_is_refused),           cmocka_unit_test(pods_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
