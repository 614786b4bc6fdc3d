/* An API server that is slow, dead, wrong or wants another token; where kubeconfigs are. */
#include "pod_scene.h"

#include "fs.h"
#include "pod_kubeconfig.h"

#include <errno.h>
#include <limits.h>

static const char ready[] = MACVLANIP(UID_NOW, "50");

static void server_that_is_gone(struct scene *s)
{
    begin(s, plainly);
    evconnlistener_free(s->fake.listener);
    s->fake.listener = NULL;
    s->query.reach_ms = 400;
}

static void out_of_reach_is_an_error_in_every_mode(void **state)
{
    (void)state;
    for (int is_chained = 0; is_chained < 2; is_chained++) {
        struct scene s;

        server_that_is_gone(&s);
        s.query.is_chained = is_chained;
        assert_int_equal(ask(&s), -EHOSTUNREACH);
        if (!strstr(s.message, s.fake.url + strlen("http://")))
            fail_msg("no address in '%s'", s.message);
        assert_true(s.took_ms < 10000);
        end(&s);
    }
}

/* The environment is that of the runtime, whose proxies are for images. The address is not written
 * as one of loopback, for which there is never a proxy. */
static void proxies_of_the_runtime_do_not_count(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, plainly);
    s.query.reach_ms = 400;
    s.ip = ready;
    (void)snprintf(s.fake.url, sizeof(s.fake.url), "http://[::ffff:127.0.0.1]:%d", s.fake.port);
    write_kubeconfig(&s, "t0");
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(ask(&s), 0);
    assert_int_equal(unsetenv("http_proxy"), 0);
    end(&s);
}

/* Answers nothing at all. */
static void say_nothing(struct fake *f, struct fake_request *r)
{
    (void)note(f->arg, r);
}

static void silence_is_bounded(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, say_nothing);
    s.query.timeout_ms = 1000;
    s.query.request_ms = 300;
    s.query.reach_ms = 500;
    assert_int_equal(ask(&s), -ETIMEDOUT);
    assert_true(s.took_ms >= 300 && s.took_ms < 10000);
    end(&s);
}

/* Fails in one way or another first, and then works. */
static void fail_twice(struct fake *f, struct fake_request *r)
{
    struct scene *s = f->arg;
    enum asked what = note(s, r);

    if (r->nth == 0)
        fake_answer(r, 503, "Retry-After: 0\r\n", STATUS(503, "ServiceUnavailable"));
    else if (r->nth == 1)
        fake_answer(r, 500, "", STATUS(500, "InternalError"));
    else if (r->nth == 2)
        fake_close(r);
    else
        answer_plainly(s, r, what);
}

static void what_passes_is_repeated(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, fail_twice);
    s.query.reach_ms = 20000;
    s.ip = ready;
    assert_int_equal(ask(&s), 0);
    assert_int_equal(s.n[ASK_IP], 4);
    end(&s);
}

static void listen_again(void *arg)
{
    struct scene *s = arg;

    fake_listen(&s->fake, s->fake.port);
}

/* Goes away in the middle of the watch, and comes back at the same port later than reach_ms. */
static void restart_once(struct fake *f, struct fake_request *r)
{
    struct scene *s = f->arg;
    enum asked what = note(s, r);

    if (what == ASK_WATCH && s->n[ASK_WATCH] == 1) {
        s->ip = ready;
        fake_stop(f);
        s->later = kube_timer_new(s->base, listen_again, s);
        kube_timer_set(s->later, 700);
    } else {
        answer_plainly(s, r, what);
    }
}

static void a_server_that_was_there_is_waited_for(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, restart_once);
    s.query.reach_ms = 200;
    assert_int_equal(ask(&s), 0);
    assert_int_equal(s.n[ASK_LIST], 2);
    kube_timer_free(s.later);
    end(&s);
}

/* A body that is no JSON, or no object of the kind, or more than there should be. */
static void say_nonsense(struct fake *f, struct fake_request *r)
{
    static const char *const bodies[] = {"<html>", "[]", "{\"items\":1}", "null"};

    (void)note(f->arg, r);
    fake_answer(r, 200, "", bodies[r->nth % 4]);
}

static void nonsense_is_an_error(void **state)
{
    struct scene s;
    int r;

    (void)state;
    begin(&s, say_nonsense);
    s.query.uid = NULL;
    s.query.reach_ms = 300;
    r = ask(&s);
    assert_int_equal(r, -EPROTO);
    end(&s);
}

/* --- tokens --- */

