/* The canonical tar header. */
#include "tar.h"

#include <stdio.h>
#include <string.h>

#define USTAR_SIZE_MAX INT64_C(077777777777) /* 11 octal digits: 8 GiB less one byte */

/* Field offsets of POSIX.1-1988 ustar. */
enum { MODE = 100, UID = 108, GID = 116, SIZE = 124, MTIME = 136, CHKSUM = 148, TYPE = 156 };
enum { MAGIC = 257, DEVMAJOR = 329, DEVMINOR = 337 };

size_t tar_header_len(int64_t size)
{
    return size > USTAR_SIZE_MAX ? TAR_HEADER_MAX : TAR_BLOCK;
}

size_t tar_padding(int64_t size)
{
    return (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

/* `digits` octal digits and a NUL. */
static void put_octal(unsigned char *field, int digits, int64_t value)
{
    for (int i = digits - 1; i >= 0; i--, value >>= 3)
        field[i] = (unsigned char)('0' + (value & 7));
    field[digits] = '\0';
}

static void put_block(unsigned char *block, const char *path, int mode, int64_t size, char type)
{
    unsigned sum = 0;

    memset(block, 0, TAR_BLOCK);
    memcpy(block, path, strnlen(path, TAR_PATH_MAX));
    put_octal(block + MODE, 7, mode);
    put_octal(block + UID, 7, 0);
    put_octal(block + GID, 7, 0);
    put_octal(block + SIZE, 11, size);
    put_octal(block + MTIME, 11, 0);
    block[TYPE] = (unsigned char)type;
    memcpy(block + MAGIC, "ustar\00000", 8);
    put_octal(block + DEVMAJOR, 7, 0);
    put_octal(block + DEVMINOR, 7, 0);
    memset(block + CHKSUM, ' ', 8);
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += block[i];
    put_octal(block + CHKSUM, 6, sum);
}

size_t tar_header(const char *path, int64_t size, unsigned char out[TAR_HEADER_MAX])
{
    int mode = strncmp(path, "bin/", 4) ? 0644 : 0755;
    char record[TAR_BLOCK] = {0};
    int len;

    if (size <= USTAR_SIZE_MAX) {
        put_block(out, path, mode, size, '0');
        return TAR_BLOCK;
    }
    /* A pax record counts its own length; with ten or more digits of size it has two digits. */
    len = snprintf(record, sizeof(record), "%d size=%lld\n", 0, (long long)size) + 1;
    (void)snprintf(record, sizeof(record), "%d size=%lld\n", len, (long long)size);
    put_block(out, "pax", 0644, len, 'x');
    memcpy(out + TAR_BLOCK, record, TAR_BLOCK);
    put_block(out + 2 * TAR_BLOCK, path, mode, 0, '0');
    return TAR_HEADER_MAX;
}
