/* Threads that take numbered tasks until none is left. */
#include "pool.h"

#include "mem.h"

#include <pthread.h>
#include <sched.h>

struct pool {
    int (*fn)(void *arg, size_t worker, size_t task);
    void *arg;
    size_t count;
    pthread_mutex_t lock; /* guards the rest */
    size_t next;
    int result;
};

struct worker {
    struct pool *pool;
    size_t number;
};

static int take_task(struct pool *p, size_t *out_task)
{
    int have;

    pthread_mutex_lock(&p->lock);
    have = p->result == 0 && p->next < p->count;
    if (have)
        *out_task = p->next++;
    pthread_mutex_unlock(&p->lock);
    return have;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct pool *p = w->pool;
    size_t task = 0;

    while (take_task(p, &task)) {
        int r = p->fn(p->arg, w->number, task);
        if (r >= 0)
            continue;
        pthread_mutex_lock(&p->lock);
        if (!p->result)
            p->result = r;
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

int pool_run(size_t jobs, size_t count, int (*fn)(void *arg, size_t worker, size_t task), void *arg)
{
    struct pool pool = {.fn = fn, .arg = arg, .count = count};
    struct worker workers[POOL_MAX_JOBS];
    pthread_t threads[POOL_MAX_JOBS];
    pthread_attr_t attr;
    size_t started = 0;

    jobs = jobs > POOL_MAX_JOBS ? POOL_MAX_JOBS : jobs;
    jobs = jobs > count ? count : jobs;
    pthread_mutex_init(&pool.lock, NULL);
    pthread_attr_init(&attr);
    /* TLS handshakes need some stack; the default of 8 MiB a thread is only address space. */
    pthread_attr_setstacksize(&attr, 512 * 1024);
    for (; started + 1 < jobs; started++) {
        workers[started] = (struct worker){&pool, started};
        if (pthread_create(&threads[started], &attr, work, &workers[started]) != 0)
            break;
    }
    /* The caller is a worker too, so work is done even where no thread can be made. */
    workers[started] = (struct worker){&pool, started};
    (void)work(&workers[started]);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_attr_destroy(&attr);
    pthread_mutex_destroy(&pool.lock);
    return pool.result;
}

size_t pool_default_jobs(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) < 0)
        return 1;
    return CPU_COUNT(&set) > 0 ? (size_t)CPU_COUNT(&set) : 1;
}
