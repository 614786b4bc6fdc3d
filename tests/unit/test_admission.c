/* The webhook's answers, on requests as the API server sends them. */
#include "admission.h"

#include "svc_scene.h"

#include <errno.h>
#include <stdio.h>

/* A cluster with one subnet, in which web-1 of Deployment shop/web holds .10, its MAC and has .11
 * reserved, and somebody else holds .20 and has .21 reserved. */
struct cluster {
    struct subnet *lan;
    struct alloc *alloc;
    size_t used;
    const char *project;
    struct admission_lookup lookup;
};

static const struct subnet *find_subnet(void *arg, const char *name)
{
    const struct cluster *c = arg;
    return strcmp(name, "lan") ? NULL : c->lan;
}

static int check_overlap(void *arg, const struct subnet *s, struct err **e)
{
    const struct cluster *c = arg;
    return strcmp(s->name, "lan") ? subnet_check_overlap(s, c->lan, e) : 0;
}

static size_t count_used(void *arg, const char *subnet)
{
    const struct cluster *c = arg;
    return strcmp(subnet, "lan") ? 0 : c->used;
}

static bool is_web(const struct admission_owner *owner)
{
    return !strcmp(owner->kind, "Deployment") && !strcmp(owner->namespace, "shop") &&
           !strcmp(owner->name, "web");
}

static int check_ip(void *arg, const struct subnet *s, struct ip_addr ip,
                    const struct admission_owner *owner, struct annot_refusal *out_refusal)
{
    const struct cluster *c = arg;
    struct annot_source from = {.alloc = c->alloc};
    unsigned last = (unsigned)ip.value & 0xff;

    assert_ptr_equal(s, c->lan);
    if (is_web(owner) && (last == 10 || last == 11))
        return 0;
    return annot_check_ip(ip, &from, out_refusal);
}

static bool is_mac_used(void *arg, const struct subnet *s, struct ip_mac mac,
                        const struct admission_owner *owner)
{
    (void)arg;
    (void)s;
    return mac.bytes[5] == 0x20 || (mac.bytes[5] == 0x10 && !is_web(owner));
}

static const char *project_of(void *arg, const char *namespace)
{
    const struct cluster *c = arg;
    return strcmp(namespace, "shop") ? NULL : c->project;
}

static struct ip_addr ip_of(const char *text)
{
    struct ip_addr ip;

    assert_int_equal(ip_parse(text, &ip), 0);
    return ip;
}

static int setup(void **state)
{
    auto_json cJSON *object =
        quoted_json("{'metadata':{'name':'lan','namespace':'kube-system','labels':{'project':"
                    "'c-1-p-1'}},'spec':{'master':'eth0','vlan':5,'cidr':'10.1.0.0/24','ranges':[{"
                    "'rangeStart':'10.1.0.1','rangeEnd':'10.1.0.100'}]}}");
    struct cluster *c = xcalloc(1, sizeof(*c));

    assert_int_equal(subnet_parse(object, false, &c->lan, NULL), 0);
    assert_true(c->lan->is_valid);
    c->alloc = alloc_new(c->lan);
    assert_true(alloc_adopt(c->alloc, ip_of("10.1.0.10")));
    assert_true(alloc_adopt(c->alloc, ip_of("10.1.0.20")));
    alloc_reserve(c->alloc, ip_of("10.1.0.11"));
    alloc_reserve(c->alloc, ip_of("10.1.0.21"));
    c->lookup = (struct admission_lookup){.arg = c,
                                          .subnet = find_subnet,
                                          .check_overlap = check_overlap,
                                          .count_used = count_used,
                                          .check_ip = check_ip,
                                          .is_mac_used = is_mac_used,
                                          .project = project_of,
                                          .is_multus = false};
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct cluster *c = *state;

    alloc_free(c->alloc);
    subnet_free(c->lan);
    free(c);
    return 0;
}

