/* The embedded image sets: present, whole, and what they should hold. */
#include "buf.h"
#include "imagelist.h"
#include "imageset.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void load(const char *set, struct imagelist *l)
{
    auto_findings struct findings f = {.n_items = 0};
    auto_buf struct buf text;

    buf_init(&text, IMAGELIST_MAX_SIZE);
    assert_int_equal(imageset_text(set, "1.2.3", &text, NULL), 0);
    assert_null(strchr(text.data, '@'));
    assert_int_equal(imagelist_add_text(l, set, text.data, text.len, &f, NULL), 0);
    assert_int_equal(f.n_items, 0);
}

static void has(const char *set, const char *const *names)
{
    auto_imagelist struct imagelist l = {.n_entries = 0};
    size_t count = 0;

    load(set, &l);
    for (; names[count]; count++)
        if (!imagelist_find(&l, names[count]))
            fail_msg("'%s' is not in '%s'", names[count], set);
    assert_int_equal(l.n_entries, count);
}

static void hold_what_they_should(void **state)
{
    static const char *const original[] = {
        "docker.io/cnrancher/rancher:v2.2.3",
        "docker.io/nfvpe/multus:v3.2",
        "quay.io/coreos/flannel:v0.10.0-amd64",
        "docker.io/cnrancher/static-macvlan-cni:v0.2.1",
        "docker.io/cnrancher/network-controller:v0.3.0",
        "docker.io/cnrancher/k8s-net-attach-def-controller:v0.1.0",
        "docker.io/rancher/flannel-cni:v0.3.0-rancher6",
        NULL,
    };
    static const char *const ours[] = {
        "docker.io/cnrancher/rancher:v2.2.3",
        "docker.io/nfvpe/multus:v3.2",
        "quay.io/coreos/flannel:v0.10.0-amd64",
        "docker.io/flatnet/flatnet:1.2.3",
        "docker.io/flatnet/static-macvlan-cni:1.2.3",
        "docker.io/flatnet/network-controller:1.2.3",
        "docker.io/rancher/flannel-cni:v0.3.0-rancher6",
        NULL,
    };

    (void)state;
    has("2019-original", original);
    has("default", ours);
}

/* No repeats, no "latest", nothing that the list reader has to say a word about. */
static void are_clean(void **state)
{
    const char *const *names = imageset_names();

    (void)state;
    assert_string_equal(names[0], IMAGESET_DEFAULT);
    for (size_t i = 0; names[i]; i++) {
        auto_imagelist struct imagelist l = {.n_entries = 0};

        load(names[i], &l);
        assert_true(l.n_entries > 5);
    }
}

static void know_their_names(void **state)
{
    auto_buf struct buf text;
    auto_err struct err *e = NULL;

    (void)state;
    buf_init(&text, 8);
    assert_int_equal(imageset_text("newest", "1", &text, &e), -EINVAL);
    assert_string_equal(err_text(e), "there is no image set 'newest': use one of default, "
                                     "2019-original, current");
    assert_int_equal(imageset_text("default", "1", &text, &e), -EFBIG);
}

static void tell_images_apart(void **state)
{
    static const struct {
        const char *text;
        bool ours, server;
    } table[] = {
        {"flatnet/flatnet:1", true, false},
        {"flatnet/static-macvlan-cni", true, false},
        {"docker.io/flatnet/network-controller:0.1.0", true, false},
        {"quay.io/flatnet/flatnet:1", false, false},
        {"cnrancher/network-controller:v0.3.0", false, false},
        {"cnrancher/rancher:v2.2.3", false, true},
        {"rancher/rancher:v2.8.0", false, true},
        {"rancher/rancher-agent:v2.8.0", false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_ref struct ref r = {.host = NULL};

        assert_int_equal(ref_parse(table[i].text, &r, NULL), 0);
        assert_int_equal(imageset_is_ours(&r), table[i].ours);
        assert_int_equal(imageset_is_server(&r), table[i].server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hold_what_they_should),
        cmocka_unit_test(are_clean),
        cmocka_unit_test(know_their_names),
        cmocka_unit_test(tell_images_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
