#pragma once
/*
 * What the kernel and its modules' folder say, read from text: no file is opened here. Formats are
 * those of proc(5), modules.dep(5) and of the kernel's own .config.
 */
#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One active swap area: a row of /proc/swaps. */
struct proc_swap {
    char *path;   /* escapes undone, without " (deleted)" */
    bool is_gone; /* the file was deleted: it can be switched off and never on again */
    int64_t kib, used_kib;
    int priority;
};
struct proc_swaps {
    struct proc_swap *rows; /* in the kernel's order */
    size_t count;
};
/* Rows that cannot be read are left out. */
void proc_swaps_parse(const char *text, struct proc_swaps *out);
void proc_swaps_release(struct proc_swaps *s);

/* The value of CONFIG_NAME: 'y', 'm', 'n' ("is not set"), or '\0' where it is not mentioned. */
char proc_config(const char *text, const char *name);

/* Module names in /proc/modules; '-' and '_' are the same in a name, here and below. */
bool proc_has_module(const char *proc_modules, const char *name);
/* True if modules.builtin, a list of paths, has it. */
bool proc_is_builtin(const char *modules_builtin, const char *name);
/* The line of modules.dep that is about `name`: "path.ko.xz: dep.ko.xz ...", borrowed and not
 * ended; *out_len is its length. NULL where there is none. */
const char *proc_module_line(const char *modules_dep, const char *name, size_t *out_len);
/* True if a file of modules-load.d (or /etc/modules) names it. */
bool proc_lists_module(const char *modules_load, const char *name);
/* The name of the module in the file at `path` of that length, '-' as '_'. To be freed. */
char *proc_module_name(const char *path, size_t len);

/* "3.10.0-957.el7.x86_64" as 310: major * 100 + minor; -EINVAL where it does not begin so. */
int proc_kernel_version(const char *release);

/* Ports that somebody listens on, from /proc/net/tcp, tcp6 (state 0A) or udp, udp6 (07). */
struct proc_ports {
    uint16_t *ports;
    size_t count;
};
void proc_ports_add(const char *text, bool is_udp, struct proc_ports *ports);
bool proc_ports_have(const struct proc_ports *ports, unsigned port);
void proc_ports_release(struct proc_ports *ports);

/* The value of KEY in lines "KEY=value" or "key = value" (os-release, ufw.conf, sysctl.conf): the
 * last one; quotes are taken off. Comments begin with '#' or ';'. To be freed; NULL without. */
char *proc_setting(const char *text, const char *key);
