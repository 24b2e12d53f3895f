/* test_vllm_choice: cards, tp x pp and stages are chosen as brute force would, and more memory
 * never hurts. */
#include "plan/vllm_layout.h"
#include "vllm_make.h"

static uint64_t seed = 88172645463325252u;

static uint32_t dice(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed % n);
}

static struct vllm_plan plan(const struct hub_model *model, const struct machine *m,
                             const struct vllm_wish *w, struct arena *arena)
{
    struct vllm_plan p = {0};
    struct err err = {0};
    if (!vllm_plan_make(model, m, w, arena, &p, &err))
        fail_msg("%s", err.title);
    return p;
}

/* Every cut of the layers into three stages, in the order of cards that was chosen; blocks that are
 * there at the estimates' low end, which is what a plan promises. */
static uint64_t best_of_all_cuts(const struct vllm_plan *p, const struct hub_model *model,
                                 const struct machine *m, struct arena *arena)
{
    uint64_t best = 0;
    struct vllm_wish w = p->wish;
    w.as_command = true;
    w.n_partition = 3;
    for (uint32_t a = 1; a + 2 <= model->n_layers; a++) {
        for (uint32_t b = 1; a + b + 1 <= model->n_layers; b++) {
            struct arena_mark mark = arena_mark(arena);
            w.partition[0] = a;
            w.partition[1] = b;
            w.partition[2] = model->n_layers - a - b;
            struct vllm_plan other = plan(model, m, &w, arena);
            best = other.blocks.low > best ? other.blocks.low : best;
            arena_rewind(arena, mark);
        }
    }
    return best;
}

static void stages_are_exact(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        own(own_arena) struct arena arena = {0};
        struct hub_model model = make_hub(i % 2 ? qwen25_7b : gpt_oss_20b, &arena);
        struct machine m = {0};
        struct vllm_wish w = vllm_default_wish();
        for (int c = 0; c < 3; c++) {
            double total = 8 + dice(20);
            add_card(&m, total, total - dice(3), 86, 500 + dice(500));
        }
        w.pp = 3;
        w.tp = 1;
        w.goal = GOAL_CONTEXT;
        struct vllm_plan p = plan(&model, &m, &w, &arena);
        assert_int_equal(p.blocks.low, best_of_all_cuts(&p, &model, &m, &arena));
    }
}

static void unequal_cards_get_uneven_stages(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hub_model model = make_hub(llama_70b_awq, &arena);
    struct machine m = {0};
    struct vllm_wish w = vllm_default_wish();
    (void)state;
    add_card(&m, 32, 31.5, 120, 1792);
    add_card(&m, 24, 23.5, 89, 1008);
    w.pp = 2;
    struct vllm_plan p = plan(&model, &m, &w, &arena);
    assert_true(p.partition_needed);
    assert_int_equal(p.wish.partition[0] + p.wish.partition[1], 80);
    uint32_t large = p.ranks[0].card->total_bytes > p.ranks[1].card->total_bytes ? 0 : 1;
    assert_true(p.wish.partition[large] > p.wish.partition[!large]);
    w.n_partition = 2;
    w.partition[0] = w.partition[1] = 40;
    assert_true(plan(&model, &m, &w, &arena).blocks.value < p.blocks.value);
}

static void goals(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hub_model model = make_hub(llama_8b, &arena);
    struct machine m = {0};
    struct vllm_wish w = vllm_default_wish();
    (void)state;
    for (int i = 0; i < 4; i++)
        add_card(&m, 24, 23.5, 89, 1008);
    struct vllm_plan one = plan(&model, &m, &w, &arena);
    assert_int_equal(one.n_ranks, 1); /* it fits on one: the others stay free */
    w.goal = GOAL_SPEED;
    assert_true(plan(&model, &m, &w, &arena).tp > 1);
    w.goal = GOAL_CONTEXT;
    struct vllm_plan most = plan(&model, &m, &w, &arena);
    assert_true(most.max_context.low >= one.max_context.low && most.n_ranks > 1);
    w.goal = GOAL_FEWEST;
    w.spread = true;
    assert_int_equal(plan(&model, &m, &w, &arena).n_ranks, 4);
}

static void more_memory_never_hurts(void **state)
{
    static const char *const configs[] = {llama_8b, qwen3_32b, gpt_oss_20b, llama_70b_awq};
    (void)state;
    for (int i = 0; i < 40; i++) {
        own(own_arena) struct arena arena = {0};
        struct hub_model model = make_hub(configs[dice(4)], &arena);
        struct machine m = {0};
        struct vllm_wish w = vllm_default_wish();
        w.goal = GOAL_CONTEXT;
        for (uint32_t c = 0, n = 1 + dice(3); c < n; c++) {
            double total = 12 + dice(40);
            add_card(&m, total, total - dice(4), 89, 1000);
        }
        uint32_t before = plan(&model, &m, &w, &arena).choice.context;
        struct device *d = &m.devices[dice(m.n_devices)];
        d->total_bytes += (uint64_t)4 << 30;
        d->free_bytes += (uint64_t)4 << 30;
        assert_true(plan(&model, &m, &w, &arena).choice.context >= before);
    }
}

