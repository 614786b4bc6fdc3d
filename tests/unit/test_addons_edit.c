/* The user's own YAML: what is changed in which shapes, and that nothing else is. */
#include "addons_cluster.h"
#include "addons_edit.h"
#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct outcome {
    struct buf out;
    struct addons_edited counts;
    struct findings f;
};

static void outcome_release(struct outcome *o)
{
    buf_release(&o->out);
    findings_release(&o->f);
}

#define auto_outcome __attribute__((cleanup(outcome_release)))

static int edit(const struct addons_options *options, const char *text, size_t len,
                struct outcome *o, struct err **e)
{
    auto_addons_settings struct addons_settings s = {.iface_args = NULL};

    *o = (struct outcome){.counts = {.images = 0}};
    buf_init(&o->out, 4 << 20);
    assert_int_equal(addons_settings_parse(options, &s, NULL), 0);
    return addons_edit(&s, "f", text, len, &o->out, &o->counts, &o->f, e);
}

static const char *const ens4[] = {"ens4", NULL}, *const two[] = {"ens4", "ens5", NULL};

/* --- flannel's arguments --- */

#define CONTAINER(rest)                                                                            \
    "kind: DaemonSet\nspec:\n  template:\n    spec:\n      containers:\n      - name: f\n" rest

static const struct {
    const char *const *ifaces;
    const char *before, *after;
} arguments[] = {
    /* Nothing there: behind the last. */
    {ens4, "        command: [/opt/bin/flanneld]\n        args:\n        - --ip-masq\n",
     "        command: [/opt/bin/flanneld]\n        args:\n        - --ip-masq\n"
     "        - --iface=ens4\n"},
    {two,
     "        command:\n        - /opt/bin/flanneld\n        args:\n          - --a # c\n"
     "        x: y\n",
     "        command:\n        - /opt/bin/flanneld\n        args:\n          - --a # c\n"
     "          - --iface=ens4\n          - --iface=ens5\n        x: y\n"},
    /* No end of line behind the last. */
    {ens4, "        command: [flanneld]\n        args:\n        - --a",
     "        command: [flanneld]\n        args:\n        - --a\n        - --iface=ens4"},
    /* A comment that stands for it. */
    {ens4,
     "        command: [flanneld]\n        args:\n        - --a\n        # - --iface=eth0\n"
     "        # other\n        x: y\n",
     "        command: [flanneld]\n        args:\n        - --a\n        - --iface=ens4\n"
     "        # other\n        x: y\n"},
    {ens4,
     "        command: [flanneld]\n        args:\n        - --a\n        #- \"--iface=eth0\"\n"
     "        - --b\n",
     "        command: [flanneld]\n        args:\n        - --a\n        - --iface=ens4\n"
     "        - --b\n"},
    {two, "        command: [flanneld]\n        args:\n        - --a\n#        - --iface-regex=x\n",
     "        command: [flanneld]\n        args:\n        - --a\n        - --iface=ens4\n"
     "        - --iface=ens5\n"},
    /* One that is there keeps its quotes and its comment. */
    {ens4,
     "        command: [flanneld]\n        args:\n        - \"--iface=eth0\" # here\n"
     "        - --b\n",
     "        command: [flanneld]\n        args:\n        - \"--iface=ens4\" # here\n"
     "        - --b\n"},
    {two,
     "        command: [flanneld]\n        args:\n        - -iface=eth0 # here\n        - "
     "--b\n",
     "        command: [flanneld]\n        args:\n        - --iface=ens4 # here\n"
     "        - --iface=ens5\n        - --b\n"},
    /* Several, and in two words. */
    {ens4,
     "        command: [flanneld]\n        args:\n        - --iface=eth0\n        - --b\n"
     "        - --iface-regex=x\n        - --c\n",
     "        command: [flanneld]\n        args:\n        - --iface=ens4\n        - --b\n"
     "        - --c\n"},
    {ens4,
     "        command: [flanneld]\n        args:\n        - --iface\n        - eth0\n"
     "        - --b\n",
     "        command: [flanneld]\n        args:\n        - --iface=ens4\n        - --b\n"},
    /* All in the command, as RKE's own flannel has it. */
    {ens4, "        command: [\"/opt/bin/flanneld\",\"--ip-masq\"]\n",
     "        command: [\"/opt/bin/flanneld\",\"--ip-masq\", \"--iface=ens4\"]\n"},
    {two, "        command: [\"/opt/bin/flanneld\",\"--iface=eth0\",\"--b\"]\n",
     "        command: [\"/opt/bin/flanneld\",\"--iface=ens4\", \"--iface=ens5\",\"--b\"]\n"},
    {ens4, "        args: [/opt/bin/flanneld, --a]\n",
     "        args: [/opt/bin/flanneld, --a, --iface=ens4]\n"},
    /* Another program, and a name that only begins so. */
    {ens4, "        command: [cp]\n        args:\n        - -f\n",
     "        command: [cp]\n        args:\n        - -f\n"},
    {ens4, "        command: [/opt/notflanneld]\n        args: [--a]\n",
     "        command: [/opt/notflanneld]\n        args: [--a]\n"},
    {ens4, "        command: [flanneld]\n        args:\n        - --iface-mtu=1\n",
     "        command: [flanneld]\n        args:\n        - --iface-mtu=1\n"
     "        - --iface=ens4\n"},
};

