/* suggest_note: the few words beside a suggestion: how it is split, or what is wrong with it. */
#include <stdio.h>

#include "base/own.h"
#include "base/str.h"
#include "plan/suggest_fit.h"

bool suggest_is_slow(const struct suggest_quest *q, const struct combination *c)
{
    return q->wish->min_tps > 0 && !(c->s.speed.decode.tps >= q->wish->min_tps);
}

static void write_split(const struct suggestion *s, struct str *out)
{
    uint32_t least = UINT32_MAX, most = 0;
    for (uint32_t i = 0; i < s->n_devices; i++) {
        least = s->layers[i] < least ? s->layers[i] : least;
        most = s->layers[i] > most ? s->layers[i] : most;
    }
    if (s->n_devices > 4 && least == most)
        str_addf(out, "%u layers each", most);
    else if (s->n_devices > 4)
        str_addf(out, "%u-%u layers each", least, most);
    else
        str_add(out, "split ");
    for (uint32_t i = 0; s->n_devices <= 4 && i < s->n_devices; i++)
        str_addf(out, "%s%u", !i ? "" : s->n_devices == 2 ? " + " : "+", s->layers[i]);
}

static void write_missing(const struct suggest_quest *q, const struct combination *c, struct str *out)
{
    static const char *const names[] = {"KV q8_0", "KV q4_0"};
    uint32_t ctx = q->s.n_ctx;
    char gib[32];
    if (c->s.rank == SUGGEST_TOO_SMALL)
        str_addf(out, "short by %s GiB", str_gib(c->s.short_bytes, 1, gib));
    else if (suggest_is_slow(q, c))
        str_add(out, "small and slow");
    else if (c->s.kv_type >= 0 && ctx % 1024 == 0)
        str_addf(out, "%uk needs %s", ctx / 1024, names[c->s.kv_type == GGUF_TYPE_Q4_0]);
    else if (c->s.kv_type >= 0)
        str_addf(out, "needs %s", names[c->s.kv_type == GGUF_TYPE_Q4_0]);
    else
        str_add(out, "too small");
}

bool suggest_write_note(const struct suggest_quest *q, struct combination *c, struct err *err)
{
    own(own_str) struct str text = {0};
    struct suggestion *s = &c->s;
    if (s->rank >= SUGGEST_SHORT)
        write_missing(q, c, &text);
    else if (s->rank == SUGGEST_SLOW)
        str_add(&text, s->speed.decode.tps > 0 ? "too slow" : "speed unknown");
    else if (q->wish->min_tps > 0 && s->speed.decode.low < q->wish->min_tps)
        str_add(&text, "may be slower");
    else if (!s->n_parts)
        str_add(&text, "no new card");
    else if (s->mine_idle)
        str_add(&text, "yours stay idle");
    else if (s->n_devices == 1)
        str_add(&text, "one card");
    else
        write_split(s, &text);
    bool ok = !text.failed && text.data;
    if (ok)
        snprintf(s->note, sizeof(s->note), "%s", text.data);
    return ok || err_set(err, ERR_1201, "no memory for a note");
}
