/* What pods have left on the host, when there are none any more. */
#include "vlandev_internal.h"

#include "fs.h"
#include "mem.h"
#include "netlink/net.h"

#include <errno.h>
#include <string.h>

static bool carries(const struct vlandev_made *devices, size_t n, const char *master)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(devices[i].master, master))
            return true;
    return false;
}

/* One that is not there any more has taken its mode along. */
static int switch_off(const char *locks, const struct vlandev_made *left, size_t n, struct err **e)
{
    auto_free char(*masters)[IFNAMSIZ] = NULL;
    size_t n_masters = vlandev_switched(locks, &masters);
    int r = 0;

    for (size_t i = 0; i < n_masters && r == 0; i++) {
        auto_err struct err *why = NULL;

        if (carries(left, n, masters[i]))
            continue;
        r = net_set_promiscuous(masters[i], false, &why);
        if (r < 0 && r != -ENODEV)
            return err_set(e, r, "%s", err_text(why));
        r = 0;
    }
    return r;
}

int vlandev_purge(struct nl_sock *s, const char *locks, struct err **e)
{
    static const char *const folders[] = {"/masters", "/promiscuous", ""};
    auto_free struct vlandev_made *left = NULL;
    auto_err struct err *why = NULL;
    size_t n = 0;
    int swept = vlandev_sweep(s, locks, 0, &why);
    int r = vlandev_list(s, &left, &n, e);

    if (r == 0)
        r = switch_off(locks, left, n, e);
    for (size_t i = 0; i < 3 && r == 0 && !n; i++) {
        auto_free char *path = xasprintf("%s%s", locks, folders[i]);

        fs_remove_files(path);
    }
    return r == 0 && swept < 0 ? err_set(e, swept, "%s", err_text(why)) : r;
}
