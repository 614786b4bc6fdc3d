/* Credentials in containers' and docker's files, and from helpers. */
#include "buf.h"
#include "creds.h"
#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FLAT_S3CRET "ZmxhdDpzM2NyZXQ="          /* flat:s3cret */
#define OTHER_PW "b3RoZXI6cHc6d2l0aDpjb2xvbnM=" /* other:pw:with:colons */

static char folder[] = "/tmp/flatnet-creds.XXXXXX";

/* A path below the test's folder, in one of a few buffers that are used in turn. */
static const char *path(const char *name)
{
    static char paths[4][256];
    static size_t next;
    char *p = paths[next++ % 4];

    (void)snprintf(p, sizeof(paths[0]), "%s/%s", folder, name);
    return p;
}

static void put_mode(const char *name, const char *text, mode_t mode)
{
    auto_free char *parent = xstrdup(path(name));

    *strrchr(parent, '/') = '\0';
    assert_int_equal(fs_mkdirs(parent, 0755, NULL), 0);
    assert_int_equal(fs_write_file(path(name), text, strlen(text), mode, NULL), 0);
}

static void put(const char *name, const char *text)
{
    put_mode(name, text, 0600);
}

static int remove_files(void **state)
{
    static const char *const names[] = {
        "run/containers/auth.json",
        "home/.config/containers/auth.json",
        "home/.docker/config.json",
        "docker/config.json",
        "named.json",
        "link.json",
        "bin/docker-credential-lab",
        "bin/calls",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unlink(path(names[i]));
    (void)unsetenv("REGISTRY_AUTH_FILE");
    (void)unsetenv("DOCKER_CONFIG");
    (void)unsetenv("XDG_CONFIG_HOME");
    assert_int_equal(setenv("HOME", path("home"), 1), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", path("run"), 1), 0);
    return 0;
}

/* "user password token source" of what is found, "-" for what is not there; "" for nothing. */
static void assert_found(const char *authfile, const char *host, const char *repo,
                         const char *expected)
{
    struct creds_store *store = NULL;
    auto_creds struct creds c = {.username = NULL};
    auto_free char *got = NULL;

    assert_int_equal(creds_store_new(authfile, &store, NULL), 0);
    if (creds_find(store, host, repo, &c))
        got = xasprintf("%s %s %s", c.username ? c.username : "-", c.password ? c.password : "-",
                        c.identity_token ? c.identity_token : "-");
    assert_string_equal(got ? got : "", expected);
    creds_store_free(store);
}

static void normalises_hosts(void **state)
{
    static const struct {
        const char *text, *host;
    } table[] = {
        {"docker.io", "docker.io"},
        {"https://index.docker.io/v1/", "docker.io"},
        {"registry-1.docker.io", "docker.io"},
        {"index.docker.io", "docker.io"},
        {"https://r.example:5000/v2/", "r.example:5000"},
        {"http://r.example", "r.example"},
        {"r.example/team/app", "r.example/team/app"},
        {"r.example/", "r.example"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_free char *host = creds_host_key(table[i].text);

        assert_string_equal(host, table[i].host);
    }
}

static void reads_entries(void **state)
{
    static const struct {
        const char *host, *repo, *found;
    } table[] = {
        {"plain.example", "a/b", "flat s3cret -"},
        {"plain.example", NULL, "flat s3cret -"},
        {"fields.example:5000", "a", "u p -"},
        {"token.example", "a", "- - refresh"},
        {"legacy.example", "a", "other pw:with:colons -"},
        {"docker.io", "library/nginx", "flat s3cret -"},
        {"empty.example", "a", ""},
        {"broken.example", "a", ""},
        {"nocolon.example", "a", ""},
        {"plain.example.evil", "a", ""},
        {"lain.example", "a", ""},
        {"absent.example", "a", ""},
        /* The longest part of host/repository counts, at whole components. */
        {"parts.example", "team/app", "other pw:with:colons -"},
        {"parts.example", "team/app/deep", "other pw:with:colons -"},
        {"parts.example", "team/application", "u p -"},
        {"parts.example", "teams", "flat s3cret -"},
        {"parts.example", NULL, "flat s3cret -"},
    };

    (void)state;
    put("named.json",
        "{\"auths\":{"
        "\"plain.example\":{\"auth\":\"" FLAT_S3CRET "\"},"
        "\"fields.example:5000\":{\"username\":\"u\",\"password\":\"p\"},"
        "\"token.example\":{\"auth\":\"" FLAT_S3CRET "\",\"identitytoken\":\"refresh\"},"
        "\"https://legacy.example/v2/\":{\"auth\":\"" OTHER_PW "\"},"
        "\"https://index.docker.io/v1/\":{\"auth\":\"" FLAT_S3CRET "\"},"
        "\"empty.example\":{},"
        "\"broken.example\":{\"auth\":\"%%%\"},"
        "\"nocolon.example\":{\"auth\":\"bm9jb2xvbg==\"},"
        "\"parts.example/team\":{\"username\":\"u\",\"password\":\"p\"},"
        "\"parts.example\":{\"auth\":\"" FLAT_S3CRET "\"},"
        "\"parts.example/team/app\":{\"auth\":\"" OTHER_PW "\"}},"
        "\"other\":[1,2]}");
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_found(path("named.json"), table[i].host, table[i].repo, table[i].found);
}

static void searches_in_order(void **state)
{
    static const char *const files[] = {
        "home/.docker/config.json",
        "home/.config/containers/auth.json",
        "run/containers/auth.json",
    };

    (void)state;
    assert_found(NULL, "h.example", NULL, "");
    /* Each file that joins stands before the ones that were there. */
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        auto_free char *text =
            xasprintf("{\"auths\":{\"h.example\":{\"username\":\"%zu\",\"password\":\"p\"}}}", i);
        auto_free char *found = xasprintf("%zu p -", i);

        put(files[i], text);
        assert_found(NULL, "h.example", NULL, found);
    }
    /* A named file stands alone. */
    put("named.json", "{\"auths\":{\"other.example\":{\"username\":\"n\",\"password\":\"p\"}}}");
    assert_int_equal(setenv("REGISTRY_AUTH_FILE", path("named.json"), 1), 0);
    assert_found(NULL, "h.example", NULL, "");
    assert_found(NULL, "other.example", NULL, "n p -");
    assert_found(path(files[0]), "h.example", NULL, "0 p -");
}

static void follows_docker_config_and_xdg(void **state)
{
    (void)state;
    put("docker/config.json",
        "{\"auths\":{\"h.example\":{\"username\":\"d\",\"password\":\"p\"}}}");
    assert_int_equal(setenv("DOCKER_CONFIG", path("docker"), 1), 0);
    assert_found(NULL, "h.example", NULL, "d p -");
    put("xdg/containers/auth.json",
        "{\"auths\":{\"h.example\":{\"username\":\"x\",\"password\":\"p\"}}}");
    assert_int_equal(setenv("XDG_CONFIG_HOME", path("xdg"), 1), 0);
    assert_found(NULL, "h.example", NULL, "x p -");
    (void)unlink(path("xdg/containers/auth.json"));
}

static void needs_no_home(void **state)
{
    struct creds_store *store = NULL;
    auto_err struct err *e = NULL;
    auto_free char *where = NULL;

    (void)state;
    (void)unsetenv("HOME");
    assert_int_equal(creds_store_new(NULL, &store, NULL), 0);
    creds_store_free(store);
    assert_int_equal(creds_save(NULL, "h.example", "u", "p", &where, &e), -EINVAL);
    assert_non_null(strstr(err_text(e), "--authfile"));
}

static void refuses_files(void **state)
{
    static const char *const table[] = {"", "{", "[]", "\"x\"", "{} {}"};
    struct creds_store *store = NULL;
    auto_err struct err *e = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        put("home/.docker/config.json", table[i]);
        assert_int_equal(creds_store_new(NULL, &store, &e), -EINVAL);
        assert_non_null(strstr(err_text(e), "config.json"));
    }
    assert_int_equal(creds_store_new(path("absent.json"), &store, &e), -EINVAL);
    assert_non_null(strstr(err_text(e), "absent.json"));
}

static void add_to_path(void)
{
    static bool done;
    auto_free char *longer = xasprintf("%s:%s", path("bin"), getenv("PATH"));

    if (!done)
        assert_int_equal(setenv("PATH", longer, 1), 0);
    done = true;
}

/* Notes each call, so that a test can count them. */
static void put_helper(const char *body)
{
    auto_free char *text =
        xasprintf("#!/bin/sh\nread -r server\necho \"$1 $server\" >>'%s/bin/calls'\n%s\n", folder,
                  body);

    add_to_path();
    put_mode("bin/docker-credential-lab", text, 0755);
}

static void assert_calls(const char *expected)
{
    auto_buf struct buf calls;

    buf_init(&calls, 4096);
    (void)fs_read_file(path("bin/calls"), &calls, NULL);
    assert_string_equal(calls.data, expected);
    (void)unlink(path("bin/calls"));
}

static void asks_helpers(void **state)
{
    (void)state;
    put_helper("case $server in\n"
               "known.example|https://index.docker.io/v1/)"
               " echo '{\"ServerURL\":\"x\",\"Username\":\"u\",\"Secret\":\"s\"}';;\n"
               "token.example) echo '{\"Username\":\"<token>\",\"Secret\":\"refresh\"}';;\n"
               "*) echo 'credentials not found in native keychain'; exit 1;; esac");
    put("named.json", "{\"credsStore\":\"lab\",\"auths\":{\"known.example\":{},"
                      "\"auth.example\":{\"auth\":\"" FLAT_S3CRET "\"}}}");
    assert_found(path("named.json"), "known.example", "a", "u s -");
    assert_calls("get known.example\n");
    assert_found(path("named.json"), "docker.io", "library/a", "u s -");
    assert_calls("get https://index.docker.io/v1/\n");
    assert_found(path("named.json"), "token.example", "a", "- - refresh");
    assert_found(path("named.json"), "absent.example", "a", "");
    assert_calls("get token.example\nget absent.example\n");
    assert_found(path("named.json"), "auth.example", "a", "flat s3cret -");
    assert_calls("");
}

static void prefers_the_host_helper(void **state)
{
    (void)state;
    put_helper("echo '{\"Username\":\"u\",\"Secret\":\"s\"}'");
    put("named.json", "{\"credHelpers\":{\"h.example\":\"lab\"},"
                      "\"auths\":{\"h.example\":{\"auth\":\"" FLAT_S3CRET "\"},"
                      "\"i.example\":{\"auth\":\"" FLAT_S3CRET "\"}}}");
    assert_found(path("named.json"), "h.example", "a", "u s -");
    assert_found(path("named.json"), "i.example", "a", "flat s3cret -");
}

static void asks_a_helper_once(void **state)
{
    struct creds_store *store = NULL;

    (void)state;
    put_helper("echo '{\"Username\":\"u\",\"Secret\":\"s\"}'");
    put("named.json", "{\"credsStore\":\"lab\"}");
    assert_int_equal(creds_store_new(path("named.json"), &store, NULL), 0);
    for (int i = 0; i < 3; i++) {
        auto_creds struct creds c = {.username = NULL};

        assert_int_equal(creds_find(store, "h.example", i ? "a" : "b", &c), 1);
        assert_string_equal(c.source, "docker-credential-lab");
    }
    creds_store_free(store);
    assert_calls("get h.example\n");
}

static void survives_bad_helpers(void **state)
{
    static const struct {
        const char *body, *why;
    } table[] = {
        {"echo 'no keychain here'; exit 2", "no keychain here"},
        {"exit 1", "no reason given"},
        {"echo nonsense", "not understood"},
        {"echo '{\"Username\":\"u\"}'", "not understood"},
        {"head -c 100000 /dev/zero", "File too large"},
        {"kill -9 $$", "no reason given"},
    };
    struct creds c = {.username = NULL};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_err struct err *e = NULL;

        put_helper(table[i].body);
        assert_true(creds_ask_helper("lab", "h.example", &c, &e) < 0);
        if (!strstr(err_text(e), table[i].why))
            fail_msg("'%s' is not in: %s", table[i].why, err_text(e));
    }
    assert_true(creds_ask_helper("not-installed", "h", &c, NULL) < 0);
    assert_int_equal(creds_ask_helper("../lab", "h", &c, NULL), -EINVAL);
    assert_int_equal(creds_ask_helper("", "h", &c, NULL), -EINVAL);
    /* The lookup as a whole goes on without it. */
    put("named.json", "{\"credsStore\":\"not-installed\"}");
    assert_found(path("named.json"), "h.example", "a", "");
}

