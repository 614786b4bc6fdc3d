/* Which pair a pod gets, and what it is told when there is none. */
#include "macvlan/annot.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define M1 "f2:e6:d8:33:eb:2a"
#define M2 "f2:e6:d8:33:eb:2d"
#define M3 "f2:e6:d8:33:eb:3f"

static struct ip_addr addr(const char *text)
{
    struct ip_addr a = {.family = AF_UNSPEC};

    assert_int_equal(ip_parse(text, &a), 0);
    return a;
}

static struct ip_mac mac(const char *text)
{
    struct ip_mac m;

    assert_int_equal(ip_mac_parse(text, &m, NULL), 0);
    return m;
}

/* A subnet s1, its allocator, its segment. */
struct scene {
    struct subnet *subnet;
    struct annot_source from;
};

static struct subnet *make_subnet(const char *more)
{
    auto_free char *text = xasprintf("{\"metadata\":{\"name\":\"s1\"%s", more);
    auto_json cJSON *tree = NULL;
    struct subnet *s = NULL;

    assert_int_equal(json_parse(text, strlen(text), &tree, NULL), 0);
    assert_int_equal(subnet_parse(tree, false, &s, NULL), 0);
    return s;
}

static void scene_init(struct scene *s, const char *more)
{
    s->subnet = make_subnet(more);
    assert_true(s->subnet->is_valid);
    s->from = (struct annot_source){.alloc = alloc_new(s->subnet),
                                    .macs = mac_set_new(),
                                    .cluster_uid = "uid"};
}

static void scene_release(struct scene *s)
{
    alloc_free(s->from.alloc);
    mac_set_free(s->from.macs);
    subnet_free(s->subnet);
}

#define auto_scene __attribute__((cleanup(scene_release)))
#define NET24 "},\"spec\":{\"master\":\"eth0\",\"cidr\":\"10.0.0.0/24\"}}"
#define NET30 "},\"spec\":{\"master\":\"eth0\",\"cidr\":\"10.0.0.0/30\"}}"

static struct annot_request request(const char *ip, const char *macs)
{
    auto_json cJSON *a = cJSON_CreateObject();
    struct annot_request r = {.subnet = NULL};

    json_add_str(a, ANNOT_IP, ip);
    json_add_str(a, ANNOT_SUBNET, "s1");
    json_add_str(a, ANNOT_MAC, macs);
    assert_int_equal(annot_parse(a, &r, NULL), 1);
    return r;
}

/* "ADDRESS MAC" ("ADDRESS 02" for one of ours), or the event's text. */
static char *pick(struct scene *s, const char *ip, const char *macs, int *out_status)
{
    auto_annot_request struct annot_request r = request(ip, macs);
    auto_annot_refusal struct annot_refusal no = {0};
    char address[IP_TEXT_SIZE], text[IP_MAC_TEXT_SIZE];
    struct annot_pair pair;

    *out_status = annot_pick(&r, &s->from, &pair, &no);
    if (*out_status < 0) {
        assert_string_equal(no.reason, ANNOT_IP_ERROR);
        return xasprintf("%s | %s", no.text, no.admission);
    }
    assert_int_equal(alloc_check(s->from.alloc, pair.ip, true), ALLOC_USED);
    if (!pair.has_mac)
        return xstrdup(ip_format(pair.ip, address));
    assert_true(mac_is_held(s->from.macs, pair.mac));
    (void)ip_mac_format(pair.mac, ':', text);
    if (!strncmp(text, "02:", 3))
        text[2] = '\0';
    return xasprintf("%s %s", ip_format(pair.ip, address), text);
}

struct pick_case {
    const char *ip, *macs;
    int status;
    const char *result; /* the pair, or a part of the refusal */
};

static void run(struct scene *s, const struct pick_case *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int status;
        auto_free char *result = pick(s, table[i].ip, table[i].macs, &status);

        if (status != table[i].status || !strstr(result, table[i].result))
            fail_msg("%zu: '%s' '%s' gives %d: %s", i, table[i].ip,
                     table[i].macs ? table[i].macs : "", status, result);
    }
}

static void gives_auto_addresses(void **state)
{
    static const struct pick_case table[] = {
        {"auto", NULL, 0, "10.0.0.2 02"},
        {"auto", "auto", -EAGAIN, "No enough ip resouce in subnet: s1; widen the ranges"},
    };
    auto_scene struct scene s;

    (void)state;
    scene_init(&s, NET30);
    run(&s, table, COUNT(table));
}

static void pairs_auto_with_a_list_of_macs(void **state)
{
    static const struct pick_case table[] = {
        {"auto", M1, 0, "10.0.0.2 " M1},
        {"auto", M1, -EAGAIN, "not enough mac resouce in annotations; "},
        {"auto", M1 "-" M2 "-" M3, 0, "10.0.0.3 " M2},
        {"auto", M1 "-" M2 "-" M3, 0, "10.0.0.4 " M3},
        {"auto", M1 "-" M2 "-" M3, -EAGAIN, "not enough mac resouce in annotations; "},
        {"auto", NULL, 0, "10.0.0.5 02"},
    };
    auto_scene struct scene s;

    (void)state;
    scene_init(&s, NET24);
    run(&s, table, COUNT(table));
}

