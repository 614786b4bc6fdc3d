/* The network annotations, friendly and hostile. */
#include "macvlan/svc_networks.h"

#include "buf.h"
#include "svc_scene.h"

#include <errno.h>

/* "ns/name@if,..." of what was parsed. */
static char *describe(const struct svc_networks *n)
{
    auto_buf struct buf text;

    buf_init(&text, 1 << 16);
    for (size_t i = 0; i < n->count; i++) {
        const struct svc_network *item = &n->items[i];

        (void)buf_addf(&text, "%s%s%s%s%s%s", i ? "," : "", item->namespace ? item->namespace : "",
                       item->namespace ? "/" : "", item->name, item->interface ? "@" : "",
                       item->interface ? item->interface : "");
    }
    return buf_steal(&text);
}

static void reads_both_forms(void **state)
{
    static const struct {
        const char *text;
        const char *expected;
    } table[] = {
        {"", ""},
        {"  ", ""},
        {"[]", ""},
        {"static-macvlan-cni-attach", "static-macvlan-cni-attach"},
        {" a , b/c@eth1,d@net.5 ", "a,b/c@eth1,d@net.5"},
        {"a,", "a"},
        {"[{\"name\":\"static-macvlan-cni-attach\",\"interface\":\"eth1\"}]",
         "static-macvlan-cni-attach@eth1"},
        {" [{\"name\":\"a\",\"namespace\":\"n\",\"ips\":[\"10.0.0.1/24\"],\"mac\":\"\"}]", "n/a"},
        {"[{\"name\":\"a\",\"namespace\":\"\",\"interface\":\"\"}]", "a"},
        {"name.with.dots", "name.with.dots"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_networks struct svc_networks n = {.items = NULL};
        auto_free char *text = NULL;

        assert_int_equal(svc_networks_parse(table[i].text, &n, NULL), 0);
        text = describe(&n);
        assert_string_equal(text, table[i].expected);
    }
}

static void refuses_what_is_none(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } table[] = {
        {"[", "not valid JSON"},
        {"{\"name\":\"a\"}", "no list"},
        {"\"a\"", "no list"},
        {"[\"a\"]", "'' is no name of a network"},
        {"[{}]", "'' is no name of a network"},
        {"[{\"name\":7}]", "'' is no name of a network"},
        {",a", "'' is no name of a network"},
        {"a,,b", "'' is no name of a network"},
        {"Upper", "'Upper' is no name of a network"},
        {"a b", "'a b' is no name of a network"},
        {"a..b", "'a..b' is no name of a network"},
        {"a-.b", "'a-.b' is no name of a network"},
        {"-a", "'-a' is no name of a network"},
        {"a-", "'a-' is no name of a network"},
        {"../secret", "'..' is no name of a namespace"},
        {"a/b/c", "'b/c' is no name of a network"},
        {"n.s/a", "'n.s' is no name of a namespace"},
        {"a@b@c", NULL},
        {"a@x/y", "'a@x' is no name of a namespace"},
        {"a@..", "'..' is no name of an interface"},
        {"a@interface-of-16b", "is no name of an interface"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_networks struct svc_networks n = {.items = NULL};
        auto_err struct err *e = NULL;
        int r = svc_networks_parse(table[i].text, &n, &e);

        /* The kernel lets an interface be called so. */
        if (!table[i].message) {
            assert_int_equal(r, 0);
            continue;
        }
        assert_int_equal(r, -EINVAL);
        assert_non_null(strstr(err_text(e), table[i].message));
        assert_int_equal(n.count, 0);
    }
}

static void is_bounded(void **state)
{
    auto_networks struct svc_networks n = {.items = NULL};
    auto_statuses struct svc_statuses s = {.items = NULL};
    auto_err struct err *e = NULL;
    auto_buf struct buf text;

    (void)state;
    buf_init(&text, 1 << 20);
    for (int i = 0; i < SVC_NETWORKS_MAX; i++)
        (void)buf_addf(&text, "%sn%d", i ? "," : "", i);
    assert_int_equal(svc_networks_parse(text.data, &n, NULL), 0);
    assert_int_equal(n.count, SVC_NETWORKS_MAX);
    svc_networks_release(&n);
    (void)buf_addstr(&text, ",more");
    assert_int_equal(svc_networks_parse(text.data, &n, &e), -EINVAL);
    assert_non_null(strstr(err_text(e), "more than 32 networks"));

    buf_clear(&text);
    while (text.len <= SVC_NETWORKS_MAX_TEXT)
        (void)buf_addch(&text, ' ');
    assert_int_equal(svc_networks_parse(text.data, &n, &e), -EINVAL);
    assert_non_null(strstr(err_text(e), "longer than 65536 bytes"));

    buf_clear(&text);
    (void)buf_addstr(&text, "[{\"name\":\"a\",\"ips\":[");
    for (int i = 0; i <= SVC_NETWORK_MAX_IPS; i++)
        (void)buf_addf(&text, "%s\"10.0.0.%d\"", i ? "," : "", i);
    (void)buf_addstr(&text, "]}]");
    assert_int_equal(svc_statuses_parse(text.data, &s, &e), -EINVAL);
    assert_non_null(strstr(err_text(e), "more than 16 addresses"));
}

static void reads_what_multus_wrote(void **state)
{
    static const char text[] =
        "[{\"name\":\"cbr0\",\"ips\":[\"10.42.0.9\"],\"default\":true,\"dns\":{}},"
        "{\"name\":\"Own_Network\",\"ips\":[\"10.1.1.1\"]},"
        "{\"name\":\"shop/static-macvlan-cni-attach\",\"interface\":\"eth1\","
        "\"ips\":[\"192.168.5.20\",\"fd00:0::0014\",\"fe80::1\",\"127.0.0.1\",\"10.0.0.1/8\",7],"
        "\"mac\":\"02:11:22:33:44:55\",\"dns\":{}},"
        "{\"name\":\"b\",\"mac\":\"not one\"},7,{}]";
    auto_statuses struct svc_statuses s = {.items = NULL};

    (void)state;
    assert_int_equal(svc_statuses_parse(text, &s, NULL), 0);
    assert_int_equal(s.count, 3);
    assert_string_equal(s.items[0].network.name, "cbr0");
    assert_true(s.items[0].is_default);
    assert_string_equal(s.items[1].network.namespace, "shop");
    assert_string_equal(s.items[1].network.name, "static-macvlan-cni-attach");
    assert_string_equal(s.items[1].network.interface, "eth1");
    assert_string_equal(s.items[1].mac, "02:11:22:33:44:55");
    assert_int_equal(s.items[1].ip_count, 2);
    assert_string_equal(s.items[1].ips[0], "192.168.5.20");
    assert_string_equal(s.items[1].ips[1], "fd00::14");
    assert_null(s.items[2].mac);
    assert_int_equal(s.items[2].ip_count, 0);
}

static void knows_which_addresses_endpoints_may_have(void **state)
{
    static const struct {
        const char *text;
        const char *expected; /* NULL: refused */
    } table[] = {
        {"10.0.0.1", "10.0.0.1"},
        {"192.168.1.255", "192.168.1.255"},
        {"2001:DB8:0:0::1", "2001:db8::1"},
        {"0.0.0.0", NULL},
        {"127.3.2.1", NULL},
        {"169.254.1.1", NULL},
        {"224.0.0.1", NULL},
        {"::", NULL},
        {"::1", NULL},
        {"fe80::1", NULL},
        {"ff02::1", NULL},
        {"::ffff:10.0.0.1", NULL},
        {"10.0.0.01", NULL},
        {"10.0.0", NULL},
        {"10.0.0.1/24", NULL},
        {"fe80::1%eth0", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char address[SVC_ADDRESS_SIZE] = "unchanged";
        int r = svc_address_canonical(table[i].text, address);

        assert_int_equal(r, table[i].expected ? 0 : -EINVAL);
        assert_string_equal(address, table[i].expected ? table[i].expected : "unchanged");
    }
}

static int of_service(const char *annotation, struct svc_network *n, struct err **e)
{
    auto_json cJSON *service = quoted_json("{'metadata':{'name':'web','annotations':{}}}");
    const cJSON *annotations = json_at(service, "metadata.annotations");

    json_add_str((cJSON *)(uintptr_t)annotations, SVC_NETWORKS_KEY, annotation);
    return svc_networks_of_service(service, n, e);
}

static void a_service_names_one_network(void **state)
{
    auto_network struct svc_network n = {.name = NULL};
    auto_err struct err *e = NULL;

    (void)state;
    assert_int_equal(of_service(NULL, &n, NULL), 0);
    assert_int_equal(of_service("", &n, NULL), 0);
    assert_int_equal(of_service("other/net@eth1", &n, NULL), 1);
    assert_string_equal(n.namespace, "other");
    assert_string_equal(n.name, "net");
    assert_int_equal(of_service("a,b", &n, &e), -EINVAL);
    assert_string_equal(err_text(e),
                        "service 'web' gets no endpoints from us, because annotation "
                        "'k8s.v1.cni.cncf.io/networks' names 2 networks; name one, and "
                        "make a service for each of the others");
    assert_int_equal(of_service("[{}]", &n, &e), -EINVAL);
    assert_non_null(strstr(err_text(e), "cannot be read: '' is no name of a network"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_both_forms),
        cmocka_unit_test(refuses_what_is_none),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(reads_what_multus_wrote),
        cmocka_unit_test(knows_which_addresses_endpoints_may_have),
        cmocka_unit_test(a_service_names_one_network),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
