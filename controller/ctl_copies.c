/*
 * What each MacvlanIP holds of its subnet for the plugin (spec.network): rewritten after an edit of
 * the subnet, a few a second. Pods that run keep what they have until they start anew.
 */
#include "ctl.h"
#include "macvlan/macvlanip.h"

#include "json.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define WORKERS 2
#define SPACING_MS 20 /* at most 50 writes a second */

struct ctl_copies {
    struct ctl *c;
    struct kube_queue *queue;
};

/* The subnet that the MacvlanIP is a copy of, where the copy is out of date. */
static const struct subnet *differs_from(const struct ctl_copies *p, const struct macvlanip *ip)
{
    const struct ledger_net *net = ledger_find_subnet(p->c->ledger, ip->subnet);
    const struct subnet *s = net ? ledger_subnet(net) : NULL;
    auto_json cJSON *network = NULL;

    if (!s || !s->is_valid || s->is_deleting || ip->is_deleting)
        return NULL;
    network = macvlanip_network(s);
    return macvlanip_digest(network) != ip->network ? s : NULL;
}

static void write_copy(struct ctl_copies *p, const char *key, const struct macvlanip *ip,
                       const struct subnet *s)
{
    auto_free char *path =
        xasprintf("/apis/macvlan.cluster.cattle.io/v1/namespaces/%s/macvlanips/%s", ip->namespace,
                  ip->name);
    cJSON *patch = cJSON_CreateObject();

    json_add_str(cJSON_AddObjectToObject(patch, "metadata"), "uid", ip->uid);
    cJSON_AddItemToObject(cJSON_AddObjectToObject(patch, "spec"), "network", macvlanip_network(s));
    ctl_step(p->c, p->queue, key,
             &(struct ctl_request){.what = "write what it holds of its subnet",
                                   .method = "PATCH",
                                   .path = path,
                                   .body = patch});
}

static void handle(void *arg, const char *key)
{
    struct ctl_copies *p = arg;
    const struct macvlanip *ip = ctl_ips_get(p->c->ips, key);
    const struct subnet *s = ip ? differs_from(p, ip) : NULL;

    if (s && ctl_may_write(p->c))
        write_copy(p, key, ip, s);
    else
        kube_queue_done(p->queue, key);
}

struct scan {
    struct ctl_copies *p;
    const char *subnet; /* NULL: all */
    int64_t after_ms;
};

static bool check_one(void *arg, const char *key, const void *value)
{
    struct scan *scan = arg;
    const struct macvlanip *ip = value;

    if ((!scan->subnet || !strcmp(ip->subnet, scan->subnet)) && differs_from(scan->p, ip)) {
        kube_queue_add_after(scan->p->queue, key, scan->after_ms);
        scan->after_ms += SPACING_MS;
    }
    return true;
}

void ctl_copies_check(struct ctl_copies *p, const char *subnet)
{
    struct scan scan = {.p = p, .subnet = subnet};

    ctl_ips_each(p->c->ips, check_one, &scan);
    if (scan.after_ms)
        log_info("MacvlanIPs to be written anew after a change of %s: %lld",
                 subnet ? subnet : "their subnets", (long long)(scan.after_ms / SPACING_MS));
}

/* --- the part --- */

struct ctl_copies *ctl_copies_new(struct ctl *c)
{
    struct ctl_copies *p = xcalloc(1, sizeof(*p));

    p->c = c;
    p->queue = ctl_queue(c, "copies", WORKERS, handle, p);
    return p;
}

void ctl_copies_free(struct ctl_copies *p)
{
    if (!p)
        return;
    ctl_queue_free(p->c, p->queue);
    free(p);
}

void ctl_copies_start(struct ctl_copies *p)
{
    kube_queue_start(p->queue);
    ctl_copies_check(p, NULL);
}

void ctl_copies_stop(struct ctl_copies *p)
{
    kube_queue_stop(p->queue);
}
