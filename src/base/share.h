/* share: cuts a stacked bar into whole cells, so that the cells add up and nothing visible is lost.
 */
#ifndef BASE_SHARE_H
#define BASE_SHARE_H

enum { SHARE_PARTS_MAX = 64 };

/* Cells for each of n (at most SHARE_PARTS_MAX) parts of sizes >= 0 where one cell stands for
 * `cell` > 0: floors first, the rest to the largest fractions; what is a quarter of a cell or more
 * gets one, from the longest part, or where all are short the bar grows by it. */
void share_cells(const double *parts, int n, double cell, int *cells);

#endif
