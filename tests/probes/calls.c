/* Makes the system calls its arguments describe, one after another; ends with 0.
 *
 * An argument is `NUMBER,ARG,ARG...`.  An ARG is a letter and what follows it:
 *   i    an integer
 *   r    the result of an earlier call, by its position from 0
 *   s    a string or structure, in hexadecimal (a NUL is added)
 *   b    a zeroed buffer of so many bytes
 *   v    an iovec array: pieces in hexadecimal, separated by `:`
 *   a    an array of strings ended by a null pointer, the same way
 * An argument `-` forks: the calls up to the next `-` are made by a child that is waited for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t length;

static char *hex(const char *text, size_t size)
{
    char *bytes = calloc(size / 2 + 1, 1);

    for (length = 0; length < size / 2; length++) {
        char digits[3] = {text[2 * length], text[2 * length + 1], 0};
        bytes[length] = (char)strtol(digits, NULL, 16);
    }
    return bytes;
}

static long pieces(char *text, int vectors)
{
    static char *strings[4096];
    static struct iovec iovecs[4096];
    int n = 0;

    for (char *piece = strsep(&text, ":"); piece != NULL; piece = strsep(&text, ":")) {
        strings[n] = hex(piece, strlen(piece));
        iovecs[n].iov_base = strings[n];
        iovecs[n++].iov_len = length;
    }
    strings[n] = NULL;
    return vectors ? (long)iovecs : (long)strings;
}

int main(int argc, char **argv)
{
    static long results[1024];
    int parent = 1;

    for (int i = 1; i < argc; i++) {
        long arguments[7] = {0};
        int n = 0;

        if (strcmp(argv[i], "-") == 0) {
            if (!parent)
                return 0;
            if (fork() == 0) {
                parent = 0;
                continue;
            }
            wait(NULL);
            while (++i < argc && strcmp(argv[i], "-") != 0)
                ;
            continue;
        }
        for (char *word = strsep(&argv[i], ","); word != NULL; word = strsep(&argv[i], ",")) {
            char *rest = word + 1;
            switch (n == 0 ? 'n' : word[0]) {
            case 'n': arguments[n++] = atol(word); break;
            case 'i': arguments[n++] = atol(rest); break;
            case 'r': arguments[n++] = results[atoi(rest)]; break;
            case 's': arguments[n++] = (long)hex(rest, strlen(rest)); break;
            case 'b': arguments[n++] = (long)calloc((size_t)atol(rest), 1); break;
            case 'v': arguments[n++] = pieces(rest, 1); break;
            case 'a': arguments[n++] = pieces(rest, 0); break;
            }
        }
        results[i - 1] = syscall(arguments[0], arguments[1], arguments[2], arguments[3],
                                 arguments[4], arguments[5], arguments[6]);
        if (results[i - 1] < 0)
            results[i - 1] = -errno;
    }
    return 0;
}
