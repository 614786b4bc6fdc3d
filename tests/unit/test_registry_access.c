/* The registry client: who gets credentials, where requests go, and what is said about it. */
#include "registry_scene.h"

/* --- redirects --- */

static void credentials_stay_with_their_origin(void **state)
{
    struct scene s;
    auto_free char *away = NULL;
    static const struct reply storage[] = {{.text = EMPTY("302 Found\r\nLocation: /second")},
                                           {.text = OK("10") CONTENT}};

    (void)state;
    open_scene(&s);
    put_credentials(s.a.name);
    away = xasprintf(
        "HTTP/1.1 307 Temporary\r\nLocation: http://%s/blob?sig=1\r\nContent-Length: 0\r\n\r\n",
        s.b.name);
    {
        struct reply replies[] = {{.text = WANTS_BASIC},
                                  {.text = EMPTY("301 Moved\r\nLocation: /v2/else")},
                                  {.text = away}};

        start(&s, replies, COUNT(replies), storage, COUNT(storage));
        assert_int_equal(get_blob(&s), 0);
    }
    assert_string_equal(s.got.data, CONTENT);
    assert_not_asked(&s.a, 0, "Authorization");
    assert_asked(&s.a, 1, BASIC_FLAT);
    assert_asked(&s.a, 2, "GET /v2/else HTTP/1.1\r\n");
    assert_asked(&s.a, 2, BASIC_FLAT);
    assert_asked(&s.b, 0, "GET /blob?sig=1 HTTP/1.1\r\n");
    assert_not_asked(&s.b, 0, "Authorization");
    assert_asked(&s.b, 1, "GET /second HTTP/1.1\r\n");
    assert_not_asked(&s.b, 1, "Authorization");
    close_scene(&s);
}

/* The name is the same, the port is not. */
static void another_port_is_another_origin(void **state)
{
    static const struct reply wants[] = {{.text = WANTS_BASIC},
                                         {.text = WANTS_BASIC},
                                         {.text = WANTS_BASIC}};
    struct scene s;
    auto_free char *away = NULL;

    (void)state;
    open_scene(&s);
    put_credentials(s.b.name);
    away = xasprintf("HTTP/1.1 307 Temporary\r\nLocation: http://%s/\r\nContent-Length: 0\r\n\r\n",
                     s.b.name);
    {
        struct reply replies[] = {{.text = away}, {.text = away}, {.text = away}};

        /* Storage that answers 401 may do better with a new signed URL, never with a password. */
        start(&s, replies, COUNT(replies), wants, COUNT(wants));
        assert_int_equal(get_blob(&s), -EHOSTUNREACH);
    }
    assert_int_equal(s.b.n_requests, 3);
    for (size_t i = 0; i < 3; i++)
        assert_not_asked(&s.b, i, "Authorization");
    close_scene(&s);
}

static void redirects_end(void **state)
{
    struct reply replies[7];
    struct scene s;

    (void)state;
    for (size_t i = 0; i < COUNT(replies); i++)
        replies[i] = (struct reply){.text = EMPTY("307 Temporary\r\nLocation: /again")};
    open_scene(&s);
    start(&s, replies, COUNT(replies), NULL, 0);
    assert_int_equal(get_blob(&s), -EPROTO);
    assert_int_equal(s.a.n_requests, 6);
    assert_says(&s, "redirects more than 5 times");
    close_scene(&s);
}

/* --- authorisation --- */

