/* Counters, gauges and histograms as Prometheus reads them. */
#include "metrics.h"

#include "mem.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BUCKETS 14
#define NUMBER_SIZE 32

enum kind { GAUGE, COUNTER, HISTOGRAM };

struct family {
    const char *name;
    const char *help;
    enum kind kind;
    const char *labels[2];
    const double *buckets; /* upper bounds, ascending, ended by 0 */
};

/* From an answer out of memory to one that waited for a slow API server. */
static const double allocation_buckets[MAX_BUCKETS + 1] = {0.001, 0.0025, 0.005, 0.01, 0.025,
                                                           0.05,  0.1,    0.25,  0.5,  1,
                                                           2.5,   5,      10,    30};
/* Decades, as client-go has them. */
static const double queue_buckets[] = {1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 0};

static const struct family families[METRIC_COUNT] = {
    [METRIC_BUILD_INFO] =
        {"flatnet_build_info", "Version of this program, always 1.", GAUGE, {"version"}, NULL},
    [METRIC_LEADER] = {"leader_election_master_status",
                       "1 while this replica holds the lease, else 0.",
                       GAUGE,
                       {"name"},
                       NULL},
    [METRIC_SUBNET_ADDRESSES] = {"macvlan_subnet_addresses",
                                 "Addresses of a subnet by state.",
                                 GAUGE,
                                 {"subnet", "state"},
                                 NULL},
    [METRIC_QUEUE_DEPTH] =
        {"workqueue_depth", "Keys that wait in the queue.", GAUGE, {"name"}, NULL},
    [METRIC_ALLOCATIONS] = {"macvlan_ip_allocations_total",
                            "Allocations of addresses by result.",
                            COUNTER,
                            {"result"},
                            NULL},
    [METRIC_QUEUE_ADDS] =
        {"workqueue_adds_total", "Keys that were added to the queue.", COUNTER, {"name"}, NULL},
    [METRIC_QUEUE_RETRIES] = {"workqueue_retries_total",
                              "Keys that were added again after a failure.",
                              COUNTER,
                              {"name"},
                              NULL},
    [METRIC_REQUESTS] = {"rest_client_requests_total",
                         "Requests to the API server by status code and method.",
                         COUNTER,
                         {"code", "method"},
                         NULL},
    [METRIC_REVIEWS] = {"macvlan_admission_reviews_total",
                        "Reviews that the admission webhook was asked for, by result.",
                        COUNTER,
                        {"result"},
                        NULL},
    [METRIC_ALLOCATION_DURATION] = {"macvlan_ip_allocation_duration_seconds",
                                    "Time from a pod's appearance to its written MacvlanIP.",
                                    HISTOGRAM,
                                    {NULL},
                                    allocation_buckets},
    [METRIC_QUEUE_DURATION] = {"workqueue_queue_duration_seconds",
                               "Time that a key waits.",
                               HISTOGRAM,
                               {"name"},
                               queue_buckets},
    [METRIC_WORK_DURATION] = {"workqueue_work_duration_seconds",
                              "Time that a key is worked on.",
                              HISTOGRAM,
                              {"name"},
                              queue_buckets},
};

struct series {
    char *values[2];                  /* of the labels; NULL behind the last */
    double value;                     /* of a histogram: the sum */
    uint64_t counts[MAX_BUCKETS + 1]; /* for each bucket its own, then those above all */
    char key[];
};

/* Sorted by key. */
struct list {
    struct series **items;
    size_t count;
};

struct metrics {
    struct list lists[METRIC_COUNT];
};

