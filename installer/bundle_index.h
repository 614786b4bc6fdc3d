#pragma once
/*
 * The layout of a bundle, pure: which entries stand where, and the bytes of its own documents.
 * One struct bundle_index is planned by the writer and read back by the reader; both call the
 * same functions here, and the reader compares bytes. docs/bundle-format.md is the description.
 */
#include "buf.h"
#include "bundle.h"
#include "err.h"

#define BUNDLE_INDEX_PATH "flatnet.json"
#define BUNDLE_LAYOUT_PATH "oci-layout"
#define BUNDLE_OCI_INDEX_PATH "index.json"
#define BUNDLE_DOCKER_PATH "manifest.json"
#define BUNDLE_TRAILER_PATH "flatnet.trailer"
#define BUNDLE_BLOB_DIR "blobs/sha256/"
#define BUNDLE_OCI_LAYOUT "{\"imageLayoutVersion\":\"1.0.0\"}"

#define BUNDLE_INDEX_MAX (64u << 20)

void bundle_index_release(struct bundle_index *index);
void bundle_image_release(struct bundle_image *image);

/* Appends an entry; its offset follows by bundle_index_place. `digest` may be NULL where it is
 * not known yet (the bytes of that document come last). */
void bundle_index_add(struct bundle_index *index, const char *path, const char *digest,
                      int64_t size);
void bundle_index_add_blob(struct bundle_index *index, const char *digest, int64_t size);
/* Computes all offsets; returns the bytes from the first data entry's header up to the trailer's.
 */
int64_t bundle_index_place(struct bundle_index *index);

/* Where the first data entry's header stands, for a flatnet.json of `len` bytes. */
int64_t bundle_data_start(size_t len);
/* Length of the whole bundle: `data_len` is what bundle_index_place returned. */
int64_t bundle_total_length(size_t index_len, int64_t data_len);

/* flatnet.json, compact and canonical; to be freed. */
char *bundle_index_render(const struct bundle_index *index);
/*
 * Reads it back: every rule of the format that the document alone can break is checked (names,
 * order, doubles, offsets, digests, references), and that it is the canonical rendering.
 * -EBADMSG; a newer format version says so. `parsed` of the platforms stays empty.
 */
int bundle_index_parse(const char *text, size_t len, struct bundle_index *out, struct err **e);

/* The documents made from the images; all to be freed. bundle_render_docker needs `parsed`. */
char *bundle_render_oci_index(const struct bundle_index *index);
char *bundle_render_docker(const struct bundle_index *index);
char *bundle_render_trailer(const char *index_text, size_t index_len);
/* The OCI index of the present platforms of one image. */
char *bundle_render_image_index(const struct bundle_image *image);

/* What docker and containerd call the image of a full reference: docker needs a tag, so a bare
 * digest becomes the tag "sha256-<hex>"; containerd drops the tag where there is a digest, as
 * the kubelet does when it asks. To be freed. */
char *bundle_docker_name(const char *reference);
char *bundle_containerd_name(const char *reference);
/* "blobs/sha256/<hex>", to be freed. */
char *bundle_blob_path(const char *digest);
