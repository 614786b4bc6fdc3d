/* What is decided about companions. */
#include "svc_companion.h"

#include "svc_scene.h"

#define SOURCE                                                                                     \
    "{'metadata':{'name':'web','namespace':'shop','uid':'s-1','ownerReferences':[{'apiVersion':"   \
    "'apps/v1','kind':'Deployment','name':'web','uid':'d-1'}]},'spec':{'clusterIP':'10.43.0.7',"   \
    "'selector':{'app':'web'},'ports':[{'name':'http','protocol':'TCP','port':80,'targetPort':"    \
    "'web','nodePort':30080},{'name':'dns','protocol':'UDP','port':53,'targetPort':5353}]}}"
#define HEADLESS                                                                                   \
    "{'metadata':{'name':'web','namespace':'shop','uid':'s-1'},'spec':{'clusterIP':'None',"        \
    "'selector':{'app':'web'},'ports':[{'name':'default','protocol':'TCP','port':42,"              \
    "'targetPort':42},{'name':'named','port':50,'targetPort':'web'},{'name':'top','port':65535}]," \
    "'publishNotReadyAddresses':true}}"
/* As the 2019 controller made it for SOURCE. */
#define OLD_COMPANION                                                                              \
    "{'metadata':{'name':'web-macvlan','namespace':'shop','uid':'c-1','annotations':{"             \
    "'k8s.v1.cni.cncf.io/networks':'static-macvlan-cni-attach','mine':'kept'},'ownerReferences':[" \
    "{'apiVersion':'apps/v1','kind':'Deployment','name':'web','uid':'d-1'}]},'spec':{'clusterIP':" \
    "'None','type':'ClusterIP','selector':{'app':'web'},'ports':[{'name':'http','protocol':'TCP'," \
    "'port':81,'targetPort':1}]}}"

static const struct svc_demand wanted = {.selected = 2, .wanting = 1};
static const struct svc_demand unwanted = {.selected = 2, .wanting = 0};
static const struct svc_demand no_pods = {.selected = 0};

static struct svc_companion plan(const char *source, const char *existing,
                                 const struct svc_demand *demand)
{
    auto_json cJSON *s = quoted_json(source), *x = existing ? quoted_json(existing) : NULL;
    struct svc_companion p;

    svc_companion_plan(s, x, demand, &p);
    assert_non_null(p.why);
    return p;
}

static void one_is_made_for_macvlan_pods(void **state)
{
    auto_companion struct svc_companion p = plan(SOURCE, NULL, &wanted);

    (void)state;
    assert_int_equal(p.action, SVC_CREATE);
    assert_true(p.is_served);
    assert_json_equal(
        p.body,
        "{'apiVersion':'v1','kind':'Service','metadata':{'name':'web-macvlan','namespace':'shop',"
        "'labels':{'macvlan.panda.io/managed-by':'network-controller.flatnet'},'annotations':{"
        "'k8s.v1.cni.cncf.io/networks':'static-macvlan-cni-attach'},'ownerReferences':[{"
        "'apiVersion':'v1','kind':'Service','name':'web','uid':'s-1'}]},'spec':{'type':'ClusterIP',"
        "'clusterIP':'None','ports':[{'name':'http','protocol':'TCP','port':80,'targetPort':'web'},"
        "{'name':'dns','protocol':'UDP','port':53,'targetPort':5353}]}}");
}

static void ports_of_a_headless_source_are_one_higher(void **state)
{
    auto_companion struct svc_companion p = plan(HEADLESS, NULL, &wanted);

    (void)state;
    assert_json_equal(json_at(p.body, "spec"),
                      "{'type':'ClusterIP','clusterIP':'None','ports':[{'name':'default',"
                      "'protocol':'TCP','port':43,'targetPort':43},{'name':'named','protocol':"
                      "'TCP','port':51,'targetPort':'web'}],'publishNotReadyAddresses':true}");
}

