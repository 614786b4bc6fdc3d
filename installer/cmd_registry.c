/* flatnet registry login and logout, for machines that have no docker to do it. */
#include "buf.h"
#include "cli.h"
#include "creds.h"
#include "fs.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "ref.h"
#include "registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define ANSWER_MAX (16u << 10)
#define CTRL_C 3

static struct {
    const char *username;
    const char *authfile;
    const char *ca_file;
    bool password_stdin;
    bool plain_http;
    bool tls_verify;
} options = {.tls_verify = true};

static const struct cli_option login_table[] = {
    {"username", 'u', CLI_STRING, "NAME", &options.username, "asked for on the terminal otherwise"},
    {"password-stdin", 0, CLI_FLAG, NULL, &options.password_stdin,
     "read the password from standard input"},
    {"authfile", 0, CLI_STRING, "FILE", &options.authfile, "where to store the credentials"},
    {"ca-file", 0, CLI_STRING, "FILE", &options.ca_file, "certificates to trust as well (PEM)"},
    {"tls-verify", 0, CLI_TRI, NULL, &options.tls_verify,
     "=false: do not check the certificate of the registry"},
    {"plain-http", 0, CLI_FLAG, NULL, &options.plain_http, "the registry is reached by http"},
    {0},
};

static const struct cli_option logout_table[] = {
    {"authfile", 0, CLI_STRING, "FILE", &options.authfile, "where the credentials are stored"},
    {0},
};

static const struct cli_verb login_verb = {
    .path = "registry login",
    .args = "HOST [-u NAME] [--password-stdin]",
    .summary = "check and store credentials for a registry",
    .text = "HOST is written as in image references; docker.io is Docker Hub. The credentials are\n"
            "tried first and stored only if the registry takes them: in the file named by\n"
            "--authfile or REGISTRY_AUTH_FILE, else in containers/auth.json below\n"
            "$XDG_CONFIG_HOME (default ~/.config), where podman and skopeo find them too.",
    .options = login_table,
    .min_args = 1,
    .max_args = 1,
};

static const struct cli_verb logout_verb = {
    .path = "registry logout",
    .args = "HOST",
    .summary = "forget the credentials for a registry",
    .text = "What docker stored in its own config.json stays: that is 'docker logout'.",
    .options = logout_table,
    .min_args = 1,
    .max_args = 1,
};

/* The host as references spell it; one that no reference can name is refused. To be freed. */
static int read_host(const char *text, char **out_host, struct err **e)
{
    auto_free char *host = creds_host_key(text);
    auto_free char *image = xasprintf("%s/x", host);
    struct ref ref = {.host = NULL};
    int r = ref_parse(image, &ref, NULL);
    bool is_same = r == 0 && !strcmp(ref.host, host);

    ref_release(&ref);
    if (!is_same)
        return err_set(e, -EINVAL,
                       "'%s' is not a registry's host as in image references: it needs a dot or a "
                       "port, such as registry.example:5000",
                       text);
    *out_host = take(host);
    return 0;
}

/* --- asking --- */

/* Without its line end, "\r\n" too. Bytes of zero would cut it. */
static int strip_line_end(struct buf *text, struct err **e)
{
    size_t len = text->len;

    if (len && text->data[len - 1] == '\n')
        len--;
    if (len && len < text->len && text->data[len - 1] == '\r')
        len--;
    text->len = len;
    text->data[len] = '\0';
    if (!len)
        return err_set(e, -EINVAL, "nothing was entered");
    if (strlen(text->data) != len)
        return err_set(e, -EINVAL, "a user name or password cannot hold bytes of zero");
    return 0;
}

/* One line from the terminal, which gives nothing out before the line is complete. */
static int read_line(int fd, struct buf *out, struct err **e)
{
    char bytes[256];

    for (;;) {
        ssize_t n = read(fd, bytes, sizeof(bytes));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || memchr(bytes, CTRL_C, (size_t)n))
            return err_set(e, -ECANCELED, "nothing was entered");
        if (buf_add(out, bytes, (size_t)n) < 0)
            return err_set(e, -EINVAL, "that is longer than %zu bytes", out->max);
        if (memchr(bytes, '\n', (size_t)n))
            return strip_line_end(out, e);
    }
}

/* A signal would leave the terminal mute, so the keys for those end the line instead. */
static int read_hidden(int fd, struct buf *out, struct err **e)
{
    struct termios saved, mute;
    int r;

    if (tcgetattr(fd, &saved) < 0)
        return err_set(e, -errno, "cannot hide what is typed: %s", strerror(errno));
    mute = saved;
    mute.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    mute.c_cc[VEOL] = CTRL_C;
    if (tcsetattr(fd, TCSAFLUSH, &mute) < 0)
        return err_set(e, -errno, "cannot hide what is typed: %s", strerror(errno));
    r = read_line(fd, out, e);
    (void)tcsetattr(fd, TCSAFLUSH, &saved);
    (void)!write(fd, "\n", 1);
    return r;
}

