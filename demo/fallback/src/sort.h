#ifndef SORT_H
#define SORT_H

#include "table.h"

/* The words of the table in alphabetical order, in its arena. */
struct word **sort_words(const struct table *table);

#endif
