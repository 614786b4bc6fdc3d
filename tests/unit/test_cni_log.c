/* The log's file: lines that stay lines, steps, levels. */
#include "cni_log.h"

#include "buf.h"
#include "fs.h"
#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void read_log(struct buf *out)
{
    buf_init(out, 1 << 20);
    assert_int_equal(fs_read_file("l", out, NULL), 0);
}

static size_t count(const char *text, char c)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == c;
    return n;
}

static void lines_stay_lines(void **state)
{
    struct cni_conf conf = {.log_file = "l", .log_level = LOG_INFO, .log_max = 4096};
    struct cni_env env = {.command = CNI_ADD, .container_id = "c", .ifname = "eth1"};
    auto_buf struct buf text;

    (void)state;
    cni_log_open(&conf, &env);
    log_error("one\n2026-01-01T00:00:00.000Z error: two\x1b[1m");
    cni_log_step("not at this level");
    cni_log_close();
    log_error("not in the file");
    read_log(&text);
    assert_int_equal(count(text.data, '\n'), 1);
    assert_non_null(strstr(text.data,
                           "error: one 2026-01-01T00:00:00.000Z error: two?[1m command=ADD "
                           "container=c ifname=eth1 pod=/\n"));
}

static void steps_have_their_time(void **state)
{
    struct cni_conf conf = {.log_file = "l", .log_level = LOG_DEBUG, .log_max = 4096};
    struct cni_env env = {.command = CNI_DEL};
    auto_buf struct buf text;

    (void)state;
    cni_log_open(&conf, &env);
    cni_log_step("link '%s' made", "eth1");
    assert_true(cni_log_elapsed_ms() >= 0);
    cni_log_close();
    read_log(&text);
    assert_non_null(strstr(text.data, "debug: link 'eth1' made: "));
    assert_non_null(strstr(text.data, " ms command=DEL "));
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, tempdir_enter, tempdir_leave)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(lines_stay_lines),
        IN_FOLDER(steps_have_their_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
