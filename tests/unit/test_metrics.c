/* The text that Prometheus reads: its grammar, and the numbers in it. */
#include "metrics.h"

#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static char *text_of(const struct metrics *m)
{
    struct buf text;

    buf_init(&text, 1 << 20);
    assert_int_equal(metrics_write(m, &text), 0);
    return buf_steal(&text);
}

static void assert_has_line(const char *text, const char *line)
{
    auto_free char *inside = xasprintf("\n%s\n", line);
    auto_free char *all = xasprintf("\n%s", text);

    if (!strstr(all, inside))
        fail_msg("no line '%s' in:\n%s", line, text);
}

/* --- a reader of the grammar: name[{label="value",...}] number --- */

static const char *read_name(const char *at, bool is_metric)
{
    if (!isalpha((unsigned char)*at) && *at != '_')
        return NULL;
    while (isalnum((unsigned char)*at) || *at == '_' || (is_metric && *at == ':'))
        at++;
    return at;
}

static const char *read_value(const char *at)
{
    if (*at++ != '"')
        return NULL;
    for (; *at != '"'; at++) {
        if (!*at)
            return NULL;
        if (*at == '\\' && !strchr("\\\"n", *++at))
            return NULL;
    }
    return at + 1;
}

static const char *read_labels(const char *at)
{
    if (*at != '{')
        return at;
    do {
        at = read_name(at + 1, false);
        if (!at || *at != '=')
            return NULL;
        at = read_value(at + 1);
    } while (at && *at == ',');
    return at && *at == '}' ? at + 1 : NULL;
}

static bool is_sample(const char *line, const char *family)
{
    const char *at = read_name(line, true);
    char *end;

    if (!at || strncmp(line, family, strlen(family)) != 0)
        return false;
    at = read_labels(at);
    if (!at || *at != ' ')
        return false;
    (void)strtod(at + 1, &end);
    return end > at + 1 && !*end;
}

/* Every line is a sample of the family whose HELP and TYPE came last, each family once. */
static void assert_grammar(const char *text)
{
    auto_free char *copy = xstrdup(text), *seen = xstrdup("\n");
    char *rest = copy, *line, family[128] = "";

    assert_true(text[strlen(text) - 1] == '\n');
    while ((line = strsep(&rest, "\n")) != NULL && rest) {
        if (!strncmp(line, "# HELP ", 7)) {
            const char *end = read_name(line + 7, true);
            char *more;

            assert_true(end && *end == ' ' && end[1]);
            (void)snprintf(family, sizeof(family), "%.*s", (int)(end - line - 7), line + 7);
            more = xasprintf("%s%s\n", seen, family);
            assert_null(strstr(seen, more + strlen(seen) - 1));
            free(seen);
            seen = more;
            line = strsep(&rest, "\n");
            assert_true(!strncmp(line, "# TYPE ", 7));
            assert_true(!strncmp(line + 7, family, strlen(family)));
            assert_non_null(strstr("gauge counter histogram", line + 8 + strlen(family)));
        } else if (!is_sample(line, family)) {
            fail_msg("not a sample of '%s': %s", family, line);
        }
    }
}

/* Names that dashboards know. */
static const char *const names[] = {
    "# TYPE flatnet_build_info gauge",
    "# TYPE leader_election_master_status gauge",
    "# TYPE macvlan_subnet_addresses gauge",
    "# TYPE workqueue_depth gauge",
    "# TYPE macvlan_ip_allocations_total counter",
    "# TYPE workqueue_adds_total counter",
    "# TYPE workqueue_retries_total counter",
    "# TYPE rest_client_requests_total counter",
    "# TYPE macvlan_admission_reviews_total counter",
    "# TYPE macvlan_ip_allocation_duration_seconds histogram",
    "# TYPE workqueue_queue_duration_seconds histogram",
    "# TYPE workqueue_work_duration_seconds histogram",
};

static void the_text_has_the_grammar(void **state)
{
    struct metrics *m = metrics_new();
    auto_free char *fresh = text_of(m), *full = NULL;

    (void)state;
    assert_grammar(fresh);
    for (int id = 0; id < METRIC_COUNT; id++) {
        metrics_add(m, (enum metric)id, "one", "two", 1);
        metrics_set(m, (enum metric)id, "odd \" \\ \n }{,=\xe5\xad\x90", "", -0.5);
        metrics_observe(m, (enum metric)id, "one", "two", 0.2);
    }
    full = text_of(m);
    assert_grammar(full);
    for (size_t i = 0; i < COUNT(names); i++)
        assert_non_null(strstr(full, names[i]));
    metrics_free(m);
}

static void labels_are_escaped(void **state)
{
    struct metrics *m = metrics_new();
    auto_free char *text = NULL;

    (void)state;
    metrics_set(m, METRIC_SUBNET_ADDRESSES, "a\"b\\c\nd", "used", 3);
    text = text_of(m);
    assert_has_line(text, "macvlan_subnet_addresses{subnet=\"a\\\"b\\\\c\\nd\",state=\"used\"} 3");
    metrics_free(m);
}

