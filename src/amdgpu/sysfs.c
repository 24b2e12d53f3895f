/* sysfs: numbers, tables of clocks with a star at the active one, and PCIe links. */
#include "amdgpu/sysfs.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { LINE_MAX_TEXT = 128 };

bool sysfs_number(const char *text, double *out)
{
    char line[32];
    int64_t n;
    size_t len = strcspn(text, "\n");
    if (len == 0 || len >= sizeof(line) || (text[len] && text[len + 1]))
        return false;
    memcpy(line, text, len);
    line[len] = 0;
    if (!str_parse_i64(line, INT64_MIN, INT64_MAX, false, &n))
        return false;
    *out = (double)n;
    return true;
}

/* The generation of a speed in GT/s, or 0. */
static double generation(double gt)
{
    static const double speeds[] = {2.5, 5, 8, 16, 32, 64, 128};
    for (int i = 0; i < (int)(sizeof(speeds) / sizeof(speeds[0])); i++)
        if (gt == speeds[i])
            return i + 1;
    return 0;
}

struct level {
    double mhz, gen, width; /* 0: not in this line */
};

/* "1: 500Mhz *", "S: 19Mhz", "1: 16.0GT/s, x16 619Mhz *". */
static bool read_level(const char *line, struct level *out)
{
    const char *value = strchr(line, ':');
    double number;
    unsigned width;
    int end = 0;
    if (!value || value - line > 4)
        return false;
    value += 1 + strspn(value + 1, " ");
    if (*value < '0' || *value > '9')
        return false;
    *out = (struct level){0};
    if (sscanf(value, "%7lfGT/s, x%3u%n", &number, &width, &end) == 2 && end) {
        out->gen = generation(number);
        out->width = width;
        return out->gen > 0 && width > 0 && width <= 32;
    }
    end = 0;
    if (sscanf(value, "%7lf%n", &number, &end) != 1 || !end || number < 0 || number > 100000)
        return false;
    out->mhz = number;
    return (value[end] == 'M' || value[end] == 'm') && str_starts(value + end + 1, "hz");
}

/* The active level, or for each value the highest of all levels; 0 where there is none. */
static struct level find_level(const char *text, bool active)
{
    struct level out = {0};
    while (*text) {
        char line[LINE_MAX_TEXT];
        size_t len = strcspn(text, "\n");
        struct level l;
        snprintf(line, sizeof(line), "%.*s", (int)(len < sizeof(line) ? len : sizeof(line) - 1),
                 text);
        text += len + (text[len] == '\n');
        if ((active && !strchr(line, '*')) || !read_level(line, &l))
            continue;
        out.mhz = l.mhz > out.mhz ? l.mhz : out.mhz;
        out.gen = l.gen > out.gen ? l.gen : out.gen;
        out.width = l.width > out.width ? l.width : out.width;
    }
    return out;
}

static bool take(double value, double *out)
{
    if (value > 0)
        *out = value;
    return value > 0;
}

bool sysfs_active_mhz(const char *text, double *out)
{
    return take(find_level(text, true).mhz, out);
}

bool sysfs_highest_mhz(const char *text, double *out)
{
    return take(find_level(text, false).mhz, out);
}

bool sysfs_active_gen(const char *text, double *out)
{
    return take(find_level(text, true).gen, out);
}

bool sysfs_active_width(const char *text, double *out)
{
    return take(find_level(text, true).width, out);
}

bool sysfs_highest_gen(const char *text, double *out)
{
    return take(find_level(text, false).gen, out);
}

bool sysfs_highest_width(const char *text, double *out)
{
    return take(find_level(text, false).width, out);
}

bool sysfs_link_gen(const char *text, double *out)
{
    double gt;
    char unit[8];
    if (sscanf(text, "%7lf %7s", &gt, unit) != 2 || !str_starts(unit, "GT/s"))
        return false;
    return take(generation(gt), out);
}

bool sysfs_link_width(const char *text, double *out)
{
    double n;
    return sysfs_number(text, &n) && n <= 32 && take(n, out);
}
