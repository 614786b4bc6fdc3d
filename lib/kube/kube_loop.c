/* Clocks, timers and chance. */
#include "kube_loop.h"

#include "mem.h"

#include <event2/event.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <time.h>

static int64_t read_us(clockid_t clock)
{
    struct timespec ts;

    (void)clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t kube_now_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t kube_now_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t kube_boot_ms(void)
{
    return read_us(CLOCK_BOOTTIME) / 1000;
}

/* What the event carries; freed with it. */
struct timer {
    void (*fn)(void *arg);
    void *arg;
};

static void on_time(evutil_socket_t fd, short events, void *arg)
{
    const struct timer *t = arg;

    (void)fd;
    (void)events;
    t->fn(t->arg);
}

struct event *kube_timer_new(struct event_base *base, void (*fn)(void *arg), void *arg)
{
    struct timer *t = xmalloc(sizeof(*t));
    struct event *event = evtimer_new(base, on_time, t);

    if (!event)
        abort();
    *t = (struct timer){.fn = fn, .arg = arg};
    return event;
}

void kube_timer_set(struct event *timer, int64_t ms)
{
    struct timeval time = {.tv_sec = ms > 0 ? ms / 1000 : 0,
                           .tv_usec = ms > 0 ? ms % 1000 * 1000 : 0};

    if (evtimer_add(timer, &time) < 0)
        abort();
}

void kube_timer_wake(struct event *timer)
{
    event_active(timer, EV_TIMEOUT, 0);
}

void kube_timer_stop(struct event *timer)
{
    (void)evtimer_del(timer);
}

void kube_timer_free(struct event *timer)
{
    struct timer *t;

    if (!timer)
        return;
    t = event_get_callback_arg(timer);
    event_free(timer);
    free(t);
}

int64_t kube_random(int64_t bound)
{
    uint64_t value = 0;

    if (bound <= 0)
        return 0;
    if (RAND_bytes((unsigned char *)&value, sizeof(value)) != 1)
        abort();
    return (int64_t)(value % (uint64_t)bound);
}
