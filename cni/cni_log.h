#pragma once
/*
 * The plugin's log: each line goes to standard error and to a file. The file is renamed to FILE.1,
 * and that to FILE.2, once it is full; many plugins write to it at once. A log that cannot be
 * written never stops a call.
 */
#include "cni_conf.h"
#include "cni_env.h"

/* Borrows both until the program ends. */
void cni_log_open(const struct cni_conf *conf, const struct cni_env *env);
/* At debug: what was done since the last step, with its duration. */
void cni_log_step(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Milliseconds since cni_log_open. */
double cni_log_elapsed_ms(void);
void cni_log_close(void);
