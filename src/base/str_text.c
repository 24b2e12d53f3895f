/* str: comparing, measuring and cleaning text that may come from anywhere. */
#include "base/str.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WORD_MOST 64

bool str_eq_fold(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        int x = *a >= 'A' && *a <= 'Z' ? *a + 32 : *a;
        int y = *b >= 'A' && *b <= 'Z' ? *b + 32 : *b;
        if (x != y)
            return false;
    }
    return *a == *b;
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

static int min3(int a, int b, int c)
{
    int least = a < b ? a : b;
    return least < c ? least : c;
}

/* Optimal string alignment: insert, delete, replace and swap of neighbours cost one each. */
static int edit_distance(const char *a, int n, const char *b, int m)
{
    int rows[3][WORD_MOST + 1];
    for (int j = 0; j <= m; j++)
        rows[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *row = rows[i % 3], *up = rows[(i + 2) % 3], *upper = rows[(i + 1) % 3];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int differ = (a[i - 1] | 32) != (b[j - 1] | 32);
            row[j] = min3(up[j] + 1, row[j - 1] + 1, up[j - 1] + differ);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                row[j] > upper[j - 2] + 1)
                row[j] = upper[j - 2] + 1;
        }
    }
    return rows[n % 3][m];
}

const char *str_nearest(const char *word, const char *const *words, size_t n)
{
    size_t len = strlen(word);
    const char *best = NULL;
    int best_distance = (int)(len / 3) + 1;
    if (len > WORD_MOST)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t other = strlen(words[i]);
        if (other > WORD_MOST)
            continue;
        int distance = edit_distance(word, (int)len, words[i], (int)other);
        if (distance < best_distance) {
            best_distance = distance;
            best = words[i];
        }
    }
    return best;
}

size_t str_utf8(const char *text, size_t len, uint32_t *out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)text;
    if (!len)
        return 0;
    size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (!n || n > len)
        return 0;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *out = c;
    return n;
}

struct range {
    uint32_t first, last;
};

static bool in_ranges(uint32_t c, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}
#define IN(c, ranges) in_ranges((c), (ranges), sizeof(ranges) / sizeof((ranges)[0]))

/* C0, DEL, C1, and the marks that turn the direction of the text after them. */
static const struct range controls[] = {
    {0x00,   0x1f  },
    {0x7f,   0x9f  },
    {0x200e, 0x200f},
    {0x2028, 0x202e},
    {0x2066, 0x2069},
};

/* The next character of text[len] as it may be shown, into piece[17]; bytes read as result. */
static size_t next_piece(const char *text, size_t len, char *piece)
{
    uint32_t c;
    size_t n = str_utf8(text, len, &c);
    if (n && !IN(c, controls)) {
        memcpy(piece, text, n);
        piece[n] = '\0';
        return n;
    }
    if (!n)
        n = 1;
    for (size_t i = 0; i < n; i++)
        snprintf(piece + 4 * i, 5, "\\x%02X", (unsigned char)text[i]);
    return n;
}

char *str_printable(const char *text, size_t len, char *out, size_t cap)
{
    size_t at = 0;
    if (!cap)
        return out;
    for (size_t n; len; text += n, len -= n) {
        char piece[17];
        n = next_piece(text, len, piece);
        size_t shown = strlen(piece);
        if (shown >= cap - at)
            break;
        memcpy(out + at, piece, shown);
        at += shown;
    }
    out[at] = '\0';
    return out;
}

void str_add_printable(struct str *s, const char *text, size_t len)
{
    for (size_t n; len; text += n, len -= n) {
        char piece[17];
        n = next_piece(text, len, piece);
        str_add(s, piece);
    }
}

/* Unicode 15: East Asian Width W and F, and marks without width; the blocks that occur in names. */
static const struct range wide[] = {
    {0x1100,  0x115f },
    {0x2e80,  0x303e },
    {0x3041,  0xa4cf },
    {0xac00,  0xd7a3 },
    {0xf900,  0xfaff },
    {0xfe30,  0xfe6f },
    {0xff00,  0xff60 },
    {0xffe0,  0xffe6 },
    {0x1f300, 0x1f64f},
    {0x1f680, 0x1f6ff},
    {0x1f900, 0x1f9ff},
    {0x20000, 0x3fffd},
};
static const struct range no_width[] = {
    {0x0300, 0x036f},
    {0x200b, 0x200f},
    {0x20d0, 0x20ff},
    {0xfe00, 0xfe0f},
};

size_t str_columns(const char *text)
{
    size_t columns = 0, len = strlen(text);
    while (len) {
        uint32_t c;
        size_t n = str_utf8(text, len, &c);
        columns += !n ? 1 : IN(c, wide) ? 2 : IN(c, no_width) ? 0 : 1;
        text += n ? n : 1;
        len -= n ? n : 1;
    }
    return columns;
}

uint64_t str_hash(const void *data, size_t len)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}
