/* The environment of a call. */
#include "cni_env.h"

#include "buf.h"
#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BIT(command) (1u << (command))
#define CONTAINER (BIT(CNI_ADD) | BIT(CNI_CHECK) | BIT(CNI_DEL))

static const char *const commands[] = {"", "ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"};

const char *cni_command_text(enum cni_command command)
{
    return commands[command];
}

int cni_command_check(enum cni_command command, enum cni_version version, struct err **e)
{
    bool is_new = command == CNI_GC || command == CNI_STATUS;

    if (version >= CNI_1_1_0 || (!is_new && (command != CNI_CHECK || version >= CNI_0_4_0)))
        return 0;
    return err_set(e, -EPROTONOSUPPORT, "the version of the configuration (%s) does not allow %s",
                   cni_version_text(version), commands[command]);
}

bool cni_name_is_valid(const char *name)
{
    if (!isalnum((unsigned char)*name))
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("_.-", *name))
            return false;
    return true;
}

bool cni_ifname_is_valid(const char *name)
{
    size_t len = strlen(name);

    if (!len || len > CNI_IFNAME_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (; *name; name++)
        if (strchr("/:", *name) || (unsigned char)*name <= ' ' || *name == 0x7f)
            return false;
    return true;
}

/* NULL where it is not there or empty. */
static const char *look_up(char *const *environment, const char *name)
{
    size_t len = strlen(name);

    for (; *environment; environment++)
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return (*environment)[len + 1] ? *environment + len + 1 : NULL;
    return NULL;
}

static int find_command(const char *text, enum cni_command *out, struct err **e)
{
    for (size_t i = CNI_ADD; i < sizeof(commands) / sizeof(*commands); i++) {
        if (strcmp(text, commands[i]) == 0) {
            *out = (enum cni_command)i;
            return 0;
        }
    }
    return err_set(e, -EBADR, "CNI_COMMAND '%.40s' is not known", text);
}

/* The table of pkg/skel. */
static int take_variables(char *const *environment, struct cni_env *env, struct err **e)
{
    const struct {
        const char *name;
        unsigned required; /* bits of commands */
        const char **out;
    } table[] = {
        {"CNI_CONTAINERID", CONTAINER, &env->container_id},
        {"CNI_NETNS", BIT(CNI_ADD) | BIT(CNI_CHECK), &env->netns},
        {"CNI_IFNAME", CONTAINER, &env->ifname},
        {"CNI_PATH", CONTAINER | BIT(CNI_GC) | BIT(CNI_STATUS), &env->path},
    };
    auto_buf struct buf missing;

    buf_init(&missing, 256);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        *table[i].out = look_up(environment, table[i].name);
        if (!*table[i].out && (table[i].required & BIT(env->command)))
            (void)buf_addf(&missing, "%s%s", missing.len ? ", " : "", table[i].name);
    }
    if (missing.len)
        return err_set(e, -EBADR, "%s needs what the environment does not have: %s",
                       commands[env->command], missing.data);
    return 0;
}

static int check_variables(const struct cni_env *env, struct err **e)
{
    if (!(CONTAINER & BIT(env->command)))
        return 0;
    if (!cni_name_is_valid(env->container_id))
        return err_set(e, -EBADR, "CNI_CONTAINERID '%.80s' is no ID of a container",
                       env->container_id);
    if (!cni_ifname_is_valid(env->ifname))
        return err_set(e, -EBADR, "CNI_IFNAME '%.80s' is no name of an interface", env->ifname);
    return 0;
}

int cni_env_parse(char *const *environment, struct cni_env *out, struct err **e)
{
    struct cni_env env = {.command = CNI_NONE};
    const char *command = look_up(environment, "CNI_COMMAND");
    const char *args = look_up(environment, "CNI_ARGS");
    const char *override = look_up(environment, "CNI_NETNS_OVERRIDE");
    int r = command ? find_command(command, &env.command, e) : 0;

    if (r == 0 && command && env.command != CNI_VERSION) {
        r = take_variables(environment, &env, e);
        if (r == 0)
            r = check_variables(&env, e);
        if (r == 0 && args && (CONTAINER & BIT(env.command)))
            r = cni_args_parse(args, &env.args, e);
    }
    if (r < 0)
        return r;
    env.may_be_host_netns =
        override && (strcmp(override, "1") == 0 || strcasecmp(override, "true") == 0);
    *out = env;
    return 0;
}

void cni_env_release(struct cni_env *env)
{
    cni_args_release(&env->args);
}

int cni_env_check_netns(const struct cni_env *env, struct err **e)
{
    struct stat ours, given;

    if (env->may_be_host_netns || !env->netns || stat("/proc/self/ns/net", &ours) < 0 ||
        stat(env->netns, &given) < 0)
        return 0;
    if (ours.st_dev != given.st_dev || ours.st_ino != given.st_ino)
        return 0;
    return err_set(e, -EXDEV, "CNI_NETNS '%s' is the network namespace of the host", env->netns);
}
