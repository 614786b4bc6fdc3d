/*
 * Any body is refused or gets a response that is JSON, repeats the uid and says yes or no; a no has
 * a message. The first byte chooses what the cluster says to addresses and subnets.
 */
#include "admission.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct answers {
    struct subnet *subnet;
    uint8_t bits;
};

static const struct subnet *find_subnet(void *arg, const char *name)
{
    const struct answers *a = arg;

    (void)name;
    return a->bits & 1 ? a->subnet : NULL;
}

static int check_overlap(void *arg, const struct subnet *s, struct err **e)
{
    const struct answers *a = arg;
    return subnet_check_overlap(s, a->subnet, e);
}

static size_t count_used(void *arg, const char *name)
{
    const struct answers *a = arg;

    (void)name;
    return a->bits & 2;
}

static int check_ip(void *arg, const struct subnet *s, struct ip_addr ip,
                    const struct admission_owner *owner, struct annot_refusal *out_refusal)
{
    const struct answers *a = arg;
    struct alloc *alloc = alloc_new(s);
    struct annot_source from = {.alloc = alloc, .may_take_reserved = a->bits & 4};
    int status = annot_check_ip(ip, &from, out_refusal);

    (void)owner;
    alloc_free(alloc);
    return status;
}

static bool is_mac_used(void *arg, const struct subnet *s, struct ip_mac mac,
                        const struct admission_owner *owner)
{
    const struct answers *a = arg;

    (void)s;
    (void)mac;
    (void)owner;
    return a->bits & 8;
}

static const char *project_of(void *arg, const char *namespace)
{
    const struct answers *a = arg;
    return a->bits & 16 ? namespace : NULL;
}

static struct subnet *make_subnet(void)
{
    static const char text[] = "{\"metadata\":{\"name\":\"lan\"},\"spec\":{\"master\":\"eth0\","
                               "\"vlan\":5,\"cidr\":\"10.1.0.0/24\"}}";
    auto_json cJSON *object = NULL;
    struct subnet *s = NULL;

    if (json_parse(text, strlen(text), &object, NULL) < 0 ||
        subnet_parse(object, false, &s, NULL) < 0 || !s->is_valid)
        abort();
    return s;
}

static void check_answer(const struct buf *out)
{
    auto_json cJSON *tree = NULL;
    const cJSON *response, *allowed, *status;

    if (json_parse(out->data, out->len, &tree, NULL) < 0)
        abort();
    response = json_get_obj(tree, "response");
    allowed = cJSON_GetObjectItemCaseSensitive(response, "allowed");
    status = json_get_obj(response, "status");
    if (!json_get_str(response, "uid") || !cJSON_IsBool(allowed))
        abort();
    if (cJSON_IsFalse(allowed) && !json_get_str(status, "message"))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_subnet struct subnet *s = make_subnet();
    struct answers answers = {.subnet = s, .bits = size ? data[0] : 0};
    struct admission_lookup lookup = {.arg = &answers,
                                      .subnet = find_subnet,
                                      .check_overlap = check_overlap,
                                      .count_used = count_used,
                                      .check_ip = check_ip,
                                      .is_mac_used = is_mac_used,
                                      .project = project_of,
                                      .is_multus = answers.bits & 32,
                                      .legacy_octets = answers.bits & 64};
    auto_err struct err *e = NULL;
    auto_buf struct buf out;
    int status;

    buf_init(&out, 16 << 20);
    if (!size)
        return 0;
    status = admission_review(&lookup, data + 1, size - 1, &out, &e);
    if ((status < 0) != (e != NULL) || (status < 0 && status != -EBADMSG) || status > 1)
        abort();
    if (status >= 0)
        check_answer(&out);
    return 0;
}
