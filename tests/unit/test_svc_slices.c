/* EndpointSlices: how endpoints are spread, and how few writes a change costs. */
#include "svc_slices.h"

#include "svc_scene.h"

#include <stdio.h>

#define MAX_SLICES 64

/* A service, its pods, and the slices that the API has. */
struct scene {
    cJSON *service;
    struct svc_target target;
    struct svc_pod *pods[1024];
    char addresses[1024][SVC_ADDRESS_SIZE];
    size_t pod_count;
    cJSON *slices[MAX_SLICES];
    size_t slice_count;
    enum svc_slice_version version;
    int next_uid;
};

static int setup(void **state)
{
    struct scene *s = xcalloc(1, sizeof(*s));

    s->service = quoted_json("{'metadata':{'name':'web-macvlan','namespace':'shop','uid':'c-1'},"
                             "'spec':{'clusterIP':'None','ports':[{'name':'http','port':80,"
                             "'targetPort':'web'}]}}");
    assert_true(svc_target_from(s->service, "web", &s->target));
    s->version = SVC_SLICE_V1;
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < s->pod_count; i++)
        svc_pod_free(s->pods[i]);
    for (size_t i = 0; i < s->slice_count; i++)
        cJSON_Delete(s->slices[i]);
    cJSON_Delete(s->service);
    free(s);
    return 0;
}

static struct svc_pod *make_pod(size_t i, int port, bool is_ready)
{
    auto_free char *text = xasprintf(
        "{'metadata':{'namespace':'shop','name':'p-%zu','uid':'u-%zu'},'spec':{'nodeName':'n1',"
        "'hostname':'h-%zu','subdomain':'web','containers':[{'ports':[{'name':'web',"
        "'containerPort':%d}]}]},'status':{'conditions':[{'type':'Ready','status':'%s'}]}}",
        i, i, i, port, is_ready ? "True" : "False");
    auto_json cJSON *tree = quoted_json(text);
    return svc_pod_new(tree);
}

static void add_pods(struct scene *s, size_t count)
{
    for (; count; count--) {
        size_t i = s->pod_count++;

        (void)snprintf(s->addresses[i], SVC_ADDRESS_SIZE, "10.0.%zu.%zu", i / 200, i % 200 + 1);
        s->pods[i] = make_pod(i, 8080, true);
    }
}

static void add_pod_at(struct scene *s, size_t number, const char *address)
{
    (void)snprintf(s->addresses[s->pod_count], SVC_ADDRESS_SIZE, "%s", address);
    s->pods[s->pod_count++] = make_pod(number, 8080, true);
}

static void set_pod(struct scene *s, size_t i, int port, bool is_ready)
{
    svc_pod_free(s->pods[i]);
    s->pods[i] = make_pod(i, port, is_ready);
}

static void remove_pod(struct scene *s, size_t i)
{
    svc_pod_free(s->pods[i]);
    s->pod_count--;
    memmove(&s->pods[i], &s->pods[i + 1], (s->pod_count - i) * sizeof(s->pods[0]));
    memmove(s->addresses[i], s->addresses[i + 1], (s->pod_count - i) * sizeof(s->addresses[0]));
}

static struct svc_slice_plan plan(const struct scene *s)
{
    struct svc_backend *backends = xcalloc(s->pod_count, sizeof(*backends));
    auto_rows struct svc_rows rows = {.items = NULL};
    const cJSON *existing[MAX_SLICES];
    struct svc_slice_plan p;

    /* In another order than before, since that must not matter. */
    for (size_t i = 0; i < s->pod_count; i++)
        backends[i] =
            (struct svc_backend){s->pods[s->pod_count - 1 - i], s->addresses[s->pod_count - 1 - i]};
    for (size_t i = 0; i < s->slice_count; i++)
        existing[i] = s->slices[i];
    svc_rows_build(&s->target, backends, s->pod_count, &rows);
    svc_slices_plan(&s->target, &rows, s->version, existing, s->slice_count, &p);
    free(backends);
    return p;
}

static size_t find_slice(const struct scene *s, const char *name)
{
    for (size_t i = 0; i < s->slice_count; i++)
        if (!strcmp(json_get_str(json_get_obj(s->slices[i], "metadata"), "name"), name))
            return i;
    return s->slice_count;
}

/* What the API server does; a create of a name that is there is a failure. */
static void apply_op(struct scene *s, const struct svc_slice_op *op)
{
    size_t i = find_slice(s, op->name);

    if (op->action == SVC_CREATE) {
        auto_free char *uid = xasprintf("slice-%d", s->next_uid++);

        assert_int_equal(i, s->slice_count);
        s->slices[s->slice_count++] = cJSON_Duplicate(op->body, true);
        json_add_str(cJSON_GetObjectItemCaseSensitive(s->slices[i], "metadata"), "uid", uid);
        return;
    }
    assert_true(i < s->slice_count);
    assert_string_equal(op->uid, json_get_str(json_get_obj(s->slices[i], "metadata"), "uid"));
    if (op->action == SVC_PATCH) {
        merge_patch(s->slices[i], op->body);
        return;
    }
    cJSON_Delete(s->slices[i]);
    s->slices[i] = s->slices[--s->slice_count];
}

