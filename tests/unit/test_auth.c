/* Challenges of registries, scopes, tokens, and the cache of what was got. */
#include "auth.h"
#include "mem.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct expected {
    enum auth_scheme scheme;
    const char *realm, *service, *scope;
};

static void assert_same_text(const char *got, const char *expected)
{
    if (expected)
        assert_string_equal(got, expected);
    else
        assert_null(got);
}

static void reads_challenges(void **state)
{
    static const struct {
        const char *header;
        size_t count;
        struct expected items[3];
    } table[] = {
        {"Basic realm=\"lab\"", 1, {{AUTH_BASIC, "lab", NULL, NULL}}},
        {"bearer REALM=\"https://a/t\",Service=\"s\" , scope=\"repository:a/b:pull,push\"",
         1,
         {{AUTH_BEARER, "https://a/t", "s", "repository:a/b:pull,push"}}},
        {"Basic realm=\"a, \\\"b\\\" \\\\\", Bearer realm=\"https://c\"",
         2,
         {{AUTH_BASIC, "a, \"b\" \\", NULL, NULL}, {AUTH_BEARER, "https://c", NULL, NULL}}},
        {"Negotiate", 1, {{AUTH_OTHER, NULL, NULL, NULL}}},
        {"Negotiate YWJj+/==, Basic realm=x",
         2,
         {{AUTH_OTHER, NULL, NULL, NULL}, {AUTH_BASIC, "x", NULL, NULL}}},
        {"Digest realm=\"d\", nonce=\"n\", qop=\"auth,auth-int\", Basic",
         2,
         {{AUTH_OTHER, "d", NULL, NULL}, {AUTH_BASIC, NULL, NULL, NULL}}},
        {"Bearer realm=https://a/t?x=y,service=s",
         1,
         {{AUTH_BEARER, "https://a/t?x=y", "s", NULL}}},
        {"Bearer realm = \"https://a\" ,, service=\"\"", 1, {{AUTH_BEARER, "https://a", "", NULL}}},
        {"Bearer realm=\"first\",realm=\"second\"", 1, {{AUTH_BEARER, "first", NULL, NULL}}},
        {", ,", 0, {{AUTH_OTHER, NULL, NULL, NULL}}},
        {"", 0, {{AUTH_OTHER, NULL, NULL, NULL}}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_challenges struct auth_challenges c = {.count = 0};

        assert_int_equal(auth_parse(table[i].header, &c, NULL), 0);
        assert_int_equal(c.count, table[i].count);
        for (size_t j = 0; j < c.count; j++) {
            assert_int_equal(c.items[j].scheme, table[i].items[j].scheme);
            assert_same_text(c.items[j].realm, table[i].items[j].realm);
            assert_same_text(c.items[j].service, table[i].items[j].service);
            assert_same_text(c.items[j].scope, table[i].items[j].scope);
        }
    }
}

static void refuses_challenges(void **state)
{
    static const char *const table[] = {
        "Bearer realm=\"open",       "Bearer realm=\"ends\\",       "realm=\"no scheme\"",
        "Bearer realm=\"a\001b\"",   "Bearer realm=a\001b",         "\"quoted\"",
        "Bearer realm=\"a\\\001b\"", "Bearer realm=\"a\"; x=\"b\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_challenges struct auth_challenges c = {.count = 0};
        auto_err struct err *e = NULL;

        assert_int_equal(auth_parse(table[i], &c, &e), -EPROTO);
        assert_non_null(strstr(err_text(e), "WWW-Authenticate"));
    }
}

static void refuses_too_much(void **state)
{
    auto_challenges struct auth_challenges c = {.count = 0};
    auto_challenges struct auth_challenges many = {.count = 0};
    auto_free char *value = xmalloc(AUTH_MAX_HEADER + 2);

    (void)state;
    memset(value, 'a', AUTH_MAX_HEADER + 1);
    value[AUTH_MAX_HEADER + 1] = '\0';
    assert_int_equal(auth_parse(value, &c, NULL), -EPROTO);
    memcpy(value, "Bearer realm=", 13);
    value[8000] = '\0';
    assert_int_equal(auth_parse(value, &c, NULL), -EPROTO);
    for (size_t i = 0; i < AUTH_MAX_CHALLENGES; i++)
        assert_int_equal(auth_parse("Basic realm=x", &many, NULL), 0);
    assert_int_equal(auth_parse("Basic realm=x", &many, NULL), -EPROTO);
    assert_int_equal(many.count, AUTH_MAX_CHALLENGES);
}

static void chooses(void **state)
{
    static const struct {
        const char *headers[2];
        enum auth_scheme scheme;
        const char *realm;
    } table[] = {
        {{"Basic realm=a", "Bearer realm=\"https://b\""}, AUTH_BEARER, "https://b"},
        {{"Bearer service=x", "Basic realm=a"}, AUTH_BASIC, "a"},
        {{"Basic realm=a", "Basic realm=b"}, AUTH_BASIC, "a"},
        {{"Negotiate abc=", "Digest realm=x"}, AUTH_OTHER, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_challenges struct auth_challenges c = {.count = 0};
        const struct auth_challenge *chosen;

        for (size_t j = 0; j < 2; j++)
            assert_int_equal(auth_parse(table[i].headers[j], &c, NULL), 0);
        chosen = auth_choose(&c);
        if (table[i].scheme == AUTH_OTHER) {
            assert_null(chosen);
            continue;
        }
        assert_int_equal(chosen->scheme, table[i].scheme);
        assert_string_equal(chosen->realm, table[i].realm);
    }
}

static void joins_scopes(void **state)
{
    static const struct {
        const char *have, *wanted, *joined;
    } table[] = {
        {"repository:a:pull", NULL, "repository:a:pull"},
        {"repository:a:pull", "", "repository:a:pull"},
        {"repository:a:pull", "repository:a:pull", "repository:a:pull"},
        {"repository:a:pull,push", "repository:a:push", "repository:a:pull,push"},
        {"repository:a:pull", "repository:a:pull,push", "repository:a:pull repository:a:pull,push"},
        {"repository:a:pull", "repository:b:pull", "repository:a:pull repository:b:pull"},
        {"repository:a:pull,push repository:b:pull", "repository:b:pull repository:a:push",
         "repository:a:pull,push repository:b:pull"},
        {"repository:a:pull", "repository:a:pul", "repository:a:pull repository:a:pul"},
        {"repository:h:5000/a:pull", "repository:h:5000/a:pull", "repository:h:5000/a:pull"},
        {"", "registry:catalog:*", "registry:catalog:*"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_free char *joined = auth_join_scopes(table[i].have, table[i].wanted);

        assert_string_equal(joined, table[i].joined);
    }
}

static void reads_tokens(void **state)
{
    static const struct {
        const char *text, *token;
        int64_t life_ms;
    } table[] = {
        {"{\"token\":\"t\"}", "t", 60000},
        {"{\"access_token\":\"a\",\"expires_in\":300}", "a", 300000},
        {"{\"token\":\"t\",\"access_token\":\"a\",\"expires_in\":5}", "t", 5000},
        {"{\"token\":\"\",\"access_token\":\"a\",\"expires_in\":\"x\"}", "a", 60000},
        {"{\"token\":\"t\",\"expires_in\":0}", "t", 60000},
        {"{\"token\":\"t\",\"expires_in\":-4}", "t", 60000},
        {"{\"token\":\"t\",\"expires_in\":9999999999}", "t", 86400000},
        {"{\"token\":\"a b\"}", NULL, 0},
        {"{\"token\":\"a\\nb\"}", NULL, 0},
        {"{\"token\":5}", NULL, 0},
        {"{}", NULL, 0},
        {"[]", NULL, 0},
        {"token", NULL, 0},
        {"", NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_free char *token = NULL;
        auto_err struct err *e = NULL;
        int64_t life_ms = 0;
        int r = auth_parse_token(table[i].text, strlen(table[i].text), &token, &life_ms, &e);

        assert_int_equal(r, table[i].token ? 0 : -EPROTO);
        assert_same_text(token, table[i].token);
        assert_int_equal(life_ms, table[i].life_ms);
    }
}

static void never_shows_a_token(void **state)
{
    static const char text[] = "{\"token\":\"s3cret value\"}";
    auto_free char *token = NULL;
    auto_err struct err *e = NULL;
    int64_t life_ms;

    (void)state;
    assert_int_equal(auth_parse_token(text, strlen(text), &token, &life_ms, &e), -EPROTO);
    assert_null(strstr(err_text(e), "s3cret"));
}

static void makes_basic(void **state)
{
    auto_free char *header = auth_basic("flat", "s3cret pass:word");
    auto_free char *empty = auth_basic("", "");

    (void)state;
    assert_string_equal(header, "Basic ZmxhdDpzM2NyZXQgcGFzczp3b3Jk");
    assert_string_equal(empty, "Basic Og==");
}

static void cleans_text(void **state)
{
    static const struct {
        const char *text, *clean;
    } table[] = {
        {"  plain\r\n", "plain"},
        {"a\tb\033[31mc", "a?b?[31mc"},
        {"\302\233x", "\302?x"},
        {"\346\227\245\346\234\254", "\346\227\245\346\234\254"},
        {"", ""},
        {" \n ", ""},
    };
    char text[400];
    auto_free char *cut = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_free char *clean = auth_clean_text(table[i].text, strlen(table[i].text));

        assert_string_equal(clean, table[i].clean);
    }
    /* Cut between two characters, not inside of one. */
    memset(text, 'a', 299);
    memcpy(text + 299, "\346\227\245", 4);
    cut = auth_clean_text(text, strlen(text));
    assert_int_equal(strlen(cut), 299);
}

struct user {
    struct auth_cache *cache;
    int *fetched;
};

static void *use_entry(void *arg)
{
    struct user *u = arg;
    struct auth_entry *entry = auth_cache_lock(u->cache, "host scope");

    if (!entry->authorization) {
        ++*u->fetched;
        entry->authorization = xstrdup("Bearer x");
    }
    auth_cache_unlock(entry);
    return NULL;
}

static void threads_share_one_fetch(void **state)
{
    struct auth_cache *cache = auth_cache_new();
    pthread_t threads[8];
    int fetched = 0;
    struct user u = {.cache = cache, .fetched = &fetched};
    struct auth_entry *other;

    (void)state;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_entry, &u), 0);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(fetched, 1);
    other = auth_cache_lock(cache, "host other");
    assert_null(other->authorization);
    auth_cache_unlock(other);
    auth_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_challenges),    cmocka_unit_test(refuses_challenges),
        cmocka_unit_test(refuses_too_much),    cmocka_unit_test(chooses),
        cmocka_unit_test(joins_scopes),        cmocka_unit_test(reads_tokens),
        cmocka_unit_test(never_shows_a_token), cmocka_unit_test(makes_basic),
        cmocka_unit_test(cleans_text),         cmocka_unit_test(threads_share_one_fetch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
