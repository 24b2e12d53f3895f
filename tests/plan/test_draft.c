/* test_draft: draft models and NextN blocks: where they are placed, when they are used, what is said of their gain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "model/profile.h"
#include "plan/place.h"

#define GIB ((uint64_t)1 << 30)

static struct arena arena;
static struct err err;
static struct model model, draft;
static struct machine machine;
static struct plan plan;

static int reset(void **state)
{
    (void)state;
    arena_finish(&arena);
    err = (struct err){0};
    return 0;
}

static void open_model(const char *name, struct model *out)
{
    struct model_request req = {.ref = name};
    if (!model_open(&req, &arena, out, &err))
        fail_msg("%s: %s", name, err.title);
}

/* A dense model with a NextN block, from the headers of the law's tests. */
static void open_dense_model(struct model *out)
{
    static char text[1 << 20];
    struct file *f = NULL;
    uint64_t size = 0;
    struct gguf *g = arena_new(&arena, struct gguf);
    bool ok = file_open(MODELS_FILE, "models", 0, &f, &size, &err) && size < sizeof(text) &&
              file_read_at(f, 0, text, size, &err);
    file_close(f);
    const char *name = "qwen3.5-9b-mtp";
    if (!ok || !profile_read(strstr(text, "[qwen3.5-9b-mtp]"), name, &arena, g, &err) ||
        !model_from_gguf(g, name, &arena, out, &err))
        fail_msg("%s: %s", name, err.title);
}

static void cards(const char *text)
{
    struct machine real = {.host = {.total_bytes = 64 * GIB, .free_bytes = 60 * GIB, .cores = 16, .avx2 = true}};
    if (!machine_parse_gpus(text, &real, &arena, &machine, &err))
        fail_msg("%s: %s", text, err.title);
}

static struct plan_wish with_draft(enum plan_goal goal)
{
    struct plan_wish w = plan_default_wish();
    w.goal = goal;
    w.draft = &draft;
    w.speculation = SPEC_DRAFT;
    w.s.n_outputs_max = w.s.n_outputs_per_seq = 1 + w.drafted;
    return w;
}

static void make(const struct plan_wish *w)
{
    if (!plan_make(&model, &machine, w, &arena, &plan, &err))
        fail_msg("%s", err.title);
}

static bool within_rooms(void)
{
    for (uint32_t i = 0; i < plan.n_devices; i++) {
        const struct plan_device *d = &plan.devices[i];
        uint64_t need = d->weights + d->kv + d->compute + d->runtime + d->draft;
        if (need && need + d->keep_free > d->card->free_bytes)
            return false;
    }
    return true;
}

static bool said(const char *reason)
{
    for (uint32_t i = 0; i < plan.n_reasons; i++)
        if (strstr(plan.reasons[i], reason))
            return true;
    return false;
}

static const struct plan_alternative *alternative(const char *change)
{
    for (uint32_t i = 0; i < plan.n_alternatives; i++)
        if (strstr(plan.alternatives[i].change, change))
            return &plan.alternatives[i];
    return NULL;
}

/* The plan's own choice of cards for the draft against every choice a person could give. */
static void no_other_place_is_better(void **state)
{
    (void)state;
    static const char *const sets[] = {"rtx5090,rtx4090", "rtx4090,rtx3090,rtx3060", "rtx3060,rtx5090:free=22GiB,rtx3090"};
    static const enum plan_goal goals[] = {GOAL_SPEED, GOAL_CONTEXT};
    for (size_t i = 0; i < 6; i++) {
        reset(NULL);
        open_model("qwen2.5-32b:Q4_K_M", &model);
        open_model("qwen2.5-0.5b:Q8_0", &draft);
        cards(sets[i / 2]);
        struct plan_wish w = with_draft(goals[i % 2]);
        make(&w);
        assert_int_equal(plan.verdict, VERDICT_FITS);
        assert_true(within_rooms());
        assert_true(plan.optimality.proved && plan.draft_law.n_ctx == plan.law.n_ctx);
        double best = plan.optimality.best, tps = plan.speculation.decode.tps;
        for (uint32_t mask = 1; mask < 1u << machine.n_devices; mask++) {
            w.given |= GIVEN_DRAFT_CARDS;
            w.draft_cards = mask;
            make(&w);
            assert_int_equal(plan.draft_mask, mask);
            if (plan.verdict == VERDICT_FITS && plan.optimality.objective && plan.optimality.best > best * 1.0001)
                fail_msg("%s goal %d: cards %x give %f, chosen were %f (%f tok/s)", sets[i / 2], (int)goals[i % 2],
                         mask, plan.optimality.best, best, tps);
        }
    }
}

