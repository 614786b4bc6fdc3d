/* Where DOCKER_HOST leads. */
#include "docker.h"

#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void hosts_that_we_speak(void **state)
{
    static const struct {
        const char *text;
        bool tls;
        const char *socket, *url;
    } table[] = {
        {"unix:///var/run/docker.sock", false, "/var/run/docker.sock", "http://docker"},
        {"unix://relative.sock", true, "relative.sock", "http://docker"},
        {"tcp://10.0.0.1:2375", false, NULL, "http://10.0.0.1:2375"},
        {"tcp://10.0.0.1", false, NULL, "http://10.0.0.1:2375"},
        {"tcp://10.0.0.1/", true, NULL, "https://10.0.0.1:2376"},
        {"tcp://docker.example.org:1234", true, NULL, "https://docker.example.org:1234"},
        {"tcp://[fe80::1]", false, NULL, "http://[fe80::1]:2375"},
        {"tcp://[::1]:77", false, NULL, "http://[::1]:77"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct docker_host host = {.url = NULL};

        assert_int_equal(docker_host_parse(table[i].text, table[i].tls, &host, NULL), 0);
        assert_string_equal(host.url, table[i].url);
        if (table[i].socket)
            assert_string_equal(host.socket, table[i].socket);
        else
            assert_null(host.socket);
        docker_host_release(&host);
    }
}

static void hosts_that_we_refuse(void **state)
{
    static const char *const table[] = {
        "",
        "unix://",
        "/var/run/docker.sock",
        "ssh://root@10.0.0.1",
        "npipe:////./pipe/docker_engine",
        "fd://",
        "http://10.0.0.1:2375",
        "tcp://",
        "tcp:///path",
        "tcp://user@host:1",
        "tcp://host:1/path",
        "tcp://ho st",
        "tcp://host\n:1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct docker_host host = {.url = (char *)"kept"};
        auto_err struct err *e = NULL;

        assert_int_equal(docker_host_parse(table[i], false, &host, &e), -EINVAL);
        assert_non_null(strstr(err_text(e), "DOCKER_HOST"));
        assert_string_equal(host.url, "kept");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_that_we_speak),
        cmocka_unit_test(hosts_that_we_refuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
