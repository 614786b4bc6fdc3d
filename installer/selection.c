/* Choosing images by pattern and platforms by host. */
#include "selection.h"

#include "cli.h"
#include "mem.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

const char *selection_familiar(const char *reference)
{
    static const char *const prefixes[] = {"docker.io/library/", "docker.io/"};

    for (size_t i = 0; i < 2; i++)
        if (!strncmp(reference, prefixes[i], strlen(prefixes[i])))
            return reference + strlen(prefixes[i]);
    return reference;
}

static bool matches(const char *pattern, const char *reference)
{
    return fnmatch(pattern, reference, 0) == 0 ||
           fnmatch(pattern, selection_familiar(reference), 0) == 0;
}

bool selection_matches(const char *const *patterns, const char *reference)
{
    if (!patterns || !*patterns)
        return true;
    for (; *patterns; patterns++)
        if (matches(*patterns, reference))
            return true;
    return false;
}

static int no_match(const struct bundle_index *index, const char *pattern, struct err **e)
{
    auto_free const char **names = xcalloc(index->n_images + 1, sizeof(*names));
    const char *nearest;

    for (size_t i = 0; i < index->n_images; i++)
        names[i] = selection_familiar(index->images[i].reference);
    nearest = cli_nearest(pattern, names);
    if (nearest)
        return err_set(e, -EINVAL, "no image of the bundle matches '%s'; did you mean '%s'?",
                       pattern, nearest);
    return err_set(e, -EINVAL,
                   "no image of the bundle matches '%s'; 'flatnet bundle ls' lists them", pattern);
}

int selection_match(const struct bundle_index *index, const char *const *patterns,
                    bool **out_chosen, struct err **e)
{
    auto_free bool *chosen = xcalloc(index->n_images, sizeof(*chosen));

    for (size_t i = 0; i < index->n_images; i++)
        chosen[i] = selection_matches(patterns, index->images[i].reference);
    for (; patterns && *patterns; patterns++) {
        bool found = false;

        for (size_t i = 0; i < index->n_images && !found; i++)
            found = matches(*patterns, index->images[i].reference);
        if (!found)
            return no_match(index, *patterns, e);
    }
    *out_chosen = take(chosen);
    return 0;
}

static bool is_equal(const struct platform *a, const struct platform *b)
{
    return !strcmp(a->os, b->os) && !strcmp(a->arch, b->arch) && !strcmp(a->variant, b->variant);
}

const struct bundle_platform *selection_platform(const struct bundle_image *image,
                                                 const struct platform *wanted)
{
    for (size_t i = 0; i < image->n_platforms; i++)
        if (is_equal(wanted, &image->platforms[i].platform))
            return &image->platforms[i];
    for (size_t i = 0; i < image->n_platforms; i++)
        if (platform_matches(wanted, &image->platforms[i].platform))
            return &image->platforms[i];
    return NULL;
}

char *selection_platforms(const struct bundle_image *image)
{
    struct buf text;
    char one[PLATFORM_TEXT];

    buf_init(&text, 64 * 1024);
    for (size_t i = 0; i < image->n_platforms; i++)
        (void)buf_addf(&text, "%s%s", i ? ", " : "",
                       platform_format(&image->platforms[i].platform, one));
    return buf_steal(&text);
}