/* The `response` to a request with these members. */
static cJSON *ask(const struct cluster *c, const char *request)
{
    auto_json cJSON *review = quoted_json("{'apiVersion':'admission.k8s.io/v1','kind':"
                                          "'AdmissionReview'}");
    auto_json cJSON *answer = NULL;
    auto_free char *text = NULL;
    auto_buf struct buf out;
    cJSON *members = quoted_json(request);
    int status;

    json_add_str(members, "uid", "r-1");
    (void)cJSON_AddItemToObject(review, "request", members);
    text = json_print(review);
    buf_init(&out, 1 << 20);
    status = admission_review(&c->lookup, text, strlen(text), &out, NULL);
    assert_int_equal(json_parse(out.data, out.len, &answer, NULL), 0);
    assert_json_equal(json_at(answer, "apiVersion"), "'admission.k8s.io/v1'");
    assert_json_equal(json_at(answer, "kind"), "'AdmissionReview'");
    assert_json_equal(json_at(answer, "response.uid"), "'r-1'");
    assert_int_equal(status, cJSON_IsTrue(json_at(answer, "response.allowed")) ? 0 : 1);
    return cJSON_DetachItemFromObjectCaseSensitive(answer, "response");
}

/* `message` NULL: allowed; else what the refusal begins with. */
static void expect(const struct cluster *c, const char *request, const char *message)
{
    auto_json cJSON *response = ask(c, request);
    const char *has = json_get_str(json_get_obj(response, "status"), "message");

    if (!message && has)
        fail_msg("refused with '%s': %s", has, request);
    assert_int_equal(cJSON_IsTrue(json_at(response, "allowed")), !message);
    if (!message)
        return;
    assert_json_equal(json_at(response, "status.code"), "400");
    if (strncmp(has, message, strlen(message)) != 0)
        fail_msg("'%s' does not begin with '%s'", has, message);
}

/* A request about a workload with these annotations. */
static char *deployment(const char *operation, const char *name, const char *annotations)
{
    return xasprintf("{'operation':'%s','namespace':'shop','name':'%s','kind':{'group':'apps',"
                     "'version':'v1','kind':'Deployment'},'object':{'metadata':{'name':'%s'},"
                     "'spec':{'template':{'metadata':{'annotations':{%s}}}}}}",
                     operation, name, name, annotations);
}

#define IP(list) "'macvlan.pandaria.cattle.io/ip':'" list "'"
#define MAC(list) "'macvlan.pandaria.cattle.io/mac':'" list "'"
#define LAN "'macvlan.pandaria.cattle.io/subnet':'lan'"
#define OWN_MAC "02:00:00:00:00:10"

static void workloads_are_told_what_cannot_work(void **state)
{
    static const struct {
        const char *annotations;
        const char *message;
    } table[] = {
        {"", NULL},
        {IP("auto"), NULL},
        {IP("auto") "," LAN, NULL},
        {IP("10.1.0.5") "," LAN, NULL},
        {IP("10.1.0.5-10.1.0.6") "," LAN "," MAC("02:00:00:00:00:05-02:00:00:00:00:06"), NULL},
        {IP("10.1.0.x") "," LAN, "invalid annotation ip list"},
        {IP("10.1.0.5,10.1.0.6") "," LAN, "invalid annotation ip list"},
        {IP("10.1.0.5") "," LAN "," MAC("zz"), "parse single mac address error"},
        {IP("10.9.0.5") "," LAN, "ip 10.9.0.5 not in subnet lan hosts"},
        {IP("10.1.0.200") "," LAN, "ip 10.1.0.200 not in subnet lan hosts"},
        {IP("10.1.0.0") "," LAN, "ip 10.1.0.0 not in subnet lan hosts"},
        {IP("10.1.0.255") "," LAN, "ip 10.1.0.255 not in subnet lan hosts"},
        {IP("10.1.0.5-10.1.0.5") "," LAN, "ip duplicate in list: 10.1.0.5"},
        {IP("10.1.0.5-10.1.0.6") "," LAN "," MAC("02:00:00:00:00:05-02:00:00:00:00:05"),
         "mac duplicate in list: 02:00:00:00:00:05"},
        {IP("10.1.0.21") "," LAN, "ip has been reseved"},
        {IP("10.1.0.20") "," LAN, "ip has been used"},
        {IP("10.1.0.5-10.1.0.20") "," LAN, "ip has been used"},
        {IP("10.1.0.1") "," LAN, "ip use by subnet as gateway"},
        {IP("10.1.0.5") "," LAN "," MAC("02:00:00:00:00:20"), "mac has been used"},
        {IP("auto") "," LAN "," MAC("02:00:00:00:00:20"), "mac has been used"},
        {IP("10.1.0.5") "," LAN "," MAC("02:00:00:00:00:05-02:00:00:00:00:06"),
         "count of multiple IP and Mac not equal: 1 2"},
        {IP("10.1.0.5-10.1.0.6") "," LAN "," MAC("02:00:00:00:00:05"),
         "count of IP and Mac not equal: 2 1"},
        {IP("auto") ",'macvlan.pandaria.cattle.io/subnet':'none'",
         "macvlansubnets.macvlan.cluster.cattle.io \"none\" not found"},
        {IP("auto") ",'macvlan.pandaria.cattle.io/subnet':'../x'", "subnet name"},
    };
    const struct cluster *c = *state;

    for (size_t i = 0; i < COUNT(table); i++) {
        auto_free char *create = deployment("CREATE", "new", table[i].annotations);
        auto_free char *update = deployment("UPDATE", "new", table[i].annotations);
        auto_free char *deletion = deployment("DELETE", "new", table[i].annotations);

        expect(c, create, table[i].message);
        expect(c, update, table[i].message);
        expect(c, deletion, NULL);
    }
}

