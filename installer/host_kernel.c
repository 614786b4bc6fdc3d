/* Items about the kernel: its version, its parts, and the modules that must be loaded. */
#include "host_kernel.h"

#include "host_proc.h"
#include "host_rancheros.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define CONFIG_MAX (1u << 20)
#define OLDEST_KERNEL 310 /* 3.10, CentOS 7 */

const struct kernel_part kernel_parts[] = {
    {"MACVLAN", "macvlan", true, "the pods' interfaces"},
    {"VLAN_8021Q", "8021q", true, "subnets with a VLAN"},
    {"VXLAN", "vxlan", true, "flannel's overlay"},
    {"VETH", "veth", true, "the pods' eth0"},
    {"BRIDGE", "bridge", true, "cni0"},
    {"BRIDGE_NETFILTER", "br_netfilter", true, "services of pods on one host"},
    {"OVERLAY_FS", "overlay", true, "docker's overlay2"},
    {"NF_NAT", "nf_nat", false, "services"},
};
const size_t kernel_n_parts = sizeof(kernel_parts) / sizeof(kernel_parts[0]);

void host_check_root(const struct host *h, struct host_verdict *v)
{
    (void)h;
    if (geteuid() == 0)
        host_say(v, HOST_PASS, NULL, "runs as root");
    else
        host_say(v, HOST_FAIL, "run it as root", "runs as user %u", (unsigned)geteuid());
}

void host_check_kernel(const struct host *h, struct host_verdict *v)
{
    int version = proc_kernel_version(h->release);

    if (version < 0)
        host_say(v, HOST_WARN, "use a root that has one kernel in /lib/modules",
                 "the kernel's version is not known");
    else if (version < OLDEST_KERNEL)
        host_say(v, HOST_FAIL, "use Linux 3.10 or newer", "Linux %s", h->release);
    else
        host_say(v, HOST_PASS, NULL, "Linux %s", h->release);
}

/* --- where the parts are --- */

/* The gzip file's text, bounded; "" where it is none. */
static char *inflate_text(const struct buf *packed)
{
    z_stream z = {.next_in = (unsigned char *)packed->data, .avail_in = (unsigned)packed->len};
    char *text = xmalloc(CONFIG_MAX + 1);
    size_t len = 0;

    if (inflateInit2(&z, 16 + MAX_WBITS) == Z_OK) {
        z.next_out = (unsigned char *)text;
        z.avail_out = CONFIG_MAX;
        if (inflate(&z, Z_FINISH) == Z_STREAM_END)
            len = z.total_out;
        (void)inflateEnd(&z);
    }
    text[len] = '\0';
    return text;
}

static bool read_config_gz(const struct host *h, struct kernel_texts *t)
{
    auto_buf struct buf packed;

    buf_init(&packed, CONFIG_MAX);
    if (host_read(h->root, "/proc/config.gz", &packed, NULL) < 0)
        return false;
    t->config = inflate_text(&packed);
    return *t->config != '\0';
}

static void read_config(const struct host *h, struct kernel_texts *t)
{
    static const struct {
        const char *before, *after;
    } places[] = {{"/boot/config-", ""},
                  {"/lib/modules/", "/config"},
                  {"/usr/lib/modules/", "/config"}};

    if (read_config_gz(h, t))
        return;
    for (size_t i = 0; i < 3 && *h->release; i++) {
        auto_free char *path = xasprintf("%s%s%s", places[i].before, h->release, places[i].after);

        free(t->config);
        if (host_text(h->root, path, &t->config))
            return;
    }
}

static char *text_in(const struct host *h, const char *folder, const char *name)
{
    auto_free char *path = xasprintf("%s/%s", folder, name);
    char *text;

    (void)host_text(h->root, path, &text);
    return text;
}

void kernel_texts_read(const struct host *h, struct kernel_texts *out)
{
    *out = (struct kernel_texts){.folder = xasprintf("/lib/modules/%s", h->release)};
    read_config(h, out);
    if (!out->config)
        out->config = xstrdup("");
    out->builtin = text_in(h, out->folder, "modules.builtin");
    out->dep = text_in(h, out->folder, "modules.dep");
}

void kernel_texts_release(struct kernel_texts *t)
{
    free(t->config);
    free(t->builtin);
    free(t->dep);
    free(t->folder);
    *t = (struct kernel_texts){.config = NULL};
}

