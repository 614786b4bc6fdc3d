/* Names of images in the registry that they are pushed to. */
#include "mem.h"
#include "push.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void maps_names(void **state)
{
    static const struct {
        const char *reference, *registry;
        enum push_naming naming;
        const char *name;
    } table[] = {
        {"nginx:1", "r.example", PUSH_DROP_HOST, "r.example/library/nginx:1"},
        {"nginx:1", "r.example/", PUSH_DROP_HOST, "r.example/library/nginx:1"},
        {"nginx:1", "r.example:5000/a/b//", PUSH_DROP_HOST, "r.example:5000/a/b/library/nginx:1"},
        {"nginx:1", "r.example/a", PUSH_KEEP_HOST, "r.example/a/docker.io/library/nginx:1"},
        {"nginx:1", "r.example/a", PUSH_FLAT, "r.example/a/nginx:1"},
        {"quay.io/coreos/flannel:v0.10.0", "r.example", PUSH_DROP_HOST,
         "r.example/coreos/flannel:v0.10.0"},
        {"quay.io/coreos/flannel:v0.10.0", "r.example", PUSH_FLAT, "r.example/flannel:v0.10.0"},
        {"127.0.0.1:5000/a/b:1", "r.example", PUSH_KEEP_HOST, "r.example/127.0.0.1-5000/a/b:1"},
        {"[::1]:5000/a:1", "r.example", PUSH_KEEP_HOST, "r.example/1-5000/a:1"},
        {"[fe80::]/a:1", "r.example", PUSH_KEEP_HOST, "r.example/fe80/a:1"},
        {"Host.Example/a:1", "r.example", PUSH_KEEP_HOST, "r.example/host.example/a:1"},
        {"r.example/a@sha256:" HEX64, "s.example", PUSH_DROP_HOST, "s.example/a"},
        {"r.example/a:1@sha256:" HEX64, "s.example", PUSH_DROP_HOST, "s.example/a:1"},
        {"nginx:1", "", PUSH_DROP_HOST, NULL},
        {"nginx:1", "/", PUSH_DROP_HOST, NULL},
        {"nginx:1", "https://r.example", PUSH_DROP_HOST, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_ref struct ref ref = {.host = NULL};
        auto_err struct err *e = NULL;
        auto_free char *name = NULL;

        assert_int_equal(ref_parse(table[i].reference, &ref, NULL), 0);
        name = push_map_name(&ref, table[i].registry, table[i].naming, &e);
        if (table[i].name) {
            assert_string_equal(name, table[i].name);
        } else {
            assert_null(name);
            assert_int_equal(e->status, -EINVAL);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
