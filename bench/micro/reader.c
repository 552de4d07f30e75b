/* Reads files 0, 1, ... of a folder, as many as said: reader FOLDER COUNT [IGNORED...] */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char path[4096], byte[64];
    if (argc < 3)
        return 2;
    for (int i = 0; i < atoi(argv[2]); i++) {
        snprintf(path, sizeof path, "%s/%d", argv[1], i);
        int fd = open(path, O_RDONLY);
        if (fd < 0 || read(fd, byte, sizeof byte) < 0)
            return 1;
        close(fd);
    }
    return 0;
}
