/* Making a change, and unmaking it, whatever part of it took place. */
#include "host_change.h"

#include "child.h"
#include "fs.h"
#include "host_fstab.h"
#include "host_proc.h"
#include "mem.h"
#include "netlink/net.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FSTAB "/etc/fstab"

/* --- plans --- */

struct host_change *host_plan_add(struct host_plan *plan, enum change_kind kind, const char *item,
                                  const char *subject)
{
    struct host_change *c;

    array_grow(plan->changes, plan->count);
    c = &plan->changes[plan->count++];
    *c = (struct host_change){.kind = kind, .item = item, .subject = xstrdup(subject)};
    host_file_init(&c->before, HOST_ABSENT, "");
    host_file_init(&c->after, HOST_REGULAR, "");
    return c;
}

struct host_change *host_plan_find_file(struct host_plan *plan, const char *path)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->changes[i].kind == CHANGE_FILE && !strcmp(plan->changes[i].subject, path))
            return &plan->changes[i];
    return NULL;
}

static bool plans_folder(const struct host_plan *plan, const char *path)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->changes[i].kind == CHANGE_FOLDER && !strcmp(plan->changes[i].subject, path))
            return true;
    return false;
}

/* The folders on the way to `path` that are not there yet, outermost first. */
static void plan_folders(const char *root, struct host_plan *plan, const char *item,
                         const char *path)
{
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        auto_free char *folder = xstrndup(path, (size_t)(slash - path));

        if (!host_exists(root, folder) && !plans_folder(plan, folder))
            (void)host_plan_add(plan, CHANGE_FOLDER, item, folder);
    }
}

int host_plan_file(const char *root, struct host_plan *plan, const char *item, const char *path,
                   struct host_file *after, struct err **e)
{
    struct host_change *c = host_plan_find_file(plan, path);
    auto_host_file struct host_file now = {.kind = HOST_ABSENT};
    int r = c ? 0 : host_file_get(root, path, &now, e);

    if (r == 0 && !c && !host_file_same(&now, after)) {
        plan_folders(root, plan, item, path);
        c = host_plan_add(plan, CHANGE_FILE, item, path);
        host_file_release(&c->before);
        c->before = now;
        now = (struct host_file){.kind = HOST_ABSENT};
    }
    if (r == 0 && c) {
        host_file_release(&c->after);
        c->after = *after;
        *after = (struct host_file){.kind = HOST_ABSENT};
    }
    host_file_release(after);
    return r;
}

void host_change_release(struct host_change *c)
{
    free(c->subject);
    host_file_release(&c->before);
    host_file_release(&c->after);
    *c = (struct host_change){.item = NULL};
}

void host_plan_release(struct host_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        host_change_release(&plan->changes[i]);
    free(plan->changes);
    *plan = (struct host_plan){.changes = NULL};
}

/* --- the present state of things that are not files --- */

static bool swap_is_on(const char *root, const char *path)
{
    auto_free char *text = NULL;
    struct proc_swaps swaps;
    bool is_on = false;

    (void)host_text(root, "/proc/swaps", &text);
    proc_swaps_parse(text, &swaps);
    for (size_t i = 0; i < swaps.count; i++)
        is_on = is_on || !strcmp(swaps.rows[i].path, path);
    proc_swaps_release(&swaps);
    return is_on;
}

/* 1, 0, or -ENODEV. */
static int is_promiscuous(const char *name, struct err **e)
{
    struct net_state s = {.links = NULL};
    const struct net_link *link;
    int r = net_state_read(&s, e);

    if (r < 0)
        return r;
    link = net_link_named(&s, name);
    r = link ? (link->flags & IFF_PROMISC) != 0 : -ENODEV;
    net_state_release(&s);
    return r;
}

static bool module_is_loaded(const char *root, const char *name)
{
    auto_free char *text = NULL;

    (void)host_text(root, "/proc/modules", &text);
    return proc_has_module(text, name);
}

static char *sysctl_path(const struct host_change *c)
{
    return xasprintf("/proc/sys/%s", c->subject);
}

/* --- looking --- */

