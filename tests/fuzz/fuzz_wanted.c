/* Any MacvlanIP is refused with a text, or says something that the kernel can be asked for. */
#include "cni_env.h"
#include "json.h"
#include "mem.h"
#include "wanted.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json cJSON *tree = NULL;
    auto_wanted struct wanted w = {.master = NULL};
    auto_err struct err *e = NULL;
    int r;

    if (json_parse((const char *)data, size, &tree, NULL) < 0)
        return 0;
    r = wanted_parse(tree, &w, &e);
    if (r < 0) {
        must((r == -EBADMSG || r == -EAGAIN) && e && *e->msg && !w.master);
        return 0;
    }
    must(cni_ifname_is_valid(w.master) && w.vlan <= 4094 && w.mtu <= 65535 && w.subnet);
    must(w.addr.addr.family == AF_INET || w.addr.addr.family == AF_INET6);
    must(w.gateway.family == AF_UNSPEC || w.gateway.family == w.addr.addr.family);
    must(!w.has_default_route || w.gateway.family != AF_UNSPEC);
    must(!w.is_6to4 || w.addr.addr.family == AF_INET);
    for (size_t i = 0; i < w.n_routes; i++) {
        must(w.routes[i].dst.addr.family != AF_UNSPEC);
        must(!w.routes[i].iface || cni_ifname_is_valid(w.routes[i].iface));
    }
    return 0;
}