/* The best of all splits of one set at one place of the draft; every card takes a layer. */
static void try_splits(struct placer *p, struct placement *pl, uint32_t card, uint32_t left, double *best)
{
    uint32_t n = (uint32_t)__builtin_popcount(pl->mask), most = left - (n - 1 - card);
    for (uint32_t count = card + 1 < n ? 1 : left; count <= most; count++) {
        pl->s.tensor_split[card] = count;
        if (card + 1 < n) {
            try_splits(p, pl, card + 1, left - count, best);
            continue;
        }
        struct arena_mark mark = arena_mark(&arena);
        if (!place_evaluate(p, pl, &err))
            fail_msg("%s", err.title);
        double rate = pl->fits ? place_rate(p, pl, 0, 1) : 0;
        *best = rate > *best ? rate : *best;
        arena_rewind(&arena, mark);
    }
}

/* Every set of cards with the draft on one, or on the same ones; with `any` on whatever there is. */
static double try_all(const struct plan_wish *w, uint32_t n_ctx, bool any)
{
    double best = 0;
    struct speed_card speeds[MACHINE_MAX_DEVICES];
    struct placer p = {.model = &model, .machine = &machine, .wish = w, .arena = &arena, .cards = speeds, .quick = true};
    for (uint32_t i = 0; i < machine.n_devices; i++)
        speed_card_make(speed_coefs, &machine.devices[i], &speeds[i]);
    for (uint32_t mask = 1; mask < 1u << machine.n_devices; mask++) {
        for (uint32_t at = 0; at < 1u << machine.n_devices; at++) {
            uint32_t n = (uint32_t)__builtin_popcount(mask);
            bool place = at == mask || (w->draft && at && (any || __builtin_popcount(at) == 1));
            if (!place)
                continue;
            struct placement pl = {.mask = mask, .draft_mask = at, .s = w->s};
            pl.s.n_ctx = n_ctx;
            pl.s.flash = FLASH_ON;
            pl.s.split = n > 1 ? SPLIT_LAYER : SPLIT_NONE;
            pl.s.n_tensor_split = n > 1 ? n : 0;
            try_splits(&p, &pl, 0, model.n_layers + 1, &best);
        }
    }
    return best;
}

static void equals_brute_force(const char *sets, const struct plan_wish *wish)
{
    struct plan_wish w = *wish;
    w.given |= GIVEN_TYPE_K | GIVEN_TYPE_V | GIVEN_SPEC_TYPE;
    w.safety_margin = 0;
    w.goal = GOAL_CONTEXT;
    cards(sets);
    make(&w);
    uint32_t most = plan.law.n_ctx;
    bool fits = plan.verdict == VERDICT_FITS && plan.optimality.objective;
    if (fits != (try_all(&w, fits ? most : w.min_context, false) > 0) ||
        (fits && most < model.hp.n_ctx_train && try_all(&w, most + 256, plan.optimality.proved) > 0))
        fail_msg("%s: %u tokens are not the most", sets, fits ? most : 0);
    if (!fits)
        return;
    w.goal = GOAL_SPEED;
    w.given |= GIVEN_CTX;
    w.s.n_ctx = most > 1024 ? most / 512 * 256 : most;
    make(&w);
    double best = try_all(&w, w.s.n_ctx, plan.optimality.proved);
    assert_true(plan.optimality.proved || w.draft);
    if (plan.optimality.best < best * (1 - 1e-9) || plan.optimality.best > best * (1 + 1e-9))
        fail_msg("%s: %f tok/s, by brute force %f", sets, plan.optimality.best, best);
}

