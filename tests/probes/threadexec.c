/* Executes its arguments from a thread that is not the leader, while another opens files. */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static void *execute(void *arguments)
{
    usleep(10000);
    execv(((char **)arguments)[0], arguments);
    return NULL;
}

static void *look(void *unused)
{
    for (;;) {
        int fd = open("looked-at", O_RDONLY);
        if (fd >= 0)
            close(fd);
    }
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t threads[2];

    (void)argc;
    pthread_create(&threads[0], NULL, look, NULL);
    pthread_create(&threads[1], NULL, execute, argv + 1);
    pause();
    return 1;
}
