/* Finds our own images by the place of the program, so that a tree can be moved as a whole. */
#include "own_images.h"

#include "bundle_index.h"
#include "mem.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *own_images_folder(void)
{
    static const char *const places[] = {"images", "share/flatnet/images"};
    char program[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);

    if (len <= 0)
        return NULL;
    program[len] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(program, '/');
        if (!slash)
            return NULL;
        *slash = '\0';
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        auto_free char *folder = xasprintf("%s/%s", program, places[i]);
        auto_free char *layout = xasprintf("%s/" BUNDLE_LAYOUT_PATH, folder);

        if (access(layout, R_OK) == 0)
            return take(folder);
    }
    return NULL;
}
