/* Challenges, tokens and their cache. */
#include "auth.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PARAM_MAX 4096
#define TOKEN_MAX (64u << 10)
#define DEFAULT_LIFE_S 60
#define MAX_LIFE_S (24 * 60 * 60)
#define QUOTE_MAX 300

struct parser {
    const char *text;
    const char *p;
    struct auth_challenges *out;
    struct err **e;
};

static bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static int bad(const struct parser *s, const char *what)
{
    return err_set(s->e, -EPROTO, "WWW-Authenticate header: %s at byte %zu", what,
                   (size_t)(s->p - s->text));
}

static void skip_blanks(struct parser *s)
{
    while (is_blank(*s->p))
        s->p++;
}

/* Stands behind the opening quote; writes the unescaped text. */
static int read_quoted(struct parser *s, char value[PARAM_MAX])
{
    size_t len = 0;

    for (; *s->p != '"'; s->p++) {
        if (*s->p == '\\' && s->p[1])
            s->p++;
        if (!*s->p)
            return bad(s, "a quote is not closed");
        if (((unsigned char)*s->p < 0x20 && *s->p != '\t') || *s->p == 0x7f)
            return bad(s, "a control character stands");
        if (len + 1 >= PARAM_MAX)
            return bad(s, "a value is too long");
        value[len++] = *s->p;
    }
    s->p++;
    value[len] = '\0';
    return 0;
}

/* Without quotes only a token is right, but some registries write URLs that way. */
static int read_bare(struct parser *s, char value[PARAM_MAX])
{
    size_t len = strcspn(s->p, ", \t");

    if (len >= PARAM_MAX)
        return bad(s, "a value is too long");
    for (size_t i = 0; i < len; i++, s->p++) {
        if ((unsigned char)*s->p < 0x20 || *s->p == 0x7f)
            return bad(s, "a control character stands");
        value[i] = *s->p;
    }
    value[len] = '\0';
    return 0;
}

static void store_param(struct auth_challenge *c, const char *name, size_t len, const char *value)
{
    struct {
        const char *name;
        char **slot;
    } known[] = {{"realm", &c->realm}, {"service", &c->service}, {"scope", &c->scope}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strlen(known[i].name) != len || strncasecmp(known[i].name, name, len))
            continue;
        if (!*known[i].slot)
            *known[i].slot = xstrdup(value);
    }
}

/* Stands on the '=' behind a name. */
static int read_param(struct parser *s, const char *name, size_t len)
{
    auto_free char *value = xmalloc(PARAM_MAX);
    int r;

    if (!s->out->count)
        return bad(s, "a parameter without a scheme");
    s->p++;
    skip_blanks(s);
    if (*s->p == '"') {
        s->p++;
        r = read_quoted(s, value);
    } else {
        r = read_bare(s, value);
    }
    if (r == 0)
        store_param(&s->out->items[s->out->count - 1], name, len, value);
    return r;
}

/* Some schemes carry one blob ("Negotiate abc==") instead of parameters. */
static void skip_token68(struct parser *s)
{
    const char *p = s->p;

    while (is_token_char(*p) || *p == '/')
        p++;
    while (*p == '=')
        p++;
    while (is_blank(*p))
        p++;
    if (*p == ',' || !*p)
        s->p = p;
}

static int read_scheme(struct parser *s, const char *name, size_t len)
{
    struct auth_challenge *c;

    if (s->out->count == AUTH_MAX_CHALLENGES)
        return bad(s, "too many challenges");
    c = &s->out->items[s->out->count++];
    *c = (struct auth_challenge){.scheme = AUTH_OTHER};
    if (len == 5 && !strncasecmp(name, "Basic", len))
        c->scheme = AUTH_BASIC;
    else if (len == 6 && !strncasecmp(name, "Bearer", len))
        c->scheme = AUTH_BEARER;
    if (is_blank(name[len]))
        skip_token68(s);
    return 0;
}

int auth_parse(const char *value, struct auth_challenges *out, struct err **e)
{
    struct parser s = {.text = value, .p = value, .out = out, .e = e};

    if (strlen(value) > AUTH_MAX_HEADER)
        return err_set(e, -EPROTO, "WWW-Authenticate header is above %u KiB",
                       AUTH_MAX_HEADER >> 10);
    for (;;) {
        const char *name;
        size_t len;
        int r;

        s.p += strspn(s.p, " \t,");
        if (!*s.p)
            return 0;
        name = s.p;
        while (is_token_char(*s.p))
            s.p++;
        len = (size_t)(s.p - name);
        if (!len)
            return bad(&s, "an unexpected character stands");
        skip_blanks(&s);
        r = *s.p == '=' ? read_param(&s, name, len) : read_scheme(&s, name, len);
        if (r < 0)
            return r;
    }
}

void auth_challenges_release(struct auth_challenges *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->items[i].realm);
        free(c->items[i].service);
        free(c->items[i].scope);
    }
    c->count = 0;
}

const struct auth_challenge *auth_choose(const struct auth_challenges *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->items[i].scheme == AUTH_BEARER && c->items[i].realm)
            return &c->items[i];
    for (size_t i = 0; i < c->count; i++)
        if (c->items[i].scheme == AUTH_BASIC)
            return &c->items[i];
    return NULL;
}

/* --- tokens --- */

static bool is_visible_ascii(const char *text)
{
    for (; *text; text++)
        if (*text <= 0x20 || *text >= 0x7f)
            return false;
    return true;
}

int auth_parse_token(const char *text, size_t len, char **out_token, int64_t *out_life_ms,
                     struct err **e)
{
    auto_json cJSON *tree = NULL;
    const char *token;
    int64_t life_s = DEFAULT_LIFE_S;

