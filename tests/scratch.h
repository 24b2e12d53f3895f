/* scratch: takes a test's temporary folder away again. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <ftw.h>
#include <stdio.h>

static inline int scratch_drop(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

/* Removes the folder and all that is in it. */
static inline void scratch_remove(const char *folder)
{
    nftw(folder, scratch_drop, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
