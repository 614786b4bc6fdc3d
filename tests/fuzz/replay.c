/*
 * Runs a fuzz target once over every file of a folder, so that its corpus is replayed by ordinary
 * test runs, with any compiler. Prints TAP; a folder without files is a failure.
 */
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_INPUT (16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The copy has exactly the file's size, so that a read behind its end is seen. */
static int replay_file(const char *path)
{
    auto_free uint8_t *big = xmalloc(LARGEST_INPUT);
    auto_free uint8_t *exact = NULL;
    FILE *f = fopen(path, "rbe");
    size_t len;

    if (!f)
        return -errno;
    len = fread(big, 1, LARGEST_INPUT, f);
    (void)fclose(f);
    exact = xmalloc(len);
    memcpy(exact, big, len);
    (void)LLVMFuzzerTestOneInput(exact, len);
    return 0;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    int count, failed = 0;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    count = scandir(argv[1], &entries, is_visible, alphasort);
    if (count <= 0) {
        printf("1..1\nnot ok 1 - '%s' has files\n", argv[1]);
        return 1;
    }
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        auto_free char *path = xasprintf("%s/%s", argv[1], entries[i]->d_name);
        int r = replay_file(path);

        failed += r < 0;
        printf("%sok %d - %s\n", r < 0 ? "not " : "", i + 1, entries[i]->d_name);
        (void)fflush(stdout);
        free(entries[i]);
    }
    free(entries);
    return failed ? 1 : 0;
}
