/* shares_draft: what a draft model takes beside runs of the model's layers: runs of its own where
 * it is cut alike, else the same whatever the split. */
#include <string.h>

#include "plan/budget.h"
#include "plan/shares.h"

/* Over the model's own cards the engine cuts the draft by the same shares. */
static bool is_cut_alike(const struct placer *p, uint32_t main, uint32_t draft)
{
    return main == draft && p->wish->speculation != SPEC_NEXTN;
}

static struct placer placer_of(const struct placer *p, const struct share_book *book)
{
    struct placer of_draft = *p;
    of_draft.model = p->wish->draft;
    of_draft.wish = &book->wish;
    return of_draft;
}

bool shares_learn_draft(const struct placer *p, struct share_book *book, struct shares *h,
                        const struct placement *pl)
{
    uint64_t need[MACHINE_MAX_DEVICES];
    uint32_t n_cards = (uint32_t)__builtin_popcount(pl->draft_mask);
    bool told = n_cards < 2;
    for (uint32_t d = 0; d < p->machine->n_devices; d++)
        need[d] = place_draft_need(pl, d);
    if (n_cards > 1 && is_cut_alike(p, pl->mask, pl->draft_mask)) {
        struct placer of_draft = placer_of(p, book);
        struct err quiet = {0};
        h->draft = shares_of(&of_draft, book->draft, &pl->draft_s, &quiet);
        return h->draft && shares_learn_law(&of_draft, h->draft, pl->draft_mask, &pl->draft, need);
    }
    for (uint32_t d = 0; d < p->machine->n_devices && h->draft_mask == pl->draft_mask; d++)
        told = told && h->beside[d] == need[d];
    h->draft_mask = pl->draft_mask;
    memcpy(h->beside, need, sizeof(h->beside));
    return told;
}

/* cut[k]: layers of the draft on the cards before the one that begins with the model's layer k, as
 * the engine's shares have it (law/assign.c). */
static void find_cuts(uint32_t n, uint32_t n_draft, uint32_t *cut)
{
    uint32_t at = 0;
    for (uint32_t k = 0; k <= n; k++) {
        while (at < n_draft && (float)at / (float)n_draft < (float)k / (float)n)
            at++;
        cut[k] = at;
    }
}

/* Of machine.devices[device], for all runs of n layers. */
static void fill_runs(const struct shares *draft, uint32_t device, uint32_t passes, bool timed,
                      uint32_t n, const uint32_t *cut, struct search_beside *out)
{
    uint64_t bytes[MODEL_MAX_LAYERS + 2] = {0};
    double ns[MODEL_MAX_LAYERS + 2] = {0};
    for (uint32_t l = 0; l < draft->n_layers; l++) {
        bytes[l + 1] = bytes[l] + draft->bytes[l];
        ns[l + 1] = ns[l] + (timed ? draft->ns[device * draft->n_layers + l] : 0);
    }
    for (uint32_t from = 0; from < n; from++) {
        for (uint32_t to = from + 1; to <= n; to++) {
            uint32_t a = cut[from], b = cut[to];
            if (a == b)
                continue;
            uint32_t kind = draft->kind[a * (draft->n_layers + 1) + b];
            int64_t need =
                (int64_t)(bytes[b] - bytes[a]) + draft->extra[device * SHARES_KINDS + kind];
            out[from * (n + 1) + to] = (struct search_beside){
                need > 0 ? (uint64_t)need : 0,
                ns[b] - ns[a] + (a > 0 && timed ? passes * speed_hop_ns(speed_coefs) : 0)};
        }
    }
}

static void fill_same(uint64_t bytes, uint32_t n_runs, struct search_beside *out)
{
    for (uint32_t i = 0; i < n_runs; i++)
        out[i].bytes = bytes;
}

bool shares_add_draft(const struct placer *p, struct shares *h, const struct share_case *c,
                      struct search_problem *out, struct err *err)
{
    uint32_t cut[MODEL_MAX_LAYERS + 2], card = 0, n = h->n_layers, n_runs = (n + 1) * (n + 1);
    uint32_t drafted = c->streams ? place_drafted(p, c->streams) : 0;
    bool alike =
        __builtin_popcount(c->spot.draft) > 1 && is_cut_alike(p, c->spot.main, c->spot.draft);
    if (alike ? !h->draft : h->draft_mask != c->spot.draft)
        return true;
    if (alike && drafted && !shares_time(p, h->draft, c, true, err))
        return false;
    if (alike)
        find_cuts(n, h->draft->n_layers, cut);
    for (uint32_t d = 0; d < p->machine->n_devices; d++) {
        if (!(c->spot.main & (1u << d)))
            continue;
        uint32_t at = card++;
        if (!alike && !h->beside[d])
            continue;
        struct search_beside *runs = arena_array(p->arena, struct search_beside, n_runs);
        if (!runs)
            return err_set(err, ERR_1201, "no memory for the search");
        if (alike)
            fill_runs(h->draft, d, drafted + 1, drafted > 0, n, cut, runs);
        else
            fill_same(h->beside[d], n_runs, runs);
        out->beside[at] = runs;
    }
    return true;
}

double shares_draft_fill(const struct placer *p, const struct shares *h,
                         const struct draft_spot *spot)
{
    uint32_t n_cards = (uint32_t)__builtin_popcount(spot->main);
    double most = 0;
    for (uint32_t d = 0; d < p->machine->n_devices && h->draft_mask == spot->draft; d++) {
        const struct device *card = &p->machine->devices[d];
        struct plan_runtime r = plan_runtime_estimate(card, SPLIT_LAYER, n_cards);
        uint64_t room = budget_room(p->wish, card, r.bytes);
        double fill = room ? (double)h->beside[d] / (double)room : h->beside[d] ? 1e9 : 0;
        if (!(spot->main & (1u << d)) && fill > most)
            most = fill;
    }
    return most;
}

bool shares_draft_ns(const struct placer *p, const struct shares *h, const struct share_case *c,
                     double *out, struct err *err)
{
    uint32_t drafted = place_drafted(p, c->streams);
    struct shares *draft = h->draft;
    *out = 0;
    if (!drafted || !draft)
        return true;
    if (!shares_time(p, draft, c, true, err))
        return false;
    for (uint32_t l = 0; l < draft->n_layers; l++) {
        double least = draft->ns[l];
        for (uint32_t d = 1; d < p->machine->n_devices; d++)
            least = draft->ns[d * draft->n_layers + l] < least ? draft->ns[d * draft->n_layers + l]
                                                               : least;
        *out += least > 0 ? least : 0;
    }
    *out += (drafted + 1) * speed_hop_ns(speed_coefs);
    return true;
}
