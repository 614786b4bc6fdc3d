/* Keys in a queue: never twice at a time, never lost, retried with backoff. */
#include "kube/kube_queue.h"

#include "fake_api.h"
#include "kube/kube_loop.h"

#include <time.h>

#define HANDLED_MAX 1000

struct scene {
    struct event_base *base;
    struct kube_queue *q;
    char handled[HANDLED_MAX][16];
    size_t n_handled, n_measured, n_at_work;
    int64_t queued_us, worked_us;
    bool is_quick;   /* handlers end at once */
    int64_t busy_ms; /* for so long they keep the loop */
};

static void handle(void *arg, const char *key)
{
    struct scene *s = arg;

    assert_true(s->n_handled < HANDLED_MAX);
    (void)snprintf(s->handled[s->n_handled++], 16, "%s", key);
    s->n_at_work++;
    for (int64_t until_ms = kube_now_ms() + s->busy_ms; kube_now_ms() < until_ms;)
        ;
    if (s->is_quick)
        kube_queue_done(s->q, key);
}

static void measured(void *arg, int64_t queued_us, int64_t worked_us)
{
    struct scene *s = arg;

    s->n_measured++;
    s->queued_us = queued_us;
    s->worked_us = worked_us;
}

static void begin(struct scene *s, struct kube_queue_options options)
{
    *s = (struct scene){.base = event_base_new()};
    options.handle = handle;
    options.measured = measured;
    options.measured_arg = s;
    options.arg = s;
    s->q = kube_queue_new(s->base, &options);
}

static void end(struct scene *s)
{
    kube_queue_free(s->q);
    event_base_free(s->base);
}

static void assert_stats(const struct scene *s, size_t depth, size_t delayed, size_t in_process,
                         uint64_t adds)
{
    struct kube_queue_stats stats;

    kube_queue_get_stats(s->q, &stats);
    assert_int_equal(stats.depth, depth);
    assert_int_equal(stats.delayed, delayed);
    assert_int_equal(stats.in_process, in_process);
    assert_int_equal(stats.adds, adds);
}

static void handles_each_once_in_order(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, (struct kube_queue_options){.workers = 2});
    kube_queue_add(s.q, "a");
    kube_queue_add(s.q, "b");
    kube_queue_add(s.q, "a");
    kube_queue_add(s.q, "c");
    loop_for_ms(s.base, 5);
    assert_int_equal(s.n_handled, 0);
    assert_stats(&s, 3, 0, 0, 3);
    kube_queue_start(s.q);
    assert_int_equal(s.n_handled, 0);
    loop_until(s.base, s.n_handled == 2);
    loop_for_ms(s.base, 5);
    assert_stats(&s, 1, 0, 2, 3);
    kube_queue_done(s.q, "b");
    loop_until(s.base, s.n_handled == 3);
    assert_string_equal(s.handled[0], "a");
    assert_string_equal(s.handled[1], "b");
    assert_string_equal(s.handled[2], "c");
    kube_queue_done(s.q, "a");
    kube_queue_done(s.q, "c");
    kube_queue_done(s.q, "c");
    kube_queue_done(s.q, "unknown");
    assert_stats(&s, 0, 0, 0, 3);
    assert_int_equal(s.n_measured, 3);
    end(&s);
}

static void handles_again_what_was_added_meanwhile(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, (struct kube_queue_options){.workers = 8});
    kube_queue_start(s.q);
    kube_queue_add(s.q, "a");
    loop_until(s.base, s.n_handled == 1);
    kube_queue_add(s.q, "a");
    kube_queue_add(s.q, "a");
    loop_for_ms(s.base, 5);
    assert_int_equal(s.n_handled, 1);
    assert_stats(&s, 0, 0, 1, 2);
    kube_queue_done(s.q, "a");
    loop_until(s.base, s.n_handled == 2);
    kube_queue_done(s.q, "a");
    loop_for_ms(s.base, 5);
    assert_int_equal(s.n_handled, 2);
    assert_stats(&s, 0, 0, 0, 2);
    end(&s);
}