static void what_is_the_owners_own_is_free_to_it(void **state)
{
    const struct cluster *c = *state;
    auto_free char *own =
        deployment("UPDATE", "web",
                   IP("10.1.0.10-10.1.0.11") "," LAN "," MAC(OWN_MAC "-02:00:00:00:00:11"));
    auto_free char *others = deployment("UPDATE", "other", IP("10.1.0.10") "," LAN);
    auto_free char *reserved = deployment("UPDATE", "other", IP("10.1.0.11") "," LAN);
    auto_free char *mac = deployment("UPDATE", "other", IP("10.1.0.5") "," LAN "," MAC(OWN_MAC));

    expect(c, own, NULL);
    expect(c, others, "ip has been used");
    expect(c, reserved, "ip has been reseved");
    expect(c, mac, "mac has been used");
}

static void projects_are_kept_apart(void **state)
{
    struct cluster *c = *state;
    auto_free char *request = deployment("CREATE", "new", IP("auto") "," LAN);

    c->project = "c-1:p-1";
    expect(c, request, NULL);
    c->project = "c-1:p-2";
    expect(c, request, "new(c-1-p-2) is not own by c-1-p-1");
}

static void every_kind_of_workload_is_read(void **state)
{
    static const struct {
        const char *group, *version, *kind;
        const char *before, *after; /* around the metadata of the pods */
        bool is_read;
    } table[] = {
        {"apps", "v1", "Deployment", "'spec':{'template':{", "}}", true},
        {"apps", "v1beta2", "StatefulSet", "'spec':{'template':{", "}}", true},
        {"apps", "v1", "DaemonSet", "'spec':{'template':{", "}}", true},
        {"extensions", "v1beta1", "Deployment", "'spec':{'template':{", "}}", true},
        {"batch", "v1", "Job", "'spec':{'template':{", "}}", true},
        {"batch", "v1", "CronJob", "'spec':{'jobTemplate':{'spec':{'template':{", "}}}}", true},
        {"batch", "v1beta1", "CronJob", "'spec':{'jobTemplate':{'spec':{'template':{", "}}}}",
         true},
        /* Those of the job template itself are nobody's. */
        {"batch", "v1", "CronJob", "'spec':{'jobTemplate':{", "}}", false},
        {"", "v1", "Pod", "", "", true},
        {"apps", "v1", "ReplicaSet", "'spec':{'template':{", "}}", false},
        {"example.org", "v1", "Deployment", "'spec':{'template':{", "}}", false},
    };
    const struct cluster *c = *state;

    for (size_t i = 0; i < COUNT(table); i++) {
        auto_free char *request = xasprintf(
            "{'operation':'CREATE','namespace':'shop','name':'a','kind':{'group':'%s','version':"
            "'%s','kind':'%s'},'object':{%s'metadata':{'annotations':{" IP("10.1.0.20") "," LAN
                                                                                        "}}%s}}",
            table[i].group, table[i].version, table[i].kind, table[i].before, table[i].after);

        expect(c, request, table[i].is_read ? "ip has been used" : NULL);
    }
}

/* A request with an object before. */
static char *update_of(const char *kind, const char *old, const char *object)
{
    return xasprintf("{'operation':'UPDATE','namespace':'%s','name':'lan','kind':%s,'oldObject':%s,"
                     "'object':%s}",
                     strstr(kind, "Subnet") ? "kube-system" : "shop", kind, old, object);
}

