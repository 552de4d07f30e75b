/* Ends with 0 if the 32-bit system call interface works as usual. */
#include <unistd.h>

int main(void)
{
    long pid;

    __asm__ volatile("int $0x80" : "=a"(pid) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    return pid != getpid();
}
