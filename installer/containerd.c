/* Talking to containerd through ctr. */
#include "containerd.h"

#include "mem.h"
#include "num.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define OUTPUT_MAX (32u << 20)
#define ARGS_MAX 16
#define PINNED "io.cri-containerd.pinned=pinned"

static const char *const usual_sockets[] = {
    "/run/k3s/containerd/containerd.sock", /* k3s and rke2 */
    "/run/containerd/containerd.sock",
};

struct containerd {
    char *program; /* path of ctr, or of k3s */
    bool is_k3s;
    char *address;
    char *space;
};

static const char *env(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

/* --- opening --- */

static char *find_socket(const char *address, const char *root)
{
    const char *text = address ? address : env("CONTAINERD_ADDRESS");
    size_t n = sizeof(usual_sockets) / sizeof(usual_sockets[0]);

    if (text)
        return xstrdup(strncmp(text, "unix://", 7) ? text : text + 7);
    for (size_t i = 0;; i++) {
        auto_free char *path = xasprintf("%s%s", root, usual_sockets[i]);

        if (i + 1 == n || access(path, F_OK) == 0)
            return take(path);
    }
}

/* ctr itself would wait and then complain in gRPC's words. */
static int check_socket(const char *path, struct err **e)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    auto_close int fd = -1;

    if (strlen(path) >= sizeof(address.sun_path))
        return err_set(e, -EINVAL, "containerd's address '%s' is too long for a socket", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return err_set(e, -EHOSTUNREACH, "cannot reach containerd at '%s': %s%s", path,
                       strerror(errno), errno == EACCES ? "; run as root" : "");
    return 0;
}

static int find_ctr(struct containerd *c, struct err **e)
{
    static const char *const ctr[] = {"/usr/local/bin/ctr", "/var/lib/rancher/rke2/bin/ctr", NULL};
    static const char *const k3s[] = {"/usr/local/bin/k3s", NULL};

    c->program = child_find("ctr", ctr);
    if (!c->program) {
        c->program = child_find("k3s", k3s);
        c->is_k3s = c->program != NULL;
    }
    if (c->program)
        return 0;
    return err_set(e, -ENOENT,
                   "containerd answers at '%s', but there is no 'ctr' in PATH, /usr/local/bin or "
                   "/var/lib/rancher/rke2/bin to talk to it with",
                   c->address);
}

int containerd_open(const char *address, const char *space, const char *root,
                    struct containerd **out, struct err **e)
{
    struct containerd *c = xcalloc(1, sizeof(*c));
    int r;

    space = space ? space : env("CONTAINERD_NAMESPACE");
    c->space = xstrdup(space ? space : "k8s.io");
    c->address = find_socket(address, root);
    r = check_socket(c->address, e);
    if (r == 0)
        r = find_ctr(c, e);
    if (r < 0)
        containerd_free(c);
    else
        *out = c;
    return r;
}

void containerd_free(struct containerd *c)
{
    if (!c)
        return;
    free(c->program);
    free(c->address);
    free(c->space);
    free(c);
}

const char *containerd_address(const struct containerd *c)
{
    return c->address;
}

const char *containerd_space(const struct containerd *c)
{
    return c->space;
}

/* --- running ctr --- */

static int ctr_with_input(struct containerd *c, const char *const *args, child_source source,
                          void *arg, struct buf *out, struct err **e)
{
    const char *argv[ARGS_MAX] = {c->program};
    struct child child = {.argv = argv, .source = source, .source_arg = arg};
    size_t n = 1;

    if (c->is_k3s)
        argv[n++] = "ctr";
    argv[n++] = "--address";
    argv[n++] = c->address;
    argv[n++] = "--namespace";
    argv[n++] = c->space;
    while (*args && n < ARGS_MAX - 1)
        argv[n++] = *args++;
    return child_run(&child, out, e);
}

/* With *out initialised here; to be released whatever comes back. */
static int ctr(struct containerd *c, const char *const *args, struct buf *out, struct err **e)
{
    buf_init(out, OUTPUT_MAX);
    return ctr_with_input(c, args, NULL, NULL, out, e);
}

int containerd_version(struct containerd *c, char **out, struct err **e)
{
    static const char *const args[] = {"version", NULL};
    auto_buf struct buf text;
    const char *p;
    int r = ctr(c, args, &text, e);

    if (r < 0)
        return r;
    p = strstr(text.data, "Server:");
    p = p ? strstr(p, "Version:") : NULL;
    if (!p)
        return err_set(e, -EPROTO, "ctr does not tell the version of containerd");
    p += strlen("Version:");
    p += strspn(p, " \t");
    *out = xstrndup(p, strcspn(p, " \t\r\n"));
    return 0;
}

int containerd_is_in_use(struct containerd *c, struct err **e)
{
    static const char *const args[] = {"containers", "ls", "-q", NULL};
    auto_buf struct buf text;
    int r = ctr(c, args, &text, e);

    return r < 0 ? r : text.len > 0;
}

int containerd_import(struct containerd *c, child_source source, void *arg, const char *platform,
                      struct err **e)
{
    const char *args[] = {"images", "import", "-", NULL, NULL, NULL};
    auto_buf struct buf text;

    /* The option came with containerd 1.5, so it is only used where it is needed. */
    if (platform) {
        args[2] = "--platform";
        args[3] = platform;
        args[4] = "-";
    }
    buf_init(&text, OUTPUT_MAX);
    return ctr_with_input(c, args, source, arg, &text, e);
}

int containerd_tag(struct containerd *c, const char *from, const char *to, struct err **e)
{
    const char *args[] = {"images", "tag", "--force", from, to, NULL};
    auto_buf struct buf text;

    return ctr(c, args, &text, e);
}

int containerd_remove(struct containerd *c, const char *name, struct err **e)
{
    const char *args[] = {"images", "rm", name, NULL};
    auto_buf struct buf text;

    return ctr(c, args, &text, e);
}

int containerd_pin(struct containerd *c, const char *name, struct err **e)
{
    const char *args[] = {"images", "label", name, "io.cri-containerd.image=managed", PINNED, NULL};
    auto_buf struct buf text;

    return ctr(c, args, &text, e);
}

/* --- its tables --- */

/* The next word of a line, to be freed; NULL at its end. Moves *line behind it. */
static char *next_word(const char **line)
{
    const char *start = *line + strspn(*line, " \t\r");
    size_t len = strcspn(start, " \t\r\n");

    *line = start + len;
    return len ? xstrndup(start, len) : NULL;
}

/* "2.1 MiB" or "700.0 B", in two words; -1 for what is no size. */
static int64_t parse_size(const char *number, const char *unit)
{
    auto_free char *text = NULL;
    int64_t size;

    if (!number || !unit)
        return -1;
    if (!strcmp(unit, "B"))
        text = xstrndup(number, strcspn(number, "."));
    else
        text = xasprintf("%s%s", number, unit);
    return num_parse_size(text, &size, NULL) < 0 ? -1 : size;
}

/* REF TYPE DIGEST SIZE(two words) PLATFORMS LABELS */
static int parse_row(const char *line, struct containerd_image *out, struct err **e)
{
    auto_free char *name = next_word(&line);
    auto_free char *type = next_word(&line);
    auto_free char *digest = next_word(&line);
    auto_free char *number = next_word(&line);
    auto_free char *unit = next_word(&line);
    auto_free char *rest = xstrndup(line, strcspn(line, "\n"));

    if (!type || !digest_is_valid(digest))
        return err_set(e, -EPROTO, "ctr's list of images has a row that cannot be read: '%.100s'",
                       name);
    *out = (struct containerd_image){
        .name = take(name),
        .size = parse_size(number, unit),
        .pinned = strstr(rest, PINNED) != NULL,
    };
    memcpy(out->digest, digest, DIGEST_SIZE);
    return 0;
}

int containerd_parse_images(const char *table, struct containerd_images *out, struct err **e)
{
    struct containerd_images list = {.count = 0};
    const char *line = table;
    int r = 0;

    if (!strncmp(line, "REF ", 4))
        line += strcspn(line, "\n");
    while (r == 0 && *line) {
        line += *line == '\n';
        if (!*line)
            break;
        array_grow(list.images, list.count);
        r = parse_row(line, &list.images[list.count], e);
        list.count += r == 0;
        line += strcspn(line, "\n");
    }
    if (r < 0)
        containerd_images_release(&list);
    else
        *out = list;
    return r;
}

/* REF TYPE DIGEST STATUS ... UNPACKED, where the status is "complete (3/3)" or another word. */
static bool row_is_usable(const char *line)
{
    auto_free char *status = NULL;
    auto_free char *last = NULL;
    char *word;

    for (size_t i = 0; (word = next_word(&line)); i++) {
        if (i == 3)
            status = xstrdup(word);
        free(last);
        last = word;
    }
    return status && (!strcmp(status, "complete") || !strcmp(last, "true"));
}

void containerd_parse_check(const char *table, struct containerd_images *images)
{
    for (const char *line = table; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *end = line;
        auto_free char *name = next_word(&end);

        for (size_t i = 0; name && i < images->count; i++)
            if (!strcmp(images->images[i].name, name))
                images->images[i].usable = row_is_usable(line);
    }
}

int containerd_images(struct containerd *c, const char *name, struct containerd_images *out,
                      struct err **e)
{
    auto_free char *filter = name ? xasprintf("name==\"%s\"", name) : NULL;
    const char *list[] = {"images", "ls", filter, NULL};
    const char *check[] = {"images", "check", filter, NULL};
    auto_buf struct buf listed;
    auto_buf struct buf checked;
    int r = ctr(c, list, &listed, e);

    buf_init(&checked, 0);
    if (r == 0)
        r = ctr(c, check, &checked, e);
    if (r == 0)
        r = containerd_parse_images(listed.data, out, e);
    if (r == 0)
        containerd_parse_check(checked.data, out);
    return r;
}

void containerd_images_release(struct containerd_images *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->images[i].name);
    free(list->images);
    *list = (struct containerd_images){.count = 0};
}

