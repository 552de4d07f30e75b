#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "parts.h"

int part1(int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += (i * 4) % 7;
    printf("part 1: %d\n", sum);
    return sum;
}
