/* share: largest remainder. */
#include "base/share.h"

#include <math.h>

static void keep_small(const double *parts, int n, double cell, int *cells)
{
    for (int i = 0; i < n; i++) {
        int longest = 0;
        if (cells[i] || parts[i] < cell / 4)
            continue;
        for (int k = 1; k < n; k++)
            longest = cells[k] > cells[longest] ? k : longest;
        cells[longest] -= cells[longest] > 1;
        cells[i]++;
    }
}

void share_cells(const double *parts, int n, double cell, int *cells)
{
    double all = 0, rest[SHARE_PARTS_MAX];
    int given = 0;
    for (int i = 0; i < n; i++)
        all += parts[i];
    int total = (int)lround(all / cell);
    for (int i = 0; i < n; i++) {
        double exact = parts[i] / cell;
        cells[i] = (int)exact;
        rest[i] = exact - cells[i];
        given += cells[i];
    }
    for (; given < total; given++) {
        int best = 0;
        for (int i = 1; i < n; i++)
            best = rest[i] > rest[best] ? i : best;
        cells[best]++;
        rest[best] = -1;
    }
    keep_small(parts, n, cell, cells);
}
