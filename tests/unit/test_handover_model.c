/*
 * All states of the model of the hand-over (handover_model.h, handover_steps.h): in none do two
 * living pods hold one address, and from each of them everything comes right when nothing goes
 * wrong any more. Each rule of docs/hand-over.md is needed: without it the search finds what goes
 * wrong.
 *
 * MODEL_EPOCHS (2): how many leaders write the status of the subnet before the quiet end; 3 takes
 * half a minute.
 */
#include "handover_steps.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define MAX_STATES (6u << 20)
#define SLOTS (16u << 20)
#define MAX_QUIET 500

/* Breadth first: `states` is the queue, too, so that a way back is a shortest one. */
struct search {
    struct setting set;
    struct state *states;
    uint32_t *parents, *slots; /* slots: index + 1 */
    bool *is_fine;             /* everything comes right from here */
    uint32_t n, at;
    const char *broken;
    bool is_full; /* the search has ended early */
};

/* --- the set of states --- */

static void swap_ctrls(struct state *s)
{
    struct ctrl first = s->ctrl[0];

    s->ctrl[0] = s->ctrl[1];
    s->ctrl[1] = first;
    s->holder = s->holder ? (uint8_t)(3 - s->holder) : 0;
}

/* Which controller is which does not matter. */
static void order_ctrls(struct state *s)
{
    int order = memcmp(&s->ctrl[0], &s->ctrl[1], sizeof(s->ctrl[0]));

    if (order > 0 || (order == 0 && s->holder == 2))
        swap_ctrls(s);
}

