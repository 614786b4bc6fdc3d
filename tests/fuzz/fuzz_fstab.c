/* Any table: commenting leaves no swap row, adds only markers, and can be taken back. */
#include "host_fstab.h"
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_buf struct buf table, commented, back;
    struct fstab_swap options;
    size_t rows;

    buf_init(&table, 1u << 20);
    buf_init(&commented, 8u << 20);
    buf_init(&back, 8u << 20);
    if (buf_add(&table, data, size) < 0)
        return 0;
    rows = fstab_comment_swap(&table, &commented);
    if (rows != fstab_count_swap(&table) || fstab_count_swap(&commented))
        abort();
    if (commented.len != table.len + rows * (sizeof(FSTAB_MARKER) - 1))
        abort();
    if (fstab_uncomment_swap(&commented, &table, &back) < rows)
        abort();
    fstab_swap_options(table.data, table.len, &options);
    if (options.priority < -1 || options.priority > 32767)
        abort();
    return 0;
}
