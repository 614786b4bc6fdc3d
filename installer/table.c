/* Aligned columns: widths are known once all rows are there. */
#include "table.h"

#include "mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void table_init(struct table *t, const char *const *heading)
{
    *t = (struct table){.n_columns = 0};
    while (heading[t->n_columns])
        t->n_columns++;
    table_row(t, heading);
}

void table_row(struct table *t, const char *const *texts)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        array_grow(t->cells, t->n_cells);
        t->cells[t->n_cells++] = xstrdup(texts[i] ? texts[i] : "-");
    }
}

void table_print(const struct table *t)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};

    for (size_t i = 0; i < t->n_cells; i++) {
        size_t len = strlen(t->cells[i]), *width = &widths[i % t->n_columns];

        *width = len > *width ? len : *width;
    }
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t column = i % t->n_columns;

        if (column + 1 < t->n_columns)
            (void)printf("%-*s  ", (int)widths[column], t->cells[i]);
        else
            (void)printf("%s\n", t->cells[i]);
    }
}

void table_release(struct table *t)
{
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct table){.n_columns = 0};
}
