#include "reader.h"

#include <ctype.h>

enum { LONGEST = 255 };

unsigned reader_run(FILE *file, struct table *table)
{
    char text[LONGEST];
    size_t length = 0;
    unsigned line = 1;
    int c;

    do {
        c = getc(file);
        if (c != EOF && isalnum(c)) {
            if (length < LONGEST)
                text[length++] = (char)tolower(c);
            continue;
        }
        if (length)
            table_add(table, text, length, line);
        length = 0;
        line += c == '\n';
    } while (c != EOF);
    return line - 1;
}
