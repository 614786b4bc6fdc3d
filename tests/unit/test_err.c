/* Error objects, and the one table from error numbers to exit statuses. */
#include "err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void is_set_wrapped_and_replaced(void **state)
{
    auto_err struct err *e = NULL;

    (void)state;
    assert_string_equal(err_text(e), "unknown error");
    assert_int_equal(err_set(&e, -ENOENT, "cannot open '%s'", "x"), -ENOENT);
    assert_int_equal(e->status, -ENOENT);
    assert_string_equal(err_text(e), "cannot open 'x'");
    assert_int_equal(err_wrap(&e, "image %d", 3), -ENOENT);
    assert_string_equal(err_text(e), "image 3: cannot open 'x'");
    assert_int_equal(err_set(&e, -EIO, "another"), -EIO);
    assert_string_equal(err_text(e), "another");
}

static void nobody_needs_to_listen(void **state)
{
    struct err *e = NULL;

    (void)state;
    assert_int_equal(err_set(NULL, -EINVAL, "unheard"), -EINVAL);
    assert_true(err_wrap(NULL, "more") < 0);
    assert_true(err_wrap(&e, "more") < 0);
    assert_null(e);
    err_free(NULL);
}

static void a_copy_has_a_life_of_its_own(void **state)
{
    struct err *e = NULL;
    auto_err struct err *copy = NULL;

    (void)state;
    assert_null(err_copy(NULL));
    (void)err_set(&e, -EBADMSG, "100%% '%%s'");
    copy = err_copy(e);
    err_free(e);
    assert_int_equal(copy->status, -EBADMSG);
    assert_string_equal(err_text(copy), "100% '%s'");
}

static void has_an_exit_status(void **state)
{
    static const struct {
        int status;
        enum exit_status exit;
    } table[] = {
        {-EINVAL, EXIT_USAGE},   {-EBADMSG, EXIT_VERIFY},        {-ENOSPC, EXIT_SPACE},
        {-EDQUOT, EXIT_SPACE},   {-EHOSTUNREACH, EXIT_NETWORK},  {-EKEYREJECTED, EXIT_NETWORK},
        {-EPROTO, EXIT_NETWORK}, {-ECANCELED, EXIT_INTERRUPTED}, {-ENOENT, EXIT_FAILED},
        {-EIO, EXIT_FAILED},     {-EBUSY, EXIT_FAILED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_int_equal(err_exit_status(table[i].status), table[i].exit);
    assert_int_equal(EXIT_INTERRUPTED, 130);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_set_wrapped_and_replaced),
        cmocka_unit_test(nobody_needs_to_listen),
        cmocka_unit_test(a_copy_has_a_life_of_its_own),
        cmocka_unit_test(has_an_exit_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
