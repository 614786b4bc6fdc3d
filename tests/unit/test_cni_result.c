/* Results: one form inside, exact documents of every version outside. */
#include "cni_result.h"

#include "cni_say.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *text, struct cni_result *out, char message[256])
{
    auto_json cJSON *tree = NULL;
    auto_err struct err *e = NULL;
    int r;

    assert_int_equal(json_parse(text, strlen(text), &tree, NULL), 0);
    r = cni_result_parse(tree, out, &e);
    (void)snprintf(message, 256, "%s", e ? e->msg : "");
    return r;
}

static struct ip_net net_of(const char *text)
{
    struct ip_net n;

    assert_int_equal(ip_net_parse(text, &n), 0);
    return n;
}

static struct ip_addr addr_of(const char *text)
{
    struct ip_addr a = {.family = AF_UNSPEC};

    if (*text)
        assert_int_equal(ip_parse(text, &a), 0);
    return a;
}

static void make(struct cni_result *r)
{
    struct cni_interface *interface;
    struct cni_route *route;

    *r = (struct cni_result){.dns = NULL};
    interface = cni_result_add_interface(r, "eth1");
    interface->mac = xstrdup("02:00:00:00:00:01");
    interface->sandbox = xstrdup("/var/run/netns/x");
    interface->mtu = 1500;
    cni_result_add_ip(r, net_of("10.0.0.5/24"))->interface = 0;
    r->ips[0].gateway = addr_of("10.0.0.1");
    cni_result_add_ip(r, net_of("fd00::5/64"))->interface = 0;
    route = cni_result_add_route(r, net_of("10.1.0.0/16"), addr_of("10.0.0.9"));
    route->priority = 7;
    (void)cni_result_add_route(r, net_of("::/0"), addr_of(""));
}

#define INTERFACE                                                                                  \
    "\"interfaces\":[{\"name\":\"eth1\",\"mac\":\"02:00:00:00:00:01\",\"sandbox\":"                \
    "\"/var/run/netns/x\""
#define ROUTES "\"routes\":[{\"dst\":\"10.1.0.0/16\",\"gw\":\"10.0.0.9\""

static void prints_each_version(void **state)
{
    static const struct {
        enum cni_version version;
        const char *text;
    } table[] = {
        {CNI_0_3_0,
         "{\"cniVersion\":\"0.3.0\"," INTERFACE "}],\"ips\":[{\"version\":\"4\",\"interface\":0,"
         "\"address\":\"10.0.0.5/24\",\"gateway\":\"10.0.0.1\"},{\"version\":\"6\",\"interface\":0,"
         "\"address\":\"fd00::5/64\"}]," ROUTES "},{\"dst\":\"::/0\"}],\"dns\":{}}"},
        {CNI_0_4_0,
         "{\"cniVersion\":\"0.4.0\"," INTERFACE "}],\"ips\":[{\"version\":\"4\",\"interface\":0,"
         "\"address\":\"10.0.0.5/24\",\"gateway\":\"10.0.0.1\"},{\"version\":\"6\",\"interface\":0,"
         "\"address\":\"fd00::5/64\"}]," ROUTES "},{\"dst\":\"::/0\"}],\"dns\":{}}"},
        {CNI_1_0_0, "{\"cniVersion\":\"1.0.0\"," INTERFACE "}],\"ips\":[{\"interface\":0,"
                    "\"address\":\"10.0.0.5/24\",\"gateway\":\"10.0.0.1\"},{\"interface\":0,"
                    "\"address\":\"fd00::5/64\"}]," ROUTES "},{\"dst\":\"::/0\"}],\"dns\":{}}"},
        {CNI_1_1_0,
         "{\"cniVersion\":\"1.1.0\"," INTERFACE ",\"mtu\":1500}],\"ips\":[{\"interface\":0,"
         "\"address\":\"10.0.0.5/24\",\"gateway\":\"10.0.0.1\"},{\"interface\":0,"
         "\"address\":\"fd00::5/64\"}]," ROUTES ",\"priority\":7},{\"dst\":\"::/0\"}]}"},
    };
    auto_cni_result struct cni_result r;

    (void)state;
    make(&r);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        auto_free char *text = cni_result_print(&r, table[i].version);

        assert_string_equal(text, table[i].text);
    }
}

