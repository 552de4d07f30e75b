/* The installed command: Python, told which signals its caller ignores.
 *
 * Python ignores SIGPIPE and SIGXFSZ at its start and forgets how they were; the command of a
 * session must be given them as they were.  What it is told is an option of the interpreter, so
 * that arguments and environment stay the caller's: `sys._xoptions["ignored"]`, in hexadecimal,
 * bit N-1 for signal N.
 *
 * cc -DPYTHON='"..."' -DMAIN='"..."'
 *
 * -I -S: neither the caller's PYTHON* variables nor his site-packages reach a program that root
 * runs, and neither does the time that processing site-packages takes.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static char ignored[] = "ignored=0000000000000000";
    char *words[argc + 6];
    unsigned long long mask = 0;
    for (int number = 1; number < 65; number++) {
        struct sigaction action;
        if (!sigaction(number, NULL, &action) && action.sa_handler == SIG_IGN)
            mask |= 1ULL << (number - 1);
    }
    for (char *digit = ignored + sizeof ignored - 2; mask; mask >>= 4)
        *digit-- = "0123456789abcdef"[mask & 15];
    words[0] = PYTHON;
    words[1] = "-IS";
    words[2] = "-X";
    words[3] = ignored;
    words[4] = MAIN;
    memcpy(words + 5, argv + 1, argc * sizeof *argv);
    execv(PYTHON, words);
    perror("pcache: " PYTHON);
    return 125;
}
