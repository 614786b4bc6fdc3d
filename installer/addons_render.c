/* Settings and image list become variables and flags, templates become files. */
#include "addons_render.h"

#include "addons_template.h"
#include "imagelist.h"
#include "imageset.h"
#include "mem.h"
#include "selection.h"
#include "yamledit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (1u << 20)
#define FLAGS_MAX 12
#define N_IMAGES 6

extern const char embed_addon_multus[], embed_addon_multus_end[];
extern const char embed_addon_cni[], embed_addon_cni_end[];
extern const char embed_addon_flannel[], embed_addon_flannel_end[];
extern const char embed_addon_controller[], embed_addon_controller_end[];
extern const char embed_addon_nad[], embed_addon_nad_end[];
extern const char embed_addon_macvlan_roles[], embed_addon_macvlan_roles_end[];
extern const char embed_addon_rancher_roles[], embed_addon_rancher_roles_end[];

/* In the order in which they stand in the combined file. */
static const struct part {
    const char *name;
    const char *text, *end;
    const char *only_if; /* a flag; NULL: always */
    bool is_separate;    /* not in the combined file */
} parts[] = {
    {"multus-daemonset.yml", embed_addon_multus, embed_addon_multus_end, "multus", false},
    {"network-cni-daemonset.yml", embed_addon_cni, embed_addon_cni_end, NULL, false},
    {"flannel-daemonset.yml", embed_addon_flannel, embed_addon_flannel_end, NULL, false},
    {"network-controller.yml", embed_addon_controller, embed_addon_controller_end, NULL, false},
    {"k8s-net-attach-def-controller.yml", embed_addon_nad, embed_addon_nad_end, "original", false},
    {"macvlan-roles.yml", embed_addon_macvlan_roles, embed_addon_macvlan_roles_end, NULL, true},
    {"rancher-roles.yml", embed_addon_rancher_roles, embed_addon_rancher_roles_end, NULL, true},
};
#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

/* Which image of the list is meant: the last part of its repository is one of these. */
static const struct {
    const char *variable;
    const char *names[2];
} image_roles[N_IMAGES] = {
    {"IMAGE_MULTUS", {"multus", "multus-cni"}},
    {"IMAGE_FLANNEL", {"flannel", NULL}},
    {"IMAGE_FLANNEL_CNI", {"flannel-cni", "flannel-cni-plugin"}},
    {"IMAGE_CNI", {"static-macvlan-cni", NULL}},
    {"IMAGE_CONTROLLER", {"network-controller", NULL}},
    {"IMAGE_NAD_CONTROLLER", {"k8s-net-attach-def-controller", NULL}},
};

struct inputs {
    char *images[N_IMAGES];       /* "" for a role that the set has not */
    const char *flags[FLAGS_MAX]; /* NULL-terminated */
    size_t n_flags;
    char **iface_scalars; /* the interface arguments as YAML, NULL-terminated */
};

const char *const *addons_file_names(void)
{
    static const char *names[N_PARTS + 3] = {ADDONS_FILE, ADDONS_FILE_OLD};

    for (size_t i = 0; i < N_PARTS; i++)
        names[i + 2] = parts[i].name;
    return names;
}

static bool has_role(const struct ref *ref, size_t role)
{
    const char *slash = strrchr(ref->repo, '/');
    const char *name = slash ? slash + 1 : ref->repo;

    for (size_t i = 0; i < 2 && image_roles[role].names[i]; i++)
        if (!strcmp(name, image_roles[role].names[i]))
            return true;
    return false;
}

