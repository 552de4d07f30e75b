#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

/* Memory that is given back all at once. */
struct arena {
    struct arena_block *blocks;
};

/* Never returns NULL: ends the program when memory runs out. */
void *arena_get(struct arena *arena, size_t size);
char *arena_text(struct arena *arena, const char *text, size_t length);
void arena_free(struct arena *arena);

#endif
