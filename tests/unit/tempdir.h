#pragma once
/* A folder of its own for each test, as cmocka's setup and teardown: the test runs in it. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char tempdir_path[64];

static int tempdir_enter(void **state)
{
    (void)state;
    /* In memory where that can be had: these tests write very many small files. */
    (void)snprintf(tempdir_path, sizeof(tempdir_path), "%s/flatnet-unit.XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return mkdtemp(tempdir_path) && chdir(tempdir_path) == 0 ? 0 : -1;
}

static int tempdir_remove_(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    (void)st;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int tempdir_leave(void **state)
{
    (void)state;
    return chdir("/") < 0 ? -1 : nftw(tempdir_path, tempdir_remove_, 8, FTW_DEPTH | FTW_PHYS);
}
