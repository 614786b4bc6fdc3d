/* Items about swap: what is on now, and what would switch it on at the next boot. */
#include "host_fstab.h"
#include "host_proc.h"
#include "host_systemd.h"
#include "mem.h"
#include "num.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FSTAB "/etc/fstab"
#define UNITS "/etc/systemd/system"
#define MEND "run 'flatnet host prepare'"

static void read_swaps(const struct host *h, struct proc_swaps *out)
{
    auto_free char *text = NULL;

    (void)host_text(h->root, "/proc/swaps", &text);
    proc_swaps_parse(text, out);
}

void host_check_swap(const struct host *h, struct host_verdict *v)
{
    struct proc_swaps swaps;

    read_swaps(h, &swaps);
    for (size_t i = 0; i < swaps.count; i++) {
        char size[NUM_SIZE_TEXT];

        host_say(v, HOST_FAIL, MEND ", or swapoff -a: kubelet does not start beside swap",
                 "'%s' is on (%s, priority %d)", swaps.rows[i].path,
                 num_format_size(swaps.rows[i].kib * 1024, size), swaps.rows[i].priority);
    }
    if (!swaps.count)
        host_say(v, HOST_PASS, NULL, "no swap is on");
    proc_swaps_release(&swaps);
}

/* Lowest first: switched on again in the opposite order, areas that have the kernel's own negative
 * priorities get the same ones. */
static int compare_priority(const void *a, const void *b)
{
    const struct proc_swap *x = a, *y = b;

    return (x->priority > y->priority) - (x->priority < y->priority);
}

/* The path behind UUID=, LABEL=, ... is the link that udev makes. To be freed. */
static char *path_of(const char *spec)
{
    static const char *const tags[][2] = {{"UUID=", "uuid"},
                                          {"LABEL=", "label"},
                                          {"PARTUUID=", "partuuid"},
                                          {"PARTLABEL=", "partlabel"}};

    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        const char *value = spec + strlen(tags[i][0]);
        size_t len;

        if (strncmp(spec, tags[i][0], strlen(tags[i][0])) != 0)
            continue;
        value += *value == '"';
        len = strcspn(value, "\"");
        return xasprintf("/dev/disk/by-%s/%.*s", tags[i][1], (int)len, value);
    }
    return xstrdup(spec);
}

/* The kernel says /dev/dm-1 where a table says /dev/mapper/vg-swap. */
static bool is_same_area(const char *spec, const char *path)
{
    auto_free char *other = path_of(spec);
    struct stat a, b;

    if (!strcmp(other, path))
        return true;
    if (stat(other, &a) < 0 || stat(path, &b) < 0)
        return false;
    if (S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode))
        return a.st_rdev == b.st_rdev;
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool options_of_fstab(const struct host *h, const char *path, struct fstab_swap *out)
{
    auto_buf struct buf fstab;
    struct fstab_line line;
    const char *p;

    buf_init(&fstab, HOST_FILE_MAX);
    (void)host_read(h->root, FSTAB, &fstab, NULL);
    p = fstab.data;
    while (fstab_next(&p, fstab.data + fstab.len, &line)) {
        auto_free char *spec = line.is_swap ? fstab_unescape(line.spec, line.spec_len) : NULL;

        if (!spec || !is_same_area(spec, path))
            continue;
        fstab_swap_options(line.options, line.options_len, out);
        return true;
    }
    return false;
}

/* The fstab row or swap unit of that area says what the kernel does not tell. */
static void find_options(const struct host *h, const char *path, struct fstab_swap *out)
{
    auto_host_names struct host_names units = {.names = NULL};

    *out = (struct fstab_swap){.priority = -1};
    if (options_of_fstab(h, path, out))
        return;
    host_list(h->root, UNITS, &units);
    for (size_t i = 0; i < units.count; i++) {
        auto_free char *file = xasprintf(UNITS "/%s", units.names[i]);
        auto_free char *text = NULL, *what = NULL, *options = NULL;

        if (!strstr(units.names[i], ".swap") || !host_text(h->root, file, &text))
            continue;
        what = proc_setting(text, "What");
        options = proc_setting(text, "Options");
        if (what && options && is_same_area(what, path))
            fstab_swap_options(options, strlen(options), out);
    }
}

int host_plan_swap(const struct host *h, struct host_plan *plan, struct err **e)
{
    struct proc_swaps swaps;

    (void)e;
    read_swaps(h, &swaps);
    if (swaps.count)
        qsort(swaps.rows, swaps.count, sizeof(*swaps.rows), compare_priority);
    for (size_t i = 0; i < swaps.count; i++) {
        struct host_change *c = host_plan_add(plan, CHANGE_SWAP, "swap", swaps.rows[i].path);
        struct fstab_swap options;

        find_options(h, swaps.rows[i].path, &options);
        c->priority = swaps.rows[i].priority;
        c->swap_flags = options.flags;
    }
    proc_swaps_release(&swaps);
    return 0;
}

