/* Starts a program in every way there is, many times, and checks each wait status.
 *
 * usage: spawners METHOD PREFIX FIRST LAST SHIFT
 * For N in FIRST..LAST it starts PREFIX-N and expects the wait status N << SHIFT (SHIFT 8: exit
 * status N; SHIFT 0: death by signal N).  Ends with 1 and a line for each wrong status.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char path[4096];
static char *arguments[] = {path, "argument", NULL};

static pid_t by_fork(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        execv(path, arguments);
        _exit(200);
    }
    return pid;
}

static pid_t by_vfork(void)
{
    pid_t pid = vfork();

    if (pid == 0) {
        execv(path, arguments);
        _exit(201);
    }
    return pid;
}

static pid_t by_posix_spawn(void)
{
    pid_t pid;

    return posix_spawn(&pid, path, NULL, NULL, arguments, environ) == 0 ? pid : -1;
}

static pid_t by_path(void)
{
    char directory[4096];
    pid_t pid;

    strcpy(directory, path);
    *strrchr(directory, '/') = '\0';
    setenv("PATH", directory, 1);
    return posix_spawnp(&pid, strrchr(path, '/') + 1, NULL, NULL, arguments, environ) == 0 ? pid : -1;
}

static pid_t by_clone3(void)
{
    struct {
        unsigned long flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } how = {.exit_signal = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, &how, sizeof how);

    if (pid == 0) {
        execv(path, arguments);
        _exit(202);
    }
    return pid;
}

static int run(void *unused)
{
    (void)unused;
    execv(path, arguments);
    _exit(203);
}

static pid_t by_clone_vm(void)
{
    static char stack[1 << 16] __attribute__((aligned(16)));

    return clone(run, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
}

static void *run_thread(void *unused)
{
    run(unused);
    return NULL;
}

static void *rest(void *unused)
{
    for (;;)
        pause();
    return unused;
}

/* The exec comes from a thread that is not the leader; another one sleeps. */
static pid_t by_thread(int leader_spins)
{
    pid_t pid = fork();

    if (pid == 0) {
        pthread_t resting, running;

        pthread_create(&resting, NULL, rest, NULL);
        pthread_create(&running, NULL, run_thread, NULL);
        for (;;) {
            if (leader_spins)
                sched_yield();
            else
                pause();
        }
    }
    return pid;
}

static pid_t by_thread_leader_sleeps(void)
{
    return by_thread(0);
}

static pid_t by_thread_leader_spins(void)
{
    return by_thread(1);
}

static pid_t by_thread_leader_gone(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        pthread_t running;

        pthread_create(&running, NULL, run_thread, NULL);
        syscall(SYS_exit, 0);
    }
    return pid;
}

static pid_t by_fexecve(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        fexecve(open(path, O_PATH | O_CLOEXEC), arguments, environ);
        _exit(204);
    }
    return pid;
}

static pid_t by_execveat(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        char *name = strrchr(path, '/');

        *name = '\0';
        int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        *name = '/';
        syscall(SYS_execveat, directory, name + 1, arguments, environ, 0);
        _exit(205);
    }
    return pid;
}

static void nothing(int signal)
{
    (void)signal;
}

/* Signals with a handler that restarts calls keep coming while the exec is decided.  SIGURG, because
 * the new image has no handler any more, and the default must not kill it. */
static pid_t under_signals(void)
{
    sigset_t blocked, before;
    pid_t pid;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGURG);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    pid = fork();
    if (pid == 0) {
        struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};

        sigaction(SIGURG, &action, NULL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        execv(path, arguments);
        _exit(206);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    for (int i = 0; i < 40; i++) {
        usleep(20);
        kill(pid, SIGURG);
    }
    return pid;
}

static const struct {
    const char *name;
    pid_t (*start)(void);
} methods[] = {
    {"fork", by_fork},
    {"vfork", by_vfork},
    {"posix_spawn", by_posix_spawn},
    {"posix_spawnp", by_path},
    {"clone3", by_clone3},
    {"clone_vm", by_clone_vm},
    {"thread_leader_sleeps", by_thread_leader_sleeps},
    {"thread_leader_spins", by_thread_leader_spins},
    {"thread_leader_gone", by_thread_leader_gone},
    {"fexecve", by_fexecve},
    {"execveat", by_execveat},
    {"signals", under_signals},
};

int main(int argc, char **argv)
{
    int wrong = 0, found = 0;

    if (argc != 6)
        return 2;
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        if (strcmp(methods[m].name, argv[1]) != 0)
            continue;
        found = 1;
        for (int n = atoi(argv[3]); n <= atoi(argv[4]); n++) {
            int status = -1;
            pid_t pid;

            snprintf(path, sizeof path, "%s-%d", argv[2], n);
            pid = methods[m].start();
            if (pid < 0 || waitpid(pid, &status, 0) != pid || status != n << atoi(argv[5])) {
                printf("%s: %s gave %#x\n", argv[1], path, (unsigned)status);
                wrong = 1;
            }
        }
    }
    return found ? wrong : 2;
}
