/* MacvlanSubnets from options and YAML, and how two differ. */
#include "subnet_spec.h"

#include "json.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void routes_are_read_as_ip_writes_them(void **state)
{
    static const struct {
        const char *text, *json; /* NULL: refused */
    } table[] = {
        {"10.9.0.0/16", "[{\"dst\":\"10.9.0.0/16\"}]"},
        {"default,via 10.1.0.1", "[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.1.0.1\"}]"},
        {"10.9.0.0/16,via=10.1.0.1,dev=eth1",
         "[{\"dst\":\"10.9.0.0/16\",\"gw\":\"10.1.0.1\",\"iface\":\"eth1\"}]"},
        {" 10.9.0.0/16 , dev eth0 , via  10.42.0.1 ",
         "[{\"dst\":\"10.9.0.0/16\",\"iface\":\"eth0\",\"gw\":\"10.42.0.1\"}]"},
        {"10.9.0.0/16,", NULL},
        {"10.9.0.0/16,10.1.0.1", NULL},
        {"10.9.0.0/16,via 10.1.0.1,via 10.1.0.2", NULL},
        {"10.9.0.0/16,device eth1", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        const char *routes[] = {table[i].text, NULL};
        struct subnet_flags f = {.master = "eth0", .cidr = "10.1.0.0/16", .routes = {routes, 1}};
        auto_json cJSON *object = NULL;
        auto_err struct err *e = NULL;
        auto_free char *text = NULL;
        int r = subnet_spec_build("s", &f, &object, &e);

        if (!table[i].json) {
            assert_int_equal(r, -EINVAL);
            assert_non_null(strstr(err_text(e), "'--route' takes"));
            continue;
        }
        assert_int_equal(r, 0);
        text = json_print(json_get_arr(json_get_obj(object, "spec"), "routes"));
        assert_string_equal(text, table[i].json);
    }
}

/* A finding of the controller's rules names the option by which it came. */
static void findings_name_their_option(void **state)
{
    static const struct {
        const char *spec, *flag;
    } table[] = {
        {"{\"master\":\"\",\"cidr\":\"10.1.0.0/16\"}", "--master: "},
        {"{\"master\":\"e\",\"cidr\":\"x\"}", "--cidr: "},
        {"{\"master\":\"e\",\"cidr\":\"10.1.0.0/16\",\"vlan\":5000}", "--vlan: "},
        {"{\"master\":\"e\",\"cidr\":\"10.1.0.0/16\",\"ipDelayReuse\":999999999}",
         "--ip-delay-reuse: "},
        {"{\"master\":\"e\",\"cidr\":\"10.1.0.0/16\",\"gateway\":\"fd00::1\"}", "--gateway: "},
        {"{\"master\":\"e\",\"cidr\":\"10.1.0.0/16\",\"routes\":[{\"dst\":\"fd00::/64\"}]}",
         "--route: "},
        {"{\"master\":\"e\",\"cidr\":\"10.1.0.0/16\",\"routes\":[{\"dst\":\"10.2.0.0/"
         "16\",\"iface\":\"x\"}]}",
         "--route: "},
        {"{\"master\":\"e\",\"cidr\":\"fd00::/64\",\"routes\":[{\"dst\":\"10.2.0.0/"
         "16\",\"iface\":\"eth0\",\"gw\":"
         "\"fd00::1\"}]}",
         "--route: gateway"},
        {"{\"master\":\"e\",\"cidr\":\"10.1.0.1/32\",\"podDefaultGateway\":{\"enable\":true}}",
         "--pod-default-gateway: "},
        {"{\"master\":\"e\",\"cidr\":\"10.1.0.0/"
         "16\",\"podDefaultGateway\":{\"serviceCidr\":\"x\"}}",
         "--service-cidr: "},
        {"{\"master\":\"e\",\"cidr\":\"10.1.0.0/"
         "16\",\"ranges\":[{\"rangeStart\":\"10.2.0.1\",\"rangeEnd\":"
         "\"10.2.0.2\"}]}",
         "--range: "},
    };

    (void)state;
    log_set_level(LOG_ERROR);
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_free char *text =
            xasprintf("{\"metadata\":{\"name\":\"s\"},\"spec\":%s}", table[i].spec);
        auto_json cJSON *object = NULL;
        auto_err struct err *e = NULL;
        struct subnet *s = NULL;

        assert_int_equal(json_parse(text, strlen(text), &object, NULL), 0);
        assert_int_equal(subnet_spec_check(object, true, &s, &e), -EINVAL);
        if (!strstr(err_text(e), table[i].flag))
            fail_msg("%s: %s", table[i].spec, err_text(e));
    }
}

static struct subnet *subnet(const char *more, const char *meta)
{
    auto_free char *text =
        xasprintf("{\"metadata\":{\"name\":\"s\"%s},\"spec\":{\"master\":\"eth0\","
                  "\"cidr\":\"10.1.0.0/16\"%s}}",
                  meta, more);
    auto_json cJSON *object = NULL;
    struct subnet *s = NULL;

    assert_int_equal(json_parse(text, strlen(text), &object, NULL), 0);
    assert_int_equal(subnet_parse(object, false, &s, NULL), 0);
    return s;
}

static void differences_are_found(void **state)
{
    static const struct {
        const char *more, *meta, *differs;
    } table[] = {
        {"", "", NULL},
        {",\"vlan\":0,\"mode\":\"bridge\",\"gateway\":\"10.1.0.1\",\"ranges\":[]", "", NULL},
        {",\"vlan\":7", "", "vlan"},
        {",\"mode\":\"vepa\"", "", "mode"},
        {",\"gateway\":\"10.1.0.2\"", "", "gateway"},
        {",\"mtu\":1400", "", "mtu"},
        {",\"ranges\":[{\"rangeStart\":\"10.1.0.2\",\"rangeEnd\":\"10.1.0.2\"}]", "", "ranges"},
        {",\"routes\":[{\"dst\":\"10.2.0.0/16\"}]", "", "routes"},
        {",\"podDefaultGateway\":{\"enable\":true}", "", "podDefaultGateway"},
        {",\"ipDelayReuse\":5", "", "ipDelayReuse"},
        {"", ",\"labels\":{\"project\":\"\"}", "project"},
        {"", ",\"annotations\":{\"macvlan.panda.io/ipv6to4\":\"true\"}", "ipv6to4"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_subnet struct subnet *a = subnet("", ""), *b = subnet(table[i].more, table[i].meta);
        const char *differs = subnet_spec_differs(a, b);

        if (!table[i].differs)
            assert_null(differs);
        else
            assert_string_equal(differs, table[i].differs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_are_read_as_ip_writes_them),
        cmocka_unit_test(findings_name_their_option),
        cmocka_unit_test(differences_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