static void edits_arguments(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
        struct addons_options o = {.ifaces = arguments[i].ifaces};
        auto_free char *before = xasprintf(CONTAINER("%s"), arguments[i].before);
        auto_free char *after = xasprintf(CONTAINER("%s"), arguments[i].after);
        auto_outcome struct outcome got;
        auto_err struct err *e = NULL;

        if (edit(&o, before, strlen(before), &got, &e) < 0)
            fail_msg("%zu: %s", i, err_text(e));
        assert_string_equal(got.out.data, after);
        assert_int_equal(got.f.n_items, 0);
        assert_int_equal(got.counts.ifaces, strcmp(before, after) != 0);
    }
}

/* Shapes that are not known are named, and stay. */
static void leaves_alone(void **state)
{
    static const struct addons_options o = {.ifaces = ens4,
                                            .registry = "h.example",
                                            .pod_cidr = "172.20.0.0/16"};
    static const char *const table[][2] = {
        {CONTAINER("        command: [flanneld]\n        args: []\n"), "f:8: left alone: flannel"},
        {CONTAINER("        command: [flanneld]\n        args: x\n"), "f:8: left alone: flannel"},
        {CONTAINER("        command: [flanneld]\n        args: [--iface, eth0]\n"), "two words"},
        {CONTAINER("        command: [flanneld]\n        args: [--iface=a, --iface=b]\n"),
         "more than once"},
        {CONTAINER("        command: [flanneld]\n        args:\n        - |\n          x\n"),
         "not one to a line"},
        {CONTAINER("        command: [flanneld]\n        args:\n        -\n          --a\n"),
         "not one to a line"},
        {"x: &i a:1\nimage: *i\n", "f:2: left alone: an image by alias"},
        {"image: >-\n  a:1\n", "f:1: left alone: an image that is not written in one line"},
        {"image: '{{ .x }}'\n", "f:1: left alone: "},
        {"kind: ConfigMap\ndata:\n  net-conf.json: \"{\\\"Network\\\": \\\"10.42.0.0/16\\\"}\"\n",
         "f:3: left alone: net-conf.json"},
        {"kind: ConfigMap\ndata:\n  net-conf.json: |\n    {\"Backend\": {}}\n",
         "f:3: left alone: net-conf.json"},
        {"kind: ConfigMap\ndata:\n  x: '{\"type\": \"multus\"}'\n",
         "f:3: left alone: multus's configuration without cniVersion"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_outcome struct outcome got;
        auto_err struct err *e = NULL;

        if (edit(&o, table[i][0], strlen(table[i][0]), &got, &e) < 0)
            fail_msg("%zu: %s", i, err_text(e));
        assert_string_equal(got.out.data, table[i][0]);
        if (!got.f.n_items || !strstr(got.f.items[0].text, table[i][1]))
            fail_msg("%zu: %s", i, got.f.n_items ? got.f.items[0].text : "nothing was said");
    }
}

/* --- images --- */

static void moves_images(void **state)
{
    static const struct addons_options o = {.registry = "h.example:5000/t"};
    static const char *const table[][2] = {
        {"image: a/b:1 # c\n", "image: h.example:5000/t/a/b:1 # c\n"},
        {"x: [{image: 'nginx'}]\n", "x: [{image: 'h.example:5000/t/library/nginx:latest'}]\n"},
        {"image: \"quay.io/a/b:1\"\n", "image: \"h.example:5000/t/a/b:1\"\n"},
        {"image: h.example:5000/t/a/b:1\n", "image: h.example:5000/t/a/b:1\n"},
        {"image: &i a/b:1\ny: *i\n", "image: &i h.example:5000/t/a/b:1\ny: *i\n"},
        {"image:\nx: ~\n", "image:\nx: ~\n"},
        {"image: {repository: x}\n", "image: {repository: x}\n"},
        {"rbd: {image: disk}\n", "rbd: {image: disk}\n"},
        {"image: a/b:1\r\n---\r\nimage: c/d:1\r\n",
         "image: h.example:5000/t/a/b:1\r\n---\r\nimage: h.example:5000/t/c/d:1\r\n"},
        {"\xef\xbb\xbf# \xe5\x9b\xbe\nimage: a/b:1 # \xe5\x83\x8f\n",
         "\xef\xbb\xbf# \xe5\x9b\xbe\nimage: h.example:5000/t/a/b:1 # \xe5\x83\x8f\n"},
        {"kind: List\nitems:\n- image: a/b:1",
         "kind: List\nitems:\n- image: h.example:5000/t/a/b:1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_outcome struct outcome got;

        assert_int_equal(edit(&o, table[i][0], strlen(table[i][0]), &got, NULL), 0);
        assert_string_equal(got.out.data, table[i][1]);
        assert_int_equal(got.f.n_items, 0);
    }
}

/* --- JSON --- */

static void edits_json(void **state)
{
    static const struct addons_options o = {.pod_cidr = "172.20.0.0/16"};
    static const char *const table[][2] = {
        {"kind: ConfigMap\ndata:\n  net-conf.json: |\n    {\n      \"Network\":\"10.42.0.0/16\" ,\n"
         "      \"Backend\": {\"Network\": \"no\"}\n    }\n",
         "kind: ConfigMap\ndata:\n  net-conf.json: |\n    {\n      \"Network\":\"172.20.0.0/16\" "
         ",\n"
         "      \"Backend\": {\"Network\": \"no\"}\n    }\n"},
        {"kind: ConfigMap\ndata:\n  net-conf.json: |\n    {\"Backend\": {\"Network\": \"no, }\"}, "
         "\"Network\": \"10.42.0.0/16\"}",
         "kind: ConfigMap\ndata:\n  net-conf.json: |\n    {\"Backend\": {\"Network\": \"no, }\"}, "
         "\"Network\": \"172.20.0.0/16\"}"},
        {"kind: ConfigMap\ndata:\n  net-conf.json: |\n    {\"Network\": \"172.20.0.0/16\"}\n",
         "kind: ConfigMap\ndata:\n  net-conf.json: |\n    {\"Network\": \"172.20.0.0/16\"}\n"},
        {"kind: ConfigMap\ndata:\n  c.json: |-\n    {\n      \"name\": \"x\",\n"
         "      \"type\": \"multus\"\n    }\n",
         "kind: ConfigMap\ndata:\n  c.json: |-\n    {\n      \"cniVersion\": \"0.3.1\",\n"
         "      \"name\": \"x\",\n      \"type\": \"multus\"\n    }\n"},
        {"kind: ConfigMap\ndata:\n  c.json: |\n    {\"type\": \"multus\"}\n",
         "kind: ConfigMap\ndata:\n  c.json: |\n    {\"cniVersion\": \"0.3.1\",\"type\": "
         "\"multus\"}\n"},
        {"kind: ConfigMap\ndata:\n  c.json: |\n    {\"type\": \"multus\", \"cniVersion\": "
         "\"0.4.0\"}\n",
         "kind: ConfigMap\ndata:\n  c.json: |\n    {\"type\": \"multus\", \"cniVersion\": "
         "\"0.4.0\"}\n"},
        {"kind: ConfigMap\ndata:\n  c.json: |\n    {\"type\": \"flannel\"}\n",
         "kind: ConfigMap\ndata:\n  c.json: |\n    {\"type\": \"flannel\"}\n"},
        {"kind: ConfigMap\ndata:\n  net-conf.json: |\n    not JSON\n",
         "kind: ConfigMap\ndata:\n  net-conf.json: |\n    not JSON\n"},
        {"kind: Secret\ndata:\n  net-conf.json: |\n    {\"Network\": \"10.42.0.0/16\"}\n",
         "kind: Secret\ndata:\n  net-conf.json: |\n    {\"Network\": \"10.42.0.0/16\"}\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_outcome struct outcome got;

        assert_int_equal(edit(&o, table[i][0], strlen(table[i][0]), &got, NULL), 0);
        assert_string_equal(got.out.data, table[i][1]);
        assert_int_equal(got.f.n_items, 0);
    }
}

/* Without a pod CIDR on the command line the user's network stays. */
static void keeps_the_network(void **state)
{
    static const char text[] =
        "kind: ConfigMap\ndata:\n  net-conf.json: |\n    {\"Network\": \"10.244.0.0/16\"}\n";
    static const struct addons_options o = {.set = NULL};
    auto_outcome struct outcome got;

    (void)state;
    assert_int_equal(edit(&o, text, strlen(text), &got, NULL), 0);
    assert_string_equal(got.out.data, text);
}

static void refuses_what_is_no_yaml(void **state)
{
    static const struct addons_options o = {.registry = "h.example"};
    auto_outcome struct outcome got;
    auto_err struct err *e = NULL;

    (void)state;
    assert_int_equal(edit(&o, "a: [", 4, &got, &e), -EINVAL);
    assert_string_equal(err_text(e), "'f': line 2: not valid YAML: did not find expected node "
                                     "content while parsing a flow node");
}

/* --- a whole file of the 2019 kind --- */

/* Lines of `a` that are not in `b` at the same place, counting only lines that were replaced. */
static size_t changed_lines(const char *a, const char *b)
{
    size_t n = 0;

    while (*a && *b) {
        size_t x = strcspn(a, "\n"), y = strcspn(b, "\n");

        if (x != y || memcmp(a, b, x) != 0)
            n++;
        a += x + (a[x] == '\n');
        b += y + (b[y] == '\n');
    }
    assert_true(!*a && !*b);
    return n;
}

static void edits_the_legacy_file(void **state)
{
    static const struct addons_options o = {.ifaces = ens4,
                                            .registry = "h.example/t",
                                            .pod_cidr = "172.20.0.0/16"};
    auto_outcome struct outcome once, twice;
    auto_buf struct buf text;
    char *version;

    (void)state;
    buf_init(&text, 1 << 20);
    assert_int_equal(fs_read_file("tests/data/addons/legacy.yml", &text, NULL), 0);
    assert_int_equal(edit(&o, text.data, text.len, &once, NULL), 0);
    assert_int_equal(once.f.n_items, 0);
    assert_int_equal(once.counts.images, 12);
    assert_int_equal(once.counts.ifaces, 5);
    assert_int_equal(once.counts.networks, 1);
    assert_int_equal(once.counts.versions, 1);
    assert_int_equal(edit(&o, once.out.data, once.out.len, &twice, NULL), 0);
    assert_string_equal(twice.out.data, once.out.data);
    /* The comment with the disabled init container stays one. */
    assert_non_null(
        strstr(once.out.data, "      #   image: quay.io/coreos/flannel:v0.10.0-amd64\n"));
    version = strstr(once.out.data, "      \"cniVersion\": \"0.3.1\",\n      \"name\": \"multus");
    assert_non_null(version);
    memmove(version, version + 29, strlen(version + 29) + 1);
    assert_int_equal(changed_lines(text.data, once.out.data), 12 + 5 + 1);
}

/* --- cluster YAML --- */

static void edits_cluster_yaml(void **state)
{
    static const struct {
        const char *pod, *before, *after; /* no `after`: refused */
    } table[] = {
        {NULL, "network:\n  plugin: canal # x\n",
         "network:\n  plugin: none # x\naddons_include:\n  - /d/macvlan-network.yml\n"},
        {NULL, "nodes: []\n",
         "nodes: []\nnetwork:\n  plugin: none\naddons_include:\n  - /d/macvlan-network.yml\n"},
        {NULL, "nodes: []",
         "nodes: []\nnetwork:\n  plugin: none\naddons_include:\n  - /d/macvlan-network.yml"},
        {NULL, "network: {plugin: \"canal\"}\naddons_include: []\n",
         "network: {plugin: \"none\"}\naddons_include: [\"/d/macvlan-network.yml\"]\n"},
        {NULL, "network: {plugin: none}\naddons_include:\nx: y\n",
         "network: {plugin: none}\naddons_include: [\"/d/macvlan-network.yml\"]\nx: y\n"},
        {NULL, "network:\n  plugin:\naddons_include: ~\n",
         "network:\n  plugin: none\naddons_include: [\"/d/macvlan-network.yml\"]\n"},
        {NULL, "network:\n  plugin: none\naddons_include:\n- http://x # c\n# d\nx: y\n",
         "network:\n  plugin: none\naddons_include:\n- http://x # c\n- /d/macvlan-network.yml\n# "
         "d\n"
         "x: y\n"},
        {NULL, "network: {plugin: none}\naddons_include: [a]\n",
         "network: {plugin: none}\naddons_include: [a, /d/macvlan-network.yml]\n"},
        {NULL, "network: {plugin: none}\naddons_include:\n  - /d/macvlan-network.yml\n",
         "network: {plugin: none}\naddons_include:\n  - /d/macvlan-network.yml\n"},
        {NULL, "a: 1\r\nnetwork:\r\n  plugin: canal\r\n",
         "a: 1\r\nnetwork:\r\n  plugin: none\r\naddons_include:\r\n"
         "  - /d/macvlan-network.yml\r\n"},
        {NULL,
         "network: 1\nrancher_kubernetes_engine_config:\n  network:\n    options: {}\n  # c\n"
         "docker: x\n",
         "network: 1\nrancher_kubernetes_engine_config:\n  network:\n    options: {}\n"
         "    plugin: none\n  addons_include:\n    - /d/macvlan-network.yml\n  # c\ndocker: x\n"},
        {NULL, "network: {plugin: none}\naddons: |-\n  ---\n  kind: X\n\n",
         "network: {plugin: none}\naddons: |-\n  ---\n  kind: X\naddons_include:\n"
         "  - /d/macvlan-network.yml\n\n"},
        {"172.20.0.0/16", "network: {plugin: none}\nservices:\n  kube-controller:\n    x: y\n",
         "network: {plugin: none}\nservices:\n  kube-controller:\n    x: y\n"
         "    cluster_cidr: 172.20.0.0/16\naddons_include:\n  - /d/macvlan-network.yml\n"},
        {"172.20.0.0/16",
         "network: {plugin: none}\nservices: {kube-controller: {cluster_cidr: 10.0.0.0/8}}\n",
         "network: {plugin: none}\nservices: {kube-controller: {cluster_cidr: 172.20.0.0/16}}\n"
         "addons_include:\n  - /d/macvlan-network.yml\n"},
        {NULL, "\xef\xbb\xbfnetwork: {plugin: none}\n",
         "\xef\xbb\xbfnetwork: {plugin: none}\naddons_include:\n  - /d/macvlan-network.yml\n"},
        {NULL, "", NULL},
        {NULL, "- x\n", NULL},
        {NULL, "a: [", NULL},
        {NULL, "a: 1\n---\nb: 1\n", NULL},
        {NULL, "network: x\n", NULL},
        {NULL, "network: {options: {}}\n", NULL},
        {NULL, "{}\n", NULL},
        {NULL, "network: {plugin: none}\naddons_include: x\n", NULL},
        {NULL, "rancher_kubernetes_engine_config:\n", NULL},
    };
    static const char *const names[] = {"macvlan-network.yml", NULL};
    static const struct addons_places places = {.folder = "/d", .names = names};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct addons_options o = {.pod_cidr = table[i].pod};
        auto_addons_settings struct addons_settings s = {.iface_args = NULL};
        auto_err struct err *e = NULL;
        auto_buf struct buf out;
        int r;

        buf_init(&out, 1 << 20);
        assert_int_equal(addons_settings_parse(&o, &s, NULL), 0);
        r = addons_cluster_edit(&s, &places, table[i].before, strlen(table[i].before), &out, &e);
        if (r != (table[i].after ? 0 : -EINVAL))
            fail_msg("%zu: %d %s", i, r, err_text(e));
        assert_string_equal(out.data, table[i].after ? table[i].after : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edits_arguments),       cmocka_unit_test(leaves_alone),
        cmocka_unit_test(moves_images),          cmocka_unit_test(edits_json),
        cmocka_unit_test(keeps_the_network),     cmocka_unit_test(refuses_what_is_no_yaml),
        cmocka_unit_test(edits_the_legacy_file), cmocka_unit_test(edits_cluster_yaml),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
