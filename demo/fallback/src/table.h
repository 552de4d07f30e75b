#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>

#include "arena.h"

/* A place where a word stands. */
struct place {
    struct place *next;
    unsigned line;
};

struct word {
    struct word *next;
    const char *text;
    unsigned long hash, count;
    struct place *first, **last;
};

/* Words by text. */
struct table {
    struct arena *arena;
    struct word **buckets;
    size_t size, words;
};

void table_start(struct table *table, struct arena *arena);
void table_add(struct table *table, const char *text, size_t length, unsigned line);
void table_each(const struct table *table, void (*visit)(struct word *, void *), void *context);

#endif
