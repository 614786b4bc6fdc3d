#pragma once
/* Shared by the files that read a MacvlanSubnet only. */
#include "macvlan/subnet.h"

/* Notes something to tell the user; beyond a limit only that there was an error. */
void subnet_find(struct subnet *s, bool is_error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define subnet_error(s, ...) subnet_find(s, true, __VA_ARGS__)
#define subnet_warning(s, ...) subnet_find(s, false, __VA_ARGS__)

/* Members of `obj`; absent, null, and (which is an error) anything of another kind give "", 0 and
 * NULL. A number is whole, from 0 to `max`; a list has at most `max` members. */
const char *subnet_text(struct subnet *s, const cJSON *obj, const char *name);
int64_t subnet_number(struct subnet *s, const cJSON *spec, const char *name, int64_t max);
const cJSON *subnet_list(struct subnet *s, const cJSON *spec, const char *name, int max);

/* Reached without a router: in the network, or a link-local address in IPv6. */
bool subnet_is_neighbour(const struct subnet *s, struct ip_addr a);

/* Each reads a part of the spec; s->cidr is there. The last one wants the gateway, too. */
void subnet_read_ranges(struct subnet *s, const cJSON *spec);
void subnet_read_routes(struct subnet *s, const cJSON *spec);
void subnet_read_default_route(struct subnet *s, const cJSON *spec);
