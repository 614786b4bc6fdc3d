/* flatnet host iface --from-hosts: the flags that are right on all of several hosts. */
#include "cmd_host.h"

#include "fs.h"
#include "host_flags.h"
#include "host_netjson.h"
#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOSTS_FILE_MAX (64u << 20)

struct hosts {
    cJSON *tree;
    struct net_state *nets;
    struct flags_host *hosts;
    size_t count;
};

static int read_host(const cJSON *obj, struct hosts *h, struct err **e)
{
    const char *name = json_get_str(obj, "hostname"), *wanted = json_get_str(obj, "wanted");
    struct net_state net;
    int r;

    if (!name)
        return err_set(e, -EBADMSG, "host %zu has no hostname", h->count + 1);
    if (!wanted)
        return err_set(e, -EINVAL,
                       "host '%s' does not say which interface it shall be; run 'flatnet host "
                       "iface' there with --peer or --want",
                       name);
    r = netjson_read(obj, &net, e);
    if (r < 0)
        return err_wrap(e, "host '%s'", name);
    if (!net_link_named(&net, wanted)) {
        net_state_release(&net);
        return err_set(e, -EBADMSG, "host '%s' has no interface '%s'", name, wanted);
    }
    array_grow(h->nets, h->count);
    array_grow(h->hosts, h->count);
    h->nets[h->count] = net;
    h->hosts[h->count] = (struct flags_host){.name = name, .wanted = wanted};
    h->count++;
    return 0;
}

static int read_hosts(const char *path, struct hosts *h, struct err **e)
{
    auto_buf struct buf text;
    const cJSON *item;
    int r;

    buf_init(&text, HOSTS_FILE_MAX);
    r = fs_read_file(path, &text, e);
    if (r == 0)
        r = json_parse(text.data, text.len, &h->tree, e);
    if (r < 0)
        return err_wrap(e, "'%s'", path);
    if (!cJSON_IsArray(h->tree) || !cJSON_GetArraySize(h->tree))
        return err_set(e, -EBADMSG, "'%s' is no JSON array of hosts (jq -s . FILE...)", path);
    cJSON_ArrayForEach(item, h->tree)
    {
        if (r == 0)
            r = read_host(item, h, e);
    }
    for (size_t i = 0; i < h->count; i++)
        h->hosts[i].net = &h->nets[i];
    return r < 0 ? err_wrap(e, "'%s'", path) : 0;
}

static void print_answer(const struct hosts *h, const struct flags_answer *a, bool found)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;
    cJSON *list;

    if (!cli_common.json) {
        if (!found)
            (void)printf("no set of %d flags is right on all %zu hosts\n", FLAGS_MAX, h->count);
        else if (!a->count)
            (void)printf("no flag is needed: flannel takes the right interface on all %zu hosts\n",
                         h->count);
        for (size_t i = 0; i < a->count; i++)
            (void)printf("- %s\n", a->flags[i]);
        return;
    }
    json_add_int(root, "schemaVersion", 1);
    json_add_int(root, "hosts", (int64_t)h->count);
    (void)cJSON_AddBoolToObject(root, "found", found);
    list = cJSON_AddArrayToObject(root, "flags");
    for (size_t i = 0; i < a->count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(a->flags[i]));
    text = json_print(root);
    (void)printf("%s\n", text);
}

int cmd_host_flags(const char *path, bool all_addrs, struct err **e)
{
    struct flags_answer answer = {.count = 0};
    struct hosts h = {.tree = NULL};
    int r = read_hosts(path, &h, e);

    if (r == 0)
        r = flags_find(h.hosts, h.count, all_addrs, &answer, e);
    if (r >= 0) {
        print_answer(&h, &answer, r);
        r = r ? EXIT_OK : EXIT_CHECKS;
    }
    flags_answer_release(&answer);
    for (size_t i = 0; i < h.count; i++)
        net_state_release(&h.nets[i]);
    free(h.nets);
    free(h.hosts);
    cJSON_Delete(h.tree);
    return r;
}
