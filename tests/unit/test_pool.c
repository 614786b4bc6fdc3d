/* Every task runs once, on few threads, and a failure stops what has not begun. */
#include "pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TASKS 1000

struct record {
    atomic_int runs[TASKS];
    atomic_int by_worker[POOL_MAX_JOBS];
    atomic_int running, most;
    size_t fail_at; /* SIZE_MAX: nowhere */
};

static int note(void *arg, size_t worker, size_t task)
{
    struct record *r = arg;
    int now = atomic_fetch_add(&r->running, 1) + 1, most = atomic_load(&r->most);

    while (now > most && !atomic_compare_exchange_weak(&r->most, &most, now))
        continue;
    atomic_fetch_add(&r->runs[task], 1);
    atomic_fetch_add(&r->by_worker[worker], 1);
    atomic_fetch_sub(&r->running, 1);
    return task == r->fail_at ? -7 : 0;
}

static void runs_each_task_once(void **state)
{
    static const size_t jobs[] = {1, 2, 7, POOL_MAX_JOBS, POOL_MAX_JOBS + 50, TASKS * 2};

    (void)state;
    for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
        struct record r = {.fail_at = SIZE_MAX};
        int sum = 0;

        assert_int_equal(pool_run(jobs[i], TASKS, note, &r), 0);
        for (size_t t = 0; t < TASKS; t++)
            assert_int_equal(r.runs[t], 1);
        for (size_t w = 0; w < POOL_MAX_JOBS; w++)
            sum += r.by_worker[w];
        assert_int_equal(sum, TASKS);
        assert_true((size_t)r.most <= jobs[i] && r.most <= POOL_MAX_JOBS);
    }
}

static void uses_no_more_workers_than_tasks(void **state)
{
    struct record r = {.fail_at = SIZE_MAX};

    (void)state;
    assert_int_equal(pool_run(8, 2, note, &r), 0);
    assert_int_equal(r.by_worker[0] + r.by_worker[1], 2);
    assert_int_equal(pool_run(8, 0, note, &r), 0);
    assert_int_equal(r.runs[0], 1);
}

static void stops_at_a_failure(void **state)
{
    struct record alone = {.fail_at = 20}, many = {.fail_at = 20};

    (void)state;
    assert_int_equal(pool_run(1, TASKS, note, &alone), -7);
    assert_int_equal(pool_run(8, TASKS, note, &many), -7);
    for (size_t t = 0; t <= 20; t++) {
        assert_int_equal(alone.runs[t], 1);
        assert_int_equal(many.runs[t], 1);
    }
    assert_int_equal(alone.runs[21], 0);
}

static void one_job_keeps_the_order(void **state)
{
    struct record r = {.fail_at = 5};

    (void)state;
    assert_int_equal(pool_run(1, TASKS, note, &r), -7);
    assert_int_equal(r.by_worker[0], 6);
    assert_int_equal(r.runs[6], 0);
    assert_true(pool_default_jobs() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_each_task_once),
        cmocka_unit_test(uses_no_more_workers_than_tasks),
        cmocka_unit_test(stops_at_a_failure),
        cmocka_unit_test(one_job_keeps_the_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
