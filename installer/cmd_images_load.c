/* flatnet images load: a bundle's images into docker or containerd, or into rke2's or k3s's folder.
 */
#include "agent_images.h"
#include "cmd_images.h"
#include "interrupt.h"
#include "load.h"
#include "log.h"
#include "machine.h"
#include "mem.h"
#include "num.h"
#include "selection.h"
#include "table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct images_options options = {.runtime = "auto", .root = ""};

static const struct cli_option table[] = {IMAGES_OPTIONS(options), {0}};

static const struct cli_verb verb = {
    .path = "images load",
    .args = "BUNDLE [options]",
    .summary = "load a bundle's images into docker or containerd",
    .text =
        "BUNDLE is a bundle or any of its volumes. Images go one at a time, so that the daemon\n"
        "needs temporary space for one only; what is there already is not sent. Each image is\n"
        "read back by name and id. With docker, DOCKER_HOST, DOCKER_TLS_VERIFY and\n"
        "DOCKER_CERT_PATH count; containerd is reached through ctr. rke2 and k3s get one\n"
        "archive in their agent/images folder, which they import when they start.\n\n"
        "Exit status: 0 all are there, 5 some failed, 7 the runtime cannot be reached.",
    .options = table,
    .min_args = 1,
    .max_args = 1,
};

/* --- what is printed --- */

static cJSON *item_json(const struct load_item *item)
{
    cJSON *obj = cJSON_CreateObject();
    char text[PLATFORM_TEXT];

    json_add_str(obj, "reference", item->image.image->reference);
    json_add_str(obj, "name", item->image.name);
    if (item->image.platform)
        json_add_str(obj, "platform", platform_format(&item->image.platform->platform, text));
    if (item->image.n_ids)
        json_add_str(obj, "id", item->image.ids[0]);
    json_add_str(obj, "result", load_result_name(item->result));
    json_add_int(obj, "bytesSent", item->sent);
    json_add_int(obj, "layersOmitted", (int64_t)item->omitted);
    if (item->error)
        json_add_str(obj, "error", item->error->msg);
    return obj;
}

static size_t good_ones(const struct load *l)
{
    return l->count - l->results[LOAD_FAILED] - l->results[LOAD_WAITING];
}

static void print_json(const struct load *l, const struct bundle *b, const struct runtime *rt,
                       const struct agent_images *archive)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;
    cJSON *list, *sum;

    json_add_int(root, "schemaVersion", 1);
    json_add_str(root, "receipt", bundle_receipt(b));
    if (rt)
        images_add_runtime(root, rt);
    if (archive)
        json_add_str(root, "archive", archive->path);
    list = cJSON_AddArrayToObject(root, "images");
    for (size_t i = 0; i < l->count; i++)
        cJSON_AddItemToArray(list, item_json(&l->items[i]));
    sum = cJSON_AddObjectToObject(root, "summary");
    json_add_int(sum, "loaded", (int64_t)l->results[LOAD_LOADED]);
    json_add_int(sum, "tagged", (int64_t)l->results[LOAD_TAGGED]);
    json_add_int(sum, "written", (int64_t)l->results[LOAD_WRITTEN]);
    json_add_int(sum, "present", (int64_t)l->results[LOAD_PRESENT]);
    json_add_int(sum, "failed", (int64_t)l->results[LOAD_FAILED]);
    json_add_int(sum, "notTried", (int64_t)l->results[LOAD_WAITING]);
    json_add_int(sum, "verified", (int64_t)good_ones(l));
    json_add_int(sum, "bytesSent", l->sent);
    (void)cJSON_AddNumberToObject(sum, "seconds", l->seconds);
    text = json_print(root);
    (void)printf("%s\n", text);
}

static void print_rows(const struct load *l)
{
    static const char *const heading[] = {"RESULT", "IMAGE", "PLATFORM", "ID", "SENT", NULL};
    struct table rows;

    table_init(&rows, heading);
    for (size_t i = 0; i < l->count; i++) {
        const struct load_item *item = &l->items[i];
        const struct bundle_platform *p = item->image.platform;
        char id[IMAGES_SHORT_ID], sent[NUM_SIZE_TEXT], platform[PLATFORM_TEXT];
        const char *const texts[] = {
            load_result_name(item->result),
            item->image.image->reference,
            p ? platform_format(&p->platform, platform) : NULL,
            item->image.n_ids ? images_short_id(item->image.ids[0], id) : NULL,
            item->sent ? num_format_size(item->sent, sent) : NULL,
        };

        table_row(&rows, texts);
    }
    table_print(&rows);
    table_release(&rows);
}

