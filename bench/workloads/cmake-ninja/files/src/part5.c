#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "parts.h"

int part5(int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += (i * 8) % 7;
    printf("part 5: %d\n", sum);
    return sum;
}
