/* Annotations: what is asked for, what is refused and how, which pair is picked, labels. */
#include "macvlan/annot.h"

#include "buf.h"
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

/* NULL: the annotation is not there. */
static cJSON *annotations(const char *ip, const char *subnet, const char *mac)
{
    cJSON *a = cJSON_CreateObject();

    json_add_str(a, ANNOT_IP, ip);
    json_add_str(a, ANNOT_SUBNET, subnet);
    json_add_str(a, ANNOT_MAC, mac);
    return a;
}

static struct annot_request parse(const char *ip, const char *mac)
{
    auto_json cJSON *a = annotations(ip, "s1", mac);
    auto_annot_refusal struct annot_refusal no = {0};
    struct annot_request r = {.subnet = NULL};

    if (annot_parse(a, &r, &no) != 1)
        fail_msg("'%s' '%s': %s", ip, mac ? mac : "", no.text);
    return r;
}

/* Every list with its texts has to be the same again. */
static void reads_lists(void **state)
{
    static const struct {
        const char *ip, *mac;
        size_t n_ips, n_macs;
    } table[] = {
        {"auto", NULL, 0, 0},
        {" auto\n", "", 0, 0},
        {"auto", "auto", 0, 0},
        {"auto", M1, 0, 1},
        {"auto", M1 "-" M2 "-" M3, 0, 3},
        {"10.0.0.5", NULL, 1, 0},
        {" 10.0.0.5 ", " auto ", 1, 0},
        {"10.0.0.5", " " M1 " ", 1, 1},
        {"10.0.0.5-10.0.0.6", "", 2, 0},
        {"10.0.0.5-10.0.0.6", M1 "-" M2, 2, 2},
        {"fd00::5-fd00::6-fd00::1:7", NULL, 3, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_annot_request struct annot_request r = parse(table[i].ip, table[i].mac);
        char text[IP_MAC_TEXT_SIZE];

        assert_int_equal(r.n_ips, table[i].n_ips);
        assert_int_equal(r.n_macs, table[i].n_macs);
        assert_string_equal(r.subnet, "s1");
        assert_string_equal(r.ip_text, table[i].ip);
        if (r.n_macs)
            assert_string_equal(ip_mac_format(r.macs[0], ':', text), M1);
    }
}

static void leaves_other_pods_alone(void **state)
{
    static const struct {
        const char *ip, *subnet, *mac;
    } table[] = {{NULL, NULL, NULL}, {NULL, "s1", NULL}, {"auto", NULL, NULL}, {NULL, NULL, M1}};
    struct annot_request r;

    (void)state;
    assert_int_equal(annot_parse(NULL, &r, NULL), 0);
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_json cJSON *a = annotations(table[i].ip, table[i].subnet, table[i].mac);

        assert_int_equal(annot_parse(a, &r, NULL), 0);
    }
}

