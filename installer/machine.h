#pragma once
/* Which platform a host is, from the words that uname and docker's /info use. */
#include "err.h"
#include "platform.h"

/* `machine` is "x86_64", "aarch64", "armv7l", ...; -EINVAL where that is not usable. */
int platform_of_machine(const char *os, const char *machine, struct platform *out, struct err **e);
/* The platform of the running kernel. */
int platform_of_host(struct platform *out, struct err **e);
