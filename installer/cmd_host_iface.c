/* flatnet host iface: which NIC flannel takes, which one reaches the peers, and the flags that make
 * the two agree. */
#include "cmd_host.h"

#include "host_file.h"
#include "host_iface.h"
#include "host_netjson.h"
#include "mem.h"
#include "table.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define ALL_ADDRS_SINCE 20 /* flannel 0.20 */

static struct cli_list peers, ifaces, patterns;
static const char *from_hosts, *want, *version = "0.10.0";

static const struct cli_option table[] = {
    {"peer", 'p', CLI_LIST, "ADDR", &peers, "an IPv4 address of another node (several times)"},
    {"want", 0, CLI_STRING, "IF", &want, "the NIC it shall be (default: that to the peers)"},
    {"iface", 0, CLI_LIST, "IF|ADDR", &ifaces, "choose as flannel does with this flag"},
    {"iface-regex", 0, CLI_LIST, "REGEX", &patterns, "choose as flannel does with this flag"},
    {"flannel", 0, CLI_STRING, "VERSION", &version, "flannel's version (0.10.0)"},
    {"from-hosts", 0, CLI_STRING, "FILE", &from_hosts,
     "find the flags that are right on all hosts in FILE, a JSON array of what this command prints "
     "with --format json on each"},
    {0},
};

static const struct cli_verb verb = {
    .path = "host iface",
    .args = "[--peer ADDR]... [--flannel VERSION]",
    .summary = "say which interface flannel takes, and how to make it the right one",
    .text =
        "Regular expressions are Go's, as flannel has them, and match anywhere in a name or\n"
        "address: 'eth1' is found in 'eth10' too. They know \\d, \\w, (?:...) and (?i); what this\n"
        "program does not know of them it refuses.\n\n"
        "Exit status: 0 flannel takes the right one (or --from-hosts has an answer), 3 it does "
        "not.",
    .options = table,
};

struct peer {
    const char *text;
    struct net_path path;
    const struct net_link *link; /* NULL: no route */
};

struct view {
    struct net_state net;
    struct goregex **regexes;
    struct flannel_flags flags;
    struct flannel_choice choice; /* link is NULL where there is none, then: */
    struct err *why;
    struct peer *peers;
    const char *wanted; /* NULL: peers are reached by several, or there are none and no choice */
    bool agrees;
    char name_flag[64];
    char regex_flag[96]; /* "" where none is right */
};

/* --- gathering --- */

/* "0.10.0", "v0.22.1": the middle number tells what we must know. */
static int read_version(bool *out_all_addrs, struct err **e)
{
    const char *p = version + (*version == 'v');
    char *end;
    long major = strtol(p, &end, 10), minor;

    if (end == p || *end != '.' || major < 0)
        return err_set(e, -EINVAL, "'--flannel' takes a version like 0.10.0, not '%s'", version);
    p = end + 1;
    minor = strtol(p, &end, 10);
    if (end == p || (*end && *end != '.' && *end != '-') || minor < 0)
        return err_set(e, -EINVAL, "'--flannel' takes a version like 0.10.0, not '%s'", version);
    if (major == 0 && minor < 8)
        return err_set(e, -EINVAL,
                       "flannel before 0.8 chooses by other rules, which are not known "
                       "here");
    *out_all_addrs = major > 0 || minor >= ALL_ADDRS_SINCE;
    return 0;
}

static int read_flags(struct view *v, struct err **e)
{
    int r = read_version(&v->flags.all_addrs, e);

    v->regexes = xcalloc(patterns.count + 1, sizeof(*v->regexes));
    for (size_t i = 0; r == 0 && i < patterns.count; i++)
        r = goregex_new(patterns.items[i], &v->regexes[i], e);
    v->flags.ifaces = ifaces.items;
    v->flags.n_ifaces = ifaces.count;
    v->flags.patterns = patterns.items;
    v->flags.n_regexes = patterns.count;
    v->flags.regexes = v->regexes;
    return r;
}

static int read_peers(struct view *v, struct err **e)
{
    v->peers = xcalloc(peers.count + 1, sizeof(*v->peers));
    for (size_t i = 0; i < peers.count; i++) {
        struct peer *p = &v->peers[i];
        uint8_t addr[NET_ADDR_BYTES];

        p->text = peers.items[i];
        if (net_addr_parse(p->text, addr) != AF_INET)
            return err_set(e, -EINVAL, "'--peer' takes an IPv4 address, not '%s'", p->text);
        if (net_path_to(AF_INET, addr, &p->path, NULL) < 0)
            continue;
        if (p->path.is_local)
            return err_set(e, -EINVAL, "'%s' is an address of this host, not of a peer", p->text);
        p->link = net_link_indexed(&v->net, p->path.link);
    }
    return 0;
}

