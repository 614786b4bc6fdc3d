/* Image lists: what is taken, what is said about the rest. */
#include "buf.h"
#include "imagelist.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST DIGEST_PREFIX HEX64
#define OTHER DIGEST_PREFIX "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int add(struct imagelist *l, const char *file, const char *text, struct findings *f)
{
    return imagelist_add_text(l, file, text, strlen(text), f, NULL);
}

/* True if a finding of that level has exactly this text. */
static bool says(const struct findings *f, enum finding_level level, const char *text)
{
    for (size_t i = 0; i < f->n_items; i++)
        if (f->items[i].level == level && !strcmp(f->items[i].text, text))
            return true;
    return false;
}

static void takes_every_form_of_text(void **state)
{
    static const struct {
        const char *text;
        const char *names[4];
    } table[] = {
        {"a/b:1\nquay.io/c:2\n", {"docker.io/a/b:1", "quay.io/c:2"}},
        {"a/b:1", {"docker.io/a/b:1"}},
        {"a/b:1\r\nc/d:2\r\n", {"docker.io/a/b:1", "docker.io/c/d:2"}},
        {"a/b:1\r\nc/d:2\r", {"docker.io/a/b:1", "docker.io/c/d:2"}},
        {"\xef\xbb\xbf"
         "a/b:1\n",
         {"docker.io/a/b:1"}},
        {"\xef\xbb\xbf# head\n\n  \t\n//x\n   # y\n\ta/b:1 \n", {"docker.io/a/b:1"}},
        {"a/b:1 # why\nc/d:1\t//why\ne/f:1 #",
         {"docker.io/a/b:1", "docker.io/c/d:1", "docker.io/e/f:1"}},
        {"nginx:1\nindex.docker.io/busybox:2\n",
         {"docker.io/library/nginx:1", "docker.io/library/busybox:2"}},
        {"a/b@" DIGEST "\na/b:1@" DIGEST "\n",
         {"docker.io/a/b@" DIGEST, "docker.io/a/b:1@" DIGEST}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_imagelist struct imagelist l = {.n_entries = 0};
        auto_findings struct findings f = {.n_items = 0};
        size_t n = 0;

        assert_int_equal(add(&l, "x", table[i].text, &f), 0);
        assert_int_equal(f.n_items, 0);
        for (; table[i].names[n]; n++) {
            assert_true(n < l.n_entries);
            assert_string_equal(l.entries[n]->name, table[i].names[n]);
        }
        assert_int_equal(l.n_entries, n);
    }
}

static void names_every_bad_line(void **state)
{
    static const char text[] = "good:1\n"
                               "Bad:1\n"
                               "src dst tag\n"
                               "two words\n"
                               "a b c d # four\n"
                               "# fine\n"
                               "nginx:-\n"
                               "alsogood:2";
    auto_imagelist struct imagelist l = {.n_entries = 0};
    auto_findings struct findings f = {.n_items = 0};
    auto_err struct err *e = NULL;

    (void)state;
    assert_int_equal(add(&l, "dir/x.list", text, &f), 0);
    assert_int_equal(l.n_entries, 2);
    assert_int_equal(findings_error(&f, "image lists", &e), -EINVAL);
    assert_string_equal(
        err_text(e),
        "image lists: 5 errors\n"
        "  dir/x.list:2: image reference 'Bad:1': repository name must be lowercase\n"
        "  dir/x.list:3: this is the mirror form 'SOURCE DESTINATION TAG'; write only "
        "'SOURCE:TAG', where it goes is said to 'images push'\n"
        "  dir/x.list:4: more than one word; write one image on each line\n"
        "  dir/x.list:5: more than one word; write one image on each line\n"
        "  dir/x.list:7: image reference 'nginx:-': tag must be 1 to 128 letters, digits, '_', "
        "'.' or '-', not starting with '.' or '-'");
}

static void drops_repeats(void **state)
{
    auto_imagelist struct imagelist l = {.n_entries = 0};
    auto_findings struct findings f = {.n_items = 0};

    (void)state;
    assert_int_equal(add(&l, "a", "nginx:1\nb:1\ndocker.io/library/nginx:1\n", &f), 0);
    assert_int_equal(add(&l, "b", "b:1\nc:1\n", &f), 0);
    assert_int_equal(l.n_entries, 3);
    assert_string_equal(l.entries[2]->name, "docker.io/library/c:1");
    assert_int_equal(f.n_items, 2);
    assert_true(says(&f, FINDING_NOTE, "a:3: 'docker.io/library/nginx:1' was named before at a:1"));
    assert_true(says(&f, FINDING_NOTE, "b:1: 'docker.io/library/b:1' was named before at a:2"));
    assert_int_equal(findings_error(&f, "x", NULL), 0);
}

static void refuses_two_meanings_of_a_tag(void **state)
{
    static const char *const table[] = {
        "a/b:1\na/b:1@" DIGEST,
        "a/b:1@" DIGEST "\na/b:1",
        "a/b:1@" DIGEST "\na/b:1.2\na/b:1-x\na/b:1@" OTHER,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_imagelist struct imagelist l = {.n_entries = 0};
        auto_findings struct findings f = {.n_items = 0};

        assert_int_equal(add(&l, "x", table[i], &f), 0);
        assert_int_equal(f.count[FINDING_ERROR], 1);
        assert_non_null(strstr(f.items[0].text, "give one tag two meanings"));
    }
}

static void warns_of_latest(void **state)
{
    auto_imagelist struct imagelist l = {.n_entries = 0};
    auto_findings struct findings f = {.n_items = 0};

    (void)state;
    assert_int_equal(add(&l, "x", "a/a\na/b:latest\na/c:latest@" DIGEST "\na/d:1\n", &f), 0);
    assert_int_equal(l.n_entries, 4);
    assert_int_equal(f.n_items, 2);
    assert_true(says(&f, FINDING_WARNING,
                     "x:1: 'docker.io/a/a:latest' is what a name without a tag means; what it "
                     "stands for changes, name a version"));
    assert_true(says(&f, FINDING_WARNING,
                     "x:2: what 'docker.io/a/b:latest' stands for changes, name a version"));
}

static void warns_of_empty_lists(void **state)
{
    auto_imagelist struct imagelist l = {.n_entries = 0};
    auto_findings struct findings f = {.n_items = 0};

    (void)state;
    assert_int_equal(add(&l, "x", "# nothing\n", &f), 0);
    assert_true(says(&f, FINDING_WARNING, "x: no image is named in it"));
}

static void refuses_other_encodings(void **state)
{
    static const char utf16[] = "\xff\xfe"
                                "a\0:\0001\0";
    auto_imagelist struct imagelist l = {.n_entries = 0};
    auto_findings struct findings f = {.n_items = 0};
    auto_err struct err *e = NULL;

    (void)state;
    assert_int_equal(imagelist_add_text(&l, "x", utf16, sizeof(utf16) - 1, &f, &e), -EINVAL);
    assert_string_equal(err_text(e), "'x' is UTF-16 text; save it as UTF-8");
    assert_int_equal(imagelist_add_text(&l, "x", "a\0b", 3, &f, NULL), 0);
    assert_true(says(&f, FINDING_ERROR, "x:1: holds a NUL byte"));
}

static void keeps_bounds(void **state)
{
    auto_imagelist struct imagelist l = {.n_entries = 0};
    auto_findings struct findings f = {.n_items = 0};
    auto_free char *large = xcalloc(IMAGELIST_MAX_SIZE + 1, 1);
    auto_err struct err *e = NULL;

    (void)state;
    memset(large, '#', IMAGELIST_MAX_LINE + 1);
    assert_int_equal(imagelist_add_text(&l, "x", large, IMAGELIST_MAX_LINE, &f, NULL), 0);
    assert_int_equal(f.count[FINDING_ERROR], 0);
    assert_int_equal(imagelist_add_text(&l, "x", large, IMAGELIST_MAX_LINE + 1, &f, NULL), 0);
    assert_true(says(&f, FINDING_ERROR, "x:1: longer than 1024 bytes"));
    memset(large, '#', IMAGELIST_MAX_SIZE);
    for (size_t i = 1000; i < IMAGELIST_MAX_SIZE; i += 1000)
        large[i] = '\n';
    assert_int_equal(imagelist_add_text(&l, "x", large, IMAGELIST_MAX_SIZE, &f, NULL), 0);
    assert_int_equal(imagelist_add_text(&l, "x", large, IMAGELIST_MAX_SIZE + 1, &f, &e), -EINVAL);
}

static void bounds_the_number_of_images(void **state)
{
    auto_imagelist struct imagelist l = {.n_entries = 0};
    auto_findings struct findings f = {.n_items = 0};
    auto_buf struct buf text;

    (void)state;
    buf_init(&text, IMAGELIST_MAX_SIZE);
    for (int i = 0; i < IMAGELIST_MAX_IMAGES + 300; i++)
        (void)buf_addf(&text, "r/i%d:1\n", (i * 7919) % 20011);
    assert_int_equal(add(&l, "x", text.data, &f), 0);
    assert_int_equal(l.n_entries, IMAGELIST_MAX_IMAGES);
    assert_int_equal(f.count[FINDING_ERROR], 300);
    assert_true(says(&f, FINDING_ERROR, "x:10001: more than 10000 images"));
    assert_int_equal(f.n_items, FINDINGS_KEPT);
    for (size_t i = 0; i < l.n_entries; i++)
        assert_ptr_equal(imagelist_find(&l, l.entries[i]->name), l.entries[i]);
    assert_null(imagelist_find(&l, "docker.io/r/i99999:1"));
}

static void reads_files(void **state)
{
    char path[] = "/tmp/test_imagelist.XXXXXX";
    int fd = mkstemp(path), saved = dup(STDIN_FILENO);
    auto_imagelist struct imagelist l = {.n_entries = 0};
    auto_findings struct findings f = {.n_items = 0};
    auto_err struct err *e = NULL;

    (void)state;
    assert_true(fd >= 0 && saved >= 0);
    assert_int_equal(write(fd, "a/b:1\nX:1", 9), 9);
    assert_int_equal(imagelist_add_file(&l, path, &f, NULL), 0);
    assert_int_equal(l.n_entries, 1);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    assert_int_equal(imagelist_add_file(&l, "-", &f, NULL), 0);
    assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    assert_true(says(&f, FINDING_ERROR,
                     "standard input:2: image reference 'X:1': repository name must be "
                     "lowercase"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(imagelist_add_file(&l, path, &f, &e), -ENOENT);
    assert_non_null(strstr(err_text(e), path));
    (void)close(fd);
    (void)close(saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_every_form_of_text),
        cmocka_unit_test(names_every_bad_line),
        cmocka_unit_test(drops_repeats),
        cmocka_unit_test(refuses_two_meanings_of_a_tag),
        cmocka_unit_test(warns_of_latest),
        cmocka_unit_test(warns_of_empty_lists),
        cmocka_unit_test(refuses_other_encodings),
        cmocka_unit_test(keeps_bounds),
        cmocka_unit_test(bounds_the_number_of_images),
        cmocka_unit_test(reads_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
