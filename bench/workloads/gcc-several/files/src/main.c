#include "parts.h"

int main(void)
{
    int sum = 0;
    sum += part0(10);
    sum += part1(11);
    sum += part2(12);
    sum += part3(13);
    sum += part4(14);
    sum += part5(15);
    return sum == 0;
}
