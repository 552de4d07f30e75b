#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "reader.h"
#include "report.h"

static int read_file(const char *name, struct table *table)
{
    FILE *file = fopen(name, "r");

    if (!file) {
        fprintf(stderr, "concordance: %s: %s\n", name, strerror(errno));
        return 1;
    }
    reader_run(file, table);
    fclose(file);
    return 0;
}

int main(int argc, char **argv)
{
    struct arena arena = {0};
    struct table table;
    int failed = 0;

    table_start(&table, &arena);
    if (argc < 2)
        reader_run(stdin, &table);
    for (int i = 1; i < argc; i++)
        failed |= read_file(argv[i], &table);
    report_print(&table, stdout);
    arena_free(&arena);
    return failed;
}
