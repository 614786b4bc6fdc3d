/*
 * cni/pod_ask.h on the command line, for tests against a real API server.
 *
 *   pod_ask_probe KUBECONFIG NAMESPACE NAME UID|- alone|chained TIMEOUT_MS
 *
 * Prints "passes REQUESTS MS" or "ours UID MASTER VLAN ADDRESS REQUESTS MS", status 0; or "error
 * NUMBER TEXT", status 1. Steps are on standard error, as the plugin logs them at debug.
 */
#include "kube/kube_loop.h"
#include "log.h"
#include "num.h"
#include "pod_ask.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct pod_query q = {.kubeconfig = argv[1]};
    auto_pod_answer struct pod_answer a = {.uid = NULL};
    auto_err struct err *e = NULL;
    int64_t began_us = kube_now_us();
    char text[IP_NET_TEXT_SIZE];
    uint64_t timeout_ms;
    double ms;

    if (argc != 7 || num_parse_u64(argv[6], 600000, &timeout_ms) < 0)
        return 2;
    q.namespace = argv[2];
    q.name = argv[3];
    q.uid = strcmp(argv[4], "-") ? argv[4] : NULL;
    q.is_chained = strcmp(argv[5], "chained") == 0;
    q.timeout_ms = (int)timeout_ms;
    log_set_level(LOG_DEBUG);
    if (pod_ask(&q, &a, &e) < 0) {
        printf("error %d %s\n", e->status, e->msg);
        return 1;
    }
    ms = (double)(kube_now_us() - began_us) / 1000;
    if (a.is_ours)
        printf("ours %s %s %u %s %u %.2f\n", a.uid, a.wanted.master, a.wanted.vlan,
               ip_net_format(a.wanted.addr, text), a.n_requests, ms);
    else
        printf("passes %u %.2f\n", a.n_requests, ms);
    return 0;
}