    if (json_parse(text, len, &tree, NULL) < 0)
        return err_set(e, -EPROTO, "the answer is no JSON");
    token = json_get_str(tree, "token");
    if (!token || !*token)
        token = json_get_str(tree, "access_token");
    if (!token || !*token)
        return err_set(e, -EPROTO, "the answer holds no token");
    if (strlen(token) > TOKEN_MAX || !is_visible_ascii(token))
        return err_set(e, -EPROTO, "the answer holds a token that cannot be sent");
    if (json_get_size(tree, "expires_in", &life_s) < 0 || life_s == 0)
        life_s = DEFAULT_LIFE_S;
    *out_life_ms = (life_s < MAX_LIFE_S ? life_s : MAX_LIFE_S) * 1000;
    *out_token = xstrdup(token);
    return 0;
}

/* The part of a scope before its actions. */
static size_t resource_len(const char *scope, size_t len)
{
    while (len && scope[len - 1] != ':')
        len--;
    return len;
}

/* True if the list "a,b,c" has that member. */
static bool has_action(const char *list, size_t list_len, const char *action, size_t len)
{
    const char *end = list + list_len;

    for (const char *p = list, *next; p < end; p = next) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        size_t n = (size_t)((comma ? comma : end) - p);

        if (n == len && !memcmp(p, action, len))
            return true;
        next = p + n + 1;
    }
    return false;
}

/* True if one scope `have` grants all that the scope `wanted` of `len` bytes asks for. */
static bool covers(const char *have, size_t have_len, const char *wanted, size_t len)
{
    size_t resource = resource_len(wanted, len);
    const char *end = wanted + len;

    if (resource != resource_len(have, have_len) || memcmp(have, wanted, resource))
        return false;
    for (const char *p = wanted + resource, *next; p < end; p = next) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        size_t n = (size_t)((comma ? comma : end) - p);

        if (!has_action(have + resource, have_len - resource, p, n))
            return false;
        next = p + n + 1;
    }
    return true;
}

char *auth_join_scopes(const char *have, const char *wanted)
{
    char *joined = xstrdup(have);

    for (const char *w = wanted ? wanted : ""; *w;) {
        size_t len = strcspn(w, " ");
        bool covered = len == 0;

        for (const char *h = have; *h && !covered;) {
            size_t have_len = strcspn(h, " ");
            covered = covers(h, have_len, w, len);
            h += have_len + strspn(h + have_len, " ");
        }
        if (!covered) {
            char *longer = xasprintf("%s%s%.*s", joined, *joined ? " " : "", (int)len, w);
            free(joined);
            joined = longer;
        }
        w += len + strspn(w + len, " ");
    }
    return joined;
}

char *auth_basic(const char *username, const char *password)
{
    auto_free char *plain = xasprintf("%s:%s", username, password);
    size_t len = strlen(plain);
    auto_free char *encoded = xmalloc((len + 2) / 3 * 4 + 1);

    (void)EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)plain, (int)len);
    return xasprintf("Basic %s", encoded);
}

/* Control characters, also those of C1 (U+0080 to U+009F, which begin with 0xc2 in UTF-8). */
static bool is_control(const char *text, size_t at)
{
    unsigned char c = (unsigned char)text[at];
    unsigned char before = at ? (unsigned char)text[at - 1] : 0;

    return c < 0x20 || c == 0x7f || (before == 0xc2 && c < 0xa0);
}

char *auth_clean_text(const char *text, size_t len)
{
    char *clean;

    while (len && (unsigned char)*text <= ' ') {
        text++;
        len--;
    }
    if (len > QUOTE_MAX)
        for (len = QUOTE_MAX; len && ((unsigned char)text[len] & 0xc0) == 0x80;)
            len--;
    while (len && (unsigned char)text[len - 1] <= ' ')
        len--;
    clean = xcalloc(len + 1, 1);
    for (size_t i = 0; i < len; i++)
        clean[i] = is_control(text, i) ? '?' : text[i];
    return clean;
}

/* --- cache --- */

struct node {
    struct auth_entry entry; /* first, so that the entry leads back to its node */
    pthread_mutex_t lock;
    char *key;
    struct node *next;
};

struct auth_cache {
    pthread_mutex_t lock; /* of the list, not of the entries */
    struct node *first;
};

struct auth_cache *auth_cache_new(void)
{
    struct auth_cache *c = xcalloc(1, sizeof(*c));

    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void auth_cache_free(struct auth_cache *c)
{
    if (!c)
        return;
    for (struct node *n = c->first, *next; n; n = next) {
        next = n->next;
        pthread_mutex_destroy(&n->lock);
        free(n->entry.authorization);
        free(n->key);
        free(n);
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static struct node *find_or_add(struct auth_cache *c, const char *key)
{
    struct node *n;

    for (n = c->first; n; n = n->next)
        if (!strcmp(n->key, key))
            return n;
    n = xcalloc(1, sizeof(*n));
    pthread_mutex_init(&n->lock, NULL);
    n->key = xstrdup(key);
    n->next = c->first;
    c->first = n;
    return n;
}

struct auth_entry *auth_cache_lock(struct auth_cache *c, const char *key)
{
    struct node *n;

    pthread_mutex_lock(&c->lock);
    n = find_or_add(c, key);
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_lock(&n->lock);
    return &n->entry;
}

void auth_cache_unlock(struct auth_entry *entry)
{
    struct node *n = (struct node *)entry;

    pthread_mutex_unlock(&n->lock);
}
