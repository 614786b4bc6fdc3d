#pragma once
/*
 * Docker image manifest version 2, schema 1 (distribution's docs/spec/manifest-v2-1.md, withdrawn
 * in 2024), and its conversion to schema 2. Images pushed before 2016 exist in no other form.
 *
 * Schema 1 knows neither the layers' sizes nor their diff ids. Digests have one length, so the
 * lengths of the converted documents are known as soon as the sizes are (by HEAD), before a layer
 * was read: schema1_render with no diff ids gives stand-ins that are just as long. Pure.
 */
#include "buf.h"
#include "err.h"
#include "hash.h"
#include "manifest.h"
#include "platform.h"

#include <stddef.h>
#include <stdint.h>

/* The layer without files that old clients pushed for steps that change only the configuration. */
#define SCHEMA1_EMPTY_LAYER                                                                        \
    "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"

struct schema1_layer {
    char digest[DIGEST_SIZE]; /* of the blob, which is a gzip tar */
    int64_t size;             /* for the caller to fill in before schema1_render; 0 until then */
};

struct schema1 {
    char digest[DIGEST_SIZE];     /* what a registry calls this manifest: of the signed payload */
    struct platform platform;     /* of the newest history entry */
    struct schema1_layer *layers; /* lowest first, without throwaway and empty ones */
    size_t n_layers;
    char *members; /* JSON members that the configuration takes over, without the braces */
    char *history; /* JSON array, oldest step first */
};

/*
 * Reads a signed or unsigned manifest; of signatures only the protected header counts, which says
 * what was signed: that payload is what is read and digested, not the text around it. Checked:
 * schemaVersion, as many layers as history entries, every v1Compatibility an object whose parent
 * is the next one's id (a repeated entry of old clients is dropped, as dockerd does), digests.
 * -EBADMSG for all that.
 */
int schema1_parse(const char *bytes, size_t len, struct schema1 *out, struct err **e);
void schema1_release(struct schema1 *s);
/* For one on the heap; NULL is fine. */
void schema1_free(struct schema1 *s);

/*
 * The bytes that the signatures sign, appended to `out`; for a manifest without signatures all of
 * it. Their SHA-256 is the digest by which a registry knows the manifest. -EBADMSG.
 */
int schema1_payload(const char *bytes, size_t len, struct buf *out, struct err **e);

/* The image as schema 2. */
struct schema1_documents {
    struct buf config; /* MT_DOCKER_CONFIG */
    char config_digest[DIGEST_SIZE];
    struct buf manifest; /* MT_DOCKER_MANIFEST, its layers MT_DOCKER_LAYER_GZIP */
    char manifest_digest[DIGEST_SIZE];
};

/*
 * `diff_ids` has one digest per layer, or is NULL: then zeros stand in for them and only the two
 * lengths mean anything. All sizes must be set. Same input, same bytes. -EBADMSG: the
 * configuration would be larger than CONFIG_MAX_SIZE.
 */
int schema1_render(const struct schema1 *s, const char (*diff_ids)[DIGEST_SIZE],
                   struct schema1_documents *out, struct err **e);
/* Also of a zeroed one. */
void schema1_documents_release(struct schema1_documents *d);

#define auto_schema1 __attribute__((cleanup(schema1_release)))
#define auto_schema1_documents __attribute__((cleanup(schema1_documents_release)))
