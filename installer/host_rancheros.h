#pragma once
/* RancherOS: no systemd, no drop-ins; what happens at boot stands in its cloud-config, which is the
 * operator's file, so that nothing of it is changed here. */
#include "host.h"

bool rancheros_is(const struct host *h);
/* True if the cloud-config names that word: a module, a setting. */
bool rancheros_mentions(const struct host *h, const char *word);
