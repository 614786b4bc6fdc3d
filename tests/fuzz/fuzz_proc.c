/* Any text as what the kernel or a folder of modules might say. */
#include "host_proc.h"
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_swaps(const char *text)
{
    struct proc_swaps swaps;

    proc_swaps_parse(text, &swaps);
    for (size_t i = 0; i < swaps.count; i++)
        if (swaps.rows[i].path[0] != '/' || swaps.rows[i].priority < -32768)
            abort();
    proc_swaps_release(&swaps);
}

static void read_modules(const char *text)
{
    size_t len = 0;
    const char *line = proc_module_line(text, "br_netfilter", &len);

    if (line && (line < text || line + len > text + strlen(text)))
        abort();
    if (line)
        free(proc_module_name(line, len));
    (void)proc_has_module(text, "macvlan");
    (void)proc_is_builtin(text, "macvlan");
    (void)proc_lists_module(text, "macvlan");
}

static void read_ports(const char *text)
{
    struct proc_ports ports = {.ports = NULL};

    proc_ports_add(text, false, &ports);
    proc_ports_add(text, true, &ports);
    (void)proc_ports_have(&ports, 6443);
    proc_ports_release(&ports);
}

static void read_settings(const char *text)
{
    char value = proc_config(text, "MACVLAN");

    free(proc_setting(text, "ENABLED"));
    if (value && value != 'y' && value != 'm' && value != 'n')
        abort();
    (void)proc_kernel_version(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = xmalloc(size + 1);

    memcpy(text, data, size);
    text[size] = '\0';
    read_swaps(text);
    read_modules(text);
    read_ports(text);
    read_settings(text);
    return 0;
}
