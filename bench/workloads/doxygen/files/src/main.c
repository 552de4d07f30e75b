#include "parts.h"

int main(void)
{
    int sum = 0;
    sum += part0(10);
    sum += part1(11);
    sum += part2(12);
    sum += part3(13);
    return sum == 0;
}
