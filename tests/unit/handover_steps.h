#pragma once
/* What can happen next in the model of the hand-over, and what must not. */
#include "handover_model.h"

/* --- what users do --- */

static inline void user_steps(struct steps *st)
{
    struct state to = *st->from;

    if (to.p < st->set->max_p) {
        to.p++;
        to.labels[NAME_P] = to.nics[NAME_P] = 0;
        if (!to.is_set_gone || to.p % 2 == 0)
            emit(st, &to, "user: pod p", to.p, WRONG);
        to = *st->from;
    }
    if (to.q < st->set->max_q) {
        to.q++;
        to.labels[NAME_Q] = to.nics[NAME_Q] = 0;
        emit(st, &to, "user: pod q", to.q, WRONG);
        to = *st->from;
    }
    if (st->set->is_set && to.p % 2 == 0) {
        to.is_set_gone = 1;
        emit(st, &to, "user: the set is deleted", 0, WRONG);
        to = *st->from;
    }
    for (unsigned name = 0; name < N_NAMES; name++, to = *st->from) {
        if (to.n_deleted == st->set->max_deleted || !lives(&to, pod_of(to.ips[name])))
            continue;
        to.n_deleted++;
        change_ip(st, &to, name, 0);
        emit(st, &to, "user: deletes the MacvlanIP under name", name, WRONG);
    }
}

/* --- messages --- */

static inline void message_steps(struct steps *st, unsigned pod, unsigned addr)
{
    struct state to = *st->from;
    unsigned name = name_of(pod), bit = message(pod, addr);

    if (to.posts & bit) {
        if (!to.ips[name])
            change_ip(st, &to, name, pod | addr << 2);
        if (st->is_quiet)
            to.posts &= (uint8_t)~bit;
        emit(st, &to, "arrives: POST for pod", pod, ARRIVES);
        to = *st->from;
    }
    if (to.patches & bit) {
        if (has_rule(st, RULE_LABEL) ? lives(&to, pod) : living(to.p, to.q, name))
            to.labels[name] = (uint8_t)addr;
        if (st->is_quiet)
            to.patches &= (uint8_t)~bit;
        emit(st, &to, "arrives: PATCH of pod", pod, ARRIVES);
    }
}

/* With the version that was seen: what would be answered 409 is not kept (refuse_others). */
static inline void hand_steps(struct steps *st)
{
    for (unsigned addr = 1; addr <= N_ADDRS; addr++) {
        struct state to = *st->from;

        if (!(to.hands & 1u << addr))
            continue;
        hand_on(st, &to, addr);
        emit(st, &to, "arrives: PATCH that hands on address", addr, ARRIVES);
    }
}

/* One that has gone already does nothing under RULE_UID, and is not kept (send_delete). */
static inline void delete_steps(struct steps *st, unsigned name)
{
    struct state to = *st->from;

    if (!(to.deletes & 1u << name))
        return;
    to.deletes &= (uint8_t) ~(1u << name);
    if (lives(&to, pod_of(to.ips[name])))
        st->broken = "the MacvlanIP of a living pod is deleted";
    change_ip(st, &to, name, 0);
    emit(st, &to, "arrives: DELETE under name", name, ARRIVES);
}

static inline void answer_put(struct steps *st, struct state *s, unsigned i)
{
    struct ctrl *c = &s->ctrl[i];
    struct put put = c->put;
    bool is_taken = apply_put(st, s, put);

    c->put = (struct put){0};
    if (is_taken) {
        c->is_fresh = 1;
        for (unsigned pod = 1; pod <= N_PODS; pod++)
            if (promised(put.intents, pod) &&
                promised(put.intents, pod) == promised(c->intents, pod))
                c->written |= (uint8_t)(1u << pod);
        if (c->stage == TAKING)
            c->stage = has_rule(st, RULE_ORDER) ? READING : LEADING;
        emit(st, s, "answered: PUT of", i, ARRIVES);
    } else if (c->stage == LEADING && c->epoch != s->epoch && has_rule(st, RULE_STOP)) {
        *c = (struct ctrl){.late = c->late};
        emit(st, s, "409 and another epoch: the end of", i, ARRIVES);
    } else {
        c->is_dirty = 1;
        c->is_fresh = 1; /* read again */
        emit(st, s, "409: PUT of", i, ARRIVES);
    }
}

