/* The checks that keep Go's decoder and cJSON of one mind. */
#include "jsonstrict.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

int json_check_members(const cJSON *obj, const char *const *names, struct err **e)
{
    const cJSON *item;
    unsigned seen = 0;

    if (!cJSON_IsObject(obj))
        return 0;
    cJSON_ArrayForEach(item, obj)
    {
        for (unsigned i = 0; names[i]; i++) {
            if (strcasecmp(item->string, names[i]))
                continue;
            if (strcmp(item->string, names[i]) || (seen & (1u << i)))
                return err_set(e, -EBADMSG, "the member '%s' is there twice or in another case",
                               names[i]);
            seen |= 1u << i;
        }
    }
    return 0;
}

int json_get_text(const cJSON *obj, const char *name, const char **out_text, struct err **e)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(obj, name);

    if (item && !cJSON_IsString(item) && !cJSON_IsNull(item))
        return err_set(e, -EBADMSG, "the member '%s' is not a string", name);
    *out_text = cJSON_IsString(item) ? item->valuestring : "";
    return 0;
}
