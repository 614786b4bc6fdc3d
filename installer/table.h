#pragma once
/* Aligned columns on standard output. */
#include <stddef.h>

#define TABLE_COLUMNS_MAX 12

struct table {
    size_t n_columns;
    char **cells; /* row after row; the first row is the heading */
    size_t n_cells;
};

/* The heading, in capitals, ended by NULL. */
void table_init(struct table *t, const char *const *heading);
/* One row: as many texts as the heading has; copied. NULL is shown as "-". */
void table_row(struct table *t, const char *const *texts);
/* Two blanks between columns, none behind the last. */
void table_print(const struct table *t);
void table_release(struct table *t);
