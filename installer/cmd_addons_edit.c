/* flatnet addons render --from and --cluster-yaml: the user's own files, edited. */
#include "cmd_addons.h"

#include "addons_edit.h"
#include "addons_lint.h"
#include "fs.h"
#include "log.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void render_add_file(struct render_result *r, const char *name, bool is_included)
{
    size_t n = 0;

    r->files = xreallocarray(r->files, r->n_files + 2, sizeof(*r->files));
    r->files[r->n_files++] = xstrdup(name);
    r->files[r->n_files] = NULL;
    if (!is_included)
        return;
    while (r->includes && r->includes[n])
        n++;
    r->includes = xreallocarray(r->includes, n + 2, sizeof(*r->includes));
    r->includes[n++] = r->files[r->n_files - 1];
    r->includes[n] = NULL;
}

void render_result_release(struct render_result *r)
{
    for (size_t i = 0; i < r->n_files; i++)
        free(r->files[i]);
    free(r->files);
    free(r->includes);
    free(r->summary);
}

static int is_yaml(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return entry->d_name[0] != '.' && dot && (!strcmp(dot, ".yml") || !strcmp(dot, ".yaml"));
}

struct editing {
    const struct addons_settings *s;
    const char *from, *output;
    struct addons_edited counts;
    struct addons_lint lint;
    struct findings *f;
};

static int edit_file(struct editing *in, const char *name, struct err **e)
{
    auto_free char *source = addons_join(in->from, name);
    auto_free char *target = addons_join(in->output, name);
    auto_buf struct buf text, out;
    struct stat st;
    int r;

    buf_init(&text, YAMLTREE_MAX_SIZE);
    buf_init(&out, YAMLTREE_MAX_SIZE);
    r = fs_read_file(source, &text, e);
    if (r == 0)
        r = addons_edit(in->s, source, text.data, text.len, &out, &in->counts, in->f, e);
    if (r == 0)
        r = fs_write_file(target, out.data, out.len,
                          stat(source, &st) == 0 ? st.st_mode & 0777 : 0644, e);
    if (r == 0) {
        addons_lint_cut(&in->lint);
        addons_lint_file(&in->lint, target, out.data, out.len);
    }
    return r;
}

/* The combined file alone, where the folder has it; else everything. */
static void add_files(struct render_result *out, struct dirent **names, int n)
{
    const char *whole = NULL;

    for (int i = 0; i < n; i++)
        if (!strcmp(names[i]->d_name, ADDONS_FILE_OLD) ||
            (!whole && !strcmp(names[i]->d_name, ADDONS_FILE)))
            whole = names[i]->d_name;
    for (int i = 0; i < n; i++)
        render_add_file(out, names[i]->d_name, !whole || !strcmp(whole, names[i]->d_name));
}

int render_from(const struct addons_settings *s, const char *from, const char *output,
                struct render_result *out, struct findings *f, struct err **e)
{
    struct editing in = {.s = s, .from = from, .output = output, .f = f};
    struct dirent **names = NULL;
    int n = scandir(from, &names, is_yaml, alphasort), r = 0;

    if (n < 0)
        return err_set(e, -errno, "cannot read folder '%s': %s", from, strerror(errno));
    if (!n)
        r = err_set(e, -EINVAL, "no YAML file is in '%s'", from);
    in.lint = (struct addons_lint){.kube_minor = s->kube_minor, .f = f};
    if (r == 0)
        r = fs_mkdirs(output, 0755, e);
    for (int i = 0; i < n && r == 0; i++)
        r = edit_file(&in, names[i]->d_name, e);
    if (r == 0) {
        add_files(out, names, n);
        out->summary = xasprintf("%zu images, %zu interfaces, %zu networks and %zu CNI versions "
                                 "changed in %d files",
                                 in.counts.images, in.counts.ifaces, in.counts.networks,
                                 in.counts.versions, n);
    }
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    addons_lint_release(&in.lint);
    return r;
}

int render_cluster_yaml(const struct addons_settings *s, const struct addons_places *places,
                        const char *path, struct err **e)
{
    auto_buf struct buf text, out;
    struct stat st;
    int r;

    buf_init(&text, YAMLTREE_MAX_SIZE);
    buf_init(&out, YAMLTREE_MAX_SIZE);
    r = fs_read_file(path, &text, e);
    if (r < 0)
        return r;
    r = addons_cluster_edit(s, places, text.data, text.len, &out, e);
    if (r < 0)
        return err_wrap(e, "'%s'", path);
    if (text.len == out.len && !memcmp(text.data, out.data, out.len))
        return 0;
    if (stat(path, &st) < 0)
        return err_set(e, -errno, "cannot open '%s': %s", path, strerror(errno));
    r = fs_write_file(path, out.data, out.len, st.st_mode & 07777, e);
    return r < 0 ? r : 1;
}
