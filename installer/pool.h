#pragma once
/*
 * A bounded pool: `jobs` threads run fn(arg, worker, task) for each task 0..count-1, in order of
 * their numbers. Returns when all have run.
 */
#include <stddef.h>

#define POOL_MAX_JOBS 64

/* A task that returns a negative number stops the pool: running tasks finish, waiting ones do not
 * start; that number is returned, else 0. `worker` is 0..jobs-1, one thread each. */
int pool_run(size_t jobs, size_t count, int (*fn)(void *arg, size_t worker, size_t task),
             void *arg);
/* Number of processors this process may use, at least 1. */
size_t pool_default_jobs(void);
