/* The environment of a call: what each command needs, names, CNI_ARGS. */
#include "cni_env.h"

#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ALL "CNI_CONTAINERID=c0", "CNI_NETNS=/n", "CNI_IFNAME=eth1", "CNI_PATH=/opt/cni/bin"

static int parse(char *const *environment, struct cni_env *env, char message[256])
{
    auto_err struct err *e = NULL;
    int r = cni_env_parse(environment, env, &e);

    (void)snprintf(message, 256, "%s", e ? e->msg : "");
    return r;
}

static void what_each_command_needs(void **state)
{
    static const struct {
        const char *command, *missing;
    } table[] = {
        {"ADD", "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_PATH"},
        {"CHECK", "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_PATH"},
        {"DEL", "CNI_CONTAINERID, CNI_IFNAME, CNI_PATH"},
        {"GC", "CNI_PATH"},
        {"STATUS", "CNI_PATH"},
        {"VERSION", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        auto_free char *command = xasprintf("CNI_COMMAND=%s", table[i].command);
        char *bare[] = {command, "CNI_NETNS=", NULL}, *full[] = {command, ALL, NULL};
        auto_free char *text = xasprintf("%s needs what the environment does not have: %s",
                                         table[i].command, table[i].missing);
        struct cni_env env;
        char message[256];

        if (table[i].missing) {
            assert_int_equal(parse(bare, &env, message), -EBADR);
            assert_string_equal(message, text);
        } else {
            assert_int_equal(parse(bare, &env, message), 0);
        }
        assert_int_equal(parse(full, &env, message), 0);
        assert_string_equal(cni_command_text(env.command), table[i].command);
        if (!table[i].missing)
            continue;
        assert_string_equal(env.container_id, "c0");
        assert_string_equal(env.netns, "/n");
        assert_string_equal(env.ifname, "eth1");
        assert_string_equal(env.path, "/opt/cni/bin");
        cni_env_release(&env);
    }
}

static void no_command_and_an_unknown_one(void **state)
{
    char *none[] = {"CNI_COMMAND=", "CNI_CONTAINERID=!", NULL};
    char *unknown[] = {"CNI_COMMAND=add", ALL, NULL};
    char *del[] = {"CNI_COMMAND=DEL", "CNI_NETNS=",  "CNI_CONTAINERID=c",
                   "CNI_IFNAME=eth0", "CNI_PATH=/p", NULL};
    struct cni_env env;
    char message[256];

    (void)state;
    assert_int_equal(parse(none, &env, message), 0);
    assert_int_equal(env.command, CNI_NONE);
    assert_int_equal(parse(unknown, &env, message), -EBADR);
    assert_string_equal(message, "CNI_COMMAND 'add' is not known");
    assert_int_equal(parse(del, &env, message), 0);
    assert_null(env.netns);
}

static void names(void **state)
{
    static const char *const ids[] = {"a", "0", "a.b_c-D9"};
    static const char *const no_ids[] = {"", "-a", ".a", "a/b", "a b", "a\n", "\xc3\xa4"};
    static const char *const names[] = {"e", "eth0", "abcdefghijklmno", "net1@x", "a.b"};
    static const char *const no_names[] = {"",    ".",   "..",
                                           "a/b", "a:1", "a b",
                                           "a\t", "a\n", "abcdefghijklmnop"};

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
        assert_true(cni_name_is_valid(ids[i]));
    for (size_t i = 0; i < sizeof(no_ids) / sizeof(*no_ids); i++)
        assert_false(cni_name_is_valid(no_ids[i]));
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        assert_true(cni_ifname_is_valid(names[i]));
    for (size_t i = 0; i < sizeof(no_names) / sizeof(*no_names); i++)
        assert_false(cni_ifname_is_valid(no_names[i]));
}

static void wrong_names_are_refused(void **state)
{
    char *id[] = {"CNI_COMMAND=DEL", "CNI_CONTAINERID=../x", "CNI_IFNAME=eth0", "CNI_PATH=/p",
                  NULL};
    char *name[] = {"CNI_COMMAND=DEL", "CNI_CONTAINERID=x", "CNI_IFNAME=a/b", "CNI_PATH=/p", NULL};
    struct cni_env env;
    char message[256];

    (void)state;
    assert_int_equal(parse(id, &env, message), -EBADR);
    assert_string_equal(message, "CNI_CONTAINERID '../x' is no ID of a container");
    assert_int_equal(parse(name, &env, message), -EBADR);
    assert_string_equal(message, "CNI_IFNAME 'a/b' is no name of an interface");
}

/* As multus 3.2 and kubelet write them. */
static void args(void **state)
{
    struct cni_args a;
    char mac[IP_MAC_TEXT_SIZE];

    (void)state;
    assert_int_equal(
        cni_args_parse("IgnoreUnknown=true;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;"
                       "K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=1-2;MAC=02:00:00:00:00:0A;"
                       "IP=10.0.0.1/24,fd00::1/64;GATEWAY=10.0.0.254;OTHER=x=y",
                       &a, NULL),
        0);
    assert_string_equal(a.pod_namespace, "shop");
    assert_string_equal(a.pod_name, "web-0");
    assert_string_equal(a.infra_id, "abc");
    assert_string_equal(a.pod_uid, "1-2");
    assert_string_equal(a.ip, "10.0.0.1/24,fd00::1/64");
    assert_string_equal(a.gateway, "10.0.0.254");
    assert_true(a.has_mac);
    assert_string_equal(ip_mac_format(a.mac, ':', mac), "02:00:00:00:00:0a");
    cni_args_release(&a);
    assert_int_equal(cni_args_parse("K8S_POD_NAMESPACE=shop;K8S_POD_NAME=;", &a, NULL), 0);
    assert_null(a.pod_name);
    cni_args_release(&a);
    /* podman 4.3; of two the last counts. */
    assert_int_equal(cni_args_parse("IgnoreUnknown=1;K8S_POD_NAME=Sleepy_Darwin", &a, NULL), 0);
    assert_null(a.pod_name);
    cni_args_release(&a);
    assert_int_equal(cni_args_parse("K8S_POD_NAME=A_B;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web", &a,
                                    NULL),
                     0);
    assert_string_equal(a.pod_name, "web");
    cni_args_release(&a);
}

static void ignore_unknown(void **state)
{
    static const struct {
        const char *text, *message; /* NULL: it is fine */
    } table[] = {
        {"IgnoreUnknown=1;A=b", NULL},
        {"A=b;IgnoreUnknown=true", NULL},
        {"IgnoreUnknown=True;A=b", NULL},
        {"A=b;C=d", "CNI_ARGS has keys that are not known: 'A', 'C' (IgnoreUnknown=1 lets them "
                    "pass)"},
        {"IgnoreUnknown=0;A=b", "CNI_ARGS has keys that are not known: 'A' (IgnoreUnknown=1 lets "
                                "them pass)"},
        {"IgnoreUnknown=yes", "CNI_ARGS: IgnoreUnknown is 'yes', neither true nor false"},
        {"IgnoreUnknown=1;A", "CNI_ARGS: 'A' is no KEY=VALUE"},
        {"K8S_POD_NAMESPACE=a;K8S_POD_NAME=../x",
         "CNI_ARGS: 'a' and '../x' are no namespace and name of a pod"},
        {"K8S_POD_UID=a/b", "CNI_ARGS: 'a/b' is no UID"},
        {"MAC=01:00:00:00:00:00", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        auto_err struct err *e = NULL;
        struct cni_args a;
        int r = cni_args_parse(table[i].text, &a, &e);

        assert_int_equal(r, table[i].message ? -EBADR : 0);
        if (r < 0 && *table[i].message)
            assert_string_equal(e->msg, table[i].message);
        if (r == 0)
            cni_args_release(&a);
    }
}

static void commands_by_version(void **state)
{
    (void)state;
    assert_int_equal(cni_command_check(CNI_ADD, CNI_0_3_0, NULL), 0);
    assert_int_equal(cni_command_check(CNI_DEL, CNI_0_3_0, NULL), 0);
    assert_int_equal(cni_command_check(CNI_CHECK, CNI_0_3_1, NULL), -EPROTONOSUPPORT);
    assert_int_equal(cni_command_check(CNI_CHECK, CNI_0_4_0, NULL), 0);
    assert_int_equal(cni_command_check(CNI_GC, CNI_1_0_0, NULL), -EPROTONOSUPPORT);
    assert_int_equal(cni_command_check(CNI_STATUS, CNI_1_0_0, NULL), -EPROTONOSUPPORT);
    assert_int_equal(cni_command_check(CNI_GC, CNI_1_1_0, NULL), 0);
    assert_int_equal(cni_command_check(CNI_STATUS, CNI_1_1_0, NULL), 0);
}

static void the_namespace_of_the_host(void **state)
{
    struct cni_env env = {.netns = "/proc/self/ns/net"};

    (void)state;
    assert_int_equal(cni_env_check_netns(&env, NULL), -EXDEV);
    env.may_be_host_netns = true;
    assert_int_equal(cni_env_check_netns(&env, NULL), 0);
    env = (struct cni_env){.netns = "/proc/self/ns/mnt"};
    assert_int_equal(cni_env_check_netns(&env, NULL), 0);
    env.netns = "/not/there";
    assert_int_equal(cni_env_check_netns(&env, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_each_command_needs),
        cmocka_unit_test(no_command_and_an_unknown_one),
        cmocka_unit_test(names),
        cmocka_unit_test(wrong_names_are_refused),
        cmocka_unit_test(args),
        cmocka_unit_test(ignore_unknown),
        cmocka_unit_test(commands_by_version),
        cmocka_unit_test(the_namespace_of_the_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