/* modules.dep names files relative to its folder, in very old trees absolute ones. */
static bool file_is_there(const struct host *h, const struct kernel_texts *t, const char *line)
{
    size_t len = strcspn(line, ":");
    auto_free char *path =
        *line == '/' ? xstrndup(line, len) : xasprintf("%s/%.*s", t->folder, (int)len, line);

    return host_exists(h->root, path);
}

enum kernel_part_state kernel_part_state(const struct host *h, const struct kernel_texts *t,
                                         const struct kernel_part *part)
{
    auto_free char *module = xasprintf("/sys/module/%s", part->module);
    char config = proc_config(t->config, part->config);
    const char *line;
    size_t len;

    if (proc_has_module(h->modules, part->module))
        return PART_LOADED;
    if (config == 'y' || proc_is_builtin(t->builtin, part->module) || host_exists(h->root, module))
        return PART_BUILTIN;
    line = proc_module_line(t->dep, part->module, &len);
    if (line && file_is_there(h, t, line))
        return PART_LOADABLE;
    return *t->config || *t->dep ? PART_MISSING : PART_UNKNOWN;
}

static const char *state_word(enum kernel_part_state state)
{
    static const char *const words[] = {"not known", "missing", "module, not loaded",
                                        "module, loaded", "built in"};

    return words[state];
}

void host_check_features(const struct host *h, struct host_verdict *v)
{
    struct kernel_texts t;

    kernel_texts_read(h, &t);
    for (size_t i = 0; i < kernel_n_parts; i++) {
        const struct kernel_part *part = &kernel_parts[i];
        enum kernel_part_state state = kernel_part_state(h, &t, part);

        if (state == PART_MISSING)
            host_say(v, HOST_FAIL,
                     "use a kernel that has it, or install the distribution's package of further "
                     "modules (linux-modules-extra, kernel-modules-extra)",
                     "%s: missing, needed for %s", part->config, part->why);
        else if (state == PART_UNKNOWN)
            host_say(v, HOST_WARN,
                     "make sure of it: there is neither a kernel configuration nor a folder of "
                     "modules to look at",
                     "%s: not known", part->config);
        else
            host_say(v, HOST_PASS, NULL, "%s: %s", part->config, state_word(state));
    }
    kernel_texts_release(&t);
}

/* --- loading --- */

void host_check_modules(const struct host *h, struct host_verdict *v)
{
    struct kernel_texts t;
    size_t ready = 0;

    kernel_texts_read(h, &t);
    for (size_t i = 0; i < kernel_n_parts; i++) {
        enum kernel_part_state state = kernel_part_state(h, &t, &kernel_parts[i]);

        ready += state >= PART_LOADED;
        if (kernel_parts[i].must_load && state == PART_LOADABLE)
            host_say(v, HOST_FAIL, "run 'flatnet host prepare', or modprobe each",
                     "%s is not loaded", kernel_parts[i].module);
    }
    if (v->level == HOST_PASS)
        host_say(v, HOST_PASS, NULL, "%zu of %zu parts are in the kernel", ready, kernel_n_parts);
    kernel_texts_release(&t);
}

bool kernel_is_planned(const struct host_plan *plan, const char *module)
{
    size_t len = strlen(module);

    for (size_t i = 0; i < plan->count; i++) {
        const struct host_change *c = &plan->changes[i];
        const char *p = c->kind == CHANGE_MODULE ? c->after.content.data : "";

        for (size_t n; *p; p += n + (p[n] == ' ')) {
            n = strcspn(p, " ");
            if (n == len && !memcmp(p, module, n))
                return true;
        }
    }
    return false;
}

/* The modules in a line of modules.dep that are not loaded yet, last dependency first, as they get
 * loaded: joined by blanks. Each stands in one change only, so that it is unloaded when all that
 * need it are gone. */
static void list_loads(const struct host *h, const struct host_plan *plan, const char *line,
                       size_t len, struct buf *out)
{
    const char *colon = memchr(line, ':', len), *stop = line + len;
    auto_free char *own = proc_module_name(line, (size_t)(colon - line));

    while (stop > colon + 1) {
        const char *start = stop;
        auto_free char *name = NULL;

        while (start > colon + 1 && start[-1] != ' ')
            start--;
        if (stop > start) {
            name = proc_module_name(start, (size_t)(stop - start));
            if (!proc_has_module(h->modules, name) && !kernel_is_planned(plan, name))
                (void)buf_addf(out, "%s ", name);
        }
        stop = start > colon + 1 ? start - 1 : start;
    }
    (void)buf_addstr(out, own);
}