/* What it shall be: as said, else what reaches all peers, else what flannel takes. */
static int find_wanted(struct view *v, struct err **e)
{
    if (want && !net_link_named(&v->net, want))
        return err_set(e, -EINVAL, "there is no interface '%s' ('--want')", want);
    v->wanted = want ? want : v->choice.link ? v->choice.link->name : NULL;
    if (want || !peers.count)
        return 0;
    v->wanted = v->peers[0].link ? v->peers[0].link->name : NULL;
    for (size_t i = 1; v->wanted && i < peers.count; i++)
        if (!v->peers[i].link || strcmp(v->peers[i].link->name, v->wanted) != 0)
            v->wanted = NULL;
    return 0;
}

static bool regex_is_right(const struct view *v, const char *pattern)
{
    auto_goregex struct goregex *g = NULL;
    uint8_t addr[NET_ADDR_BYTES];
    const struct net_link *link;

    if (goregex_new(pattern, &g, NULL) < 0)
        return false;
    link = flannel_match_regex(&v->net, g, v->flags.all_addrs, addr);
    return link && !strcmp(link->name, v->wanted);
}

/* For hosts whose NICs have other names: the beginning of the address, as short as it is right. */
static void find_flags(struct view *v)
{
    const struct net_link *link = net_link_named(&v->net, v->wanted);
    uint8_t a[NET_ADDR_BYTES];
    size_t prefix = strlen("--iface-regex=");

    (void)snprintf(v->name_flag, sizeof(v->name_flag), "--iface=%s", v->wanted);
    if (!link || flannel_addr_of(&v->net, link, a) < 0)
        return;
    for (int octets = 1; octets <= 4; octets++) {
        int at = snprintf(v->regex_flag, sizeof(v->regex_flag), "--iface-regex=^");

        for (int i = 0; i < octets; i++)
            at += snprintf(v->regex_flag + at, sizeof(v->regex_flag) - (size_t)at, "%d%s", a[i],
                           i < 3 ? "\\." : "$");
        if (regex_is_right(v, v->regex_flag + prefix))
            return;
    }
    v->regex_flag[0] = '\0';
}

static int view_read(struct view *v, struct err **e)
{
    int r = net_state_read(&v->net, e);

    if (r == 0)
        r = read_flags(v, e);
    if (r == 0)
        r = read_peers(v, e);
    if (r < 0)
        return r;
    (void)flannel_choose(&v->net, &v->flags, &v->choice, &v->why);
    r = find_wanted(v, e);
    if (r < 0)
        return r;
    v->agrees = v->wanted && v->choice.link && !strcmp(v->choice.link->name, v->wanted);
    if (v->wanted)
        find_flags(v);
    return 0;
}

static void view_release(struct view *v)
{
    for (size_t i = 0; v->regexes && i < patterns.count; i++)
        goregex_free(v->regexes[i]);
    free(v->regexes);
    free(v->peers);
    err_free(v->why);
    flannel_choice_release(&v->choice);
    net_state_release(&v->net);
}

/* --- what is printed --- */

/* Megabits per second; "" where the kernel does not know (virtual links, no carrier). To be freed.
 */
static char *speed_of(const char *name)
{
    auto_free char *path = xasprintf("/sys/class/net/%s/speed", name);
    auto_free char *text = host_line("", path);

    return xstrdup(*text && *text != '-' && strcmp(text, "0") ? text : "");
}

static void addrs_text(const struct net_state *s, int link, struct buf *out)
{
    for (size_t i = 0; i < s->n_addrs; i++) {
        char text[NET_ADDR_TEXT];

        if (s->addrs[i].link == link && s->addrs[i].family == AF_INET)
            (void)buf_addf(out, "%s%s/%d", out->len ? " " : "",
                           net_addr_format(AF_INET, s->addrs[i].bytes, text), s->addrs[i].prefix);
    }
}

static void print_links(const struct view *v)
{
    static const char *const heading[] = {"INTERFACE", "STATE", "MTU", "MBIT/S", "ADDRESSES", NULL};
    struct table rows;

    table_init(&rows, heading);
    for (size_t i = 0; i < v->net.n_links; i++) {
        const struct net_link *link = &v->net.links[i];
        auto_free char *mtu = xasprintf("%d", link->mtu), *speed = speed_of(link->name);
        auto_buf struct buf addrs;
        const char *state = !(link->flags & IFF_UP) ? "down"
                            : link->has_carrier     ? "up"
                                                    : "no carrier";

        buf_init(&addrs, 4096);
        addrs_text(&v->net, link->index, &addrs);
        const char *const texts[] = {link->name, state, mtu, *speed ? speed : NULL,
                                     addrs.len ? addrs.data : NULL};
        if (!(link->flags & IFF_LOOPBACK))
            table_row(&rows, texts);
    }
    table_print(&rows);
    table_release(&rows);
}

static void print_peers(const struct view *v)
{
    for (size_t i = 0; i < peers.count; i++) {
        const struct peer *p = &v->peers[i];
        char source[NET_ADDR_TEXT] = "", gateway[NET_ADDR_TEXT] = "";

        if (!p->link) {
            (void)printf("peer %s: no route\n", p->text);
            continue;
        }
        if (p->path.has_source)
            (void)net_addr_format(AF_INET, p->path.source, source);
        if (p->path.has_gateway)
            (void)net_addr_format(AF_INET, p->path.gateway, gateway);
        (void)printf("peer %s: by %s%s%s%s%s\n", p->text, p->link->name, *source ? " from " : "",
                     source, *gateway ? " via " : "", gateway);
    }
}

