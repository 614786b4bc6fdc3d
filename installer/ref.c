/*
 * Image references. The grammar is small and has no ambiguity once the host is split off, so each
 * part is scanned by hand; every scanner gets its part's exact bounds.
 */
#include "ref.h"

#include "mem.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_HOST "docker.io"
#define OLD_DEFAULT_HOST "index.docker.io"
#define OFFICIAL "library/"
#define DEFAULT_TAG "latest"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* A piece of the text under the parser's eyes; not terminated. */
struct part {
    const char *text;
    size_t len;
};

static bool part_is(struct part p, const char *word)
{
    return p.len == strlen(word) && !memcmp(p.text, word, p.len);
}

/* Length of the run of `set` at the start of p. */
static size_t run(struct part p, const char *set)
{
    size_t n = 0;

    while (n < p.len && strchr(set, p.text[n]))
        n++;
    return n;
}

static bool has_any(struct part p, const char *set)
{
    for (size_t i = 0; i < p.len; i++)
        if (strchr(set, p.text[i]))
            return true;
    return false;
}

static struct part skip(struct part p, size_t n)
{
    return (struct part){p.text + n, p.len - n};
}

/* domain-component: letters and digits, '-' between them. */
static bool host_label_is_valid(struct part p)
{
    return p.len && run(p, LOWER UPPER DIGITS "-") == p.len && p.text[0] != '-' &&
           p.text[p.len - 1] != '-';
}

static bool host_name_is_valid(struct part p)
{
    for (;;) {
        const char *dot = memchr(p.text, '.', p.len);
        struct part label = {p.text, dot ? (size_t)(dot - p.text) : p.len};

        if (!host_label_is_valid(label))
            return false;
        if (!dot)
            return true;
        p = skip(p, label.len + 1);
    }
}

/* host [':' port]; of an IPv6 address only the characters are checked, as in the original. */
static bool host_is_valid(struct part p)
{
    const char *colon;

    if (p.len && p.text[0] == '[') {
        size_t n = run(skip(p, 1), DIGITS "abcdefABCDEF:");

        if (!n || n + 2 > p.len || p.text[n + 1] != ']')
            return false;
        p = skip(p, n + 2);
        if (!p.len)
            return true;
        if (p.text[0] != ':')
            return false;
        colon = p.text;
    } else {
        colon = memchr(p.text, ':', p.len);
        if (!host_name_is_valid((struct part){p.text, colon ? (size_t)(colon - p.text) : p.len}))
            return false;
        if (!colon)
            return true;
    }
    p = skip(p, (size_t)(colon - p.text) + 1);
    return p.len && run(p, DIGITS) == p.len;
}

/* Length of the separator at the start of p: ".", "_", "__" or dashes; 0 for none. */
static size_t separator_len(struct part p)
{
    if (!p.len)
        return 0;
    if (p.text[0] == '.')
        return 1;
    if (p.text[0] == '_')
        return p.len > 1 && p.text[1] == '_' ? 2 : 1;
    return run(p, "-");
}

/* path-component ['/' path-component]* */
static bool repo_is_valid(struct part p)
{
    for (;;) {
        size_t n = run(p, LOWER DIGITS);

        if (!n)
            return false;
        p = skip(p, n);
        if (!p.len)
            return true;
        n = p.text[0] == '/' ? 1 : separator_len(p);
        if (!n)
            return false;
        p = skip(p, n);
    }
}

static bool tag_is_valid(struct part p)
{
    return p.len && p.len <= REF_TAG_MAX && !strchr(".-", p.text[0]) &&
           run(p, LOWER UPPER DIGITS "_.-") == p.len;
}

/* Splits off the host where the text before the first '/' is one; *repo gets the rest. */
static struct part split_host(struct part whole, struct part *repo)
{
    const char *slash = memchr(whole.text, '/', whole.len);
    struct part first = {whole.text, slash ? (size_t)(slash - whole.text) : 0};