static inline void put_steps(struct steps *st, unsigned i)
{
    struct state to = *st->from;
    struct ctrl *c = &to.ctrl[i];
    struct put put = c->put;

    if (c->late.head) {
        struct put late = c->late;

        c->late = (struct put){0};
        emit(st, &to, "lost: late PUT of", i, WRONG);
        (void)apply_put(st, &to, late);
        emit(st, &to, "arrives: late PUT of", i, ARRIVES);
        to = *st->from;
    }
    if (!put.head)
        return;
    answer_put(st, &to, i);
    to = *st->from;
    c->put = (struct put){0};
    c->is_dirty = 1;
    emit(st, &to, "lost: PUT of", i, WRONG);
    if (st->set->has_timeouts && !c->late.head) {
        c->late = put;
        emit(st, &to, "no answer in time: PUT of", i, WRONG);
    }
    to = *st->from;
    if (apply_put(st, &to, put)) {
        c->put = (struct put){0};
        c->is_dirty = 1;
        emit(st, &to, "arrives, its answer is lost: PUT of", i, WRONG);
    }
}

static inline void send_put(struct ctrl *c)
{
    c->put =
        (struct put){(uint8_t)(c->epoch << 2 | (c->is_fresh ? IS_FRESH : 0) | IS_SENT), c->intents};
    c->is_dirty = 0;
}

/* A DELETE of what is not there any more as it was does nothing. */
static inline void send_delete(const struct steps *st, struct state *s, unsigned name, unsigned ip)
{
    if (!has_rule(st, RULE_UID) || ip & IS_CURRENT)
        s->deletes |= (uint8_t)(1u << name);
}

/* --- leadership --- */

/* Its PUT stays on the way: without it there is less that can happen. */
static inline void end(struct ctrl *c)
{
    struct put put = c->put.head ? c->put : c->late;

    *c = (struct ctrl){.late = put};
}

static inline void lease_steps(struct steps *st, unsigned i)
{
    struct state to = *st->from;
    struct ctrl *c = &to.ctrl[i];
    bool is_leading = c->stage != STANDBY;

    if (to.holder == i + 1 && st->set->rules & CLOCK && st->set->is_immortal)
        return;
    if (to.holder == i + 1) {
        to.holder = 0;
        if (st->set->rules & CLOCK)
            end(c);
        emit(st, &to, "the lease runs out:", i, is_leading ? WRONG : ENDS);
    } else if (is_leading && (st->is_quiet || !st->set->is_immortal)) {
        end(c);
        emit(st, &to, "killed:", i, ENDS);
    } else if (!is_leading && !to.holder && (to.epoch < st->set->max_epoch || st->is_quiet)) {
        to.holder = (uint8_t)(i + 1);
        c->stage = has_rule(st, RULE_ORDER) ? TAKING : READING;
        emit(st, &to, "elected:", i, ELECTS);
    }
}

static inline void takeover_steps(struct steps *st, unsigned i)
{
    struct state to = *st->from;
    struct ctrl *c = &to.ctrl[i];

    if (c->stage == TAKING && !c->put.head && (to.epoch < st->set->max_epoch || st->is_quiet)) {
        for (unsigned pod = 1; has_rule(st, RULE_LOAD) && pod <= N_PODS; pod++)
            if (promised(to.intents, pod))
                intend(c, pod, promised(to.intents, pod), true);
        c->epoch = to.epoch + 1;
        c->is_fresh = 1;
        if (has_rule(st, RULE_EPOCH))
            send_put(c);
        else
            c->stage = has_rule(st, RULE_ORDER) ? READING : LEADING;
        emit(st, &to, "reads the status:", i, WORKS);
    } else if (c->stage == READING) {
        for (unsigned n = 0; has_rule(st, RULE_READ) && n < N_NAMES; n++)
            learn(c, &to, n);
        c->stage = has_rule(st, RULE_ORDER) ? LEADING : TAKING;
        emit(st, &to, "lists the MacvlanIPs:", i, WORKS);
    }
}

