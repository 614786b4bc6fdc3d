#pragma once
/*
 * The language of addons/templates, line by line, so that comments and layout are the template's:
 *
 *   #@ if FLAG      #@ if !FLAG      #@ else      #@ end     (blanks before are fine; they nest)
 *   ... @NAME@ ...  the value; where the variable has several values the line is repeated for
 *                   each, and with none it is left out
 *
 * Values are put in as they are: whoever makes them sees to it that they fit into YAML. Pure.
 */
#include "buf.h"
#include "err.h"

#include <stddef.h>

struct addons_variable {
    const char *name;          /* capitals, digits and '_'; NULL ends the table */
    const char *const *values; /* NULL-terminated */
};

struct addons_template {
    const char *name; /* for messages */
    const char *text;
    size_t len;
    const struct addons_variable *variables;
    const char *const *flags; /* those that are true, NULL-terminated */
};

/* Appends the result to `out`. -EINVAL names the line of an unknown variable or directive, and of
 * an "if" without "end"; -EFBIG when `out` is full. */
int addons_template_render(const struct addons_template *t, struct buf *out, struct err **e);