#define DEPLOYMENT "{'group':'apps','version':'v1','kind':'Deployment'}"
#define SUBNET "{'group':'macvlan.cluster.cattle.io','version':'v1','kind':'MacvlanSubnet'}"

static void what_does_not_change_is_not_refused(void **state)
{
#define TEMPLATE(annotations, extra)                                                               \
    "{" extra "'spec':{'template':{'metadata':{'annotations':{" annotations "}}}}}"
    static const char taken[] = TEMPLATE(IP("10.1.0.20") "," LAN, "");
    static const char deleted[] =
        TEMPLATE(IP("10.1.0.20") "," LAN, "'metadata':{'deletionTimestamp':'x'},");
    static const char with_mac[] = TEMPLATE(IP("10.1.0.20") "," LAN "," MAC(""), "");
    static const char none[] = TEMPLATE("", "");
    const struct cluster *c = *state;
    auto_free char *same = update_of(DEPLOYMENT, taken, taken);
    auto_free char *ending = update_of(DEPLOYMENT, none, deleted);
    auto_free char *new_mac = update_of(DEPLOYMENT, taken, with_mac);
    auto_free char *new_ip = update_of(DEPLOYMENT, none, taken);
    auto_free char *away = update_of(DEPLOYMENT, taken, none);

    expect(c, same, NULL);
    expect(c, ending, NULL);
    expect(c, new_mac, "ip has been used");
    expect(c, new_ip, "ip has been used");
    expect(c, away, NULL);
}

static void pods_that_a_controller_makes_are_checked_for_form(void **state)
{
#define OWNED(kind_, group_, annotations)                                                          \
    "{'operation':'CREATE','namespace':'shop','name':'','kind':{'group':'" group_                  \
    "','version':'v1','kind':'" kind_ "'},'object':{'metadata':{'ownerReferences':[{'kind':'X',"   \
    "'controller':true}],'annotations':{" annotations                                              \
    "}},'spec':{'template':{'metadata':{'annotations':{" annotations "}}}}}}"
    const struct cluster *c = *state;

    expect(c, OWNED("Pod", "", IP("10.1.0.20") "," LAN), NULL);
    expect(c, OWNED("Job", "batch", IP("10.1.0.20") "," LAN), NULL);
    expect(c, OWNED("Pod", "", IP("bad") "," LAN), "invalid annotation ip list");
    expect(c, OWNED("Deployment", "apps", IP("10.1.0.20") "," LAN), "ip has been used");
}

static char *subnet(const char *operation, const char *namespace, const char *name,
                    const char *spec)
{
    return xasprintf("{'operation':'%s','namespace':'%s','name':'%s','kind':" SUBNET
                     ",'object':{'metadata':{'name':'%s','namespace':'%s'},'spec':{%s}}}",
                     operation, namespace, name, name, namespace, spec);
}

static void subnets_are_checked(void **state)
{
    static const struct {
        const char *namespace, *spec, *message;
    } table[] = {
        {"kube-system", "'master':'eth1','cidr':'10.2.0.0/24'", NULL},
        {"kube-system", "'master':'eth1','cidr':'10.2.0.0'", "invalid CIDR address"},
        {"kube-system", "'master':'eth1','cidr':''", "invalid CIDR address"},
        {"kube-system",
         "'master':'eth1','cidr':'10.2.0.0/24','routes':[{'dst':'10.0.0.0/8','gw':'10.9.0.1'}]",
         "invalid gateway ip '10.9.0.1' is not in network '10.2.0.0/24'"},
        {"kube-system", "'master':'eth0','vlan':5,'cidr':'10.1.0.0/25'", "subnet 'lan' has"},
        {"kube-system",
         "'master':'eth0','vlan':5,'cidr':'10.1.0.0/24','ranges':[{'rangeStart':'10.1.0.90',"
         "'rangeEnd':'10.1.0.110'}]",
         "range '10.1.0.90-10.1.0.110' overlaps"},
        {"kube-system",
         "'master':'eth0','vlan':5,'cidr':'10.1.0.0/24','ranges':[{'rangeStart':'10.1.0.101',"
         "'rangeEnd':'10.1.0.110'}]",
         NULL},
        {"kube-system", "'master':'eth0','vlan':6,'cidr':'10.1.0.0/24'", NULL},
        {"shop", "'master':'eth1','cidr':'10.2.0.0/24'", "a MacvlanSubnet works in namespace"},
    };
    const struct cluster *c = *state;

    for (size_t i = 0; i < COUNT(table); i++) {
        auto_free char *create = subnet("CREATE", table[i].namespace, "new", table[i].spec);
        auto_free char *update = subnet("UPDATE", table[i].namespace, "new", table[i].spec);

        expect(c, create, table[i].message);
        expect(c, update, table[i].message);
    }
}