static void waits_for_the_first_time(void **state)
{
    struct scene s;
    int64_t began;

    (void)state;
    begin(&s, (struct kube_queue_options){.workers = 8});
    s.is_quick = true;
    kube_queue_start(s.q);
    began = kube_now_ms();
    kube_queue_add_after(s.q, "a", 5000);
    kube_queue_add_after(s.q, "a", 60);
    kube_queue_add_after(s.q, "a", 3000);
    kube_queue_add_after(s.q, "b", 0);
    assert_stats(&s, 1, 1, 0, 1);
    loop_until(s.base, s.n_handled == 2);
    assert_string_equal(s.handled[1], "a");
    assert_in_range(kube_now_ms() - began, 55, 2000);
    assert_stats(&s, 0, 0, 0, 2);
    /* One that is added at once in the meantime comes at its time all the same. */
    kube_queue_add_after(s.q, "c", 30);
    kube_queue_add(s.q, "c");
    loop_until(s.base, s.n_handled == 4);
    end(&s);
}

static void retries_later_and_later(void **state)
{
    struct scene s;
    struct kube_queue_stats stats;

    (void)state;
    begin(&s, (struct kube_queue_options){.backoff_max_ms = 30});
    kube_queue_start(s.q);
    kube_queue_add(s.q, "a");
    for (unsigned i = 1; i <= 6; i++) {
        static const int waits[] = {5, 10, 20, 30, 30, 30};
        int64_t at;

        loop_until(s.base, s.n_handled == i);
        at = kube_now_ms();
        assert_int_equal(kube_queue_retry(s.q, "a", 0), i);
        assert_int_equal(kube_queue_failures(s.q, "a"), i);
        loop_until(s.base, s.n_handled == i + 1);
        assert_true(kube_now_ms() - at >= waits[i - 1] - 1);
    }
    kube_queue_done(s.q, "a");
    assert_int_equal(kube_queue_failures(s.q, "a"), 0);
    kube_queue_get_stats(s.q, &stats);
    assert_int_equal(stats.retries, 6);
    kube_queue_add(s.q, "b");
    loop_until(s.base, s.n_handled == 8);
    assert_int_equal(kube_queue_retry(s.q, "b", 100), 1);
    loop_for_ms(s.base, 50);
    assert_int_equal(s.n_handled, 8);
    kube_queue_forget(s.q, "b");
    assert_int_equal(kube_queue_failures(s.q, "b"), 0);
    loop_until(s.base, s.n_handled == 9);
    end(&s);
}

static void shares_the_rate_of_retries(void **state)
{
    struct scene s;
    struct kube_queue_stats stats;
    int64_t began;

    (void)state;
    begin(&s, (struct kube_queue_options){.workers = 100, .retries_per_s = 20, .retries_burst = 3});
    kube_queue_start(s.q);
    for (char key[] = "a"; *key <= 'g'; ++*key)
        kube_queue_add(s.q, key);
    loop_until(s.base, s.n_handled == 7);
    began = kube_now_ms();
    for (char key[] = "a"; *key <= 'g'; ++*key)
        (void)kube_queue_retry(s.q, key, 0);
    /* Three at once, then one in 50 ms. */
    loop_until(s.base, s.n_handled == 10);
    loop_until(s.base, s.n_handled == 14);
    assert_in_range(kube_now_ms() - began, 195, 5000);
    kube_queue_get_stats(s.q, &stats);
    assert_int_equal(stats.retries, 7);
    end(&s);
}

static void retries_at_once_what_was_added_meanwhile(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, (struct kube_queue_options){.workers = 1});
    kube_queue_start(s.q);
    kube_queue_add(s.q, "a");
    loop_until(s.base, s.n_handled == 1);
    kube_queue_add(s.q, "a");
    assert_int_equal(kube_queue_retry(s.q, "a", 10000), 1);
    loop_until(s.base, s.n_handled == 2);
    end(&s);
}

static size_t n_ticks;

static void tick(void *arg)
{
    n_ticks++;
    kube_timer_set(*(struct event **)arg, 0);
}

static void leaves_the_loop_to_others(void **state)
{
    struct scene s;
    struct event *other;

    (void)state;
    begin(&s, (struct kube_queue_options){.per_turn = 10});
    s.is_quick = true;
    for (size_t i = 0; i < 500; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "%zu", i);
        kube_queue_add(s.q, key);
    }
    other = kube_timer_new(s.base, tick, &other);
    kube_timer_set(other, 0);
    kube_queue_start(s.q);
    (void)event_base_loop(s.base, EVLOOP_ONCE);
    assert_true(s.n_handled <= 10);
    loop_until(s.base, s.n_handled == 500);
    assert_true(n_ticks >= 49);
    assert_stats(&s, 0, 0, 0, 500);
    kube_timer_free(other);
    end(&s);
}