static void reads_what_it_prints(void **state)
{
    auto_cni_result struct cni_result r;

    (void)state;
    make(&r);
    for (int version = CNI_0_3_0; version <= CNI_1_1_0; version++) {
        auto_free char *text = cni_result_print(&r, (enum cni_version)version), *again = NULL;
        auto_cni_result struct cni_result read = {.dns = NULL};
        char message[256];

        assert_int_equal(parse(text, &read, message), 0);
        again = cni_result_print(&read, (enum cni_version)version);
        assert_string_equal(again, text);
    }
}

/* 0 is an interface, none is none. */
static void an_index_may_be_absent(void **state)
{
    auto_cni_result struct cni_result r = {.dns = NULL};
    char message[256];

    (void)state;
    assert_int_equal(parse("{\"cniVersion\": \"0.3.1\", \"ips\": [{\"address\": \"10.0.0.1/8\"}, "
                           "{\"address\": \"10.0.0.2/8\", \"interface\": 0}, {\"address\": "
                           "\"10.0.0.3/8\", \"interface\": 9}]}",
                           &r, message),
                     0);
    assert_int_equal(r.ips[0].interface, -1);
    assert_int_equal(r.ips[1].interface, 0);
    assert_int_equal(r.ips[2].interface, 9);
}

/* Behind another plugin: its interfaces come first, ours points to where ours has gone. */
static void merges(void **state)
{
    static const char before[] =
        "{\"cniVersion\": \"1.0.0\", \"interfaces\": [{\"name\": \"cni0\"}, {\"name\": \"eth0\", "
        "\"sandbox\": \"/s\"}], \"ips\": [{\"address\": \"10.42.0.7/24\", \"interface\": 1}], "
        "\"routes\": [{\"dst\": \"0.0.0.0/0\"}], \"dns\": {\"nameservers\": [\"10.43.0.10\"]}}";
    auto_cni_result struct cni_result prev = {.dns = NULL}, ours;
    auto_free char *text = NULL;
    char message[256];

    (void)state;
    make(&ours);
    assert_int_equal(parse(before, &prev, message), 0);
    cni_result_merge(&prev, &ours);
    assert_int_equal(cni_result_find(&prev, "eth0"), 1);
    assert_int_equal(cni_result_find(&prev, "eth1"), 2);
    assert_int_equal(cni_result_find(&prev, "cni0"), -1);
    text = cni_result_print(&prev, CNI_1_0_0);
    assert_string_equal(
        text,
        "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"cni0\"},{\"name\":\"eth0\","
        "\"sandbox\":\"/s\"},{\"name\":\"eth1\",\"mac\":\"02:00:00:00:00:01\",\"sandbox\":"
        "\"/var/run/netns/x\"}],\"ips\":[{\"interface\":1,\"address\":\"10.42.0.7/24\"},"
        "{\"interface\":2,\"address\":\"10.0.0.5/24\",\"gateway\":\"10.0.0.1\"},{\"interface\":2,"
        "\"address\":\"fd00::5/64\"}],\"routes\":[{\"dst\":\"0.0.0.0/0\"},{\"dst\":\"10.1.0.0/16\","
        "\"gw\":\"10.0.0.9\"},{\"dst\":\"::/0\"}],\"dns\":{\"nameservers\":[\"10.43.0.10\"]}}");
}

