#ifndef READER_H
#define READER_H

#include <stdio.h>

#include "table.h"

/* Add every word of the file, in lower case, to the table.  Returns the number of lines. */
unsigned reader_run(FILE *file, struct table *table);

#endif
