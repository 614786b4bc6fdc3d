#pragma once
/* SIGINT and SIGTERM end long work cleanly: loops ask, and the second signal kills. */
#include "err.h"

#include <stdbool.h>

/* Installs the handlers; from then on the first signal only sets the flag. */
void interrupt_init(void);
bool interrupt_seen(void);
/* 0, or -ECANCELED with *e once a signal came. */
int interrupt_check(struct err **e);
