/* The credentials of a pod, and files that are replaced. */
#include "kube/kube_creds.h"

#include "mem.h"
#include "tempdir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void put_account(void)
{
    put("token", "a-token\n");
    put("ca.crt", "a-ca");
    put("namespace", "a-namespace\n");
}

static int load(const char *host, const char *port, struct kube_config *c, char **ns,
                struct err **e)
{
    (void)unsetenv("KUBERNETES_SERVICE_HOST");
    (void)unsetenv("KUBERNETES_SERVICE_PORT");
    if (host)
        (void)setenv("KUBERNETES_SERVICE_HOST", host, 1);
    if (port)
        (void)setenv("KUBERNETES_SERVICE_PORT", port, 1);
    return kube_creds_in_cluster(".", c, ns, e);
}

static void finds_the_server(void **state)
{
    static const struct {
        const char *host, *port, *server;
        int status;
    } table[] = {
        {"10.43.0.1", "443", "https://10.43.0.1:443", 0},
        {"fd00::1", "6443", "https://[fd00::1]:6443", 0},
        {NULL, "443", NULL, -ENOENT},
        {"10.43.0.1", NULL, NULL, -ENOENT},
        {"", "443", NULL, -ENOENT},
        {"10.43.0.1", "0", NULL, -EINVAL},
        {"10.43.0.1", "65536", NULL, -EINVAL},
        {"10.43.0.1", "a", NULL, -EINVAL},
        {"a b", "443", NULL, -EINVAL},
        {"u@a", "443", NULL, -EINVAL},
        {"a/b", "443", NULL, -EINVAL},
    };

    (void)state;
    put_account();
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_kube_config struct kube_config c = {.server = NULL};
        auto_free char *ns = NULL;

        assert_int_equal(load(table[i].host, table[i].port, &c, &ns, NULL), table[i].status);
        if (table[i].status < 0)
            continue;
        assert_string_equal(c.server, table[i].server);
        assert_string_equal(c.token.bytes.data, "a-token");
        assert_string_equal(c.ca.bytes.data, "a-ca");
        assert_string_equal(ns, "a-namespace");
        assert_true(c.no_proxy);
        assert_false(c.insecure);
    }
}

static void refuses_an_account_with_holes(void **state)
{
    static const struct {
        const char *path, *text, *message;
        int status;
    } table[] = {
        {"token", NULL, "token", -ENOENT},          {"token", "", "is empty", -EINVAL},
        {"token", "a b", "no token", -EINVAL},      {"ca.crt", NULL, "ca.crt", -ENOENT},
        {"ca.crt", "", "is empty", -EINVAL},        {"namespace", NULL, "namespace", -ENOENT},
        {"namespace", "A/b", "namespace", -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct kube_config c;
        char *ns = NULL;
        auto_err struct err *e = NULL;

        put_account();
        if (table[i].text)
            put(table[i].path, table[i].text);
        else
            (void)unlink(table[i].path);
        assert_int_equal(load("10.43.0.1", "443", &c, &ns, &e), table[i].status);
        assert_non_null(strstr(err_text(e), table[i].message));
        assert_null(ns);
    }
}

static void follows_files(void **state)
{
    auto_kube_config struct kube_config c = {.server = NULL};
    auto_free char *ns = NULL;

    (void)state;
    put_account();
    assert_int_equal(load("10.43.0.1", "443", &c, &ns, NULL), 0);
    assert_false(kube_creds_refresh(&c));
    put("token", "another-token\n");
    assert_true(kube_creds_refresh(&c));
    assert_string_equal(c.token.bytes.data, "another-token");
    assert_false(kube_creds_refresh(&c));
    put("ca.crt", "another-ca");
    assert_true(kube_creds_refresh(&c));
    assert_string_equal(c.ca.bytes.data, "another-ca");
    /* In the middle of a replacement. */
    put("token", "");
    (void)unlink("ca.crt");
    assert_false(kube_creds_refresh(&c));
    put("token", "no token");
    assert_false(kube_creds_refresh(&c));
    assert_string_equal(c.token.bytes.data, "another-token");
    assert_string_equal(c.ca.bytes.data, "another-ca");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_the_server, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(refuses_an_account_with_holes, tempdir_enter,
                                        tempdir_leave),
        cmocka_unit_test_setup_teardown(follows_files, tempdir_enter, tempdir_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