static void gives_single_addresses(void **state)
{
    static const struct pick_case table[] = {
        {"10.0.0.5", M1, 0, "10.0.0.5 " M1},
        {"10.0.0.5", M1, -EAGAIN, "10.0.0.5 is used in s1; "},
        {"10.0.0.5", M1, -EAGAIN, "| ip has been used; "},
        {"10.0.0.6", M1, -EAGAIN, "mac has been used; "},
        {"10.0.0.6", NULL, 0, "10.0.0.6 02"},
        {"10.0.0.1", NULL, -EINVAL, "10.0.0.1 invalid in s1; it is the gateway"},
        {"10.0.0.1", NULL, -EINVAL, "| ip use by subnet as gateway; "},
        {"10.0.0.0", NULL, -EINVAL, "10.0.0.0 invalid in s1; it is the address of the network"},
        {"10.0.0.0", NULL, -EINVAL, "| ip 10.0.0.0 not in subnet s1 hosts; "},
        {"10.0.0.255", NULL, -EINVAL, "10.0.0.255 invalid in s1; it is the broadcast address"},
        {"10.0.1.5", NULL, -EINVAL, "10.0.1.5 invalid in s1; use an address of the network"},
        {"10.0.1.5", NULL, -EINVAL, "| ip 10.0.1.5 not in subnet s1 hosts; "},
        {"fd00::5", NULL, -EINVAL, "fd00::5 invalid in s1; "},
        {"10.0.0.9", NULL, -EAGAIN, "10.0.0.9 is used in s1; another workload names this"},
        {"10.0.0.9", NULL, -EAGAIN, "| ip has been reseved; "},
        {"10.0.0.8", NULL, -EAGAIN, "10.0.0.8 is used in s1; it was used a short time ago"},
    };
    auto_scene struct scene s;

    (void)state;
    scene_init(&s, NET24);
    alloc_reserve(s.from.alloc, addr("10.0.0.9"));
    assert_true(alloc_adopt(s.from.alloc, addr("10.0.0.8")));
    alloc_release(s.from.alloc, addr("10.0.0.8"), 1000);
    run(&s, table, COUNT(table));
}

static void goes_through_lists(void **state)
{
    static const struct pick_case table[] = {
        {"10.0.0.5-10.0.0.6-10.0.0.7", M1 "-" M2 "-" M3, 0, "10.0.0.5 " M1},
        /* .6 is somebody else's: not a reason to stop, as it was in 2019. */
        {"10.0.0.5-10.0.0.6-10.0.0.7", M1 "-" M2 "-" M3, 0, "10.0.0.7 " M3},
        {"10.0.0.5-10.0.0.6-10.0.0.7", M1 "-" M2 "-" M3, -EAGAIN,
         "No enough ip resouce in subnet: 10.0.0.5-10.0.0.6-10.0.0.7; name more addresses"},
        {"10.0.0.6-10.0.0.9-10.0.0.10", NULL, 0, "10.0.0.9 02"},
        /* Its MAC is held: the next pair. */
        {"10.0.0.20-10.0.0.21", M1 "-02:00:00:00:00:07", 0, "10.0.0.21 02"},
        {"10.0.0.20-10.0.0.21", M1 "-02:00:00:00:00:08", -EAGAIN, "not enough mac resouce in"},
        {"10.0.0.30-10.0.0.1", NULL, -EINVAL, "10.0.0.1 invalid in s1; "},
        {"10.0.0.30-10.0.9.9", NULL, -EINVAL, "10.0.9.9 invalid in s1; "},
        {"10.0.0.40-10.0.0.30", NULL, 0, "10.0.0.30 02"},
    };
    auto_scene struct scene s;

    (void)state;
    scene_init(&s, NET24);
    assert_true(alloc_adopt(s.from.alloc, addr("10.0.0.6")));
    alloc_reserve(s.from.alloc, addr("10.0.0.40"));
    run(&s, table, COUNT(table));
}

static void a_workload_takes_what_it_reserved(void **state)
{
    static const struct pick_case table[] = {
        {"auto", NULL, 0, "10.0.0.4 02"},
        {"10.0.0.2-10.0.0.3", NULL, 0, "10.0.0.2 02"},
        {"10.0.0.2-10.0.0.3", NULL, 0, "10.0.0.3 02"},
        {"10.0.0.2-10.0.0.3", NULL, -EAGAIN, "No enough ip resouce in subnet: 10.0.0.2-10.0.0.3"},
    };
    auto_scene struct scene s;

    (void)state;
    scene_init(&s, NET24);
    alloc_reserve(s.from.alloc, addr("10.0.0.2"));
    alloc_reserve(s.from.alloc, addr("10.0.0.3"));
    s.from.may_take_reserved = true;
    run(&s, table, COUNT(table));
}

