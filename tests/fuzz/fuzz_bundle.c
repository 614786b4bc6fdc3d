/*
 * The bundle's reader on any bytes: its index, a volume header, a whole bundle from a file and
 * through a pipe. What is taken is canonical, and both ways of reading agree.
 */
#include "bundle_index.h"
#include "cli.h"
#include "fs.h"
#include "mem.h"
#include "segfile.h"
#include "tar.h"
#include "verify.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_index(const char *data, size_t size)
{
    struct bundle_index index;

    if (bundle_index_parse(data, size, &index, NULL) < 0)
        return;
    for (size_t i = 0; i < index.n_entries; i++)
        if (!fs_path_is_plain(index.entries[i].path) || index.entries[i].size < 0)
            abort();
    bundle_index_release(&index);
}

static void try_volume(const char *data, size_t size)
{
    struct volume_header h;
    char block[VOLUME_HEADER];

    if (size < sizeof(block) || volume_header_parse(data, &h) < 0)
        return;
    volume_header_format(&h, block);
    if (memcmp(block, data, sizeof(block)) != 0)
        abort();
}

static int try_file(int fd)
{
    auto_free char *path = xasprintf("/proc/self/fd/%d", fd);
    auto_bundle struct bundle *b = NULL;
    struct verified v;

    return bundle_open(path, NULL, &b, NULL) < 0 ? -1 : verify_bundle(b, 1, true, &v, NULL);
}

static int try_stream(int fd, const void *first)
{
    struct verified v;

    if (lseek(fd, TAR_BLOCK, SEEK_SET) < 0)
        abort();
    return verify_stream(fd, first, &v, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_close int fd = memfd_create("bundle", MFD_CLOEXEC);
    int file, stream;

    cli_common.quiet = true;
    try_index((const char *)data, size);
    try_volume((const char *)data, size);
    if (fd < 0 || fs_write(fd, data, size) < 0)
        abort();
    file = try_file(fd);
    if (size < TAR_BLOCK)
        return 0;
    stream = try_stream(fd, data);
    if ((file < 0) != (stream < 0))
        abort();
    return 0;
}
