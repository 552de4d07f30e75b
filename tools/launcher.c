/* The installed command: Python, told which signals its caller ignores.
 *
 * Python ignores SIGPIPE and SIGXFSZ at its start and forgets how they were; the command of a
 * session must be given them as they were.  What it is told is an option of the interpreter, so
 * that arguments and environment stay the caller's: `sys._xoptions["ignored"]`, in hexadecimal,
 * bit N-1 for signal N.
 *
 * cc -DPYTHON='"..."' -DMAIN='"..."'
 *
 * Until Python can be told, its answer to SIGINT would be a traceback: so it waits (-X held), and
 * pcache.cli.main takes it in, and with the kernel's default action, before it does anything else.
 *
 * A directory in the place of stdin, stdout or stderr keeps Python from starting: such a descriptor
 * is handed over by another number (-X fdN=NUMBER), from which pcache.cli.main takes it back.
 *
 * Where there is less of something than Python takes to get as far as pcache's own way out, a command
 * that pcache was to run is run by the launcher itself, without pcache.
 *
 * -I -S: neither the caller's PYTHON* variables nor his site-packages reach a program that root
 * runs, and neither does the time that processing site-packages takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define STANDARD 3 /* descriptors of which Python makes streams */

/* Puts /dev/null in the place of a descriptor that is a directory; the option that tells where it is
 * now, or NULL if it is none. */
static const char *set_aside(int fd) {
    static char options[STANDARD][sizeof "fd0=" + 11];
    struct stat status;
    int aside, null;
    if (fstat(fd, &status) || !S_ISDIR(status.st_mode)) return NULL;
    aside = fcntl(fd, F_DUPFD, STANDARD);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (aside < 0 || null < 0) return NULL;
    dup2(null, fd);
    close(null);
    snprintf(options[fd], sizeof *options, "fd%d=%d", fd, aside);
    return options[fd];
}

/* Below these Python, or what pcache imports, was seen to fail (22 MiB of memory, 6 descriptors). */
static const struct { int resource; rlim_t least; const char *name; } NEEDS[] = {
    {RLIMIT_AS, 48 << 20, "address space (ulimit -v)"},
    {RLIMIT_DATA, 48 << 20, "memory (ulimit -d)"},
    {RLIMIT_NOFILE, 10, "descriptors (ulimit -n)"},
};

/* What there is too little of; NULL if nothing. */
static const char *shortage(void) {
    for (size_t i = 0; i < sizeof NEEDS / sizeof *NEEDS; i++) {
        struct rlimit limit;
        if (!getrlimit(NEEDS[i].resource, &limit) && limit.rlim_cur < NEEDS[i].least)
            return NEEDS[i].name;
    }
    return NULL;
}

static int is_one_of(const char *word, const char *const *words) {
    while (*words && strcmp(word, *words)) words++;
    return *words != NULL;
}

/* The command, where one is to be run and no option forbids to run it without pcache. */
static char **command_of(char **words) {
    static const char *const VERBS[] = {"run", "trace", "replay", NULL};
    static const char *const OPTIONS[] = {"-q", "--quiet", "-v", "--verbose", "--explain",
                                          "--timing", "--no-progress", NULL};
    if (!*words || !is_one_of(*words++, VERBS)) return NULL;
    while (*words && is_one_of(*words, OPTIONS)) words++;
    if (*words && !strcmp(*words, "--")) words++;
    return *words && **words != '-' ? words : NULL;
}

/* For somebody who called sudo the command would be root's. */
static int is_for_another(void) { return !geteuid() && getenv("SUDO_UID"); }

static int run_plainly(char **command, const char *missing) {
    dprintf(2, "pcache: not enough %s: the command runs without pcache\n", missing);
    execvp(*command, command);
    int error = errno;
    dprintf(2, "pcache: %s: %s\n", *command, strerror(error));
    return error == ENOENT ? 127 : 126;
}

int main(int argc, char **argv) {
    const char *missing = shortage();
    char **command = missing && argc ? command_of(argv + 1) : NULL;
    if (command && !is_for_another()) return run_plainly(command, missing);
    static char ignored[] = "ignored=0000000000000000";
    const char *words[argc + 8 + 2 * STANDARD];
    int count = 0;
    sigset_t before, interrupt;
    unsigned long long mask = 0;
    for (int number = 1; number < 65; number++) {
        struct sigaction action;
        if (!sigaction(number, NULL, &action) && action.sa_handler == SIG_IGN)
            mask |= 1ULL << (number - 1);
    }
    int ignores_interrupt = mask >> (SIGINT - 1) & 1;
    for (char *digit = ignored + sizeof ignored - 2; mask; mask >>= 4)
        *digit-- = "0123456789abcdef"[mask & 15];
    words[count++] = PYTHON;
    words[count++] = "-IS";
    words[count++] = "-X";
    words[count++] = ignored;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    if (!ignores_interrupt && !sigprocmask(SIG_BLOCK, &interrupt, &before) &&
        !sigismember(&before, SIGINT)) {
        words[count++] = "-X";
        words[count++] = "held";
    }
    for (int fd = 0; fd < STANDARD; fd++) {
        const char *option = set_aside(fd);
        if (!option) continue;
        words[count++] = "-X";
        words[count++] = option;
    }
    words[count++] = MAIN;
    memcpy(words + count, argv + 1, argc * sizeof *argv);
    execv(PYTHON, (char **)words);
    perror("pcache: " PYTHON);
    return 125;
}
