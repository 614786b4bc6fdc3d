/* kubeconfigs: every field, whose turn it is, files that they name, and what is refused. */
#include "kube/kube_config.h"

#include "fs.h"
#include "mem.h"
#include "tempdir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define CLUSTER(fields) "clusters: [{name: c, cluster: {" fields "}}]\n"
#define USER(fields) "users: [{name: u, user: {" fields "}}]\n"
#define CONTEXT "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
#define SERVER "server: https://10.0.0.1:6443"

static int parse(const char *text, const char *context, struct kube_config *out, struct err **e)
{
    struct kube_source source = {.path = "dir/kc", .text = text, .len = strlen(text)};

    return kube_config_parse(&source, 1, context, out, e);
}

static void assert_text(const char *got, const char *expected)
{
    if (!expected)
        assert_null(got);
    else
        assert_string_equal(got ? got : "(none)", expected);
}

static void takes_every_field(void **state)
{
    static const struct {
        const char *text;
        const char *ca, *ca_file, *cert, *cert_file, *key_file, *token, *token_file;
        const char *tls_name, *proxy;
        bool insecure;
    } table[] = {
        {CONTEXT CLUSTER(SERVER) USER("token: abc"), .token = "abc"},
        {.text = CONTEXT CLUSTER(SERVER) USER("")},
        {.text =
             "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n" CLUSTER(SERVER)},
        {CONTEXT CLUSTER(SERVER ", certificate-authority-data: Q0E=") USER("tokenFile: t"),
         .ca = "CA", .token_file = "dir/t"},
        /* A file of a token goes before a token; data goes before a file. */
        {CONTEXT CLUSTER(SERVER ", certificate-authority: /ca, certificate-authority-data: Q0E=")
             USER("tokenFile: /t, token: abc"),
         .ca = "CA", .token_file = "/t"},
        {CONTEXT CLUSTER(SERVER ", certificate-authority: ca.pem")
             USER("client-certificate: c.pem, client-key: /k.pem"),
         .ca_file = "dir/ca.pem", .cert_file = "dir/c.pem", .key_file = "/k.pem"},
        {CONTEXT CLUSTER(SERVER) USER("client-certificate-data: Q0VSVA==, client-key: k"),
         .cert = "CERT", .key_file = "dir/k"},
        {CONTEXT CLUSTER(SERVER ", tls-server-name: kube.example, proxy-url: 'http://p:3128'")
             USER(""),
         .tls_name = "kube.example", .proxy = "http://p:3128"},
        {CONTEXT CLUSTER(SERVER ", insecure-skip-tls-verify: true") USER(""), .insecure = true},
        {.text = CONTEXT CLUSTER(SERVER ", insecure-skip-tls-verify: false") USER("")},
        /* Base64 in lines, as a block. */
        {CONTEXT "clusters:\n- name: c\n  cluster:\n    server: https://10.0.0.1:6443\n"
                 "    certificate-authority-data: |\n      Q0\n      E=\n" USER(""),
         .ca = "CA"},
        /* JSON, and an alias. */
        {"{\"current-context\": \"x\", \"contexts\": [{\"name\": \"x\", \"context\": {\"cluster\": "
         "\"c\", \"user\": \"u\"}}], \"clusters\": [{\"name\": \"c\", \"cluster\": {\"server\": "
         "\"https://10.0.0.1:6443\"}}], \"users\": [{\"name\": \"u\", \"user\": {\"token\": "
         "\"abc\"}}]}",
         .token = "abc"},
        {"x: &u {token: abc}\n" CONTEXT CLUSTER(SERVER) "users: [{name: u, user: *u}]\n",
         .token = "abc"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_kube_config struct kube_config c = {.context = NULL};

        assert_int_equal(parse(table[i].text, NULL, &c, NULL), 0);
        assert_text(c.context, "x");
        assert_text(c.server, "https://10.0.0.1:6443");
        assert_text(c.tls_name, table[i].tls_name);
        assert_text(c.proxy, table[i].proxy);
        assert_int_equal(c.insecure, table[i].insecure);
        assert_text(c.ca.bytes.data, table[i].ca ? table[i].ca : "");
        assert_text(c.ca.file, table[i].ca_file);
        assert_text(c.cert.bytes.data, table[i].cert ? table[i].cert : "");
        assert_text(c.cert.file, table[i].cert_file);
        assert_text(c.key.file, table[i].key_file);
        assert_text(c.token.bytes.data, table[i].token ? table[i].token : "");
        assert_text(c.token.file, table[i].token_file);
    }
}

static void refuses(void **state)
{
    static const struct {
        const char *text;
        const char *context;
        const char *message;
    } table[] = {
        {"", NULL, "'dir/kc' has no current-context"},
        {"just text", NULL, "'dir/kc' is no kubeconfig"},
        {"a: [", NULL, "'dir/kc': line "},
        {"current-context: ''\n", NULL, "has no current-context"},
        {CONTEXT CLUSTER(SERVER) USER(""), "y", "'dir/kc' has no context 'y'; it has 'x'"},
        {CONTEXT USER(""), NULL, "has no cluster 'c'; it has none"},
        {CONTEXT CLUSTER(SERVER) "users: [{name: other}]\n", NULL, "no user 'u'; it has 'other'"},
        {CONTEXT CLUSTER(SERVER) "users: {name: u}\n", NULL, "no user 'u'"},
        {"current-context: x\ncontexts: [{name: x, context: {user: u}}]\n", NULL,
         "context 'x' in 'dir/kc' has no cluster"},
        {CONTEXT CLUSTER("") USER(""), NULL, "cluster 'c' in 'dir/kc' has no server"},
        {CONTEXT CLUSTER("server: {a: b}") USER(""), NULL, "has no server"},
        {CONTEXT CLUSTER("server: \"https://a\\r\\nX: y\"") USER(""), NULL,
         "'server' has blanks or control characters"},
        {CONTEXT CLUSTER(SERVER ", tls-server-name: 'a/b'") USER(""), NULL,
         "'a/b' is no host name"},
        {CONTEXT CLUSTER(SERVER ", certificate-authority-data: '*'") USER(""), NULL,
         "'certificate-authority-data' is no base64"},
        {CONTEXT CLUSTER(SERVER ", certificate-authority-data: Q0E") USER(""), NULL,
         "is no base64"},
        {CONTEXT CLUSTER(SERVER ", certificate-authority-data: '-----BEGIN'") USER(""), NULL,
         "is no base64"},
        {CONTEXT CLUSTER(SERVER ", certificate-authority: a, insecure-skip-tls-verify: true")
             USER(""),
         NULL, "has a certificate-authority and insecure-skip-tls-verify"},
        {CONTEXT CLUSTER(SERVER) USER("token: \"a\\nb\""), NULL,
         "user 'u' in 'dir/kc': 'token' has blanks"},
        {CONTEXT CLUSTER(SERVER) USER("client-certificate: c"), NULL,
         "only one of client-certificate and client-key"},
        {CONTEXT CLUSTER(SERVER) USER("exec: {command: aws, args: [eks]}"), NULL,
         "user 'u' in 'dir/kc' has 'exec' without command or apiVersion"},
        {CONTEXT CLUSTER(SERVER)
             USER("exec: {command: aws, apiVersion: c/v1, interactiveMode: Always}"),
         NULL, "user 'u' in 'dir/kc' has 'exec': aws, which needs a terminal"},
        {CONTEXT CLUSTER(SERVER) USER("auth-provider: {name: oidc}"), NULL, "has 'auth-provider'"},
        {CONTEXT CLUSTER(SERVER) USER("username: a, password: b"), NULL, "has 'username'"},
        {CONTEXT CLUSTER(SERVER) USER("token: a, as: root"), NULL, "has 'as'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct kube_config c;
        auto_err struct err *e = NULL;

        assert_int_equal(parse(table[i].text, table[i].context, &c, &e), -EINVAL);
        if (!strstr(err_text(e), table[i].message))
            fail_msg("'%s' is not in '%s'", table[i].message, err_text(e));
        assert_null(strstr(err_text(e), "abc"));
    }
}

/* --- files --- */

static void put(const char *path, const char *text)
{
    assert_int_equal(fs_write_file(path, text, strlen(text), 0600, NULL), 0);
}

static void loads_what_is_named(void **state)
{
    auto_kube_config struct kube_config c = {.context = NULL};

    (void)state;
    assert_int_equal(fs_mkdirs("d", 0700, NULL), 0);
    put("d/kc", CONTEXT CLUSTER(SERVER ", certificate-authority: ca.pem")
                    USER("client-certificate: c.pem, client-key: k.pem, tokenFile: t"));
    put("d/ca.pem", "the CA");
    put("d/c.pem", "the certificate");
    put("d/k.pem", "the key");
    put("d/t", "the-token\n");
    assert_int_equal(kube_config_load("d/kc", NULL, &c, NULL), 0);
    assert_string_equal(c.ca.bytes.data, "the CA");
    assert_string_equal(c.cert.bytes.data, "the certificate");
    assert_string_equal(c.key.bytes.data, "the key");
    assert_string_equal(c.token.bytes.data, "the-token");
}

static void load_fails(const char *path, int status, const char *message)
{
    struct kube_config c;
    auto_err struct err *e = NULL;

    assert_int_equal(kube_config_load(path, NULL, &c, &e), status);
    if (!strstr(err_text(e), message))
        fail_msg("'%s' is not in '%s'", message, err_text(e));
}

static void says_what_cannot_be_loaded(void **state)
{
    auto_free char *large = xcalloc(KUBE_CONFIG_MAX + 2, 1);

    (void)state;
    load_fails("none", -ENOENT, "cannot open 'none'");
    put("kc", CONTEXT CLUSTER(SERVER) USER("tokenFile: t"));
    load_fails("kc", -ENOENT, "token of the kubeconfig: cannot open 't'");
    put("t", "");
    load_fails("kc", -EINVAL, "'t' is empty");
    put("t", " \n");
    load_fails("kc", -EINVAL, "no token is in 't'");
    put("t", "two words");
    load_fails("kc", -EINVAL, "no token is in 't'");
    memset(large, ' ', KUBE_CONFIG_MAX + 1);
    put("kc", large);
    load_fails("kc", -EFBIG, "'kc' is larger than");
}

static void is_found_as_kubectl_finds_it(void **state)
{
    static const struct {
        const char *list, *home;
        const char *token; /* NULL: not found */
    } table[] = {
        {NULL, "home", "from-home"},
        {"", "home", "from-home"},
        {"one", "home", "from-one"},
        /* The first that has something wins; a missing file is passed over. */
        {"missing:two:one", "home", "from-two"},
        {":contexts::one", NULL, "from-one"},
        {"missing", "home", NULL},
        {NULL, NULL, NULL},
        {NULL, "nowhere", NULL},
    };

    (void)state;
    assert_int_equal(fs_mkdirs("home/.kube", 0700, NULL), 0);
    put("home/.kube/config", CONTEXT CLUSTER(SERVER) USER("token: from-home"));
    put("one", CONTEXT CLUSTER(SERVER) USER("token: from-one"));
    put("two", USER("token: from-two"));
    put("contexts", CONTEXT);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_kube_config struct kube_config c = {.context = NULL};
        int r;

        (void)(table[i].list ? setenv("KUBECONFIG", table[i].list, 1) : unsetenv("KUBECONFIG"));
        (void)(table[i].home ? setenv("HOME", table[i].home, 1) : unsetenv("HOME"));
        r = kube_config_load(NULL, NULL, &c, NULL);
        assert_int_equal(r, table[i].token ? 0 : -ENOENT);
        if (table[i].token)
            assert_string_equal(c.token.bytes.data, table[i].token);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_every_field),
        cmocka_unit_test(refuses),
        cmocka_unit_test_setup_teardown(loads_what_is_named, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(says_what_cannot_be_loaded, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(is_found_as_kubectl_finds_it, tempdir_enter, tempdir_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
