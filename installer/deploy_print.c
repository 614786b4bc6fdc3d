/* What the verbs print of each object. */
#include "deploy.h"

#include "json.h"
#include "mem.h"

#include <stdio.h>

void deploy_print_item(const char *what, const struct deploy_name *n, const char *note)
{
    auto_free char *name = deploy_name_text(n);

    (void)printf("%-10s  %s%s%s%s\n", what, name, note ? " (" : "", note ? note : "",
                 note ? ")" : "");
    (void)fflush(stdout);
}

void deploy_add_json(cJSON *list, const char *what, const struct deploy_name *n, const char *note)
{
    cJSON *item = cJSON_CreateObject();

    json_add_str(item, "kind", n->kind->kind);
    json_add_str(item, "namespace", *n->ns ? n->ns : NULL);
    json_add_str(item, "name", n->name);
    json_add_str(item, "result", what);
    json_add_str(item, "note", note);
    cJSON_AddItemToArray(list, item);
}
