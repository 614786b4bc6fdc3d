/* static-macvlan-cni, and static-ipam by its name: what a runtime calls. */
#include "buf.h"
#include "cni_call.h"
#include "cni_ipam.h"
#include "cni_log.h"
#include "cni_say.h"
#include "fs.h"
#include "install.h"
#include "json.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME "static-macvlan-cni"
#define MEMORY (1 << 20)

static bool is_ipam;

/* What is asked for by arguments, without a runtime. */
static int run_verb(int argc, char **argv)
{
    if (!strcmp(argv[1], "install") || !strcmp(argv[1], "uninstall"))
        return install_main(argc - 1, argv + 1);
    if (argc == 2 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "--help"))) {
        char *words[] = {(char *)"install", argv[1], NULL};

        return install_main(2, words);
    }
    fprintf(stderr, NAME ": unexpected argument '%s'; see --help\n", argv[1]);
    return EXIT_USAGE;
}

static void tell_about(void)
{
    fprintf(stderr,
            "%s " FLATNET_VERSION ", a plugin that container runtimes call\n"
            "CNI protocol versions supported: %s\n",
            is_ipam ? "static-ipam" : NAME, cni_version_list());
}

/* --- before the command --- */

static int read_input(cJSON **out, struct err **e)
{
    auto_buf struct buf text;
    int r;

    buf_init(&text, CNI_CONF_MAX);
    r = fs_read_fd(STDIN_FILENO, &text);
    if (r == -EFBIG)
        return err_set(e, -EFBIG, "the configuration is larger than %u bytes", CNI_CONF_MAX);
    if (r < 0)
        return err_set(e, -EIO, "the configuration cannot be read: %s", strerror(-r));
    if (json_parse(text.data, text.len, out, e) < 0)
        return err_wrap(e, "the configuration");
    return 0;
}

/* What a command cannot do without. */
static int check_command(const struct cni_call *call, struct err **e)
{
    enum cni_command command = call->env.command;
    int r = cni_command_check(command, call->conf.version, e);

    if (r < 0)
        return r;
    if (command == CNI_CHECK && !call->conf.has_prev)
        return err_set(e, -EINVAL, "CHECK needs prevResult");
    if (command == CNI_ADD && call->conf.is_chained && !call->conf.has_prev)
        return err_set(e, -EINVAL, "'chained' is true, and no plugin stands before this one");
    if (command == CNI_GC && !call->conf.has_valid)
        return err_set(e, -EINVAL, "GC needs 'cni.dev/valid-attachments'");
    return command == CNI_ADD || command == CNI_CHECK ? cni_env_check_netns(&call->env, e) : 0;
}

/* --- the command --- */

static int run_command(const struct cni_call *call, char **out, struct err **e)
{
    switch (call->env.command) {
    case CNI_ADD:
        return cmd_add(call, out, e);
    case CNI_DEL:
        return cmd_del(call, e);
    case CNI_CHECK:
        return call->conf.is_check_disabled ? 0 : cmd_check(call, e);
    case CNI_GC:
        return cmd_gc(call, e);
    default:
        return cmd_status(call, e);
    }
}

static int run_macvlan(const cJSON *tree, struct cni_call *call, char **out, struct err **e)
{
    int r = cni_conf_parse(tree, call->env.command, &call->conf, e);

    if (r < 0)
        return r;
    cni_log_open(&call->conf, &call->env);
    r = check_command(call, e);
    if (r == 0)
        r = run_command(call, out, e);
    if (r < 0)
        log_error("%s failed after %.1f ms: %s", cni_command_text(call->env.command),
                  cni_log_elapsed_ms(), e ? err_text(*e) : "");
    else
        log_info("%s done in %.1f ms", cni_command_text(call->env.command), cni_log_elapsed_ms());
    return r;
}

/* To the result's text; NULL: the command has none. */
static int run_tree(const cJSON *tree, struct cni_call *call, char **out, struct err **e)
{
    return is_ipam ? cni_ipam_run(tree, &call->env, out, e) : run_macvlan(tree, call, out, e);
}

/* A runtime that is not told of an interface knows nothing of it. */
static int say_result(const struct cni_call *call, const char *result)
{
    auto_err struct err *e = NULL;
    int r = cni_say(result, &e);

    if (r < 0)
        log_error("%s", err_text(e));
    if (r < 0 && call->env.command == CNI_ADD && !is_ipam)
        (void)cmd_del(call, NULL);
    return r;
}

/* A call is over before memory that it gives back could be of use to anybody. */
static void ask_for_memory_once(void)
{
    (void)mallopt(M_TOP_PAD, MEMORY);
    (void)mallopt(M_TRIM_THRESHOLD, 16 * MEMORY);
}

static int serve(void)
{
    struct cni_call call = {.conf = {.tree = NULL}};
    auto_json cJSON *tree = NULL;
    auto_free char *result = NULL;
    auto_err struct err *e = NULL;
    int r = cni_env_parse(environ, &call.env, &e);

    if (r == 0 && call.env.command == CNI_NONE) {
        tell_about();
        return EXIT_OK;
    }
    if (r == 0 && call.env.command == CNI_VERSION)
        result = cni_version_answer();
    else if (r == 0)
        r = read_input(&tree, &e);
    if (r == 0 && tree)
        r = run_tree(tree, &call, &result, &e);
    if (r < 0)
        (void)cni_say_error(json_get_str(tree, "cniVersion"), e);
    else if (result)
        r = say_result(&call, result);
    cni_log_close();
    cni_conf_release(&call.conf);
    cni_env_release(&call.env);
    return r < 0 ? EXIT_FAILED : EXIT_OK;
}

int main(int argc, char **argv)
{
    const char *slash = argc ? strrchr(argv[0], '/') : NULL;
    const char *name = slash ? slash + 1 : argc ? argv[0] : NAME;

    is_ipam = strcmp(name, "static-ipam") == 0;
    if (argc > 1)
        return run_verb(argc, argv);
    ask_for_memory_once();
    cni_say_init();
    return serve();
}