/* Every pod exactly once, no slice too full, none empty. */
static void assert_complete(const struct scene *s)
{
    size_t seen[1024] = {0}, total = 0;

    for (size_t i = 0; i < s->slice_count; i++) {
        const cJSON *list = json_get_arr(s->slices[i], "endpoints"), *item;

        assert_in_range(cJSON_GetArraySize(list), 1, SVC_SLICE_MAX);
        cJSON_ArrayForEach(item, list)
        {
            const char *uid = json_get_str(json_get_obj(item, "targetRef"), "uid");
            size_t number = strtoul(uid + 2, NULL, 10);

            assert_int_equal(seen[number]++, 0);
            total++;
        }
    }
    assert_int_equal(total, s->pod_count);
}

/* Plans, applies, and returns how many writes it took; afterwards nothing is left to do. */
static size_t settle(struct scene *s)
{
    auto_slice_plan struct svc_slice_plan p = plan(s), again = {.ops = NULL};

    for (size_t i = 0; i < p.count; i++)
        apply_op(s, &p.ops[i]);
    assert_complete(s);
    again = plan(s);
    assert_int_equal(again.count, 0);
    return p.count;
}

static void one_is_made_in_either_version(void **state)
{
    struct scene *s = *state;
    auto_slice_plan struct svc_slice_plan p = {.ops = NULL}, old = {.ops = NULL};

    add_pods(s, 1);
    p = plan(s);
    assert_int_equal(p.count, 1);
    assert_int_equal(p.ops[0].action, SVC_CREATE);
    assert_true(!strncmp(p.ops[0].name, "web-macvlan-", 12));
    cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(p.ops[0].body,
                                                                             "metadata"),
                                            "name");
    assert_json_equal(
        p.ops[0].body,
        "{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice','metadata':{'namespace':'shop',"
        "'labels':{'kubernetes.io/service-name':'web-macvlan','endpointslice.kubernetes.io/"
        "managed-by':'network-controller.flatnet','service.kubernetes.io/headless':''},"
        "'ownerReferences':[{'apiVersion':'v1','kind':'Service','name':'web-macvlan','uid':'c-1'}]"
        "},'addressType':'IPv4','ports':[{'name':'http','protocol':'TCP','port':8080}],"
        "'endpoints':[{'addresses':['10.0.0.1'],'conditions':{'ready':true},'hostname':'h-0',"
        "'nodeName':'n1','targetRef':{'kind':'Pod','namespace':'shop','name':'p-0','uid':'u-0'}}]"
        "}");
    s->version = SVC_SLICE_V1BETA1;
    old = plan(s);
    assert_json_equal(json_at(old.ops[0].body, "apiVersion"), "'discovery.k8s.io/v1beta1'");
    assert_json_equal(json_at(old.ops[0].body, "endpoints.0.topology"),
                      "{'kubernetes.io/hostname':'n1'}");
    assert_null(json_at(old.ops[0].body, "endpoints.0.nodeName"));
    assert_int_equal(settle(s), 1);
}

static void a_hundred_fit(void **state)
{
    struct scene *s = *state;

    add_pods(s, 100);
    assert_int_equal(settle(s), 1);
    add_pods(s, 150);
    assert_int_equal(settle(s), 2);
    assert_int_equal(s->slice_count, 3);
}

static void a_small_change_is_one_write(void **state)
{
    struct scene *s = *state;

    add_pods(s, 450);
    assert_int_equal(settle(s), 5);
    set_pod(s, 220, 8080, false);
    assert_int_equal(settle(s), 1);
    remove_pod(s, 10);
    assert_int_equal(settle(s), 1);
    add_pod_at(s, 1000, "10.0.0.0");
    assert_int_equal(settle(s), 1);
    /* One goes and one comes: the slice that loses the one takes the other. */
    remove_pod(s, 300);
    add_pod_at(s, 1001, "10.0.9.9");
    assert_int_equal(settle(s), 1);
    assert_int_equal(settle(s), 0);
}

/* Slices of 90 and of 50 endpoints. */
static void make_room(struct scene *s)
{
    add_pods(s, 150);
    assert_int_equal(settle(s), 2);
    for (int i = 0; i < 10; i++)
        remove_pod(s, 20);
    assert_int_equal(settle(s), 1);
}

static void a_slice_that_changes_anyway_takes_the_new(void **state)
{
    struct scene *s = *state;

    make_room(s);
    remove_pod(s, s->pod_count - 1);
    add_pod_at(s, 1000, "10.0.9.1");
    assert_int_equal(settle(s), 1);
    assert_int_equal(s->slice_count, 2);
}