/* The token of the file is too old; a new file is there before the answer is. */
static void want_new_token(struct fake *f, struct fake_request *r)
{
    struct scene *s = f->arg;
    enum asked what = note(s, r);

    if (strstr(r->head, "Bearer t1")) {
        answer_plainly(s, r, what);
        return;
    }
    if (!s->lease)
        write_kubeconfig(s, "t1");
    fake_answer(r, 401, "", STATUS(401, "Unauthorized"));
}

static void after_a_401_the_kubeconfig_is_read_again_once(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, want_new_token);
    s.ip = ready;
    assert_int_equal(ask(&s), 0);
    assert_int_equal(s.n[ASK_IP], 2);
    end(&s);
    begin(&s, want_new_token);
    s.lease = "";
    assert_int_equal(ask(&s), -EKEYREJECTED);
    assert_int_equal(s.n[ASK_IP], 2);
    end(&s);
}

/* After a watch two refusals: no role yet, and a token that is replaced after the second look. */
static void refuse_for_a_while(struct fake *f, struct fake_request *r)
{
    struct scene *s = f->arg;
    enum asked what = note(s, r);

    if (what == ASK_WATCH) {
        s->ip = ready;
        fake_begin_stream(r);
        fake_end_stream(r->conn);
    } else if (what == ASK_LIST && s->n[ASK_LIST] == 2) {
        fake_answer(r, 403, "", STATUS(403, "Forbidden"));
    } else if (what == ASK_LIST && s->n[ASK_LIST] > 2 && !strstr(r->head, "Bearer t2")) {
        fake_answer(r, 401, "", STATUS(401, "Unauthorized"));
        write_kubeconfig(s, s->n[ASK_LIST] == 3 ? "t1" : "t2");
    } else {
        answer_plainly(s, r, what);
    }
}

static void who_waits_is_let_in_again(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, refuse_for_a_while);
    s.query.reach_ms = 20000;
    assert_int_equal(ask(&s), 0);
    assert_true(s.n[ASK_LIST] >= 5);
    end(&s);
}

/* --- kubeconfigs --- */

static void put(const char *path)
{
    auto_free char *folder = xstrdup(path);

    *strrchr(folder, '/') = '\0';
    assert_int_equal(fs_mkdirs(folder, 0755, NULL), 0);
    assert_int_equal(fs_write_file(path, "x", 1, 0600, NULL), 0);
}

static void kubeconfigs_are_found_in_their_order(void **state)
{
    /* From the last that is looked at to the first. */
    static const char *const paths[] = {
        "/var/lib/rancher/k3s/agent/etc/cni/net.d/multus.d/multus.kubeconfig",
        "/var/lib/rancher/rke2/agent/etc/cni/net.d/multus.d/multus.kubeconfig",
        "/etc/cni/net.d/multus.d/multus.kubeconfig",
        "/var/lib/rancher/k3s/agent/etc/cni/net.d/flatnet.d/flatnet.kubeconfig",
        "/var/lib/rancher/rke2/agent/etc/cni/net.d/flatnet.d/flatnet.kubeconfig",
        "/etc/cni/net.d/flatnet.d/flatnet.kubeconfig",
    };
    auto_err struct err *e = NULL;
    char *path;

    (void)state;
    assert_int_equal(pod_kubeconfig_find(NULL, tempdir_path, &path, &e), -EAGAIN);
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        assert_non_null(strstr(e->msg, paths[i]));
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        auto_free char *whole = xasprintf("%s%s", tempdir_path, paths[i]);

        put(whole);
        assert_int_equal(pod_kubeconfig_find(NULL, tempdir_path, &path, NULL), 0);
        assert_string_equal(path, whole);
        free(path);
    }
    assert_int_equal(pod_kubeconfig_find("/k", tempdir_path, &path, &e), -EAGAIN);
    assert_string_equal(e->msg, "the kubeconfig '/k' is not there");
}

static void a_kubeconfig_that_makes_no_sense(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, plainly);
    assert_int_equal(fs_write_file("kubeconfig", "a: [", 4, 0600, NULL), 0);
    assert_int_equal(ask(&s), -EINVAL);
    end(&s);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, tempdir_enter, tempdir_leave)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(out_of_reach_is_an_error_in_every_mode),
        IN_FOLDER(proxies_of_the_runtime_do_not_count),
        IN_FOLDER(silence_is_bounded),
        IN_FOLDER(what_passes_is_repeated),
        IN_FOLDER(a_server_that_was_there_is_waited_for),
        IN_FOLDER(nonsense_is_an_error),
        IN_FOLDER(after_a_401_the_kubeconfig_is_read_again_once),
        IN_FOLDER(who_waits_is_let_in_again),
        IN_FOLDER(kubeconfigs_are_found_in_their_order),
        IN_FOLDER(a_kubeconfig_that_makes_no_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