static void no_other_split_is_better(void **state)
{
    (void)state;
    static const char *const names[] = {"rtx4090", "rtx3090", "rtx3060", "rtx5090"};
    static const char *const drafts[] = {"qwen2.5-0.5b:Q8_0", "llama-3.2-1b:Q4_K_M", "llama-3.2-3b:Q4_K_M"};
    static const uint32_t least_mib[] = {1000, 1000, 1900}; /* of the last one only a part fits a card */
    uint32_t seed = 7;
    for (int i = 0; i < 24; i++) {
        reset(NULL);
        char sets[160] = "";
        open_model("llama-3.2-1b:Q8_0", &model);
        open_model(drafts[i % 3], &draft);
        for (uint32_t card = 0; card < 2 + (uint32_t)i % 4 / 3; card++) {
            seed = seed * 1664525 + 1013904223;
            snprintf(sets + strlen(sets), sizeof(sets) - strlen(sets), "%s%s:free=%uMiB", card ? "," : "",
                     names[seed >> 16 & 3], least_mib[i % 3] + (seed >> 8) % 1600);
        }
        struct plan_wish w = with_draft(GOAL_SPEED);
        equals_brute_force(sets, &w);
    }
}

static void no_other_split_is_better_with_own_blocks(void **state)
{
    (void)state;
    static const char *const sets[] = {"rtx5090,rtxpro6000:free=44GiB", "rtxpro6000:free=40GiB,rtx5090,rtx4090:free=20GiB"};
    for (size_t i = 0; i < 2; i++) {
        reset(NULL);
        open_model("glm-4.5-air:Q4_K_M", &model);
        struct plan_wish w = plan_default_wish();
        w.speculation = SPEC_NEXTN;
        w.s.mtp = true;
        w.s.n_rs_seq = w.drafted;
        w.s.n_outputs_max = w.s.n_outputs_per_seq = 1 + w.drafted;
        equals_brute_force(sets[i], &w);
    }
}

static void a_card_too_small_for_a_share_takes_the_draft(void **state)
{
    (void)state;
    open_model("llama-3.1-8b:Q8_0", &model);
    open_model("llama-3.2-1b:Q8_0", &draft);
    cards("rtx3060,rtx3060:free=3GiB");
    struct plan_wish w = with_draft(GOAL_FEWEST);
    w.s.n_ctx = 8192;
    w.given = GIVEN_CTX;
    make(&w);
    assert_int_equal(plan.verdict, VERDICT_FITS);
    assert_true(within_rooms());
    assert_true(plan.draft_mask != 0 && plan.devices[0].draft + plan.devices[1].draft > GIB);
    w.given |= GIVEN_DRAFT_CARDS;
    w.draft_cards = 2;
    make(&w);
    assert_int_equal(plan.draft_mask, 2);
    assert_int_equal(plan.devices[0].draft, 0);
    assert_true(plan.devices[1].draft > GIB && plan.devices[1].runtime > 0);
}

static void what_was_given_for_the_draft_is_kept(void **state)
{
    (void)state;
    open_model("llama-3.3-70b:Q4_K_M", &model);
    open_model("llama-3.2-1b:Q4_K_M", &draft);
    cards("rtx5090,rtx4090");
    struct plan_wish w = with_draft(GOAL_SPEED);
    w.given |= GIVEN_DRAFT_TYPE_K | GIVEN_DRAFT_TYPE_V | GIVEN_DRAFT_LAYERS | GIVEN_DRAFT_CARDS;
    w.draft_type_k = w.draft_type_v = GGUF_TYPE_Q8_0;
    w.draft_layers = 9;
    w.draft_cards = 2;
    make(&w);
    assert_int_equal(plan.draft_mask, 2);
    assert_int_equal(plan.draft_settings.type_k, GGUF_TYPE_Q8_0);
    assert_int_equal(plan.draft_settings.n_gpu_layers, 9);
    assert_true(plan.draft_law.host.weights > 0 && plan.devices[0].draft == 0);
}

static void the_plain_speed_stays_plain(void **state)
{
    (void)state;
    open_model("llama-3.3-70b:Q4_K_M", &model);
    open_model("llama-3.2-1b:Q4_K_M", &draft);
    cards("rtxpro6000");
    struct plan_wish w = plan_default_wish();
    w.goal = GOAL_SPEED;
    make(&w);
    double plain = plan.speed.decode.tps;
    assert_int_equal(plan.speculation.kind, SPEC_NONE);
    w = with_draft(GOAL_SPEED);
    make(&w);
    assert_true(plan.speed.decode.tps == plain);
    const struct speculation_gain *g = &plan.speculation;
    assert_true(g->kind == SPEC_DRAFT && g->low < g->gain && g->gain < g->high);
    assert_true(g->decode.low < g->decode.tps && g->decode.tps < g->decode.high && g->decode.tps > plain);
    assert_true(said("assumed from published measurements") && said("draft model"));
}