static int look_at_file(const char *root, struct host_change *c, struct err **e)
{
    host_file_release(&c->before);
    if (host_file_get(root, c->subject, &c->before, e) < 0) {
        host_file_init(&c->before, HOST_ABSENT, "");
        return -EIO;
    }
    return !host_file_same(&c->before, &c->after);
}

static int look_at_sysctl(const char *root, struct host_change *c)
{
    auto_free char *path = sysctl_path(c);
    auto_free char *value = host_line(root, path);

    c->before.kind = HOST_REGULAR;
    buf_clear(&c->before.content);
    (void)buf_addstr(&c->before.content, value);
    return strcmp(value, c->after.content.data) != 0;
}

int host_change_look(const char *root, struct host_change *c, struct err **e)
{
    int r;

    switch (c->kind) {
    case CHANGE_FOLDER:
        return !host_exists(root, c->subject);
    case CHANGE_FILE:
        return look_at_file(root, c, e);
    case CHANGE_SWAP:
        return swap_is_on(root, c->subject);
    case CHANGE_PROMISC:
        r = is_promiscuous(c->subject, e);
        return r == -ENODEV ? err_set(e, r, "there is no '%s' any more", c->subject) : !r;
    case CHANGE_MODULE:
        return !module_is_loaded(root, c->subject);
    case CHANGE_SYSCTL:
        return look_at_sysctl(root, c);
    }
    return 0;
}

/* --- applying --- */

static int load_module(const char *name, struct err **e)
{
    static const char *const places[] = {"/sbin/modprobe", "/usr/sbin/modprobe", NULL};
    auto_free char *program = child_find("modprobe", places);
    const char *argv[] = {program, name, NULL};
    struct child child = {.argv = argv};
    auto_buf struct buf out;
    int r;

    buf_init(&out, 4096);
    if (!program)
        return err_set(e, -ENOENT, "cannot load module '%s': modprobe is not installed", name);
    r = child_run(&child, &out, e);
    return r < 0 ? err_wrap(e, "cannot load module '%s'", name) : 0;
}

static int write_sysctl(const struct host_change *c, const char *value, struct err **e)
{
    auto_free char *path = sysctl_path(c);
    auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : fs_write(fd, value, strlen(value));

    return r < 0 ? err_set(e, r, "cannot set '%s' to %s: %s", path, value, strerror(-r)) : 0;
}

int host_change_apply(const char *root, const struct host_change *c, struct err **e)
{
    int r;

    switch (c->kind) {
    case CHANGE_FOLDER:
        r = host_mkdir(root, c->subject, e);
        return r < 0 ? r : 0;
    case CHANGE_FILE:
        return host_file_put(root, c->subject, &c->after, e);
    case CHANGE_SWAP:
        if (swapoff(c->subject) < 0)
            return err_set(e, -errno, "cannot switch off swap on '%s': %s%s", c->subject,
                           strerror(errno),
                           errno == ENOMEM ? "; what is in it does not fit into memory" : "");
        return 0;
    case CHANGE_PROMISC:
        return net_set_promiscuous(c->subject, true, e);
    case CHANGE_MODULE:
        return load_module(c->subject, e);
    case CHANGE_SYSCTL:
        return write_sysctl(c, c->after.content.data, e);
    }
    return 0;
}

/* --- undoing --- */

/* Takes our marks out of a table that somebody else changed too. */
static int undo_fstab(const char *root, const struct host_change *c, const struct host_file *now,
                      struct err **e)
{
    auto_host_file struct host_file edited = {.kind = HOST_ABSENT};
    auto_buf struct buf text;

    buf_init(&text, HOST_FILE_MAX);
    if (!fstab_uncomment_swap(&now->content, &c->before.content, &text))
        return 0;
    host_file_edited(now, &text, &edited);
    return host_file_put(root, c->subject, &edited, e);
}

