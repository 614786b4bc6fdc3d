#pragma once
/*
 * Who must reach whom: the pings between probe pods with what is expected of each, their results,
 * and the verdicts. Pure.
 */
#include "conn.h"
#include "flannel_nodes.h"
#include "testpods.h"

#include <cjson/cJSON.h>

struct conn_pair {
    const struct testpod *from;
    const struct testpod *to; /* NULL: the gateway of the subnet */
    const char *check;        /* "same-node", "cross-node", "namespace", "isolation", "routed",
                                 "gateway", "overlay", "mtu" */
    struct ip_addr target;
    bool must_reach;
    bool is_on_link; /* asked on the pod's own VLAN, whatever the routes say */
    size_t size;     /* of the packet, not to be cut; 0: any */
    /* Results: */
    bool is_done;
    unsigned sent, received;
    int64_t rtt_us;
    char *error; /* it could not even be sent; or NULL */
};

struct conn_pairs {
    struct conn_pair *items;
    size_t count;
    unsigned n_pings;                 /* for each */
    struct flannel_nodes nodes;       /* of the cluster; none where they are not known */
    const struct conn_choice *choice; /* which checks; NULL: all */
};

/* All pairs of pods that are ready, for the checks that are chosen and for what the causes of their
 * failures are told by. `mtu` is that of the pods' interfaces, by pod; 0: not known. */
void conn_pairs_plan(const struct testpods *t, bool is_routed, const unsigned *mtu,
                     struct conn_pairs *out);
void conn_pairs_release(struct conn_pairs *p);

/* What to ask the agent in `from` (agent.h), whose interface on the VLAN is `link`. To be deleted.
 */
cJSON *conn_pairs_question(const struct conn_pairs *p, const struct testpod *from, const char *link,
                           int timeout_ms);
/* Takes the answer to that question. -EPROTO: it is not one. */
int conn_pairs_answer(struct conn_pairs *p, const struct testpod *from, const cJSON *answer,
                      struct err **e);

/* One result for each subnet and check in which all is as expected, one for each pair that is not.
 */
void conn_pairs_judge(const struct conn_pairs *p, const struct testpods *t, struct conn_report *r);
/* As a member "pairs" of `root`. */
void conn_pairs_add_json(cJSON *root, const struct conn_pairs *p);
/* The macvlan pings as a matrix on standard output: rows ping columns. */
void conn_pairs_print(const struct conn_pairs *p, const struct testpods *t);
