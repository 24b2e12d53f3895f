/* batching_fit: how many sequences a plan's cards hold, and slots for prompts of known lengths. */
#include "plan/batching.h"

#include <string.h>

#include "plan/budget.h"
#include "plan/place.h"

enum { SLOT_STEP = 256, UBATCH_LEAST = 128, UBATCH_USUAL = 512, UBATCH_MOST = 2048 };

/* A placer over the plan's own cards, with what is beside the model already taken from them. */
struct fitter {
    struct machine machine;
    struct placer placer;
    uint32_t mask;
};

static void fitter_init(struct fitter *f, const struct plan *p, struct arena *arena)
{
    f->machine = *p->machine;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        uint64_t gone = p->devices[i].draft, *free_bytes = &f->machine.devices[i].free_bytes;
        *free_bytes = *free_bytes > gone ? *free_bytes - gone : 0;
    }
    f->placer = (struct placer){
        .model = p->model, .machine = &f->machine, .wish = &p->wish, .arena = arena, .quick = true};
    f->mask = p->used_mask ? p->used_mask : place_all_cards(&f->placer);
}

/* The plan's settings for n sequences of so many tokens each; false where the engine cannot count
 * that far. */
static bool settings_for(const struct plan *p, uint32_t n, uint32_t slot, uint32_t ubatch,
                         struct law_settings *out)
{
    uint64_t cells = (uint64_t)n * slot;
    struct law_settings s = p->settings;
    uint64_t outputs = (uint64_t)n * (s.n_outputs_per_seq ? s.n_outputs_per_seq : 1);
    if (cells > INT32_MAX)
        return false;
    s.n_ctx = (uint32_t)cells;
    s.n_seq_max = n;
    s.n_ubatch = ubatch ? ubatch : s.n_ubatch;
    if (!(p->wish.given & GIVEN_BATCH) && s.n_batch < s.n_ubatch)
        s.n_batch = s.n_ubatch;
    if (s.n_outputs_max)
        s.n_outputs_max = (uint32_t)(outputs < s.n_batch ? outputs : s.n_batch);
    if (!(p->wish.given & GIVEN_TENSOR_SPLIT))
        s.n_tensor_split = 0;
    if (!(p->wish.given & GIVEN_SPLIT_MODE))
        s.split = SPLIT_LAYER;
    *out = s;
    return true;
}

/* What the engine refuses holds nothing; only our own memory is an error. */
static bool holds(struct fitter *f, const struct plan *p, uint32_t n, uint32_t slot,
                  uint32_t ubatch, bool *out, struct err *err)
{
    struct law_settings s;
    struct placement pl;
    struct err quiet = {0};
    *out = false;
    if (n == 0 || !settings_for(p, n, slot, ubatch, &s))
        return true;
    bool ok = place_on(&f->placer, f->mask, &s, &pl, &quiet) &&
              (!pl.fits || place_exactly(&f->placer, &pl, &quiet));
    if (!ok)
        return quiet.code != ERR_1201 || err_set(err, ERR_1201, "%s", quiet.title);
    uint64_t missing = budget_host_missing(&p->wish, &f->machine.host, &pl.law);
    uint64_t bearable = p->n_devices ? p->wish.system_overhead_bytes : 0;
    *out = pl.fits && missing <= bearable;
    return true;
}

static uint32_t slot_of(uint64_t tokens)
{
    return (uint32_t)((tokens + SLOT_STEP - 1) / SLOT_STEP * SLOT_STEP);
}

/* More sequences never need less: halving finds the edge. */
static bool largest(struct fitter *f, const struct plan *p, uint32_t slot, uint32_t ubatch,
                    uint32_t most, uint32_t *out, struct err *err)
{
    uint32_t low = 0, high = most;
    while (low < high) {
        bool fits;
        uint32_t mid = low + (high - low + 1) / 2;
        if (!holds(f, p, mid, slot, ubatch, &fits, err))
            return false;
        if (fits)
            low = mid;
        else
            high = mid - 1;
    }
    *out = low;
    return true;
}

bool batching_largest(const struct plan *p, uint32_t length, uint32_t ubatch, struct arena *arena,
                      uint32_t *sequences, uint64_t *candidates, struct err *err)
{
    struct fitter *f = arena_new(arena, struct fitter);
    if (!f)
        return err_set(err, ERR_1201, "no memory for a batch");
    fitter_init(f, p, arena);
    bool ok = largest(f, p, slot_of(length), ubatch, BATCHING_MAX_SEQUENCES, sequences, err);
    if (candidates)
        *candidates += f->placer.candidates;
    return ok;
}

/* Least value that so many of a hundred prompts do not exceed (nearest rank). */
static uint32_t percentile(const struct batching_lengths *l, const uint32_t *order,
                           uint32_t percent)
{
    uint64_t rank = ((uint64_t)l->n * percent + 99) / 100;
    return l->tokens[order[rank ? rank - 1 : 0]];
}

