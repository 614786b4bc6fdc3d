/* flatnet bundle extract: addons and programs out of a bundle, and nothing else. */
#include "cli.h"

#include "bundle.h"
#include "fs.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (64u << 20)

static const char *target = ".";
static struct cli_list only;

static const struct cli_option option_table[] = {
    {"output", 'o', CLI_STRING, "DIR", &target, "folder to write into (default '.')"},
    {"only", 0, CLI_LIST, "PATTERN", &only, "paths to take, such as 'addons/*' or 'bin/*'"},
    {0},
};

static const struct cli_verb verb = {
    .path = "bundle extract",
    .args = "BUNDLE [--only PATTERN]... [-o DIR]",
    .summary = "Writes the addons and programs of a bundle below a folder.",
    .text = "Files are replaced whole; links in the target folder are not followed.",
    .options = option_table,
    .min_args = 1,
    .max_args = 1,
};

static bool is_wanted(const struct bundle_entry *entry)
{
    bool wanted = !only.count;

    if (strncmp(entry->path, "addons/", 7) != 0 && strncmp(entry->path, "bin/", 4) != 0)
        return false;
    for (size_t i = 0; i < only.count && !wanted; i++)
        wanted = fnmatch(only.items[i], entry->path, 0) == 0;
    return wanted;
}

/* The folder of `path` was just made or checked by fs_open_beneath; it is opened again the same
 * way, so that what is done in it cannot leave it either. */
static int open_folder(int dirfd, const char *path, struct err **e)
{
    auto_free char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));

    return fs_open_beneath(dirfd, folder, O_RDONLY | O_DIRECTORY, 0, e);
}

static void remove_beneath(int dirfd, const char *temp)
{
    auto_close int fd = open_folder(dirfd, temp, NULL);

    if (fd >= 0)
        (void)unlinkat(fd, strrchr(temp, '/') + 1, 0);
}

static int fill(int dirfd, const char *temp, const struct buf *bytes, mode_t mode, struct err **e)
{
    auto_close int fd = fs_open_beneath(dirfd, temp, O_WRONLY | O_CREAT | O_TRUNC, 0600, e);
    int r;

    if (fd < 0)
        return fd;
    r = fs_write(fd, bytes->data, bytes->len);
    if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
        r = -errno;
    if (r == 0)
        return 0;
    remove_beneath(dirfd, temp);
    return err_set(e, r, "cannot write '%s/%s': %s", target, temp, strerror(-r));
}

static int rename_beneath(int dirfd, const char *temp, const char *path, struct err **e)
{
    auto_close int fd = open_folder(dirfd, path, e);
    int r;

    if (fd < 0)
        return fd;
    if (renameat(fd, strrchr(temp, '/') + 1, fd, strrchr(path, '/') + 1) == 0 && fsync(fd) == 0)
        return 0;
    r = err_set(e, -errno, "cannot write '%s/%s': %s", target, path, strerror(errno));
    remove_beneath(dirfd, temp);
    return r;
}

static int extract(const struct bundle *b, const struct bundle_entry *entry, int dirfd,
                   struct err **e)
{
    auto_free char *temp = xasprintf("%s.partial", entry->path);
    mode_t mode = strncmp(entry->path, "bin/", 4) ? 0644 : 0755;
    struct buf bytes;
    int r = bundle_read_path(b, entry->path, FILE_MAX, &bytes, e);

    if (r == 0)
        r = fill(dirfd, temp, &bytes, mode, e);
    if (r == 0)
        r = rename_beneath(dirfd, temp, entry->path, e);
    buf_release(&bytes);
    return r;
}

static int extract_all(const struct bundle *b, cJSON *written, struct err **e)
{
    const struct bundle_index *index = bundle_index(b);
    auto_close int dirfd = -1;
    int r = fs_mkdirs(target, 0755, e);

    if (r < 0)
        return r;
    dirfd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return err_set(e, -errno, "cannot open '%s': %s", target, strerror(errno));
    for (size_t i = 0; i < index->n_entries && r == 0; i++) {
        if (!is_wanted(&index->entries[i]))
            continue;
        r = extract(b, &index->entries[i], dirfd, e);
        if (r == 0)
            cJSON_AddItemToArray(written, cJSON_CreateString(index->entries[i].path));
    }
    if (r == 0 && !cJSON_GetArraySize(written))
        r = err_set(e, -ENOENT, "nothing in '%s' matches; 'flatnet bundle ls' lists what it has",
                    bundle_path(b));
    return r;
}

static void print(cJSON *written)
{
    const cJSON *item;

    if (!cli_common.json) {
        cJSON_ArrayForEach(item, written)(void)
            printf("%s/%s\n", target, cJSON_GetStringValue(item));
    } else {
        auto_json cJSON *root = cJSON_CreateObject();
        auto_free char *text = NULL;
        json_add_int(root, "schemaVersion", 1);
        json_add_str(root, "folder", target);
        cJSON_AddItemReferenceToObject(root, "files", written);
        text = json_print(root);
        (void)printf("%s\n", text);
    }
}

int cmd_bundle_extract(int argc, char **argv)
{
    auto_bundle struct bundle *b = NULL;
    auto_json cJSON *written = cJSON_CreateArray();
    auto_err struct err *e = NULL;
    char **args;
    int n_args, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r > 0)
        return EXIT_OK;
    if (r == 0)
        r = bundle_open(args[0], NULL, &b, &e);
    if (r == 0)
        r = extract_all(b, written, &e);
    if (r < 0)
        return cli_fail(&verb, e);
    print(written);
    return EXIT_OK;
}
