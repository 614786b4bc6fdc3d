/* Requests to an API server whose every byte is prepared: addresses, refusals, hostile answers. */
#include "kube/kube_client.h"

#include "http.h"
#include "json.h"
#include "mem.h"
#include "scripted_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"items\":[]}"

static int ask(struct server *s, const char *answer, const char *prefix, cJSON **out,
               struct err **e)
{
    struct reply reply = {.text = answer, .end = REPLY_CLOSE};
    struct kube_config config = {.server = NULL};
    struct kube_client *c = NULL;
    int r;

    server_listen(s);
    config.server = xasprintf("http://%s%s", s->name, prefix);
    buf_init(&config.token.bytes, 100);
    (void)buf_addstr(&config.token.bytes, "the-token");
    server_start(s, &reply, 1);
    assert_int_equal(kube_client_new(&config, &c, NULL), 0);
    r = kube_get(c, "/api/v1/pods?limit=1", out, e);
    kube_client_free(c);
    server_stop(s);
    buf_release(&config.token.bytes);
    free(config.server);
    return r;
}

static void asks_where_the_server_is(void **state)
{
    static const char *const prefixes[][2] = {
        {"", "GET /api/v1/pods?limit=1 HTTP/1.1\r\n"},
        {"/", "GET /api/v1/pods?limit=1 HTTP/1.1\r\n"},
        {"/k8s/clusters/local/", "GET /k8s/clusters/local/api/v1/pods?limit=1 HTTP/1.1\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        struct server s;
        cJSON *tree = NULL;
        auto_free char *host = NULL;

        assert_int_equal(ask(&s, OK, prefixes[i][0], &tree, NULL), 0);
        host = xasprintf("\r\nHost: %s\r\n", s.name);
        assert_non_null(strstr(s.requests[0], prefixes[i][1]));
        assert_non_null(strstr(s.requests[0], host));
        assert_non_null(strstr(s.requests[0], "\r\nAuthorization: Bearer the-token\r\n"));
        assert_non_null(cJSON_GetObjectItem(tree, "items"));
        cJSON_Delete(tree);
        server_release(&s);
    }
}

static void says_what_was_refused(void **state)
{
    static const struct {
        const char *answer;
        int status;
        const char *message;
    } table[] = {
        {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 61\r\n\r\n"
         "{\"kind\":\"Status\",\"message\":\"Unauthorized\",\"reason\":\"Unauthorized\"}",
         -EKEYREJECTED, "answered 401"},
        {"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n"
         "{\"kind\":\"Status\",\"message\":\"pods is forbidden\",\"reason\":\"Forbidden\"}",
         -EKEYREJECTED, "answered 403 Forbidden: pods is forbidden"},
        {"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n"
         "{\"kind\":\"Status\",\"message\":\"pods \\\"a\\\" not found\",\"reason\":\"NotFound\"}",
         -ENOENT, "answered 404 NotFound: pods \"a\" not found"},
        {"HTTP/1.1 409 Conflict\r\nConnection: close\r\n\r\n"
         "{\"message\":\"changed\",\"reason\":\"Conflict\"}",
         -EAGAIN, "answered 409 Conflict: changed"},
        {"HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\n{\"message\":\"a\\n\\u001b[0mb\"}",
         -EREMOTEIO, "answered 500: a  [0mb"},
        {"HTTP/1.1 502 Bad\r\nConnection: close\r\n\r\nno backend\r\n", -EREMOTEIO,
         "answered 502: no backend"},
        {"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", -EREMOTEIO,
         "answered 302"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<x>", -EPROTO, "no JSON"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", -EHOSTUNREACH, "broke"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n{", -EHOSTUNREACH, "broke"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct server s;
        cJSON *tree = NULL;
        auto_err struct err *e = NULL;
        int r = ask(&s, table[i].answer, "", &tree, &e);

        if (r != table[i].status || !strstr(err_text(e), table[i].message))
            fail_msg("%d '%s', expected %d '%s'", r, err_text(e), table[i].status,
                     table[i].message);
        assert_null(strstr(err_text(e), "the-token"));
        server_release(&s);
    }
}

static void takes_no_other_server(void **state)
{
    static const char *const servers[] = {
        "",           "10.0.0.1:6443", "ftp://a", "https://a/b?c", "https://u:p@a", "https://a#b",
        "https://a b"};

    (void)state;
    for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
        struct kube_config config = {.server = xstrdup(servers[i])};
        struct kube_client *c = NULL;

        assert_int_equal(kube_client_new(&config, &c, NULL), -EINVAL);
        free(config.server);
    }
}

static void knows_names(void **state)
{
    static const struct {
        const char *name;
        bool valid;
    } table[] = {{"a", true},     {"rancher-5d8c-x.1", true},
                 {"", false},     {NULL, false},
                 {"A", false},    {"a/b", false},
                 {"../a", false}, {"a b", false},
                 {"a%2f", false}, {".", false}};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_int_equal(kube_name_is_valid(table[i].name), table[i].valid);
}

#define PAGE(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body
#define PAGE_1                                                                                     \
    PAGE("200 OK", "{\"metadata\":{\"continue\":\"a/b\"},\"items\":[{\"n\":1},{\"n\":2}]}")
#define PAGE_2 PAGE("200 OK", "{\"metadata\":{\"continue\":\"\"},\"items\":[{\"n\":3}]}")
#define GONE PAGE("410 Gone", "{\"reason\":\"Expired\"}")

static int list(struct server *s, const char *const *answers, cJSON **out, struct err **e)
{
    struct reply replies[8];
    struct kube_config config = {.server = NULL};
    struct kube_client *c = NULL;
    size_t n = 0;
    int r;

    for (; answers[n]; n++)
        replies[n] = (struct reply){.text = answers[n], .end = REPLY_CLOSE};
    server_listen(s);
    config.server = xasprintf("http://%s", s->name);
    server_start(s, replies, n);
    assert_int_equal(kube_client_new(&config, &c, NULL), 0);
    r = kube_list(c, "/api/v1/pods?fieldSelector=x", out, e);
    kube_client_free(c);
    server_stop(s);
    free(config.server);
    return r;
}

static void lists_page_after_page(void **state)
{
    static const struct {
        const char *answers[6];
        int status, n_items;
        const char *last_request;
    } table[] = {
        {{PAGE_2}, 0, 1, "?fieldSelector=x&limit=500 "},
        {{PAGE_1, PAGE_2}, 0, 3, "?fieldSelector=x&limit=500&continue=a%2Fb "},
        {{PAGE_1, GONE, PAGE_1, PAGE_2}, 0, 3, "&continue=a%2Fb "},
        {{PAGE_1, GONE, PAGE_1, GONE}, -ESTALE, 0, "&continue=a%2Fb "},
        {{PAGE("200 OK", "{\"items\":null}")}, 0, 0, "&limit=500 "},
        {{PAGE("200 OK", "{\"kind\":\"Pod\"}")}, -EPROTO, 0, "&limit=500 "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct server s;
        auto_json cJSON *items = NULL;
        int r = list(&s, table[i].answers, &items, NULL);

        assert_int_equal(r, table[i].status);
        assert_int_equal(cJSON_GetArraySize(items), table[i].n_items);
        assert_non_null(strstr(s.requests[s.n_requests - 1], table[i].last_request));
        server_release(&s);
    }
}

static void sends_what_is_to_be_written(void **state)
{
    struct reply reply = {.text = PAGE("201 Created", "{\"kind\":\"x\"}"), .end = REPLY_CLOSE};
    auto_json cJSON *body = cJSON_CreateObject(), *answer = NULL;
    struct kube_config config = {.server = NULL};
    struct kube_client *c = NULL;
    struct server s;
    struct kube_request request = {.method = "PATCH",
                                   .path = "/x",
                                   .body = body,
                                   .content = KUBE_MERGE_PATCH};

    (void)state;
    json_add_str(body, "a", "b");
    server_listen(&s);
    config.server = xasprintf("http://%s", s.name);
    server_start(&s, &reply, 1);
    assert_int_equal(kube_client_new(&config, &c, NULL), 0);
    assert_int_equal(kube_do(c, &request, &answer, NULL), 0);
    kube_client_free(c);
    server_stop(&s);
    assert_string_equal(json_get_str(answer, "kind"), "x");
    assert_int_equal(strncmp(s.requests[0], "PATCH /x HTTP/1.1\r\n", 19), 0);
    assert_non_null(strstr(s.requests[0], "\r\nContent-Type: application/merge-patch+json\r\n"));
    assert_non_null(strstr(s.requests[0], "\r\n\r\n{\"a\":\"b\"}"));
    server_release(&s);
    free(config.server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_where_the_server_is), cmocka_unit_test(says_what_was_refused),
        cmocka_unit_test(takes_no_other_server),    cmocka_unit_test(knows_names),
        cmocka_unit_test(lists_page_after_page),    cmocka_unit_test(sends_what_is_to_be_written),
    };

    http_global_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
