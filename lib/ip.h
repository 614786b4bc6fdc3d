#pragma once
/*
 * IP addresses, networks and MAC addresses: text to numbers and back. Both families are one
 * 128-bit number in the order of the machine, so that ranges are compared, counted and added
 * without a second set of functions.
 */
#include "err.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

typedef unsigned __int128 ip_num;

struct ip_addr {
    int family;   /* AF_INET or AF_INET6; AF_UNSPEC (0): no address */
    ip_num value; /* 10.0.0.1 is 0x0a000001 */
};

/* A network with the address that stood before the slash, host bits included. */
struct ip_net {
    struct ip_addr addr;
    unsigned prefix; /* bits */
};

#define IP_TEXT_SIZE INET6_ADDRSTRLEN
#define IP_NET_TEXT_SIZE (IP_TEXT_SIZE + 4)
#define IP_LABEL_SIZE 40

/* A whole text as inet_pton takes it: no leading zeros in IPv4, no zone. 0 or -EINVAL. */
int ip_parse(const char *text, struct ip_addr *out);
/* "10.0.0.1", "fd00::1" (RFC 5952), into `out`, which is returned; "" for no address. */
const char *ip_format(struct ip_addr a, char out[IP_TEXT_SIZE]);
/* What a Kubernetes label can hold: IPv4 as ip_format, IPv6 as eight groups of four digits with '_'
 * for ':'. */
const char *ip_label(struct ip_addr a, char out[IP_LABEL_SIZE]);
/* Bytes in network order: how many (4 or 16) are written. */
size_t ip_bytes(struct ip_addr a, uint8_t out[16]);
/* The opposite: 4 bytes for AF_INET, 16 for AF_INET6. */
struct ip_addr ip_from_bytes(int family, const uint8_t *bytes);

/* By family, then value: less, equal or greater than 0. */
int ip_compare(struct ip_addr a, struct ip_addr b);
/* The address `n` behind it. -ERANGE: the family has none there. */
int ip_add(struct ip_addr a, ip_num n, struct ip_addr *out);

/* "ADDRESS/PREFIX", the prefix in decimal without leading zeros. 0 or -EINVAL. */
int ip_net_parse(const char *text, struct ip_net *out);
/* The address as written, and the prefix. */
const char *ip_net_format(struct ip_net n, char out[IP_NET_TEXT_SIZE]);
ip_num ip_net_mask(struct ip_net n);
struct ip_addr ip_net_first(struct ip_net n);
/* IPv4: the broadcast address. */
struct ip_addr ip_net_last(struct ip_net n);
bool ip_net_contains(struct ip_net n, struct ip_addr a);
bool ip_net_overlaps(struct ip_net a, struct ip_net b);

struct ip_mac {
    uint8_t bytes[6];
};

#define IP_MAC_TEXT_SIZE 18

/* Six pairs of hex digits with ':' between them, of either case. -EINVAL: no MAC, or one that no
 * interface can have (all zero, multicast). */
int ip_mac_parse(const char *text, struct ip_mac *out, struct err **e);
/* In lower case, with `separator` between the bytes: ':', or '_' for a label. */
const char *ip_mac_format(struct ip_mac m, char separator, char out[IP_MAC_TEXT_SIZE]);
/* As a number below 2^48, for comparing and as a key. */
uint64_t ip_mac_value(struct ip_mac m);
