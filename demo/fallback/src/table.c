#include "table.h"

#include <string.h>

static unsigned long hash_of(const char *text, size_t length)
{
    unsigned long hash = 14695981039346656037ul; /* FNV-1a */

    while (length--)
        hash = (hash ^ (unsigned char)*text++) * 1099511628211ul;
    return hash;
}

static struct word **make_buckets(struct arena *arena, size_t size)
{
    struct word **buckets = arena_get(arena, size * sizeof *buckets);

    memset(buckets, 0, size * sizeof *buckets);
    return buckets;
}

void table_start(struct table *table, struct arena *arena)
{
    table->arena = arena;
    table->size = 256;
    table->words = 0;
    table->buckets = make_buckets(arena, table->size);
}

static void grow(struct table *table)
{
    size_t size = table->size * 2;
    struct word **buckets = make_buckets(table->arena, size);

    for (size_t i = 0; i < table->size; i++) {
        struct word *word = table->buckets[i];

        while (word) {
            struct word *next = word->next;
            struct word **bucket = &buckets[word->hash & (size - 1)];

            word->next = *bucket;
            *bucket = word;
            word = next;
        }
    }
    table->buckets = buckets;
    table->size = size;
}

void table_add(struct table *table, const char *text, size_t length, unsigned line)
{
    unsigned long hash = hash_of(text, length);
    struct word *word = table->buckets[hash & (table->size - 1)];
    struct place *place;

    while (word && (word->hash != hash || strncmp(word->text, text, length) || word->text[length]))
        word = word->next;
    if (!word) {
        struct word **bucket;

        if (table->words == table->size)
            grow(table);
        bucket = &table->buckets[hash & (table->size - 1)];
        word = arena_get(table->arena, sizeof *word);
        *word = (struct word){.next = *bucket, .hash = hash};
        word->text = arena_text(table->arena, text, length);
        word->last = &word->first;
        *bucket = word;
        table->words++;
    }
    place = arena_get(table->arena, sizeof *place);
    place->next = NULL;
    place->line = line;
    *word->last = place;
    word->last = &place->next;
    word->count++;
}

void table_each(const struct table *table, void (*visit)(struct word *, void *), void *context)
{
    for (size_t i = 0; i < table->size; i++)
        for (struct word *word = table->buckets[i]; word; word = word->next)
            visit(word, context);
}
