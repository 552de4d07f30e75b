/* Starts without a C library: its first system call writes to stdout, its second ends it.
 * Compile with -nostdlib -static. */
void _start(void)
{
    long result;

    __asm__ volatile("syscall" : "=a"(result) : "a"(1L), "D"(1L), "S"("hello\n"), "d"(6L)
                     : "rcx", "r11", "memory");
    __asm__ volatile("syscall" : "=a"(result) : "a"(231L), "D"(0L) : "rcx", "r11", "memory");
    __builtin_unreachable();
}
