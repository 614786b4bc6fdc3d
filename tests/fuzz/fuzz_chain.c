/*
 * Other people's network configurations: any text is refused, or becomes a list that ends with our
 * plugin and stays the same when it is chained once more.
 */
#include "install.h"

#include "json.h"
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *once = NULL, *twice = NULL;
    auto_json cJSON *list = NULL;
    const cJSON *plugins;
    const char *type;

    if (install_chain((const char *)data, size, &once, NULL) < 0)
        return 0;
    if (install_chain(once, strlen(once), &twice, NULL) < 0 || strcmp(once, twice) != 0 ||
        json_parse(once, strlen(once), &list, NULL) < 0)
        abort();
    plugins = json_get_arr(list, "plugins");
    type = json_get_str(cJSON_GetArrayItem(plugins, cJSON_GetArraySize(plugins) - 1), "type");
    if (!type || strcmp(type, "static-macvlan-cni") != 0)
        abort();
    return 0;
}
