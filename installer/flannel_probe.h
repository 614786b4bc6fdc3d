#pragma once
/*
 * Packets through flannel's tunnel to the VTEP of a remote host, whose kernel answers: nothing has
 * to run there. Checks "vxlan" (UDP 8472 both ways), "tcp" (checksum offload) and "mtu".
 */
#include "conn.h"
#include "flannel_path.h"

struct flannel_probe {
    const struct flannel_view *view;
    const struct conn_choice *choice;
    unsigned count;         /* echo requests to each host */
    int timeout_ms;         /* for an answer */
    unsigned tcp_port;      /* anything that listens on all addresses of a node: kubelet's */
    const char *nic_driver; /* of the link below: "vmxnet3"; "" where it is not known */
    bool (*is_cancelled)(void);
};

/* A remote host whose path is as it should be. -ECANCELED; -EPERM: no raw sockets. */
int flannel_probe_remote(const struct flannel_probe *p, const struct flannel_remote *remote,
                         struct conn_report *r, struct err **e);
/* The tunnel's own checksum offload, once: check "tcp". */
void flannel_probe_offload(const struct flannel_probe *p, struct conn_report *r);
