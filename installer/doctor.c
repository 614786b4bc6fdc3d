/* One file after the other into a tar in memory, which is small enough for that. */
#include "doctor.h"

#include "fs.h"
#include "interrupt.h"
#include "json.h"
#include "mem.h"
#include "scrub.h"
#include "tar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAR_MAX (256u << 20)
#define FILE_MAX (8u << 20)
#define TAIL_MAX (1 << 20) /* bytes of the end of a log on this host */
#define ARGS_MAX 16

extern char **environ;

struct doctor {
    const struct doctor_options *o;
    const char *folder;
    struct buf tar;
    struct doctor_items *items;
};

/* --- the tar --- */

static void add_file(struct doctor *d, const char *name, const void *bytes, size_t len)
{
    auto_free char *path = xasprintf("%s/%s", d->folder, name);
    unsigned char header[TAR_HEADER_MAX];
    static const char zeros[TAR_BLOCK];

    if (strlen(path) > TAR_PATH_MAX)
        path[TAR_PATH_MAX] = '\0';
    (void)buf_add(&d->tar, header, tar_header(path, (int64_t)len, header));
    (void)buf_add(&d->tar, bytes, len);
    (void)buf_add(&d->tar, zeros, tar_padding((int64_t)len));
}

/* Adds what `text` holds without its secrets; `problem` may be NULL. */
static void add(struct doctor *d, const char *name, const struct buf *text, const char *problem)
{
    struct doctor_item item = {.name = xstrdup(name)};
    auto_buf struct buf clean;

    buf_init(&clean, FILE_MAX * 2);
    if (scrub_text(text->data, text->len, &clean) < 0)
        problem = "too large";
    else if (clean.len)
        add_file(d, name, clean.data, clean.len);
    item.size = clean.len;
    item.problem = xstrdup(problem);
    d->items->n_problems += problem != NULL;
    array_grow(d->items->items, d->items->count);
    d->items->items[d->items->count++] = item;
}

static void add_summary(struct doctor *d)
{
    auto_buf struct buf text;

    buf_init(&text, FILE_MAX);
    (void)buf_addf(&text, "flatnet %s\n", FLATNET_VERSION);
    if (!d->o->kube)
        (void)buf_addf(&text, "cluster: %s\n", d->o->why_no_cluster);
    for (size_t i = 0; i < d->items->count; i++) {
        const struct doctor_item *item = &d->items->items[i];

        (void)buf_addf(&text, "%-50s %8zu  %s\n", item->name, item->size,
                       item->problem ? item->problem : "");
    }
    add_file(d, "summary.txt", text.data, text.len);
}

/* --- our own checks --- */

