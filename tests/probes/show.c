/* Prints the path of its own image and its arguments, each ended by a NUL. */
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path);

    if (length < 0)
        return 1;
    fwrite(path, 1, (size_t)length, stdout);
    putchar('\0');
    for (int i = 0; i < argc; i++)
        fwrite(argv[i], 1, __builtin_strlen(argv[i]) + 1, stdout);
    return 0;
}
