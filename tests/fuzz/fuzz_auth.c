/*
 * What a registry says about authorisation: lines of WWW-Authenticate headers, a blank line, the
 * answer of a token server. Whatever is taken from it can be put into a request.
 */
#include "auth.h"
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    for (; text && *text; text++)
        if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
            abort();
}

static void read_headers(char *lines)
{
    auto_challenges struct auth_challenges all = {.count = 0};
    const struct auth_challenge *chosen;

    for (char *line = lines, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        (void)auth_parse(line, &all, NULL);
    }
    for (size_t i = 0; i < all.count; i++) {
        auto_free char *scopes = auth_join_scopes("repository:a/b:pull", all.items[i].scope);
        auto_free char *twice = auth_join_scopes(scopes, all.items[i].scope);

        check_text(all.items[i].realm);
        check_text(all.items[i].service);
        check_text(all.items[i].scope);
        if (strcmp(scopes, twice))
            abort();
    }
    chosen = auth_choose(&all);
    if (chosen &&
        (chosen->scheme == AUTH_OTHER || (chosen->scheme == AUTH_BEARER && !chosen->realm)))
        abort();
}

static void read_token(const char *text, size_t len)
{
    auto_free char *token = NULL;
    auto_free char *quote = auth_clean_text(text, len);
    int64_t life_ms = 0;

    check_text(quote);
    if (auth_parse_token(text, len, &token, &life_ms, NULL) < 0)
        return;
    if (!*token || life_ms <= 0 || strpbrk(token, " \r\n"))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = xstrndup((const char *)data, size);
    char *blank = strstr(text, "\n\n");

    if (blank) {
        *blank = '\0';
        read_token(blank + 2, strlen(blank + 2));
    }
    read_headers(text);
    return 0;
}
