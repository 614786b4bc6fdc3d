#pragma once
/* How the tools of the chaos test reach the API server: a loop, and requests from it. */
#include "http.h"
#include "kube/kube_config.h"
#include "kube/kube_io.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

struct kube_tool {
    const char *name;
    struct event_base *base;
    struct kube_config config;
    struct kube_io *io;
};

/* Ends the program with status 2 where the kubeconfig cannot be used. */
static inline void kube_tool_begin(struct kube_tool *t, const char *name, const char *kubeconfig)
{
    auto_err struct err *e = NULL;
    struct kube_io_options options = {.config = &t->config, .user_agent = name};
    int r;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    http_global_init();
    t->name = name;
    t->base = event_base_new();
    r = kube_config_load(kubeconfig, NULL, &t->config, &e);
    if (r == 0)
        r = kube_io_new(t->base, &options, &t->io, &e);
    if (r == 0)
        return;
    (void)fprintf(stderr, "%s: %s\n", name, err_text(e));
    exit(2);
}

static inline void kube_tool_end(struct kube_tool *t)
{
    kube_io_free(t->io);
    event_base_free(t->base);
    kube_config_release(&t->config);
}
