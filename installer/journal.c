/* The journal of a running bundle create. */
#include "journal.h"

#include "buf.h"
#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define JOURNAL_MAX (256u << 20)

struct journal {
    int fd; /* O_APPEND, locked */
    size_t count;
    int64_t *bytes;
    pthread_mutex_t lock;
};

static char *first_line(const char *plan)
{
    return xasprintf("flatnet-journal 1 %s\n", plan);
}

/* Reads whole lines only: what a crash tore at the end is passed over. */
static void replay(struct journal *j, const char *text)
{
    const char *end;

    for (; (end = strchr(text, '\n')); text = end + 1) {
        uintmax_t number, bytes;
        char *rest;

        number = strtoumax(text, &rest, 10);
        bytes = strtoumax(rest, &rest, 10);
        if (rest == end && number < j->count && bytes <= INT64_MAX)
            j->bytes[number] = (int64_t)bytes;
    }
}

static int load(struct journal *j, const char *path, const char *plan, int *out_resumed,
                struct err **e)
{
    auto_free char *wanted = first_line(plan);
    auto_buf struct buf text;
    int r;

    buf_init(&text, JOURNAL_MAX);
    r = fs_read_file(path, &text, e);
    if (r < 0 && r != -EFBIG)
        return r;
    *out_resumed = r == 0 && !strncmp(text.data, wanted, strlen(wanted));
    if (*out_resumed) {
        replay(j, text.data + strlen(wanted));
        return 0;
    }
    if (ftruncate(j->fd, 0) < 0 || (r = fs_write(j->fd, wanted, strlen(wanted))) < 0)
        return err_set(e, r < 0 ? r : -errno, "cannot write '%s'", path);
    return 0;
}

int journal_open(const char *path, const char *plan, size_t count, struct journal **out,
                 int *out_resumed, struct err **e)
{
    struct journal *j = xcalloc(1, sizeof(*j));
    int r;

    pthread_mutex_init(&j->lock, NULL);
    j->count = count;
    j->bytes = xcalloc(count, sizeof(*j->bytes));
    j->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (j->fd < 0)
        r = err_set(e, -errno, "cannot create '%s': %s", path, strerror(errno));
    else if (flock(j->fd, LOCK_EX | LOCK_NB) < 0)
        r = err_set(e, -EBUSY, "another flatnet is writing here ('%s' is locked)", path);
    else
        r = load(j, path, plan, out_resumed, e);
    if (r < 0) {
        journal_free(j);
        return r;
    }
    *out = j;
    return 0;
}

int64_t journal_get(const struct journal *j, size_t number)
{
    return j->bytes[number];
}

int journal_put(struct journal *j, size_t number, int64_t bytes)
{
    char line[48];
    int len = snprintf(line, sizeof(line), "%zu %" PRId64 "\n", number, bytes);
    int r;

    pthread_mutex_lock(&j->lock);
    j->bytes[number] = bytes;
    r = fs_write(j->fd, line, (size_t)len);
    pthread_mutex_unlock(&j->lock);
    return r;
}

void journal_free(struct journal *j)
{
    if (!j)
        return;
    mem_close_fd(&j->fd);
    pthread_mutex_destroy(&j->lock);
    free(j->bytes);
    free(j);
}
