#pragma once
/*
 * A MacvlanSubnet to be made: from options or out of YAML, checked by the controller's own rules
 * (lib/macvlan/subnet.h) before anything is sent. Pure.
 */
#include "cli.h"
#include "err.h"
#include "macvlan/subnet.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

#define SUBNET_SPEC_API "macvlan.cluster.cattle.io/v1"
#define SUBNET_SPEC_NAMESPACE "kube-system"

/* The options; NULL and false: not given. Numbers are texts, so that "not given" can be told. */
struct subnet_flags {
    const char *master, *vlan, *cidr, *gateway, *mode, *mtu, *project, *service_cidr, *delay;
    struct cli_list ranges, routes;
    bool has_default_route, is_ipv6to4;
};

/* Whether any option is given. */
bool subnet_flags_any(const struct subnet_flags *f);

/*
 * The object for the options, with the label "project" ("" without the option: all projects).
 * A range is "A-B", or one address; a route "DST[,via GW][,dev eth0|eth1]". -EINVAL: the message
 * names the option.
 */
int subnet_spec_build(const char *name, const struct subnet_flags *f, cJSON **out, struct err **e);

/*
 * Appends the MacvlanSubnets of a YAML or JSON text, which may hold several documents and Lists, to
 * the array `out`; their namespace is filled in. -EINVAL with "FILE: ...": anything else is in it,
 * or a field that the kind does not have.
 */
int subnet_spec_read(const char *file, const char *text, size_t len, cJSON *out, struct err **e);

/*
 * Parses the object. Warnings go to the log. -EINVAL: what is wrong, all of it; `names_flags`: the
 * options are named that it came by.
 */
int subnet_spec_check(const cJSON *object, bool names_flags, struct subnet **out, struct err **e);

/* What the second has otherwise than the first, as a word of the spec ("vlan"), or NULL. */
const char *subnet_spec_differs(const struct subnet *a, const struct subnet *b);
