/* The configuration: that of 2019 as it stands, our keys, versions, what is refused. */
#include "cni_conf.h"

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

struct scene {
    cJSON *tree;
    struct cni_conf conf;
    char message[512];
};

static int parse(struct scene *s, enum cni_command command, const char *text)
{
    auto_err struct err *e = NULL;
    int r;

    cni_conf_release(&s->conf);
    json_cleanup(&s->tree);
    assert_int_equal(json_parse(text, strlen(text), &s->tree, NULL), 0);
    r = cni_conf_parse(s->tree, command, &s->conf, &e);
    (void)snprintf(s->message, sizeof(s->message), "%s", e ? e->msg : "");
    return r;
}

/* With further members. */
static int parse_more(struct scene *s, const char *version, const char *more)
{
    auto_free char *text =
        xasprintf("{\"cniVersion\": \"%s\", \"name\": \"n\", \"type\": \"t\"%s}", version, more);

    return parse(s, CNI_ADD, text);
}

static void release(struct scene *s)
{
    cni_conf_release(&s->conf);
    json_cleanup(&s->tree);
}

/* As the Rancher of 2019 writes it, with the name that multus puts in. */
static void reads_the_nad_of_2019(void **state)
{
    struct scene s = {.tree = NULL};
    struct cni_env env = {.ifname = "eth1"};

    (void)state;
    assert_int_equal(
        parse(&s, CNI_ADD,
              "{\"cniVersion\": \"0.3.0\", \"type\": \"static-macvlan-cni\", \"master\": \"\", "
              "\"ipam\": {\"type\": \"static-ipam\", \"routes\": [{\"dst\": \"0.0.0.0/0\", "
              "\"gw\": \"10.0.0.1\"}], \"dns\": {}}, \"name\": \"static-macvlan-cni-attach\"}"),
        0);
    assert_int_equal(s.conf.version, CNI_0_3_0);
    assert_string_equal(s.conf.name, "static-macvlan-cni-attach");
    assert_null(s.conf.master);
    assert_false(s.conf.has_mode);
    assert_int_equal(s.conf.mtu, 0);
    assert_false(s.conf.is_chained);
    assert_null(s.conf.kubeconfig);
    assert_int_equal(s.conf.timeout_ms, 30000);
    assert_false(s.conf.has_probe);
    assert_string_equal(s.conf.log_file, CNI_LOG_FILE);
    assert_int_equal(s.conf.log_level, LOG_INFO);
    assert_null(s.conf.dns);
    assert_false(s.conf.has_prev);
    assert_null(cni_conf_mac(&s.conf, &env));
    assert_string_equal(cni_conf_ifname(&s.conf, &env), "eth1");
    release(&s);
}

static void reads_all_that_is_ours(void **state)
{
    struct scene s = {.tree = NULL};
    struct cni_env env = {.ifname = "eth0"};

    (void)state;
    assert_int_equal(
        parse_more(
            &s, "0.4.0",
            ", \"master\": \"bond0\", \"mode\": \"vepa\", \"mtu\": 1400, \"chained\": true, "
            "\"interface\": \"mv0\", \"kubeconfig\": \"/k\", \"timeout\": 45, \"probe\": true, "
            "\"disableCheck\": true, \"logFile\": \"\", "
            "\"logLevel\": \"verbose\", \"logFormat\": \"json\", \"logMaxSize\": 8192, "
            "\"dns\": {\"domain\": \"d\", \"search\": []}, \"unknown\": {\"a\": [1]}, "
            "\"capabilities\": {\"mac\": true}, \"cni.dev/x\": 1"),
        0);
    assert_string_equal(s.conf.master, "bond0");
    assert_true(s.conf.has_mode);
    assert_int_equal(s.conf.mode, MACVLAN_VEPA);
    assert_int_equal(s.conf.mtu, 1400);
    assert_true(s.conf.is_chained);
    assert_string_equal(cni_conf_ifname(&s.conf, &env), "mv0");
    assert_string_equal(s.conf.kubeconfig, "/k");
    assert_int_equal(s.conf.timeout_ms, 45000);
    assert_true(s.conf.has_probe);
    assert_true(s.conf.is_check_disabled);
    assert_null(s.conf.log_file);
    assert_int_equal(s.conf.log_level, LOG_INFO);
    assert_true(s.conf.is_log_json);
    assert_int_equal(s.conf.log_max, 8192);
    assert_string_equal(json_get_str(s.conf.dns, "domain"), "d");
    release(&s);
}

