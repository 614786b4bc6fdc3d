/* Schema 2 documents out of a schema 1 manifest, in a fixed order of members. */
#include "mem.h"
#include "schema1.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char no_digest[] =
    DIGEST_PREFIX "0000000000000000000000000000000000000000000000000000000000000000";

static int add_config(const struct schema1 *s, const char (*diff_ids)[DIGEST_SIZE], struct buf *out)
{
    const struct platform *p = &s->platform;

    (void)buf_addf(out, "{\"architecture\":\"%s\",\"os\":\"%s\"", p->arch, p->os);
    if (*p->variant)
        (void)buf_addf(out, ",\"variant\":\"%s\"", p->variant);
    (void)buf_addstr(out, s->members);
    (void)buf_addf(out, ",\"history\":%s,\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
                   s->history);
    for (size_t i = 0; i < s->n_layers; i++)
        (void)buf_addf(out, "%s\"%s\"", i ? "," : "", diff_ids ? diff_ids[i] : no_digest);
    return buf_addstr(out, "]}}");
}

static int add_descriptor(struct buf *out, const char *type, int64_t size, const char *digest)
{
    return buf_addf(out, "{\"mediaType\":\"%s\",\"size\":%" PRId64 ",\"digest\":\"%s\"}", type,
                    size, digest);
}

static int add_manifest(const struct schema1 *s, int64_t config_size, const char *config_digest,
                        struct buf *out)
{
    (void)buf_addstr(out,
                     "{\"schemaVersion\":2,\"mediaType\":\"" MT_DOCKER_MANIFEST "\",\"config\":");
    (void)add_descriptor(out, MT_DOCKER_CONFIG, config_size, config_digest);
    (void)buf_addstr(out, ",\"layers\":[");
    for (size_t i = 0; i < s->n_layers; i++) {
        if (i)
            (void)buf_addch(out, ',');
        (void)add_descriptor(out, MT_DOCKER_LAYER_GZIP, s->layers[i].size, s->layers[i].digest);
    }
    return buf_addstr(out, "]}");
}

int schema1_render(const struct schema1 *s, const char (*diff_ids)[DIGEST_SIZE],
                   struct schema1_documents *out, struct err **e)
{
    struct schema1_documents d;

    buf_init(&d.config, CONFIG_MAX_SIZE);
    buf_init(&d.manifest, MANIFEST_MAX_SIZE);
    if (add_config(s, diff_ids, &d.config) < 0) {
        schema1_documents_release(&d);
        return err_set(e, -EBADMSG, "schema 1 manifest: its configuration is larger than %u bytes",
                       CONFIG_MAX_SIZE);
    }
    hash_digest(d.config.data, d.config.len, d.config_digest);
    /* 1024 layers of at most 250 bytes each always fit. */
    (void)add_manifest(s, (int64_t)d.config.len, d.config_digest, &d.manifest);
    hash_digest(d.manifest.data, d.manifest.len, d.manifest_digest);
    *out = d;
    return 0;
}

void schema1_documents_release(struct schema1_documents *d)
{
    buf_release(&d->config);
    buf_release(&d->manifest);
}