static inline void watch_steps(struct steps *st, unsigned i)
{
    struct state to = *st->from;
    struct ctrl *c = &to.ctrl[i];

    if (c->stage == STANDBY)
        return;
    if (c->p < to.p) {
        c->p++;
        emit(st, &to, "sees a change of pod p:", i, WATCHES);
        to = *st->from;
    }
    if (c->q < to.q) {
        c->q++;
        emit(st, &to, "sees a change of pod q:", i, WATCHES);
        to = *st->from;
    }
    for (unsigned n = 0; n < N_NAMES; n++, to = *st->from) {
        if (c->known[n] && !(c->known[n] & (IS_CURRENT | IS_HANDED))) {
            forget(st, c, &c->known[n], n);
        } else if (c->seen[n] && !(c->seen[n] & (IS_CURRENT | IS_HANDED))) {
            forget(st, c, &c->seen[n], n);
        } else if (!(c->seen[n] & IS_CURRENT) && to.ips[n]) {
            c->seen[n] = to.ips[n] | IS_CURRENT;
            c->known[n] = 0;
            drop_intent(c, pod_of(to.ips[n]));
        }
        emit(st, &to, n ? "sees a change of q's MacvlanIP:" : "sees a change of p's MacvlanIP:", i,
             WATCHES);
    }
}

/* --- a leader's work --- */

/* Promises to other pods of this name. True: there are, and nothing else is done. What was made for
 * such a pod is found first. */
static inline bool promise_steps(struct steps *st, unsigned i, unsigned name, unsigned pod)
{
    bool has_any = false;

    for (unsigned other = 1; other <= N_PODS; other++) {
        struct state to = *st->from;

        if (name_of(other) != name || other == pod || !promised(st->from->ctrl[i].intents, other))
            continue;
        has_any = true;
        if (has_rule(st, RULE_PROMISE) && lives(&to, other))
            continue;
        learn(&to.ctrl[i], &to, name);
        drop_intent(&to.ctrl[i], other);
        emit(st, &to, "drops the promise to a pod that is gone:", i, WORKS);
    }
    return has_any;
}

/* Whether the cache shows q with that address. */
static inline bool has_rival(const struct ctrl *c, unsigned addr)
{
    return c->seen[NAME_Q] && addr_of(c->seen[NAME_Q]) == addr &&
           living(c->p, c->q, NAME_Q) == pod_of(c->seen[NAME_Q]);
}

static inline void pick(const struct steps *st, struct ctrl *c, unsigned pod)
{
    for (unsigned addr = 1; addr <= (st->set->is_fixed && pod == Q ? 1 : N_ADDRS); addr++)
        if (!holders(c, addr)) {
            intend(c, pod, addr, !has_rule(st, RULE_INTENT));
            return;
        }
}

/* P2 goes on with what P1 had, unless q has it by now; as long as that is not settled, it waits. */
static inline void inherit(struct steps *st, struct state *to, unsigned i)
{
    struct ctrl *c = &to->ctrl[i];
    unsigned ip = c->seen[NAME_P], addr = addr_of(ip);
    unsigned mine = promised(c->intents, P2) == addr ? 2 : 1;
    bool is_alone = holders(c, addr) <= mine || !has_rule(st, RULE_INHERIT);

    if (is_alone && ip & IS_CURRENT)
        to->hands |= (uint8_t)(1u << addr);
    else if (!is_alone && has_rival(c, addr))
        send_delete(st, to, NAME_P, ip);
}

/* The cache has a MacvlanIP of another pod under the name of this one. */
static inline void replace_steps(struct steps *st, unsigned i, unsigned pod)
{
    struct state to = *st->from;
    unsigned name = name_of(pod), ip = to.ctrl[i].seen[name];

    if (has_rule(st, RULE_CONFIRM) && !lives(&to, pod))
        return;
    if (st->set->is_set && pod == P2)
        inherit(st, &to, i);
    else
        send_delete(st, &to, name, ip);
    emit(st, &to, "takes the place for pod", pod, WORKS);
}

static inline void create_steps(struct steps *st, unsigned i, unsigned pod)
{
    struct state to = *st->from;
    struct ctrl *c = &to.ctrl[i];
    unsigned name = name_of(pod);

    if (!promised(c->intents, pod)) {
        if (pod_of(c->known[name]) != pod)
            pick(st, c, pod);
        emit(st, &to, "intends an address for pod", pod, WORKS);
        return;
    }
    if (to.posts & message(pod, promised(c->intents, pod)) && !has_rule(st, RULE_HOLD)) {
        drop_intent(c, pod);
        emit(st, &to, "has sent POST, and forgets its intent for pod", pod, WORKS);
        to = *st->from;
    }
    if (may_post(c, pod) && pod_of(to.ips[name]) == pod)
        learn(c, &to, name);
    emit(st, &to, "hears of the MacvlanIP of pod", pod, WORKS);
}