/* Reads all that comes; what is more than *out may hold is thrown away. */
static void drain(int fd, struct buf *out)
{
    char bytes[4096];
    ssize_t n;

    while ((n = read(fd, bytes, sizeof(bytes))) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            (void)buf_add(out, bytes, (size_t)n);
}

/* Runs this program with those words; standard output and errors go to *out. Returns its exit
 * status, or a negative errno. */
static int run_own(char *const *argv, struct buf *out)
{
    posix_spawn_file_actions_t actions;
    int fds[2], r, status = 0;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
    r = -posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(fds[1]);
    if (r == 0)
        drain(fds[0], out);
    (void)close(fds[0]);
    while (r == 0 && waitpid(pid, &status, 0) < 0)
        r = errno == EINTR ? 0 : -errno;
    if (r < 0)
        return r;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* `words` is "host check"; the result of a check that fails is as good as any. */
static void add_check(struct doctor *d, const char *name, const char *words, bool asks_cluster)
{
    auto_free char *copy = xstrdup(words), *problem = NULL;
    char *argv[ARGS_MAX] = {(char *)"flatnet"}, *rest = copy, *word;
    auto_buf struct buf out;
    int n = 1, status;

    while ((word = strsep(&rest, " ")))
        argv[n++] = word;
    argv[n++] = (char *)"--format";
    argv[n++] = (char *)"json";
    if (asks_cluster && d->o->kubeconfig) {
        argv[n++] = (char *)"--kubeconfig";
        argv[n++] = (char *)(uintptr_t)d->o->kubeconfig;
    }
    if (asks_cluster && d->o->context) {
        argv[n++] = (char *)"--context";
        argv[n++] = (char *)(uintptr_t)d->o->context;
    }
    buf_init(&out, FILE_MAX);
    status = run_own(argv, &out);
    if (status != EXIT_OK && status != EXIT_CHECKS)
        problem = xasprintf("'flatnet %s' ended with %d", words, status);
    add(d, name, &out, problem);
}

/* --- the API server --- */

static void add_list(struct doctor *d, const char *name, const char *path)
{
    auto_json cJSON *items = NULL;
    auto_err struct err *e = NULL;
    auto_free char *text = NULL;
    struct buf bytes;
    int r = kube_list(d->o->kube, path, &items, &e);

    buf_init(&bytes, FILE_MAX);
    if (r == 0) {
        scrub_object(items);
        text = cJSON_Print(items);
        r = buf_addstr(&bytes, text);
    }
    add(d, name, &bytes, r == 0 ? NULL : e ? e->msg : "too large");
    buf_release(&bytes);
}

struct sink {
    struct buf *out;
};

static int take_log(void *arg, const void *bytes, size_t len, struct err **e)
{
    struct sink *s = arg;

    return buf_add(s->out, bytes, len) < 0 ? err_set(e, -EFBIG, "the log is too large") : 0;
}

static void add_log(struct doctor *d, const char *space, const char *pod, const char *container,
                    bool before)
{
    auto_free char *path =
        xasprintf("/api/v1/namespaces/%s/pods/%s/log?container=%s&tailLines=%d&timestamps=true%s",
                  space, pod, container, d->o->log_lines, before ? "&previous=true" : "");
    auto_free char *name = xasprintf("logs/%s_%s%s.log", pod, container, before ? "_previous" : "");
    auto_err struct err *e = NULL;
    auto_buf struct buf text;
    struct sink sink = {.out = &text};
    struct kube_request request = {.path = path, .sink = take_log, .sink_arg = &sink};
    int r;

    buf_init(&text, FILE_MAX);
    r = kube_do(d->o->kube, &request, NULL, &e);
    add(d, name, &text, r < 0 ? err_text(e) : NULL);
}

/* The pods of the addons, by what they are called: those of 2019 bear no label of ours. */
static bool is_ours(const char *name)
{
    static const char *const begins[] = {"network-controller", "network-cni-ds", "kube-multus",
                                         "kube-flannel", "kube-net-attach-def-controller"};

    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
        if (!strncmp(name, begins[i], strlen(begins[i])))
            return true;
    return false;
}

static void add_logs(struct doctor *d)
{
    auto_json cJSON *pods = NULL;
    const cJSON *pod, *container;

    (void)kube_list(d->o->kube, "/api/v1/namespaces/kube-system/pods", &pods, NULL);
    cJSON_ArrayForEach(pod, pods)
    {
        const char *name = json_get_str(json_get_obj(pod, "metadata"), "name");

        if (!kube_name_is_valid(name) || !is_ours(name) || interrupt_seen())
            continue;
        cJSON_ArrayForEach(container,
                           json_get_arr(json_get_obj(pod, "status"), "containerStatuses"))
        {
            const char *which = json_get_str(container, "name");
            int64_t restarts = 0;

            if (!kube_name_is_valid(which))
                continue;
            (void)json_get_size(container, "restartCount", &restarts);
            add_log(d, "kube-system", name, which, false);
            if (restarts)
                add_log(d, "kube-system", name, which, true);
        }
    }
}

static void add_cluster(struct doctor *d)
{
    static const char *const lists[][2] = {
        {"nodes", "/api/v1/nodes"},
        {"pods-kube-system", "/api/v1/namespaces/kube-system/pods"},
        {"events", "/api/v1/events"},
        {"services-kube-system", "/api/v1/namespaces/kube-system/services"},
        {"daemonsets-kube-system", "/apis/apps/v1/namespaces/kube-system/daemonsets"},
        {"deployments-kube-system", "/apis/apps/v1/namespaces/kube-system/deployments"},
        {"macvlansubnets", "/apis/macvlan.cluster.cattle.io/v1/macvlansubnets"},
        {"macvlanips", "/apis/macvlan.cluster.cattle.io/v1/macvlanips"},
        {"network-attachment-definitions",
         "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions"},
    };

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) && !interrupt_seen(); i++) {
        auto_free char *name = xasprintf("cluster/%s.json", lists[i][0]);

        add_list(d, name, lists[i][1]);
    }
    add_logs(d);
    add_check(d, "checks/status.json", "status", true);
    add_check(d, "checks/subnets.json", "subnet ls", true);
    add_check(d, "checks/subnet-check.json", "subnet check", true);
}

