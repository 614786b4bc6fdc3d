#pragma once
/*
 * The two bodies that the API server sends in pieces, read as they come: a watch (one JSON object
 * per line) and a list (handed out item by item, so that never more than one item is in memory).
 * Pure. Both refuse what is not JSON, nested deeper than JSON_MAX_DEPTH, or larger than the limit:
 * -EBADMSG, -EFBIG; after an error the reader is of no more use. A NUL that somebody has put into a
 * string of his object comes as U+FFFD, so that such an object does not stop all others.
 */
#include "buf.h"
#include "err.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#define KUBE_ITEM_MAX (4u << 20) /* bytes of one event or item; etcd takes 1.5 MiB by default */

enum kube_event_type {
    KUBE_ADDED,
    KUBE_MODIFIED,
    KUBE_DELETED,
    KUBE_BOOKMARK, /* the object has only metadata.resourceVersion */
    KUBE_ERROR,    /* the object is a Status */
    KUBE_UNKNOWN,  /* to be passed over */
};

/* Each is called from the feeding function. A negative errno ends the reading with it. `object` is
 * a JSON object, borrowed for the call. */
typedef int (*kube_event_fn)(void *arg, enum kube_event_type type, const cJSON *object,
                             struct err **e);
typedef int (*kube_item_fn)(void *arg, const cJSON *object, struct err **e);

struct kube_watch_reader {
    struct buf line; /* begun and not ended */
    kube_event_fn on_event;
    void *arg;
};

void kube_watch_reader_init(struct kube_watch_reader *w, kube_event_fn on_event, void *arg);
void kube_watch_reader_release(struct kube_watch_reader *w);
/* 0, -EBADMSG, -EFBIG, or what on_event returned. */
int kube_watch_reader_feed(struct kube_watch_reader *w, const char *bytes, size_t len,
                           struct err **e);
/* The body is over. -EBADMSG: in the middle of a line. */
int kube_watch_reader_end(const struct kube_watch_reader *w, struct err **e);

enum kube_list_state {
    KUBE_LIST_START,
    KUBE_LIST_KEY, /* before a member, or the end of the object */
    KUBE_LIST_IN_KEY,
    KUBE_LIST_COLON,
    KUBE_LIST_VALUE, /* before a value */
    KUBE_LIST_IN_VALUE,
    KUBE_LIST_AFTER_VALUE,
    KUBE_LIST_ITEM, /* before an item, or the end of items */
    KUBE_LIST_IN_ITEM,
    KUBE_LIST_AFTER_ITEM,
    KUBE_LIST_DONE,
};

struct kube_list_reader {
    kube_item_fn on_item;
    void *arg;
    char *resource_version; /* of the list; NULL until it was read */
    char *continue_token;   /* of the next page; NULL: this was the last */
    size_t n_items;

    /* How far the reading has come. */
    enum kube_list_state state;
    struct buf token; /* the key, value or item that is being read */
    char *key;        /* of the value that is being read */
    size_t depth;     /* brackets open in `token` */
    bool in_string, is_escaped, has_items, may_end;
};

void kube_list_reader_init(struct kube_list_reader *l, kube_item_fn on_item, void *arg);
void kube_list_reader_release(struct kube_list_reader *l);
int kube_list_reader_feed(struct kube_list_reader *l, const char *bytes, size_t len,
                          struct err **e);
/* The body is over. -EBADMSG: it was no whole list, or one without a resourceVersion. */
int kube_list_reader_end(const struct kube_list_reader *l, struct err **e);