static void tokens_of_a_step_add_up(void **state)
{
    (void)state;
    assert_true(speculation_tokens(0, 5) == 1 && speculation_tokens(1, 5) == 6);
    assert_true(speculation_tokens(0.5, 3) == 1.875);
}

/* A mixture reads more experts for more tokens; of a dense model the second token is nearly free. */
static void own_blocks_draft_where_that_pays(void **state)
{
    (void)state;
    open_dense_model(&model);
    cards("rtx4090");
    struct plan_wish w = plan_default_wish();
    w.goal = GOAL_SPEED;
    make(&w);
    const struct speculation_gain with = plan.speculation;
    double plain = plan.speed.decode.tps;
    assert_int_equal(with.kind, SPEC_NEXTN);
    assert_true(plan.settings.mtp && with.low > 1 && plan.settings.n_rs_seq == with.drafted);
    assert_int_equal(plan.settings.n_outputs_max, 1 + with.drafted);
    assert_true(within_rooms() && plan.devices[0].draft > 0);
    assert_non_null(alternative("no drafting"));
    w.given |= GIVEN_SPEC_TYPE; /* --spec-type none */
    make(&w);
    assert_true(!plan.settings.mtp && plan.speculation.kind == SPEC_NONE && !plan.devices[0].draft);
    assert_true(plan.speed.decode.tps == plain);
    w = plan_default_wish();
    make(&w);
    assert_true(!plan.settings.mtp);
    const struct plan_alternative *a = alternative("drafting");
    assert_non_null(a);
    assert_true(a->decode_tps > plan.speed.decode.tps && a->context <= plan.law.n_ctx && strstr(a->price, "GiB"));
    assert_non_null(strstr(a->flags, "--spec-type draft-mtp"));
}

/* Half of the layers in host memory: experts of more tokens are read there for every step. */
static void own_blocks_stay_off_where_it_does_not_pay(void **state)
{
    (void)state;
    open_model("glm-4.5-air:Q4_K_M", &model);
    cards("rtx4090");
    struct plan_wish w = plan_default_wish();
    w.goal = GOAL_SPEED;
    w.s.n_cpu_moe = UINT32_MAX;
    w.given = GIVEN_CPU_MOE;
    w.allow_cpu = true;
    w.host_memory_bytes = 128 * GIB;
    make(&w);
    assert_int_equal(plan.verdict, VERDICT_PARTLY_CPU);
    double plain = plan.speed.decode.tps;
    bool on = plan.settings.mtp;
    assert_true(!on || (plan.speculation.low > 1 && plan.speculation.decode.tps > plain));
    const struct plan_alternative *a = alternative(on ? "no drafting" : "drafting");
    assert_non_null(a);
}

static void other_backends_are_estimates(void **state)
{
    (void)state;
    open_model("llama-3.1-8b:Q4_K_M", &model);
    cards("rtx4090,rtx4090:backend=vulkan,rx7900xtx,rpc://h:1:24GiB");
    for (uint32_t i = 0; i < machine.n_devices; i++) {
        const struct device *d = &machine.devices[i];
        assert_int_equal(plan_backend_exact(d), d->rpc || d->backend == BACKEND_CUDA);
    }
    cards("rx7900xtx");
    struct plan_wish w = plan_default_wish();
    make(&w);
    assert_true(said("ROCm cards: sizes are estimates"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(no_other_place_is_better, reset),
        cmocka_unit_test_setup(no_other_split_is_better, reset),
        cmocka_unit_test_setup(no_other_split_is_better_with_own_blocks, reset),
        cmocka_unit_test_setup(a_card_too_small_for_a_share_takes_the_draft, reset),
        cmocka_unit_test_setup(what_was_given_for_the_draft_is_kept, reset),
        cmocka_unit_test_setup(the_plain_speed_stays_plain, reset),
        cmocka_unit_test_setup(tokens_of_a_step_add_up, reset),
        cmocka_unit_test_setup(own_blocks_draft_where_that_pays, reset),
        cmocka_unit_test_setup(own_blocks_stay_off_where_it_does_not_pay, reset),
        cmocka_unit_test_setup(other_backends_are_estimates, reset),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_finish(&arena);
    return failed;
}
