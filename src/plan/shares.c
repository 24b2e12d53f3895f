/* shares: what a card takes beside its layers' own bytes, learned from splits that the law worked
 * out. A kind of run of layers takes the same in all splits. */
#include "plan/shares.h"

#include <string.h>

#include "plan/budget.h"

enum {
    SETTLED = 6,
    BUCKETS = 4096
}; /* runs longer than SETTLED differ by their layers' own bytes only */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return ((hash ^ value) * 0x9e3779b97f4a7c15u) ^ hash >> 29;
}

/* Layers of equal value make the same nodes and take the same bytes. */
static uint64_t layer_sign(const struct model *m, uint32_t il, uint64_t bytes)
{
    const struct model_layer *l = &m->layers[il];
    const int32_t *tensor = &l->tensor[0][0];
    uint64_t h =
        mix(mix(l->kv, (uint64_t)l->ffn << 16 | (uint64_t)l->nextn << 8 | l->window), bytes);
    h = mix(mix(h, (uint64_t)l->n_head << 32 | l->n_head_kv),
            (uint64_t)l->head_dim_k << 32 | l->head_dim_v);
    for (uint32_t k = 0; k < ROLE_COUNT * PART_COUNT; k++) {
        if (tensor[k] < 0)
            continue;
        const struct model_tensor *t = &m->tensors[tensor[k]];
        h = mix(mix(mix(h, (uint64_t)k << 8 | t->type), t->ne[0]), mix(t->ne[1], t->ne[2]));
    }
    return h;
}

/* Kinds of runs by the hash of what tells them apart; the last kind takes what no longer has room.
 */
struct kinds {
    uint64_t hash[BUCKETS];
    uint16_t id[BUCKETS];
    uint32_t n;
};

static uint16_t kind_of(struct kinds *k, uint64_t hash)
{
    uint32_t i = (uint32_t)(hash >> 40) % BUCKETS;
    hash = hash ? hash : 1;
    while (k->hash[i] && k->hash[i] != hash)
        i = (i + 1) % BUCKETS;
    if (k->hash[i] == hash)
        return k->id[i];
    if (k->n + 1 >= SHARES_KINDS)
        return SHARES_KINDS - 1;
    k->hash[i] = hash;
    k->id[i] = (uint16_t)k->n++;
    return k->id[i];
}

/* A run's hash: whether it is the first and the last, all its layers in turn while it is short,
 * afterwards the set of them. */
static void name_kinds(struct shares *h, const uint64_t *sign, struct kinds *k)
{
    uint32_t n = h->n_layers;
    for (uint32_t from = 0; from < n; from++) {
        uint64_t run = 0, set = 0;
        for (uint32_t to = from + 1; to <= n; to++) {
            uint64_t layer = sign[to - 1];
            set |= 1ull << (layer >> 58);
            if (to - from <= SETTLED)
                run = mix(run, layer);
            uint64_t ends = (uint64_t)(from == 0) << 1 | (to == n);
            uint64_t length = to - from <= SETTLED ? to - from : SETTLED + 1;
            h->kind[from * (n + 1) + to] = kind_of(k, mix(mix(mix(run, set), ends), length));
        }
    }
    h->n_kinds = k->n;
}

struct share_book *shares_open(const struct placer *p, uint32_t n_entries)
{
    struct share_book *book = arena_new(p->arena, struct share_book);
    uint32_t n = p->model->n_layers + 1, cards = p->machine->n_devices ? p->machine->n_devices : 1;
    for (uint32_t i = 0; book && i < n_entries; i++) {
        struct shares *h = &book->entry[i];
        h->bytes = arena_array(p->arena, uint64_t, MODEL_MAX_LAYERS + 1);
        h->kind = arena_array(p->arena, uint16_t, n * (n + 1));
        h->extra = arena_array(p->arena, int64_t, cards * SHARES_KINDS);
        h->seen = arena_array(p->arena, bool, cards *SHARES_KINDS);
        h->ns = arena_array(p->arena, double, cards *n);
        if (!h->bytes || !h->kind || !h->extra || !h->seen || !h->ns)
            return NULL;
    }
    if (book && p->wish->draft) {
        struct placer of_draft = *p;
        book->wish = plan_default_wish();
        of_draft.model = p->wish->draft;
        of_draft.wish = &book->wish;
        book->draft = shares_open(&of_draft, n_entries);
        if (!book->draft)
            return NULL;
    }
    if (book) {
        book->model = p->model;
        book->machine = p->machine;
        book->quick = p->quick;
        book->n = n_entries;
    }
    return book;
}

static struct law_settings without_split(const struct law_settings *s)
{
    struct law_settings key = *s;
    key.split = SPLIT_LAYER;
    key.n_tensor_split = 0;
    memset(key.tensor_split, 0, sizeof(key.tensor_split));
    return key;
}

