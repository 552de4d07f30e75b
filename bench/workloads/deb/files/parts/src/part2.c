#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "parts.h"

int part2(int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += (i * 5) % 7;
    printf("part 2: %d\n", sum);
    return sum;
}
