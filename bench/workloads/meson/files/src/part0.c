#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "parts.h"

int part0(int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += (i * 3) % 7;
    printf("part 0: %d\n", sum);
    return sum;
}
