#pragma once
/*
 * The rules of a bundle that need more than flatnet.json: documents equal to their rendering,
 * manifests that agree with the entries, no blob too few or too many. Works on any way of
 * reading an entry, so that a file and a pipe share it.
 */
#include "bundle_index.h"

/* Reads the content of an entry (small: a document or a manifest) into *out, which is empty. */
typedef int (*bundle_read_entry)(void *arg, const struct bundle_entry *entry, struct buf *out,
                                 struct err **e);

/* Entries by path, for bsearch. */
struct bundle_lookup {
    const struct bundle_entry **sorted;
    size_t count;
};
void bundle_lookup_init(struct bundle_lookup *l, const struct bundle_index *index);
void bundle_lookup_release(struct bundle_lookup *l);
const struct bundle_entry *bundle_lookup_path(const struct bundle_lookup *l, const char *path);
const struct bundle_entry *bundle_lookup_blob(const struct bundle_lookup *l, const char *digest);

/* True if a delta leaves this blob to its base. */
const struct bundle_missing *bundle_find_missing(const struct bundle_index *index,
                                                 const char *digest);

/* True for an entry whose bytes bundle_check_documents reads: documents and (small) JSON blobs. */
bool bundle_entry_is_document(const struct bundle_index *index, const struct bundle_entry *entry);

/* Checks all rules and fills `parsed` of every platform. -EBADMSG names the entry. */
int bundle_check_documents(struct bundle_index *index, const struct bundle_lookup *lookup,
                           bundle_read_entry read, void *arg, struct err **e);