/* Two that came to overlap can still be written, defaults above all; each move is judged. */
static void a_subnet_that_stays_is_not_held_against_others(void **state)
{
#define NEW(spec) "{'metadata':{'name':'new'},'spec':{'master':'eth0','vlan':5," spec "}}"
    static const struct {
        const char *before, *now, *message;
    } table[] = {
        {NEW("'cidr':'10.1.0.0/25'"), NEW("'cidr':'10.1.0.0/25','gateway':'10.1.0.1'"), NULL},
        {NEW("'cidr':'10.1.0.0/25'"), NEW("'cidr':'10.1.0.0/25','gateway':'x'"), "'spec.gateway'"},
        {NEW("'cidr':'10.1.0.0/25'"), NEW("'cidr':'10.1.0.0/26'"), "subnet 'lan' has"},
        {NEW("'cidr':'10.1.1.0/25'"), NEW("'cidr':'10.1.0.0/25'"), "subnet 'lan' has"},
        {NEW("'cidr':'x'"), NEW("'cidr':'10.1.0.0/25'"), "subnet 'lan' has"},
        {"{'metadata':{'name':'new'},'spec':{'master':'eth1','vlan':5,'cidr':'10.1.0.0/25'}}",
         NEW("'cidr':'10.1.0.0/25'"), "subnet 'lan' has"},
        {"{'metadata':{'name':'new'},'spec':{'master':'eth0','vlan':6,'cidr':'10.1.0.0/25'}}",
         NEW("'cidr':'10.1.0.0/25'"), "subnet 'lan' has"},
        {NEW("'cidr':'10.1.0.0/24','ranges':[{'rangeStart':'10.1.0.90','rangeEnd':'10.1.0.110'}]"),
         NEW("'cidr':'10.1.0.0/24','ranges':[{'rangeStart':'10.1.0.90','rangeEnd':'10.1.0.110'}],"
             "'mtu':1400"),
         NULL},
        {NEW("'cidr':'10.1.0.0/24','ranges':[{'rangeStart':'10.1.0.90','rangeEnd':'10.1.0.110'}]"),
         NEW("'cidr':'10.1.0.0/24','ranges':[{'rangeStart':'10.1.0.90','rangeEnd':'10.1.0.111'}]"),
         "range '10.1.0.90-10.1.0.111' overlaps"},
        {NEW("'cidr':'10.1.0.0/24','ranges':[{'rangeStart':'10.1.0.120','rangeEnd':'10.1.0.130'}]"),
         NEW("'cidr':'10.1.0.0/24'"), "subnet 'lan' has"},
    };
    const struct cluster *c = *state;

    for (size_t i = 0; i < COUNT(table); i++) {
        auto_free char *update = update_of(SUBNET, table[i].before, table[i].now);

        expect(c, update, table[i].message);
    }
}

/* What an older version let in must still be mendable and removable. */
static void an_unchanged_spec_is_not_refused(void **state)
{
    static const char bad[] = "{'metadata':{'name':'old'},'spec':{'cidr':'x'}}";
    static const char labelled[] =
        "{'metadata':{'name':'old','labels':{'a':'b'}},'spec':{'cidr':'x'}}";
    static const char worse[] = "{'metadata':{'name':'old'},'spec':{'cidr':'y'}}";
    const struct cluster *c = *state;
    auto_free char *same = update_of(SUBNET, bad, labelled), *other = update_of(SUBNET, bad, worse);

    expect(c, same, NULL);
    expect(c, other, "");
}

static void a_subnet_in_use_stays(void **state)
{
    static const char named[] = "{'operation':'DELETE','namespace':'kube-system','name':'lan',"
                                "'kind':" SUBNET ",'object':null}";
    static const char collected[] = "{'operation':'DELETE','namespace':'kube-system','kind':" SUBNET
                                    ",'oldObject':{'metadata':{'name':'lan'}}}";
    static const char elsewhere[] =
        "{'operation':'DELETE','namespace':'shop','name':'lan','kind':" SUBNET "}";
    struct cluster *c = *state;

    expect(c, named, NULL);
    c->used = 3;
    expect(c, named, "subnet 'lan' cannot be deleted, because 3 of its addresses are in use");
    expect(c, collected, "subnet 'lan' cannot be deleted");
    expect(c, elsewhere, NULL);
}

