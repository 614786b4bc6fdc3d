/* A search over sets of flags, shortest first. What each flag by itself finds on each host is known
 * beforehand, so that a set is judged by looking at a table. */
#include "host_flags.h"

#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANDIDATES_MAX 200

enum finding { FINDS_NOTHING, FINDS_WRONG, FINDS_RIGHT };

struct candidate {
    char *value;
    bool is_regex;
    unsigned char *finds; /* enum finding, for each host */
};

struct search {
    const struct flags_host *hosts;
    size_t n_hosts;
    bool all_addrs;
    struct candidate *candidates;
    size_t n_candidates;
    size_t best[FLAGS_MAX], best_count, best_len;
};

static enum finding finding_on(const struct flags_host *host, const struct candidate *c,
                               const struct goregex *g, bool all_addrs)
{
    uint8_t addr[NET_ADDR_BYTES];
    const struct net_link *link = g ? flannel_match_regex(host->net, g, all_addrs, addr)
                                    : flannel_match_iface(host->net, c->value, addr);

    if (!link)
        return FINDS_NOTHING;
    return strcmp(link->name, host->wanted) ? FINDS_WRONG : FINDS_RIGHT;
}

/* Takes `value` over. */
static int add_candidate(struct search *s, char *value, bool is_regex, struct err **e)
{
    struct candidate c = {.value = value, .is_regex = is_regex};
    auto_goregex struct goregex *g = NULL;
    bool is_useful = false;

    for (size_t i = 0; i < s->n_candidates; i++)
        if (!strcmp(s->candidates[i].value, value) && s->candidates[i].is_regex == is_regex)
            goto drop;
    if (s->n_candidates >= CANDIDATES_MAX || (is_regex && goregex_new(value, &g, e) < 0))
        goto drop;
    c.finds = xcalloc(s->n_hosts, 1);
    for (size_t i = 0; i < s->n_hosts; i++) {
        c.finds[i] = (unsigned char)finding_on(&s->hosts[i], &c, g, s->all_addrs);
        is_useful = is_useful || c.finds[i] == FINDS_RIGHT;
    }
    if (!is_useful)
        goto drop;
    array_grow(s->candidates, s->n_candidates);
    s->candidates[s->n_candidates++] = c;
    return 0;
drop:
    free(c.finds);
    free(value);
    return e && *e ? -EINVAL : 0;
}

/* "ens192" as "^ens": what comes before the last number. */
static int add_stem(struct search *s, const char *name, struct err **e)
{
    size_t len = strlen(name);

    while (len && isdigit((unsigned char)name[len - 1]))
        len--;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
            return 0;
    return len ? add_candidate(s, xasprintf("^%.*s", (int)len, name), true, e) : 0;
}

/* "10.1.2.3" as "^10\.", "^10\.1\.", "^10\.1\.2\.". */
static int add_prefixes(struct search *s, const uint8_t *a, struct err **e)
{
    int r = add_candidate(s, xasprintf("^%d\\.", a[0]), true, e);

    if (r == 0)
        r = add_candidate(s, xasprintf("^%d\\.%d\\.", a[0], a[1]), true, e);
    if (r == 0)
        r = add_candidate(s, xasprintf("^%d\\.%d\\.%d\\.", a[0], a[1], a[2]), true, e);
    return r;
}

static int collect(struct search *s, struct err **e)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < s->n_hosts; i++)
        r = add_candidate(s, xstrdup(s->hosts[i].wanted), false, e);
    for (size_t i = 0; r == 0 && i < s->n_hosts; i++) {
        const struct flags_host *host = &s->hosts[i];
        const struct net_link *link = net_link_named(host->net, host->wanted);
        uint8_t addr[NET_ADDR_BYTES];

        if (!link)
            return err_set(e, -EINVAL, "host '%s' has no interface '%s'", host->name, host->wanted);
        r = add_stem(s, host->wanted, e);
        if (r == 0 && flannel_addr_of(host->net, link, addr) == 0)
            r = add_prefixes(s, addr, e);
    }
    return r;
}

/* flannel takes all --iface before any --iface-regex; a set has its members in that order. */
static bool set_is_right(const struct search *s, const size_t *set, size_t count)
{
    for (size_t host = 0; host < s->n_hosts; host++) {
        unsigned char found = FINDS_NOTHING;

        for (size_t i = 0; i < count && found == FINDS_NOTHING; i++)
            found = s->candidates[set[i]].finds[host];
        if (found != FINDS_RIGHT)
            return false;
    }
    return true;
}

static size_t text_len(const struct search *s, const size_t *set, size_t count)
{
    size_t len = 0;

    for (size_t i = 0; i < count; i++)
        len += strlen(s->candidates[set[i]].value) + (s->candidates[set[i]].is_regex ? 14 : 8);
    return len;
}

/* All sets of `size` members, in every order that flannel could be given. */
static void try_sets(struct search *s, size_t *set, size_t count, size_t size)
{
    if (count == size) {
        size_t len = text_len(s, set, count);

        if ((!s->best_count || len < s->best_len) && set_is_right(s, set, count)) {
            memcpy(s->best, set, count * sizeof(*set));
            s->best_count = count;
            s->best_len = len;
        }
        return;
    }
    for (size_t i = 0; i < s->n_candidates; i++) {
        if (count && s->candidates[set[count - 1]].is_regex && !s->candidates[i].is_regex)
            continue;
        set[count] = i;
        try_sets(s, set, count + 1, size);
    }
}

static bool default_is_right(const struct search *s)
{
    for (size_t i = 0; i < s->n_hosts; i++) {
        const struct net_link *link;
        uint8_t addr[NET_ADDR_BYTES];

        if (flannel_match_default(s->hosts[i].net, &link, addr, NULL) < 0 ||
            strcmp(link->name, s->hosts[i].wanted) != 0)
            return false;
    }
    return true;
}

static void give_answer(const struct search *s, struct flags_answer *out)
{
    *out = (struct flags_answer){.count = s->best_count};
    for (size_t i = 0; i < s->best_count; i++) {
        const struct candidate *c = &s->candidates[s->best[i]];

        out->flags[i] = xasprintf("--iface%s=%s", c->is_regex ? "-regex" : "", c->value);
    }
}

int flags_find(const struct flags_host *hosts, size_t n_hosts, bool all_addrs,
               struct flags_answer *out, struct err **e)
{
    struct search s = {.hosts = hosts, .n_hosts = n_hosts, .all_addrs = all_addrs};
    size_t set[FLAGS_MAX];
    bool is_default = default_is_right(&s);
    int r = is_default ? 0 : collect(&s, e);

    for (size_t size = 1; r == 0 && !is_default && !s.best_count && size <= FLAGS_MAX; size++)
        try_sets(&s, set, 0, size);
    if (r == 0) {
        give_answer(&s, out);
        r = is_default || s.best_count;
    }
    for (size_t i = 0; i < s.n_candidates; i++) {
        free(s.candidates[i].value);
        free(s.candidates[i].finds);
    }
    free(s.candidates);
    return r;
}

void flags_answer_release(struct flags_answer *a)
{
    for (size_t i = 0; i < a->count; i++)
        free(a->flags[i]);
    *a = (struct flags_answer){.count = 0};
}
