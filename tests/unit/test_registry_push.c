/* The registry client, writing: uploads, mounts, manifests. */
#include "registry_scene.h"

/* --- pushing --- */

struct giver {
    size_t at;
    int rewinds;
    bool is_corrupt; /* found out at the end */
};

static ssize_t give(void *arg, void *bytes, size_t size, struct err **e)
{
    struct giver *g = arg;
    size_t left = strlen(CONTENT) - g->at;

    if (g->is_corrupt && left <= 5)
        return err_set(e, -EBADMSG, "corrupt");
    if (g->is_corrupt)
        left -= 5;
    if (size > left)
        size = left;
    memcpy(bytes, &CONTENT[g->at], size);
    g->at += size;
    return (ssize_t)size;
}

static int start_over(void *arg, struct err **e)
{
    struct giver *g = arg;

    (void)e;
    g->at = 0;
    g->rewinds++;
    return 0;
}

#define BEGUN(location) EMPTY("202 Accepted\r\nLocation: " location)
#define CREATED EMPTY("201 Created\r\nDocker-Content-Digest: " DIGEST)

struct put_case {
    const char *name;
    struct reply replies[8];
    const char *asked[8];
    size_t n_requests;
    int rewinds;
    int result;
};

static const struct put_case put_cases[] = {
    {"in one piece",
     {{.text = BEGUN("/up/1?state=x%2By")}, {.text = CREATED}},
     {"POST /v2/team/app/blobs/uploads/ HTTP", "PUT /up/1?state=x%2By&digest=sha256%3A84d89877"},
     2,
     1,
     0},
    {"without a query",
     {{.text = BEGUN("/up/1")}, {.text = EMPTY("201 Created")}},
     {"POST /", "PUT /up/1?digest=sha256%3A84d89877"},
     2,
     1,
     0},
    {"in chunks",
     {{.text = BEGUN("/up/1")},
      {.text = EMPTY("405 Method Not Allowed")},
      {.text = BEGUN("/up/2")},
      {.text = BEGUN("/up/3?next")},
      {.text = CREATED}},
     {"POST /", "PUT /up/1?digest=", "POST /", "PATCH /up/2 HTTP", "PUT /up/3?next&digest="},
     5,
     2,
     0},
    {"breaks, and starts anew",
     {{.text = BEGUN("/up/1")},
      {.text = "", .end = REPLY_CLOSE, .reads_head = true},
      {.text = BEGUN("/up/2")},
      {.text = CREATED}},
     {"POST /", "PUT /up/1", "POST /", "PUT /up/2"},
     4,
     2,
     0},
    {"was forgotten",
     {{.text = BEGUN("/up/1")},
      {.text = EMPTY("404 Not Found")},
      {.text = BEGUN("/up/2")},
      {.text = CREATED}},
     {"POST /", "PUT /up/1", "POST /", "PUT /up/2"},
     4,
     2,
     0},
    {"busy at the end",
     {{.text = BEGUN("/up/1")},
      {.text = EMPTY("503 Busy")},
      {.text = BEGUN("/up/2")},
      {.text = CREATED}},
     {"POST /", "PUT /up/1", "POST /", "PUT /up/2"},
     4,
     2,
     0},
    {"stored as something else",
     {{.text = BEGUN("/up/1")}, {.text = EMPTY("201 Created\r\nDocker-Content-Digest: " OTHER)}},
     {"POST /", "PUT /up/1"},
     2,
     1,
     -EPROTO},
    {"no Location", {{.text = EMPTY("202 Accepted")}}, {"POST /"}, 1, 1, -EPROTO},
    {"a Location with a user",
     {{.text = BEGUN("http://u:p@127.0.0.1/x")}},
     {"POST /"},
     1,
     1,
     -EPROTO},
    {"denied", {{.text = EMPTY("403 Forbidden")}}, {"POST /"}, 1, 1, -EKEYREJECTED},
    {"refused in every way",
     {{.text = BEGUN("/up/1")},
      {.text = EMPTY("413 Too Large")},
      {.text = BEGUN("/up/2")},
      {.text = EMPTY("413 Too Large")}},
     {"POST /", "PUT /up/1", "POST /", "PATCH /up/2"},
     4,
     2,
     -EPROTO},
};