static void a_shorter_request_still_fits(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hub_model model = make_hub(qwen3_32b, &arena);
    struct machine m = {0};
    struct vllm_wish w = vllm_default_wish();
    (void)state;
    add_card(&m, 80, 79, 90, 3350);
    struct vllm_plan p = plan(&model, &m, &w, &arena);
    assert_int_equal(p.verdict, VERDICT_FITS);
    w.max_len = p.wish.max_len;
    assert_int_equal(plan(&model, &m, &w, &arena).verdict, VERDICT_FITS);
    w.max_len = p.wish.max_len / 2;
    assert_int_equal(plan(&model, &m, &w, &arena).verdict, VERDICT_FITS);
    if (p.max_context.value < model.config.context) {
        w.max_len = (uint32_t)p.max_context.value + 64;
        struct vllm_plan over = plan(&model, &m, &w, &arena);
        assert_int_equal(over.verdict, VERDICT_NO_FIT);
        assert_true(over.shortfall > 0);
    }
}

/* Window layers hold their window and the batch, not the whole request. */
static void windows_save_cache(void **state)
{
    own(own_arena) struct arena arena = {0};
    struct hub_model window = make_hub(gpt_oss_20b, &arena), full = window;
    struct hub_layer *layers = arena_array(&arena, struct hub_layer, full.n_layers);
    struct machine m = {0};
    struct vllm_wish w = vllm_default_wish();
    (void)state;
    memcpy(layers, full.layers, sizeof(*layers) * full.n_layers);
    for (uint32_t i = 0; i < full.n_layers; i++)
        layers[i].kind = HUB_FULL;
    full.layers = layers;
    add_card(&m, 24, 23.5, 89, 1008);
    w.max_len = 131072;
    struct vllm_plan a = plan(&window, &m, &w, &arena), b = plan(&full, &m, &w, &arena);
    assert_int_equal(a.n_groups, 2);
    assert_int_equal(b.n_groups, 1);
    assert_true(a.concurrency > 1.8 * b.concurrency);
}

/* Ranks as vLLM numbers them under Ray: the head's, then hosts of fewer cards, then by name; groups
 * stay inside a host, and the identity holds on every rank. */
static void hosts_keep_their_order(void **state)
{
    static const char *const names[] = {"b", "a", "c"};
    (void)state;
    for (int i = 0; i < 60; i++) {
        own(own_arena) struct arena arena = {0};
        struct hub_model model = make_hub(i % 2 ? llama_70b_awq : llama_8b, &arena);
        struct machine m = {0};
        struct vllm_wish w = vllm_default_wish();
        uint32_t count[3] = {0};
        for (uint32_t h = 0, hosts = 2 + dice(2); h < hosts; h++) {
            for (uint32_t k = 0, n = 1 + dice(3); k < n; k++) {
                add_card(&m, 24 + 8 * dice(3), 24, 89, 1008);
                m.devices[m.n_devices - 1].host = names[h];
                count[names[h][0] - 'a']++;
            }
        }
        w.spread = true;
        w.goal = (enum plan_goal)dice(5);
        struct vllm_plan p = plan(&model, &m, &w, &arena);
        assert_true(p.wish.ray);
        for (uint32_t r = 1; r < p.n_ranks; r++) {
            const char *x = p.ranks[r - 1].card->host, *y = p.ranks[r].card->host;
            assert_true(x == y || r % p.tp == 0);
            if (x == y || x == p.ranks[0].card->host)
                continue;
            assert_true(count[x[0] - 'a'] <= count[y[0] - 'a']);
            assert_true(count[x[0] - 'a'] < count[y[0] - 'a'] || x[0] < y[0]);
        }
        for (uint32_t r = 0; r < p.n_ranks && p.verdict == VERDICT_FITS; r++) {
            const struct vllm_rank *k = &p.ranks[r];
            assert_int_equal(k->requested, k->weights + k->activation.value + k->non_torch.value +
                                               k->graphs.value + k->kv.value);
            assert_true(k->blocks.value >= p.blocks.value);
        }
    }
}

static void explanation_adds_up(void **state)
{
    own(own_arena) struct arena arena = {0};
    own(own_str) struct str text = {0};
    struct hub_model model = make_hub(llama_8b, &arena);
    struct machine m = {0};
    struct vllm_wish w = vllm_default_wish();
    (void)state;
    add_card(&m, 24, 23.5, 89, 1008);
    struct vllm_plan p = plan(&model, &m, &w, &arena);
    const struct vllm_rank *r = &p.ranks[0];
    assert_int_equal(r->requested, r->weights + r->activation.value + r->non_torch.value +
                                       r->graphs.value + r->kv.value);
    vllm_explain(&p, &text);
    assert_non_null(strstr(text.data, "= KV cache"));
    assert_non_null(strstr(text.data, "requested"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_are_exact),
        cmocka_unit_test(unequal_cards_get_uneven_stages),
        cmocka_unit_test(goals),
        cmocka_unit_test(more_memory_never_hurts),
        cmocka_unit_test(a_shorter_request_still_fits),
        cmocka_unit_test(windows_save_cache),
        cmocka_unit_test(hosts_keep_their_order),
        cmocka_unit_test(explanation_adds_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
