/* Credentials by another program: what it is told, what it says, and how it fails. */
#include "fs.h"
#include "kube/kube_config.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tempdir.h"

#define CLUSTER "clusters: [{name: c, cluster: {server: 'https://a:6443'}}]\n"
#define CONTEXT "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n"
#define V1 "apiVersion: client.authentication.k8s.io/v1"
#define ANSWER(status)                                                                             \
    "echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{" status "}}'\n"

static void write_text(const char *path, const char *text, mode_t mode)
{
    assert_int_equal(fs_write_file(path, text, strlen(text), mode, NULL), 0);
}

/* Loads a kubeconfig whose user has `exec`; `script` is the program ./plugin. */
static int load(const char *exec, const char *script, struct kube_config *out, struct err **e)
{
    auto_free char *config =
        xasprintf(CLUSTER CONTEXT "users: [{name: u, user: {exec: {%s}}}]\n", exec);
    auto_free char *text = xasprintf("#!/bin/sh\n%s", script);

    write_text("plugin", text, 0755);
    write_text("config", config, 0600);
    return kube_config_load_user("config", NULL, out, e);
}

static void assert_refused(const char *exec, const char *script, int status, const char *why)
{
    auto_err struct err *e = NULL;
    struct kube_config c;

    assert_int_equal(load(exec, script, &c, &e), status);
    if (!strstr(err_text(e), why))
        fail_msg("'%s' does not say '%s'", err_text(e), why);
}

static void a_token_is_taken(void **state)
{
    auto_kube_config struct kube_config c = {.server = NULL};

    (void)state;
    assert_int_equal(load(V1 ", command: ./plugin", ANSWER("\"token\":\"abc\\n\""), &c, NULL), 0);
    assert_string_equal(c.token.bytes.data, "abc");
}

static void a_certificate_is_taken(void **state)
{
    auto_kube_config struct kube_config c = {.server = NULL};

    (void)state;
    assert_int_equal(load(V1 ", command: ./plugin",
                          ANSWER("\"clientCertificateData\":\"C\",\"clientKeyData\":\"K\""), &c,
                          NULL),
                     0);
    assert_string_equal(c.cert.bytes.data, "C");
    assert_string_equal(c.key.bytes.data, "K");
}

static void arguments_and_environment_reach_it(void **state)
{
    auto_kube_config struct kube_config c = {.server = NULL};

    (void)state;
    assert_int_equal(setenv("OVER", "below", 1), 0);
    assert_int_equal(setenv("KUBERNETES_EXEC_INFO", "{}", 1), 0);
    assert_int_equal(
        load(V1 ", command: ./plugin, args: [one, 'two 3'], provideClusterInfo: true, "
                "env: [{name: OVER, value: top}]",
             "echo \"$*|$OVER|$KUBERNETES_EXEC_INFO\" >seen\n" ANSWER("\"token\":\"t\""), &c, NULL),
        0);
    {
        auto_buf struct buf seen;

        buf_init(&seen, 4096);
        assert_int_equal(fs_read_file("seen", &seen, NULL), 0);
        assert_string_equal(
            seen.data, "one two 3|top|{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":"
                       "\"ExecCredential\",\"spec\":{\"interactive\":false,\"cluster\":{\"server\":"
                       "\"https://a:6443\"}}}\n");
    }
}

static void what_fails_says_why(void **state)
{
    (void)state;
    assert_refused(V1 ", command: ./plugin", "echo 'log in first' >&2; exit 3", -EKEYREJECTED,
                   "credentials of context 'x' by './plugin'");
    assert_refused(V1 ", command: ./plugin", "echo 'log in first' >&2; exit 3", -EKEYREJECTED,
                   "log in first");
    assert_refused(V1 ", command: flatnet-no-such, installHint: 'ask Bob'", "", -EKEYREJECTED,
                   "'flatnet-no-such' is not installed: ask Bob");
    assert_refused(V1 "beta1, command: ./plugin", ANSWER("\"token\":\"t\""), -EKEYREJECTED,
                   "its answer is of apiVersion");
    assert_refused(V1 ", command: ./plugin", ANSWER(""), -EKEYREJECTED, "neither a token nor");
    assert_refused(V1 ", command: ./plugin", ANSWER("\"token\":\"a b\""), -EKEYREJECTED,
                   "its token cannot be one");
    assert_refused(V1 ", command: ./plugin", "echo nonsense", -EKEYREJECTED, "by './plugin'");
    assert_refused("apiVersion: other/v1, command: ./plugin", "", -EINVAL, "speaks 'other/v1'");
}

static void others_may_not_use_it(void **state)
{
    auto_kube_config struct kube_config c = {.server = NULL};
    auto_err struct err *e = NULL;

    (void)state;
    assert_int_equal(load(V1 ", command: ./plugin", ANSWER("\"token\":\"t\""), &c, NULL), 0);
    kube_config_release(&c);
    assert_int_equal(kube_config_load("config", NULL, &c, &e), -EINVAL);
    assert_non_null(strstr(err_text(e), "has 'exec': ./plugin, which cannot be used here"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_token_is_taken, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(a_certificate_is_taken, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(arguments_and_environment_reach_it, tempdir_enter,
                                        tempdir_leave),
        cmocka_unit_test_setup_teardown(what_fails_says_why, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(others_may_not_use_it, tempdir_enter, tempdir_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