static void a_null_is_absent(void **state)
{
    struct scene s = {.tree = NULL};

    (void)state;
    assert_int_equal(
        parse_more(&s, "1.0.0",
                   ", \"master\": null, \"mtu\": null, \"chained\": null, \"args\": null, "
                   "\"runtimeConfig\": null, \"ipam\": null, \"dns\": null, "
                   "\"prevResult\": null, \"interface\": null"),
        0);
    assert_string_equal(s.conf.interface, "eth1");
    assert_false(s.conf.has_prev);
    release(&s);
}

static void macs_count_in_order(void **state)
{
    static const char args[] = ", \"mac\": \"02:00:00:00:00:01\", \"args\": {\"cni\": {\"mac\": "
                               "\"02:00:00:00:00:02\"}}";
    struct scene s = {.tree = NULL};
    struct cni_env env = {.ifname = "eth1"};
    auto_free char *runtime =
        xasprintf("%s, \"runtimeConfig\": {\"mac\": \"02:00:00:00:00:04\", \"ips\": [\"x\"]}",
                  args);

    (void)state;
    assert_int_equal(parse_more(&s, "1.0.0", ", \"mac\": \"02:00:00:00:00:01\""), 0);
    assert_int_equal(cni_conf_mac(&s.conf, &env)->bytes[5], 1);
    assert_int_equal(parse_more(&s, "1.0.0", args), 0);
    assert_int_equal(cni_conf_mac(&s.conf, &env)->bytes[5], 2);
    env.args.has_mac = true;
    env.args.mac = (struct ip_mac){{2, 0, 0, 0, 0, 3}};
    assert_int_equal(cni_conf_mac(&s.conf, &env)->bytes[5], 3);
    assert_int_equal(parse_more(&s, "1.0.0", runtime), 0);
    assert_int_equal(cni_conf_mac(&s.conf, &env)->bytes[5], 4);
    release(&s);
}

static void knows_its_versions(void **state)
{
    static const char *const known[] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
    static const char *const unknown[] = {"0.1.0", "0.2.0", "1.2.0", "1.0", "v1.0.0", ""};
    struct scene s = {.tree = NULL};

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        assert_int_equal(parse_more(&s, known[i], ""), 0);
        assert_string_equal(cni_version_text(s.conf.version), known[i]);
    }
    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
        assert_int_equal(parse_more(&s, unknown[i], ""), -EPROTONOSUPPORT);
    assert_int_equal(parse(&s, CNI_ADD, "{\"name\": \"n\"}"), -EPROTONOSUPPORT);
    assert_string_equal(s.message, "the configuration has no cniVersion, which means 0.1.0; "
                                   "supported are 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0");
    release(&s);
}

