/* MacvlanIPs by address and MAC. */
#include "holders.h"

#include "svc_scene.h"

static struct macvlanip *make(const char *name, const char *ip, const char *mac)
{
    auto_free char *text =
        xasprintf("{'metadata':{'namespace':'shop','name':'%s','uid':'u-%s'},'spec':{'subnet':"
                  "'lan','podId':'p','cidr':'%s','mac':'%s'}}",
                  name, name, ip, mac);
    auto_json cJSON *object = quoted_json(text);
    struct macvlanip *m;

    assert_int_equal(macvlanip_parse(object, &m, NULL), 0);
    return m;
}

static struct ip_addr ip_of(const char *text)
{
    struct ip_addr ip;

    assert_int_equal(ip_parse(text, &ip), 0);
    return ip;
}

static struct ip_mac mac_of(const char *text)
{
    struct ip_mac mac;

    assert_int_equal(ip_mac_parse(text, &mac, NULL), 0);
    return mac;
}

static void each_is_found_by_what_it_holds(void **state)
{
    struct macvlanip *a = make("a", "10.0.0.1/24", "02:00:00:00:00:01");
    struct macvlanip *b = make("b", "10.0.0.1/24", "02:00:00:00:00:02");
    struct macvlanip *c = make("c", "", "02:00:00:00:00:01");
    struct holders *h = holders_new();
    size_t n;

    (void)state;
    holders_add(h, a);
    holders_add(h, b);
    holders_add(h, c);
    (void)holders_of_ip(h, ip_of("10.0.0.1"), &n);
    assert_int_equal(n, 2);
    (void)holders_of_mac(h, mac_of("02:00:00:00:00:01"), &n);
    assert_int_equal(n, 2);
    assert_null(holders_of_ip(h, ip_of("10.0.0.2"), &n));
    assert_int_equal(n, 0);

    holders_remove(h, a);
    assert_ptr_equal(holders_of_ip(h, ip_of("10.0.0.1"), &n)[0], b);
    assert_int_equal(n, 1);
    assert_ptr_equal(holders_of_mac(h, mac_of("02:00:00:00:00:01"), &n)[0], c);
    assert_int_equal(n, 1);
    holders_remove(h, a); /* not there any more: nothing */
    holders_remove(h, b);
    assert_null(holders_of_ip(h, ip_of("10.0.0.1"), &n));
    holders_free(h);
    macvlanip_free(a);
    macvlanip_free(b);
    macvlanip_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_found_by_what_it_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
