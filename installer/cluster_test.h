#pragma once
/*
 * The parts of `flatnet test cluster` that need more than a ping. Each asks probe pods that run and
 * adds its results; a negative return is for what ends the whole run: the API server is gone, or an
 * interrupt.
 */
#include "conn.h"
#include "testpods.h"

struct cluster_test {
    struct testpods *pods;
    struct conn_report *report;
    const struct conn_choice *choice;
    bool has_dns;   /* the cluster has a service kube-dns */
    int ready_s;    /* how long a pod may take to be ready */
    int timeout_ms; /* how long an answer may take */
    /* By pod: its interface on the VLAN ("" where it is not known) and its MTU. */
    char (*links)[16];
    unsigned *mtus;
};

/* "start", and for each pod that runs "address" and "route"; fills links and mtus. */
int cluster_test_pods(struct cluster_test *t, struct err **e);
/* "duplicate": who answers ARP for the pods' addresses and the gateway. */
int cluster_test_duplicates(struct cluster_test *t, struct err **e);
/* "service", "dns", "macvlan-service". */
int cluster_test_services(struct cluster_test *t, struct err **e);
/* "fixed": a pod gets the address and MAC that it names, and has them again after a restart. Takes
 * the place of the pod b of each subnet. */
int cluster_test_fixed(struct cluster_test *t, struct err **e);

/* What ends a run; anything else that an agent says is a result. */
bool cluster_test_is_over(int status);
/* The first pod of that subnet and letter that is ready, or NULL. */
struct testpod *cluster_test_pod(const struct cluster_test *t, const struct testnet *net,
                                 char letter);
