/* cards: finds a card of the catalogue by the many ways people write its name. */
#include "machine/machine.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

#define CARD(name_, vendor_, arch_, major, minor, sms_, mib, bw, gen, lanes, nvl, tdp, f32, f16, \
             f16a, i8)                                                                           \
    {.name = name_, .vendor = vendor_, .arch = arch_, .cc_major = major, .cc_minor = minor,      \
     .sms = sms_, .total_bytes = (uint64_t)(mib) << 20, .bandwidth_gbs = bw, .pcie_gen = gen,    \
     .pcie_lanes = lanes, .nvlink_gbs = nvl, .tdp_w = tdp, .fp32_tflops = f32,                   \
     .fp16_tflops = f16, .fp16_acc16_tflops = f16a, .int8_tops = i8},
static const struct card cards[] = {
#include "machine/cards.def"
};
#undef CARD

enum { MAX_NAME = 96, MAX_PARTS = 24, MAX_PART = 16 };

const struct card *card_table(size_t *n)
{
    *n = sizeof(cards) / sizeof(cards[0]);
    return cards;
}

/* A name cut where letters, digits and anything else meet: "RTX 4060Ti" is rtx, 4060, ti. A number before "gb"
 * is a memory size and kept with it: 16gb. */
struct parts {
    int n;
    char part[MAX_PARTS][MAX_PART];
};

static int kind_of(char c)
{
    return isdigit((unsigned char)c) ? 1 : isalpha((unsigned char)c) ? 2 : 0;
}

/* "rtxpro" and "tisuper": words that people write as one. */
static int joined_length(const char *word, int len)
{
    static const char *const first[] = {"rtx", "gtx", "ti"};
    static const char *const second[] = {"pro", "super", "titan", "a"};
    for (size_t i = 0; i < 3; i++) {
        int n = (int)strlen(first[i]);
        for (size_t j = 0; len > n && j < 4 && strncasecmp(word, first[i], (size_t)n) == 0; j++)
            if (len == n + (int)strlen(second[j]) && strncasecmp(word + n, second[j], (size_t)(len - n)) == 0)
                return n;
    }
    return len;
}

static bool cut(const char *name, struct parts *out)
{
    out->n = 0;
    for (const char *p = name; *p;) {
        int kind = kind_of(*p), len = 1;
        while (kind_of(p[len]) == kind && p[len])
            len++;
        len = kind == 2 ? joined_length(p, len) : len;
        const char *word = p;
        p += len;
        if (kind == 0)
            continue;
        if (out->n == MAX_PARTS || len >= MAX_PART)
            return false;
        char *part = out->part[out->n];
        for (int i = 0; i < len; i++)
            part[i] = (char)tolower((unsigned char)word[i]);
        part[len] = 0;
        if (out->n > 0 && strcmp(part, "gb") == 0 && isdigit((unsigned char)part[-MAX_PART]) &&
            strlen(part - MAX_PART) < 5)
            strcat(part - MAX_PART, "gb");
        else
            out->n++;
    }
    return true;
}

static bool is_size(const char *part)
{
    return isdigit((unsigned char)part[0]) && str_ends(part, "gb");
}

/* Parts that people leave out: makers, lines, form factors, and sizes where one model has one size. */
static bool may_be_left_out(const char *part)
{
    static const char *const words[] = {
        "nvidia", "geforce", "amd", "radeon", "instinct", "tesla", "quadro", "titan", "rtx", "gtx", "rx",
        "pcie", "sxm", "nvl", "dgx", "spark", "blackwell", "ada", "generation", "workstation", "max", "q",
        "one", "of", "four", "gpu", "gpus", "2", "4", "5"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(part, words[i]) == 0)
            return true;
    return is_size(part);
}

static bool contains(const struct parts *p, const char *part)
{
    for (int i = 0; i < p->n; i++)
        if (strcmp(p->part[i], part) == 0)
            return true;
    return false;
}

/* Parts that drivers add and the catalogue does not have: "NVIDIA H100 80GB HBM3". */
static bool says_nothing(const char *part)
{
    return strcmp(part, "nvidia") == 0 || strcmp(part, "geforce") == 0 || strcmp(part, "amd") == 0 ||
           strcmp(part, "hbm") == 0 || strcmp(part, "3") == 0;
}

/* Parts of the card that the wanted name leaves out, or -1 where they are different cards. */
static int distance(const struct parts *wanted, const struct parts *card)
{
    int left_out = 0;
    for (int i = 0; i < wanted->n; i++) {
        const char *w = wanted->part[i];
        if (!contains(card, w) && !says_nothing(w))
            return -1;
    }
    for (int i = 0; i < card->n; i++) {
        if (contains(wanted, card->part[i]))
            continue;
        if (!may_be_left_out(card->part[i]))
            return -1;
        left_out++;
    }
    return left_out;
}

static bool has_number(const struct parts *p)
{
    for (int i = 0; i < p->n; i++)
        if (isdigit((unsigned char)p->part[i][0]) && !is_size(p->part[i]))
            return true;
    return false;
}

const struct card *card_find(const char *name)
{
    struct parts wanted, parts;
    const struct card *best = NULL;
    int best_distance = MAX_PARTS + 1;
    if (!name || strlen(name) >= MAX_NAME || !cut(name, &wanted) || !wanted.n)
        return NULL;
    if (!has_number(&wanted) && !contains(&wanted, "titan"))
        return NULL;
    for (size_t i = 0; i < sizeof(cards) / sizeof(cards[0]); i++) {
        int d = cut(cards[i].name, &parts) ? distance(&wanted, &parts) : -1;
        if (d >= 0 && d < best_distance) {
            best = &cards[i];
            best_distance = d;
        }
    }
    return best;
}