static void warnings_come_along(void **state)
{
    struct cluster *c = *state;
    auto_free char *half = deployment("CREATE", "new", IP("auto"));
    auto_free char *no_network = deployment("CREATE", "new", IP("auto") "," LAN);
    auto_free char *start_end =
        subnet("CREATE", "kube-system", "new",
               "'master':'eth1','cidr':'10.2.0.0/24','ranges':[{'start':'10.2.0.5','end':"
               "'10.2.0.6'}]");
    auto_json cJSON *a = ask(c, half), *b = NULL, *d = ask(c, start_end);

    assert_non_null(strstr(json_at(a, "warnings.0")->valuestring, "set both"));
    c->lookup.is_multus = true;
    b = ask(c, no_network);
    assert_non_null(strstr(json_at(b, "warnings.0")->valuestring, "no interface for it"));
    assert_non_null(json_at(d, "warnings.0"));
}

static int review_text(const struct cluster *c, const char *quoted, struct err **e)
{
    auto_json cJSON *tree = quoted_json(quoted);
    auto_free char *text = json_print(tree);
    auto_buf struct buf out;
    int status;

    buf_init(&out, 1 << 16);
    status = admission_review(&c->lookup, text, strlen(text), &out, e);
    assert_int_equal(out.len > 0, status >= 0);
    return status;
}

static void what_is_no_review_is_an_error(void **state)
{
    static const char *const table[] = {
        "{}",
        "7",
        "[]",
        "{'apiVersion':'admission.k8s.io/v1','kind':'Other','request':{'uid':'1'}}",
        "{'apiVersion':'admission.k8s.io/v2','kind':'AdmissionReview','request':{'uid':'1'}}",
        "{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview'}",
        "{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','request':{}}",
        "{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','request':{'uid':7}}",
        "{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','request':{'uid':'1',"
        "'operation':'CREATE','kind':" DEPLOYMENT "}}",
        "{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','request':{'uid':'1',"
        "'operation':'CREATE','kind':" SUBNET ",'object':[]}}",
    };
    const struct cluster *c = *state;
    struct buf out;

    for (size_t i = 0; i < COUNT(table); i++) {
        auto_err struct err *e = NULL;

        assert_int_equal(review_text(c, table[i], &e), -EBADMSG);
        assert_non_null(e);
    }
    buf_init(&out, 100);
    assert_int_equal(admission_review(&c->lookup, "{", 1, &out, NULL), -EBADMSG);
    buf_release(&out);
}

static void the_older_version_is_answered_in_kind(void **state)
{
    static const char review[] = "{\"apiVersion\":\"admission.k8s.io/v1beta1\",\"kind\":"
                                 "\"AdmissionReview\",\"request\":{\"uid\":\"r\"}}";
    const struct cluster *c = *state;
    struct buf out;

    buf_init(&out, 1000);
    assert_int_equal(admission_review(&c->lookup, review, strlen(review), &out, NULL), 0);
    assert_string_equal(out.data,
                        "{\"apiVersion\":\"admission.k8s.io/v1beta1\",\"kind\":\"AdmissionReview\","
                        "\"response\":{\"uid\":\"r\",\"allowed\":true}}");
    buf_release(&out);
}

#define WITH_CLUSTER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CLUSTER(workloads_are_told_what_cannot_work),
        WITH_CLUSTER(what_is_the_owners_own_is_free_to_it),
        WITH_CLUSTER(projects_are_kept_apart),
        WITH_CLUSTER(every_kind_of_workload_is_read),
        WITH_CLUSTER(what_does_not_change_is_not_refused),
        WITH_CLUSTER(pods_that_a_controller_makes_are_checked_for_form),
        WITH_CLUSTER(subnets_are_checked),
        WITH_CLUSTER(a_subnet_that_stays_is_not_held_against_others),
        WITH_CLUSTER(an_unchanged_spec_is_not_refused),
        WITH_CLUSTER(a_subnet_in_use_stays),
        WITH_CLUSTER(warnings_come_along),
        WITH_CLUSTER(what_is_no_review_is_an_error),
        WITH_CLUSTER(the_older_version_is_answered_in_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
