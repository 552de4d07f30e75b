/* A program that should not have run: says so in the file named by $RAN and ends with 99. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *name = getenv("RAN");

    if (name != NULL && argc > 0) {
        int fd = open(name, O_WRONLY | O_CREAT | O_APPEND, 0666);
        char line[4096];
        int length = snprintf(line, sizeof line, "%s\n", argv[0]);

        if (fd < 0 || write(fd, line, (size_t)length) != length)
            return 98;
    }
    return 99;
}