static void writes_blobs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(put_cases); i++) {
        const struct put_case *p = &put_cases[i];
        struct giver g = {.at = 0};
        struct scene s;
        int r;

        open_scene(&s);
        start(&s, p->replies, p->n_requests, NULL, 0);
        r = registry_put_blob(s.conn, &s.ref, DIGEST, 10, give, start_over, &g, &s.e);
        if (r != p->result)
            fail_msg("%s: %d, %s", p->name, r, err_text(s.e));
        assert_int_equal(s.a.n_requests, p->n_requests);
        assert_int_equal(g.rewinds, p->rewinds);
        for (size_t j = 0; j < p->n_requests; j++) {
            assert_asked(&s.a, j, p->asked[j]);
            if (strstr(p->asked[j], "PATCH"))
                assert_asked(&s.a, j, "Content-Range: 0-9\r\n");
        }
        close_scene(&s);
    }
}

static void chunks_are_remembered(void **state)
{
    static const struct reply replies[] = {
        {.text = BEGUN("/up/1")}, {.text = EMPTY("405 No")}, {.text = BEGUN("/up/2")},
        {.text = BEGUN("/up/3")}, {.text = CREATED},         {.text = BEGUN("/up/4")},
        {.text = BEGUN("/up/5")}, {.text = CREATED},
    };
    struct giver g = {.at = 0};
    struct scene s;

    (void)state;
    open_scene(&s);
    start(&s, replies, COUNT(replies), NULL, 0);
    assert_int_equal(registry_put_blob(s.conn, &s.ref, DIGEST, 10, give, start_over, &g, &s.e), 0);
    assert_int_equal(registry_put_blob(s.conn, &s.ref, DIGEST, 10, give, start_over, &g, &s.e), 0);
    assert_asked(&s.a, 6, "PATCH /up/4");
    assert_asked(&s.a, 6, CONTENT);
    close_scene(&s);
}

/* The registry sees a body that breaks off, and no second try follows. */
static void corrupt_blobs_are_not_handed_over(void **state)
{
    static const struct reply replies[] = {{.text = BEGUN("/up/1")}, {.text = CREATED}};
    struct giver g = {.is_corrupt = true};
    struct scene s;

    (void)state;
    open_scene(&s);
    start(&s, replies, COUNT(replies), NULL, 0);
    assert_int_equal(registry_put_blob(s.conn, &s.ref, DIGEST, 10, give, start_over, &g, &s.e),
                     -EBADMSG);
    assert_int_equal(s.a.n_requests, 1); /* the PUT never became a whole request */
    close_scene(&s);
}

static void uploads_elsewhere_get_no_credentials(void **state)
{
    static const struct reply storage[] = {{.text = CREATED}};
    struct giver g = {.at = 0};
    struct scene s;
    auto_free char *begun = NULL;

    (void)state;
    open_scene(&s);
    put_credentials(s.a.name);
    begun = xasprintf(
        "HTTP/1.1 202 Accepted\r\nLocation: http://%s/up?sig=1\r\nContent-Length: 0\r\n\r\n",
        s.b.name);
    {
        struct reply replies[] = {{.text = WANTS_BASIC}, {.text = begun}};

        start(&s, replies, COUNT(replies), storage, COUNT(storage));
        assert_int_equal(registry_put_blob(s.conn, &s.ref, DIGEST, 10, give, start_over, &g, &s.e),
                         0);
    }
    assert_asked(&s.a, 1, BASIC_FLAT);
    assert_asked(&s.b, 0, "PUT /up?sig=1&digest=");
    assert_not_asked(&s.b, 0, "Authorization");
    close_scene(&s);
}

static void a_token_that_ends_under_an_upload(void **state)
{
    static const struct reply tokens[] = {{.text = TOKEN("first", "300"), .end = REPLY_CLOSE},
                                          {.text = TOKEN("second", "300"), .end = REPLY_CLOSE}};
    struct giver g = {.at = 0};
    struct scene s;
    auto_free char *wants = NULL;

    (void)state;
    open_scene(&s);
    wants = wants_bearer(&s);
    {
        struct reply replies[] = {{.text = wants},
                                  {.text = BEGUN("/up/1")},
                                  {.text = wants},
                                  {.text = BEGUN("/up/2")},
                                  {.text = CREATED}};

        start(&s, replies, COUNT(replies), tokens, COUNT(tokens));
        assert_int_equal(registry_put_blob(s.conn, &s.ref, DIGEST, 10, give, start_over, &g, &s.e),
                         0);
    }
    assert_asked(&s.b, 0, "scope=repository%3Ateam%2Fapp%3Apull%2Cpush");
    assert_asked(&s.a, 4, "Bearer second");
    assert_int_equal(g.rewinds, 2);
    close_scene(&s);
}