static void refuses_with_the_texts_of_2019(void **state)
{
    static const struct {
        const char *ip, *subnet, *mac, *text, *admission;
    } table[] = {
        {"", "s1", NULL, "annotation ip invalid: ", "invalid annotation ip list"},
        {"automatic", "s1", NULL, "annotation ip invalid: automatic", "invalid annotation ip list"},
        {"10.0.0.5,10.0.0.6", "s1", NULL, "annotation ip invalid: 10.0.0.5,10.0.0.6",
         "invalid annotation ip list"},
        {"10.0.0.5-", "s1", NULL, "annotation ip invalid: 10.0.0.5-", "invalid annotation ip list"},
        {"-", "s1", NULL, "annotation ip invalid: -", "invalid annotation ip list"},
        {"10.0.0.5- 10.0.0.6", "s1", NULL, "annotation ip invalid", "invalid annotation ip list"},
        {"auto-10.0.0.6", "s1", NULL, "annotation ip invalid", "invalid annotation ip list"},
        {"10.0.0.5/24", "s1", NULL, "annotation ip invalid", "invalid annotation ip list"},
        {"10.0.0.05", "s1", NULL, "annotation ip invalid", "invalid annotation ip list"},
        {"10.0.0.5-10.0.0.6-10.0.0.5", "s1", NULL, "ip duplicate in list: 10.0.0.5",
         "ip duplicate in list: 10.0.0.5"},
        {"fd00::5-fd00:0::5", "s1", NULL, "ip duplicate in list: fd00:0::5", "ip duplicate"},
        {"auto", "s1", "x", "parse single mac address error: 'x' is no MAC",
         "parse single mac address error"},
        {"auto", "s1", M1 ",", "parse single mac address error", "parse single mac address error"},
        {"auto", "s1", M1 "-auto", "parse single mac address error", "parse single mac"},
        {"auto", "s1", "01:00:5e:00:00:01", "multicast", "parse single mac address error"},
        {"auto", "s1", "00:00:00:00:00:00", "all zero", "parse single mac address error"},
        {"auto", "s1", M1 "-" M2 "-F2:E6:D8:33:EB:2A", "mac duplicate in list: F2:E6:D8:33:EB:2A",
         "mac duplicate in list: F2:E6:D8:33:EB:2A"},
        {"10.0.0.5", "s1", M1 "-" M2, "count of multiple IP and Mac not same: 10.0.0.5 " M1 "-" M2,
         "count of multiple IP and Mac not equal: 1 2"},
        {"10.0.0.5-10.0.0.6", "s1", M1,
         "count of multiple IP and Mac not same: 10.0.0.5-10.0.0.6 " M1,
         "count of IP and Mac not equal: 2 1"},
        {"10.0.0.5-10.0.0.6-10.0.0.7", "s1", M1 "-" M2, "count of multiple IP and Mac not same",
         "count of multiple IP and Mac not equal: 3 2"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_json cJSON *a = annotations(table[i].ip, table[i].subnet, table[i].mac);
        auto_annot_refusal struct annot_refusal no = {0};
        struct annot_request r;

        assert_int_equal(annot_parse(a, &r, &no), -EINVAL);
        assert_string_equal(no.reason, ANNOT_IP_ERROR);
        assert_non_null(strstr(no.text, table[i].text));
        assert_ptr_equal(strstr(no.admission, table[i].admission), no.admission);
        /* What to do. */
        assert_non_null(strstr(no.text, "; "));
        assert_non_null(strstr(no.admission, "; "));
    }
}

static void refuses_names_of_subnets(void **state)
{
    static const char *const table[] = {
        "",    " ",   "Vlan", "a b",
        "a/b", "a_b", "../x", "a234567890123456789012345678901234567890123456789012345678901234",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_json cJSON *a = annotations("auto", table[i], NULL);
        auto_annot_refusal struct annot_refusal no = {0};
        struct annot_request r;

        assert_int_equal(annot_parse(a, &r, &no), -EINVAL);
        assert_string_equal(no.reason, ANNOT_SUBNET_ERROR);
        assert_non_null(strstr(no.text, "is not valid; set"));
    }
}

/* `n` addresses from 10.0.`third`.0 on, and as many MACs. */
static void make_lists(int n, struct buf *ips, struct buf *macs)
{
    buf_init(ips, 1 << 20);
    buf_init(macs, 1 << 20);
    for (int i = 0; i < n; i++) {
        const char *dash = i ? "-" : "";

        (void)buf_addf(ips, "%s10.0.%d.%d", dash, i / 200, i % 200 + 2);
        (void)buf_addf(macs, "%s02:00:00:00:%02x:%02x", dash, i / 256, i % 256);
    }
}

static void takes_long_lists(void **state)
{
    static const int table[] = {13, 14, 15, 200, 1024, 1025, 20000};

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_buf struct buf ips, macs;
        auto_json cJSON *a = NULL;
        auto_annot_request struct annot_request r = {.subnet = NULL};
        auto_annot_refusal struct annot_refusal no = {0};
        auto_free char *warning = NULL;

        make_lists(table[i], &ips, &macs);
        a = annotations(ips.data, "s1", macs.data);
        if (table[i] > ANNOT_LIST_MAX) {
            assert_int_equal(annot_parse(a, &r, &no), -EINVAL);
            assert_non_null(strstr(no.text, "at most 1024"));
            continue;
        }
        assert_int_equal(annot_parse(a, &r, &no), 1);
        assert_int_equal(r.n_ips, table[i]);
        assert_int_equal(r.n_macs, table[i]);
        warning = annot_long_list(&r);
        assert_int_equal(warning != NULL, table[i] > 14);
    }
}

static void bounds_its_texts(void **state)
{
    auto_free char *long_text = xmalloc(100001);
    auto_json cJSON *a = NULL;
    auto_annot_refusal struct annot_refusal no = {0};
    struct annot_request r;

    (void)state;
    memset(long_text, 'x', 100000);
    long_text[100000] = '\0';
    a = annotations(long_text, "s1", NULL);
    assert_int_equal(annot_parse(a, &r, &no), -EINVAL);
    assert_in_range(strlen(no.text), 200, 1000);
}

#define NETWORKS "k8s.v1.cni.cncf.io/networks"

