/*
 * Runs a program and appends "NAME WALL_US CPU_US PEAK_RSS_KIB" to a file; standard input and the
 * environment are passed on. CPU time is that of the program and the children that it waited for.
 *
 *   cni_measure FILE NAME COMMAND...     ends with the status of the command
 */
#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t us_of(struct timeval t)
{
    return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

int main(int argc, char **argv)
{
    struct rusage used;
    int64_t began_us, ended_us;
    pid_t pid;
    FILE *out;
    int status, r;

    if (argc < 4)
        return 2;
    began_us = now_us();
    r = posix_spawnp(&pid, argv[3], NULL, NULL, argv + 3, environ);
    if (r != 0) {
        (void)fprintf(stderr, "cni_measure: '%s': %s\n", argv[3], strerror(r));
        return 2;
    }
    while (wait4(pid, &status, 0, &used) < 0)
        if (errno != EINTR)
            return 2;
    ended_us = now_us();
    out = fopen(argv[1], "ae");
    if (!out ||
        fprintf(out, "%s %lld %lld %ld\n", argv[2], (long long)(ended_us - began_us),
                (long long)(us_of(used.ru_utime) + us_of(used.ru_stime)), used.ru_maxrss) < 0 ||
        fclose(out) != 0)
        return 2;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
