/* Makes calls whose arguments the recorder cannot read when they have returned.
 *
 * usage: losing readlink|stat|before PATH   the result is written over the path
 *        losing gone FILE   the call is to open a fifo, whose path FILE begins with
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static char buffer[8192];
static char *fifo;

/* Lets the opening of the fifo return, but drops the page its path was read from before. */
static void *drop(void *page)
{
    usleep(50000);
    madvise(page, 4096, MADV_DONTNEED);
    open(fifo, O_WRONLY);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    strcpy(buffer, argv[2]);
    if (strcmp(argv[1], "readlink") == 0)
        return readlink(buffer, buffer, sizeof buffer) < 0;
    if (strcmp(argv[1], "stat") == 0)
        return syscall(SYS_stat, buffer, buffer) < 0;
    if (strcmp(argv[1], "before") == 0) /* it ends within the path */
        return syscall(SYS_stat, strcpy(buffer + 140, argv[2]), buffer) < 0;
    if (strcmp(argv[1], "gone") == 0) {
        char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, open(argv[2], O_RDONLY), 0);
        pthread_t dropping;

        fifo = strdup(page);
        pthread_create(&dropping, NULL, drop, page);
        open(page, O_RDONLY);
        pthread_join(dropping, NULL);
        return 0;
    }
    return 2;
}
