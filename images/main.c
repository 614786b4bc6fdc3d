/*
 * image-layout: the recipes of our own images, and the tool of the build that makes them.
 *
 *   image-layout FOLDER PROGRAMS...
 *
 * Writes an OCI layout into FOLDER. Each of PROGRAMS is a folder with the static programs of one
 * architecture, which they themselves tell. SOURCE_DATE_EPOCH is when the images were made (0).
 */
#include "buf.h"
#include "elf.h"
#include "fs.h"
#include "layout.h"
#include "log.h"
#include "mem.h"
#include "num.h"

#include <errno.h>
#include <stdlib.h>

#define PROGRAM_MAX (32u << 20)
#define TIME_MAX UINT64_C(253402300799) /* the last second of the year 9999 */

/* The users are those of the addons' security contexts. */
static const struct layout_recipe recipes[] = {
    {"flatnet", NULL,
     "Carries images and addons into sites without Internet, and tests the network"},
    {"static-macvlan-cni", NULL, "CNI plugin that gives pods an interface on a VLAN of the site"},
    {"network-controller", "65534:65534", "Allocates the addresses of pods on VLANs of the site"},
};

static int read_program(const char *folder, const char *name, struct layout_program *out,
                        struct err **e)
{
    auto_free char *path = xasprintf("%s/%s", folder, name);
    auto_buf struct buf bytes;
    int r;

    buf_init(&bytes, PROGRAM_MAX);
    r = fs_read_file(path, &bytes, e);
    if (r < 0)
        return r;
    r = elf_static_arch(bytes.data, bytes.len, &out->arch, e);
    if (r < 0)
        return err_wrap(e, "'%s'", path);
    out->len = bytes.len;
    out->bytes = buf_steal(&bytes);
    return 0;
}

static int add_image(struct layout *l, const struct layout_recipe *recipe, char **folders,
                     size_t n_folders, struct err **e)
{
    auto_free struct layout_program *programs = xcalloc(n_folders, sizeof(*programs));
    int r = 0;

    for (size_t i = 0; i < n_folders && r == 0; i++)
        r = read_program(folders[i], recipe->name, &programs[i], e);
    if (r == 0)
        r = layout_add(l, recipe, programs, n_folders, e);
    for (size_t i = 0; i < n_folders; i++)
        free((char *)programs[i].bytes);
    return r;
}

static int make_layout(const char *folder, char **programs, size_t n_programs, struct err **e)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    auto_layout struct layout l = {.folder = NULL};
    uint64_t created = 0;
    int r;

    if (epoch && *epoch && num_parse_u64(epoch, TIME_MAX, &created) < 0)
        return err_set(e, -EINVAL, "SOURCE_DATE_EPOCH '%s' is no number of seconds", epoch);
    r = layout_init(&l, folder, (int64_t)created, e);
    for (size_t i = 0; i < sizeof(recipes) / sizeof(recipes[0]) && r == 0; i++)
        r = add_image(&l, &recipes[i], programs, n_programs, e);
    return r < 0 ? r : layout_finish(&l, e);
}

int main(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    int r;

    if (argc < 3) {
        log_error("usage: image-layout FOLDER PROGRAMS...");
        return EXIT_USAGE;
    }
    r = make_layout(argv[1], argv + 2, (size_t)argc - 2, &e);
    if (r < 0)
        log_error("image-layout: %s", err_text(e));
    return r < 0 ? err_exit_status(r) : EXIT_OK;
}
