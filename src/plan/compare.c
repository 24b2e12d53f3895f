/* compare: rows of two plans and the sentence that weighs them. */
#include "plan/compare.h"

#include <math.h>
#include <string.h>

#include "base/own.h"
#include "base/str.h"

#define NOTHING (5.0 * (1 << 20)) /* bytes: would be shown as 0.00 GiB */

static uint64_t need(const struct plan_device *d)
{
    return d->weights + d->kv + d->compute + d->runtime + d->projector + d->draft;
}

/* The last row; the one it would be if there were no room is lost. */
static struct compare_row *add(struct compare *c, const char *key, const char *title,
                               enum compare_unit unit)
{
    static const struct compare_row none;
    struct compare_row *r =
        &c->rows[c->n_rows < COMPARE_MAX_ROWS ? c->n_rows++ : COMPARE_MAX_ROWS - 1];
    *r = none;
    r->key = key;
    r->title = title;
    r->unit = unit;
    return r;
}

static void set(struct compare_row *r, int side, bool has, double value)
{
    r->has[side] = has;
    r->value[side] = has ? value : 0;
}

/* Rows without a value on either side say nothing. */
static void drop_empty(struct compare *c, const struct compare_row *r)
{
    if (!r->has[0] && !r->has[1])
        c->n_rows--;
}

static enum compare_better more_is_better(const struct compare_row *r)
{
    if (!r->has[0] || !r->has[1])
        return COMPARE_OTHER;
    double least = r->unit == COMPARE_BYTES ? NOTHING : 0;
    return fabs(r->value[0] - r->value[1]) <= least ? COMPARE_SAME
           : r->value[0] > r->value[1]              ? COMPARE_A
                                                    : COMPARE_B;
}

static enum compare_better less_is_better(const struct compare_row *r)
{
    enum compare_better b = more_is_better(r);
    return b == COMPARE_A ? COMPARE_B : b == COMPARE_B ? COMPARE_A : b;
}

static void set_text(struct compare_row *r, int side, const char *text)
{
    r->has[side] = text != NULL;
    r->text[side] = text;
}

static void add_verdicts(struct compare *c)
{
    struct compare_row *r = add(c, "verdict", "verdict", COMPARE_TEXT);
    int order = (int)c->plan[0]->verdict - (int)c->plan[1]->verdict;
    for (int i = 0; i < 2; i++)
        set_text(r, i, plan_verdict_name(c->plan[i]->verdict));
    r->better = order < 0 ? COMPARE_A : order > 0 ? COMPARE_B : COMPARE_SAME;
}

static bool add_cards(struct compare *c, struct arena *arena)
{
    struct compare_row *r = add(c, "cards", "GPUs used", COMPARE_TEXT);
    for (int i = 0; i < 2; i++) {
        own(own_str) struct str s = {0};
        const struct plan *p = c->plan[i];
        for (uint32_t k = 0; k < p->n_devices; k++)
            if (p->used_mask & (1u << k))
                str_addf(&s, "%s%d", s.len ? "+" : "", p->devices[k].card->index);
        set_text(r, i, arena_strdup(arena, s.len ? s.data : "none"));
        if (!r->text[i])
            return false;
    }
    r->better = strcmp(r->text[0], r->text[1]) == 0 ? COMPARE_SAME : COMPARE_OTHER;
    return true;
}

static const char *type_name(uint32_t type)
{
    const struct gguf_type_info *t = gguf_type_info(type);
    return t ? t->name : "?";
}

static bool add_kv_types(struct compare *c, struct arena *arena)
{
    struct compare_row *r = add(c, "cache_type", "KV cache type", COMPARE_TEXT);
    for (int i = 0; i < 2; i++) {
        const struct law_settings *s = &c->plan[i]->settings;
        const char *k = type_name(s->type_k), *v = type_name(s->type_v);
        set_text(r, i, strcmp(k, v) == 0 ? k : arena_printf(arena, "%s/%s", k, v));
        if (!r->text[i])
            return false;
    }
    r->better = strcmp(r->text[0], r->text[1]) == 0 ? COMPARE_SAME : COMPARE_OTHER;
    return true;
}

/* Largest context with the plan's own type of cache, where that is one of the three that are worked
 * out. */
static uint32_t context_max(const struct plan *p)
{
    static const uint32_t types[3] = {GGUF_TYPE_F16, GGUF_TYPE_Q8_0, GGUF_TYPE_Q4_0};
    for (int i = 0; i < 3; i++)
        if (p->settings.type_k == types[i] && p->settings.type_v == types[i])
            return p->context_max[i];
    return 0;
}

static bool fits(const struct plan *p)
{
    return p->verdict != VERDICT_NO_FIT;
}

/* What a plan that does not fit asks for, nobody gets. */
static void only_if_it_fits(const struct compare *c, struct compare_row *r)
{
    bool a = fits(c->plan[0]), b = fits(c->plan[1]);
    if (!a || !b)
        r->better = a ? COMPARE_A : b ? COMPARE_B : COMPARE_OTHER;
}