/* --- this host --- */

/* The whole of a small file, the end of a large one. */
static void add_host_file(struct doctor *d, const char *name, const char *path)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    auto_buf struct buf text;
    struct stat st;
    int r;

    buf_init(&text, FILE_MAX);
    if (fd < 0 && errno == ENOENT)
        return;
    if (fd < 0 || fstat(fd, &st) < 0) {
        add(d, name, &text, strerror(errno));
        return;
    }
    if (S_ISREG(st.st_mode) && st.st_size > TAIL_MAX)
        (void)lseek(fd, st.st_size - TAIL_MAX, SEEK_SET);
    r = fs_read_fd(fd, &text);
    add(d, name, &text, r < 0 ? strerror(-r) : NULL);
}

/* Network configurations, but no kubeconfig: those are in folders, or end otherwise. */
static void add_cni_files(struct doctor *d)
{
    static const char folder[] = "/etc/cni/net.d";
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        const char *dot = strrchr(entry->d_name, '.');
        auto_free char *path = NULL, *name = NULL;

        if (!dot || (strcmp(dot, ".conf") != 0 && strcmp(dot, ".conflist") != 0))
            continue;
        path = xasprintf("%s/%s", folder, entry->d_name);
        name = xasprintf("host/net.d/%s", entry->d_name);
        add_host_file(d, name, path);
    }
    if (dir)
        (void)closedir(dir);
}

static void add_host(struct doctor *d)
{
    static const char *const files[][2] = {
        {"host/os-release", "/usr/lib/os-release"},
        {"host/kernel", "/proc/version"},
        {"host/modules", "/proc/modules"},
        {"host/routes", "/proc/net/route"},
        {"host/vlans", "/proc/net/vlan/config"},
        {"host/subnet.env", "/run/flannel/subnet.env"},
        {"host/static-macvlan-cni.log", "/var/log/static-macvlan-cni.log"},
        {"host/static-macvlan-cni.log.1", "/var/log/static-macvlan-cni.log.1"},
        {"host/multus.log", "/var/log/multus.log"},
    };

    add_check(d, "checks/host-check.json", "host check", false);
    add_check(d, "checks/host-status.json", "host status", false);
    add_check(d, "checks/host-iface.json", "host iface", false);
    add_check(d, "checks/test-node.json", "test node", true);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        add_host_file(d, files[i][0], files[i][1]);
    add_cni_files(d);
}

int doctor_collect(const struct doctor_options *o, const char *folder, const char *path,
                   struct doctor_items *out, struct err **e)
{
    struct doctor d = {.o = o, .folder = folder, .items = out};
    static const char end[TAR_END];
    int r;

    buf_init(&d.tar, TAR_MAX);
    if (o->with_host)
        add_host(&d);
    if (o->kube)
        add_cluster(&d);
    add_summary(&d);
    r = interrupt_check(e);
    if (r == 0 && buf_add(&d.tar, end, sizeof(end)) < 0)
        r = err_set(e, -EFBIG, "'%s' would be larger than %u bytes", path, TAR_MAX);
    if (r == 0)
        r = fs_write_file(path, d.tar.data, d.tar.len, 0600, e);
    buf_release(&d.tar);
    return r;
}

void doctor_items_release(struct doctor_items *d)
{
    for (size_t i = 0; i < d->count; i++) {
        free(d->items[i].name);
        free(d->items[i].problem);
    }
    free(d->items);
    *d = (struct doctor_items){.count = 0};
}
