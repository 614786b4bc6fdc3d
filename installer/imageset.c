/* The image sets inside the program. */
#include "imageset.h"

#include <errno.h>
#include <string.h>

#define PLACEHOLDER "@VERSION@"

extern const char embed_list_default[], embed_list_default_end[];
extern const char embed_list_2019_original[], embed_list_2019_original_end[];
extern const char embed_list_current[], embed_list_current_end[];

static const struct imageset {
    const char *name;
    const char *list, *list_end;
} sets[] = {
    {IMAGESET_DEFAULT, embed_list_default, embed_list_default_end},
    {"2019-original", embed_list_2019_original, embed_list_2019_original_end},
    {"current", embed_list_current, embed_list_current_end},
};

#define N_SETS (sizeof(sets) / sizeof(sets[0]))

static const struct imageset *find_set(const char *name)
{
    for (size_t i = 0; i < N_SETS; i++)
        if (!strcmp(sets[i].name, name))
            return &sets[i];
    return NULL;
}

const char *const *imageset_names(void)
{
    static const char *const names[] = {IMAGESET_DEFAULT, "2019-original", "current", NULL};

    _Static_assert(sizeof(names) / sizeof(names[0]) == N_SETS + 1, "one name for each set");
    return names;
}

int imageset_text(const char *set, const char *version, struct buf *out, struct err **e)
{
    const struct imageset *s = find_set(set);
    const char *text, *mark; /* the list ends in the NUL behind it */

    if (!s)
        return err_set(e, -EINVAL, "there is no image set '%.100s': use one of %s, %s, %s", set,
                       sets[0].name, sets[1].name, sets[2].name);
    for (text = s->list; (mark = strstr(text, PLACEHOLDER)); text = mark + strlen(PLACEHOLDER)) {
        (void)buf_add(out, text, (size_t)(mark - text));
        (void)buf_addstr(out, version);
    }
    if (buf_add(out, text, (size_t)(s->list_end - text)) < 0)
        return err_set(e, -EFBIG, "the list of the image set '%s' does not fit", set);
    return 0;
}

bool imageset_is_ours(const struct ref *ref)
{
    static const char *const repos[] = {"flatnet/flatnet", "flatnet/static-macvlan-cni",
                                        "flatnet/network-controller"};

    for (size_t i = 0; i < sizeof(repos) / sizeof(repos[0]); i++)
        if (!strcmp(ref->host, "docker.io") && !strcmp(ref->repo, repos[i]))
            return true;
    return false;
}

bool imageset_is_server(const struct ref *ref)
{
    static const char *const repos[] = {"cnrancher/rancher", "rancher/rancher"};

    for (size_t i = 0; i < sizeof(repos) / sizeof(repos[0]); i++)
        if (!strcmp(ref->host, "docker.io") && !strcmp(ref->repo, repos[i]))
            return true;
    return false;
}