static void mounts_blobs(void **state)
{
    static const struct {
        struct reply replies[2];
        size_t n_requests;
        int result;
    } table[] = {
        {{{.text = EMPTY("201 Created")}}, 1, 1},
        {{{.text = BEGUN("/up/1?a")}, {.text = EMPTY("204 No Content")}}, 2, 0},
        {{{.text = EMPTY("404 Not Found")}}, 1, 0},
        {{{.text = EMPTY("405 Method Not Allowed")}}, 1, 0},
        {{{.text = EMPTY("403 Forbidden")}}, 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct scene s;

        open_scene(&s);
        start(&s, table[i].replies, table[i].n_requests, NULL, 0);
        assert_int_equal(registry_mount_blob(s.conn, &s.ref, DIGEST, "other/repo", &s.e),
                         table[i].result);
        assert_null(s.e);
        assert_asked(
            &s.a, 0,
            "POST "
            "/v2/team/app/blobs/uploads/"
            "?mount=sha256%3A84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882&from="
            "other%2Frepo HTTP");
        if (table[i].n_requests > 1)
            assert_asked(&s.a, 1, "DELETE /up/1?a HTTP");
        close_scene(&s);
    }
}

static void writes_manifests(void **state)
{
    static const struct {
        const char *text;
        int result;
    } table[] = {
        {CREATED, 0},
        {EMPTY("201 Created"), 0},
        {EMPTY("201 Created\r\nDocker-Content-Digest: " OTHER), -EPROTO},
        {EMPTY("200 OK"), -EPROTO},
        {EMPTY("404 Not Found"), -ENOENT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct reply reply = {.text = table[i].text};
        struct scene s;

        open_scene(&s);
        start(&s, &reply, 1, NULL, 0);
        assert_int_equal(registry_put_manifest(s.conn, &s.ref, "1", MT_OCI_MANIFEST, CONTENT, 10,
                                               &s.e),
                         table[i].result);
        assert_asked(&s.a, 0, "PUT /v2/team/app/manifests/1 HTTP/1.1\r\n");
        assert_asked(&s.a, 0, "Content-Type: " MT_OCI_MANIFEST "\r\n");
        assert_asked(&s.a, 0, "\r\n\r\n" CONTENT);
        close_scene(&s);
    }
}

static void asks_what_is_there(void **state)
{
    static const struct {
        const char *text;
        int result;
        const char *digest;
    } table[] = {
        {"HTTP/1.1 200 OK\r\nDocker-Content-Digest: " DIGEST "\r\n\r\n", 1, DIGEST},
        {"HTTP/1.1 200 OK\r\nDocker-Content-Digest: md5:1\r\n\r\n", 1, ""},
        {"HTTP/1.1 200 OK\r\n\r\n", 1, ""},
        {"HTTP/1.1 404 No\r\n\r\n", 0, "unset"},
        {"HTTP/1.1 400 No\r\n\r\n", -EPROTO, "unset"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct reply replies[] = {{.text = table[i].text}, {.text = table[i].text}};
        char digest[DIGEST_SIZE] = "unset";
        struct scene s;

        open_scene(&s);
        start(&s, replies, 2, NULL, 0);
        assert_int_equal(registry_has_manifest(s.conn, &s.ref, "1", digest, &s.e), table[i].result);
        assert_string_equal(digest, table[i].digest);
        assert_int_equal(registry_has_blob(s.conn, &s.ref, DIGEST, &s.e), table[i].result);
        assert_asked(&s.a, 0, "HEAD /v2/team/app/manifests/1 ");
        assert_asked(&s.a, 0, "Accept: " MT_DOCKER_MANIFEST);
        assert_asked(&s.a, 1, "HEAD /v2/team/app/blobs/" DIGEST);
        close_scene(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_blobs),
        TEST(chunks_are_remembered),
        TEST(corrupt_blobs_are_not_handed_over),
        TEST(uploads_elsewhere_get_no_credentials),
        TEST(a_token_that_ends_under_an_upload),
        TEST(mounts_blobs),
        TEST(writes_manifests),
        TEST(asks_what_is_there),
    };

    return cmocka_run_group_tests(tests, scene_global_init, NULL);
}