/* The cache counts by the wish's factor; what the engine puts beside it is a card's extra. */
static bool size_layers(struct placer *p, struct shares *h, struct err *err)
{
    uint32_t n_layers, n_weights;
    struct arena_mark mark = arena_mark(p->arena);
    uint64_t *weights = arena_array(p->arena, uint64_t, MODEL_MAX_LAYERS + 1);
    struct law_settings bare = h->s;
    bare.no_kv_offload = true;
    bool ok = weights || err_set(err, ERR_1201, "no memory to size the layers");
    ok = ok && law_layer_costs(p->model, p->machine, &h->s, p->arena, h->bytes, &n_layers, err) &&
         law_layer_costs(p->model, p->machine, &bare, p->arena, weights, &n_weights, err);
    for (uint32_t i = 0; ok && i < n_layers; i++) {
        uint64_t kv = h->bytes[i] > weights[i] ? h->bytes[i] - weights[i] : 0;
        h->bytes[i] = weights[i] + (uint64_t)(p->wish->kv_cache_factor * (double)kv);
        h->bytes[i] += p->wish->layer_extra ? p->wish->layer_extra[i] : 0;
    }
    arena_rewind(p->arena, mark);
    if (!ok)
        return false;
    uint32_t asked = h->s.n_gpu_layers < 0 ? n_layers : (uint32_t)h->s.n_gpu_layers;
    h->first = asked < n_layers ? n_layers - asked : 0;
    h->n_layers = n_layers - h->first;
    memmove(h->bytes, h->bytes + h->first, h->n_layers * sizeof(*h->bytes));
    return true;
}

static bool start(struct placer *p, struct shares *h, struct err *err)
{
    struct arena_mark mark = arena_mark(p->arena);
    struct kinds *k = arena_new(p->arena, struct kinds);
    uint64_t *sign = arena_array(p->arena, uint64_t, p->model->n_layers + 1);
    bool ok = (k && sign) || err_set(err, ERR_1201, "no memory for the kinds of layers");
    ok = ok && size_layers(p, h, err);
    if (ok) {
        for (uint32_t i = 0; i < h->n_layers; i++) {
            uint32_t il = i + h->first;
            sign[i] = il < p->model->n_layers ? layer_sign(p->model, il, h->bytes[i]) : 0;
        }
        name_kinds(h, sign, k);
        memset(h->extra, 0, p->machine->n_devices * SHARES_KINDS * sizeof(*h->extra));
        memset(h->seen, 0, p->machine->n_devices * SHARES_KINDS * sizeof(*h->seen));
    }
    arena_rewind(p->arena, mark);
    return ok;
}

struct shares *shares_of(struct placer *p, struct share_book *book, const struct law_settings *s,
                         struct err *err)
{
    struct law_settings key = without_split(s);
    struct shares *oldest = &book->entry[0];
    for (uint32_t i = 0; i < book->n; i++) {
        struct shares *h = &book->entry[i];
        if (h->age && memcmp(&h->s, &key, sizeof(key)) == 0) {
            h->age = ++book->clock;
            return h;
        }
        oldest = h->age < oldest->age ? h : oldest;
    }
    oldest->s = key;
    oldest->age = 0;
    oldest->streams = 0;
    oldest->draft = NULL;
    oldest->draft_mask = 0;
    memset(oldest->beside, 0, sizeof(oldest->beside));
    if (!start(p, oldest, err))
        return NULL;
    oldest->age = ++book->clock;
    return oldest;
}

/* The run gets a kind of its own, so that what was seen of it no longer speaks for others. */
static bool split_off(const struct placer *p, struct shares *h, uint32_t cell)
{
    uint16_t old = h->kind[cell], new = (uint16_t)h->n_kinds;
    uint32_t users = 0;
    for (uint32_t i = 0; i < h->n_layers * (h->n_layers + 1); i++)
        users += h->kind[i] == old;
    if (users < 2 || h->n_kinds + 1 >= SHARES_KINDS)
        return false;
    for (uint32_t d = 0; d < p->machine->n_devices; d++) {
        h->extra[d * SHARES_KINDS + new] = h->extra[d * SHARES_KINDS + old];
        h->seen[d * SHARES_KINDS + new] = false;
    }
    h->kind[cell] = new;
    h->n_kinds++;
    return true;
}

static bool learn_run(const struct placer *p, struct shares *h, uint32_t device, uint32_t from,
                      uint32_t to, uint64_t need)
{
    uint32_t cell = from * (h->n_layers + 1) + to;
    uint64_t own = 0;
    for (uint32_t l = from; l < to; l++)
        own += h->bytes[l];
    int64_t seen = (int64_t)need - (int64_t)own;
    uint32_t at = device * SHARES_KINDS + h->kind[cell];
    bool differs = h->seen[at] && seen != h->extra[at];
    if (differs &&
        split_off(p, h, cell)) { /* the others of its kind: no less than the least that was seen */
        h->extra[at] = seen < h->extra[at] ? seen : h->extra[at];
        at = device * SHARES_KINDS + h->kind[cell];
        differs = false;
    }
    h->extra[at] = seen;
    h->seen[at] = true;
    return !differs;
}