static int ask(const char *question, const char *host, bool hidden, struct buf *out, struct err **e)
{
    auto_close int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    auto_free char *prompt = xasprintf("%s for %s: ", question, host);

    if (fd < 0)
        return err_set(e, -EINVAL,
                       "there is no terminal to ask on; use --username and --password-stdin");
    (void)!write(fd, prompt, strlen(prompt));
    return hidden ? read_hidden(fd, out, e) : read_line(fd, out, e);
}

static int get_username(const char *host, struct buf *out, struct err **e)
{
    if (!options.username)
        return ask("user name", host, false, out, e);
    if (!*options.username || strchr(options.username, ':'))
        return err_set(e, -EINVAL, "'%s' cannot be a user name", options.username);
    return buf_addstr(out, options.username);
}

static int get_password(const char *host, struct buf *out, struct err **e)
{
    int r;

    if (!options.password_stdin)
        return ask("password", host, true, out, e);
    r = fs_read_file("-", out, e);
    return r < 0 ? r : strip_line_end(out, e);
}

/* --- login --- */

static void print_result(const char *did, const char *host, const char *path, const char *text)
{
    auto_json cJSON *root = NULL;
    auto_free char *line = NULL;

    if (cli_common.json) {
        root = cJSON_CreateObject();
        json_add_int(root, "schemaVersion", 1);
        json_add_str(root, "result", did);
        json_add_str(root, "host", host);
        json_add_str(root, "file", path);
        line = json_print(root);
        (void)printf("%s\n", line);
    } else if (!cli_common.quiet) {
        (void)printf("%s\n", text);
    }
}

static int check_and_store(const char *host, const char *username, const char *password,
                           struct err **e)
{
    const char *plain[] = {host, NULL};
    struct registry_options o = {
        .ca_file = options.ca_file,
        .plain_http = options.plain_http ? plain : NULL,
        .insecure = !options.tls_verify,
        .retries = 1,
    };
    auto_free char *path = NULL;
    auto_free char *text = NULL;
    int r = registry_try_login(&o, host, username, password, e);

    if (r < 0)
        return r;
    if (r == 0)
        log_warn("'%s' does not ask for credentials; they were not checked", host);
    r = creds_save(options.authfile, host, username, password, &path, e);
    if (r < 0)
        return r;
    text = xasprintf("login succeeded for %s, stored in %s", host, path);
    print_result("stored", host, path, text);
    return 0;
}

static int login(const char *host_text, struct err **e)
{
    auto_free char *host = NULL;
    auto_buf struct buf username;
    auto_buf struct buf password;
    int r;

    buf_init(&username, ANSWER_MAX);
    buf_init(&password, ANSWER_MAX);
    if (options.password_stdin && !options.username)
        return err_set(e, -EINVAL, "'--password-stdin' needs '--username'");
    r = read_host(host_text, &host, e);
    if (r == 0)
        r = get_username(host, &username, e);
    if (r == 0)
        r = get_password(host, &password, e);
    if (r == 0)
        r = check_and_store(host, username.data, password.data, e);
    explicit_bzero(password.data, password.len);
    return r;
}

int cmd_registry_login(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    char **args = NULL;
    int n_args = 0;
    int r = cli_parse(&login_verb, argc, argv, &args, &n_args, &e);

    if (r > 0)
        return EXIT_OK;
    if (r == 0)
        r = login(args[0], &e);
    return r < 0 ? cli_fail(&login_verb, e) : EXIT_OK;
}

/* --- logout --- */

/* What other tools stored is not ours to remove, but its use would surprise. */
static void warn_of_others(const char *host)
{
    struct creds_store *store = NULL;
    auto_creds struct creds left = {.username = NULL};

    if (creds_store_new(options.authfile, &store, NULL) < 0)
        return;
    if (creds_find(store, host, NULL, &left))
        log_warn("there still are credentials for '%s': %s", host, left.source);
    creds_store_free(store);
}

static int logout(const char *host_text, struct err **e)
{
    auto_free char *host = NULL;
    auto_free char *path = NULL;
    auto_free char *text = NULL;
    int r = read_host(host_text, &host, e);

    if (r == 0)
        r = creds_erase(options.authfile, host, &path, e);
    if (r < 0)
        return r;
    warn_of_others(host);
    if (r == 0)
        return err_set(e, -ENOENT, "no credentials for '%s' are stored that flatnet may remove",
                       host);
    text = xasprintf("removed the credentials for %s from %s", host, path);
    print_result("removed", host, path, text);
    return 0;
}

int cmd_registry_logout(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    char **args = NULL;
    int n_args = 0;
    int r = cli_parse(&logout_verb, argc, argv, &args, &n_args, &e);

    if (r > 0)
        return EXIT_OK;
    if (r == 0)
        r = logout(args[0], &e);
    return r < 0 ? cli_fail(&logout_verb, e) : EXIT_OK;
}
