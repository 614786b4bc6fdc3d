/* Any answer about the controller and its events says nothing, or a sentence of bounded length. */
#include "json.h"
#include "mem.h"
#include "pod_cause.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text)
{
    if (text && (!*text || strlen(text) > 1000))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json cJSON *tree = NULL;
    auto_free char *lock = NULL, *events = NULL;

    if (json_parse((const char *)data, size, &tree, NULL) < 0)
        return 0;
    lock = pod_cause_of_lock(tree);
    events = pod_cause_of_events(tree);
    check(lock);
    check(events);
    return 0;
}
