/* pick: every set of usable cards is looked at: 65,536 at most. */
#include "api/pick.h"

#include <stdio.h>
#include <string.h>

#include "api/gpu_words.h"

static double gb(uint64_t bytes)
{
    return (double)bytes / (double)(1 << 30);
}

/* NULL when nothing speaks against the card. */
static const char *sick(const struct gpu_view *v)
{
    static const char *const states[GPU_STATE_COUNT] = {
        [GPU_STALE] = "does not answer now",
        [GPU_SUSPENDED] = "is asleep",
        [GPU_DENIED] = "may not be read",
        [GPU_HUNG] = "hangs",
        [GPU_LOST] = "is lost",
    };
    if (states[v->health.state])
        return states[v->health.state];
    if (!v->has_sample)
        return "has not answered yet";
    if (strcmp(gpu_word(v), "HOT") == 0)
        return "is hot";
    if (v->info.mig)
        return "is split into instances (MIG)";
    return v->info.uuid[0] ? NULL : "has no UUID";
}

static void judge(const struct gpu_view *v, const struct plan_wish *wish, struct pick_card *c)
{
    struct device d = {0};
    const char *wrong = sick(v);
    c->free_known = gpu_view_free(v, &c->free_bytes) && sample_has(&v->sample, METRIC_MEMORY_TOTAL);
    c->usable = !wrong && c->free_known;
    if (wrong || !c->free_known) {
        snprintf(c->why, sizeof(c->why), "Device %u (%.60s) passed over: %s", v->info.index,
                 gpu_short_name(v->info.name),
                 wrong ? wrong : "the driver does not tell its memory");
        return;
    }
    d.total_bytes = (uint64_t)v->sample.value[METRIC_MEMORY_TOTAL];
    d.free_bytes = c->free_bytes;
    c->keep_free_bytes = budget_keep_free(wish, &d);
    c->room_bytes = budget_room(wish, &d, 0);
}

static uint64_t room_of(const struct pick *p, uint32_t set)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < TELEMETRY_MAX_GPUS; i++)
        if (set >> i & 1)
            sum += p->card[i].room_bytes;
    return sum;
}

/* The fewest cards; of those sets the one that leaves least over; of equals the first. */
static uint32_t best_set(const struct pick *p, uint64_t need_bytes)
{
    uint32_t usable = 0, best = 0;
    uint64_t best_room = 0;
    for (uint32_t i = 0; i < TELEMETRY_MAX_GPUS; i++)
        usable |= (uint32_t)p->card[i].usable << i;
    for (uint32_t set = 1; set < UINT32_C(1) << p->n; set++) {
        if (set & ~usable)
            continue;
        uint64_t room = room_of(p, set);
        int cards = __builtin_popcount(set), fewest = __builtin_popcount(best);
        if (room >= need_bytes &&
            (!best || cards < fewest || (cards == fewest && room < best_room))) {
            best = set;
            best_room = room;
        }
    }
    return best;
}

static void say_cards(const struct gpu_view *views, uint64_t need_bytes, struct pick *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        struct pick_card *c = &p->card[i];
        const char *name = gpu_short_name(views[i].info.name);
        uint32_t index = views[i].info.index;
        if (!c->usable)
            continue;
        if (c->chosen)
            snprintf(c->why, sizeof(c->why), "Device %u (%.60s) available with %.1fGB free", index,
                     name, gb(c->free_bytes));
        else if (c->room_bytes >= need_bytes)
            snprintf(c->why, sizeof(c->why),
                     "Device %u (%.60s) has %.1fGB free too: the best fit comes first", index, name,
                     gb(c->free_bytes));
        else
            snprintf(c->why, sizeof(c->why),
                     "Device %u (%.60s) has only %.1fGB free (need %.1fGB, %.1fGB stay free)",
                     index, name, gb(c->free_bytes), gb(need_bytes), gb(c->keep_free_bytes));
    }
}

static void say_choice(uint64_t need_bytes, uint32_t set, struct pick *p)
{
    if (!set)
        snprintf(p->reason, sizeof(p->reason), "No GPU devices available with sufficient memory");
    else if (p->n_chosen == 1)
        snprintf(p->reason, sizeof(p->reason), "%s", p->card[__builtin_ctz(set)].why);
    else
        snprintf(p->reason, sizeof(p->reason),
                 "No single device holds %.1fGB: %u devices with room for %.1fGB, for a task that "
                 "can be split",
                 gb(need_bytes), p->n_chosen, gb(room_of(p, set)));
}

void pick_make(const struct gpu_view *views, uint32_t n, uint64_t need_bytes,
               const struct plan_wish *wish, struct pick *out)
{
    *out = (struct pick){.n = n < TELEMETRY_MAX_GPUS ? n : TELEMETRY_MAX_GPUS};
    for (uint32_t i = 0; i < out->n; i++)
        judge(&views[i], wish, &out->card[i]);
    uint32_t set = best_set(out, need_bytes);
    for (uint32_t i = 0; i < out->n; i++)
        out->card[i].chosen = set >> i & 1;
    out->n_chosen = (uint32_t)__builtin_popcount(set);
    say_cards(views, need_bytes, out);
    say_choice(need_bytes, set, out);
}
