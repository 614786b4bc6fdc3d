/* Image archives from anywhere: no crash, and every document that is given has its digest. */
#include "cli.h"
#include "fs.h"
#include "hash.h"
#include "imagefile.h"
#include "mem.h"
#include "verify.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One blob that streams by. */
struct taken {
    char wanted[DIGEST_SIZE];
    size_t begun, ended;
};

static int want(void *arg, const char *digest)
{
    struct taken *t = arg;

    if (!digest_is_valid(digest))
        abort();
    memcpy(t->wanted, digest, DIGEST_SIZE);
    t->begun++;
    return 1;
}

static int sink(void *arg, const void *bytes, size_t len, struct err **e)
{
    struct taken *t = arg;
    const char *p = bytes;

    (void)e;
    return t->begun != t->ended + 1 || (len && p[0] + p[len - 1] > 1000) ? -1 : 0;
}

static int end(void *arg, struct err **e)
{
    struct taken *t = arg;

    (void)e;
    t->ended++;
    return 0;
}

static void check_documents(const struct imagefile *f)
{
    size_t n;
    const struct imagefile_image *images = imagefile_images(f, &n);

    for (size_t i = 0; i < n; i++) {
        char digest[DIGEST_SIZE];
        const char *bytes;
        size_t len;

        if (imagefile_document(f, images[i].manifest.digest, &bytes, &len, NULL) < 0)
            continue;
        hash_digest(bytes, len, digest);
        if (strcmp(digest, images[i].manifest.digest) != 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_close int fd = memfd_create("image", MFD_CLOEXEC);
    auto_free char *path = xasprintf("/proc/self/fd/%d", fd);
    struct taken t = {.begun = 0};
    struct imagefile_taker taker = {want, sink, end, &t};
    struct imagefile *f = NULL;
    struct verified v;

    cli_common.quiet = true;
    if (fd < 0 || fs_write(fd, data, size) < 0)
        abort();
    if (imagefile_open(path, &f, NULL) < 0) {
        if (verify_imagefile(path, NULL, 0, &v, NULL) >= 0)
            abort();
        return 0;
    }
    check_documents(f);
    (void)imagefile_stream(f, &taker, NULL);
    (void)verify_imagefile(path, NULL, 0, &v, NULL);
    imagefile_free(f);
    return 0;
}
