/* Starts the program argv[1] by way of the shell, as system(3) and popen(3) do, and prints its exit
 * status each time. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    int status = system(argv[1]);
    FILE *stream = popen(argv[1], "r");

    if (stream == NULL)
        return 1;
    printf("%d %d\n", WEXITSTATUS(status), WEXITSTATUS(pclose(stream)));
    return 0;
}
