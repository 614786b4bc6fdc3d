#pragma once
/*
 * The hand-over of docs/hand-over.md as a machine with finitely many states: an API server with one
 * subnet of two addresses, two controllers, the pods p (made, deleted, made again under the same
 * name) and q. Steps are those of ctl_lead.c, ctl_status.c, ctl_give.c, ctl_gone.c and ctl_ips.c,
 * cut wherever time can pass. Each request is a message that may arrive at any later time, even
 * when its sender is long gone, or never, or arrive without its answer coming back.
 *
 * A lease may run out at any time. With CLOCK who held it ends then, and only what it has sent goes
 * on: that is a process frozen at any step. Without, it works on for as long as it likes.
 *
 * Caches lag behind as far as they like; a controller starts with one that has seen nothing. What
 * was made and deleted between two looks of a watch is not seen in it.
 *
 * What a pod has got it keeps on its interface as long as it lives, also when its MacvlanIP goes.
 * That happens to a set's pods when the set is deleted, and where a user deletes MacvlanIPs.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { P1 = 1, P2, Q, N_PODS = 3 }; /* P1 and P2 are called p */
enum { NAME_P, NAME_Q, N_NAMES };
enum { N_ADDRS = 2, N_CTRL = 2 };

/* The rules, so that each can be taken away. */
enum rule {
    RULE_VERSION = 1 << 0,  /* a PUT of the status carries the resourceVersion that was read */
    RULE_EPOCH = 1 << 1,    /* a new leader writes the status before it gives */
    RULE_STOP = 1 << 2,     /* who meets another epoch ends */
    RULE_LOAD = 1 << 3,     /* a new leader takes the intents that stand in the status */
    RULE_READ = 1 << 4,     /* it lists the MacvlanIPs from etcd */
    RULE_ORDER = 1 << 5,    /* after its epoch is written, not before */
    RULE_INTENT = 1 << 6,   /* a MacvlanIP is made when its intent's PUT was answered */
    RULE_HOLD = 1 << 7,     /* an intent holds its address until its MacvlanIP is seen */
    RULE_UID = 1 << 8,      /* a DELETE carries the UID and version of the object */
    RULE_LOOK = 1 << 9,     /* the server is asked whether the pod is gone: before a DELETE */
    RULE_PROMISE = 1 << 10, /* before an earlier leader's intent is dropped */
    RULE_CONFIRM = 1 << 11, /* before a MacvlanIP is replaced for a pod that the cache shows */
    RULE_LABEL = 1 << 12,   /* a PATCH of labels carries the pod's UID */
    RULE_INHERIT = 1 << 13, /* a pod inherits an address that nobody else holds by now */
    RULE_KEEP = 1 << 14,    /* a living pod whose MacvlanIP goes keeps its address as a promise */
    RULES = (1 << 15) - 1,
    CLOCK = 1 << 15 /* who has lost its lease ends; what it sent goes on its way */
};

struct setting {
    unsigned rules;
    unsigned max_epoch;    /* later ones only in the quiet end */
    unsigned max_p, max_q; /* how far users go with the pods, see struct state */
    bool is_set;           /* the pods p are a StatefulSet's, and inherit */
    bool is_fixed;         /* q wants the first address and no other */
    bool has_labels;
    bool has_timeouts;    /* a leader gives up a PUT that arrives later */
    bool is_immortal;     /* no leader is killed, or ends by itself and begins anew */
    unsigned max_deleted; /* MacvlanIPs that a user deletes while their pods live */
};

/* A MacvlanIP: pod | address << 2, and in a cache IS_CURRENT: it is what the server has, or
 * IS_HANDED: it has been handed on since. 0: none. */
#define IS_CURRENT 16
#define IS_HANDED 32
/* A PUT of the status: epoch << 2 | IS_FRESH: its version is the server's | IS_SENT. */
enum { IS_SENT = 1, IS_FRESH = 2 };

struct put {
    uint8_t head, intents;
};

enum stage { STANDBY, TAKING, READING, LEADING };