static int find_images(const struct addons_settings *s, struct inputs *in, struct err **e)
{
    auto_imagelist struct imagelist list = {.n_entries = 0};
    auto_findings struct findings f = {.n_items = 0};
    auto_buf struct buf text;
    int r;

    buf_init(&text, IMAGELIST_MAX_SIZE);
    r = imageset_text(s->set, FLATNET_VERSION, &text, e);
    if (r == 0)
        r = imagelist_add_text(&list, s->set, text.data, text.len, &f, e);
    for (size_t role = 0; role < N_IMAGES && r == 0; role++) {
        const char *found = NULL;

        for (size_t i = 0; i < list.n_entries; i++)
            if (has_role(&list.entries[i]->ref, role))
                found = selection_familiar(list.entries[i]->name);
        in->images[role] = found ? addons_image_name(found, s->registry, e) : xstrdup("");
        if (!in->images[role])
            r = -EINVAL;
    }
    return r;
}

static void quote_iface_args(const struct addons_settings *s, struct inputs *in)
{
    size_t n = 0;

    while (s->iface_args && s->iface_args[n])
        n++;
    in->iface_scalars = xcalloc(n + 1, sizeof(*in->iface_scalars));
    for (size_t i = 0; i < n; i++)
        in->iface_scalars[i] = yamledit_scalar(s->iface_args[i], YAMLNODE_PLAIN);
}

static void inputs_release(struct inputs *in)
{
    for (size_t i = 0; i < N_IMAGES; i++)
        free(in->images[i]);
    for (char **scalar = in->iface_scalars; scalar && *scalar; scalar++)
        free(*scalar);
    free(in->iface_scalars);
}

static void set_flag(struct inputs *in, const char *flag, bool is_true)
{
    if (is_true)
        in->flags[in->n_flags++] = flag;
}

/* Which API came with which version is Kubernetes' own deprecation guide and release notes. */
static void set_flags(const struct addons_settings *s, struct inputs *in)
{
    bool is_current = !strcmp(s->set, "current");
    bool is_original = !strcmp(s->set, "2019-original");

    set_flag(in, "multus", s->mode == ADDONS_MULTUS);
    set_flag(in, "original", is_original);
    set_flag(in, "current", is_current);
    set_flag(in, "crd-v1", s->kube_minor >= 16);
    set_flag(in, "endpointslices", s->kube_minor >= 17 && !is_original);
    set_flag(in, "webhook", s->has_webhook);
    set_flag(in, "kube-1.12", s->kube_minor >= 12);
    set_flag(in, "kube-1.14", s->kube_minor >= 14);
    set_flag(in, "iface", s->iface_args != NULL);
    /* flannel 0.10's own files write no conflist; multus 3.2 has flannel in its configuration. */
    set_flag(in, "conflist", is_current || s->mode == ADDONS_CHAINED);
}

/* True for a part that the flags call for. */
static bool is_wanted(const struct part *part, const struct inputs *in)
{
    for (size_t i = 0; part->only_if && i < in->n_flags; i++)
        if (!strcmp(in->flags[i], part->only_if))
            return true;
    return !part->only_if;
}

#define ONE(value)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        value, NULL                                                                                \
    }

static int render_part(const struct addons_settings *s, const struct inputs *in,
                       const struct part *part, struct buf *out, struct err **e)
{
    bool has_lease = s->kube_minor >= 14, has_labels = s->kube_minor >= 14;
    const struct addons_variable variables[] = {
        {image_roles[0].variable, ONE(in->images[0])},
        {image_roles[1].variable, ONE(in->images[1])},
        {image_roles[2].variable, ONE(in->images[2])},
        {image_roles[3].variable, ONE(in->images[3])},
        {image_roles[4].variable, ONE(in->images[4])},
        {image_roles[5].variable, ONE(in->images[5])},
        {"CRD_API", ONE(s->kube_minor >= 16 ? "v1" : "v1beta1")},
        {"WEBHOOK_API", ONE(s->kube_minor >= 16 ? "v1" : "v1beta1")},
        {"JSONPATH", ONE(s->kube_minor >= 16 ? "jsonPath" : "JSONPath")},
        {"ARCH_LABEL", ONE(has_labels ? "kubernetes.io/arch" : "beta.kubernetes.io/arch")},
        {"OS_LABEL", ONE(has_labels ? "kubernetes.io/os" : "beta.kubernetes.io/os")},
        {"LOCK", ONE(has_lease ? "leases" : "configmaps")},
        {"LOCK_GROUP", ONE(has_lease ? "coordination.k8s.io" : "")},
        {"MODE", ONE(addons_mode_name(s->mode))},
        {"POD_CIDR", ONE(s->pod.text)},
        {"IFACE_ARG", (const char *const *)in->iface_scalars},
        {NULL, NULL},
    };
    const struct addons_template t = {
        .name = part->name,
        .text = part->text,
        .len = (size_t)(part->end - part->text),
        .variables = variables,
        .flags = in->flags,
    };

    return addons_template_render(&t, out, e);
}

