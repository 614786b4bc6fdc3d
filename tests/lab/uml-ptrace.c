/*
 * Loaded into linux.uml 6.1 before its libc (LD_PRELOAD). Both parts are about the registers of the
 * FPU, SSE, AVX and what came later (xstate), of which UML keeps 2696 bytes for each guest process:
 * all up to AVX-512.
 *
 * Processors with AMX have more, and the host's kernel takes nothing but the whole area (EFAULT;
 * xstateregs_set in arch/x86/kernel/fpu/regset.c), so that a guest would end in a panic at its
 * first process. What UML does not keep, its guests cannot use, and zero says so.
 *
 * Speed. At every stop of a guest process UML reads that area, and writes it before the process
 * goes on; for a page fault twice each (userspace() and get_skas_faultinfo() in
 * arch/um/os-Linux/skas/process.c). To write it is dear, for the host's kernel maps and unmaps
 * memory of its own for that. So nothing is read again that is known, or written that is there; and
 * where only the FPU's and SSE's part can differ, only that is written. Nor is the host asked for
 * details of a signal that UML does not look at.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#define XSTATE ((void *)0x202) /* NT_X86_XSTATE */
#define KEPT 2696              /* UML's FP_SIZE */
#define XSTATE_BV 512          /* where the area says which parts are not as at first */
#define LOWER UINT64_C(0x203)  /* FPU, SSE, and PKRU, which guests have no use for */
#define SLOTS 512
#define OLDSETOPTIONS 21 /* PTRACE_OLDSETOPTIONS in asm/ptrace-abi.h */

typedef long ptrace_call(enum __ptrace_request, int, void *, void *);

/* What UML has read or written last. It has one processor, and no call of this begins while another
 * runs. */
static struct registers {
    int pid;
    bool known;    /* bytes are what the process shall go on with */
    bool in_place; /* and it has them */
    bool lower;    /* it has nothing in the upper parts */
    size_t size;
    unsigned char bytes[KEPT];
} slots[SLOTS];
static int last_stop;

static struct registers *registers_of(int pid)
{
    struct registers *r = &slots[pid % SLOTS];

    if (r->pid != pid) {
        r->pid = pid;
        r->known = false;
    }
    return r;
}

static bool has_upper(const struct registers *r)
{
    uint64_t parts;

    memcpy(&parts, r->bytes + XSTATE_BV, sizeof(parts));
    return parts & ~LOWER;
}

static long get_xstate(ptrace_call *call, struct registers *r, struct iovec *part)
{
    if (!r->known) {
        struct iovec all = {.iov_base = r->bytes, .iov_len = sizeof(r->bytes)};

        if (call(PTRACE_GETREGSET, r->pid, XSTATE, &all) < 0)
            return -1;
        r->size = all.iov_len;
        r->known = r->in_place = true;
        r->lower = !has_upper(r);
    }
    if (part->iov_len > r->size)
        part->iov_len = r->size;
    memcpy(part->iov_base, r->bytes, part->iov_len);
    return 0;
}

static long set_xstate(struct registers *r, const struct iovec *part)
{
    size_t size = part->iov_len < KEPT ? part->iov_len : KEPT;

    if (r->known && !memcmp(r->bytes, part->iov_base, size < r->size ? size : r->size))
        return 0;
    if (!r->known)
        r->size = size;
    memcpy(r->bytes, part->iov_base, size);
    r->known = true;
    r->in_place = false;
    return 0;
}

static long write_whole(ptrace_call *call, struct registers *r)
{
    static unsigned char bytes[64 << 10];
    static struct iovec area = {.iov_base = bytes};

    if (!area.iov_len) {
        struct iovec all = {.iov_base = bytes, .iov_len = sizeof(bytes)};

        if (call(PTRACE_GETREGSET, r->pid, XSTATE, &all) < 0)
            return -1;
        area.iov_len = all.iov_len;
    }
    memset(bytes, 0, area.iov_len);
    memcpy(bytes, r->bytes, r->size < area.iov_len ? r->size : area.iov_len);
    return call(PTRACE_SETREGSET, r->pid, XSTATE, &area);
}

static long put_in_place(ptrace_call *call, struct registers *r)
{
    if (!r->known || r->in_place)
        return 0;
    r->in_place = true;
    if (r->lower && !has_upper(r))
        return call(PTRACE_SETFPREGS, r->pid, 0, r->bytes);
    r->lower = !has_upper(r);
    return write_whole(call, r);
}

/* UML's own code in the process: the handler of a signal, before which the kernel empties all
 * parts, or calls for the process, which are made with whatever is there. */
static void ran_stub(struct registers *r, long signal)
{
    r->in_place = false;
    if (signal)
        r->lower = true;
}

pid_t waitpid(pid_t pid, int *status, int options)
{
    pid_t got = wait4(pid, status, options, NULL);

    if (got > 0 && status)
        last_stop = WIFSTOPPED(*status) ? WSTOPSIG(*status) : 0;
    return got;
}

long ptrace(enum __ptrace_request request, ...)
{
    static ptrace_call *call;
    struct registers *r;
    va_list args;
    int pid;
    void *address, *data;

    if (!call)
        *(void **)&call = dlsym(RTLD_NEXT, "ptrace");
    va_start(args, request);
    pid = va_arg(args, int);
    address = va_arg(args, void *);
    data = va_arg(args, void *);
    va_end(args);

    r = registers_of(pid);
    switch ((int)request) {
    case PTRACE_GETREGSET:
        if (address == XSTATE)
            return get_xstate(call, r, data);
        break;
    case PTRACE_SETREGSET:
        if (address == XSTATE)
            return set_xstate(r, data);
        break;
    case PTRACE_GETSIGINFO:
        if (last_stop == SIGSEGV || last_stop == (SIGTRAP | 0x80)) {
            memset(data, 0, sizeof(siginfo_t));
            return 0;
        }
        break;
    case PTRACE_CONT:
        ran_stub(r, (long)data);
        break;
    case PTRACE_SYSEMU:
    case PTRACE_SYSEMU_SINGLESTEP:
    case PTRACE_SYSCALL:
    case PTRACE_SINGLESTEP:
        if (put_in_place(call, r) < 0)
            return -1;
        r->known = false;
        break;
    case PTRACE_SETOPTIONS:
    case OLDSETOPTIONS: /* a new process, maybe with the number of one that is gone */
        r->known = false;
        break;
    default:
        break;
    }
    return call(request, pid, address, data);
}
