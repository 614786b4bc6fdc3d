#pragma once
/* What the kernel must be able to do, and where each part of it stands. */
#include "host.h"

enum kernel_part_state {
    PART_UNKNOWN,
    PART_MISSING,
    PART_LOADABLE, /* a module that is not loaded */
    PART_LOADED,
    PART_BUILTIN,
};

struct kernel_part {
    const char *config; /* CONFIG_... without that */
    const char *module;
    bool must_load; /* nothing loads it by itself when it is needed in a container */
    const char *why;
};
extern const struct kernel_part kernel_parts[];
extern const size_t kernel_n_parts;

/* The texts that answer for all parts; read once. */
struct kernel_texts {
    char *config;  /* the kernel's configuration, "" where none is found */
    char *builtin; /* modules.builtin, or "" */
    char *dep;     /* modules.dep, or "" */
    char *folder;  /* /lib/modules/RELEASE */
};
void kernel_texts_read(const struct host *h, struct kernel_texts *out);
void kernel_texts_release(struct kernel_texts *t);
enum kernel_part_state kernel_part_state(const struct host *h, const struct kernel_texts *t,
                                         const struct kernel_part *part);
/* True if an earlier change of the plan loads that module. */
bool kernel_is_planned(const struct host_plan *plan, const char *module);
