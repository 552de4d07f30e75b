#ifndef REPORT_H
#define REPORT_H

#include <stdio.h>

#include "table.h"

/* Print every word with its count and the lines on which it stands. */
void report_print(const struct table *table, FILE *file);

#endif