static void who_gets_none(void **state)
{
    static const struct {
        const char *source;
        const char *why;
    } table[] = {
        {"{'metadata':{'name':'a'},'spec':{}}", "no selector"},
        {"{'metadata':{'name':'a'},'spec':{'selector':{}}}", "no selector"},
        {"{'metadata':{'name':'a'},'spec':{'selector':{'a':'b'},'type':'ExternalName'}}",
         "external name"},
        {"{'metadata':{'name':'a','annotations':{'k8s.v1.cni.cncf.io/networks':'x'}},'spec':{"
         "'selector':{'a':'b'}}}",
         "networks itself"},
        {"{'metadata':{'name':'a','labels':{'macvlan.panda.io/managed-by':"
         "'network-controller.flatnet'}},'spec':{'clusterIP':'None','selector':{'a':'b'}}}",
         "companion itself"},
        {"{'metadata':{'name':'a','deletionTimestamp':'x'},'spec':{'selector':{'a':'b'}}}",
         "service is being deleted"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_companion struct svc_companion p = plan(table[i].source, NULL, &wanted);

        assert_int_equal(p.action, SVC_LEAVE);
        assert_false(p.is_served);
        assert_non_null(strstr(p.why, table[i].why));
        assert_null(p.warning);
    }
}

/* What we would make for a source, as it stands in the API. */
static cJSON *made_for(const char *source)
{
    auto_companion struct svc_companion p = plan(source, NULL, &wanted);
    cJSON *made = take(p.body);

    json_add_str(cJSON_GetObjectItemCaseSensitive(made, "metadata"), "uid", "c-1");
    return made;
}

static void what_is_right_is_left(void **state)
{
    static const char *const sources[] = {SOURCE, HEADLESS};

    (void)state;
    for (size_t i = 0; i < COUNT(sources); i++) {
        auto_json cJSON *made = made_for(sources[i]);
        auto_free char *text = json_print(made);
        auto_companion struct svc_companion p = plan(sources[i], text, &wanted);

        assert_int_equal(p.action, SVC_LEAVE);
        assert_true(p.is_served);
        assert_null(p.body);
    }
}

static void it_follows_its_source(void **state)
{
    auto_json cJSON *made = made_for(HEADLESS);
    auto_free char *text = json_print(made), *again = NULL;
    auto_companion struct svc_companion p = plan(SOURCE, text, &wanted), after;

    (void)state;
    assert_int_equal(p.action, SVC_PATCH);
    assert_json_equal(
        p.body, "{'spec':{'publishNotReadyAddresses':false,'ports':[{'name':'http','protocol':"
                "'TCP','port':80,'targetPort':'web'},{'name':'dns','protocol':'UDP','port':53,"
                "'targetPort':5353}]}}");
    merge_patch(made, p.body);
    again = json_print(made);
    after = plan(SOURCE, again, &wanted);
    assert_int_equal(after.action, SVC_LEAVE);
}

static void what_users_change_comes_back(void **state)
{
    auto_json cJSON *made = made_for(SOURCE);
    auto_json cJSON *edit = quoted_json("{'metadata':{'annotations':{'k8s.v1.cni.cncf.io/networks':"
                                        "'other'},'ownerReferences':[]},'spec':{'selector':{'x':"
                                        "'y'}}}");
    auto_free char *text = NULL;
    auto_companion struct svc_companion p = {.why = ""};

    (void)state;
    merge_patch(made, edit);
    text = json_print(made);
    p = plan(SOURCE, text, &wanted);
    assert_int_equal(p.action, SVC_PATCH);
    assert_json_equal(p.body,
                      "{'metadata':{'annotations':{'k8s.v1.cni.cncf.io/networks':"
                      "'static-macvlan-cni-attach'},'ownerReferences':[{'apiVersion':'v1','kind':"
                      "'Service','name':'web','uid':'s-1'}]},'spec':{'selector':null}}");
}

static void an_old_one_is_adopted(void **state)
{
    auto_json cJSON *old = quoted_json(OLD_COMPANION);
    auto_companion struct svc_companion p = plan(SOURCE, OLD_COMPANION, &wanted), after;
    auto_free char *text = NULL;

    (void)state;
    assert_int_equal(p.action, SVC_PATCH);
    assert_non_null(strstr(p.why, "adopted"));
    assert_true(cJSON_IsNull(json_at(p.body, "spec.selector")));
    merge_patch(old, p.body);
    assert_json_equal(json_at(old, "metadata.annotations.mine"), "'kept'");
    assert_json_equal(json_at(old, "spec"),
                      "{'clusterIP':'None','type':'ClusterIP','ports':[{'name':'http','protocol':"
                      "'TCP','port':80,'targetPort':'web'},{'name':'dns','protocol':'UDP','port':"
                      "53,'targetPort':5353}]}");
    text = json_print(old);
    after = plan(SOURCE, text, &wanted);
    assert_int_equal(after.action, SVC_LEAVE);
    assert_true(after.is_served);
}

static void a_foreign_one_is_left_alone(void **state)
{
    static const char *const edits[] = {
        "{'spec':{'clusterIP':'10.43.0.8'}}",
        "{'metadata':{'annotations':null}}",
        "{'metadata':{'annotations':{'k8s.v1.cni.cncf.io/networks':'other-net'}}}",
        "{'metadata':{'annotations':{'k8s.v1.cni.cncf.io/networks':'a,b'}}}",
        "{'metadata':{'ownerReferences':[{'kind':'Deployment','name':'web','uid':'x'}]}}",
        "{'metadata':{'ownerReferences':[]}}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(edits); i++) {
        auto_json cJSON *old = quoted_json(OLD_COMPANION), *edit = quoted_json(edits[i]);
        auto_free char *text = NULL;
        auto_companion struct svc_companion p = {.why = ""}, q = {.why = ""};

        merge_patch(old, edit);
        text = json_print(old);
        p = plan(SOURCE, text, &wanted);
        assert_int_equal(p.action, SVC_LEAVE);
        assert_false(p.is_served);
        assert_string_equal(p.warning, "service 'web' gets no macvlan service, because "
                                       "'web-macvlan' is there already and is not ours; delete or "
                                       "rename it");
        q = plan(SOURCE, text, &unwanted);
        assert_int_equal(q.action, SVC_LEAVE);
        assert_null(q.warning);
    }
}

/* The 2019 controller copied no owners where there were none. */
static void one_without_owners_needs_the_copied_selector(void **state)
{
    auto_json cJSON *old = quoted_json(OLD_COMPANION), *source = quoted_json(SOURCE);
    auto_json cJSON *bare = quoted_json("{'metadata':{'ownerReferences':null}}");
    auto_json cJSON *other = quoted_json("{'spec':{'selector':{'app':'other'}}}");
    auto_free char *text = NULL, *source_text = NULL, *other_text = NULL;
    auto_companion struct svc_companion p = {.why = ""}, q = {.why = ""}, r = {.why = ""};

    (void)state;
    merge_patch(old, bare);
    merge_patch(source, bare);
    text = json_print(old);
    source_text = json_print(source);
    p = plan(source_text, text, &wanted);
    assert_int_equal(p.action, SVC_PATCH);
    q = plan(source_text, text, &unwanted);
    assert_int_equal(q.action, SVC_LEAVE);
    merge_patch(old, other);
    other_text = json_print(old);
    r = plan(source_text, other_text, &wanted);
    assert_int_equal(r.action, SVC_LEAVE);
    assert_non_null(r.warning);
}

static void it_goes_when_no_pod_wants_it(void **state)
{
    auto_json cJSON *made = made_for(SOURCE);
    auto_free char *text = json_print(made);
    auto_companion struct svc_companion gone = plan(SOURCE, text, &unwanted);
    auto_companion struct svc_companion old = plan(SOURCE, OLD_COMPANION, &unwanted);
    auto_companion struct svc_companion stays = plan(SOURCE, text, &no_pods);
    auto_companion struct svc_companion none = plan(SOURCE, NULL, &no_pods);
    auto_companion struct svc_companion lost =
        plan("{'metadata':{'name':'web','namespace':'shop','uid':'s-1'},'spec':{}}", text, &wanted);

    (void)state;
    assert_int_equal(gone.action, SVC_DELETE);
    assert_false(gone.is_served);
    assert_int_equal(old.action, SVC_DELETE);
    assert_int_equal(stays.action, SVC_LEAVE);
    assert_true(stays.is_served);
    assert_int_equal(none.action, SVC_LEAVE);
    assert_int_equal(lost.action, SVC_DELETE);
}

static void one_that_is_being_deleted_is_waited_for(void **state)
{
    auto_json cJSON *made = made_for(SOURCE);
    auto_json cJSON *edit = quoted_json("{'metadata':{'deletionTimestamp':'x'}}");
    auto_free char *text = NULL;
    auto_companion struct svc_companion p = {.why = ""};

    (void)state;
    merge_patch(made, edit);
    text = json_print(made);
    p = plan(SOURCE, text, &wanted);
    assert_int_equal(p.action, SVC_LEAVE);
    assert_false(p.is_served);
}

static void names_are_at_most_63_long(void **state)
{
    auto_free char *fits =
        xasprintf("{'metadata':{'name':'%055d'},'spec':{'selector':{'a':'b'}}}", 0);
    auto_free char *is_long =
        xasprintf("{'metadata':{'name':'%056d'},'spec':{'selector':{'a':'b'}}}", 0);
    auto_companion struct svc_companion p = plan(fits, NULL, &wanted);
    auto_companion struct svc_companion q = plan(is_long, NULL, &wanted);

    (void)state;
    assert_int_equal(p.action, SVC_CREATE);
    assert_int_equal(q.action, SVC_LEAVE);
    assert_non_null(
        strstr(q.warning, "has 64 characters and the name of a service has at most 63"));
}

static void demand_counts_pods_of_the_service(void **state)
{
    static const struct {
        const char *pod;
        size_t selected, wanting;
    } table[] = {
        {"{'metadata':{'namespace':'shop','labels':{'app':'web'},'annotations':{"
         "'macvlan.pandaria.cattle.io/ip':'auto','macvlan.pandaria.cattle.io/subnet':'s'}}}",
         1, 1},
        {"{'metadata':{'namespace':'shop','labels':{'app':'web'},'annotations':{"
         "'macvlan.pandaria.cattle.io/ip':'auto','macvlan.pandaria.cattle.io/subnet':'s',"
         "'macvlan.panda.io/macvlanService':'disabled'}}}",
         1, 0},
        {"{'metadata':{'namespace':'shop','labels':{'app':'web'}}}", 1, 0},
        {"{'metadata':{'namespace':'other','labels':{'app':'web'}}}", 0, 0},
        {"{'metadata':{'namespace':'shop','labels':{'app':'db'}}}", 0, 0},
        {"{'metadata':{'namespace':'shop','labels':{'app':'web'}},'status':{'phase':'Failed'}}", 0,
         0},
    };
    auto_json cJSON *source = quoted_json(SOURCE);

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_json cJSON *tree = quoted_json(table[i].pod);
        auto_svc_pod struct svc_pod *pod = svc_pod_new(tree);
        struct svc_demand d = {.selected = 0};

        svc_demand_add(&d, source, pod);
        assert_int_equal(d.selected, table[i].selected);
        assert_int_equal(d.wanting, table[i].wanting);
    }
}

static void names_lead_both_ways(void **state)
{
    auto_free char *name = svc_companion_name("web");

    (void)state;
    assert_string_equal(name, "web-macvlan");
    assert_int_equal(svc_companion_source_len("web-macvlan"), 3);
    assert_int_equal(svc_companion_source_len("-macvlan"), 0);
    assert_int_equal(svc_companion_source_len("web"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_made_for_macvlan_pods),
        cmocka_unit_test(ports_of_a_headless_source_are_one_higher),
        cmocka_unit_test(who_gets_none),
        cmocka_unit_test(what_is_right_is_left),
        cmocka_unit_test(it_follows_its_source),
        cmocka_unit_test(what_users_change_comes_back),
        cmocka_unit_test(an_old_one_is_adopted),
        cmocka_unit_test(a_foreign_one_is_left_alone),
        cmocka_unit_test(one_without_owners_needs_the_copied_selector),
        cmocka_unit_test(it_goes_when_no_pod_wants_it),
        cmocka_unit_test(one_that_is_being_deleted_is_waited_for),
        cmocka_unit_test(names_are_at_most_63_long),
        cmocka_unit_test(demand_counts_pods_of_the_service),
        cmocka_unit_test(names_lead_both_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