/* Intents: the address of each pod in two bits. */
struct ctrl {
    uint8_t stage, epoch, intents, written; /* written: one bit a pod */
    uint8_t p, q;                           /* how far the cache of pods is */
    uint8_t seen[N_NAMES];                  /* MacvlanIPs in the cache */
    uint8_t known[N_NAMES];                 /* in the ledger before the watch tells of them */
    struct put put;                         /* waited for */
    uint8_t is_fresh, is_dirty;
    struct put late; /* nobody waits for it any more; stays when the process goes */
};

struct state {
    uint8_t epoch, intents, holder; /* holder: 1 + controller */
    uint8_t p, q;                   /* 0 not yet, 1 lives, 2 gone, 3 lives again, 4 gone */
    uint8_t ips[N_NAMES];
    uint8_t labels[N_NAMES];
    uint8_t nics[N_NAMES]; /* addresses on the interfaces of living pods */
    uint8_t is_set_gone, n_deleted;
    uint8_t posts, patches, deletes; /* on the way: a bit a pod and address; a bit a name */
    uint8_t hands;                   /* on the way, P1's MacvlanIP to P2: a bit an address */
    struct ctrl ctrl[N_CTRL];
};

static inline unsigned name_of(unsigned pod)
{
    return pod == Q ? NAME_Q : NAME_P;
}

/* The pod that lives under a name, or 0. */
static inline unsigned living(unsigned p, unsigned q, unsigned name)
{
    if (name == NAME_Q)
        return q == 1 ? Q : 0;
    return p == 1 ? P1 : p == 3 ? P2 : 0;
}

static inline bool lives(const struct state *s, unsigned pod)
{
    return pod && living(s->p, s->q, name_of(pod)) == pod;
}

static inline unsigned promised(unsigned intents, unsigned pod)
{
    return intents >> (2 * (pod - 1)) & 3;
}

static inline unsigned pod_of(unsigned ip)
{
    return ip & 3;
}

static inline unsigned addr_of(unsigned ip)
{
    return ip >> 2 & 3;
}

/* A pod and an address as one bit of a set of messages. */
static inline unsigned message(unsigned pod, unsigned addr)
{
    return 1u << ((pod - 1) * N_ADDRS + addr - 1);
}

/* Where successors go. `what` is a literal, `who` a controller, pod or name. `order`: what is done
 * first when nothing goes wrong any more; 0: it is something going wrong. */
struct steps {
    const struct setting *set;
    const struct state *from;
    bool is_quiet; /* more leaders than max_epoch */
    void (*found)(struct steps *steps, const struct state *to, const char *what, unsigned who,
                  unsigned order);
    const char *broken; /* a step that must not be */
};

enum { WRONG, ARRIVES, WATCHES, ENDS, ELECTS, WORKS };

static inline bool has_rule(const struct steps *st, enum rule rule)
{
    return st->set->rules & rule;
}

/* --- what does not tell states apart --- */

/* Promises to other pods of this name come first, then a MacvlanIP that bears it. */
static inline bool may_post(const struct ctrl *c, unsigned pod)
{
    unsigned name = name_of(pod);

    if (c->stage != LEADING || living(c->p, c->q, name) != pod || !(c->written & 1u << pod) ||
        !promised(c->intents, pod) || c->seen[name])
        return false;
    return name == NAME_Q || !promised(c->intents, P1 + P2 - pod);
}

/*
 * A PUT whose version has passed is refused, whatever it says. A POST that may be sent is on its
 * way, and stays so: it may arrive at any time, and again, since who hears nothing sends it again.
 * All that could happen without it can happen with it.
 */
static inline void normalize(const struct setting *set, struct state *s)
{
    for (unsigned i = 0; i < N_CTRL; i++) {
        struct ctrl *c = &s->ctrl[i];

        for (unsigned pod = 1; pod <= N_PODS; pod++)
            if (may_post(c, pod))
                s->posts |= (uint8_t)message(pod, promised(c->intents, pod));
        if (!(set->rules & RULE_VERSION))
            continue;
        if (!(c->late.head & IS_FRESH))
            c->late = (struct put){0};
        if (c->put.head && !(c->put.head & IS_FRESH))
            c->put = (struct put){IS_SENT, 0};
    }
}

static inline void emit(struct steps *st, const struct state *to, const char *what, unsigned who,
                        unsigned order)
{
    struct state normal = *to;

    normalize(st->set, &normal);
    if (memcmp(&normal, st->from, sizeof(normal)) != 0)
        st->found(st, &normal, what, who, order);
}