static inline void label_steps(struct steps *st, unsigned pod, unsigned addr)
{
    struct state to = *st->from;

    if (st->set->has_labels && to.labels[name_of(pod)] != addr)
        to.patches |= (uint8_t)message(pod, addr);
    emit(st, &to, "sends PATCH of pod", pod, WORKS);
}

/* A MacvlanIP in the cache, and no pod under its name. */
static inline void orphan_steps(struct steps *st, unsigned i, unsigned name)
{
    struct state to = *st->from;
    unsigned ip = to.ctrl[i].seen[name];
    bool is_held = lives(&to, pod_of(ip)) || (st->set->is_set && name == NAME_P && !to.is_set_gone);

    if (!has_rule(st, RULE_LOOK) || !is_held)
        send_delete(st, &to, name, ip);
    emit(st, &to, "sends DELETE under name", name, WORKS);
}

static inline void work_steps(struct steps *st, unsigned i)
{
    struct state to = *st->from;
    struct ctrl *c = &to.ctrl[i];

    if (c->stage != LEADING)
        return;
    for (unsigned name = 0; name < N_NAMES; name++) {
        unsigned pod = living(c->p, c->q, name), ip = c->seen[name];

        if (promise_steps(st, i, name, pod))
            continue;
        if (pod && pod_of(ip) == pod) {
            label_steps(st, pod, addr_of(ip));
        } else if (pod && ip) {
            replace_steps(st, i, pod);
        } else if (pod) {
            create_steps(st, i, pod);
        } else if (ip) {
            orphan_steps(st, i, name);
        }
    }
    for (unsigned pod = 1; pod <= N_PODS; pod++)
        c->is_dirty |= promised(c->intents, pod) && !(c->written & 1u << pod);
    if (!c->put.head && c->is_dirty) {
        send_put(c);
        emit(st, &to, "sends PUT:", i, WORKS);
    }
}

/* --- all together --- */

/* Everything that can happen next. */
static inline void model_steps(struct steps *st)
{
    user_steps(st);
    for (unsigned pod = 1; pod <= N_PODS; pod++)
        for (unsigned addr = 1; addr <= N_ADDRS; addr++)
            message_steps(st, pod, addr);
    for (unsigned name = 0; name < N_NAMES; name++)
        delete_steps(st, name);
    hand_steps(st);
    for (unsigned i = 0; i < N_CTRL; i++) {
        put_steps(st, i);
        lease_steps(st, i);
        takeover_steps(st, i);
        watch_steps(st, i);
        work_steps(st, i);
    }
}

/* What no state may be, or NULL. */
static inline const char *model_broken(const struct state *s)
{
    unsigned p = living(s->p, s->q, NAME_P), q = living(s->p, s->q, NAME_Q);
    bool p_has = p && pod_of(s->ips[NAME_P]) == p, q_has = q && pod_of(s->ips[NAME_Q]) == q;

    if (s->nics[NAME_P] && s->nics[NAME_P] == s->nics[NAME_Q])
        return "two living pods hold one address";
    if ((p_has && s->nics[NAME_P] != addr_of(s->ips[NAME_P])) ||
        (q_has && s->nics[NAME_Q] != addr_of(s->ips[NAME_Q])))
        return "a living pod has got another address";
    if ((q_has && s->labels[NAME_P] == addr_of(s->ips[NAME_Q])) ||
        (p_has && s->labels[NAME_Q] == addr_of(s->ips[NAME_P])))
        return "a pod's label says another's address";
    return NULL;
}

/* What a state in which nothing is left to do may not be, or NULL. */
static inline const char *model_unfinished(const struct setting *set, const struct state *s)
{
    if (!s->holder || s->ctrl[s->holder - 1].stage != LEADING)
        return "nobody leads";
    if (s->intents)
        return "an intent stays in the status";
    for (unsigned name = 0; name < N_NAMES; name++) {
        unsigned pod = living(s->p, s->q, name), ip = s->ips[name];
        bool is_kept = set->is_set && name == NAME_P && !s->is_set_gone;

        if (!pod && ip && !is_kept)
            return "a MacvlanIP of nobody stays";
        if (pod && pod_of(ip) != pod &&
            !(set->is_fixed && pod == Q && addr_of(s->ips[NAME_P]) == 1))
            return "a pod waits for ever";
        if (pod && set->has_labels && s->labels[name] != addr_of(ip))
            return "a label stays wrong";
    }
    return NULL;
}
