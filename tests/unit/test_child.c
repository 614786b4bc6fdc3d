/* Other programs: their streams, their failures, their end. */
#include "child.h"

#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Gives `left` bytes, then ends with `end`. */
struct supply {
    size_t left;
    ssize_t end;
};

static ssize_t give(void *arg, void *bytes, size_t size, struct err **e)
{
    struct supply *s = arg;
    size_t n = s->left < size ? s->left : size;

    if (!n && s->end < 0)
        return err_set(e, (int)s->end, "the source broke");
    memset(bytes, 'x', n);
    s->left -= n;
    return (ssize_t)n;
}

static int run(const char *script, struct supply *supply, struct buf *out, struct err **e)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct child child = {.argv = argv, .source = supply ? give : NULL, .source_arg = supply};

    return child_run(&child, out, e);
}

static void streams_pass_in_both_directions(void **state)
{
    struct supply supply = {.left = 3000000};
    auto_buf struct buf out;

    (void)state;
    buf_init(&out, 4000000);
    assert_int_equal(run("cat; echo noise >&2", &supply, &out, NULL), 0);
    assert_int_equal(out.len, 3000000);
}

static void without_a_source_the_input_is_empty(void **state)
{
    auto_buf struct buf out;

    (void)state;
    buf_init(&out, 100);
    assert_int_equal(run("cat; echo end", NULL, &out, NULL), 0);
    assert_string_equal(out.data, "end\n");
}

static void failures_carry_the_last_complaint(void **state)
{
    static const struct {
        const char *script, *message;
    } table[] = {
        {"echo first >&2; printf 'last \\033[31mred\\n\\n' >&2; exit 3", "last  [31mred"},
        {"exit 4", "'/bin/sh' ended with status 4"},
        {"kill -KILL $$", "'/bin/sh' was killed by signal 9"},
        {"i=0; while [ $i -lt 3000 ]; do echo 'some long line of text' >&2; i=$((i+1)); done; "
         "echo the end >&2; exit 1",
         "the end"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_err struct err *e = NULL;
        auto_buf struct buf out;

        buf_init(&out, 100);
        assert_int_equal(run(table[i].script, NULL, &out, &e), -EREMOTEIO);
        assert_string_equal(err_text(e), table[i].message);
    }
}

static void a_program_that_does_not_read_is_judged_by_its_status(void **state)
{
    struct supply supply = {.left = 3000000};
    auto_err struct err *e = NULL;
    auto_buf struct buf out;

    (void)state;
    buf_init(&out, 100);
    assert_int_equal(run("exec <&-; echo fine", &supply, &out, NULL), 0);
    assert_string_equal(out.data, "fine\n");
    supply.left = 3000000;
    assert_int_equal(run("exit 5", &supply, &out, &e), -EREMOTEIO);
}

static void a_broken_source_kills(void **state)
{
    struct supply supply = {.left = 1000, .end = -EBADMSG};
    char name[] = "/tmp/test_child.XXXXXX";
    int fd = mkstemp(name);
    auto_free char *script = xasprintf("cat >/dev/null; echo whole >%s", name);
    auto_err struct err *e = NULL;
    auto_buf struct buf out;
    char byte;

    (void)state;
    buf_init(&out, 100);
    assert_int_equal(run(script, &supply, &out, &e), -EBADMSG);
    assert_string_equal(err_text(e), "the source broke");
    assert_int_equal(pread(fd, &byte, 1, 0), 0); /* it never took the part for the whole */
    (void)close(fd);
    (void)unlink(name);
}

static void too_much_output_is_an_error(void **state)
{
    auto_err struct err *e = NULL;
    auto_buf struct buf out;

    (void)state;
    buf_init(&out, 1000);
    assert_int_equal(run("while :; do echo more; done", NULL, &out, &e), -EFBIG);
}

static void a_program_that_is_not_there(void **state)
{
    const char *argv[] = {"/nonexistent/program", NULL};
    struct child child = {.argv = argv};
    auto_err struct err *e = NULL;
    auto_buf struct buf out;

    (void)state;
    buf_init(&out, 100);
    assert_int_equal(child_run(&child, &out, &e), -ENOENT);
    assert_non_null(strstr(err_text(e), "/nonexistent/program"));
}

static void programs_are_found_in_path_first(void **state)
{
    static const char *const places[] = {"/nonexistent/sh", "/bin/sh", NULL};
    static const char *const none[] = {NULL};
    auto_free char *saved = xstrdup(getenv("PATH"));

    (void)state;
    (void)setenv("PATH", ":relative:../bin:/nonexistent:/usr/bin:", 1);
    {
        auto_free char *path = child_find("env", places);
        assert_string_equal(path, "/usr/bin/env");
    }
    (void)setenv("PATH", "", 1);
    {
        auto_free char *path = child_find("sh", places);
        assert_string_equal(path, "/bin/sh");
        assert_null(child_find("sh", none));
    }
    (void)unsetenv("PATH");
    assert_null(child_find("sh", none));
    (void)setenv("PATH", saved, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_pass_in_both_directions),
        cmocka_unit_test(without_a_source_the_input_is_empty),
        cmocka_unit_test(failures_carry_the_last_complaint),
        cmocka_unit_test(a_program_that_does_not_read_is_judged_by_its_status),
        cmocka_unit_test(a_broken_source_kills),
        cmocka_unit_test(too_much_output_is_an_error),
        cmocka_unit_test(a_program_that_is_not_there),
        cmocka_unit_test(programs_are_found_in_path_first),
    };
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGPIPE, &ignore, NULL); /* as main does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
