#include "sort.h"

#include <stdlib.h>
#include <string.h>

static int by_text(const void *left, const void *right)
{
    const struct word *const *a = left, *const *b = right;

    return strcmp((*a)->text, (*b)->text);
}

static void collect(struct word *word, void *context)
{
    struct word ***next = context;

    *(*next)++ = word;
}

struct word **sort_words(const struct table *table)
{
    struct word **words = arena_get(table->arena, (table->words + 1) * sizeof *words);
    struct word **next = words;

    table_each(table, collect, &next);
    *next = NULL;
    qsort(words, table->words, sizeof *words, by_text);
    return words;
}