/* The labels as they stand between the braces, which tells series apart. */
static char *make_key(const struct family *f, const char *const values[2])
{
    auto_buf struct buf text;

    buf_init(&text, 1 << 16);
    for (size_t i = 0; i < 2 && f->labels[i]; i++) {
        (void)buf_addf(&text, "%s%s=\"", i ? "," : "", f->labels[i]);
        for (const char *c = values[i] ? values[i] : ""; *c; c++) {
            if (*c == '\n')
                (void)buf_addstr(&text, "\\n");
            else
                (void)buf_addf(&text, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
        }
        (void)buf_addch(&text, '"');
    }
    return buf_steal(&text);
}

/* Where the series with that key is, or belongs. */
static size_t position_of(const struct list *l, const char *key)
{
    size_t low = 0, high = l->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(l->items[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct series *series_new(const char *key, const char *const values[2])
{
    size_t size = strlen(key) + 1;
    struct series *s = xcalloc(1, sizeof(*s) + size);

    memcpy(s->key, key, size);
    for (size_t i = 0; i < 2; i++)
        s->values[i] = xstrdup(values[i]);
    return s;
}

static void series_free(struct series *s)
{
    free(s->values[0]);
    free(s->values[1]);
    free(s);
}

/* The series with those labels, a new one when there is none yet; NULL when there are too many. */
static struct series *find(struct metrics *m, enum metric id, const char *a, const char *b)
{
    const char *values[2] = {a, b};
    auto_free char *key = make_key(&families[id], values);
    struct list *l = &m->lists[id];
    size_t at = position_of(l, key);

    if (at < l->count && !strcmp(l->items[at]->key, key))
        return l->items[at];
    if (l->count == METRICS_MAX_SERIES)
        return NULL;
    array_grow(l->items, l->count);
    memmove(&l->items[at + 1], &l->items[at], (l->count - at) * sizeof(l->items[0]));
    l->items[at] = series_new(key, values);
    l->count++;
    return l->items[at];
}

struct metrics *metrics_new(void)
{
    struct metrics *m = xcalloc(1, sizeof(*m));

    for (int id = 0; id < METRIC_COUNT; id++)
        if (!families[id].labels[0])
            (void)find(m, (enum metric)id, NULL, NULL);
    metrics_set(m, METRIC_BUILD_INFO, FLATNET_VERSION, NULL, 1);
    return m;
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    for (int id = 0; id < METRIC_COUNT; id++) {
        for (size_t i = 0; i < m->lists[id].count; i++)
            series_free(m->lists[id].items[i]);
        free(m->lists[id].items);
    }
    free(m);
}

void metrics_add(struct metrics *m, enum metric id, const char *a, const char *b, double amount)
{
    struct series *s;

    if (families[id].kind == HISTOGRAM || (families[id].kind == COUNTER && !(amount >= 0)))
        return;
    s = find(m, id, a, b);
    if (s)
        s->value += amount;
}

void metrics_set(struct metrics *m, enum metric id, const char *a, const char *b, double value)
{
    struct series *s = families[id].kind == GAUGE ? find(m, id, a, b) : NULL;

    if (s)
        s->value = value;
}

void metrics_observe(struct metrics *m, enum metric id, const char *a, const char *b,
                     double seconds)
{
    const double *bounds = families[id].buckets;
    struct series *s = bounds ? find(m, id, a, b) : NULL;
    size_t i = 0;

    if (!s)
        return;
    while (bounds[i] > 0 && seconds > bounds[i])
        i++;
    s->counts[i]++;
    s->value += seconds;
}

void metrics_forget(struct metrics *m, enum metric id, const char *a)
{
    struct list *l = &m->lists[id];
    size_t kept = 0;

    for (size_t i = 0; i < l->count; i++) {
        struct series *s = l->items[i];

        if (s->values[0] && !strcmp(s->values[0], a))
            series_free(s);
        else
            l->items[kept++] = s;
    }
    l->count = kept;
}

/* The shortest text that reads back as the same number. */
static const char *format_number(double value, char out[NUMBER_SIZE])
{
    if (isnan(value))
        return "NaN";
    if (isinf(value))
        return value > 0 ? "+Inf" : "-Inf";
    for (int digits = 6; digits <= 17; digits++) {
        (void)snprintf(out, NUMBER_SIZE, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
    return out;
}

static int write_line(struct buf *out, const char *name, const struct series *s, const char *number)
{
    return buf_addf(out, *s->key ? "%s{%s} %s\n" : "%s%s %s\n", name, s->key, number);
}

static int write_histogram(struct buf *out, const struct family *f, const struct series *s)
{
    const char *comma = *s->key ? "," : "";
    char number[NUMBER_SIZE];
    uint64_t total = 0;

    for (size_t i = 0;; i++) {
        const char *bound = f->buckets[i] > 0 ? format_number(f->buckets[i], number) : "+Inf";

        total += s->counts[i];
        (void)buf_addf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", f->name, s->key, comma, bound,
                       (unsigned long long)total);
        if (!(f->buckets[i] > 0))
            break;
    }
    (void)buf_addf(out, *s->key ? "%s_sum{%s} %s\n" : "%s_sum%s %s\n", f->name, s->key,
                   format_number(s->value, number));
    return buf_addf(out, *s->key ? "%s_count{%s} %llu\n" : "%s_count%s %llu\n", f->name, s->key,
                    (unsigned long long)total);
}

static int write_family(struct buf *out, const struct family *f, const struct list *l)
{
    static const char *const types[] = {"gauge", "counter", "histogram"};
    char number[NUMBER_SIZE];
    int r;

    r = buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, types[f->kind]);
    for (size_t i = 0; i < l->count && r >= 0; i++) {
        const struct series *s = l->items[i];

        r = f->kind == HISTOGRAM ? write_histogram(out, f, s)
                                 : write_line(out, f->name, s, format_number(s->value, number));
    }
    return r;
}

int metrics_write(const struct metrics *m, struct buf *out)
{
    for (int id = 0; id < METRIC_COUNT; id++) {
        int r = m->lists[id].count ? write_family(out, &families[id], &m->lists[id]) : 0;

        if (r < 0)
            return r;
    }
    return 0;
}
