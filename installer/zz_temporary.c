/* temporary: weak definitions until the modules are there */
#include "schema1.h"
#include "cli.h"
#include <errno.h>
#pragma weak schema1_parse
#pragma weak schema1_free
#pragma weak schema1_render
#pragma weak schema1_documents_release
#pragma weak cmd_images_load
#pragma weak cmd_images_push
#pragma weak cmd_images_ls
#pragma weak cmd_registry_login
#pragma weak cmd_registry_logout
int schema1_parse(const char *b, size_t l, struct schema1 *o, struct err **e) { (void)b; (void)l; (void)o; return err_set(e, -ENOSYS, "schema 1"); }
void schema1_free(struct schema1 *s) { (void)s; }
int schema1_render(const struct schema1 *s, const char (*d)[DIGEST_SIZE], struct schema1_documents *o, struct err **e) { (void)s; (void)d; (void)o; return err_set(e, -ENOSYS, "schema 1"); }
void schema1_documents_release(struct schema1_documents *d) { (void)d; }
int cmd_images_load(int c, char **v) { (void)c; (void)v; return 1; }
int cmd_images_push(int c, char **v) { (void)c; (void)v; return 1; }
int cmd_images_ls(int c, char **v) { (void)c; (void)v; return 1; }
int cmd_registry_login(int c, char **v) { (void)c; (void)v; return 1; }
int cmd_registry_logout(int c, char **v) { (void)c; (void)v; return 1; }
#include "yamlimages.h"
#pragma weak yamlimages_add
#pragma weak yamlimages_crosscheck
#pragma weak yamlimages_release
void yamlimages_add(struct yamlimages *y, const char *file, const char *text, size_t len, struct findings *f) { (void)y; (void)file; (void)text; (void)len; (void)f; }
void yamlimages_crosscheck(const struct yamlimages *y, const struct imagelist *list, bool a, struct findings *f) { (void)y; (void)list; (void)a; (void)f; }
void yamlimages_release(struct yamlimages *y) { (void)y; }
