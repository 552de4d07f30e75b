#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "parts.h"

int part3(int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += (i * 6) % 7;
    printf("part 3: %d\n", sum);
    return sum;
}
