/* Starts a program by clone3(2) and ends with its status.
 *
 * usage: clone3 FLAGS CGROUP PROGRAM ARG...
 * FLAGS: hexadecimal, beside the signal SIGCHLD.  CGROUP: the directory for CLONE_INTO_CGROUP.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define INTO_CGROUP 0x200000000UL

/* Inlined: a child that shares memory must not return over its parent's stack. */
static inline __attribute__((always_inline)) long clone3(const void *how, size_t size)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"((long)SYS_clone3), "D"(how), "S"(size)
                     : "rcx", "r11", "memory");
    return result;
}

int main(int argc, char **argv)
{
    struct {
        unsigned long flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
        unsigned long set_tid, set_tid_size, cgroup;
    } how = {.exit_signal = SIGCHLD};
    int status;

    if (argc < 4)
        return 2;
    how.flags = strtoul(argv[1], NULL, 16);
    if (how.flags & INTO_CGROUP)
        how.cgroup = (unsigned long)open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC);

    long pid = clone3(&how, sizeof how);

    if (pid == 0) {
        execv(argv[3], argv + 3);
        _exit(126);
    }
    if (pid < 0 || waitpid((pid_t)pid, &status, 0) != pid)
        return 125;
    return WEXITSTATUS(status);
}
