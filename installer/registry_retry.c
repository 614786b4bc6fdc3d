/* When to try again, and how long to wait before. */
#include "interrupt.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "registry_internal.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define WAIT_MAX_MS 30000             /* of our own backoff */
#define ASKED_WAIT_MAX_MS (5 * 60000) /* of what a registry asks for */
#define WAIT_STEP_MS 100
#define EPOCH_2001 1000000000

int64_t registry_now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct registry_retry registry_retry_start(const struct registry_conn *c,
                                           const struct registry_endpoint *ep)
{
    /* Behind a mirror stands another place to ask. */
    int left = ep->is_mirror && c->r->retries > 1 ? 1 : c->r->retries;

    return (struct registry_retry){.left = left};
}

bool registry_is_transient(int result, const struct http_response *resp, bool is_foreign)
{
    if (result < 0)
        return result == -EHOSTUNREACH && resp->fault != HTTP_TLS_UNTRUSTED &&
               resp->fault != HTTP_TLS_ABSENT;
    /* The storage behind a registry is asked by signed URLs, which expire. */
    if (is_foreign && (resp->status == 401 || resp->status == 403))
        return true;
    return resp->status == 408 || resp->status == 429 || resp->status >= 500;
}

/* Seconds, or a date (RFC 9110, 10.2.3), as ms from now; -1 where neither. */
static int64_t parse_wait(const char *text)
{
    uint64_t seconds;
    time_t when, now = time(NULL);

    if (num_parse_u64(text, INT32_MAX, &seconds) == 0) {
        /* RateLimit-Reset is a time of day with some. */
        if (seconds > EPOCH_2001)
            return (int64_t)seconds > now ? ((int64_t)seconds - now) * 1000 : 0;
        return (int64_t)seconds * 1000;
    }
    when = curl_getdate(text, NULL);
    if (when < 0)
        return -1;
    return when > now ? (int64_t)(when - now) * 1000 : 0;
}

/* What the answer asks for, or -1. */
static int64_t asked_wait_ms(const struct http_response *resp)
{
    auto_free char *after = http_header(resp, "Retry-After");
    auto_free char *reset = resp->status == 429 ? http_header(resp, "RateLimit-Reset") : NULL;
    int64_t wait = after ? parse_wait(after) : -1;

    return wait < 0 && reset ? parse_wait(reset) : wait;
}

static uint64_t next_random(struct registry_conn *c)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return c->random;
}

/* Exponential with full jitter: many clients that failed together do not come back together. */
static int64_t backoff_ms(struct registry_conn *c, int number)
{
    int64_t limit = c->r->retry_base_ms;

    for (int i = 0; i < number && limit < WAIT_MAX_MS; i++)
        limit *= 2;
    if (limit > WAIT_MAX_MS)
        limit = WAIT_MAX_MS;
    return (int64_t)(next_random(c) % (uint64_t)(limit + 1));
}

/* In steps, since a signal may have woken another thread. False: interrupted. */
static bool sleep_ms(int64_t ms)
{
    int64_t end = registry_now_ms() + ms;

    for (int64_t left; (left = end - registry_now_ms()) > 0 && !interrupt_seen();) {
        struct timespec step = {.tv_nsec = (left < WAIT_STEP_MS ? left : WAIT_STEP_MS) * 1000000};
        (void)nanosleep(&step, NULL);
    }
    return !interrupt_seen();
}

int registry_wait(struct registry_conn *c, struct registry_retry *retry, int result,
                  const struct http_response *resp, struct err **e)
{
    int64_t asked = resp->headers.data ? asked_wait_ms(resp) : -1;
    int64_t wait = asked >= 0 ? asked : backoff_ms(c, retry->number);
    const char *why = e ? err_text(*e) : "the request failed";

    if (retry->left <= 0)
        return result;
    if (wait > ASKED_WAIT_MAX_MS)
        return err_set(e, result, "%s; it asks to wait %lld minutes, run this again then", why,
                       (long long)(wait / 60000));
    retry->left--;
    retry->number++;
    log_info("%s; trying again in %.1f s", why, (double)wait / 1000);
    return sleep_ms(wait) ? 0 : interrupt_check(e);
}