static void add_contexts(struct compare *c)
{
    struct compare_row *r = add(c, "context", "context", COMPARE_COUNT);
    for (int i = 0; i < 2; i++)
        set(r, i, true, c->plan[i]->law.n_ctx);
    r->better = more_is_better(r);
    only_if_it_fits(c, r);
    r = add(c, "context_max", "max context", COMPARE_COUNT);
    for (int i = 0; i < 2; i++)
        set(r, i, context_max(c->plan[i]) > 0, context_max(c->plan[i]));
    r->better = more_is_better(r);
    drop_empty(c, r);
}

static struct speed_range pick_range(const struct plan *p, int which)
{
    return which == 0 ? p->speed.decode : which == 1 ? p->speed.decode_depth : p->speed.prefill;
}

/* Two estimates of one model on one machine err together: only where the cards differ do
 * overlapping ranges mean that nothing can be said. */
static bool same_ground(const struct compare *c)
{
    const struct plan *a = c->plan[0], *b = c->plan[1];
    return a->used_mask == b->used_mask &&
           strcmp(a->model->architecture, b->model->architecture) == 0;
}

static void add_speeds(struct compare *c)
{
    static const char *const keys[] = {"decode_tps", "decode_tps_full_context", "prefill_tps"};
    static const char *const titles[] = {"decode tok/s", "decode, full context", "prompt tok/s"};
    for (int w = 0; w < 3; w++) {
        struct compare_row *r = add(c, keys[w], titles[w], COMPARE_TPS);
        struct speed_range x[2];
        for (int i = 0; i < 2; i++) {
            x[i] = pick_range(c->plan[i], w);
            bool known = c->plan[i]->speed.confidence != SPEED_NONE && x[i].tps > 0;
            set(r, i, known && c->plan[i]->verdict != VERDICT_NO_FIT, x[i].tps);
        }
        r->better = more_is_better(r);
        bool both = r->has[0] && r->has[1];
        bool near = both && fabs(r->value[0] - r->value[1]) <= 0.01 * r->value[0];
        bool overlap = both && !same_ground(c) && x[0].low <= x[1].high && x[1].low <= x[0].high;
        if (near || overlap) {
            r->better = COMPARE_SAME;
            r->note = near ? "same" : "no sure difference";
        }
        drop_empty(c, r);
    }
}

static double kind_sum(const struct plan *p, int kind)
{
    double all = 0;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        const struct plan_device *d = &p->devices[i];
        all += (double)(kind == 0   ? d->weights + d->projector + d->draft
                        : kind == 1 ? d->kv
                                    : d->compute + d->runtime);
    }
    return all;
}

static void add_sums(struct compare *c)
{
    static const char *const keys[] = {"weights_bytes", "kv_bytes", "compute_bytes"};
    static const char *const titles[] = {"weights on GPUs", "KV cache on GPUs", "compute, runtime"};
    for (int kind = 0; kind < 3; kind++) {
        struct compare_row *r = add(c, keys[kind], titles[kind], COMPARE_BYTES);
        for (int i = 0; i < 2; i++)
            set(r, i, c->plan[i]->n_devices > 0, kind_sum(c->plan[i], kind));
        r->better =
            kind == 0 && more_is_better(r) != COMPARE_SAME ? COMPARE_OTHER : less_is_better(r);
        drop_empty(c, r);
    }
    struct compare_row *r = add(c, "host_bytes", "host memory", COMPARE_BYTES);
    for (int i = 0; i < 2; i++) {
        const struct plan_host *h = &c->plan[i]->host;
        set(r, i, true, (double)(h->weights + h->kv + h->compute + h->repack + h->cache));
    }
    r->better = less_is_better(r);
}

/* Cards by place: the first of A beside the first of B. */
static bool add_card(struct compare *c, uint32_t at, struct arena *arena)
{
    static const char *const what[2][2] = {
        {"used", "used_bytes"      },
        {"free", "free_after_bytes"}
    };
    for (int kind = 0; kind < 2; kind++) {
        char *key = arena_printf(arena, "gpu.%u.%s", at, what[kind][1]);
        char *title = arena_printf(arena, "GPU %u %s", at, what[kind][0]);
        if (!key || !title)
            return false;
        struct compare_row *r = add(c, key, title, COMPARE_BYTES);
        for (int i = 0; i < 2; i++) {
            const struct plan *p = c->plan[i];
            const struct plan_device *d = &p->devices[at < p->n_devices ? at : 0];
            set(r, i, at < p->n_devices,
                at >= p->n_devices ? 0
                : kind             ? (double)d->free_after
                                   : (double)need(d));
        }
        r->better = kind ? more_is_better(r) : less_is_better(r);
        drop_empty(c, r);
    }
    return true;
}

