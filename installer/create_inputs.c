/* What the command line of `bundle create` names: lists, sets, image files, addons, programs. */
#include "create.h"

#include "addons_render.h"
#include "elf.h"
#include "fs.h"
#include "imageset.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "own_images.h"
#include "tar.h"
#include "yamlimages.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADDON_MAX (16u << 20)
#define PROGRAM_MAX (64u << 20)
#define SET_LABEL "image set "
#define OWN_PROGRAM "/proc/self/exe"

/* Nothing else is named. */
static bool is_default(const struct create_options *o)
{
    return !o->lists.count && !o->from.count && !o->sets.count;
}

/* The only set in use; NULL for none or several. */
static const char *the_set(const struct create_options *o)
{
    if (is_default(o))
        return IMAGESET_DEFAULT;
    return o->sets.count == 1 ? o->sets.items[0] : NULL;
}

static int read_sets(const struct create_options *o, struct create_inputs *in, struct findings *f,
                     struct err **e)
{
    static const char *const default_set[] = {IMAGESET_DEFAULT};
    const char *const *names = is_default(o) ? default_set : o->sets.items;
    size_t count = is_default(o) ? 1 : o->sets.count;
    int r = 0;

    for (size_t i = 0; i < count && r == 0; i++) {
        auto_free char *label = xasprintf(SET_LABEL "%s", names[i]);
        auto_buf struct buf text;

        buf_init(&text, IMAGELIST_MAX_SIZE);
        r = imageset_text(names[i], FLATNET_VERSION, &text, e);
        if (r == 0)
            r = imagelist_add_text(&in->list, label, text.data, text.len, f, e);
    }
    return r;
}

/* The file at `path`; `name`, or NULL, is for the only image in it. */
static int read_image_file(struct create_inputs *in, const char *path, const char *name,
                           struct err **e)
{
    struct imagefile *file = NULL;
    int r = imagefile_open(path, &file, e);

    if (r == 0 && name)
        r = imagefile_set_name(file, name, e);
    if (r < 0) {
        imagefile_free(file);
        return r;
    }
    array_grow(in->files, in->n_files);
    in->files[in->n_files++] = file;
    return 0;
}

/* "PATH" or "PATH=REFERENCE", which names the only image of that file. */
static int read_from(struct create_inputs *in, const char *text, struct err **e)
{
    const char *equals = strrchr(text, '=');
    auto_free char *path = xstrndup(text, equals ? (size_t)(equals - text) : strlen(text));

    return read_image_file(in, path, equals ? equals + 1 : NULL, e);
}

/* Where two files have one name for different images, the one that was named first goes in. */
static void warn_of_double(const struct create_inputs *in, const struct imagefile *file,
                           const struct imagefile_image *image, struct findings *f)
{
    for (size_t i = 0; i < in->n_files && in->files[i] != file; i++) {
        size_t n;
        const struct imagefile_image *images = imagefile_images(in->files[i], &n);

        for (size_t j = 0; j < n; j++)
            if (images[j].reference && strcmp(images[j].reference, image->reference) == 0 &&
                strcmp(images[j].manifest.digest, image->manifest.digest) != 0) {
                findings_add(f, FINDING_WARNING, imagefile_path(file), 0,
                             "'%s' is left out, '%s' has another image of that name",
                             image->reference, imagefile_path(in->files[i]));
                return;
            }
    }
}

static int list_images_of(struct create_inputs *in, const struct imagefile *file,
                          struct findings *f, struct err **e)
{
    size_t n;
    const struct imagefile_image *images = imagefile_images(file, &n);

    for (size_t i = 0; i < n; i++) {
        struct ref ref = {0};
        int r;

        if (!images[i].reference)
            return err_set(e, -EINVAL,
                           "image %zu of '%s' has no full name; name it with --from %s=REFERENCE",
                           i + 1, imagefile_path(file), imagefile_path(file));
        if (imagelist_find(&in->list, images[i].reference)) {
            warn_of_double(in, file, &images[i], f);
            continue;
        }
        r = ref_parse(images[i].reference, &ref, e);
        if (r < 0)
            return r;
        imagelist_add_ref(&in->list, imagefile_path(file), 0, &ref, f);
    }
    return 0;
}

