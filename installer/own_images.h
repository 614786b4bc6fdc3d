#pragma once
/* The images of flatnet itself, which come with the program and are in no registry. */

/*
 * The OCI layout that belongs to the running program: ../images, where `make images` puts it beside
 * dist/linux-ARCH, or ../share/flatnet/images, where `make install` does. NULL: neither is there.
 * To be freed.
 */
char *own_images_folder(void);