static void see_how_many(void *arg)
{
    struct scene *s = arg;

    s->n_measured = s->n_handled;
}

/* However long handlers take, a timer waits for one of them, and not for all. */
static void long_work_leaves_the_loop_to_timers(void **state)
{
    struct event *timer;
    struct scene s;

    (void)state;
    begin(&s, (struct kube_queue_options){.workers = 8});
    s.busy_ms = 15;
    for (char key[] = "a"; *key <= 'h'; ++*key)
        kube_queue_add(s.q, key);
    timer = kube_timer_new(s.base, see_how_many, &s);
    kube_queue_start(s.q);
    kube_timer_set(timer, 1);
    loop_until(s.base, s.n_handled == 8);
    assert_in_range(s.n_measured, 1, 2);
    kube_timer_free(timer);
    end(&s);
}

static void stops_and_goes_on(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, (struct kube_queue_options){.workers = 1});
    kube_queue_start(s.q);
    kube_queue_add(s.q, "a");
    kube_queue_add(s.q, "b");
    loop_until(s.base, s.n_handled == 1);
    kube_queue_stop(s.q);
    kube_queue_done(s.q, "a");
    loop_for_ms(s.base, 5);
    assert_stats(&s, 1, 0, 0, 2);
    assert_int_equal(s.n_handled, 1);
    kube_queue_start(s.q);
    loop_until(s.base, s.n_handled == 2);
    end(&s);
}

static void measures(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, (struct kube_queue_options){.workers = 1});
    kube_queue_add(s.q, "a");
    loop_for_ms(s.base, 20);
    kube_queue_start(s.q);
    loop_until(s.base, s.n_handled == 1);
    kube_queue_add(s.q, "a");
    loop_for_ms(s.base, 40);
    kube_queue_done(s.q, "a");
    assert_in_range(s.queued_us, 19000, 2000000);
    assert_in_range(s.worked_us, 39000, 2000000);
    end(&s);
}

/* A queue of three keys and two workers, driven at random, against the rules. */
static void keeps_its_rules_at_random(void **state)
{
    static const char *const keys[] = {"x", "y", "z"};
    struct scene s;
    bool at_work[3] = {false};
    bool wanted[3] = {false};
    size_t seen = 0;

    (void)state;
    begin(&s,
          (struct kube_queue_options){.workers = 2, .backoff_max_ms = 5, .retries_per_s = 1000000});
    kube_queue_start(s.q);
    for (size_t step = 0; step < 2000 && s.n_handled < HANDLED_MAX - 10; step++) {
        size_t i = (size_t)kube_random(3);

        switch (kube_random(3)) {
        case 0:
            kube_queue_add(s.q, keys[i]);
            wanted[i] = true;
            break;
        case 1:
            if (at_work[i])
                kube_queue_done(s.q, keys[i]);
            at_work[i] = false;
            break;
        default:
            if (at_work[i] && kube_queue_retry(s.q, keys[i], 0))
                wanted[i] = true;
            at_work[i] = false;
        }
        (void)event_base_loop(s.base, EVLOOP_NONBLOCK);
        for (; seen < s.n_handled; seen++) {
            size_t k = (size_t)(s.handled[seen][0] - 'x');

            assert_false(at_work[k]);
            at_work[k] = true;
            wanted[k] = false;
        }
        assert_true(at_work[0] + at_work[1] + at_work[2] <= 2);
    }
    for (size_t i = 0; i < 3; i++)
        if (at_work[i])
            kube_queue_done(s.q, keys[i]);
    s.is_quick = true;
    loop_for_ms(s.base, 50);
    for (; seen < s.n_handled; seen++)
        wanted[s.handled[seen][0] - 'x'] = false;
    assert_false(wanted[0] || wanted[1] || wanted[2]);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handles_each_once_in_order),
        cmocka_unit_test(handles_again_what_was_added_meanwhile),
        cmocka_unit_test(waits_for_the_first_time),
        cmocka_unit_test(retries_later_and_later),
        cmocka_unit_test(shares_the_rate_of_retries),
        cmocka_unit_test(retries_at_once_what_was_added_meanwhile),
        cmocka_unit_test(leaves_the_loop_to_others),
        cmocka_unit_test(long_work_leaves_the_loop_to_timers),
        cmocka_unit_test(stops_and_goes_on),
        cmocka_unit_test(measures),
        cmocka_unit_test(keeps_its_rules_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
