/* Results of connectivity tests as text, JSON and JUnit XML. */
#include "conn.h"

#include "buf.h"
#include "fs.h"
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define JUNIT_MAX (8u << 20)

static const char *const words[CONN_LEVELS] = {"pass", "warn", "fail", "skip"};

void conn_print(const struct conn_report *r)
{
    static const char *const colours[CONN_LEVELS] = {"\033[32m", "\033[33m", "\033[31m", "\033[2m"};
    bool colour = cli_wants_colour();
    int check = 0, subject = 0;

    for (size_t i = 0; i < r->count; i++) {
        int len = (int)strlen(r->results[i].check);

        check = len > check ? len : check;
        len = (int)strlen(r->results[i].subject);
        subject = len > subject ? len : subject;
    }
    for (size_t i = 0; i < r->count; i++) {
        const struct conn_result *result = &r->results[i];
        enum conn_level level = result->level;

        if (cli_common.quiet && (level == CONN_PASS || level == CONN_SKIP))
            continue;
        (void)printf("%s%s%s  %-*s  %-*s  %s\n", colour ? colours[level] : "", words[level],
                     colour ? "\033[0m" : "", check, result->check, subject, result->subject,
                     result->seen);
        for (size_t k = 0; k < result->n_causes; k++)
            (void)printf("      %-*s  %-*s  %zu. %s\n", check, "", subject, "", k + 1,
                         result->causes[k]);
    }
    (void)printf("%zu pass, %zu warn, %zu fail, %zu skip\n", r->n[CONN_PASS], r->n[CONN_WARN],
                 r->n[CONN_FAIL], r->n[CONN_SKIP]);
}

void conn_add_json(cJSON *root, const struct conn_report *r)
{
    cJSON *list = cJSON_AddArrayToObject(root, "results"), *sum;

    for (size_t i = 0; i < r->count; i++) {
        const struct conn_result *result = &r->results[i];
        cJSON *obj = cJSON_CreateObject(), *causes;

        json_add_str(obj, "check", result->check);
        json_add_str(obj, "subject", result->subject);
        json_add_str(obj, "result", words[result->level]);
        json_add_str(obj, "seen", result->seen);
        causes = cJSON_AddArrayToObject(obj, "causes");
        for (size_t k = 0; k < result->n_causes; k++)
            cJSON_AddItemToArray(causes, cJSON_CreateString(result->causes[k]));
        cJSON_AddItemToArray(list, obj);
    }
    sum = cJSON_AddObjectToObject(root, "summary");
    for (size_t i = 0; i < CONN_LEVELS; i++)
        json_add_int(sum, words[i], (int64_t)r->n[i]);
}

/* --- JUnit --- */

/* XML 1.0 knows no control characters but these three, not even escaped. */
static void add_xml(struct buf *out, const char *text)
{
    for (const char *p = text; *p; p++)
        switch (*p) {
        case '<':
            (void)buf_addstr(out, "&lt;");
            break;
        case '>':
            (void)buf_addstr(out, "&gt;");
            break;
        case '&':
            (void)buf_addstr(out, "&amp;");
            break;
        case '"':
            (void)buf_addstr(out, "&quot;");
            break;
        default:
            if ((unsigned char)*p >= ' ' || *p == '\n' || *p == '\t')
                (void)buf_addch(out, *p);
            else
                (void)buf_addch(out, '?');
        }
}

static void add_attribute(struct buf *out, const char *name, const char *text)
{
    (void)buf_addf(out, " %s=\"", name);
    add_xml(out, text);
    (void)buf_addch(out, '"');
}

static void add_case(struct buf *out, const char *suite, const struct conn_result *r)
{
    auto_buf struct buf class;

    buf_init(&class, 256);
    (void)buf_addf(&class, "%s.%s", suite, r->check);
    (void)buf_addstr(out, "  <testcase");
    add_attribute(out, "classname", class.data);
    add_attribute(out, "name", r->subject);
    if (r->level == CONN_FAIL) {
        (void)buf_addstr(out, ">\n    <failure");
        add_attribute(out, "message", r->seen);
        (void)buf_addch(out, '>');
        for (size_t i = 0; i < r->n_causes; i++) {
            (void)buf_addf(out, "%zu. ", i + 1);
            add_xml(out, r->causes[i]);
            (void)buf_addch(out, '\n');
        }
        (void)buf_addstr(out, "</failure>\n  </testcase>\n");
        return;
    }
    (void)buf_addch(out, '>');
    if (r->level == CONN_SKIP) {
        (void)buf_addstr(out, "\n    <skipped");
        add_attribute(out, "message", r->seen);
        (void)buf_addstr(out, "/>\n  </testcase>\n");
        return;
    }
    (void)buf_addstr(out, "\n    <system-out>");
    add_xml(out, r->seen);
    (void)buf_addstr(out, "</system-out>\n  </testcase>\n");
}

int conn_write_junit(const struct conn_report *r, const char *suite, const char *path,
                     struct err **e)
{
    auto_buf struct buf out;

    buf_init(&out, JUNIT_MAX);
    (void)buf_addstr(&out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite");
    add_attribute(&out, "name", suite);
    (void)buf_addf(&out, " tests=\"%zu\" failures=\"%zu\" skipped=\"%zu\" errors=\"0\">\n",
                   r->count, r->n[CONN_FAIL], r->n[CONN_SKIP]);
    for (size_t i = 0; i < r->count; i++)
        add_case(&out, suite, &r->results[i]);
    if (buf_addstr(&out, "</testsuite>\n") < 0)
        return err_set(e, -EFBIG, "'%s' would be larger than %u bytes", path, JUNIT_MAX);
    return fs_write_file(path, out.data, out.len, 0644, e);
}