static const char *images(size_t count)
{
    return count == 1 ? "image" : "images";
}

/* "12 images loaded, 1 tagged, 3 already there, 0 failed; 1.2 GB sent in 8.1 s; all 16 verified by
 * name and id" */
static void print_summary(const struct load *l)
{
    size_t loaded = l->results[LOAD_LOADED], good = good_ones(l);
    char sent[NUM_SIZE_TEXT];

    (void)printf("%zu %s loaded, %zu tagged, %zu already there, %zu failed; %s sent in %.1f s; ",
                 loaded, images(loaded), l->results[LOAD_TAGGED], l->results[LOAD_PRESENT],
                 l->results[LOAD_FAILED], num_format_size(l->sent, sent), l->seconds);
    if (good == l->count && good > 1)
        (void)printf("all %zu", good);
    else
        (void)printf("%zu of %zu", good, l->count);
    (void)printf(" verified by name and id\n");
}

static void print_archive(const struct load *l, const struct agent_images *archive)
{
    size_t good = good_ones(l);
    char size[NUM_SIZE_TEXT];

    if (!archive->path) {
        (void)printf("%zu failed; no archive was written\n", l->results[LOAD_FAILED]);
        return;
    }
    (void)printf("%zu %s in %s (%s, %s, read back and equal), %zu failed, %.1f s; %s imports it at "
                 "its next start\n",
                 good, images(good), archive->path, num_format_size(archive->size, size),
                 archive->was_there ? "was there" : "written", l->results[LOAD_FAILED], l->seconds,
                 options.runtime);
}

static void print_result(const struct load *l, const struct bundle *b, const struct runtime *rt,
                         const struct agent_images *archive)
{
    if (cli_common.json) {
        print_json(l, b, rt, archive);
    } else if (!cli_common.quiet) {
        print_rows(l);
        if (archive)
            print_archive(l, archive);
        else
            print_summary(l);
    }
}

/* --- the two ways --- */

static int into_runtime(const struct bundle *b, const bool *chosen, struct platform *wanted,
                        const char *root, struct load *l, struct err **e)
{
    struct runtime_options where = {.kind = options.runtime,
                                    .address = options.address,
                                    .space = options.space,
                                    .root = root};
    struct runtime rt = {.kind = NULL};
    int r = runtime_open(&where, &rt, e);

    if (r < 0)
        return r;
    log_info("%s %s at %s (%s): %s", rt.kind, rt.version, rt.address, rt.store, rt.reason);
    load_list(b, chosen, options.platform ? wanted : &rt.platform, l);
    load_name(l, &rt);
    r = load_run(l, &rt, b, e);
    print_result(l, b, &rt, NULL);
    runtime_close(&rt);
    return r;
}

static int into_folder(const struct bundle *b, const bool *chosen, struct platform *wanted,
                       const char *root, struct load *l, struct err **e)
{
    struct agent_images archive = {.path = NULL};
    int r = options.platform ? 0 : platform_of_host(wanted, e);

    if (r < 0)
        return r;
    load_list(b, chosen, wanted, l);
    load_name_for_containerd(l);
    r = agent_images_place(options.runtime, root, b, l, &archive, e);
    if (r == 0)
        print_result(l, b, NULL, &archive);
    agent_images_release(&archive);
    return r;
}

static int run(const char *path, struct load *l, struct err **e)
{
    struct platform wanted = {.os = ""};
    auto_bundle struct bundle *b = NULL;
    auto_free char *root = NULL;
    auto_free bool *chosen = NULL;
    int r = images_check_options(&options, &wanted, &root, e);

    if (r == 0)
        r = bundle_open(path, options.base, &b, e);
    if (r == 0)
        r = selection_match(bundle_index(b), options.only.items, &chosen, e);
    if (r < 0)
        return r;
    interrupt_init();
    r = images_is_agent(&options) ? into_folder(b, chosen, &wanted, root, l, e)
                                  : into_runtime(b, chosen, &wanted, root, l, e);
    if (r < 0)
        return r;
    return l->results[LOAD_FAILED] ? EXIT_PARTIAL : EXIT_OK;
}

int cmd_images_load(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    struct load l = {.count = 0};
    char **args;
    int count, r = cli_parse(&verb, argc, argv, &args, &count, &e);

    if (r == 1)
        return EXIT_OK;
    if (r == 0)
        r = run(args[0], &l, &e);
    load_release(&l);
    cli_list_release(&options.only);
    return r < 0 ? cli_fail(&verb, e) : r;
}