static void print_text(const struct view *v)
{
    char addr[NET_ADDR_TEXT];

    print_links(v);
    if (v->choice.link)
        (void)printf("flannel %s takes %s with %s: %s\n", version, v->choice.link->name,
                     net_addr_format(AF_INET, v->choice.addr, addr), v->choice.rule);
    else
        (void)printf("flannel %s takes none and ends: %s\n", version, err_text(v->why));
    print_peers(v);
    if (!v->wanted)
        (void)printf("%s\n", peers.count
                                 ? "the peers are not all reached by one interface; name it "
                                   "with --want"
                                 : "name a peer with --peer, or the interface with --want");
    else if (v->agrees)
        (void)printf("that is the right one%s\n", peers.count || want ? ""
                                                                      : " if the nodes reach "
                                                                        "each other by it");
    else
        (void)printf("that is not the right one: it should be %s\n", v->wanted);
    if (v->wanted)
        (void)printf("to fix it on %s: %s%s%s\n", v->wanted, v->name_flag,
                     *v->regex_flag ? "  or, where NICs have other names,  " : "", v->regex_flag);
}

static void add_peers(cJSON *root, const struct view *v)
{
    cJSON *list = cJSON_AddArrayToObject(root, "peers");

    for (size_t i = 0; i < peers.count; i++) {
        const struct peer *p = &v->peers[i];
        cJSON *obj = cJSON_CreateObject();
        char text[NET_ADDR_TEXT];

        json_add_str(obj, "address", p->text);
        json_add_str(obj, "interface", p->link ? p->link->name : NULL);
        if (p->link && p->path.has_source)
            json_add_str(obj, "source", net_addr_format(AF_INET, p->path.source, text));
        if (p->link && p->path.has_gateway)
            json_add_str(obj, "gateway", net_addr_format(AF_INET, p->path.gateway, text));
        cJSON_AddItemToArray(list, obj);
    }
}

static void add_choice(cJSON *root, const struct view *v)
{
    cJSON *choice = cJSON_AddObjectToObject(root, "choice");
    char addr[NET_ADDR_TEXT];

    if (!v->choice.link) {
        json_add_str(choice, "error", err_text(v->why));
        return;
    }
    json_add_str(choice, "interface", v->choice.link->name);
    json_add_str(choice, "address", net_addr_format(AF_INET, v->choice.addr, addr));
    json_add_str(choice, "rule", v->choice.rule);
}

static void add_speeds(cJSON *root)
{
    cJSON *link;

    cJSON_ArrayForEach(link, cJSON_GetObjectItemCaseSensitive(root, "interfaces"))
    {
        auto_free char *speed = speed_of(json_get_str(link, "name"));

        if (*speed)
            json_add_int(link, "megabits", strtol(speed, NULL, 10));
    }
}

static void print_json(const struct view *v)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;
    struct utsname name;
    cJSON *list;

    json_add_int(root, "schemaVersion", 1);
    json_add_str(root, "hostname", uname(&name) == 0 ? name.nodename : "");
    json_add_str(root, "flannel", version);
    netjson_add(root, &v->net);
    add_speeds(root);
    add_choice(root, v);
    add_peers(root, v);
    json_add_str(root, "wanted", v->wanted);
    (void)cJSON_AddBoolToObject(root, "agrees", v->agrees);
    list = cJSON_AddArrayToObject(root, "flags");
    if (*v->name_flag)
        cJSON_AddItemToArray(list, cJSON_CreateString(v->name_flag));
    if (*v->regex_flag)
        cJSON_AddItemToArray(list, cJSON_CreateString(v->regex_flag));
    text = json_print(root);
    (void)printf("%s\n", text);
}

static int show_host(struct err **e)
{
    struct view v = {.wanted = NULL};
    int r = view_read(&v, e);

    if (r == 0 && cli_common.json)
        print_json(&v);
    else if (r == 0)
        print_text(&v);
    if (r == 0)
        r = v.agrees ? EXIT_OK : EXIT_CHECKS;
    view_release(&v);
    return r;
}

static int answer_hosts(struct err **e)
{
    bool all_addrs;
    int r = read_version(&all_addrs, e);

    return r < 0 ? r : cmd_host_flags(from_hosts, all_addrs, e);
}

int cmd_host_iface(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    char **args;
    int count, r = cli_parse(&verb, argc, argv, &args, &count, &e);

    if (r == 1)
        return EXIT_OK;
    if (r == 0)
        r = from_hosts ? answer_hosts(&e) : show_host(&e);
    cli_list_release(&peers);
    cli_list_release(&ifaces);
    cli_list_release(&patterns);
    return r < 0 ? cli_fail(&verb, e) : r;
}