static int read_images(const struct create_options *o, struct create_inputs *in, struct err **e)
{
    auto_findings struct findings f = {0};
    int r = read_sets(o, in, &f, e);

    for (size_t i = 0; i < o->lists.count && r == 0; i++)
        r = imagelist_add_file(&in->list, o->lists.items[i], &f, e);
    for (size_t i = 0; i < o->from.count && r == 0; i++)
        r = read_from(in, o->from.items[i], e);
    for (size_t i = 0; i < in->n_files && r == 0; i++)
        r = list_images_of(in, in->files[i], &f, e);
    findings_log(&f);
    if (r == 0)
        r = findings_error(&f, "image lists", e);
    if (r == 0 && !in->list.n_entries)
        r = err_set(e, -EINVAL, "no image is named; use -f LIST, --from PATH or --images SET");
    return r;
}

static bool is_in_files(const struct create_inputs *in, const char *name)
{
    for (size_t i = 0; i < in->n_files; i++) {
        size_t n;
        const struct imagefile_image *images = imagefile_images(in->files[i], &n);
        for (size_t j = 0; j < n; j++)
            if (images[j].reference && !strcmp(images[j].reference, name))
                return true;
    }
    return false;
}

/* Our own images are built, not pulled: those that no --from has come from beside the program. */
static int read_own_images(struct create_inputs *in, struct err **e)
{
    auto_free char *folder = NULL;
    bool is_complete = true;

    for (size_t i = 0; i < in->list.n_entries; i++) {
        const struct imagelist_entry *entry = in->list.entries[i];
        if (imageset_is_ours(&entry->ref) && !is_in_files(in, entry->name))
            is_complete = false;
    }
    folder = is_complete ? NULL : own_images_folder();
    return folder ? read_image_file(in, folder, NULL, e) : 0;
}

/* True where a set names an image of our own that is in no file; 0 or -EINVAL otherwise. */
static int check_absent(const struct create_options *o, const struct create_inputs *in,
                        const struct imagelist_entry *entry, struct err **e)
{
    if (strncmp(entry->file, SET_LABEL, sizeof(SET_LABEL) - 1) != 0 ||
        !imageset_is_ours(&entry->ref) || is_in_files(in, entry->name))
        return 0;
    if (!o->allow_missing)
        return err_set(e, -EINVAL,
                       "'%s' is in no registry: 'make images' makes it; name that folder with "
                       "--from, or go on without flatnet's own images by --allow-missing",
                       entry->name);
    log_warn("'%s' is not put into the bundle: it is built with flatnet and comes with --from",
             entry->name);
    return 1;
}

static int plan_images(const struct create_options *o, struct create_inputs *in, struct err **e)
{
    struct plan *p = &in->plan;

    p->images = xcalloc(in->list.n_entries, sizeof(*p->images));
    for (size_t i = 0; i < in->list.n_entries; i++) {
        const struct imagelist_entry *entry = in->list.entries[i];
        struct plan_image *image = &p->images[p->n_images];
        int r = check_absent(o, in, entry, e);

        if (r < 0)
            return r;
        if (r > 0)
            continue;
        p->n_images++;
        r = ref_parse(entry->name, &image->ref, e);
        if (r < 0)
            return r;
        image->origin =
            entry->line ? xasprintf("%s:%zu", entry->file, entry->line) : xstrdup(entry->file);
    }
    return 0;
}