static int compare_digests(const void *a, const void *b)
{
    return memcmp(a, b, DIGEST_LEN);
}

int containerd_blobs(struct containerd *c, struct containerd_blobs *out, struct err **e)
{
    static const char *const args[] = {"content", "ls", "-q", NULL};
    struct containerd_blobs blobs = {.count = 0};
    auto_buf struct buf text;
    int r = ctr(c, args, &text, e);
    const char *line = text.data;
    char *word;

    if (r < 0)
        return r;
    for (; (word = next_word(&line)); line += *line == '\n') {
        if (digest_is_valid(word)) {
            array_grow(blobs.digests, blobs.count);
            memcpy(blobs.digests[blobs.count++], word, DIGEST_SIZE);
        }
        free(word);
    }
    if (blobs.count)
        qsort(blobs.digests, blobs.count, sizeof(*blobs.digests), compare_digests);
    *out = blobs;
    return 0;
}

bool containerd_blobs_have(const struct containerd_blobs *blobs, const char *digest)
{
    return blobs->count &&
           bsearch(digest, blobs->digests, blobs->count, sizeof(*blobs->digests), compare_digests);
}

void containerd_blobs_release(struct containerd_blobs *blobs)
{
    free(blobs->digests);
    *blobs = (struct containerd_blobs){.count = 0};
}
