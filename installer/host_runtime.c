/* Items about the container runtimes and the room that the bundle's images will take. */
#include "host.h"

#include "bundle.h"
#include "bundle_index.h"
#include "containerd.h"
#include "docker.h"
#include "docker_internal.h"
#include "mem.h"
#include "num.h"
#include "segfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define CONTAINERD_ROOT "/var/lib/containerd"
/* kubelet's default imageGCHighThresholdPercent, from which on it deletes images. */
#define GC_PERCENT 85
#define INODES_LEFT 100000

/* --- how large the images are --- */

/* A gzip file ends with the length of what is in it, modulo 4 GiB (RFC 1952, ISIZE). */
static int64_t unpacked_size(const struct bundle *b, const struct descriptor *layer)
{
    const struct bundle_entry *entry = bundle_find_blob(b, layer->digest);
    size_t index_len;
    unsigned char tail[4];
    int64_t end;

    (void)bundle_index_text(b, &index_len);
    if (!entry || entry->size < 18 || !strstr(layer->media_type, "gzip"))
        return layer->size;
    end = bundle_data_start(index_len) + entry->offset + entry->size;
    if (segfile_pread(bundle_file(b), tail, sizeof(tail), end - 4) < 0)
        return layer->size;
    return (int64_t)tail[0] | (int64_t)tail[1] << 8 | (int64_t)tail[2] << 16 |
           (int64_t)tail[3] << 24;
}

static int compare_layers(const void *a, const void *b)
{
    const struct descriptor *const *x = a, *const *y = b;

    return strcmp((*x)->digest, (*y)->digest);
}

static int64_t sum_layers(const struct bundle *b, const struct descriptor **layers, size_t count)
{
    int64_t sum = 0;

    if (count)
        qsort(layers, count, sizeof(*layers), compare_layers);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(layers[i]->digest, layers[i - 1]->digest) != 0)
            sum += unpacked_size(b, layers[i]);
    return sum;
}

/* Each layer once, of each image's first platform: an upper bound of what a load unpacks. */
static int needed_bytes(const struct host *h, int64_t *out, struct err **e)
{
    auto_bundle struct bundle *b = NULL;
    auto_free const struct descriptor **layers = NULL;
    const struct bundle_index *index;
    size_t n = 0;
    int r;

    *out = 0;
    if (!h->options->bundle)
        return 0;
    r = bundle_open(h->options->bundle, NULL, &b, e);
    if (r < 0)
        return r;
    index = bundle_index(b);
    for (size_t i = 0; i < index->n_images; i++) {
        const struct manifest *m = &index->images[i].platforms[0].parsed;

        for (size_t k = 0; k < m->n_layers; k++) {
            array_grow(layers, n);
            layers[n++] = &m->layers[k];
        }
    }
    *out = sum_layers(b, layers, n);
    return 0;
}

/* --- room --- */

static void check_room(const char *path, int64_t needed, struct host_verdict *v)
{
    char room[NUM_SIZE_TEXT], need[NUM_SIZE_TEXT];
    struct statvfs fs;
    double size, used;
    int64_t left;

    if (statvfs(path, &fs) < 0 || !fs.f_blocks) {
        host_say(v, HOST_WARN, "look whether the folder is there", "cannot look at '%s'", path);
        return;
    }
    size = (double)fs.f_blocks * (double)fs.f_frsize;
    used = size - (double)fs.f_bavail * (double)fs.f_frsize + (double)needed;
    left = (int64_t)((double)fs.f_bavail * (double)fs.f_frsize);
    (void)num_format_size(left, room);
    (void)num_format_size(needed, need);
    if (needed > left)
        host_say(v, HOST_FAIL, "make room there, or give the runtime a larger file system",
                 "%s has %s left, the bundle's images take %s", path, room, need);
    else if (used * 100 >= size * GC_PERCENT)
        host_say(v, HOST_FAIL,
                 "make room there: from 85 % on kubelet deletes images, which cannot be pulled "
                 "again here",
                 "%s will be %.0f %% full", path, used * 100 / size);
    else
        host_say(v, HOST_PASS, NULL, "%s has %s left%s%s%s", path, room,
                 needed ? ", the bundle's images take " : "", needed ? need : "",
                 needed ? " at most" : "");
    if (fs.f_files && fs.f_favail < INODES_LEFT)
        host_say(v, HOST_WARN, "make a file system with more inodes there",
                 "%s has %llu inodes left", path, (unsigned long long)fs.f_favail);
}

/* --- docker --- */