/* --- at boot --- */

/* Units "dev-zramN.swap" that zram-generator's configuration will make: sections [zramN]. */
static void zram_units(const struct host *h, struct host_names *units)
{
    static const char *const files[] = {"/etc/systemd/zram-generator.conf",
                                        "/run/systemd/zram-generator.conf",
                                        "/usr/local/lib/systemd/zram-generator.conf",
                                        "/usr/lib/systemd/zram-generator.conf"};
    auto_free char *text = NULL;

    for (size_t i = 0; i < 4; i++) {
        free(text);
        if (host_text(h->root, files[i], &text))
            break;
    }
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        size_t digits = strncmp(p, "[zram", 5) ? 0 : strspn(p + 5, "0123456789");
        auto_free char *unit = NULL;
        bool is_known = false;

        if (!digits || digits > 4 || p[5 + digits] != ']')
            continue;
        unit = xasprintf("dev-zram%.*s.swap", (int)digits, p + 5);
        for (size_t i = 0; i < units->count; i++)
            is_known = is_known || !strcmp(units->names[i], unit);
        if (is_known || systemd_is_masked(h, unit))
            continue;
        array_grow(units->names, units->count);
        units->names[units->count++] = take(unit);
    }
}

/* Packages that switch swap on from a service of their own. */
static void swap_services(const struct host *h, struct host_names *units)
{
    static const char *const services[] = {"zramswap.service", "zram-config.service",
                                           "dphys-swapfile.service"};

    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        if (!systemd_has_unit(h, services[i]) || systemd_is_masked(h, services[i]))
            continue;
        array_grow(units->names, units->count);
        units->names[units->count++] = xstrdup(services[i]);
    }
}

static void find_units(const struct host *h, struct host_names *out)
{
    systemd_units(h, ".swap", out);
    zram_units(h, out);
    swap_services(h, out);
}

void host_check_swap_boot(const struct host *h, struct host_verdict *v)
{
    auto_host_names struct host_names units = {.names = NULL};
    auto_buf struct buf fstab;
    size_t rows;

    buf_init(&fstab, HOST_FILE_MAX);
    (void)host_read(h->root, FSTAB, &fstab, NULL);
    rows = fstab_count_swap(&fstab);
    if (rows)
        host_say(v, HOST_FAIL, MEND ", or take them out", "%zu swap row%s in %s", rows,
                 rows == 1 ? "" : "s", FSTAB);
    find_units(h, &units);
    for (size_t i = 0; i < units.count; i++)
        host_say(v, HOST_FAIL, MEND ", or mask them (systemctl mask)", "systemd unit %s",
                 units.names[i]);
    if (v->level == HOST_PASS)
        host_say(v, HOST_PASS, NULL, "nothing switches swap on at boot");
}

static int plan_fstab(const struct host *h, struct host_plan *plan, struct err **e)
{
    auto_host_file struct host_file now = {.kind = HOST_ABSENT};
    auto_buf struct buf edited;
    struct host_file after;
    int r = host_file_get(h->root, FSTAB, &now, e);

    buf_init(&edited, HOST_FILE_MAX);
    if (r < 0 || now.kind == HOST_ABSENT)
        return r;
    if (now.kind == HOST_SYMLINK)
        return err_set(e, -EINVAL,
                       "'" FSTAB "' is a link to '%s'; take the swap rows out of that file by "
                       "hand, or use --ignore swap-boot",
                       now.content.data);
    if (!fstab_comment_swap(&now.content, &edited))
        return 0;
    if (edited.overflowed)
        return err_set(e, -EFBIG, "'" FSTAB "' is too large");
    host_file_edited(&now, &edited, &after);
    return host_plan_file(h->root, plan, "swap-boot", FSTAB, &after, e);
}

static int plan_mask(const struct host *h, struct host_plan *plan, const char *unit, struct err **e)
{
    auto_free char *path = xasprintf(UNITS "/%s", unit);
    struct host_file link;

    host_file_init(&link, HOST_SYMLINK, "/dev/null");
    return host_plan_file(h->root, plan, "swap-boot", path, &link, e);
}

int host_plan_swap_boot(const struct host *h, struct host_plan *plan, struct err **e)
{
    auto_host_names struct host_names units = {.names = NULL};
    int r = plan_fstab(h, plan, e);

    find_units(h, &units);
    /* A partition that is found by its GPT type may have another name at the next boot; what it is
     * pulled in by does not. It comes first: as long as units are left, an interrupted run is seen
     * to be unfinished. */
    if (r == 0 && units.count && !systemd_is_masked(h, "swap.target"))
        r = plan_mask(h, plan, "swap.target", e);
    for (size_t i = 0; r == 0 && i < units.count; i++)
        r = plan_mask(h, plan, units.names[i], e);
    return r;
}