static void fetches_and_keeps_tokens(void **state)
{
    static const struct reply tokens[] = {{.text = TOKEN("first", "300"), .end = REPLY_CLOSE}};
    struct scene s;
    auto_free char *wants = NULL;

    (void)state;
    open_scene(&s);
    put_credentials(s.a.name);
    wants = wants_bearer(&s);
    {
        struct reply replies[] = {{.text = wants},
                                  {.text = OK("10") CONTENT},
                                  {.text = OK("10") CONTENT}};

        start(&s, replies, COUNT(replies), tokens, COUNT(tokens));
        assert_int_equal(get_blob(&s), 0);
        buf_clear(&s.got);
        assert_int_equal(get_blob(&s), 0);
    }
    assert_not_asked(&s.a, 0, "Authorization");
    assert_asked(
        &s.b, 0,
        "GET /token?service=lab&scope=repository%3Ateam%2Fapp%3Apull&account=flat HTTP/1.1\r\n");
    assert_asked(&s.b, 0, BASIC_FLAT);
    assert_asked(&s.a, 1, "Authorization: Bearer first\r\n");
    assert_asked(&s.a, 2, "Authorization: Bearer first\r\n");
    assert_int_equal(s.b.n_requests, 1);
    close_scene(&s);
}

static void refused_tokens_are_fetched_once_more(void **state)
{
    static const struct reply tokens[] = {{.text = TOKEN("first", "300"), .end = REPLY_CLOSE},
                                          {.text = TOKEN("second", "300"), .end = REPLY_CLOSE}};
    struct scene s;
    auto_free char *wants = NULL;

    (void)state;
    open_scene(&s);
    wants = wants_bearer(&s);
    {
        struct reply replies[] = {{.text = wants},
                                  {.text = OK("10") CONTENT},
                                  {.text = wants},
                                  {.text = wants}};

        start(&s, replies, COUNT(replies), tokens, COUNT(tokens));
        assert_int_equal(get_blob(&s), 0);
        assert_int_equal(get_blob(&s), -EKEYREJECTED);
    }
    assert_asked(&s.a, 2, "Authorization: Bearer first\r\n");
    assert_asked(&s.a, 3, "Authorization: Bearer second\r\n");
    assert_says(&s, "flatnet registry login");
    close_scene(&s);
}

static void expired_tokens_are_not_used(void **state)
{
    static const struct reply tokens[] = {{.text = TOKEN("first", "1"), .end = REPLY_CLOSE},
                                          {.text = TOKEN("second", "300"), .end = REPLY_CLOSE}};
    struct scene s;
    auto_free char *wants = NULL;

    (void)state;
    open_scene(&s);
    wants = wants_bearer(&s);
    {
        /* The second answer falls silent until the token is old. */
        struct reply replies[] = {{.text = wants},
                                  {.text = OK("10") "01", .end = REPLY_STALL},
                                  {.text = PART("2-9/10", "8") "23456789"}};

        start(&s, replies, COUNT(replies), tokens, COUNT(tokens));
        assert_int_equal(get_blob(&s), 0);
    }
    assert_asked(&s.a, 1, "Bearer first");
    assert_asked(&s.a, 2, "Bearer second");
    close_scene(&s);
}

static void identity_tokens_are_posted(void **state)
{
    static const struct reply tokens[] = {
        {.text = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"access_token\":\"short\"}",
         .end = REPLY_CLOSE}};
    struct scene s;
    auto_free char *wants = NULL;
    auto_free char *text = NULL;

    (void)state;
    open_scene(&s);
    text = xasprintf("{\"auths\":{\"%s\":{\"identitytoken\":\"re fresh\"}}}", s.a.name);
    assert_int_equal(fs_write_file("auth.json", text, strlen(text), 0600, NULL), 0);
    wants = wants_bearer(&s);
    {
        struct reply replies[] = {{.text = wants}, {.text = OK("10") CONTENT}};

        start(&s, replies, COUNT(replies), tokens, COUNT(tokens));
        assert_int_equal(get_blob(&s), 0);
    }
    assert_asked(&s.b, 0, "POST /token HTTP/1.1\r\n");
    assert_asked(&s.b, 0, "Content-Type: application/x-www-form-urlencoded\r\n");
    assert_asked(&s.b, 0,
                 "grant_type=refresh_token&client_id=flatnet&service=lab&scope=repository%3Ateam%"
                 "2Fapp%3Apull&refresh_token=re%20fresh");
    assert_asked(&s.a, 1, "Bearer short");
    close_scene(&s);
}