/* Versions that some RKE release takes (its table of supported versions, 0.1 to 1.5). */
static bool rke_takes(const char *version)
{
    static const char *const known[] = {"1.11.",  "1.12.",  "1.13.",  "17.03.", "17.06.",
                                        "17.09.", "18.06.", "18.09.", "19.03.", "20.10.",
                                        "23.0.",  "24.0.",  "25.0.",  "26.0.",  "26.1."};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!strncmp(version, known[i], strlen(known[i])))
            return true;
    return false;
}

static void check_drivers(struct docker *d, struct host_verdict *v)
{
    const char *driver = docker_info(d)->driver;
    auto_json cJSON *info = NULL;
    const char *cgroup;

    if (!strcmp(driver, "devicemapper") || !strcmp(driver, "vfs") || !strcmp(driver, "aufs"))
        host_say(v, HOST_WARN, "use overlay2", "storage driver %s", driver);
    else
        host_say(v, HOST_PASS, NULL, "storage driver %s", driver);
    if (docker_get_json(d, "/info", &info, NULL) < 0)
        return;
    cgroup = json_get_str(info, "CgroupDriver");
    if (cgroup && strcmp(cgroup, "cgroupfs") != 0 && strcmp(cgroup, "systemd") != 0)
        host_say(v, HOST_WARN, "set native.cgroupdriver to cgroupfs or systemd in daemon.json",
                 "cgroup driver %s", cgroup);
    else if (cgroup)
        host_say(v, HOST_PASS, NULL, "cgroup driver %s (kubelet must have the same)", cgroup);
}

/* RKE's clusters need docker, others may have containerd alone. */
static void say_no_docker(const struct host *h, const char *why, struct host_verdict *v)
{
    auto_free char *version = NULL;
    struct containerd *c = NULL;

    if (containerd_open(NULL, NULL, h->root, &c, NULL) < 0 ||
        containerd_version(c, &version, NULL) < 0)
        host_say(v, HOST_FAIL, "install docker and start it (RKE runs everything in it)", "%s",
                 why);
    else
        host_say(v, HOST_WARN, "install docker and start it if RKE is to make the cluster",
                 "%s; containerd %s runs", why, version);
    containerd_free(c);
}

void host_check_docker(const struct host *h, struct host_verdict *v)
{
    auto_err struct err *e = NULL;
    struct docker *d = NULL;
    const char *version;

    if (docker_open(h->root, &d, &e) < 0) {
        say_no_docker(h, err_text(e), v);
        return;
    }
    version = docker_info(d)->version;
    if (rke_takes(version))
        host_say(v, HOST_PASS, NULL, "docker %s", version);
    else
        host_say(v, HOST_WARN,
                 "look into the table of your RKE release (RKE of Rancher 2.2: 1.11-1.13, 17.03, "
                 "17.06, 17.09, 18.06, 18.09), or set ignore_docker_version",
                 "docker %s is not in RKE's tables", version);
    check_drivers(d, v);
    docker_free(d);
}

static void check_space(const struct host *h, const char *path, struct host_verdict *v)
{
    auto_err struct err *e = NULL;
    int64_t needed;

    if (needed_bytes(h, &needed, &e) < 0)
        host_say(v, HOST_FAIL, "name a bundle that 'flatnet bundle verify' accepts", "%s",
                 err_text(e));
    else
        check_room(path, needed, v);
}

void host_check_docker_space(const struct host *h, struct host_verdict *v)
{
    struct docker *d = NULL;

    if (docker_open(h->root, &d, NULL) < 0)
        check_space(h, "/var/lib", v);
    else
        check_space(h, docker_info(d)->root, v);
    docker_free(d);
}

void host_check_containerd(const struct host *h, struct host_verdict *v)
{
    auto_err struct err *e = NULL;
    auto_free char *version = NULL, *config = NULL;
    struct containerd *c = NULL;
    int r = containerd_open(NULL, NULL, h->root, &c, &e);

    if (r < 0 || containerd_version(c, &version, &e) < 0) {
        host_say(v, HOST_PASS, NULL, "not used: %s", err_text(e));
        containerd_free(c);
        return;
    }
    host_say(v, HOST_PASS, NULL, "containerd %s at %s", version, containerd_address(c));
    (void)host_text(h->root, "/etc/containerd/config.toml", &config);
    if (strstr(config, "disabled_plugins") && strstr(config, "\"cri\""))
        host_say(v, HOST_PASS, NULL, "its CRI plugin is disabled, so kubelet can only use docker");
    if (host_exists(h->root, CONTAINERD_ROOT))
        check_space(h, CONTAINERD_ROOT, v);
    containerd_free(c);
}
