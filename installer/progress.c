/* Bars, lines or events on stderr, drawn by one thread of its own. */
#include "progress.h"

#include "cli.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "num.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 64
#define BARS_SHOWN 12
#define BAR_WIDTH 24

enum style { STYLE_NONE, STYLE_BARS, STYLE_LINES, STYLE_EVENTS };

struct item {
    bool running;
    char name[64];
    int64_t size;
    atomic_llong done;
};

struct progress {
    char verb[32];
    enum style style;
    int64_t total, before;
    atomic_llong done;
    struct timespec start;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t wake;
    bool stopping;
    struct item items[SLOTS];
    int lines_drawn;
};

/* The one display that log lines must step around. */
static struct progress *shown;

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static int columns(void)
{
    struct winsize ws;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) < 0 || ws.ws_col < 40)
        return 80;
    return ws.ws_col;
}

static void wipe(struct progress *p)
{
    if (p->lines_drawn)
        (void)fprintf(stderr, "\033[%dA\r\033[J", p->lines_drawn);
    p->lines_drawn = 0;
}

static void draw_bar(struct progress *p, const char *name, int64_t done, int64_t size,
                     const char *tail)
{
    char bar[BAR_WIDTH + 1], have[NUM_SIZE_TEXT], all[NUM_SIZE_TEXT];
    int filled = size > 0 ? (int)(done * BAR_WIDTH / size) : BAR_WIDTH;
    int width = columns() - BAR_WIDTH - 26 - (int)strlen(tail);

    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)(filled > BAR_WIDTH ? BAR_WIDTH : filled));
    bar[BAR_WIDTH] = '\0';
    width = width < 8 ? 8 : width > 40 ? 40 : width;
    (void)fprintf(stderr, "%-*.*s [%s] %9s/%-9s%s\n", width, width, name, bar,
                  num_format_size(done, have), num_format_size(size, all), tail);
    p->lines_drawn++;
}

/* "mm:ss" or "h:mm:ss", to be freed. */
static char *format_left(double seconds)
{
    long s = (long)seconds;

    if (!(seconds >= 0 && seconds < 360000))
        return xstrdup("--:--");
    if (s >= 3600)
        return xasprintf("%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    return xasprintf("%02ld:%02ld", s / 60, s % 60);
}

static void draw_total(struct progress *p)
{
    int64_t done = atomic_load(&p->done);
    double elapsed = seconds_since(&p->start);
    double rate = elapsed > 0 ? (double)(done - p->before) / elapsed : 0;
    auto_free char *left = format_left(rate > 0 ? (double)(p->total - done) / rate : -1);
    char speed[NUM_SIZE_TEXT], have[NUM_SIZE_TEXT], all[NUM_SIZE_TEXT];
    auto_free char *tail = NULL;

    (void)num_format_size((int64_t)rate, speed);
    tail = xasprintf(" %s/s %s left", speed, left);
    if (p->style == STYLE_BARS) {
        draw_bar(p, p->verb, done, p->total, tail);
        return;
    }
    (void)fprintf(stderr, "%s: %s of %s, %.0f %%,%s\n", p->verb, num_format_size(done, have),
                  num_format_size(p->total, all),
                  p->total ? 100.0 * (double)done / (double)p->total : 100.0, tail);
}

static void draw_event(struct progress *p)
{
    auto_json cJSON *event = cJSON_CreateObject();
    auto_free char *text = NULL;
    int64_t done = atomic_load(&p->done);
    double elapsed = seconds_since(&p->start);

    json_add_str(event, "event", "progress");
    json_add_str(event, "verb", p->verb);
    json_add_int(event, "doneBytes", done);
    json_add_int(event, "totalBytes", p->total);
    json_add_int(event, "bytesPerSecond",
                 elapsed > 0 ? (int64_t)((double)(done - p->before) / elapsed) : 0);
    text = json_print(event);
    (void)fprintf(stderr, "%s\n", text);
}

static void draw(struct progress *p)
{
    int bars = 0;

    if (p->style == STYLE_EVENTS) {
        draw_event(p);
        return;
    }
    if (p->style == STYLE_BARS) {
        wipe(p);
        for (size_t i = 0; i < SLOTS && bars < BARS_SHOWN; i++) {
            if (!p->items[i].running)
                continue;
            draw_bar(p, p->items[i].name, atomic_load(&p->items[i].done), p->items[i].size, "");
            bars++;
        }
    }
    draw_total(p);
    (void)fflush(stderr);
}

static void *draw_loop(void *arg)
{
    struct progress *p = arg;
    long step_ms = p->style == STYLE_BARS ? 200 : p->style == STYLE_EVENTS ? 1000 : 5000;

    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        struct timespec until;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += step_ms % 1000 * 1000000;
        until.tv_sec += step_ms / 1000 + until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&p->wake, &p->lock, &until);
        if (!p->stopping)
            draw(p);
    }
    wipe(p);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void before_log(void)
{
    pthread_mutex_lock(&shown->lock);
    wipe(shown);
}

static void after_log(void)
{
    pthread_mutex_unlock(&shown->lock);
}

static enum style pick_style(void)
{
    const char *term = getenv("TERM");

    if (cli_common.quiet || cli_common.no_progress)
        return STYLE_NONE;
    if (cli_common.json)
        return STYLE_EVENTS;
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") ? STYLE_BARS : STYLE_LINES;
}

struct progress *progress_new(const char *verb, int64_t total, int64_t done)
{
    struct progress *p = xcalloc(1, sizeof(*p));
    pthread_condattr_t attr;

    (void)snprintf(p->verb, sizeof(p->verb), "%s", verb);
    p->style = pick_style();
    p->total = total;
    p->before = done;
    atomic_store(&p->done, done);
    clock_gettime(CLOCK_MONOTONIC, &p->start);
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (p->style == STYLE_NONE)
        return p;
    shown = p;
    log_set_hooks(before_log, after_log);
    p->has_thread = pthread_create(&p->thread, NULL, draw_loop, p) == 0;
    return p;
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    if (p->has_thread)
        pthread_join(p->thread, NULL);
    if (shown == p) {
        log_set_hooks(NULL, NULL);
        shown = NULL;
    }
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

size_t progress_start(struct progress *p, const char *name, int64_t size, int64_t done)
{
    size_t slot = SLOTS;

    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < SLOTS && slot == SLOTS; i++)
        if (!p->items[i].running)
            slot = i;
    if (slot < SLOTS) {
        (void)snprintf(p->items[slot].name, sizeof(p->items[slot].name), "%s", name);
        p->items[slot].size = size;
        atomic_store(&p->items[slot].done, done);
        p->items[slot].running = true;
    }
    pthread_mutex_unlock(&p->lock);
    return slot;
}

void progress_add(struct progress *p, size_t item, int64_t bytes)
{
    atomic_fetch_add(&p->done, bytes);
    if (item < SLOTS)
        atomic_fetch_add(&p->items[item].done, bytes);
}

void progress_end(struct progress *p, size_t item)
{
    if (item >= SLOTS)
        return;
    pthread_mutex_lock(&p->lock);
    p->items[item].running = false;
    pthread_mutex_unlock(&p->lock);
}