int host_plan_modules(const struct host *h, struct host_plan *plan, struct err **e)
{
    struct kernel_texts t;

    (void)e;
    kernel_texts_read(h, &t);
    for (size_t i = 0; i < kernel_n_parts; i++) {
        const struct kernel_part *part = &kernel_parts[i];
        auto_buf struct buf loads;
        const char *line;
        size_t len;

        buf_init(&loads, 4096);
        if (!part->must_load || kernel_part_state(h, &t, part) != PART_LOADABLE)
            continue;
        line = proc_module_line(t.dep, part->module, &len);
        list_loads(h, plan, line, len, &loads);
        (void)
            buf_addstr(&host_plan_add(plan, CHANGE_MODULE, "modules", part->module)->after.content,
                       loads.data);
    }
    kernel_texts_release(&t);
    return 0;
}

/* All that is read at boot about modules to load, joined. To be freed. */
static char *boot_modules(const struct host *h)
{
    static const char *const folders[] = {"/etc/modules-load.d", "/run/modules-load.d",
                                          "/usr/lib/modules-load.d", "/lib/modules-load.d"};
    auto_free char *modules = NULL;
    struct buf text;

    buf_init(&text, HOST_FACT_MAX);
    (void)host_text(h->root, "/etc/modules", &modules);
    (void)buf_addf(&text, "%s\n", modules);
    for (size_t i = 0; i < 4; i++) {
        auto_host_names struct host_names files = {.names = NULL};

        host_list(h->root, folders[i], &files);
        for (size_t k = 0; k < files.count; k++) {
            auto_free char *content = NULL;
            size_t len = strlen(files.names[k]);

            if (len < 5 || strcmp(files.names[k] + len - 5, ".conf") != 0)
                continue;
            content = text_in(h, folders[i], files.names[k]);
            (void)buf_addf(&text, "%s\n", content);
        }
    }
    return buf_steal(&text);
}

/* Names of what is a module here and what nothing loads at boot: borrowed, as many as there are
 * parts at most. */
static size_t not_at_boot(const struct host *h, const char **out_names)
{
    auto_free char *listed = boot_modules(h);
    bool is_rancheros = rancheros_is(h);
    struct kernel_texts t;
    size_t n = 0;

    kernel_texts_read(h, &t);
    for (size_t i = 0; i < kernel_n_parts; i++) {
        enum kernel_part_state state = kernel_part_state(h, &t, &kernel_parts[i]);
        bool is_module = state == PART_LOADABLE || state == PART_LOADED;
        const char *name = kernel_parts[i].module;

        if (kernel_parts[i].must_load && is_module &&
            !(is_rancheros ? rancheros_mentions(h, name) : proc_lists_module(listed, name)))
            out_names[n++] = name;
    }
    kernel_texts_release(&t);
    return n;
}

void host_check_modules_boot(const struct host *h, struct host_verdict *v)
{
    auto_free const char **names = xcalloc(kernel_n_parts, sizeof(*names));
    size_t n = not_at_boot(h, names);
    const char *mend = rancheros_is(h)
                           ? "on RancherOS list each with ros config set rancher.modules '[...]'"
                           : "run 'flatnet host prepare', or list each in /etc/modules-load.d "
                             "(without systemd: /etc/modules)";

    for (size_t i = 0; i < n; i++)
        host_say(v, HOST_FAIL, mend, "%s is not loaded at boot", names[i]);
    if (!n)
        host_say(v, HOST_PASS, NULL, "all modules are built in or loaded at boot");
}

#define MODULES_FILE "/etc/modules-load.d/flatnet.conf"

int host_plan_modules_boot(const struct host *h, struct host_plan *plan, struct err **e)
{
    auto_free const char **names = xcalloc(kernel_n_parts, sizeof(*names));
    size_t n = not_at_boot(h, names);
    auto_host_file struct host_file now = {.kind = HOST_ABSENT};
    struct host_file after;
    int r;

    /* RancherOS reads no such file. */
    if (!n || rancheros_is(h))
        return 0;
    r = host_file_get(h->root, MODULES_FILE, &now, e);
    if (r < 0)
        return r;
    host_file_init(&after, HOST_REGULAR, "# Written by flatnet host prepare.\n");
    if (now.kind == HOST_REGULAR) {
        buf_clear(&after.content);
        (void)buf_add(&after.content, now.content.data, now.content.len);
    }
    for (size_t i = 0; i < n; i++)
        (void)buf_addf(&after.content, "%s\n", names[i]);
    return host_plan_file(h->root, plan, "modules-boot", MODULES_FILE, &after, e);
}