/* A helper that does not read its input must not kill us with SIGPIPE. */
static void helper_that_reads_nothing(void **state)
{
    auto_creds struct creds c = {.username = NULL};

    (void)state;
    add_to_path();
    put_mode("bin/docker-credential-lab",
             "#!/bin/sh\nexec 0</dev/null\necho '{\"Username\":\"u\",\"Secret\":\"s\"}'\n", 0755);
    assert_int_equal(creds_ask_helper("lab", "h.example", &c, NULL), 1);
    assert_string_equal(c.password, "s");
}

static void saves_and_erases(void **state)
{
    auto_free char *where = NULL;
    auto_free char *again = NULL;
    struct stat st;

    (void)state;
    assert_int_equal(creds_save(NULL, "h.example", "flat", "s3cret", &where, NULL), 0);
    assert_string_equal(where, path("home/.config/containers/auth.json"));
    assert_int_equal(stat(where, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_found(NULL, "h.example", "a", "flat s3cret -");
    assert_int_equal(creds_save(NULL, "h.example", "u2", "p2", &again, NULL), 0);
    assert_found(NULL, "h.example", "a", "u2 p2 -");
    free(take(again));
    assert_int_equal(creds_erase(NULL, "h.example", &again, NULL), 1);
    assert_string_equal(again, where);
    assert_found(NULL, "h.example", "a", "");
    assert_int_equal(creds_erase(NULL, "h.example", &again, NULL), 0);
}

static void saves_where_an_entry_is(void **state)
{
    auto_free char *where = NULL;

    (void)state;
    put("run/containers/auth.json", "{\"auths\":{\"h.example\":{\"auth\":\"" FLAT_S3CRET "\"}}}");
    assert_int_equal(creds_save(NULL, "h.example", "u", "p", &where, NULL), 0);
    assert_string_equal(where, path("run/containers/auth.json"));
    assert_found(NULL, "h.example", NULL, "u p -");
}

static void keeps_what_it_does_not_know(void **state)
{
    auto_free char *where = NULL;
    auto_buf struct buf text;

    (void)state;
    put("named.json", "{\"auths\":{\"a.example\":{\"auth\":\"QQ==\",\"email\":\"x@y\"},"
                      "\"h.example\":{\"identitytoken\":\"old\",\"note\":\"kept\"}},"
                      "\"psFormat\":\"{{.ID}}\",\"nested\":{\"n\":[1,true,null]}}");
    assert_int_equal(symlink("named.json", path("link.json")), 0);
    assert_int_equal(creds_save(path("link.json"), "h.example", "flat", "s3cret", &where, NULL), 0);
    assert_found(path("named.json"), "h.example", NULL, "flat s3cret -");
    buf_init(&text, 4096);
    assert_int_equal(fs_read_file(path("named.json"), &text, NULL), 0);
    assert_non_null(strstr(text.data, "\"x@y\""));
    assert_non_null(strstr(text.data, "\"kept\""));
    assert_non_null(strstr(text.data, "{{.ID}}"));
    assert_non_null(strstr(text.data, "nested"));
    assert_null(strstr(text.data, "old"));
}

static void never_edits_docker_files(void **state)
{
    auto_free char *where = NULL;

    (void)state;
    put("home/.docker/config.json", "{\"auths\":{\"h.example\":{\"auth\":\"" FLAT_S3CRET "\"}}}");
    assert_int_equal(creds_erase(NULL, "h.example", &where, NULL), 0);
    assert_int_equal(creds_save(NULL, "h.example", "u", "p", &where, NULL), 0);
    assert_string_equal(where, path("home/.config/containers/auth.json"));
    assert_found(path("home/.docker/config.json"), "h.example", NULL, "flat s3cret -");
}

static void refuses_to_shadow_a_helper(void **state)
{
    auto_free char *where = NULL;
    auto_err struct err *e = NULL;

    (void)state;
    put("named.json", "{\"credHelpers\":{\"h.example\":\"lab\"}}");
    assert_int_equal(creds_save(path("named.json"), "h.example", "u", "p", &where, &e), -EINVAL);
    assert_non_null(strstr(err_text(e), "docker-credential-lab"));
    put("named.json", "{\"auths\":[]}");
    assert_int_equal(creds_save(path("named.json"), "h.example", "u", "p", &where, &e), -EINVAL);
}

static int make_folder(void **state)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)state;
    (void)sigaction(SIGPIPE, &ignore, NULL);
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {
        "run/containers",
        "run",
        "home/.config/containers",
        "home/.config",
        "home/.docker",
        "home",
        "docker",
        "bin",
        "xdg/containers",
        "xdg",
        "",
    };

    (void)remove_files(state);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)rmdir(path(names[i]));
    return access(folder, F_OK) == 0 ? -1 : 0;
}

#define TEST(f) cmocka_unit_test_setup(f, remove_files)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(normalises_hosts),
        TEST(reads_entries),
        TEST(searches_in_order),
        TEST(follows_docker_config_and_xdg),
        TEST(needs_no_home),
        TEST(refuses_files),
        TEST(asks_helpers),
        TEST(prefers_the_host_helper),
        TEST(asks_a_helper_once),
        TEST(survives_bad_helpers),
        TEST(helper_that_reads_nothing),
        TEST(saves_and_erases),
        TEST(saves_where_an_entry_is),
        TEST(keeps_what_it_does_not_know),
        TEST(never_edits_docker_files),
        TEST(refuses_to_shadow_a_helper),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
