#pragma once
/* systemd as far as files show it: unit names, and where units lie (systemd.unit(5)). */
#include "host.h"

/* True if systemd runs there (/run/systemd/system, sd_booted(3)), or, with --root, is installed. */
bool systemd_is_there(const struct host *h);

/* A name with every byte but letters, digits, ':', '_' and '.' as \xNN, '/' as '-': what
 * systemd-escape(1) gives; a leading dot is escaped too. To be freed. */
char *systemd_escape(const char *text);
/* The unit of a path: "/dev/sda2", "swap" is "dev-sda2.swap" (systemd-escape --path). To be
 * freed. */
char *systemd_path_unit(const char *path, const char *suffix);

/* Units in all of systemd's folders whose name ends so, each once, sorted; masked ones are left
 * out, and those that systemd made of fstab. */
void systemd_units(const struct host *h, const char *suffix, struct host_names *out);
bool systemd_is_masked(const struct host *h, const char *unit);
/* True if one of the folders has it, masked or not. */
bool systemd_has_unit(const struct host *h, const char *unit);
/* Tells systemd that units changed; only for the running machine. */
int systemd_reload(struct err **e);
/* Has a service read its configuration again; only for the running machine. */
int systemd_reload_service(const char *unit, struct err **e);