/* Also what we do not know goes on. */
static void passes_a_result_on(void **state)
{
    static const char prev[] = "{\"ips\":[{\"address\":\"10.0.0.1/8\",\"x\":[1]}],\"y\":null}";
    static const char newer[] = "{\"cniVersion\":\"1.0.0\",\"z\":1}";
    auto_json cJSON *tree = NULL;
    auto_free char *text = NULL;

    (void)state;
    assert_int_equal(json_parse(prev, strlen(prev), &tree, NULL), 0);
    text = cni_result_pass(tree, CNI_0_3_1);
    assert_string_equal(text, "{\"ips\":[{\"address\":\"10.0.0.1/8\",\"x\":[1]}],\"y\":null,"
                              "\"cniVersion\":\"0.3.1\"}");
    cJSON_Delete(tree);
    assert_int_equal(json_parse(newer, strlen(newer), &tree, NULL), 0);
    free(text);
    text = cni_result_pass(tree, CNI_1_1_0);
    assert_string_equal(text, "{\"cniVersion\":\"1.1.0\",\"z\":1}");
}

static void refuses_what_is_no_result(void **state)
{
    static const struct {
        const char *text, *message;
    } table[] = {
        {"[]", "it is no object"},
        {"{\"cniVersion\": \"0.2.0\"}", "its cniVersion '0.2.0' is not supported"},
        {"{\"interfaces\": {}}", "'interfaces' is no list"},
        {"{\"interfaces\": [1]}", "a member of 'interfaces' is no object"},
        {"{\"interfaces\": [{}]}", "an interface has no name"},
        {"{\"interfaces\": [{\"name\": \"a\", \"mac\": 1}]}", "'mac' is no text"},
        {"{\"interfaces\": [{\"name\": \"a\", \"mtu\": -1}]}",
         "'mtu' is no number from 0 to 2147483647"},
        {"{\"ips\": [{}]}", "'address' is missing"},
        {"{\"ips\": [{\"address\": \"10.0.0.1\"}]}",
         "'address' is not of the form ADDRESS/PREFIX: '10.0.0.1'"},
        {"{\"ips\": [{\"address\": \"10.0.0.1/8\", \"gateway\": \"x\"}]}",
         "'gateway' is no address: 'x'"},
        {"{\"ips\": [{\"address\": \"10.0.0.1/8\", \"interface\": \"0\"}]}",
         "'interface' is no number from 0 to 32767"},
        {"{\"routes\": [{\"gw\": \"10.0.0.1\"}]}", "'dst' is missing"},
        {"{\"routes\": [{\"dst\": \"10.0.0.0/8\", \"scope\": 256}]}",
         "'scope' is no number from 0 to 255"},
        {"{\"dns\": []}", "'dns' is no object"},
        {"{\"dns\": {\"nameservers\": \"x\"}}", "'nameservers' of 'dns' is no list"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct cni_result r;
        char message[256];

        assert_int_equal(parse(table[i].text, &r, message), -EINVAL);
        assert_string_equal(message, table[i].message);
    }
}

static void errors_have_their_codes(void **state)
{
    static const struct {
        int status, code;
    } table[] = {
        {-EPROTONOSUPPORT, 1}, {-EOPNOTSUPP, 2},    {-EBADR, 4},        {-EIO, 5},
        {-ENOSPC, 5},          {-EBADMSG, 6},       {-EINVAL, 7},       {-EXDEV, 8},
        {-EAGAIN, 11},         {-EHOSTUNREACH, 11}, {-ETIMEDOUT, 11},   {-EKEYREJECTED, 11},
        {-ENETDOWN, 50},       {-ENETUNREACH, 51},  {-EADDRINUSE, 101}, {-EUCLEAN, 102},
        {-EEXIST, 100},        {-EPERM, 100},
    };
    auto_err struct err *e = NULL;
    auto_free char *text = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        assert_int_equal(cni_error_code(table[i].status), table[i].code);
    (void)err_set(&e, -EAGAIN, "say \"x\"\xff\n");
    text = cni_error_print("0.3.1", e);
    assert_string_equal(text, "{\"cniVersion\":\"0.3.1\",\"code\":11,\"msg\":\"say \\\"x\\\"??\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_each_version),     cmocka_unit_test(reads_what_it_prints),
        cmocka_unit_test(an_index_may_be_absent),  cmocka_unit_test(merges),
        cmocka_unit_test(passes_a_result_on),      cmocka_unit_test(refuses_what_is_no_result),
        cmocka_unit_test(errors_have_their_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
