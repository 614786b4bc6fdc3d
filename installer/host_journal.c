/* The journal: appended and synced line by line, read from the start. */
#include "host_journal.h"

#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "/var/lib/flatnet"
#define JOURNAL_MAX (64u << 20)

static int read_line(struct host_journal *j, const char *line, size_t len, struct err **e)
{
    auto_json cJSON *tree = NULL;
    struct host_change c;
    int r = json_parse(line, len, &tree, e);

    if (r < 0)
        return r;
    j->is_complete = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(tree, "complete"));
    if (j->is_complete)
        return 0;
    r = host_change_from_json(json_get_obj(tree, "change"), &c, e);
    if (r < 0)
        return r;
    array_grow(j->changes, j->count);
    j->changes[j->count++] = c;
    return 0;
}

static int read_lines(struct host_journal *j, const struct buf *text, size_t *out_good,
                      struct err **e)
{
    size_t number = 0;

    *out_good = 0;
    for (const char *p = text->data, *end = p + text->len, *newline; p < end; p = newline + 1) {
        newline = memchr(p, '\n', (size_t)(end - p));
        if (!newline)
            break;
        number++;
        if (read_line(j, p, (size_t)(newline - p), e) < 0) {
            (void)err_wrap(e, "'%s' line %zu", j->path, number);
            return -EBADMSG;
        }
        *out_good = (size_t)(newline + 1 - text->data);
    }
    return 0;
}

static int load(struct host_journal *j, struct err **e)
{
    auto_buf struct buf text;
    size_t good;
    int r;

    buf_init(&text, JOURNAL_MAX);
    r = fs_read_file(j->path, &text, e);
    if (r == 0)
        r = read_lines(j, &text, &good, e);
    if (r == 0 && good < text.len && ftruncate(j->fd, (off_t)good) < 0)
        r = err_set(e, -errno, "cannot write '%s': %s", j->path, strerror(errno));
    return r;
}

/* A journal that was removed while we waited for its lock is none. */
static int open_locked(struct host_journal *j, bool create, struct err **e)
{
    struct stat st;

    for (;;) {
        j->fd = open(j->path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0),
                     0600);
        if (j->fd < 0 && errno == ENOENT && !create)
            return 0;
        if (j->fd < 0)
            return err_set(e, -errno, "cannot open '%s': %s", j->path, strerror(errno));
        if (flock(j->fd, LOCK_EX | LOCK_NB) < 0)
            return err_set(e, -EBUSY, "'%s' is in use: another flatnet works on this host",
                           j->path);
        if (fstat(j->fd, &st) == 0 && st.st_nlink)
            return 0;
        (void)close(j->fd);
    }
}

int host_journal_open(const char *root, bool create, struct host_journal *out, struct err **e)
{
    struct host_journal j = {.path = xasprintf("%s" HOST_JOURNAL, root),
                             .fd = -1,
                             .is_complete = true};
    auto_free char *folder = xasprintf("%s" FOLDER, root);
    int r = create ? fs_mkdirs(folder, 0755, e) : 0;

    if (r == 0)
        r = open_locked(&j, create, e);
    if (r == 0 && create)
        r = fs_sync_parent(j.path, e);
    if (r == 0 && j.fd >= 0)
        r = load(&j, e);
    if (r < 0)
        host_journal_close(&j);
    else
        *out = j;
    return r;
}

static int append(struct host_journal *j, const cJSON *tree, struct err **e)
{
    auto_free char *text = json_print(tree);
    auto_free char *line = xasprintf("%s\n", text);
    int r = fs_write(j->fd, line, strlen(line));

    if (r == 0 && fdatasync(j->fd) < 0)
        r = -errno;
    return r < 0 ? err_set(e, r, "cannot write '%s': %s; nothing more was changed", j->path,
                           strerror(-r))
                 : 0;
}

int host_journal_add(struct host_journal *j, const struct host_change *c, struct err **e)
{
    auto_json cJSON *tree = cJSON_CreateObject();

    json_add_int(tree, "schemaVersion", 1);
    (void)cJSON_AddItemToObject(tree, "change", host_change_json(c));
    j->is_complete = false;
    return append(j, tree, e);
}

int host_journal_complete(struct host_journal *j, struct err **e)
{
    auto_json cJSON *tree = cJSON_CreateObject();

    (void)cJSON_AddBoolToObject(tree, "complete", true);
    j->is_complete = true;
    return append(j, tree, e);
}

int host_journal_remove(struct host_journal *j, const char *root, struct err **e)
{
    auto_free char *folder = xasprintf("%s" FOLDER, root);

    if (unlink(j->path) < 0 && errno != ENOENT)
        return err_set(e, -errno, "cannot remove '%s': %s", j->path, strerror(errno));
    (void)fs_sync_parent(j->path, NULL);
    (void)rmdir(folder);
    return 0;
}

void host_journal_close(struct host_journal *j)
{
    for (size_t i = 0; i < j->count; i++)
        host_change_release(&j->changes[i]);
    free(j->changes);
    free(j->path);
    mem_close_fd(&j->fd);
    *j = (struct host_journal){.fd = -1};
}