/* --- the ledger of a controller --- */

static inline void drop_intent(struct ctrl *c, unsigned pod)
{
    if (promised(c->intents, pod))
        c->is_dirty = 1;
    c->intents &= (uint8_t) ~(3u << (2 * (pod - 1)));
    c->written &= (uint8_t) ~(1u << pod);
}

static inline void intend(struct ctrl *c, unsigned pod, unsigned addr, bool is_written)
{
    if (promised(c->intents, pod))
        return;
    c->intents |= (uint8_t)(addr << (2 * (pod - 1)));
    c->written |= (uint8_t)(is_written << pod);
}

static inline unsigned holders(const struct ctrl *c, unsigned addr)
{
    unsigned n = 0;

    for (unsigned name = 0; name < N_NAMES; name++)
        n += (addr_of(c->seen[name]) == addr) + (addr_of(c->known[name]) == addr);
    for (unsigned pod = 1; pod <= N_PODS; pod++)
        n += promised(c->intents, pod) == addr;
    return n;
}

/* It is gone. */
static inline void forget(const struct steps *st, struct ctrl *c, uint8_t *ip, unsigned name)
{
    unsigned pod = pod_of(*ip);

    if (has_rule(st, RULE_KEEP) && living(c->p, c->q, name) == pod) {
        c->is_dirty |= !promised(c->intents, pod);
        intend(c, pod, addr_of(*ip), false);
    }
    *ip = 0;
}

/* The server has shown this MacvlanIP otherwise than by the watch. */
static inline void learn(struct ctrl *c, const struct state *s, unsigned name)
{
    if (!s->ips[name])
        return;
    if (!(c->seen[name] & IS_CURRENT))
        c->known[name] = s->ips[name] | IS_CURRENT;
    drop_intent(c, pod_of(s->ips[name]));
}

/* --- the server --- */

static inline void age(struct put *put)
{
    put->head &= (uint8_t)~IS_FRESH;
}

/* A pod that lives sets its interface up by it, unless it has done so before. */
static inline void set_up(struct state *s, unsigned name)
{
    if (lives(s, pod_of(s->ips[name])) && !s->nics[name])
        s->nics[name] = (uint8_t)addr_of(s->ips[name]);
}

/* What carries the version of the one before is refused from now on, and need not be kept. */
static inline void refuse_others(const struct steps *st, struct state *s, unsigned name)
{
    if (has_rule(st, RULE_UID))
        s->deletes &= (uint8_t) ~(1u << name);
    if (name == NAME_P)
        s->hands = 0;
}

static inline void change_ip(const struct steps *st, struct state *s, unsigned name, unsigned ip)
{
    refuse_others(st, s, name);
    s->ips[name] = (uint8_t)ip;
    for (unsigned i = 0; i < N_CTRL; i++) {
        s->ctrl[i].seen[name] &= (uint8_t) ~(IS_CURRENT | IS_HANDED);
        s->ctrl[i].known[name] &= (uint8_t) ~(IS_CURRENT | IS_HANDED);
    }
    set_up(s, name);
}

static inline void mark_handed(uint8_t *ip)
{
    if (*ip & IS_CURRENT)
        *ip ^= IS_CURRENT | IS_HANDED;
}

/* The same object, for the next pod: the watch shows a change, and no end. */
static inline void hand_on(const struct steps *st, struct state *s, unsigned addr)
{
    refuse_others(st, s, NAME_P);
    for (unsigned i = 0; i < N_CTRL; i++) {
        mark_handed(&s->ctrl[i].seen[NAME_P]);
        mark_handed(&s->ctrl[i].known[NAME_P]);
    }
    s->ips[NAME_P] = (uint8_t)(P2 | addr << 2);
    set_up(s, NAME_P);
}

/* False: 409. */
static inline bool apply_put(const struct steps *st, struct state *s, struct put put)
{
    if (has_rule(st, RULE_VERSION) && !(put.head & IS_FRESH))
        return false;
    s->epoch = put.head >> 2;
    s->intents = put.intents;
    for (unsigned i = 0; i < N_CTRL; i++) {
        s->ctrl[i].is_fresh = 0;
        age(&s->ctrl[i].put);
        age(&s->ctrl[i].late);
    }
    return true;
}
