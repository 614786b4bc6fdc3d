/* Versions of the CNI specification. */
#include "cni_version.h"

#include "json.h"

#include <errno.h>
#include <string.h>

static const char *const texts[] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

#define COUNT (sizeof(texts) / sizeof(*texts))

/* An absent version is 0.1.0: pkg/version of the reference library. */
int cni_version_parse(const char *text, enum cni_version *out, struct err **e)
{
    if (!text || !*text)
        return err_set(e, -EPROTONOSUPPORT,
                       "the configuration has no cniVersion, which means 0.1.0; supported are %s",
                       cni_version_list());
    for (size_t i = 0; i < COUNT; i++) {
        if (strcmp(text, texts[i]) == 0) {
            *out = (enum cni_version)i;
            return 0;
        }
    }
    return err_set(e, -EPROTONOSUPPORT,
                   "cniVersion '%.40s' of the configuration is not supported; supported are %s",
                   text, cni_version_list());
}

const char *cni_version_text(enum cni_version version)
{
    return texts[version];
}

char *cni_version_answer(void)
{
    auto_json cJSON *answer = cJSON_CreateObject();
    cJSON *list;

    json_add_str(answer, "cniVersion", texts[CNI_NEWEST]);
    list = cJSON_AddArrayToObject(answer, "supportedVersions");
    for (size_t i = 0; i < COUNT; i++)
        (void)cJSON_AddItemToArray(list, cJSON_CreateString(texts[i]));
    return json_print(answer);
}

const char *cni_version_list(void)
{
    return "0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0";
}