static int undo_file(const char *root, const struct host_change *c, enum undo_result *out,
                     char **out_why, struct err **e)
{
    auto_host_file struct host_file now = {.kind = HOST_ABSENT};
    int r = host_file_get(root, c->subject, &now, e);

    if (r < 0)
        return r;
    /* Equal bytes do not mean equal owner, mode and times: they are put back as well, and what a
     * killed run left under a temporary name goes. */
    if (host_file_same(&now, &c->after) || host_file_same(&now, &c->before))
        return host_file_put(root, c->subject, &c->before, e);
    if (!strcmp(c->subject, FSTAB) && now.kind == HOST_REGULAR)
        return undo_fstab(root, c, &now, e);
    *out = UNDO_KEPT;
    *out_why = xasprintf("'%s%s' was changed since by somebody else", root, c->subject);
    return 0;
}

static int undo_swap(const char *root, const struct host_change *c, enum undo_result *out,
                     char **out_why, struct err **e)
{
    unsigned flags = c->swap_flags;

    if (swap_is_on(root, c->subject))
        return 0;
    /* A negative priority is the kernel's own choice, made anew in the same order. */
    if (c->priority >= 0)
        flags |= SWAP_FLAG_PREFER | ((unsigned)c->priority & SWAP_FLAG_PRIO_MASK);
    if (swapon(c->subject, (int)flags) == 0)
        return 0;
    /* A zram device is empty after a restart until its unit fills it, a partition may be gone. */
    if (errno != ENOENT && errno != EINVAL)
        return err_set(e, -errno, "cannot switch on swap on '%s': %s", c->subject, strerror(errno));
    *out = UNDO_KEPT;
    *out_why = xasprintf("'%s' %s", c->subject,
                         errno == EINVAL ? "is no swap area by now" : "is not there any more");
    return 0;
}

static int undo_promisc(const struct host_change *c, enum undo_result *out, char **out_why,
                        struct err **e)
{
    int r = is_promiscuous(c->subject, e);

    if (r == 1)
        return net_set_promiscuous(c->subject, false, e);
    if (r == -ENODEV) {
        *out = UNDO_KEPT;
        *out_why = xasprintf("there is no '%s' any more", c->subject);
        r = 0;
    }
    return r;
}

/* Unloads what was loaded, the last first. What is in use by now stays: that is no failure. */
static int undo_module(const char *root, const struct host_change *c, enum undo_result *out,
                       char **out_why, struct err **e)
{
    auto_free char *names = xstrndup(c->after.content.data, c->after.content.len);

    for (;;) {
        char *blank = strrchr(names, ' '), *name = blank ? blank + 1 : names;

        if (*name && module_is_loaded(root, name) &&
            syscall(SYS_delete_module, name, O_NONBLOCK) < 0 && errno != ENOENT) {
            if (errno != EWOULDBLOCK && errno != EBUSY)
                return err_set(e, -errno, "cannot unload module '%s': %s", name, strerror(errno));
            *out = UNDO_KEPT;
            free(*out_why);
            *out_why = xasprintf("module '%s' is in use", name);
        }
        if (!blank)
            return 0;
        *blank = '\0';
    }
}

static int undo_sysctl(const char *root, const struct host_change *c, enum undo_result *out,
                       char **out_why, struct err **e)
{
    auto_free char *path = sysctl_path(c);
    auto_free char *now = host_line(root, path);

    /* It went with its module, or it came with it and goes when that is unloaded. */
    if (!*now || !c->before.content.len || !strcmp(now, c->before.content.data))
        return 0;
    if (!strcmp(now, c->after.content.data))
        return write_sysctl(c, c->before.content.data, e);
    *out = UNDO_KEPT;
    *out_why = xasprintf("'%s' was set to %s since by somebody else", path, now);
    return 0;
}

int host_change_undo(const char *root, const struct host_change *c, enum undo_result *out,
                     char **out_why, struct err **e)
{
    *out = UNDO_DONE;
    *out_why = NULL;
    switch (c->kind) {
    case CHANGE_FOLDER:
        host_rmdir(root, c->subject);
        return 0;
    case CHANGE_FILE:
        return undo_file(root, c, out, out_why, e);
    case CHANGE_SWAP:
        return undo_swap(root, c, out, out_why, e);
    case CHANGE_PROMISC:
        return undo_promisc(c, out, out_why, e);
    case CHANGE_MODULE:
        return undo_module(root, c, out, out_why, e);
    case CHANGE_SYSCTL:
        return undo_sysctl(root, c, out, out_why, e);
    }
    return 0;
}