static void token_servers_are_retried(void **state)
{
    static const struct reply tokens[] = {{.text = EMPTY("503 Busy\r\nRetry-After: 0")},
                                          {.text = TOKEN("t", "60"), .end = REPLY_CLOSE}};
    struct scene s;
    auto_free char *wants = NULL;

    (void)state;
    open_scene(&s);
    wants = wants_bearer(&s);
    {
        struct reply replies[] = {{.text = wants}, {.text = OK("10") CONTENT}};

        start(&s, replies, COUNT(replies), tokens, COUNT(tokens));
        assert_int_equal(get_blob(&s), 0);
    }
    close_scene(&s);
}

static void tells_which_credentials_failed(void **state)
{
    static const struct {
        const char *challenge;
        bool has_credentials;
        const char *says[3];
        size_t n_requests;
    } table[] = {
        {WANTS_BASIC,
         true,
         {"user 'flat' from 'auth.json'", "flatnet registry login 127.0.0.1:", NULL},
         2},
        {WANTS_BASIC, false, {"no credentials", "flatnet registry login 127.0.0.1:", NULL}, 2},
        {"HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n",
         true,
         {"neither Basic nor Bearer", NULL, NULL},
         1},
        {EMPTY("401 No"), true, {"neither Basic nor Bearer", NULL, NULL}, 1},
        {"HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"ftp://x/\"\r\nContent-Length: "
         "0\r\n\r\n",
         true,
         {"no http or https URL", NULL, NULL},
         1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct reply replies[] = {{.text = table[i].challenge}, {.text = table[i].challenge}};
        struct scene s;

        (void)unlink("auth.json");
        open_scene(&s);
        if (table[i].has_credentials)
            put_credentials(s.a.name);
        start(&s, replies, COUNT(replies), NULL, 0);
        assert_true(get_blob(&s) < 0);
        for (size_t j = 0; table[i].says[j]; j++)
            assert_says(&s, table[i].says[j]);
        assert_null(strstr(err_text(s.e), "s3cret"));
        assert_int_equal(s.a.n_requests, table[i].n_requests);
        close_scene(&s);
    }
}

static void quotes_what_the_registry_says(void **state)
{
    static const struct {
        const char *text, *says;
    } table[] = {
        {"HTTP/1.1 403 No\r\nContent-Type: application/json\r\nContent-Length: 64\r\n\r\n"
         "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"not \\u001b[31mfor you\"}]}",
         "answered 403: DENIED: not ?[31mfor you"},
        {"HTTP/1.1 400 No\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nuse TLS!\n",
         "answered 400: use TLS!"},
        {"HTTP/1.1 400 No\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
         "answered 400"},
        {"HTTP/1.1 429 No\r\nRetry-After: 900\r\nRateLimit-Remaining: 0;w=21600\r\nContent-Length: "
         "0\r\n\r\n",
         "rate limit"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct reply reply = {.text = table[i].text};
        struct scene s;

        open_scene(&s);
        start(&s, &reply, 1, NULL, 0);
        assert_true(get_blob(&s) < 0);
        assert_says(&s, table[i].says);
        assert_null(strstr(err_text(s.e), "html"));
        close_scene(&s);
    }
}

/* --- mirrors --- */

static void mirrors_come_first(void **state)
{
    static const struct {
        const char *path;  /* of the mirror's URL */
        const char *asked; /* of the mirror */
    } table[] = {
        {"", "GET /v2/team/app/blobs/"},
        {"/", "GET /v2/team/app/blobs/"},
        {"/proxy/hub/", "GET /v2/proxy/hub/team/app/blobs/"},
        {"/base/v2", "GET /base/v2/team/app/blobs/"},
        {"/v2/proxy", "GET /v2/proxy/team/app/blobs/"},
    };
    static const struct reply reply = {.text = OK("10") CONTENT};

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct scene s;
        auto_free char *mirror = NULL;

        open_scene(&s);
        mirror = xasprintf("%s=http://%s%s", s.a.name, s.b.name, table[i].path);
        start_with(&s, NULL, 0, &reply, 1, mirror);
        assert_int_equal(get_blob(&s), 0);
        assert_asked(&s.b, 0, table[i].asked);
        assert_int_equal(s.a.n_requests, 0);
        close_scene(&s);
    }
}

static void mirrors_may_fail(void **state)
{
    static const struct {
        struct reply mirror[3];
        size_t n_mirror;
        const char *range; /* of the request to the host itself */
    } table[] = {
        {{{.text = EMPTY("404 Not Found")}}, 1, NULL},
        {{{.text = EMPTY("403 Forbidden")}}, 1, NULL},
        {{{.text = EMPTY("503 Busy")}, {.text = EMPTY("503 Busy")}}, 2, NULL},
        {{{.text = ""}}, 0, NULL}, /* refuses the connection */
        {{{.text = OK("9") "012345678"}}, 1, NULL},
        {{{.text = OK("10") "0123", .end = REPLY_CLOSE}, {.text = EMPTY("404 Not Found")}},
         2,
         "bytes=4-"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct reply reply = {.text =
                                  table[i].range ? PART("4-9/10", "6") "456789" : OK("10") CONTENT};
        struct scene s;
        auto_free char *mirror = NULL;

        open_scene(&s);
        mirror = xasprintf("%s=http://%s", s.a.name, s.b.name);
        start_with(&s, &reply, 1, table[i].mirror, table[i].n_mirror, mirror);
        assert_int_equal(get_blob(&s), 0);
        assert_string_equal(s.got.data, CONTENT);
        assert_null(s.e);
        assert_int_equal(s.b.n_requests, table[i].n_mirror);
        if (table[i].range)
            assert_asked(&s.a, 0, table[i].range);
        close_scene(&s);
    }
}

static void tells_of_mirror_and_host(void **state)
{
    static const struct reply gone[] = {{.text = EMPTY("404 Not Found")}};
    static const struct reply refused[] = {{.text = EMPTY("400 Bad Request")}};
    struct scene s;
    auto_free char *mirror = NULL;

    (void)state;
    open_scene(&s);
    mirror = xasprintf("%s=http://%s", s.a.name, s.b.name);
    start_with(&s, refused, 1, gone, 1, mirror);
    assert_int_equal(get_blob(&s), -EPROTO);
    assert_says(&s, s.a.name);
    assert_says(&s, s.b.name);
    close_scene(&s);
}

static void refuses_options(void **state)
{
    static const char *const bad_mirrors[] = {"docker.io",         "=http://x",
                                              "docker.io=",        "docker.io=x",
                                              "docker.io=ftp://x", "docker.io=http://x/?y"};
    struct registry *r = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT(bad_mirrors); i++) {
        const char *mirrors[] = {bad_mirrors[i], NULL};
        struct registry_options o = {.mirrors = mirrors};
        auto_err struct err *e = NULL;

        assert_int_equal(registry_new(&o, &r, &e), -EINVAL);
        assert_non_null(strstr(err_text(e), "HOST=URL"));
    }
    assert_int_equal(registry_new(&(struct registry_options){.ca_file = "absent.pem"}, &r, NULL),
                     -EINVAL);
    assert_int_equal(fs_write_file("empty.pem", "x", 1, 0644, NULL), 0);
    assert_int_equal(registry_new(&(struct registry_options){.ca_file = "empty.pem"}, &r, NULL),
                     -EINVAL);
    assert_int_equal(registry_new(&(struct registry_options){.authfile = "absent.json"}, &r, NULL),
                     -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(credentials_stay_with_their_origin),
        TEST(another_port_is_another_origin),
        TEST(redirects_end),
        TEST(fetches_and_keeps_tokens),
        TEST(refused_tokens_are_fetched_once_more),
        TEST(expired_tokens_are_not_used),
        TEST(identity_tokens_are_posted),
        TEST(token_servers_are_retried),
        TEST(tells_which_credentials_failed),
        TEST(quotes_what_the_registry_says),
        TEST(mirrors_come_first),
        TEST(mirrors_may_fail),
        TEST(tells_of_mirror_and_host),
        TEST(refuses_options),
    };

    return cmocka_run_group_tests(tests, scene_global_init, NULL);
}
