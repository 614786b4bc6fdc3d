#pragma once
/* Time on a libevent loop. */
#include <stdbool.h>
#include <stdint.h>

struct event;
struct event_base;

int64_t kube_now_ms(void); /* CLOCK_MONOTONIC */
int64_t kube_now_us(void);
/* CLOCK_BOOTTIME: goes on while the machine sleeps. */
int64_t kube_boot_ms(void);

/* Calls `fn` from the loop each time that it is set or woken; frees with event_free. */
struct event *kube_timer_new(struct event_base *base, void (*fn)(void *arg), void *arg);
void kube_timer_set(struct event *timer, int64_t ms); /* negative: 0 */
void kube_timer_wake(struct event *timer);            /* in this turn of the loop */
void kube_timer_stop(struct event *timer);
void kube_timer_free(struct event *timer); /* NULL is fine */

/* At random from 0 up to below `bound`; 0 where that is 0. */
int64_t kube_random(int64_t bound);