static void warns_of_halves(void **state)
{
    static const struct {
        const char *ip, *subnet, *key, *value;
        const char *multus, *chained; /* NULL: nothing to say */
    } table[] = {
        {NULL, NULL, NETWORKS, NULL, NULL, NULL},
        {NULL, NULL, NETWORKS, "other-net", NULL, NULL},
        {"auto", "s1", NETWORKS, NULL, "no interface for it: set annotation '" NETWORKS "'", NULL},
        {"auto", "s1", NETWORKS, "other-net", "no interface for it: set", NULL},
        {"auto", "s1", NETWORKS, "[{", "cannot be read: the text is not valid JSON", NULL},
        {"auto", "s1", NETWORKS, "other, static-macvlan-cni-attach@eth1", NULL, NULL},
        {"auto", "s1", NETWORKS, "static-macvlan-cni-attach", NULL, NULL},
        {"auto", "s1", NETWORKS,
         "[{\"name\":\"static-macvlan-cni-attach\",\"interface\":\"eth1\"}]", NULL, NULL},
        {"auto", "s1", ANNOT_DEFAULT_NETWORK,
         "[{\"name\":\"static-macvlan-cni-attach\",\"interface\":\"eth0\"}]", NULL, NULL},
        {"auto", NULL, NETWORKS, NULL, "no annotation '" ANNOT_SUBNET "'", "no annotation"},
        {NULL, "s1", NETWORKS, NULL, "no annotation '" ANNOT_IP "'", "no annotation"},
        {NULL, NULL, NETWORKS, "static-macvlan-cni-attach", "no annotation '" ANNOT_IP "'",
         "no annotation '" ANNOT_IP "'"},
        {NULL, NULL, ANNOT_DEFAULT_NETWORK, "static-macvlan-cni-attach", "no annotation",
         "no annotation"},
    };

    (void)state;
    for (size_t i = 0; i < 2 * COUNT(table); i++) {
        const char *expected = i % 2 ? table[i / 2].multus : table[i / 2].chained;
        auto_json cJSON *a = annotations(table[i / 2].ip, table[i / 2].subnet, NULL);
        auto_free char *warning = NULL;

        json_add_str(a, table[i / 2].key, table[i / 2].value);
        warning = annot_half(a, i % 2);
        if (!expected)
            assert_null(warning);
        else
            assert_true(warning && strstr(warning, expected));
    }
    assert_null(annot_half(NULL, true));
}

static void writes_labels(void **state)
{
    static const struct {
        const char *ip, *mac, *got, *labels;
    } table[] = {
        {"auto", NULL, "10.0.0.2",
         "{\"macvlan.pandaria.cattle.io/multipleIpHash\":"
         "\"0d612c12d2ac33625bf3e0351b6f5e4f73829fa8\","
         "\"macvlan.pandaria.cattle.io/selectedIp\":\"10.0.0.2\","
         "\"macvlan.panda.io/macvlanIpType\":\"auto\","
         "\"macvlan.pandaria.cattle.io/subnet\":\"s1\"}"},
        {"fd00::5-fd00::6", M1 "-" M2, "fd00::6",
         "{\"macvlan.pandaria.cattle.io/multipleIpHash\":"
         "\"b9b728c877070f18e2d3c3e8df3bb7538640fc4d\","
         "\"macvlan.pandaria.cattle.io/selectedIp\":\"fd00_0000_0000_0000_0000_0000_0000_0006\","
         "\"macvlan.panda.io/selectedMac\":\"f2_e6_d8_33_eb_2a\","
         "\"macvlan.panda.io/macvlanIpType\":\"specific\","
         "\"macvlan.pandaria.cattle.io/subnet\":\"s1\"}"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_annot_request struct annot_request r = parse(table[i].ip, table[i].mac);
        struct ip_addr ip;
        auto_json cJSON *labels = NULL;
        auto_free char *text = NULL;

        assert_int_equal(ip_parse(table[i].got, &ip), 0);
        labels = annot_labels(&r, ip, r.n_macs ? &r.macs[0] : NULL);
        text = json_print(labels);
        assert_string_equal(text, table[i].labels);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_lists),
        cmocka_unit_test(leaves_other_pods_alone),
        cmocka_unit_test(refuses_with_the_texts_of_2019),
        cmocka_unit_test(refuses_names_of_subnets),
        cmocka_unit_test(takes_long_lists),
        cmocka_unit_test(bounds_its_texts),
        cmocka_unit_test(warns_of_halves),
        cmocka_unit_test(writes_labels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
