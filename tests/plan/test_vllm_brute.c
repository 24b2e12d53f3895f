/* test_vllm_brute: on small random cases the chosen tp x pp, ranks and stages are as good as the best of
 * all of them. */
#include "plan/vllm_layout.h"
#include "plan/vllm_search.h"
#include "vllm_make.h"

enum { CASES = 600 };

static uint64_t seed = 3141592653589793239u;

static uint32_t dice(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed % n);
}

static struct hub_model random_model(struct arena *arena)
{
    static const uint32_t heads[] = {4, 8, 12, 16};
    char config[600];
    uint32_t n_heads = heads[dice(4)], kv = dice(2) ? n_heads : 2 + 2 * dice(2);
    kv = n_heads % kv ? n_heads : kv;
    snprintf(config, sizeof(config),
             CONFIG("LlamaForCausalLM", "\"num_hidden_layers\":%u,\"hidden_size\":%u,"
                                        "\"num_attention_heads\":%u,\"num_key_value_heads\":%u,"
                                        "\"intermediate_size\":%u,\"vocab_size\":%u,"
                                        "\"max_position_embeddings\":%u"),
             3 + dice(4), n_heads * 512, n_heads, kv, 16384 + 4096 * dice(8), 32000 + dice(90000),
             16384u << dice(4));
    return make_hub(config, arena);
}

static void random_cards(struct machine *m)
{
    static const double gbs[] = {448, 936, 1008, 1792};
    uint32_t kinds = 1 + dice(3), n = dice(4) ? 1 + dice(3) : 4;
    double total[3], free[3], speed[3];
    for (uint32_t k = 0; k < kinds; k++) {
        total[k] = 6 + dice(10);
        free[k] = total[k] - 0.5 * dice(3);
        speed[k] = gbs[dice(4)];
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = dice(kinds);
        add_card(m, total[k], free[k], 89, speed[k]);
    }
}

/* The measures that goals are about, of one layout. */
struct found {
    bool enough;
    uint32_t n_cards, context, tp;
    uint8_t cards[4];
    double decode_ms, throughput;
};

struct brute {
    const struct hub_model *model;
    const struct machine *m;
    const struct vllm_wish *wish;
    struct arena *arena;
    struct found fits[4096 * 8];
    uint32_t n;
    uint8_t cards[4];
};

/* One layout as a command says it: nothing is chosen there. */
static void look(struct brute *b, uint32_t n, uint32_t tp, const uint32_t *part, uint32_t pp)
{
    struct vllm_wish w = *b->wish;
    struct vllm_plan p = {0};
    struct err err = {0};
    struct arena_mark mark = arena_mark(b->arena);
    w.as_command = true;
    w.utilization = vllm_utilization(b->m, &w, b->cards, n);
    w.max_len = w.max_len ? w.max_len : vllm_wanted_context(b->model, &w);
    w.cards_set = true;
    w.n_cards = n;
    memcpy(w.cards, b->cards, n);
    w.tp = tp;
    w.pp = pp;
    w.n_partition = pp;
    memcpy(w.partition, part, pp * sizeof(*part));
    if (w.utilization > 0 &&
        vllm_plan_make(b->model, b->m, &w, b->arena, &p, &err)) {
        assert_true(b->n < sizeof(b->fits) / sizeof(b->fits[0]));
        b->fits[b->n++] = (struct found){.enough = p.enough,
                                         .n_cards = n,
                                         .context = p.choice.context,
                                         .tp = tp,
                                         .decode_ms = p.choice.decode_ms,
                                         .throughput = p.choice.throughput_tps};
        memcpy(b->fits[b->n - 1].cards, b->cards, sizeof(b->cards));
    }
    arena_rewind(b->arena, mark);
}

static void each_partition(struct brute *b, uint32_t n, uint32_t tp, uint32_t *part, uint32_t stage,
                           uint32_t left)
{
    uint32_t pp = n / tp;
    if (stage + 1 == pp) {
        part[stage] = left;
        look(b, n, tp, part, pp);
        return;
    }
    for (uint32_t k = 1; k + (pp - stage - 1) <= left; k++) {
        part[stage] = k;
        each_partition(b, n, tp, part, stage + 1, left - k);
    }
}