static const struct compare_row *find(const struct compare *c, const char *key)
{
    for (uint32_t i = 0; i < c->n_rows; i++)
        if (strcmp(c->rows[i].key, key) == 0 && c->rows[i].has[0] && c->rows[i].has[1])
            return &c->rows[i];
    return NULL;
}

/* "about twice", "12 % more" */
static void add_times(struct str *s, double times)
{
    if (times >= 1.9 && times < 2.1)
        str_add(s, "about twice");
    else if (times >= 2.1)
        str_addf(s, "%.1f times", times);
    else
        str_addf(s, "%.0f %% more", fmax(1, (times - 1) * 100));
}

static void say_gain(const struct compare *c, const char *key, const char *what, int side,
                     struct str *gain, struct str *loss)
{
    const struct compare_row *r = find(c, key);
    if (!r || r->better == COMPARE_SAME || r->better == COMPARE_OTHER)
        return;
    int winner = r->better == COMPARE_A ? 0 : 1;
    if (winner == side) {
        str_add(gain, gain->len ? " and " : "");
        add_times(gain, r->value[1 - side] > 0 ? r->value[side] / r->value[1 - side] : 1);
        str_addf(gain, " %s", what);
    } else {
        str_addf(loss, "%s%.0f %% less %s", loss->len ? " and " : "",
                 fmax(1, 100 - 100 * r->value[side] / r->value[1 - side]), what);
    }
}

static double sum_need(const struct plan *p)
{
    return (double)p->needed_bytes;
}

/* Both fit: what B gives and takes against A. */
static void weigh(const struct compare *c, struct str *s)
{
    own(own_str) struct str gain = {0}, loss = {0};
    char gib[32];
    bool asked_alike = c->plan[0]->law.n_ctx == c->plan[1]->law.n_ctx;
    say_gain(c, "decode_tps", "decode speed", 1, &gain, &loss);
    say_gain(c, asked_alike ? "context_max" : "context",
             asked_alike ? "room for context" : "context", 1, &gain, &loss);
    double a = sum_need(c->plan[0]), b = sum_need(c->plan[1]);
    double differ = fabs(a - b);
    bool leaves = differ > 0.01 * fmax(a, b);
    if (gain.len && loss.len)
        str_addf(s, "B gives %s for %s", gain.data, loss.data);
    else if (gain.len)
        str_addf(s, "B gives %s", gain.data);
    else if (loss.len)
        str_addf(s, "B gives %s", loss.data);
    else if (!leaves)
        str_add(s, "A and B come to the same");
    if (leaves)
        str_addf(s, "%s %s GiB %s on the GPUs", s->len ? "; it takes" : "B takes",
                 str_gib((uint64_t)differ, 1, gib), b < a ? "less" : "more");
    str_add(s, ".");
}

static bool conclude(struct compare *c, struct arena *arena)
{
    own(own_str) struct str s = {0};
    bool a = fits(c->plan[0]), b = fits(c->plan[1]);
    if (a && b && c->plan[0]->verdict == c->plan[1]->verdict)
        weigh(c, &s);
    else if (a != b)
        str_addf(&s, "%s: only that one fits.", a ? "A" : "B");
    else if (!a) {
        uint64_t lack[2] = {0};
        char x[32], y[32];
        for (int i = 0; i < 2; i++) {
            lack[i] = c->plan[i]->host.shortfall;
            for (uint32_t k = 0; k < c->plan[i]->n_devices; k++)
                lack[i] += c->plan[i]->devices[k].shortfall;
        }
        str_addf(&s, "Neither fits: A is %s GiB short, B %s GiB.", str_gib(lack[0], 1, x),
                 str_gib(lack[1], 1, y));
    } else {
        static const char *const means[] = {"fits with the room kept free", "fits only tightly",
                                            "works partly on the processor", ""};
        int better = c->plan[0]->verdict < c->plan[1]->verdict ? 0 : 1;
        str_addf(&s, "%c: it %s, the other %s.", 'A' + better, means[c->plan[better]->verdict],
                 means[c->plan[1 - better]->verdict]);
    }
    c->verdict = arena_strdup(arena, s.data ? s.data : "");
    return c->verdict && !s.failed;
}

bool compare_make(const struct plan *a, const struct plan *b, struct arena *arena,
                  struct compare *out, struct err *err)
{
    struct compare *c = arena_new(arena, struct compare);
    if (!c)
        return err_set(err, ERR_1201, "no memory for a comparison");
    c->plan[0] = a;
    c->plan[1] = b;
    add_verdicts(c);
    bool ok = add_cards(c, arena) && add_kv_types(c, arena);
    add_contexts(c);
    add_speeds(c);
    add_sums(c);
    uint32_t cards = a->n_devices > b->n_devices ? a->n_devices : b->n_devices;
    for (uint32_t i = 0; ok && i < cards; i++)
        ok = add_card(c, i, arena);
    if (!ok || !conclude(c, arena))
        return err_set(err, ERR_1201, "no memory for a comparison");
    *out = *c;
    return true;
}
