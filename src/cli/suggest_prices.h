/* suggest_prices: a list of prices of cards, as people keep it in a file. */
#ifndef CLI_SUGGEST_PRICES_H
#define CLI_SUGGEST_PRICES_H

#include "cli/cli.h"

/* Lines NAME,PRICE of at most 64 KiB together; empty lines and those that begin with # do not count, nor does a first
 * line "name,price". out[i] is the price of the catalogue's row i, 0 where there is none. Errors name file and line:
 * ERR_1202 for the file, ERR_2101 for a card that is not known, ERR_9002 for the rest. */
bool suggest_prices_read(struct cli *c, const char *path, double **out, struct err *err);

#endif
