#include "report.h"

#include "sort.h"

void report_print(const struct table *table, FILE *file)
{
    for (struct word **word = sort_words(table); *word; word++) {
        unsigned last = 0;

        fprintf(file, "%s %lu:", (*word)->text, (*word)->count);
        for (struct place *place = (*word)->first; place; place = place->next) {
            if (place->line != last)
                fprintf(file, " %u", place->line);
            last = place->line;
        }
        putc('\n', file);
    }
}
