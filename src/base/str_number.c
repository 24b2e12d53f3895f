/* str: numbers and sizes, written for people and read from them. */
#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SIZE_MOST ((uint64_t)1 << 60)

char *str_grouped(uint64_t n, char *out)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n), at = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

char *str_gib(uint64_t bytes, int decimals, char *out)
{
    snprintf(out, 32, "%.*f", decimals, (double)bytes / (1024.0 * 1024.0 * 1024.0));
    return out;
}

static const char *skip_space(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "12.34" as 1234 and two places; at least one digit, at most 12 places. */
static const char *parse_decimal(const char *p, uint64_t *value, int *places)
{
    const char *start = p;
    bool digits = false;
    *value = 0;
    *places = 0;
    for (; is_digit(*p) || (*p == '.' && digits && !memchr(start, '.', (size_t)(p - start))); p++) {
        if (*p == '.')
            continue;
        digits = true;
        if (__builtin_mul_overflow(*value, (uint64_t)10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(*p - '0'), value))
            return NULL;
        if (memchr(start, '.', (size_t)(p - start)) && ++*places > 12)
            return NULL;
    }
    return digits && p[-1] != '.' ? p : NULL;
}

static uint64_t unit_bytes(const char *text)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        {"",    (uint64_t)1 << 20},
        {"B",   1                },
        {"KiB", (uint64_t)1 << 10},
        {"KB",  1000             },
        {"MiB", (uint64_t)1 << 20},
        {"MB",  1000000          },
        {"GiB", (uint64_t)1 << 30},
        {"GB",  1000000000       },
        {"TiB", (uint64_t)1 << 40},
        {"TB",  1000000000000    },
    };
    char name[4] = "";
    size_t len = strcspn(text, " \t");
    if (len >= sizeof(name) || *skip_space(text + len) != '\0')
        return 0;
    memcpy(name, text, len);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcasecmp(name, units[i].name) == 0)
            return units[i].bytes;
    return 0;
}

bool str_parse_size(const char *text, uint64_t *out_bytes)
{
    uint64_t value, scale = 1;
    int places;
    const char *p = parse_decimal(skip_space(text), &value, &places);
    uint64_t unit = p ? unit_bytes(skip_space(p)) : 0;
    if (!unit)
        return false;
    while (places-- > 0)
        scale *= 10;
    unsigned __int128 bytes = ((unsigned __int128)value * unit + scale / 2) / scale;
    if (bytes > SIZE_MOST)
        return false;
    *out_bytes = (uint64_t)bytes;
    return true;
}

bool str_parse_i64(const char *text, int64_t min, int64_t max, bool allow_k, int64_t *out)
{
    bool negative = *text == '-';
    int64_t value = 0;
    const char *p = text + negative;
    if (!is_digit(*p))
        return false;
    for (; is_digit(*p); p++) {
        int digit = negative ? -(*p - '0') : *p - '0';
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, (int64_t)digit, &value))
            return false;
    }
    if (allow_k && (*p == 'k' || *p == 'K')) {
        if (__builtin_mul_overflow(value, (int64_t)1024, &value))
            return false;
        p++;
    }
    if (*p != '\0' || value < min || value > max)
        return false;
    *out = value;
    return true;
}

bool str_parse_f64(const char *text, double min, double max, double *out)
{
    /* strtod alone would also take blanks, hexadecimal, "inf" and "nan" */
    if (!*text || text[strspn(text, "0123456789.eE+-")] != '\0')
        return false;
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || value < min || value > max)
        return false;
    *out = value;
    return true;
}