static void refuses_what_makes_no_sense(void **state)
{
    static const struct {
        const char *more, *message;
    } table[] = {
        {", \"master\": 1", "'master' of the configuration is no text"},
        {", \"master\": \"a/b\"",
         "'master' of the configuration is no name of an interface: 'a/b'"},
        {", \"mode\": \"l2\"", "'mode' of the configuration has a value that is not known: 'l2'"},
        {", \"mtu\": -1", "'mtu' of the configuration is no whole number from 0 to 65535"},
        {", \"mtu\": \"1500\"", "'mtu' of the configuration is no whole number from 0 to 65535"},
        {", \"timeout\": 0", "'timeout' of the configuration is no whole number from 1 to 600"},
        {", \"chained\": \"true\"", "'chained' of the configuration is neither true nor false"},
        {", \"interface\": \"\"",
         "'interface' of the configuration is no name of an interface: ''"},
        {", \"args\": []", "'args' of the configuration is no object"},
        {", \"runtimeConfig\": 1", "'runtimeConfig' of the configuration is no object"},
        {", \"ipam\": \"x\"", "'ipam' of the configuration is no object"},
        {", \"logLevel\": \"loud\"",
         "'logLevel' of the configuration has a value that is not known: 'loud'"},
        {", \"logMaxSize\": 1.5",
         "'logMaxSize' of the configuration is no whole number from 4096 to 1073741824"},
        {", \"dns\": {\"search\": [1]}", "'search' of 'dns' has more than texts"},
        {", \"prevResult\": []", "prevResult of the configuration: it is no object"},
    };
    struct scene s = {.tree = NULL};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        assert_int_equal(parse_more(&s, "1.0.0", table[i].more), -EINVAL);
        assert_string_equal(s.message, table[i].message);
    }
    assert_int_equal(parse(&s, CNI_ADD, "[]"), -EBADMSG);
    assert_int_equal(parse(&s, CNI_ADD, "{\"cniVersion\": \"1.0.0\"}"), -EINVAL);
    assert_string_equal(s.message, "the configuration has no name of the network");
    assert_int_equal(parse(&s, CNI_ADD, "{\"cniVersion\": \"1.0.0\", \"name\": \"a/b\"}"), -EINVAL);
    assert_string_equal(s.message, "'a/b' is no name of a network");
    release(&s);
}

/* DEL has to come through whatever a cache has kept. */
static void a_broken_prev_result_stops_add_and_check_only(void **state)
{
    static const char text[] =
        "{\"cniVersion\": \"1.1.0\", \"name\": \"n\", \"prevResult\": {\"ips\": [{\"address\": "
        "\"x\"}]}}";
    struct scene s = {.tree = NULL};

    (void)state;
    assert_int_equal(parse(&s, CNI_ADD, text), -EINVAL);
    assert_int_equal(parse(&s, CNI_CHECK, text), -EINVAL);
    assert_int_equal(parse(&s, CNI_DEL, text), 0);
    assert_false(s.conf.has_prev);
    release(&s);
}

static void gc_reads_its_list_under_both_names(void **state)
{
    static const char *const names[] = {"cni.dev/valid-attachments", "cni.dev/attachments"};
    struct scene s = {.tree = NULL};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        auto_free char *text = xasprintf(
            "{\"cniVersion\": \"1.1.0\", \"name\": \"n\", \"%s\": [{\"containerID\": \"c\", "
            "\"ifname\": \"eth1\"}]}",
            names[i]);

        assert_int_equal(parse(&s, CNI_GC, text), 0);
        assert_true(s.conf.has_valid);
        assert_int_equal(s.conf.n_valid, 1);
        assert_string_equal(s.conf.valid[0].container_id, "c");
        assert_string_equal(s.conf.valid[0].ifname, "eth1");
    }
    assert_int_equal(parse(&s, CNI_GC, "{\"cniVersion\": \"1.1.0\", \"name\": \"n\"}"), 0);
    assert_false(s.conf.has_valid);
    assert_int_equal(parse(&s, CNI_GC,
                           "{\"cniVersion\": \"1.1.0\", \"name\": \"n\", "
                           "\"cni.dev/valid-attachments\": [{\"ifname\": \"eth1\"}]}"),
                     -EINVAL);
    release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_nad_of_2019),
        cmocka_unit_test(reads_all_that_is_ours),
        cmocka_unit_test(a_null_is_absent),
        cmocka_unit_test(macs_count_in_order),
        cmocka_unit_test(knows_its_versions),
        cmocka_unit_test(refuses_what_makes_no_sense),
        cmocka_unit_test(a_broken_prev_result_stops_add_and_check_only),
        cmocka_unit_test(gc_reads_its_list_under_both_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
