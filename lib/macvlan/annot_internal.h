#pragma once
/* Shared by the files of annot only. */
#include "macvlan/annot.h"

#define ANNOT_TEXT_MAX 256 /* bytes of somebody's text in a message */

/*
 * Fills *out and returns `status`. `text` is for the event, `admission` for the webhook, each as in
 * the reference; both are freed here. `mend` is put behind both. NULL for admission: the same text.
 */
int annot_refuse(struct annot_refusal *out, int status, char *text, char *admission,
                 const char *mend);
/* The same for a refusal that has to do with the subnet. */
int annot_refuse_subnet(struct annot_refusal *out, int status, char *text, const char *mend);