static void no_mac_in_passthru_mode(void **state)
{
    static const struct pick_case table[] = {
        {"auto", NULL, 0, "10.0.0.2"},
        {"auto", M1, 0, "10.0.0.3 " M1},
    };
    auto_scene struct scene s;
    int status;
    auto_free char *result = NULL;

    (void)state;
    scene_init(&s, "},\"spec\":{\"master\":\"eth0\",\"mode\":\"passthru\","
                   "\"cidr\":\"10.0.0.0/24\"}}");
    run(&s, table, COUNT(table));
    result = pick(&s, "auto", NULL, &status);
    assert_string_equal(result, "10.0.0.4");
}

static void avoids_macs_of_the_segment(void **state)
{
    auto_scene struct scene s;
    struct ip_mac first, second;
    int status;

    (void)state;
    scene_init(&s, NET24);
    assert_true(mac_generate(s.from.macs, "uid", s.subnet, addr("10.0.0.2"), &first));
    mac_hold(s.from.macs, first);
    free(pick(&s, "auto", NULL, &status));
    assert_int_equal(status, 0);
    assert_true(mac_generate(s.from.macs, "uid", s.subnet, addr("10.0.0.2"), &second));
    mac_release(s.from.macs, first);
    assert_false(mac_is_held(s.from.macs, first));
    assert_false(mac_is_held(s.from.macs, second));
    assert_false(mac_is_held(s.from.macs, mac(M1)));
}

static void a_refusal_takes_nothing(void **state)
{
    static const struct {
        const char *ip, *macs;
    } table[] = {{"auto", M1}, {"10.0.0.5", M1}, {"10.0.0.5-10.0.0.1", NULL}};
    auto_scene struct scene s;
    struct alloc_counts c;

    (void)state;
    scene_init(&s, NET24);
    mac_hold(s.from.macs, mac(M1));
    for (size_t i = 0; i < COUNT(table); i++) {
        int status;

        free(pick(&s, table[i].ip, table[i].macs, &status));
        assert_true(status < 0);
    }
    mac_release(s.from.macs, mac(M1));
    assert_false(mac_is_held(s.from.macs, mac(M1)));
    alloc_count(s.from.alloc, &c);
    assert_int_equal(c.used, 0);
}

static void checks_the_subnet(void **state)
{
    auto_subnet struct subnet *good = make_subnet(NET24);
    auto_subnet struct subnet *bad = make_subnet("},\"spec\":{\"master\":\"eth0\"}}");
    auto_subnet struct subnet *leaving = make_subnet(",\"deletionTimestamp\":\"x\"" NET24);
    const struct {
        const struct subnet *s;
        const char *text;
    } table[] = {
        {NULL, "macvlansubnets.macvlan.cluster.cattle.io \"s1\" not found; create it"},
        {bad, "subnet s1 cannot be used: invalid CIDR address: "},
        {leaving, "subnet s1 is being deleted; "},
    };
    auto_annot_refusal struct annot_refusal no = {0};

    (void)state;
    assert_int_equal(annot_check_subnet("s1", good, &no), 0);
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_int_equal(annot_check_subnet("s1", table[i].s, &no), -EAGAIN);
        assert_string_equal(no.reason, ANNOT_SUBNET_ERROR);
        assert_ptr_equal(strstr(no.text, table[i].text), no.text);
    }
}

static void checks_the_project(void **state)
{
    static const struct {
        const char *label, *project, *text;
    } table[] = {
        {NULL, NULL, NULL},
        {"\"project\":\"\"", NULL, NULL},
        {"\"project\":\"c-1-p-1\"", NULL, NULL},
        {"\"project\":\"\"", "c-1:p-1", NULL},
        {"\"project\":\"c-1-p-1\"", "c-1:p-1", NULL},
        {"\"project\":\"c-1-p-2\"", "c-1:p-1", "pod-1(c-1-p-1) is not own by c-1-p-2; use"},
        {NULL, "c-1:p-1", "subnet s1 is not own by rancher project; set label 'project'"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_free char *more =
            xasprintf(",\"labels\":{%s}%s", table[i].label ? table[i].label : "", NET24);
        auto_subnet struct subnet *s = make_subnet(more);
        auto_annot_refusal struct annot_refusal no = {0};
        int status = annot_check_project(s, "pod-1", table[i].project, &no);

        assert_int_equal(status, table[i].text ? -EAGAIN : 0);
        if (!table[i].text)
            continue;
        assert_string_equal(no.reason, ANNOT_SUBNET_ERROR);
        assert_ptr_equal(strstr(no.text, table[i].text), no.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_auto_addresses),
        cmocka_unit_test(pairs_auto_with_a_list_of_macs),
        cmocka_unit_test(gives_single_addresses),
        cmocka_unit_test(goes_through_lists),
        cmocka_unit_test(a_workload_takes_what_it_reserved),
        cmocka_unit_test(no_mac_in_passthru_mode),
        cmocka_unit_test(avoids_macs_of_the_segment),
        cmocka_unit_test(a_refusal_takes_nothing),
        cmocka_unit_test(checks_the_subnet),
        cmocka_unit_test(checks_the_project),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