    *repo = whole;
    if (!slash || !(part_is(first, "localhost") || has_any(first, ".:" UPPER)))
        return (struct part){DEFAULT_HOST, strlen(DEFAULT_HOST)};
    *repo = skip(whole, first.len + 1);
    if (part_is(first, OLD_DEFAULT_HOST))
        return (struct part){DEFAULT_HOST, strlen(DEFAULT_HOST)};
    return first;
}

static int refuse(const char *text, const char *why, struct err **e)
{
    return err_set(e, -EINVAL, "image reference '%.300s': %s", text, why);
}

/* What can be said of the text as a whole. */
static int check_text(const char *text, struct err **e)
{
    size_t len = strlen(text);

    if (!len)
        return err_set(e, -EINVAL, "image reference is empty");
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return err_set(e, -EINVAL,
                           "image reference holds the byte 0x%02x at position %zu, only printable "
                           "ASCII without blanks is allowed",
                           (unsigned char)text[i], i + 1);
    if (strstr(text, "://"))
        return refuse(text, "leave out the scheme in front of the host", e);
    if (len == HASH_HEX_LEN && strspn(text, DIGITS "abcdef") == len)
        return refuse(text, "64 hexadecimal digits are an image id, not a name", e);
    return 0;
}

static const char *repo_fault(struct part host, struct part repo, bool official)
{
    if (has_any(repo, UPPER))
        return "repository name must be lowercase";
    if (!repo.len)
        return "repository name is missing";
    if (!host_is_valid(host))
        return "the part before the first '/' is not a valid host";
    if (!repo_is_valid(repo))
        return "repository name may hold a-z, 0-9 and '/', with '.', '_', '__' or dashes between "
               "letters or digits";
    if (repo.len + (official ? strlen(OFFICIAL) : 0) > REF_REPO_MAX)
        return "repository name is longer than 255 characters";
    return NULL;
}

static const char *suffix_fault(const struct part *tag, const char *digest)
{
    if (tag->text && !tag_is_valid(*tag))
        return "tag must be 1 to 128 letters, digits, '_', '.' or '-', not starting with '.' or "
               "'-'";
    if (digest && !digest_is_valid(digest))
        return "digest must be 'sha256:' and 64 lower case hexadecimal digits";
    return NULL;
}

int ref_parse(const char *text, struct ref *out, struct err **e)
{
    struct part host, repo, rest, tag = {NULL, 0};
    const char *digest, *fault;
    bool official;
    int r = check_text(text, e);

    if (r < 0)
        return r;
    host = split_host((struct part){text, strlen(text)}, &rest);
    repo = (struct part){rest.text, strcspn(rest.text, ":@")};
    digest = strchr(repo.text + repo.len, '@');
    rest.len = digest ? (size_t)(digest - rest.text) : rest.len;
    if (digest)
        digest++;
    if (repo.len < rest.len)
        tag = skip(rest, repo.len + 1);
    official = part_is(host, DEFAULT_HOST) && !has_any(repo, "/");
    fault = repo_fault(host, repo, official);
    if (!fault)
        fault = suffix_fault(&tag, digest);
    if (fault)
        return refuse(text, fault, e);
    *out = (struct ref){
        .host = xstrndup(host.text, host.len),
        .repo = xasprintf("%s%.*s", official ? OFFICIAL : "", (int)repo.len, repo.text),
        .tag = tag.text ? xstrndup(tag.text, tag.len)
               : digest ? NULL
                        : xstrdup(DEFAULT_TAG),
        .digest = xstrdup(digest),
        .tag_is_default = !tag.text && !digest,
    };
    return 0;
}

void ref_release(struct ref *r)
{
    mem_free_ptr(&r->host);
    mem_free_ptr(&r->repo);
    mem_free_ptr(&r->tag);
    mem_free_ptr(&r->digest);
    *r = (struct ref){.host = NULL};
}

char *ref_format(const struct ref *r)
{
    return xasprintf("%s/%s%s%s%s%s", r->host, r->repo, r->tag ? ":" : "", r->tag ? r->tag : "",
                     r->digest ? "@" : "", r->digest ? r->digest : "");
}

const char *ref_selector(const struct ref *r)
{
    return r->digest ? r->digest : r->tag;
}
