/* Addresses, networks, MACs: text and arithmetic. */
#include "ip.h"

#include "num.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static unsigned bits_of(int family)
{
    return family == AF_INET ? 32 : 128;
}

/* A shift by the whole width is undefined in C. */
static ip_num low_ones(unsigned bits)
{
    return bits == 128 ? ~(ip_num)0 : ((ip_num)1 << bits) - 1;
}

static ip_num value_of(const uint8_t *bytes, size_t n)
{
    ip_num value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | bytes[i];
    return value;
}

int ip_parse(const char *text, struct ip_addr *out)
{
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    uint8_t bytes[16];

    if (inet_pton(family, text, bytes) != 1)
        return -EINVAL;
    *out = ip_from_bytes(family, bytes);
    return 0;
}

struct ip_addr ip_from_bytes(int family, const uint8_t *bytes)
{
    return (struct ip_addr){.family = family, .value = value_of(bytes, bits_of(family) / 8)};
}

size_t ip_bytes(struct ip_addr a, uint8_t out[16])
{
    size_t n = bits_of(a.family) / 8;

    for (size_t i = n; i-- > 0; a.value >>= 8)
        out[i] = (uint8_t)a.value;
    return n;
}

const char *ip_format(struct ip_addr a, char out[IP_TEXT_SIZE])
{
    uint8_t bytes[16];

    out[0] = '\0';
    if (a.family == AF_UNSPEC)
        return out;
    (void)ip_bytes(a, bytes);
    (void)inet_ntop(a.family, bytes, out, IP_TEXT_SIZE);
    return out;
}

const char *ip_label(struct ip_addr a, char out[IP_LABEL_SIZE])
{
    char text[IP_TEXT_SIZE];

    if (a.family != AF_INET6) {
        (void)snprintf(out, IP_LABEL_SIZE, "%s", ip_format(a, text));
        return out;
    }
    /* The last separator does not fit, and so stays away. */
    for (unsigned i = 0; i < 8; i++)
        (void)snprintf(out + 5 * i, IP_LABEL_SIZE - 5 * i, "%04x_",
                       (unsigned)(a.value >> (112 - 16 * i)) & 0xffff);
    return out;
}

int ip_compare(struct ip_addr a, struct ip_addr b)
{
    if (a.family != b.family)
        return a.family < b.family ? -1 : 1;
    return a.value < b.value ? -1 : a.value > b.value;
}

int ip_add(struct ip_addr a, ip_num n, struct ip_addr *out)
{
    if (n > low_ones(bits_of(a.family)) - a.value)
        return -ERANGE;
    *out = (struct ip_addr){.family = a.family, .value = a.value + n};
    return 0;
}

int ip_net_parse(const char *text, struct ip_net *out)
{
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : 0;
    char address[IP_TEXT_SIZE];
    struct ip_addr addr;
    uint64_t prefix;

    if (!slash || len >= sizeof(address))
        return -EINVAL;
    memcpy(address, text, len);
    address[len] = '\0';
    if (ip_parse(address, &addr) < 0 || (slash[1] == '0' && slash[2]))
        return -EINVAL;
    if (num_parse_u64(slash + 1, bits_of(addr.family), &prefix) < 0)
        return -EINVAL;
    *out = (struct ip_net){.addr = addr, .prefix = (unsigned)prefix};
    return 0;
}

const char *ip_net_format(struct ip_net n, char out[IP_NET_TEXT_SIZE])
{
    char text[IP_TEXT_SIZE];

    (void)snprintf(out, IP_NET_TEXT_SIZE, "%s/%u", ip_format(n.addr, text), n.prefix);
    return out;
}

ip_num ip_net_mask(struct ip_net n)
{
    unsigned bits = bits_of(n.addr.family);

    return low_ones(bits) ^ low_ones(bits - n.prefix);
}

struct ip_addr ip_net_first(struct ip_net n)
{
    n.addr.value &= ip_net_mask(n);
    return n.addr;
}

struct ip_addr ip_net_last(struct ip_net n)
{
    n.addr.value |= low_ones(bits_of(n.addr.family) - n.prefix);
    return n.addr;
}

bool ip_net_contains(struct ip_net n, struct ip_addr a)
{
    return a.family == n.addr.family && !((a.value ^ n.addr.value) & ip_net_mask(n));
}

bool ip_net_overlaps(struct ip_net a, struct ip_net b)
{
    return a.prefix < b.prefix ? ip_net_contains(a, b.addr) : ip_net_contains(b, a.addr);
}

static unsigned digit_of(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(tolower((unsigned char)c) - 'a' + 10);
}

/* How many bytes of "aa:bb:..." could be read; *out_end is where that stopped. */
static size_t read_bytes(const char *text, struct ip_mac *out, const char **out_end)
{
    const char *p = text;
    size_t n = 0;

    for (; n < 6; n++, p += 2) {
        if (n && *p++ != ':')
            break;
        if (!isxdigit((unsigned char)p[0]) || !isxdigit((unsigned char)p[1]))
            break;
        out->bytes[n] = (uint8_t)(digit_of(p[0]) << 4 | digit_of(p[1]));
    }
    *out_end = p;
    return n;
}

int ip_mac_parse(const char *text, struct ip_mac *out, struct err **e)
{
    struct ip_mac m = {.bytes = {0}};
    const char *end;

    if (read_bytes(text, &m, &end) < 6 || *end)
        return err_set(e, -EINVAL,
                       "'%s' is no MAC address: write six bytes such as 02:00:5e:10:00:01", text);
    if (m.bytes[0] & 1)
        return err_set(e, -EINVAL,
                       "'%s' is a multicast address, which no interface can have: its first byte "
                       "must be even",
                       text);
    if (!ip_mac_value(m))
        return err_set(e, -EINVAL, "'%s' is all zero, which no interface can have", text);
    *out = m;
    return 0;
}

const char *ip_mac_format(struct ip_mac m, char separator, char out[IP_MAC_TEXT_SIZE])
{
    for (size_t i = 0; i < 6; i++)
        (void)snprintf(out + 3 * i, IP_MAC_TEXT_SIZE - 3 * i, "%02x%c", m.bytes[i], separator);
    return out;
}

uint64_t ip_mac_value(struct ip_mac m)
{
    return (uint64_t)value_of(m.bytes, 6);
}
