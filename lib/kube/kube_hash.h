#pragma once
/*
 * uthash with a hash function that clang compiles without a warning (that of the default falls
 * through its cases), and with our way of running out of memory.
 */
#include "mem.h"

#define HASH_FUNCTION HASH_FNV
#define uthash_malloc(size) xmalloc(size)
#include <uthash.h>
