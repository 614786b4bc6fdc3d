#pragma once
/* The objects that an informer knows, by key. Shared by kube_informer.c and its tests only. */
#include "kube_informer.h"

#include <stdint.h>

struct kube_entry;

struct kube_store {
    struct kube_entry *entries;
    uint32_t generation; /* of the list that is being read */
    const struct kube_informer_ops *ops;
    void *arg;
};

/* Frees all values without telling. */
void kube_store_release(struct kube_store *s);
/* An object as a list or watch shows it. -EBADMSG: without name, uid or version. */
int kube_store_put(struct kube_store *s, const cJSON *object, struct err **e);
/* It was deleted. */
int kube_store_delete(struct kube_store *s, const cJSON *object, struct err **e);
/* Objects that were not put since the generation was counted up are gone. */
void kube_store_sweep(struct kube_store *s);

const void *kube_store_get(const struct kube_store *s, const char *key);
size_t kube_store_count(const struct kube_store *s);
void kube_store_each(const struct kube_store *s,
                     bool (*fn)(void *arg, const char *key, const void *value), void *arg);