static void add_file(struct addons_files *files, const char *name, struct buf *text)
{
    struct addons_file *file = &files->items[files->n_items++];

    file->name = name;
    file->len = text->len;
    file->text = buf_steal(text);
}

static void add_heading(const struct addons_settings *s, struct buf *out)
{
    (void)buf_addf(out,
                   "# Rendered by flatnet %s for Kubernetes 1.%d: image set %s, mode %s, pod "
                   "CIDR %s.\n",
                   FLATNET_VERSION, s->kube_minor, s->set, addons_mode_name(s->mode), s->pod.text);
}

/* Renders the parts behind the two combined files, and gathers those. */
static int render_parts(const struct addons_settings *s, const struct inputs *in,
                        struct addons_files *files, struct buf *combined, struct err **e)
{
    for (size_t i = 0; i < N_PARTS; i++) {
        struct buf text;
        int r;

        if (!is_wanted(&parts[i], in))
            continue;
        buf_init(&text, TEXT_MAX);
        r = render_part(s, in, &parts[i], &text, e);
        if (r == 0 && !parts[i].is_separate)
            (void)buf_add(combined, text.data, text.len);
        if (r < 0) {
            buf_release(&text);
            return r;
        }
        add_file(files, parts[i].name, &text);
    }
    return 0;
}

static void warn(const struct addons_settings *s, struct findings *f)
{
    if (s->kube_minor > ADDONS_KUBE_NEWEST)
        findings_add(f, FINDING_WARNING, NULL, 0,
                     "Kubernetes 1.%d is newer than this flatnet knows; the addons are those of "
                     "1.%d",
                     s->kube_minor, ADDONS_KUBE_NEWEST);
    if (s->mode == ADDONS_MULTUS && s->kube_minor >= 21 && strcmp(s->set, "current") != 0)
        findings_add(f, FINDING_WARNING, NULL, 0,
                     "multus 3.2 writes its token into a kubeconfig once, and with Kubernetes 1.21 "
                     "or later that token expires: pods with macvlan then fail until multus is "
                     "restarted; use '--images current' or '--mode chained'");
}

int addons_render(const struct addons_settings *s, struct addons_files *out, struct findings *f,
                  struct err **e)
{
    struct addons_files files = {.n_items = 2};
    struct inputs in = {.n_flags = 0};
    auto_buf struct buf combined;
    int r;

    buf_init(&combined, TEXT_MAX);
    set_flags(s, &in);
    quote_iface_args(s, &in);
    r = find_images(s, &in, e);
    add_heading(s, &combined);
    if (r == 0)
        r = render_parts(s, &in, &files, &combined, e);
    if (r == 0 && combined.overflowed)
        r = err_set(e, -EFBIG, "the addons do not fit into one file");
    inputs_release(&in);
    if (r < 0) {
        addons_files_release(&files);
        return r;
    }
    for (size_t i = 0; i < 2; i++) {
        files.items[i].name = addons_file_names()[i];
        files.items[i].len = combined.len;
        files.items[i].text = xstrndup(combined.data, combined.len);
    }
    warn(s, f);
    *out = files;
    return 0;
}

void addons_files_release(struct addons_files *files)
{
    for (size_t i = 0; i < files->n_items; i++)
        free(files->items[i].text);
    *files = (struct addons_files){.n_items = 0};
}