static void numbers_read_back(void **state)
{
    static const struct {
        double value;
        const char *text;
    } table[] = {
        {0, "0"},
        {1, "1"},
        {16777216, "16777216"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {-2.5, "-2.5"},
        {INFINITY, "+Inf"},
        {-INFINITY, "-Inf"},
        {NAN, "NaN"},
        {9007199254740992.0, "9007199254740992"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct metrics *m = metrics_new();
        auto_free char *line = xasprintf("workqueue_depth{name=\"q\"} %s", table[i].text);
        auto_free char *text = NULL;

        metrics_set(m, METRIC_QUEUE_DEPTH, "q", NULL, table[i].value);
        text = text_of(m);
        assert_has_line(text, line);
        metrics_free(m);
    }
}

static void counters_only_rise(void **state)
{
    struct metrics *m = metrics_new();
    auto_free char *text = NULL;

    (void)state;
    metrics_add(m, METRIC_REQUESTS, "200", "GET", 2);
    metrics_add(m, METRIC_REQUESTS, "200", "GET", 1);
    metrics_add(m, METRIC_REQUESTS, "200", "GET", -7);
    metrics_add(m, METRIC_REQUESTS, "200", "GET", NAN);
    metrics_set(m, METRIC_REQUESTS, "200", "GET", 0);
    metrics_add(m, METRIC_REQUESTS, "409", "POST", 1);
    metrics_add(m, METRIC_QUEUE_DEPTH, "q", NULL, 5);
    metrics_add(m, METRIC_QUEUE_DEPTH, "q", NULL, -2);
    text = text_of(m);
    assert_has_line(text, "rest_client_requests_total{code=\"200\",method=\"GET\"} 3");
    assert_has_line(text, "rest_client_requests_total{code=\"409\",method=\"POST\"} 1");
    assert_has_line(text, "workqueue_depth{name=\"q\"} 3");
    assert_has_line(text, "# TYPE rest_client_requests_total counter");
    metrics_free(m);
}

static void histograms_count_upwards(void **state)
{
    struct metrics *m = metrics_new();
    auto_free char *text = NULL;

    (void)state;
    metrics_observe(m, METRIC_ALLOCATION_DURATION, NULL, NULL, 0.001);
    metrics_observe(m, METRIC_ALLOCATION_DURATION, NULL, NULL, 0.003);
    metrics_observe(m, METRIC_ALLOCATION_DURATION, NULL, NULL, 100);
    metrics_observe(m, METRIC_WORK_DURATION, "pods", NULL, 0.5);
    text = text_of(m);
    assert_has_line(text, "macvlan_ip_allocation_duration_seconds_bucket{le=\"0.001\"} 1");
    assert_has_line(text, "macvlan_ip_allocation_duration_seconds_bucket{le=\"0.0025\"} 1");
    assert_has_line(text, "macvlan_ip_allocation_duration_seconds_bucket{le=\"0.005\"} 2");
    assert_has_line(text, "macvlan_ip_allocation_duration_seconds_bucket{le=\"30\"} 2");
    assert_has_line(text, "macvlan_ip_allocation_duration_seconds_bucket{le=\"+Inf\"} 3");
    assert_has_line(text, "macvlan_ip_allocation_duration_seconds_sum 100.004");
    assert_has_line(text, "macvlan_ip_allocation_duration_seconds_count 3");
    assert_has_line(text, "workqueue_work_duration_seconds_bucket{name=\"pods\",le=\"0.1\"} 0");
    assert_has_line(text, "workqueue_work_duration_seconds_bucket{name=\"pods\",le=\"1\"} 1");
    assert_has_line(text, "workqueue_work_duration_seconds_sum{name=\"pods\"} 0.5");
    metrics_free(m);
}

static void starts_with_what_has_no_labels(void **state)
{
    struct metrics *m = metrics_new();
    auto_free char *text = text_of(m);

    (void)state;
    assert_has_line(text, "flatnet_build_info{version=\"" FLATNET_VERSION "\"} 1");
    assert_has_line(text, "macvlan_ip_allocation_duration_seconds_count 0");
    assert_null(strstr(text, "workqueue"));
    metrics_free(m);
}

static void a_subnet_can_be_forgotten(void **state)
{
    struct metrics *m = metrics_new();
    auto_free char *text = NULL;

    (void)state;
    metrics_set(m, METRIC_SUBNET_ADDRESSES, "b", "used", 1);
    metrics_set(m, METRIC_SUBNET_ADDRESSES, "a", "used", 2);
    metrics_set(m, METRIC_SUBNET_ADDRESSES, "a", "free", 3);
    metrics_forget(m, METRIC_SUBNET_ADDRESSES, "a");
    metrics_forget(m, METRIC_SUBNET_ADDRESSES, "never");
    text = text_of(m);
    assert_has_line(text, "macvlan_subnet_addresses{subnet=\"b\",state=\"used\"} 1");
    assert_null(strstr(text, "subnet=\"a\""));
    metrics_free(m);
}

static void series_are_sorted_and_bounded(void **state)
{
    struct metrics *m = metrics_new();
    auto_free char *text = NULL;
    size_t lines = 0;
    struct buf small;

    (void)state;
    for (int i = METRICS_MAX_SERIES + 5; i-- > 0;) {
        auto_free char *name = xasprintf("s%05d", i);

        metrics_set(m, METRIC_QUEUE_DEPTH, name, NULL, i);
    }
    text = text_of(m);
    for (const char *at = text; (at = strstr(at, "workqueue_depth{")) != NULL; at++)
        lines++;
    assert_int_equal(lines, METRICS_MAX_SERIES);
    assert_true(strstr(text, "s00005") < strstr(text, "s00006"));
    buf_init(&small, 100);
    assert_int_equal(metrics_write(m, &small), -EFBIG);
    buf_release(&small);
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_has_the_grammar),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(numbers_read_back),
        cmocka_unit_test(counters_only_rise),
        cmocka_unit_test(histograms_count_upwards),
        cmocka_unit_test(starts_with_what_has_no_labels),
        cmocka_unit_test(a_subnet_can_be_forgotten),
        cmocka_unit_test(series_are_sorted_and_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