bool shares_learn_law(const struct placer *p, struct shares *h, uint32_t mask,
                      const struct law_result *law, const uint64_t *need)
{
    bool told = true;
    uint32_t from = 0, card = 0;
    for (uint32_t d = 0; d < p->machine->n_devices; d++) {
        if (!(mask & (1u << d)))
            continue;
        uint32_t to = from;
        while (to < h->n_layers && law->layer_device[h->first + to] == (int)card)
            to++;
        if (to > from)
            told = learn_run(p, h, d, from, to, need[d]) && told;
        from = to;
        card++;
    }
    return told && from == h->n_layers;
}

bool shares_learn(const struct placer *p, struct share_book *book, struct shares *h,
                  const struct placement *pl)
{
    uint64_t need[MACHINE_MAX_DEVICES];
    bool alone = !p->wish->draft; /* NextN blocks lie with the model's layers */
    for (uint32_t d = 0; d < p->machine->n_devices; d++)
        need[d] = place_need(p, pl, d) - (alone ? 0 : place_draft_need(pl, d));
    bool told = shares_learn_law(p, h, pl->mask, &pl->law, need);
    return (alone || shares_learn_draft(p, book, h, pl)) && told;
}

bool shares_time(const struct placer *p, struct shares *h, const struct share_case *c,
                 bool of_draft, struct err *err)
{
    struct arena_mark mark = arena_mark(p->arena);
    struct law_settings counted = h->s;
    double host_gbs = speed_host_gbs(&p->machine->host);
    uint32_t drafted = place_drafted(p, c->streams);
    uint32_t depth = c->depth > SPEED_EMPTY_CELLS ? c->depth : SPEED_EMPTY_CELLS;
    if (h->streams == c->streams && h->depth == c->depth && h->drafted == drafted)
        return true;
    struct speed_work *work = arena_new(p->arena, struct speed_work);
    if (!work)
        return err_set(err, ERR_1201, "no memory for the layers' times");
    if (!of_draft)
        counted.type_k = counted.type_v = GGUF_TYPE_F16; /* as place_rate counts it */
    speed_work_make(of_draft ? p->wish->draft : p->model, &counted, h->s.flash != FLASH_OFF, NULL,
                    work);
    for (uint32_t d = 0; d < p->machine->n_devices; d++)
        for (uint32_t l = 0; l < h->n_layers; l++)
            h->ns[d * h->n_layers + l] =
                drafted ? speculation_layer_ns(work, h->first + l, &p->cards[d], host_gbs, drafted,
                                               of_draft)
                        : speed_layer_streams_ns(speed_coefs, work, h->first + l, &p->cards[d],
                                                 host_gbs, c->streams, depth);
    arena_rewind(p->arena, mark);
    h->streams = c->streams;
    h->depth = c->depth;
    h->drafted = drafted;
    return true;
}

/* NextN blocks stand before the output layer; a token's own way does not lead through them. */
static uint32_t count_aside(const struct model *m, const struct shares *h)
{
    uint32_t n = 0;
    while (n + 1 < h->n_layers && m->layers[m->n_layers - 1 - n].nextn)
        n++;
    return n;
}

bool shares_problem(struct placer *p, struct shares *h, const struct share_case *c,
                    struct search_problem *out, struct err *err)
{
    uint32_t card = 0, mask = c->spot.main, n_cards = (uint32_t)__builtin_popcount(mask);
    double *ns = arena_array(p->arena, double, n_cards * h->n_layers);
    if (!ns)
        return err_set(err, ERR_1201, "no memory for the search");
    if (c->streams && !shares_time(p, h, c, false, err))
        return false;
    *out = (struct search_problem){.n_layers = h->n_layers,
                                   .n_cards = n_cards,
                                   .ns = ns,
                                   .bytes = h->bytes,
                                   .kind = h->kind,
                                   .n_aside = count_aside(p->model, h)};
    for (uint32_t d = 0; d < p->machine->n_devices; d++) {
        if (!(mask & (1u << d)))
            continue;
        struct plan_runtime r =
            plan_runtime_estimate(&p->machine->devices[d], SPLIT_LAYER, n_cards);
        out->room[card] = budget_room(p->wish, &p->machine->devices[d], r.bytes);
        out->hop_ns[card] = speed_hop_ns(speed_coefs);
        out->extra[card] = h->extra + (size_t)d * SHARES_KINDS;
        if (c->streams)
            memcpy(ns + (size_t)card * h->n_layers, h->ns + (size_t)d * h->n_layers,
                   h->n_layers * sizeof(*ns));
        card++;
    }
    return !p->wish->draft || shares_add_draft(p, h, c, out, err);
}
