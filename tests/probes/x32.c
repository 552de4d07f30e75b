/* Makes one system call of the x32 kind (getpid); ends with 0 whether the kernel has it or not. */
#include <unistd.h>

int main(void)
{
    syscall(0x40000000 + 39);
    return 0;
}
