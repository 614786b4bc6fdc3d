/* systemd's names and folders. */
#include "host_systemd.h"

#include "child.h"
#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool systemd_is_there(const struct host *h)
{
    if (host_exists(h->root, "/run/systemd/system"))
        return true;
    return !h->is_live && (host_exists(h->root, "/usr/lib/systemd/systemd") ||
                           host_exists(h->root, "/lib/systemd/systemd"));
}

char *systemd_escape(const char *text)
{
    struct buf out;

    buf_init(&out, 4096);
    for (const char *p = text; *p; p++) {
        if (*p == '/')
            (void)buf_addch(&out, '-');
        else if ((isalnum((unsigned char)*p) || strchr(":_.", *p)) && !(*p == '.' && p == text))
            (void)buf_addch(&out, *p);
        else
            (void)buf_addf(&out, "\\x%02x", (unsigned char)*p);
    }
    return out.cap ? buf_steal(&out) : xstrdup("");
}

char *systemd_path_unit(const char *path, const char *suffix)
{
    size_t len;
    auto_free char *bare = NULL, *escaped = NULL;

    while (*path == '/')
        path++;
    len = strlen(path);
    while (len && path[len - 1] == '/')
        len--;
    bare = xstrndup(path, len);
    escaped = systemd_escape(*bare ? bare : "/");
    return xasprintf("%s.%s", escaped, suffix);
}

static const char *const folders[] = {
    "/etc/systemd/system",     "/run/systemd/system",         "/run/systemd/generator.early",
    "/run/systemd/generator",  "/run/systemd/generator.late", "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system", "/lib/systemd/system",
};
#define N_FOLDERS (sizeof(folders) / sizeof(folders[0]))

bool systemd_is_masked(const struct host *h, const char *unit)
{
    auto_free char *path = xasprintf("/etc/systemd/system/%s", unit);
    auto_free char *target = host_readlink(h->root, path);

    return target && !strcmp(target, "/dev/null");
}

static bool is_of_fstab(const struct host *h, const char *folder, const char *unit)
{
    auto_free char *path = xasprintf("%s/%s", folder, unit);
    auto_free char *text = NULL;

    return strstr(folder, "generator") && host_text(h->root, path, &text) &&
           strstr(text, "SourcePath=/etc/fstab");
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t len = strlen(name), suffix_len = strlen(suffix);

    return len > suffix_len && !strcmp(name + len - suffix_len, suffix);
}

static void add_once(struct host_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (!strcmp(names->names[i], name))
            return;
    array_grow(names->names, names->count);
    names->names[names->count++] = xstrdup(name);
}

void systemd_units(const struct host *h, const char *suffix, struct host_names *out)
{
    *out = (struct host_names){.names = NULL};
    for (size_t i = 0; i < N_FOLDERS; i++) {
        auto_host_names struct host_names units = {.names = NULL};

        host_list(h->root, folders[i], &units);
        for (size_t k = 0; k < units.count; k++)
            if (has_suffix(units.names[k], suffix) && !systemd_is_masked(h, units.names[k]) &&
                !is_of_fstab(h, folders[i], units.names[k]))
                add_once(out, units.names[k]);
    }
}

bool systemd_has_unit(const struct host *h, const char *unit)
{
    bool has = false;

    for (size_t i = 0; !has && i < N_FOLDERS; i++) {
        auto_free char *path = xasprintf("%s/%s", folders[i], unit);

        has = host_exists(h->root, path);
    }
    return has;
}

static int systemctl(const char *verb, const char *unit, struct err **e)
{
    static const char *const places[] = {"/bin/systemctl", "/usr/bin/systemctl", NULL};
    auto_free char *program = child_find("systemctl", places);
    const char *argv[] = {program, verb, unit, NULL};
    struct child c = {.argv = argv};
    auto_buf struct buf out;
    int r;

    buf_init(&out, 4096);
    if (!program)
        return err_set(e, -ENOENT,
                       "systemctl is not there, so that nothing reads what was changed");
    r = child_run(&c, &out, e);
    return r < 0 ? err_wrap(e, "systemctl %s%s%s", verb, unit ? " " : "", unit ? unit : "") : 0;
}

int systemd_reload(struct err **e)
{
    return systemctl("daemon-reload", NULL, e);
}

int systemd_reload_service(const char *unit, struct err **e)
{
    return systemctl("reload", unit, e);
}
