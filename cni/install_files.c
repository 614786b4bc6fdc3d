/* The files that a node needs. */
#include "install.h"

#include "buf.h"
#include "fs.h"
#include "json.h"
#include "kube/kube_creds.h"
#include "log.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PIECE 16384
#define LABEL "security.selinux"
#define LABEL_MAX 1024
#define CONF_MAX (1u << 20)

/* A regular file of that length and mode, to read; -1: it is none. */
static int open_like(const char *path, off_t len, mode_t mode)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & 07777) != mode ||
        st.st_size != len)
        return -1;
    return take_fd(&fd);
}

static bool is_same(const char *path, const char *bytes, size_t len, mode_t mode)
{
    auto_close int fd = open_like(path, (off_t)len, mode);
    auto_buf struct buf now;

    buf_init(&now, len + 1);
    return fd >= 0 && fs_read_fd(fd, &now) == 0 && now.len == len && !memcmp(now.data, bytes, len);
}

/* In pieces: a program is larger than all that we have in memory otherwise. */
static bool is_copy(const char *path, int from, mode_t mode)
{
    char ours[PIECE], theirs[PIECE];
    auto_close int fd = -1;
    struct stat st;

    if (fstat(from, &st) < 0)
        return false;
    fd = open_like(path, st.st_size, mode);
    for (off_t at = 0; fd >= 0 && at < st.st_size; at += PIECE) {
        size_t n = st.st_size - at < PIECE ? (size_t)(st.st_size - at) : PIECE;

        if (fs_pread(from, ours, n, at) < 0 || fs_pread(fd, theirs, n, at) < 0 ||
            memcmp(ours, theirs, n) != 0)
            return false;
    }
    return fd >= 0;
}

/*
 * SELinux: the file has the label of its folder, whatever the policy gives to what a container
 * writes. A folder without one, and a kernel that does not let us (it has SELinux off), is fine.
 */
static void label_like_folder(const char *folder, const char *path)
{
    char wanted[LABEL_MAX], is[LABEL_MAX];
    ssize_t n = getxattr(folder, LABEL, wanted, sizeof(wanted));
    ssize_t n_is = n > 0 ? lgetxattr(path, LABEL, is, sizeof(is)) : -1;

    if (n <= 0 || (n_is == n && !memcmp(wanted, is, (size_t)n)))
        return;
    if (lsetxattr(path, LABEL, wanted, (size_t)n, 0) < 0)
        log_debug("'%s' has another SELinux label than its folder: %s", path, strerror(errno));
}

/* What a run that was killed in fs_write_file has left. */
static void remove_leftovers(const char *path)
{
    auto_free char *pattern = xasprintf("%s.??????", path);
    glob_t found;

    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            (void)unlink(found.gl_pathv[i]);
    globfree(&found);
}

/* 1: written, 0: it was there. */
static int write_if_other(const char *folder, const char *name, const char *text, mode_t mode,
                          struct err **e)
{
    auto_free char *path = xasprintf("%s/%s", folder, name);
    bool is_there = is_same(path, text, strlen(text), mode);
    int r = 0;

    if (!is_there) {
        remove_leftovers(path);
        r = fs_write_file(path, text, strlen(text), mode, e);
    }
    if (r < 0)
        return r;
    label_like_folder(folder, path);
    return !is_there;
}

/* One more name for what is there; not on every file system. */
static int put_link(const char *from, const char *path)
{
    auto_free char *temp = xasprintf("%s.linked", path);

    if (link(from, temp) == 0 && rename(temp, path) == 0)
        return fs_sync_parent(path, NULL);
    (void)unlink(temp);
    return -1;
}

/* `twin`: the same program under another name, or NULL. */
static int put_program(const char *path, const char *twin, int from, struct err **e)
{
    remove_leftovers(path);
    if (twin && put_link(twin, path) == 0)
        return 0;
    return fs_copy_file(path, from, 0755, e);
}

int install_programs(const struct install_options *o, struct err **e)
{
    auto_free char *plugin = xasprintf("%s/static-macvlan-cni", o->bin_dir);
    auto_free char *ipam = xasprintf("%s/static-ipam", o->bin_dir);
    auto_close int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool has_plugin, has_ipam;
    int r;

    if (program < 0)
        return err_set(e, -errno, "cannot open '/proc/self/exe': %s", strerror(errno));
    r = fs_mkdirs(o->bin_dir, 0755, e);
    has_plugin = is_copy(plugin, program, 0755);
    has_ipam = is_copy(ipam, program, 0755);
    if (r == 0 && !has_plugin)
        r = put_program(plugin, NULL, program, e);
    if (r == 0 && !has_ipam)
        r = put_program(ipam, plugin, program, e);
    if (r < 0)
        return r;
    label_like_folder(o->bin_dir, plugin);
    label_like_folder(o->bin_dir, ipam);
    return !has_plugin || !has_ipam;
}

/* --- the kubeconfig --- */

static cJSON *named(const char *name, const char *kind, cJSON *value)
{
    cJSON *list = cJSON_CreateArray(), *item = cJSON_CreateObject();

    json_add_str(item, "name", name);
    cJSON_AddItemToObject(item, kind, value);
    cJSON_AddItemToArray(list, item);
    return list;
}

