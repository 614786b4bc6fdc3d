/* Options of the addons: what they become, and what is refused with which words. */
#include "addons_settings.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void have_defaults(void **state)
{
    static const struct addons_options o = {.set = NULL}, current = {.set = "current"};
    auto_addons_settings struct addons_settings s = {.iface_args = NULL};

    (void)state;
    assert_int_equal(addons_settings_parse(&o, &s, NULL), 0);
    assert_string_equal(s.set, "default");
    assert_int_equal(s.kube_minor, 13);
    assert_int_equal(s.mode, ADDONS_MULTUS);
    assert_string_equal(s.pod.text, "10.42.0.0/16");
    assert_true(s.pod.is_default && s.service.is_default);
    assert_string_equal(s.dns_server, "10.43.0.10");
    assert_null(s.iface_args);
    assert_null(s.registry);
    assert_int_equal(addons_settings_parse(&current, &s, NULL), 0);
    assert_int_equal(s.kube_minor, 34);
}

static void take_what_is_given(void **state)
{
    static const char *const ifaces[] = {"ens4", "10.0.0.7", NULL};
    static const char *const regexes[] = {"^10\\.0\\.", "it's", NULL};
    static const struct addons_options o = {
        .kube_version = "v1.20.4-rancher1-1",
        .mode = "chained",
        .pod_cidr = "172.20.0.0/14",
        .service_cidr = "192.168.128.0/17",
        .ifaces = ifaces,
        .iface_regexes = regexes,
        .registry = "harbor.example/team",
    };
    auto_addons_settings struct addons_settings s = {.iface_args = NULL};

    (void)state;
    assert_int_equal(addons_settings_parse(&o, &s, NULL), 0);
    assert_int_equal(s.kube_minor, 20);
    assert_int_equal(s.mode, ADDONS_CHAINED);
    assert_string_equal(s.pod.text, "172.20.0.0/14");
    assert_false(s.pod.is_default || s.service.is_default);
    assert_string_equal(s.dns_server, "192.168.128.10");
    assert_string_equal(s.iface_args[0], "--iface=ens4");
    assert_string_equal(s.iface_args[1], "--iface=10.0.0.7");
    assert_string_equal(s.iface_args[2], "--iface-regex=^10\\.0\\.");
    assert_string_equal(s.iface_args[3], "--iface-regex=it's");
    assert_null(s.iface_args[4]);
}

#define LIST(value)                                                                                \
    (const char *const[])                                                                          \
    {                                                                                              \
        value, NULL                                                                                \
    }

static void refuse(void **state)
{
    const struct {
        struct addons_options o;
        const char *message;
    } table[] = {
        {{.set = "newest"}, "there is no image set 'newest'"},
        {{.kube_version = "2.0"}, "'2.0' is no Kubernetes version"},
        {{.kube_version = "1."}, "'1.' is no Kubernetes version"},
        {{.kube_version = "1.20x"}, "'1.20x' is no Kubernetes version"},
        {{.kube_version = "1"}, "'1' is no Kubernetes version"},
        {{.kube_version = ""}, "'' is no Kubernetes version"},
        {{.kube_version = "1.10.3"}, "older than 1.11"},
        {{.kube_version = "1.15", .set = "current"}, "needs Kubernetes 1.16 or later"},
        {{.mode = "both"}, "'--mode' takes multus or chained, not 'both'"},
        {{.mode = "chained", .set = "2019-original"}, "works with multus only"},
        {{.has_webhook = true, .set = "2019-original"}, "has no webhook"},
        {{.pod_cidr = "10.42.0.0"}, "'--pod-cidr' takes an IPv4 network"},
        {{.pod_cidr = "fd00::/64"}, "'--pod-cidr' takes an IPv4 network"},
        {{.pod_cidr = "10.42.0.0/33"}, "'--pod-cidr' takes an IPv4 network"},
        {{.pod_cidr = "10.42.0.0/25"}, "the prefix must be /8 to /24"},
        {{.pod_cidr = "10.42.1.0/16"}, "use 10.42.0.0/16"},
        {{.service_cidr = "10.0.0.0/11"}, "the prefix must be /12 to /28"},
        {{.pod_cidr = "10.0.0.0/8"},
         "pod CIDR '10.0.0.0/8' and service CIDR '10.43.0.0/16' overlap"},
        {{.service_cidr = "10.42.3.0/24"}, "overlap"},
        {{.ifaces = LIST("")}, "neither an interface's name"},
        {{.ifaces = LIST("a-name-that-is-too-long")}, "neither an interface's name"},
        {{.ifaces = LIST("eth0\n        - --evil")}, "neither an interface's name"},
        {{.ifaces = LIST("-x")}, "neither an interface's name"},
        {{.iface_regexes = LIST("eth(")}, "'--iface-regex eth(': "},
        {{.iface_regexes = LIST("a\nb")}, "a regular expression of one line"},
        {{.registry = "team"}, "needs a dot or a port"},
        {{.registry = "https://harbor.example"}, "is not HOST[/PREFIX]"},
        {{.registry = ""}, "is not HOST[/PREFIX]"},
        {{.registry = "harbor.example/a b"}, "harbor.example/a b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct addons_settings s;
        auto_err struct err *e = NULL;

        assert_int_equal(addons_settings_parse(&table[i].o, &s, &e), -EINVAL);
        if (!strstr(err_text(e), table[i].message))
            fail_msg("%zu: %s", i, err_text(e));
    }
}

static void name_images(void **state)
{
    static const char digest[] = "quay.io/coreos/flannel@sha256:"
                                 "0123456789012345678901234567890123456789012345678901234567890123";
    auto_free char *plain = addons_image_name("nfvpe/multus:v3.2", NULL, NULL);
    auto_free char *moved = addons_image_name("busybox:1", "r.example:5000/p/", NULL);
    auto_free char *pinned = addons_image_name(digest, "r.example", NULL);

    (void)state;
    assert_string_equal(plain, "nfvpe/multus:v3.2");
    assert_string_equal(moved, "r.example:5000/p/library/busybox:1");
    assert_string_equal(pinned, "r.example/coreos/flannel@sha256:"
                                "0123456789012345678901234567890123456789012345678901234567890123");
    assert_null(addons_image_name("No!", NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(have_defaults),
        cmocka_unit_test(take_what_is_given),
        cmocka_unit_test(refuse),
        cmocka_unit_test(name_images),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
