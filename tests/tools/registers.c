/*
 * registers ROUNDS: do the registers of SSE and AVX outlive what the kernel does in between? Three
 * processes take turns. Each fills two registers, lets page faults, a system call, a change of its
 * mappings or a signal happen, and looks at them again. The exit status is 0, or 1 with a line that
 * says what was lost. Under tests/lab/uml-ptrace.c that is not a matter of course.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 3
#define PAGE 4096

/* The values of two registers, 32 bytes each, of which SSE has the first 16. */
struct values {
    unsigned char bytes[2][32];
};

/* What happens in between: a write to a page, a system call, and another write there. */
struct event {
    long number, args[3];
    volatile char *page;
};

#define ACROSS(move, wide, before, after, e)                                                       \
    do {                                                                                           \
        long number_ = (e)->number;                                                                \
                                                                                                   \
        __asm__ volatile(                                                                          \
            move " (%[in]), %%" wide "3\n\t" move " 32(%[in]), %%" wide "12\n\t"                   \
                 "movb $1, (%[page])\n\tsyscall\n\tmovb $2, (%[page])\n\t" move " %%" wide         \
                 "3, (%[out])\n\t" move " %%" wide "12, 32(%[out])"                                \
            : "+a"(number_)                                                                        \
            : [in] "r"((before)->bytes), [out] "r"((after)->bytes), [page] "r"((e)->page),         \
              "D"((e)->args[0]), "S"((e)->args[1]), "d"((e)->args[2])                              \
            : "rcx", "r11", "memory", "xmm3", "xmm12");                                            \
    } while (0)

static void across(bool avx, const struct values *before, struct values *after,
                   const struct event *e)
{
    if (avx)
        ACROSS("vmovups", "ymm", before, after, e);
    else
        ACROSS("movups", "xmm", before, after, e);
}

static void other_values(int signal)
{
    static const struct values ones = {{{1}, {1}}};
    struct values ignored;
    struct event e = {SYS_getppid, {0}, (char *)&ignored};

    (void)signal;
    across(__builtin_cpu_supports("avx"), &ones, &ignored, &e);
}

static struct event nth_event(int n, char *page)
{
    switch (n % 4) {
    case 0:
        return (struct event){SYS_sched_yield, {0}, page};
    case 1:
        return (struct event){SYS_kill, {getpid(), SIGUSR1, 0}, page};
    case 2:
        return (struct event){SYS_mprotect, {(long)page, PAGE, PROT_READ | PROT_WRITE}, page};
    default:
        return (struct event){SYS_madvise, {(long)page, PAGE, MADV_DONTNEED}, page};
    }
}

static int check(int process, int rounds)
{
    for (int n = 0; n < rounds; n++) {
        bool avx = n / 4 % 2 && __builtin_cpu_supports("avx");
        struct values before, after = {{{0}}};
        size_t size = avx ? 32 : 16;
        char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct event e = nth_event(n, page);

        if (page == MAP_FAILED)
            return perror("mmap"), 1;
        memset(before.bytes[0], 1 + process * 80 + n % 80, 32);
        memset(before.bytes[1], 250 - process * 80 - n % 80, 32);
        across(avx, &before, &after, &e);
        for (int i = 0; i < 2; i++) {
            if (memcmp(before.bytes[i], after.bytes[i], size)) {
                printf("process %d, round %d, %s: lost\n", process, n, avx ? "AVX" : "SSE");
                return 1;
            }
        }
        munmap(page, PAGE);
    }
    return 0;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 1000, failed = 0, status;

    signal(SIGUSR1, other_values);
    for (int i = 0; i < PROCESSES; i++) {
        if (fork() == 0)
            exit(check(i, rounds));
    }
    while (wait(&status) > 0)
        failed |= status;
    return failed ? 1 : 0;
}
