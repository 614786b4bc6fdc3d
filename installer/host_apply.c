/* Plans carried out and journals undone. */
#include "host_apply.h"

#include "host_systemd.h"
#include "interrupt.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

static int make(const struct host *h, struct host_change *c, struct host_journal *j, size_t *made,
                struct err **e)
{
    auto_free char *text = NULL;
    int r = host_change_look(h->root, c, e);

    if (r <= 0)
        return r;
    r = host_journal_add(j, c, e);
    if (r == 0)
        r = host_change_apply(h->root, c, e);
    if (r < 0)
        return r;
    text = host_change_text(c);
    log_info("%s", text);
    ++*made;
    return 0;
}

static bool has_units(const struct host_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (host_change_is_unit(&changes[i]))
            return true;
    return false;
}

/* NetworkManager goes on as it did where that fails; the operator can reload it. */
static void tell_network_manager(const struct host_change *changes, size_t count)
{
    auto_err struct err *e = NULL;
    bool has = false;

    for (size_t i = 0; i < count; i++)
        has = has || (changes[i].kind == CHANGE_FILE &&
                      !strncmp(changes[i].subject, "/etc/NetworkManager/", 20));
    if (has && host_exists("", "/run/NetworkManager") &&
        systemd_reload_service("NetworkManager.service", &e) < 0)
        log_warn("NetworkManager does not know its new settings yet: %s", err_text(e));
}

int host_apply(const struct host *h, struct host_plan *plan, struct host_journal *j,
               size_t *out_made, struct err **e)
{
    /* A run that was killed may have changed units without telling systemd. */
    bool reload = has_units(plan->changes, plan->count) ||
                  (!j->is_complete && has_units(j->changes, j->count));
    size_t made = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < plan->count; i++) {
        r = interrupt_check(e);
        if (r == 0)
            r = make(h, &plan->changes[i], j, &made, e);
    }
    *out_made = made;
    if (r == 0 && reload && h->is_live && host_exists("", "/run/systemd/system"))
        r = systemd_reload(e);
    if (r == 0 && h->is_live)
        tell_network_manager(plan->changes, plan->count);
    if (r == 0 && !j->is_complete)
        r = host_journal_complete(j, e);
    return r;
}

static void undo_one(const char *root, const struct host_change *c, struct host_undo *u)
{
    struct host_undone item = {.change = c};
    auto_err struct err *e = NULL;

    if (host_change_undo(root, c, &item.result, &item.why, &e) < 0) {
        item.error = xstrdup(err_text(e));
        u->failed++;
    } else if (item.result == UNDO_KEPT) {
        u->kept++;
    }
    array_grow(u->items, u->count);
    u->items[u->count++] = item;
}

int host_undo_all(const char *root, struct host_journal *j, struct host_undo *out, struct err **e)
{
    struct host_undo u = {.items = NULL};
    int r = 0;

    for (size_t i = j->count; i-- > 0;)
        undo_one(root, &j->changes[i], &u);
    if (has_units(j->changes, j->count) && !*root && host_exists("", "/run/systemd/system"))
        r = systemd_reload(e);
    if (r == 0 && !*root)
        tell_network_manager(j->changes, j->count);
    if (r == 0 && !u.failed)
        r = host_journal_remove(j, root, e);
    if (r < 0)
        host_undo_release(&u);
    else
        *out = u;
    return r;
}

void host_undo_release(struct host_undo *u)
{
    for (size_t i = 0; i < u->count; i++) {
        free(u->items[i].why);
        free(u->items[i].error);
    }
    free(u->items);
    *u = (struct host_undo){.items = NULL};
}
