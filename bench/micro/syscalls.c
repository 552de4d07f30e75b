/* Makes one kind of system call many times, each on one of 1000 paths, and prints how many
   nanoseconds one took: syscalls KIND COUNT */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void call(const char *kind, const char *present, const char *absent)
{
    char data[256];
    struct stat st;
    if (!strcmp(kind, "getppid")) {
        syscall(SYS_getppid);
    } else if (!strcmp(kind, "access")) {
        (void)!access(absent, F_OK);
    } else if (!strcmp(kind, "stat")) {
        (void)!stat(present, &st);
    } else if (!strcmp(kind, "readlink")) {
        (void)!readlink(present, data, sizeof data);
    } else if (!strcmp(kind, "open")) {
        close(open(present, O_RDONLY));
    } else if (!strcmp(kind, "read")) {
        static int fd = -1;
        if (fd < 0)
            fd = open(present, O_RDONLY);
        (void)!pread(fd, data, sizeof data, 0);
    } else if (!strcmp(kind, "create")) {
        close(open(absent, O_WRONLY | O_CREAT, 0600));
        unlink(absent);
    } else {
        exit(2);
    }
}

int main(int argc, char **argv)
{
    char present[64], absent[64];
    if (argc != 3)
        return 2;
    for (int i = 0; i < 1000; i++) {
        snprintf(present, sizeof present, "present%d", i);
        int fd = open(present, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        (void)!write(fd, present, sizeof present);
        close(fd);
    }
    int count = atoi(argv[2]);
    double start = now();
    for (int i = 0; i < count; i++) {
        snprintf(present, sizeof present, "present%d", i % 1000);
        snprintf(absent, sizeof absent, "absent%d", i % 1000);
        call(argv[1], present, absent);
    }
    printf("%.1f\n", (now() - start) / count);
    return 0;
}
