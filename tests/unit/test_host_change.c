/* Changes of files: shown as a diff, undone exactly, and only where nobody else was. */
#include "host_change.h"

#include "fs.h"
#include "host_fstab.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tempdir.h"

static char root[96];
static struct host_plan plan;

static int enter(void **state)
{
    int r = tempdir_enter(state);

    (void)snprintf(root, sizeof(root), "%s/root", tempdir_path);
    plan = (struct host_plan){.changes = NULL};
    return r == 0 && mkdir("root", 0755) == 0 && mkdir("root/etc", 0755) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    host_plan_release(&plan);
    return tempdir_leave(state);
}

static void write_text(const char *path, const char *text)
{
    assert_int_equal(fs_write_file(path, text, strlen(text), 0644, NULL), 0);
}

static void assert_text(const char *path, const char *text)
{
    auto_buf struct buf got;

    buf_init(&got, 4096);
    assert_int_equal(fs_read_file(path, &got, NULL), 0);
    assert_string_equal(got.data, text);
}

static void plan_text(const char *path, const char *text)
{
    struct host_file after;

    host_file_init(&after, HOST_REGULAR, text);
    assert_int_equal(host_plan_file(root, &plan, "test", path, &after, NULL), 0);
}

static void apply_all(void)
{
    for (size_t i = 0; i < plan.count; i++) {
        assert_int_equal(host_change_look(root, &plan.changes[i], NULL), 1);
        assert_int_equal(host_change_apply(root, &plan.changes[i], NULL), 0);
        assert_int_equal(host_change_look(root, &plan.changes[i], NULL), 0);
    }
}

/* After host_change_look a change that was made has its own result as its state before; what the
 * journal would hold is kept apart. */
static void undo(const struct host_change *c, enum undo_result expected)
{
    enum undo_result result;
    auto_free char *why = NULL;

    assert_int_equal(host_change_undo(root, c, &result, &why, NULL), 0);
    assert_int_equal(result, expected);
    assert_int_equal(why != NULL, expected == UNDO_KEPT);
}

static void test_new_file_in_new_folders(void **state)
{
    (void)state;
    plan_text("/etc/a/b/c.conf", "x\n");
    assert_int_equal(plan.count, 3);
    assert_int_equal(plan.changes[0].kind, CHANGE_FOLDER);
    assert_string_equal(plan.changes[0].subject, "/etc/a");
    assert_string_equal(plan.changes[1].subject, "/etc/a/b");
    /* A second one in the same folder needs no folders any more. */
    plan_text("/etc/a/b/d.conf", "y\n");
    assert_int_equal(plan.count, 4);
    apply_all();
    assert_text("root/etc/a/b/c.conf", "x\n");
    for (size_t i = plan.count; i-- > 0;) {
        struct host_change *c = &plan.changes[i];

        host_file_release(&c->before);
        host_file_init(&c->before, HOST_ABSENT, "");
        undo(c, UNDO_DONE);
        undo(c, UNDO_DONE);
    }
    assert_int_equal(access("root/etc/a", F_OK), -1);
}

static void test_as_planned_already(void **state)
{
    (void)state;
    write_text("root/etc/x", "same\n");
    plan_text("/etc/x", "same\n");
    assert_int_equal(plan.count, 0);
}

static void test_two_items_one_file(void **state)
{
    (void)state;
    plan_text("/etc/x", "one\n");
    plan_text("/etc/x", "one\ntwo\n");
    assert_int_equal(plan.count, 1);
    apply_all();
    assert_text("root/etc/x", "one\ntwo\n");
}

static void test_kept_where_changed(void **state)
{
    (void)state;
    write_text("root/etc/x", "old\n");
    plan_text("/etc/x", "new\n");
    assert_int_equal(host_change_apply(root, &plan.changes[0], NULL), 0);
    write_text("root/etc/x", "newer\n");
    undo(&plan.changes[0], UNDO_KEPT);
    assert_text("root/etc/x", "newer\n");
    write_text("root/etc/x", "new\n");
    undo(&plan.changes[0], UNDO_DONE);
    assert_text("root/etc/x", "old\n");
    undo(&plan.changes[0], UNDO_DONE);
    assert_text("root/etc/x", "old\n");
}

static void test_fstab_keeps_others_rows(void **state)
{
    (void)state;
    write_text("root/etc/fstab", "/a / ext4\n/b none swap\n");
    plan_text("/etc/fstab", "/a / ext4\n" FSTAB_MARKER "/b none swap\n");
    assert_int_equal(host_change_apply(root, &plan.changes[0], NULL), 0);
    write_text("root/etc/fstab", "/a / ext4\n" FSTAB_MARKER "/b none swap\n/c /srv xfs\n");
    undo(&plan.changes[0], UNDO_DONE);
    assert_text("root/etc/fstab", "/a / ext4\n/b none swap\n/c /srv xfs\n");
}

static void test_diff(void **state)
{
    auto_buf struct buf diff;

    (void)state;
    write_text("root/etc/x", "1\n2\n3\n4\n5\n6\n7\n8\n9");
    plan_text("/etc/x", "1\n2\n3\n4\nfive\n6\n7\n8\n9");
    plan_text("/etc/new", "a\nb");
    buf_init(&diff, 4096);
    for (size_t i = 0; i < plan.count; i++)
        host_change_diff(&plan.changes[i], &diff);
    assert_string_equal(diff.data,
                        "--- /etc/x\n+++ /etc/x\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n"
                        " 6\n 7\n 8\n"
                        "--- /dev/null\n+++ /etc/new\n@@ -0,0 +1,2 @@\n+a\n+b\n"
                        "\\ No newline at end of file\n");
}

static void test_json(void **state)
{
    auto_json cJSON *tree = NULL;
    struct host_change *c = host_plan_add(&plan, CHANGE_SWAP, "swap", "/dev/sda2"), back;
    auto_free char *text = NULL;

    (void)state;
    c->priority = -2;
    c->swap_flags = FSTAB_DISCARD;
    tree = host_change_json(c);
    assert_int_equal(host_change_from_json(tree, &back, NULL), 0);
    assert_int_equal(back.kind, CHANGE_SWAP);
    assert_string_equal(back.subject, "/dev/sda2");
    assert_int_equal(back.priority, -2);
    assert_int_equal(back.swap_flags, FSTAB_DISCARD);
    text = host_change_text(&back);
    assert_string_equal(text, "swapoff /dev/sda2 (priority -2)");
    host_change_release(&back);
    cJSON_ReplaceItemInObject(tree, "subject", cJSON_CreateString("relative"));
    assert_int_equal(host_change_from_json(tree, &back, NULL), -EBADMSG);
    cJSON_ReplaceItemInObject(tree, "kind", cJSON_CreateString("format"));
    assert_int_equal(host_change_from_json(tree, &back, NULL), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_new_file_in_new_folders, enter, leave),
        cmocka_unit_test_setup_teardown(test_as_planned_already, enter, leave),
        cmocka_unit_test_setup_teardown(test_two_items_one_file, enter, leave),
        cmocka_unit_test_setup_teardown(test_kept_where_changed, enter, leave),
        cmocka_unit_test_setup_teardown(test_fstab_keeps_others_rows, enter, leave),
        cmocka_unit_test_setup_teardown(test_diff, enter, leave),
        cmocka_unit_test_setup_teardown(test_json, enter, leave),
    };

    return cmocka_run_group_tests_name("host_change", tests, NULL, NULL);
}
