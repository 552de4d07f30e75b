#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "parts.h"

int part4(int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += (i * 7) % 7;
    printf("part 4: %d\n", sum);
    return sum;
}
