/* truth_check: how close the law comes to the engine, per family; exit 7 when a bound is broken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "truth_tally.h"

enum { FILES_MAX = 8 };

static int usage(void)
{
    fputs(
        "usage: truth_check --rows FILE.jsonl[.gz]... [--models DIR] [--only MODEL] [--with TEXT]\n"
        "                   [--static | --quick] [--verbose] [--most N]\n",
        stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct truth_options opt = {0};
    const char *files[FILES_MAX];
    int n_files = 0, rc = 0;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool takes = true;
        if (strcmp(argv[i], "--rows") == 0 && value && n_files < FILES_MAX)
            files[n_files++] = value;
        else if (strcmp(argv[i], "--models") == 0 && value)
            opt.models = value;
        else if (strcmp(argv[i], "--only") == 0 && value)
            opt.only = value;
        else if (strcmp(argv[i], "--with") == 0 && value)
            opt.setting = value;
        else if (strcmp(argv[i], "--most") == 0 && value)
            opt.most_listed = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--static") == 0)
            opt.static_only = true, takes = false;
        else if (strcmp(argv[i], "--quick") == 0)
            opt.quick = true, takes = false;
        else if (strcmp(argv[i], "--verbose") == 0)
            opt.verbose = true, takes = false;
        else
            return usage();
        i += takes;
    }
    if (n_files == 0)
        return usage();
    for (int i = 0; i < n_files; i++) {
        own(own_arena) struct arena arena = {.limit_bytes = (size_t)2 << 30};
        struct truth_row *rows;
        struct truth_tally tally;
        size_t n;
        if (!truth_rows_read(files[i], &arena, &rows, &n) ||
            !truth_run(rows, n, &opt, &arena, &tally))
            return 1;
        truth_print(&tally, opt.static_only);
        if (!truth_holds(&tally.total, opt.static_only))
            rc = 7;
    }
    return rc;
}