static int read_platforms(const struct create_options *o, struct create_inputs *in, struct err **e)
{
    static const char *const usual[] = {"linux/amd64"};
    const char *const *texts = o->platforms.count ? o->platforms.items : usual;
    size_t count = o->platforms.count ? o->platforms.count : 1;
    int r = 0;

    in->platforms = xcalloc(count, sizeof(*in->platforms));
    for (size_t i = 0; i < count && r == 0; i++)
        r = platform_parse(texts[i], &in->platforms[in->n_platforms++], e);
    for (size_t i = 1; i < in->n_platforms && r == 0; i++)
        for (size_t j = 0; j < i && r == 0; j++)
            if (platform_matches(&in->platforms[j], &in->platforms[i]))
                r = err_set(e, -EINVAL, "platform '%s' is named twice", texts[i]);
    in->plan.platforms = in->platforms;
    in->plan.n_platforms = in->n_platforms;
    return r;
}

static int add_file(struct plan *p, const char *path, struct buf *bytes, struct err **e)
{
    struct plan_file file = {.path = xstrdup(path), .len = bytes->len};

    file.bytes = buf_steal(bytes);
    array_grow(p->files, p->n_files);
    p->files[p->n_files++] = file;
    if (!fs_path_is_plain(path) || strlen(path) > TAR_PATH_MAX)
        return err_set(e, -EINVAL, "the name '%s' is longer than the %d bytes allowed in a bundle",
                       path, TAR_PATH_MAX);
    for (size_t i = 0; i + 1 < p->n_files; i++)
        if (!strcmp(p->files[i].path, path))
            return err_set(e, -EINVAL, "two files would be '%s' in the bundle", path);
    return 0;
}

static int add_addon(struct plan *p, const char *source, const char *name, struct err **e)
{
    auto_free char *path = xasprintf("addons/%s", name);
    struct buf bytes;
    int r;

    buf_init(&bytes, ADDON_MAX);
    r = fs_read_file(source, &bytes, e);
    if (r == 0)
        r = add_file(p, path, &bytes, e);
    buf_release(&bytes);
    return r;
}

/* All files below a folder, in the order of their names; hidden ones are passed over. */
static int add_addon_folder(struct plan *p, const char *folder, const char *prefix, int depth,
                            struct err **e)
{
    struct dirent **names = NULL;
    int n = scandir(folder, &names, NULL, alphasort);
    int r = 0;

    if (n < 0)
        return err_set(e, -errno, "cannot read folder '%s': %s", folder, strerror(errno));
    for (int i = 0; i < n; i++) {
        auto_free char *source = xasprintf("%s/%s", folder, names[i]->d_name);
        auto_free char *name = xasprintf("%s%s", prefix, names[i]->d_name);
        auto_free char *deeper = xasprintf("%s/", name);
        struct stat st;

        if (r == 0 && names[i]->d_name[0] != '.' && stat(source, &st) == 0) {
            if (S_ISDIR(st.st_mode) && depth < 8)
                r = add_addon_folder(p, source, deeper, depth + 1, e);
            else if (S_ISREG(st.st_mode))
                r = add_addon(p, source, name, e);
        }
        free(names[i]);
    }
    free(names);
    return r;
}

static int read_addons(const struct create_options *o, struct create_inputs *in, struct err **e)
{
    int r = 0;

    for (size_t i = 0; i < o->addons.count && r == 0; i++) {
        const char *path = o->addons.items[i], *slash = strrchr(path, '/');
        struct stat st;

        if (stat(path, &st) < 0)
            return err_set(e, -errno, "cannot open '%s': %s", path, strerror(errno));
        r = S_ISDIR(st.st_mode) ? add_addon_folder(&in->plan, path, "", 0, e)
                                : add_addon(&in->plan, path, slash ? slash + 1 : path, e);
    }
    return r;
}