static void many_new_ones_change_no_old_slice(void **state)
{
    struct scene *s = *state;

    make_room(s);
    for (int i = 0; i < 60; i++) {
        char address[SVC_ADDRESS_SIZE];

        (void)snprintf(address, sizeof(address), "10.0.9.%d", i + 1);
        add_pod_at(s, 500 + (size_t)i, address);
    }
    assert_int_equal(settle(s), 1);
    assert_int_equal(s->slice_count, 3);
}

static void ports_and_families_have_slices_of_their_own(void **state)
{
    struct scene *s = *state;

    add_pods(s, 4);
    set_pod(s, 1, 9090, true);
    (void)snprintf(s->addresses[2], SVC_ADDRESS_SIZE, "fd00::2");
    assert_int_equal(settle(s), 3);
    /* The last pod of a kind takes its slice along. */
    set_pod(s, 1, 8080, true);
    assert_int_equal(settle(s), 2);
    assert_int_equal(s->slice_count, 2);
}

static void everything_goes_with_the_last_pod(void **state)
{
    struct scene *s = *state;

    add_pods(s, 2);
    assert_int_equal(settle(s), 1);
    remove_pod(s, 0);
    remove_pod(s, 0);
    assert_int_equal(settle(s), 1);
    assert_int_equal(s->slice_count, 0);
}

static void add_slice(struct scene *s, const char *name, const char *service, const char *manager)
{
    auto_free char *text = xasprintf(
        "{'metadata':{'name':'%s','namespace':'shop','uid':'x-%s','labels':{"
        "'kubernetes.io/service-name':'%s','endpointslice.kubernetes.io/managed-by':'%s'}},"
        "'addressType':'IPv4','endpoints':[{'addresses':['10.42.0.1']}],'ports':[]}",
        name, name, service, manager);

    s->slices[s->slice_count++] = quoted_json(text);
}

static void native_slices_of_an_adopted_service_go(void **state)
{
    struct scene *s = *state;
    auto_slice_plan struct svc_slice_plan p = {.ops = NULL}, kept = {.ops = NULL};

    add_pods(s, 1);
    add_slice(s, "a", "web-macvlan", "endpointslice-controller.k8s.io");
    add_slice(s, "b", "web-macvlan", "endpointslicemirroring-controller.k8s.io");
    add_slice(s, "c", "web-macvlan", "somebody.example.org");
    add_slice(s, "d", "other", "endpointslice-controller.k8s.io");
    p = plan(s);
    assert_int_equal(p.count, 3);
    assert_int_equal(p.ops[0].action, SVC_CREATE);
    assert_int_equal(p.ops[1].action, SVC_DELETE);
    assert_string_equal(p.ops[1].name, "a");
    assert_string_equal(p.ops[1].uid, "x-a");
    assert_string_equal(p.ops[2].name, "b");
    s->target.has_selector = true;
    kept = plan(s);
    assert_int_equal(kept.count, 1);
}

static void what_others_spoilt_is_mended(void **state)
{
    static const char *const edits[] = {
        "{'metadata':{'ownerReferences':null}}",
        "{'metadata':{'labels':{'service.kubernetes.io/headless':null}}}",
        "{'endpoints':[]}",
        "{'endpoints':null}",
        "{'endpoints':[{'addresses':['10.0.0.1','10.0.0.2']},{'addresses':[7]},{},7]}",
    };
    struct scene *s = *state;

    add_pods(s, 3);
    assert_int_equal(settle(s), 1);
    for (size_t i = 0; i < COUNT(edits); i++) {
        auto_json cJSON *edit = quoted_json(edits[i]);

        merge_patch(s->slices[0], edit);
        (void)settle(s);
        assert_int_equal(s->slice_count, 1);
    }
}

static void endpoints_that_stand_twice_stand_once(void **state)
{
    struct scene *s = *state;
    cJSON *copy, *metadata;

    add_pods(s, 3);
    assert_int_equal(settle(s), 1);
    /* The second slice has two of the three. */
    copy = cJSON_Duplicate(s->slices[0], true);
    metadata = cJSON_GetObjectItemCaseSensitive(copy, "metadata");
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "name");
    json_add_str(metadata, "name", "twin");
    cJSON_DeleteItemFromArray(cJSON_GetObjectItemCaseSensitive(copy, "endpoints"), 0);
    s->slices[s->slice_count++] = copy;
    assert_int_equal(settle(s), 1);
    assert_int_equal(s->slice_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_is_made_in_either_version, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hundred_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_small_change_is_one_write, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slice_that_changes_anyway_takes_the_new, setup, teardown),
        cmocka_unit_test_setup_teardown(many_new_ones_change_no_old_slice, setup, teardown),
        cmocka_unit_test_setup_teardown(ports_and_families_have_slices_of_their_own, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(everything_goes_with_the_last_pod, setup, teardown),
        cmocka_unit_test_setup_teardown(native_slices_of_an_adopted_service_go, setup, teardown),
        cmocka_unit_test_setup_teardown(what_others_spoilt_is_mended, setup, teardown),
        cmocka_unit_test_setup_teardown(endpoints_that_stand_twice_stand_once, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
