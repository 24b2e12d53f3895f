/* suggest_names: combinations of cards as people and as --gpus name them. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "plan/suggest.h"

enum { NAME_MAX_BYTES = 96 };

static void drop(char *name, const char *word)
{
    char *at = strstr(name, word);
    if (at)
        memmove(at, at + strlen(word), strlen(at + strlen(word)) + 1);
}

/* Words are left out only while the rest still finds the same card. */
static void short_name(const struct card *c, char name[NAME_MAX_BYTES])
{
    static const char *const words[] = {"GeForce ",   "Radeon ",     "Instinct ", "Tesla ", " Generation",
                                        " Blackwell", " Workstation"};
    snprintf(name, NAME_MAX_BYTES, "%s", c->name);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char less[NAME_MAX_BYTES];
        memcpy(less, name, NAME_MAX_BYTES);
        drop(less, words[i]);
        if (card_find(less) == card_find(c->name))
            memcpy(name, less, NAME_MAX_BYTES);
    }
}

static void slug(const struct card *c, char out[NAME_MAX_BYTES])
{
    char name[NAME_MAX_BYTES];
    size_t n = 0;
    short_name(c, name);
    for (const char *p = name; *p; p++) {
        bool joins = *p == ' ' && n && isdigit((unsigned char)out[n - 1]) && isdigit((unsigned char)p[1]);
        if (isalnum((unsigned char)*p) || *p == '-' || joins)
            out[n++] = joins ? '-' : (char)tolower((unsigned char)*p);
    }
    out[n] = 0;
    if (card_find(out) != card_find(c->name))
        snprintf(out, NAME_MAX_BYTES, "%s", c->name);
}

void suggest_cards_text(const struct suggestion *s, struct str *out)
{
    bool rtx = false; /* said already */
    for (uint32_t i = 0; i < s->n_parts; i++) {
        char name[NAME_MAX_BYTES];
        short_name(s->parts[i].card, name);
        bool again = i && rtx && str_starts(name, "RTX ") && isdigit((unsigned char)name[4]);
        rtx = str_starts(name, "RTX ");
        str_add(out, i ? " + " : "");
        if (s->parts[i].count > 1)
            str_addf(out, "%ux ", s->parts[i].count);
        str_add(out, again ? name + 4 : name);
    }
}

void suggest_gpus_text(const struct suggestion *s, struct str *out)
{
    for (uint32_t i = 0; i < s->n_parts; i++) {
        char name[NAME_MAX_BYTES];
        slug(s->parts[i].card, name);
        str_addf(out, "%s%s", i ? "," : "", name);
        if (s->parts[i].count > 1)
            str_addf(out, ":count=%u", s->parts[i].count);
    }
}
