/* SIGINT and SIGTERM as a flag. */
#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t seen;

static void on_signal(int number)
{
    (void)number;
    seen = 1;
}

void interrupt_init(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};

    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool interrupt_seen(void)
{
    return seen;
}

int interrupt_check(struct err **e)
{
    return seen ? err_set(e, -ECANCELED, "interrupted") : 0;
}