/* Every ordered choice of cards, and with each every tp x pp and every cut. */
static void each_order(struct brute *b, uint32_t n, uint32_t used)
{
    uint32_t part[4];
    for (uint32_t tp = 1; tp <= n; tp++)
        if (n % tp == 0 && n / tp <= b->model->n_layers)
            each_partition(b, n, tp, part, 0, b->model->n_layers);
    for (uint32_t i = 0; i < b->m->n_devices; i++) {
        if (used & (1u << i))
            continue;
        b->cards[n] = (uint8_t)i;
        each_order(b, n + 1, used | (1u << i));
    }
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-6 * (fabs(a) + fabs(b));
}

static double fastest(const struct brute *b)
{
    double ms = INFINITY;
    for (uint32_t i = 0; i < b->n; i++)
        ms = b->fits[i].enough && b->fits[i].decode_ms < ms ? b->fits[i].decode_ms : ms;
    return ms;
}

/* Where something holds what is wanted, the plan is the best of what does. */
static void check_goal(const struct brute *b, const struct vllm_plan *p, enum plan_goal goal)
{
    double limit = 1.1 * fastest(b), best = 0;
    uint32_t fewest = UINT32_MAX, context = 0;
    assert_true(p->enough);
    for (uint32_t i = 0; i < b->n; i++) {
        const struct found *f = &b->fits[i];
        if (!f->enough)
            continue;
        best = f->throughput > best ? f->throughput : best;
        bool counts = goal == GOAL_FEWEST || f->decode_ms <= limit;
        fewest = counts && f->n_cards < fewest ? f->n_cards : fewest;
        if (f->tp == p->tp && f->n_cards == p->n_ranks && memcmp(f->cards, p->wish.cards, f->n_cards) == 0)
            context = f->context > context ? f->context : context;
    }
    if (goal == GOAL_SPEED)
        assert_true(near(p->choice.decode_ms, fastest(b)));
    else if (goal == GOAL_THROUGHPUT)
        assert_true(near(p->choice.throughput_tps, best));
    else
        assert_int_equal(p->n_ranks, fewest);
    if (goal == GOAL_FEWEST) /* the largest on the cards that were taken, whatever the cut */
        assert_int_equal(p->choice.context, context);
    if (goal == GOAL_BALANCED)
        assert_true(p->choice.decode_ms <= limit * (1 + 1e-9));
}

static uint32_t longest(const struct brute *b)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < b->n; i++)
        most = b->fits[i].context > most ? b->fits[i].context : most;
    return most;
}

static void equals_brute_force(void **state)
{
    static const enum plan_goal goals[] = {GOAL_FEWEST, GOAL_BALANCED, GOAL_CONTEXT, GOAL_SPEED,
                                           GOAL_THROUGHPUT};
    struct brute *b = malloc(sizeof(*b));
    uint32_t split = 0, fits = 0, layouts = 0;
    (void)state;
    for (int i = 0; i < CASES; i++) {
        own(own_arena) struct arena arena = {0};
        struct hub_model model = random_model(&arena);
        struct machine m = {0};
        struct vllm_wish w = vllm_default_wish();
        struct vllm_plan p = {0};
        struct err err = {0};
        random_cards(&m);
        w.goal = goals[i % 5];
        w.max_seqs = 16;
        *b = (struct brute){.model = &model, .m = &m, .wish = &w, .arena = &arena};
        each_order(b, 0, 0);
        layouts += b->n;
        if (!vllm_plan_make(&model, &m, &w, &arena, &p, &err))
            fail_msg("case %d: %s", i, err.title);
        bool possible = isfinite(fastest(b));
        fits += possible;
        split += p.n_ranks > 1;
        if (w.goal == GOAL_CONTEXT || !possible)
            assert_int_equal(p.choice.context, longest(b));
        else
            check_goal(b, &p, w.goal);
    }
    free(b);
    print_message("%d cases, %u layouts, %u fit, %u over several cards\n", CASES, layouts, fits, split);
    assert_true(fits > CASES / 3 && split > CASES / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_brute_force)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
