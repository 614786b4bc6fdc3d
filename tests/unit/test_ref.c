/* Image references against the rules of distribution/reference. */
#include "mem.h"
#include "ref.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST DIGEST_PREFIX HEX64

static void normalises(void **state)
{
    static const struct {
        const char *text, *host, *repo, *tag, *digest;
    } table[] = {
        {"nginx", "docker.io", "library/nginx", "latest", NULL},
        {"nginx:1.25", "docker.io", "library/nginx", "1.25", NULL},
        {"docker.io/nginx", "docker.io", "library/nginx", "latest", NULL},
        {"docker.io/library/nginx", "docker.io", "library/nginx", "latest", NULL},
        {"docker.io/library/a/b", "docker.io", "library/a/b", "latest", NULL},
        {"index.docker.io/nginx:1", "docker.io", "library/nginx", "1", NULL},
        {"index.docker.io/rancher/rke2:1", "docker.io", "rancher/rke2", "1", NULL},
        {"nfvpe/multus:v3.2", "docker.io", "nfvpe/multus", "v3.2", NULL},
        {"quay.io/coreos/flannel:v0.10.0-amd64", "quay.io", "coreos/flannel", "v0.10.0-amd64",
         NULL},
        {"localhost/a", "localhost", "a", "latest", NULL},
        {"localhost:5000", "docker.io", "library/localhost", "5000", NULL},
        {"localhost:5000/a:b", "localhost:5000", "a", "b", NULL},
        {"127.0.0.1:5000/docker/docker", "127.0.0.1:5000", "docker/docker", "latest", NULL},
        {"192.168.0.1:80", "docker.io", "library/192.168.0.1", "80", NULL},
        {"test.com:tag", "docker.io", "library/test.com", "tag", NULL},
        {"test:5000/repo", "test:5000", "repo", "latest", NULL},
        {"test_com/foo", "docker.io", "test_com/foo", "latest", NULL},
        {"test-com:8080/foo", "test-com:8080", "foo", "latest", NULL},
        {"xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com", "myimage", "xn--n3h.com", NULL},
        {"Foo/bar", "Foo", "bar", "latest", NULL},
        {"DOCKER/docker", "DOCKER", "docker", "latest", NULL},
        {"lowercase:Uppercase", "docker.io", "library/lowercase", "Uppercase", NULL},
        {"[fc00::1]:5000/docker/docker", "[fc00::1]:5000", "docker/docker", "latest", NULL},
        {"[2001:db8::1]/repo:tag", "[2001:db8::1]", "repo", "tag", NULL},
        {"docker---rules/docker", "docker.io", "docker---rules/docker", "latest", NULL},
        {"dock__er/a_b.c-d", "docker.io", "dock__er/a_b.c-d", "latest", NULL},
        {"d/t", "docker.io", "d/t", "latest", NULL},
        {"a:_-.x", "docker.io", "library/a", "_-.x", NULL},
        {"nginx@" DIGEST, "docker.io", "library/nginx", NULL, DIGEST},
        {"nginx:1@" DIGEST, "docker.io", "library/nginx", "1", DIGEST},
        {"[::1]:5000/repo:tag@" DIGEST, "[::1]:5000", "repo", "tag", DIGEST},
        {"docker.io/" HEX64, "docker.io", "library/" HEX64, "latest", NULL},
        {HEX64 ":1", "docker.io", "library/" HEX64, "1", NULL},
        {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde", "docker.io",
         "library/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde", "latest", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_ref struct ref r = {.host = NULL};
        auto_err struct err *e = NULL;

        if (ref_parse(table[i].text, &r, &e) < 0)
            fail_msg("%s", err_text(e));
        assert_string_equal(r.host, table[i].host);
        assert_string_equal(r.repo, table[i].repo);
        assert_string_equal(r.tag ? r.tag : "none", table[i].tag ? table[i].tag : "none");
        assert_string_equal(r.digest ? r.digest : "none",
                            table[i].digest ? table[i].digest : "none");
    }
}

static void refuses(void **state)
{
    static const struct {
        const char *text, *why;
    } table[] = {
        {"", "is empty"},
        {":justtag", "repository name is missing"},
        {"@" DIGEST, "repository name is missing"},
        {"Uppercase:tag", "must be lowercase"},
        {"docker/Docker", "must be lowercase"},
        {"test:5000/Uppercase/lowercase:tag", "must be lowercase"},
        {"https://github.com/docker/docker", "leave out the scheme"},
        {"docker://nginx", "leave out the scheme"},
        {HEX64, "image id"},
        {"-docker", "repository name may hold"},
        {"-docker/docker", "repository name may hold"},
        {"docker-/docker", "repository name may hold"},
        {"-docker.io/docker/docker", "not a valid host"},
        {"docker///docker", "repository name may hold"},
        {"docker.io/docker///docker", "repository name may hold"},
        {"docker/", "repository name may hold"},
        {"docker.io/", "repository name is missing"},
        {"____/____", "repository name may hold"},
        {"_docker/_docker", "repository name may hold"},
        {"dock..er/docker", "not a valid host"},
        {"dock_.er/docker", "not a valid host"},
        {"foo_bar.com/repo", "not a valid host"},
        {"x/dock..er", "repository name may hold"},
        {"x/dock_.er", "repository name may hold"},
        {"x/dock-.er", "repository name may hold"},
        {"x/dock___er", "repository name may hold"},
        {"x/a.", "repository name may hold"},
        {"[fc00::1]", "repository name may hold"},
        {"[fc00::1]:5000", "repository name may hold"},
        {"[fc00::1/repo", "not a valid host"},
        {"[fc00::1]x/repo", "not a valid host"},
        {"[fc00::1]:/repo", "not a valid host"},
        {"[]:1/repo", "not a valid host"},
        {"[fe80::1%eth0]:5000/debian", "not a valid host"},
        {"[2001:db8:3:4::192.0.2.33]:5000/debian", "not a valid host"},
        {"fc00::1:5000/debian", "not a valid host"},
        {"foo:bar/baz", "not a valid host"},
        {"foo:/baz", "not a valid host"},
        {":5000/baz", "not a valid host"},
        {"foo.com./baz", "not a valid host"},
        {"foo-.com/baz", "not a valid host"},
        {"aa/asdf$$^/aa", "repository name may hold"},
        {"a:", "tag must be"},
        {"a:-x", "tag must be"},
        {"a:.x", "tag must be"},
        {"a:b:c", "tag must be"},
        {"a:b/c:d/e", "not a valid host"},
        {"a@", "digest must be"},
        {"a@sha256:ffff", "digest must be"},
        {"a@" DIGEST "0", "digest must be"},
        {"a@" DIGEST "@" DIGEST, "digest must be"},
        {"a@sha512:" HEX64 HEX64, "digest must be"},
        {"a@sha256:"
         "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
         "digest must be"},
        {" nginx", "byte 0x20 at position 1"},
        {"nginx\t", "byte 0x09 at position 6"},
        {"n\x1b[31m", "byte 0x1b at position 2"},
        {"caf\xc3\xa9", "byte 0xc3 at position 4"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct ref r = {.host = NULL};
        auto_err struct err *e = NULL;

        if (ref_parse(table[i].text, &r, &e) != -EINVAL)
            fail_msg("'%s' was taken", table[i].text);
        if (!strstr(err_text(e), table[i].why))
            fail_msg("'%s': %s", table[i].text, err_text(e));
        assert_null(r.host);
    }
}

/* "HOST/a/a/...:TAG" with a repository of `repo_len` and a tag of `tag_len` characters. */
static int parse_lengths(const char *host, size_t repo_len, size_t tag_len)
{
    auto_ref struct ref r = {.host = NULL};
    char repo[600] = "", tag[200] = "";
    auto_free char *text = NULL;

    for (size_t i = 0; i < repo_len; i++)
        repo[i] = i % 2 && i + 1 < repo_len ? '/' : 'a';
    memset(tag, 't', tag_len);
    text = xasprintf("%s%s:%s", host, repo, tag);
    return ref_parse(text, &r, NULL);
}

static void lengths(void **state)
{
    (void)state;
    assert_int_equal(parse_lengths("h.com/", REF_REPO_MAX, REF_TAG_MAX), 0);
    assert_int_equal(parse_lengths("h.com/", REF_REPO_MAX + 1, 1), -EINVAL);
    assert_int_equal(parse_lengths("h.com/", 1, REF_TAG_MAX + 1), -EINVAL);
    assert_int_equal(parse_lengths("", REF_REPO_MAX, 1), 0);
}

/* The "library/" that is put in front counts too. */
static void length_of_official(void **state)
{
    auto_ref struct ref r = {.host = NULL};
    char name[REF_REPO_MAX + 1] = "";

    (void)state;
    memset(name, 'a', REF_REPO_MAX - strlen("library/"));
    assert_int_equal(ref_parse(name, &r, NULL), 0);
    ref_release(&r);
    name[REF_REPO_MAX - strlen("library/")] = 'a';
    assert_int_equal(ref_parse(name, &r, NULL), -EINVAL);
}

static void formats_and_selects(void **state)
{
    static const struct {
        const char *text, *full, *selector;
        bool is_default;
    } table[] = {
        {"nginx", "docker.io/library/nginx:latest", "latest", true},
        {"nginx:latest", "docker.io/library/nginx:latest", "latest", false},
        {"q.io/a@" DIGEST, "q.io/a@" DIGEST, DIGEST, false},
        {"q.io/a:1@" DIGEST, "q.io/a:1@" DIGEST, DIGEST, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_ref struct ref r = {.host = NULL}, again = {.host = NULL};
        auto_free char *full = NULL, *twice = NULL;

        assert_int_equal(ref_parse(table[i].text, &r, NULL), 0);
        full = ref_format(&r);
        assert_string_equal(full, table[i].full);
        assert_string_equal(ref_selector(&r), table[i].selector);
        assert_int_equal(r.tag_is_default, table[i].is_default);
        assert_int_equal(ref_parse(full, &again, NULL), 0);
        twice = ref_format(&again);
        assert_string_equal(twice, full);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalises),
        cmocka_unit_test(refuses),
        cmocka_unit_test(lengths),
        cmocka_unit_test(length_of_official),
        cmocka_unit_test(formats_and_selects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
