/* Which pods are to have the files, by lists as an API server gives them, and hostile ones. */
#include "addons_copy_pods.h"

#include "http.h"
#include "mem.h"
#include "scripted_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define POD(name, metadata, spec, phase, state)                                                    \
    "{\"metadata\": {\"name\": \"" name "\"" metadata "}, \"spec\": {\"containers\": [{\"name\": " \
    "\"side\"}, {\"name\": \"rancher\"" spec "}]" VOLUMES "}, \"status\": {\"phase\": \"" phase    \
    "\", \"containerStatuses\": [{\"name\": \"rancher\", \"state\": {\"" state "\": {}}}]}}"
#define VOLUMES                                                                                    \
    ", \"volumes\": [{\"name\": \"e\", \"emptyDir\": {}}, {\"name\": \"h\", \"hostPath\": {}}]"
#define MOUNT(name, path)                                                                          \
    ", \"volumeMounts\": [{\"name\": \"other\", \"mountPath\": \"/etc\"}, {\"name\": \"" name      \
    "\", \"mountPath\": \"" path "\"}]"
#define RUNNING(name, mounts) POD(name, "", mounts, "Running", "running")

static const struct {
    const char *items;
    int status;
    const char *message;
    size_t n_pods;
    bool is_on_volume; /* of the first */
    const char *error; /* of the first */
} table[] = {
    {RUNNING("a", "") "," RUNNING("b", ""), 0, NULL, 2, false, NULL},
    {RUNNING("a", MOUNT("h", "/var/lib/rancher")), 0, NULL, 1, true, NULL},
    {RUNNING("a", MOUNT("h", "/var/lib/ranch")), 0, NULL, 1, false, NULL},
    {RUNNING("a", MOUNT("h", "/")), 0, NULL, 1, true, NULL},
    {RUNNING("a", MOUNT("e", "/var/lib/rancher")), 0, NULL, 1, false, NULL},
    {POD("a", "", "", "Pending", "waiting"), 0, NULL, 1, false,
     "container 'rancher' of pod 'a' is not running"},
    {POD("a", "", "", "Running", "terminated"), 0, NULL, 1, false, "is not running"},
    {"{\"metadata\": {\"name\": \"a\"}}", 0, NULL, 1, false, "pod 'a' has no container 'rancher'"},
    /* Those that are gone or going are nobody's business. */
    {POD("a", "", "", "Succeeded", "terminated") "," POD(
         "b", "", "", "Failed",
         "terminated") "," POD("c", ", \"deletionTimestamp\": \"2024-01-01T00:00:00Z\"", "",
                               "Running", "running") "," RUNNING("d", ""),
     0, NULL, 1, false, NULL},
    {"", -ENOENT, "no pod with the label app=rancher is in namespace 'cattle-system'", 0, false,
     NULL},
    {POD("a", "", "", "Failed", "terminated"), -ENOENT, "no pod with the label", 0, false, NULL},
    {RUNNING("../x", ""), -EPROTO, "a pod without a proper name", 0, false, NULL},
    {"{}", -EPROTO, "a pod without a proper name", 0, false, NULL},
};

static void chooses_pods(void **state)
{
    static const struct addons_target target = {.namespace = "cattle-system",
                                                .container = "rancher",
                                                .path = "/var/lib/rancher/network-addons"};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_free char *text =
            xasprintf("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"items\": [%s]}",
                      table[i].items);
        struct reply reply = {.text = text, .end = REPLY_CLOSE};
        struct addons_pods pods = {.items = NULL};
        struct kube_config config = {.server = NULL};
        struct kube_client *k = NULL;
        auto_err struct err *e = NULL;
        struct server s;

        server_listen(&s);
        config.server = xasprintf("http://%s", s.name);
        server_start(&s, &reply, 1);
        assert_int_equal(kube_client_new(&config, &k, NULL), 0);
        assert_int_equal(addons_find_pods(k, &target, &pods, &e), table[i].status);
        assert_non_null(strstr(s.requests[0], "GET /api/v1/namespaces/cattle-system/pods"
                                              "?labelSelector=app%3Drancher HTTP/1.1\r\n"));
        assert_int_equal(pods.n_items, table[i].n_pods);
        if (table[i].message)
            assert_non_null(strstr(err_text(e), table[i].message));
        if (pods.n_items) {
            assert_int_equal(pods.items[0].is_on_volume, table[i].is_on_volume);
            assert_int_equal(pods.items[0].error != NULL, table[i].error != NULL);
        }
        if (table[i].error)
            assert_non_null(strstr(err_text(pods.items[0].error), table[i].error));
        addons_pods_release(&pods);
        kube_client_free(k);
        server_stop(&s);
        server_release(&s);
        free(config.server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses_pods),
    };

    http_global_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
