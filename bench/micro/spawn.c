/* Runs a program a number of times, one after another: spawn COUNT PROGRAM [ARG...]
   A fresh argument, the number, is appended to each call if the environment has FRESH. */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 30)
        return 2;
    char number[16];
    char *call[32] = { 0 };
    for (int i = 2; i < argc; i++)
        call[i - 2] = argv[i];
    if (getenv("FRESH"))
        call[argc - 2] = number;
    for (int i = 0; i < atoi(argv[1]); i++) {
        snprintf(number, sizeof number, "%d", i);
        pid_t pid;
        int status;
        if (posix_spawn(&pid, argv[2], NULL, NULL, call, environ))
            return 126;
        if (waitpid(pid, &status, 0) != pid || status)
            return 1;
    }
    return 0;
}
