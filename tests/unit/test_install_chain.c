/* The configuration of chained mode, made from another's. */
#include "install.h"

#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OURS "{\"type\":\"static-macvlan-cni\",\"chained\":true}"

static void assert_chain(const char *given, const char *expected)
{
    auto_err struct err *e = NULL;
    auto_free char *text = NULL;

    assert_int_equal(install_chain(given, strlen(given), &text, &e), 0);
    assert_string_equal(text, expected);
}

static void assert_refused(const char *given, const char *why)
{
    auto_err struct err *e = NULL;
    char *text = NULL;

    assert_int_equal(install_chain(given, strlen(given), &text, &e), -EBADMSG);
    assert_non_null(strstr(err_text(e), why));
}

static void ours_is_the_last_of_a_list(void **state)
{
    (void)state;
    assert_chain("{\"cniVersion\":\"1.0.0\",\"name\":\"cbr0\",\"disableCheck\":true,\"plugins\":"
                 "[{\"type\":\"flannel\",\"delegate\":{\"isDefaultGateway\":true}},"
                 "{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true}}]}",
                 "{\"cniVersion\":\"1.0.0\",\"name\":\"cbr0\",\"disableCheck\":true,\"plugins\":"
                 "[{\"type\":\"flannel\",\"delegate\":{\"isDefaultGateway\":true}},"
                 "{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true}}," OURS "]}");
}

static void a_single_plugin_becomes_a_list(void **state)
{
    (void)state;
    assert_chain("{\"name\":\"net\",\"type\":\"bridge\",\"cniVersion\":\"0.4.0\",\"mtu\":1400}",
                 "{\"cniVersion\":\"0.4.0\",\"name\":\"net\",\"plugins\":"
                 "[{\"type\":\"bridge\",\"mtu\":1400}," OURS "]}");
}

static void a_version_is_given_to_what_has_none(void **state)
{
    (void)state;
    assert_chain("{\"name\":\"cbr0\",\"plugins\":[{\"type\":\"flannel\"}]}",
                 "{\"cniVersion\":\"0.3.1\",\"name\":\"cbr0\",\"plugins\":"
                 "[{\"type\":\"flannel\"}," OURS "]}");
}

static void what_has_ours_has_it_once(void **state)
{
    (void)state;
    assert_chain("{\"cniVersion\":\"0.3.1\",\"name\":\"n\",\"plugins\":[{\"type\":\"ptp\"}," OURS
                 "]}",
                 "{\"cniVersion\":\"0.3.1\",\"name\":\"n\",\"plugins\":[{\"type\":\"ptp\"}," OURS
                 "]}");
}

static void what_is_no_configuration_is_refused(void **state)
{
    (void)state;
    assert_refused("", "");
    assert_refused("[]", "no JSON object");
    assert_refused("{\"plugins\":[{\"type\":\"ptp\"}]}", "no name");
    assert_refused("{\"name\":\"n\",\"plugins\":[]}", "no plugins");
    assert_refused("{\"name\":\"n\",\"plugins\":[{}]}", "has no type");
    assert_refused("{\"name\":\"n\",\"plugins\":[1]}", "has no type");
    assert_refused("{\"name\":\"n\"}", "has no type");
    assert_refused("{\"name\":\"n\",\"plugins\":[" OURS "]}", "no plugins");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ours_is_the_last_of_a_list),
        cmocka_unit_test(a_single_plugin_becomes_a_list),
        cmocka_unit_test(a_version_is_given_to_what_has_none),
        cmocka_unit_test(what_has_ours_has_it_once),
        cmocka_unit_test(what_is_no_configuration_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
