/* suggest_prices: a list of prices of cards, as people keep it in a file. */
#include "cli/suggest_prices.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "machine/machine.h"

enum { BYTES_MAX = 64 << 10, NAMES_MAX = 512 };
#define PRICE_MAX 1e9

static bool no_file(struct err *err)
{
    return err_fix(err, NULL, "name a text file with lines like: rtx5090,1999");
}

static bool read_whole(const char *path, char *buf, size_t *len, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        err_set(err, ERR_1202, "%s could not be read: %s", path, strerror(errno));
        return no_file(err);
    }
    ssize_t n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? 0 : -1;
    bool regular = n == 0;
    for (*len = 0; regular && *len <= BYTES_MAX; *len += (size_t)n) {
        n = read(fd, buf + *len, BYTES_MAX + 1 - *len);
        if (n <= 0)
            break;
    }
    close(fd);
    if (!regular || n < 0) {
        err_set(err, ERR_1202, regular ? "%s could not be read" : "%s is no regular file", path);
        return no_file(err);
    }
    if (*len > BYTES_MAX)
        return err_set(err, ERR_9002, "%s is larger than %d KiB", path, BYTES_MAX >> 10);
    return true;
}

static bool unknown_card(const char *path, int line, const char *name, struct err *err)
{
    size_t n;
    const struct card *cards = card_table(&n);
    const char *names[NAMES_MAX];
    n = n < NAMES_MAX ? n : NAMES_MAX;
    for (size_t i = 0; i < n; i++)
        names[i] = cards[i].name + (str_starts(cards[i].name, "GeForce ") ? strlen("GeForce ") : 0);
    const char *near = str_nearest(name, names, n);
    err_set(err, ERR_2101, "%s:%d: the catalogue has no card \"%s\"", path, line, name);
    return near ? err_fix(err, NULL, "did you mean \"%s\"?", near) : err_fix(err, NULL, "leave that line out");
}

/* Blanks and quotes around a field do not count. */
static char *trim(char *s)
{
    s += strspn(s, " \t\"");
    for (size_t n = strlen(s); n && strchr(" \t\r\"", s[n - 1]); n--)
        s[n - 1] = '\0';
    return s;
}

static bool take_line(const char *path, int line, char *text, double *prices, struct err *err)
{
    size_t n;
    const struct card *cards = card_table(&n), *card;
    double price;
    char *comma = strrchr(text, ',');
    text += strspn(text, " \t\r");
    if (!*text || *text == '#')
        return true;
    if (!comma) {
        err_set(err, ERR_9002, "%s:%d: \"%s\" is not NAME,PRICE", path, line, text);
        return err_fix(err, NULL, "write lines like: rtx5090,1999");
    }
    *comma = '\0';
    char *name = trim(text), *value = trim(comma + 1);
    if (line == 1 && str_eq_fold(name, "name") && str_eq_fold(value, "price"))
        return true;
    if (!(card = card_find(name)))
        return unknown_card(path, line, name, err);
    if (!str_parse_f64(value, 0, PRICE_MAX, &price) || !(price > 0)) {
        err_set(err, ERR_9002, "%s:%d: \"%s\" is no price", path, line, value);
        return err_fix(err, NULL, "a number above 0, at most a billion, without a currency");
    }
    if (prices[card - cards] > 0)
        return err_set(err, ERR_9002, "%s:%d: %s has a price already", path, line, card->name);
    prices[card - cards] = price;
    return true;
}

bool suggest_prices_read(struct cli *c, const char *path, double **out, struct err *err)
{
    size_t n, len = 0;
    card_table(&n);
    char *buf = arena_alloc(&c->arena, BYTES_MAX + 2, 1);
    double *prices = arena_array(&c->arena, double, n);
    if (!buf || !prices)
        return err_set(err, ERR_1201, "no memory for the prices");
    if (!read_whole(path, buf, &len, err))
        return false;
    if (memchr(buf, '\0', len))
        return err_set(err, ERR_9002, "%s is no text", path);
    buf[len] = '\0';
    int line = 0;
    for (char *p = buf, *end; *p; p = end) {
        end = p + strcspn(p, "\n");
        if (*end)
            *end++ = '\0';
        if (!take_line(path, ++line, p, prices, err))
            return false;
    }
    *out = prices;
    return true;
}
