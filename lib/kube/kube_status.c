/* What the API server refuses, as numbers and in words. */
#include "json.h"
#include "kube_internal.h"
#include "mem.h"

#include <errno.h>
#include <string.h>

#define TEXT_MAX 400

int kube_status_number(int http_status, const char *reason)
{
    switch (http_status) {
    case 401:
    case 403:
        return -EKEYREJECTED;
    case 404:
        return -ENOENT;
    case 409:
        return reason && !strcmp(reason, "AlreadyExists") ? -EEXIST : -EAGAIN;
    case 410:
        return -ESTALE;
    case 415:
        return -ENOTSUP;
    case 429:
    case 503:
        return -EBUSY;
    case 504:
        return -ETIMEDOUT;
    default:
        return -EREMOTEIO;
    }
}

char *kube_clean_text(const char *text, size_t len)
{
    char *copy;

    while (len && (unsigned char)text[len - 1] <= ' ')
        len--;
    copy = xstrndup(text, len < TEXT_MAX ? len : TEXT_MAX);
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    return copy;
}

int kube_status_refused(const char *server, int http_status, const cJSON *tree,
                        const struct buf *body, struct err **e)
{
    const char *reason = json_get_str(tree, "reason"), *message = json_get_str(tree, "message");
    auto_free char *name = kube_clean_text(reason ? reason : "", reason ? strlen(reason) : 0);
    auto_free char *text = message ? kube_clean_text(message, strlen(message))
                                   : kube_clean_text(body->data, tree ? 0 : body->len);

    return err_set(e, kube_status_number(http_status, reason), "'%s' answered %d%s%s%s%s", server,
                   http_status, *name ? " " : "", name, *text ? ": " : "", text);
}

bool kube_is_version_refused(const struct kube_reply *reply)
{
    const char *message = json_get_str(reply->body, "message");
    const cJSON *causes = json_get_arr(json_get_obj(reply->body, "details"), "causes"), *cause;

    if (reply->status == -ESTALE || !strcmp(reply->reason, "Expired") ||
        !strcmp(reply->reason, "Gone"))
        return true;
    cJSON_ArrayForEach(cause, causes)
    {
        const char *reason = json_get_str(cause, "reason");

        if (reason && !strcmp(reason, "ResourceVersionTooLarge"))
            return true;
    }
    return message && strstr(message, "Too large resource version");
}