static char *base64(const struct buf *bytes)
{
    char *text = xcalloc(1, (bytes->len + 2) / 3 * 4 + 1);

    (void)EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes->data,
                          (int)bytes->len);
    return text;
}

/* JSON, which is YAML too. */
static char *kubeconfig_text(const struct kube_config *from)
{
    auto_json cJSON *config = cJSON_CreateObject();
    cJSON *cluster = cJSON_CreateObject(), *user = cJSON_CreateObject();
    cJSON *context = cJSON_CreateObject();

    json_add_str(cluster, "server", from->server);
    if (from->ca.bytes.len) {
        auto_free char *ca = base64(&from->ca.bytes);
        json_add_str(cluster, "certificate-authority-data", ca);
    }
    json_add_str(user, "token", from->token.bytes.data);
    json_add_str(context, "cluster", "cluster");
    json_add_str(context, "user", "static-macvlan-cni");
    json_add_str(config, "apiVersion", "v1");
    json_add_str(config, "kind", "Config");
    cJSON_AddItemToObject(config, "clusters", named("cluster", "cluster", cluster));
    cJSON_AddItemToObject(config, "users", named("static-macvlan-cni", "user", user));
    cJSON_AddItemToObject(config, "contexts", named("cluster", "context", context));
    json_add_str(config, "current-context", "cluster");
    return json_print(config);
}

int install_kubeconfig(const struct install_options *o, struct err **e)
{
    auto_kube_config struct kube_config config = {.server = NULL};
    auto_free char *ns = NULL, *folder = xasprintf("%s/flatnet.d", o->conf_dir);
    auto_free char *text = NULL;
    int r = kube_creds_in_cluster(o->service_account, &config, &ns, e);

    if (r == 0)
        r = fs_mkdirs(folder, 0700, e);
    if (r < 0)
        return r;
    text = kubeconfig_text(&config);
    return write_if_other(folder, "flatnet.kubeconfig", text, 0600, e);
}

/* --- the configuration of chained mode --- */

static bool is_configuration(const char *name)
{
    static const char *const endings[] = {".conf", ".conflist", ".json"};
    size_t len = strlen(name);

    if (name[0] == '.' || !strcmp(name, INSTALL_CONFLIST))
        return false;
    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(endings[i]);

        if (len > n && !strcmp(name + len - n, endings[i]))
            return true;
    }
    return false;
}

/* The first by name, as the runtime takes it; to be freed. NULL: none. */
static char *find_next(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char *first = NULL;

    while (dir && (entry = readdir(dir))) {
        if (!is_configuration(entry->d_name) || (first && strcmp(entry->d_name, first) > 0))
            continue;
        free(first);
        first = xstrdup(entry->d_name);
    }
    if (dir)
        (void)closedir(dir);
    return first;
}

int install_conflist(const struct install_options *o, struct err **e)
{
    auto_free char *next = find_next(o->conf_dir), *from = NULL, *text = NULL;
    auto_buf struct buf bytes;
    int r;

    if (!next)
        return err_set(e, -ENOENT,
                       "no network configuration in '%s' that ours could be chained to; the "
                       "cluster's own network has to be there first",
                       o->conf_dir);
    buf_init(&bytes, CONF_MAX);
    from = xasprintf("%s/%s", o->conf_dir, next);
    r = fs_read_file(from, &bytes, e);
    if (r < 0)
        return r;
    r = install_chain(bytes.data, bytes.len, &text, e);
    if (r < 0)
        return err_wrap(e, "cannot chain to '%s'", from);
    return write_if_other(o->conf_dir, INSTALL_CONFLIST, text, 0644, e);
}

/* --- taking it away --- */

static int remove_one(const char *path, struct err **e)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return 0;
    return err_set(e, -errno, "cannot remove '%s': %s", path, strerror(errno));
}

static int remove_below(const struct install_options *o, const char *name, struct err **e)
{
    auto_free char *path = xasprintf("%s/%s", o->conf_dir, name);
    int r = remove_one(path, e);
    char *slash = strrchr(path, '/');

    if (r == 0 && strchr(name, '/')) {
        *slash = '\0';
        (void)rmdir(path);
    }
    return r;
}

int install_remove(const struct install_options *o, struct err **e)
{
    int r = remove_below(o, INSTALL_CONFLIST, e);

    if (r == 0)
        r = remove_below(o, INSTALL_KUBECONFIG, e);
    for (size_t i = 0; i < INSTALL_ALSO_MAX && o->also[i] && r == 0; i++)
        r = remove_below(o, o->also[i], e);
    return r;
}

/* What somebody else has put there under these names is not ours to remove. */
int install_remove_programs(const struct install_options *o, struct err **e)
{
    static const char *const programs[] = {"static-macvlan-cni", "static-ipam"};
    auto_close int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int r = 0;

    if (program < 0)
        return err_set(e, -errno, "cannot open '/proc/self/exe': %s", strerror(errno));
    for (size_t i = 0; i < 2 && r == 0; i++) {
        auto_free char *path = xasprintf("%s/%s", o->bin_dir, programs[i]);

        remove_leftovers(path);
        if (is_copy(path, program, 0755))
            r = remove_one(path, e);
    }
    return r;
}
