/* URLs: where they lead, what is put into them, and which are not asked at all. */
#include "http.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void resolves_urls(void **state)
{
    static const struct {
        const char *base, *location, *url;
    } table[] = {
        {"https://r/v2/a/blobs/uploads/", "/v2/a/x?_state=1%2B2", "https://r/v2/a/x?_state=1%2B2"},
        {"https://r/v2/a/", "b?c", "https://r/v2/a/b?c"},
        {"https://r/v2/a", "https://s:5000/y", "https://s:5000/y"},
        {"https://r/v2/a", "//s/y", "https://s/y"},
        {"https://r/v2/a?q=1", "http://s/y", "http://s/y"},
        {"https://r/v2/a", "https://u:p@s/y", NULL},
        {"https://r/v2/a", "ftp://s/y", NULL},
        {"https://r/v2/a", "file:///etc/passwd", NULL},
        {"https://r/v2/a", "https://s/a b", NULL},
        {"nonsense", "/x", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_free char *url = http_resolve_url(table[i].base, table[i].location);

        if (table[i].url)
            assert_string_equal(url, table[i].url);
        else
            assert_null(url);
    }
}

static void finds_origins(void **state)
{
    static const struct {
        const char *url, *origin;
    } table[] = {
        {"https://Reg.Example/v2", "https://reg.example:443"},
        {"HTTP://h/x?y", "http://h:80"},
        {"http://h:8080", "http://h:8080"},
        {"https://[::1]:5000/", "https://[::1]:5000"},
        {"ftp://h/", NULL},
        {"h/x", NULL},
        {"https://", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_free char *origin = http_origin(table[i].url);

        if (table[i].origin)
            assert_string_equal(origin, table[i].origin);
        else
            assert_null(origin);
    }
}

static void encodes_for_urls(void **state)
{
    auto_buf struct buf b;

    (void)state;
    buf_init(&b, 100);
    http_url_encode(&b, "aZ09-._~ /:+&=%\303\244");
    assert_string_equal(b.data, "aZ09-._~%20%2F%3A%2B%26%3D%25%C3%A4");
}

static void refuses_urls(void **state)
{
    static const char *const table[] = {
        "ftp://h/", "file:///etc/passwd", "http://u:p@127.0.0.1/", "", "/path", "http://"};
    struct http *h = http_new();

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_response struct http_response resp = HTTP_RESPONSE_INIT;
        struct http_request req = {.url = table[i]};

        assert_int_equal(http_do(h, &req, &resp, NULL), -EINVAL);
    }
    http_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolves_urls),
        cmocka_unit_test(finds_origins),
        cmocka_unit_test(encodes_for_urls),
        cmocka_unit_test(refuses_urls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