static void count_waste(const struct batching_lengths *l, struct batching_slots *row)
{
    uint64_t filled = 0, served = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        uint64_t need = (uint64_t)l->tokens[i] + BATCHING_REPLY;
        served += need <= row->slot;
        filled += need < row->slot ? need : row->slot;
    }
    row->served = (double)served / l->n;
    row->wasted = 1.0 - (double)filled / ((double)row->slot * l->n);
}

/* How many slots: as many as fit, no more than the wish's own number or what its context holds. */
static uint32_t slots_most(const struct plan *p, uint32_t slot)
{
    uint32_t most = BATCHING_MAX_SEQUENCES;
    if (p->wish.given & GIVEN_PARALLEL)
        most = p->wish.s.n_seq_max < most ? p->wish.s.n_seq_max : most;
    if ((p->wish.given & GIVEN_CTX) && p->law.n_ctx / slot < most)
        most = p->law.n_ctx / slot;
    return most;
}

/* A prompt is read in fewer steps where ubatch is not below it; larger than usual only where that
 * costs no slot. */
static bool choose_ubatch(struct fitter *f, const struct plan *p, struct batching_slots *row,
                          struct err *err)
{
    uint32_t bucket = batching_pow2_bucket(row->prompt);
    bucket = bucket > UBATCH_MOST ? UBATCH_MOST : bucket < UBATCH_LEAST ? UBATCH_LEAST : bucket;
    uint32_t first = bucket < UBATCH_USUAL ? bucket : UBATCH_USUAL, most = slots_most(p, row->slot);
    bool kept = (p->wish.given & GIVEN_UBATCH) != 0;
    row->ubatch = kept ? p->settings.n_ubatch : first;
    if (!largest(f, p, row->slot, row->ubatch, most, &row->parallel, err))
        return false;
    for (uint32_t u = first * 2; row->parallel && !kept && u <= bucket && u <= p->settings.n_batch;
         u *= 2) {
        bool fits;
        if (!holds(f, p, row->parallel, row->slot, u, &fits, err))
            return false;
        if (!fits)
            break;
        row->ubatch = u;
    }
    return true;
}

static bool fill_row(struct fitter *f, const struct plan *p, const struct batching_lengths *l,
                     struct batching_slots *row, struct err *err)
{
    uint32_t trained = p->model->hp.n_ctx_train;
    row->slot = slot_of((uint64_t)row->prompt + BATCHING_REPLY);
    row->beyond_training = trained && row->slot > trained;
    count_waste(l, row);
    if (!choose_ubatch(f, p, row, err))
        return false;
    if ((p->wish.given & GIVEN_PARALLEL) && row->parallel < p->wish.s.n_seq_max)
        row->parallel = 0;
    row->context = (p->wish.given & GIVEN_CTX) && row->parallel
                       ? p->law.n_ctx
                       : (uint64_t)row->parallel * row->slot;
    return true;
}

static int choose_row(const struct batching_advice *a)
{
    for (int i = BATCHING_ROWS - 1; i >= 0; i--)
        if (a->rows[i].parallel && !a->rows[i].beyond_training)
            return i;
    for (int i = BATCHING_ROWS - 1; i >= 0; i--)
        if (a->rows[i].parallel)
            return i;
    return -1;
}

bool batching_advise(const struct plan *p, const struct batching_lengths *lengths,
                     struct arena *arena, struct batching_advice *out, struct err *err)
{
    static const uint32_t percents[BATCHING_ROWS] = {50, 95, 100};
    struct batching_advice a = {.n = lengths->n, .rules = batching_default_rules()};
    struct fitter *f = arena_new(arena, struct fitter);
    if (!f)
        return err_set(err, ERR_1201, "no memory for batching");
    fitter_init(f, p, arena);
    if (!batching_group(lengths, &a.rules, arena, &a.groups, err))
        return false;
    for (int i = 0; i < BATCHING_ROWS; i++) {
        a.rows[i].percentile = percents[i];
        a.rows[i].prompt = percentile(lengths, a.groups.order, percents[i]);
        if (!fill_row(f, p, lengths, &a.rows[i], err))
            return false;
    }
    a.shortest = lengths->tokens[a.groups.order[0]];
    a.p50 = a.rows[0].prompt;
    a.p95 = a.rows[1].prompt;
    a.longest = a.rows[2].prompt;
    a.mean = (double)a.groups.tokens / a.n;
    a.chosen = choose_row(&a);
    if (a.chosen >= 0 && a.rows[a.chosen].parallel < a.rules.max_items) {
        a.rules.max_items = a.rows[a.chosen].parallel;
        if (!batching_group(lengths, &a.rules, arena, &a.groups, err))
            return false;
    }
    *out = a;
    return true;
}