/* As `addons render` makes them without options, where the command line names no others. */
static int read_set_addons(const struct create_options *o, struct create_inputs *in, struct err **e)
{
    struct addons_options wanted = {.set = the_set(o)};
    auto_addons_settings struct addons_settings settings = {.iface_args = NULL};
    auto_addons_files struct addons_files files = {.n_items = 0};
    auto_findings struct findings f = {.n_items = 0};
    int r;

    if (!wanted.set || o->addons.count)
        return 0;
    r = addons_settings_parse(&wanted, &settings, e);
    if (r == 0)
        r = addons_render(&settings, &files, &f, e);
    findings_log(&f);
    for (size_t i = 0; i < files.n_items && r == 0; i++) {
        auto_free char *path = xasprintf("addons/%s", files.items[i].name);
        struct buf bytes;

        buf_init(&bytes, ADDON_MAX);
        (void)buf_add(&bytes, files.items[i].text, files.items[i].len);
        r = add_file(&in->plan, path, &bytes, e);
        buf_release(&bytes);
    }
    if (r == 0)
        log_info("with the addons of the set '%s' for Kubernetes 1.%d, mode %s; 'flatnet addons "
                 "render' makes others, for --addons or at the site",
                 settings.set, settings.kube_minor, addons_mode_name(settings.mode));
    return r;
}

static int add_program(struct create_inputs *in, const char *source, struct err **e)
{
    auto_buf struct buf bytes;
    auto_free char *path = NULL;
    const char *arch = NULL;
    int r;

    buf_init(&bytes, PROGRAM_MAX);
    r = fs_read_file(source, &bytes, e);
    if (r == 0)
        r = elf_static_arch(bytes.data, bytes.len, &arch, e);
    if (r < 0)
        return err_wrap(e, "program '%s'", source);
    path = xasprintf("bin/linux-%s/flatnet", arch);
    return add_file(&in->plan, path, &bytes, e);
}

/* Programs that are named go in; else, for a set, the one that runs if it can run anywhere. */
static int read_programs(const struct create_options *o, struct create_inputs *in, struct err **e)
{
    auto_err struct err *reason = NULL;
    int r = 0;

    for (size_t i = 0; i < o->programs.count && r == 0; i++)
        r = add_program(in, o->programs.items[i], e);
    if (r < 0 || o->programs.count || ((o->lists.count || o->from.count) && !o->sets.count))
        return r;
    if (add_program(in, OWN_PROGRAM, &reason) < 0)
        log_warn("this flatnet is not put into the bundle: %s; name one with --program",
                 err_text(reason));
    return 0;
}

static bool is_yaml(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (!strcmp(dot, ".yml") || !strcmp(dot, ".yaml"));
}

/* Lists and YAML against each other, both ways. */
static int cross_check(const struct create_options *o, const struct create_inputs *in,
                       struct err **e)
{
    auto_findings struct findings f = {0};
    auto_yamlimages struct yamlimages used = {0};
    size_t n_yaml = 0;

    for (size_t i = 0; i < in->plan.n_files; i++) {
        const struct plan_file *file = &in->plan.files[i];
        if (!is_yaml(file->path))
            continue;
        n_yaml++;
        yamlimages_add(&used, file->path, file->bytes, file->len, &f);
    }
    if (n_yaml)
        yamlimages_crosscheck(&used, &in->list, o->allow_missing, &f);
    findings_log(&f);
    return findings_error(&f, "images and addons do not agree", e);
}

int create_read_inputs(const struct create_options *o, struct create_inputs *in, struct err **e)
{
    int r = 0;

    *in = (struct create_inputs){0};
    if (o->volume_size_text)
        r = output_parse_volume_size(o->volume_size_text, &in->volume_size, e);
    if (r == 0)
        r = read_platforms(o, in, e);
    if (r == 0)
        r = read_images(o, in, e);
    if (r == 0)
        r = read_own_images(in, e);
    if (r == 0)
        r = plan_images(o, in, e);
    if (r == 0)
        r = read_set_addons(o, in, e);
    if (r == 0)
        r = read_addons(o, in, e);
    if (r == 0)
        r = read_programs(o, in, e);
    return r < 0 ? r : cross_check(o, in, e);
}

void create_inputs_release(struct create_inputs *in)
{
    plan_release(&in->plan);
    for (size_t i = 0; i < in->n_files; i++)
        imagefile_free(in->files[i]);
    free(in->files);
    free(in->platforms);
    imagelist_release(&in->list);
}