static uint64_t hash(const struct state *s)
{
    const unsigned char *bytes = (const unsigned char *)s;
    uint64_t h = 0, word;
    size_t i;

    for (i = 0; i + 8 <= sizeof(*s); i += 8) {
        memcpy(&word, bytes + i, 8);
        h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    word = 0;
    memcpy(&word, bytes + i, sizeof(*s) - i);
    h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

/* Its slot, which is 0 when the state is new. */
static uint32_t *slot_of(const struct search *f, const struct state *s)
{
    uint64_t at = hash(s) % SLOTS;

    while (f->slots[at] && memcmp(&f->states[f->slots[at] - 1], s, sizeof(*s)) != 0)
        at = (at + 1) % SLOTS;
    return &f->slots[at];
}

/* --- steps --- */

struct walk {
    struct steps steps; /* first */
    struct search *f;
    struct state best; /* quiet: what is done first */
    const char *what;  /* of the step to `best`; NULL: nothing is left to do */
    unsigned who, order;
};

static void add(struct search *f, const struct state *s)
{
    struct state ordered = *s;
    uint32_t *slot;

    order_ctrls(&ordered);
    slot = slot_of(f, &ordered);
    if (*slot)
        return;
    if (f->n == MAX_STATES) {
        f->is_full = true;
        return;
    }
    f->states[f->n] = ordered;
    f->parents[f->n] = f->at;
    *slot = ++f->n;
    if (!f->broken)
        f->broken = model_broken(&ordered);
}

static void on_next(struct steps *steps, const struct state *to, const char *what, unsigned who,
                    unsigned order)
{
    (void)what;
    (void)who;
    (void)order;
    add(((struct walk *)steps)->f, to);
}

static void on_quiet(struct steps *steps, const struct state *to, const char *what, unsigned who,
                     unsigned order)
{
    struct walk *w = (struct walk *)steps;

    if (!order || (w->what && w->order <= order))
        return;
    w->best = *to;
    w->what = what;
    w->who = who;
    w->order = order;
}

static bool quiet_step(struct search *f, struct state *s, const char **out_what, unsigned *out_who)
{
    struct walk w = {.steps = {&f->set, s, true, on_quiet, NULL}, .f = f};

    model_steps(&w.steps);
    *out_what = w.what;
    *out_who = w.who;
    if (w.what) {
        *s = w.best;
        order_ctrls(s);
    }
    return w.what;
}

/* --- what went wrong --- */

static void show(const struct state *s)
{
    printf("#     p%u q%u epoch %u intents %x ips %x %x lease %u |", s->p, s->q, s->epoch,
           s->intents, s->ips[0], s->ips[1], s->holder);
    for (unsigned i = 0; i < N_CTRL; i++) {
        const struct ctrl *c = &s->ctrl[i];

        printf(" %u: %s e%u i%x w%x p%u q%u seen %x %x known %x %x |", i,
               (const char *[]){"standby", "taking", "reading", "leading"}[c->stage], c->epoch,
               c->intents, c->written, c->p, c->q, c->seen[0], c->seen[1], c->known[0],
               c->known[1]);
    }
    printf("\n");
}

struct naming {
    struct steps steps; /* first */
    const struct state *to;
    const char *what;
    unsigned who;
};

static void on_named(struct steps *steps, const struct state *to, const char *what, unsigned who,
                     unsigned order)
{
    struct naming *n = (struct naming *)steps;
    struct state ordered = *to;

    (void)order;
    order_ctrls(&ordered);
    if (n->what || memcmp(&ordered, n->to, sizeof(ordered)) != 0)
        return;
    n->what = what;
    n->who = who;
}

static void show_way(const struct search *f, uint32_t to)
{
    struct naming n = {.steps = {&f->set, NULL, false, on_named, NULL}, .to = &f->states[to]};

    if (to) {
        show_way(f, f->parents[to]);
        n.steps.from = &f->states[f->parents[to]];
        model_steps(&n.steps);
        printf("#   %s %u\n", n.what, n.who);
    }
    show(&f->states[to]);
}

static unsigned depth_of(const struct search *f, uint32_t to)
{
    unsigned depth = 0;

    for (; to; to = f->parents[to])
        depth++;
    return depth;
}

/* --- the search --- */

static void init(struct search *f, const struct setting *set)
{
    *f = (struct search){.set = *set};
    f->states = xcalloc(MAX_STATES, sizeof(*f->states));
    f->parents = xcalloc(MAX_STATES, sizeof(*f->parents));
    f->slots = xcalloc(SLOTS, sizeof(*f->slots));
    f->is_fine = xcalloc(MAX_STATES, sizeof(*f->is_fine));
    add(f, &(struct state){.p = 1, .q = 1});
}

static void release(struct search *f)
{
    free(f->states);
    free(f->parents);
    free(f->slots);
    free(f->is_fine);
}

/* True: nothing is broken in any state. */
static bool search(struct search *f)
{
    while (f->at < f->n && !f->broken && !f->is_full) {
        struct state from = f->states[f->at];
        struct walk w = {.steps = {&f->set, &from, false, on_next, NULL}, .f = f};

        model_steps(&w.steps);
        if (!f->broken)
            f->broken = w.steps.broken;
        if (!f->broken)
            f->at++;
    }
    return !f->broken;
}

/* Goes on from one state without anything going wrong, until it is known that this ends well. */
static const char *come_right(struct search *f, uint32_t start, bool is_shown)
{
    struct state s = f->states[start];
    uint32_t way[MAX_QUIET];
    size_t n = 0;
    const char *what;
    unsigned who;

    for (unsigned i = 0; i < MAX_QUIET; i++) {
        uint32_t index = *slot_of(f, &s);

        if (is_shown)
            show(&s);
        if (index && f->is_fine[index - 1])
            break;
        if (index)
            way[n++] = index - 1;
        if (quiet_step(f, &s, &what, &who)) {
            if (is_shown)
                printf("#   then: %s %u\n", what, who);
            continue;
        }
        what = model_unfinished(&f->set, &s);
        if (what)
            return what;
        break;
    }
    if (n == MAX_QUIET)
        return "it goes on for ever";
    while (n)
        f->is_fine[way[--n]] = true;
    return NULL;
}

/* Without a clock only that nothing is broken: one that leads without the lease, and has nothing to
 * write, does not hear of another. */
static void holds(const struct setting *set)
{
    struct search f;
    const char *unfinished = NULL;
    uint32_t at;

    init(&f, set);
    (void)search(&f);
    if (f.broken) {
        show_way(&f, f.at);
        show_way(&f, f.n - 1);
        print_error("%s\n", f.broken);
    }
    for (at = 0; set->rules & CLOCK && !f.broken && at < f.n && !unfinished; at++)
        unfinished = come_right(&f, at, false);
    if (unfinished) {
        show_way(&f, at - 1);
        (void)come_right(&f, at - 1, true);
        print_error("%s\n", unfinished);
    }
    printf("# %u states, the farthest %u steps away\n", f.n, depth_of(&f, f.n - 1));
    assert_false(f.is_full);
    assert_null(f.broken);
    assert_null(unfinished);
    release(&f);
}

#define SMALL .max_epoch = 2, .max_p = 3, .max_q = 1

static void holds_with_auto_pods(void **state)
{
    const char *epochs = getenv("MODEL_EPOCHS");
    struct setting set = {.rules = RULES | CLOCK, SMALL, .has_timeouts = true};

    (void)state;
    if (epochs)
        set.max_epoch = (unsigned)strtoul(epochs, NULL, 10);
    holds(&set);
}

static void holds_with_a_set_and_a_fixed_pod(void **state)
{
    (void)state;
    holds(&(struct setting){.rules = RULES | CLOCK, SMALL, .is_set = true, .is_fixed = true});
}

static void holds_with_a_set(void **state)
{
    (void)state;
    holds(&(struct setting){.rules = RULES | CLOCK, SMALL, .is_set = true});
}

static void holds_with_labels(void **state)
{
    (void)state;
    holds(&(struct setting){
        .rules = RULES | CLOCK, .max_epoch = 1, .max_p = 3, .max_q = 1, .has_labels = true});
}

/* Two leaders that never ask it, both at work. */
static void holds_without_a_clock(void **state)
{
    (void)state;
    holds(&(struct setting){
        .rules = RULES, .max_epoch = 2, .max_p = 1, .max_q = 1, .is_immortal = true});
}

/* One leader, which sees them go. */
#define DELETER .max_epoch = 1, .max_p = 3, .max_q = 1, .is_immortal = true, .max_deleted = 1

static void holds_where_macvlanips_are_deleted(void **state)
{
    (void)state;
    holds(&(struct setting){.rules = RULES | CLOCK, DELETER});
}

static void needs_each_rule(void **state)
{
    static const struct {
        const char *name;
        struct setting set;
    } table[] = {
#define WITHOUT(rule, ...)                                                                         \
    {                                                                                              \
#rule,                                                                                     \
        {                                                                                          \
            .rules = (RULES | CLOCK) & ~(unsigned)(rule), __VA_ARGS__                              \
        }                                                                                          \
    }
        WITHOUT(RULE_VERSION, SMALL, .has_timeouts = true),
        WITHOUT(RULE_EPOCH, SMALL, .is_set = false),
        WITHOUT(RULE_STOP | CLOCK, SMALL, .is_immortal = true),
        WITHOUT(RULE_LOAD, SMALL, .is_set = false),
        WITHOUT(RULE_READ, SMALL, .is_set = false),
        WITHOUT(RULE_ORDER | CLOCK, SMALL, .is_immortal = true),
        WITHOUT(RULE_INTENT, SMALL, .is_set = false),
        WITHOUT(RULE_HOLD, SMALL, .is_set = false),
        WITHOUT(RULE_UID, SMALL, .is_set = false),
        WITHOUT(RULE_LOOK, SMALL, .is_set = false),
        WITHOUT(RULE_PROMISE, SMALL, .is_set = false),
        WITHOUT(RULE_CONFIRM, SMALL, .is_set = false),
        WITHOUT(RULE_INHERIT, SMALL, .is_set = true),
        WITHOUT(RULE_KEEP, DELETER),
        WITHOUT(RULE_LABEL, SMALL, .has_labels = true),
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct search f;

        init(&f, &table[i].set);
        (void)search(&f);
        printf("# without %s: %s after %u steps, %u states\n", table[i].name,
               f.broken ? f.broken : "nothing", depth_of(&f, f.at), f.n);
        assert_non_null(f.broken);
        release(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_where_macvlanips_are_deleted),
        cmocka_unit_test(holds_with_auto_pods),
        cmocka_unit_test(holds_with_a_set),
        cmocka_unit_test(holds_with_a_set_and_a_fixed_pod),
        cmocka_unit_test(holds_with_labels),
        cmocka_unit_test(holds_without_a_clock),
        cmocka_unit_test(needs_each_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
