#pragma once
/*
 * Reading JSON that other programs read too. docker and containerd decode with Go, which matches
 * members in any case and keeps the last of several; cJSON gives the first. A document on which
 * the two would disagree is refused, so that what was checked here is what is run there.
 */
#include "json.h"

/* Each of `names` (NULL-terminated, at most 32) is at most once in `obj`, and in no other case;
 * -EBADMSG otherwise. What is no object has no members. */
int json_check_members(const cJSON *obj, const char *const *names, struct err **e);

/* A string member, "" where it is absent or null; -EBADMSG for any other type. Borrowed. */
int json_get_text(const cJSON *obj, const char *name, const char **out_text, struct err **e);
