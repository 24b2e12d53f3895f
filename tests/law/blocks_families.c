/* blocks_families: experts, windows and the forms in which families differ from each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "law/recipe.h"
#include "model/family.h"
#include "toy_model.h"

#include <string.h>

static struct toy toy;

static struct toy *toy_of(const char *architecture)
{
    toy_finish(&toy);
    toy_init(&toy, architecture);
    return &toy;
}

static int teardown(void **state)
{
    (void)state;
    toy_finish(&toy);
    return 0;
}

static void experts_views_come_before_their_sum(void **state)
{
    struct toy *t = toy_of("qwen3moe");
    const struct g_tensor *down;
    uint32_t at;

    (void)state;
    toy_add_experts(t);
    assert_true(toy_build(t, 64, 64));
    assert_int_equal(toy_count(t, OP_MUL_MAT_ID), 3 * TOY_LAYERS);
    down = toy_find(t, OP_MUL_MAT_ID, 2);
    at = toy_place(t, down);
    assert_int_equal(t->graph.nodes[at + 1]->op, OP_MUL);
    assert_int_equal(t->graph.nodes[at + 2]->op, OP_VIEW);
    assert_int_equal(t->graph.nodes[at + 3]->op, OP_VIEW);
    assert_int_equal(t->graph.nodes[at + 4]->op, OP_ADD);
    assert_int_equal(down->ne[1], 2);
}

static void the_weights_of_the_chosen_experts_follow_the_family(void **state)
{
    struct toy *t = toy_of("qwen3moe");

    (void)state;
    toy_add_experts(t);
    assert_true(toy_build(t, 64, 64));
    assert_int_equal(toy_count(t, OP_DIV), TOY_LAYERS); /* normalised */
    assert_int_equal(toy_count(t, OP_SCALE), 0);

    t = toy_of("olmoe");
    toy_add_experts(t);
    assert_true(toy_build(t, 64, 64));
    assert_int_equal(toy_count(t, OP_DIV), 0);

    t = toy_of("glm4moe"); /* as the file says, and a post norm in place of ffn_norm */
    toy_add_experts(t);
    for (int il = 0; il < TOY_LAYERS; il++)
        toy_add(t, il, ROLE_ATTN_POST_NORM, PART_WEIGHT, TOY_EMBD, 1, 1);
    t->model.hp.expert_gating = GATING_SIGMOID;
    t->model.hp.expert_weights_norm = true;
    t->model.hp.expert_weights_scale = 2.5;
    assert_true(toy_build(t, 64, 64));
    assert_int_equal(toy_count(t, OP_DIV), TOY_LAYERS);
    assert_int_equal(toy_count(t, OP_SCALE), TOY_LAYERS);
    assert_int_equal(toy_count(t, OP_UNARY), TOY_LAYERS);
}

static void groups_of_experts_are_masked_before_the_choice(void **state)
{
    struct toy *t = toy_of("glm4moe");

    (void)state;
    toy_add_experts(t);
    for (int il = 0; il < TOY_LAYERS; il++)
        toy_add(t, il, ROLE_ATTN_POST_NORM, PART_WEIGHT, TOY_EMBD, 1, 1);
    t->model.hp.expert_gating = GATING_SIGMOID;
    t->model.hp.n_expert_groups = 4;
    t->model.hp.n_expert_group_used = 2;
    assert_true(toy_build(t, 64, 64));
    assert_int_equal(toy_count(t, OP_FILL), TOY_LAYERS);
    assert_int_equal(toy_count(t, OP_ARGSORT), 3 * TOY_LAYERS);
}

static void windows_have_a_cache_and_a_mask_of_their_own(void **state)
{
    struct toy *t = toy_of("gemma3");
    const struct g_tensor *first, *last;

    (void)state;
    for (int il = 0; il < TOY_LAYERS; il++) {
        toy_add(t, il, ROLE_ATTN_Q_NORM, PART_WEIGHT, 16, 1, 1);
        toy_add(t, il, ROLE_ATTN_K_NORM, PART_WEIGHT, 16, 1, 1);
        toy_add(t, il, ROLE_ATTN_POST_NORM, PART_WEIGHT, TOY_EMBD, 1, 1);
        toy_add(t, il, ROLE_FFN_POST_NORM, PART_WEIGHT, TOY_EMBD, 1, 1);
        t->layers[il].kv = il < 2 ? KV_WINDOW : KV_FULL;
        t->layers[il].window = il < 2;
    }
    t->model.hp.n_swa = 128;
    t->settings.n_ctx = 4096;
    assert_true(toy_build(t, 64, 64));
    first = toy_find(t, OP_FLASH_ATTN_EXT, 0);
    last = toy_find(t, OP_FLASH_ATTN_EXT, 2);
    assert_true(first->src[1]->ne[1] < last->src[1]->ne[1]);
    assert_int_equal(last->src[1]->ne[1], 4096);
    assert_int_equal(first->src[3]->ne[0], first->src[1]->ne[1]);
    assert_int_equal(toy_find(t, OP_FLASH_ATTN_EXT, 1)->src[3]->ne[0], first->src[3]->ne[0]);
}

static void parallel_families_have_one_norm_per_layer(void **state)
{
    struct toy *t = toy_of("command-r");

    (void)state;
    assert_true(toy_build(t, 64, 64));
    assert_int_equal(toy_count(t, OP_NORM), TOY_LAYERS + 1);
    assert_int_equal(toy_count(t, OP_ADD), 2 * TOY_LAYERS);
}

static void encoders_have_no_cache_and_no_logits(void **state)
{
    struct toy *t = toy_of("eurobert");
    const struct g_tensor *last;

    (void)state;
    for (int il = 0; il < TOY_LAYERS; il++)
        t->layers[il].kv = KV_NONE;
    assert_true(toy_build(t, 64, 64));
    assert_int_equal(toy_count(t, OP_SET_ROWS), 0);
    assert_null(toy_leaf(t, "cache_k"));
    last = t->graph.nodes[t->graph.n_nodes - 1];
    assert_int_equal(last->ne[0], TOY_EMBD);
    assert_true(last->flags & G_OUTPUT);
}

static void every_row_belongs_to_a_known_architecture_once(void **state)
{
    size_t n;
    const struct recipe *rows = recipe_table(&n);

    (void)state;
    assert_true(n > 60);
    for (size_t i = 0; i < n; i++) {
        const char *name = rows[i].architecture;

        assert_string_equal(model_family_find(name)->architecture, name);
        assert_ptr_equal(recipe_find(name), &rows[i]);
    }
    assert_null(recipe_find("nobody-knows-this"));
}

#define TEST(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(experts_views_come_before_their_sum),
        TEST(the_weights_of_the_chosen_experts_follow_the_family),
        TEST(groups_of_experts_are_masked_before_the_choice),
        TEST(windows_have_a_cache_and_a_mask_of_their_own),
        TEST(parallel_families_have_one_norm_per_layer),
        TEST(encoders_have_no_cache_and_no_logits),
        TEST(every_row_belongs_to_a_known_architecture_once),
    };

    return cmocka_run_group_tests_name("blocks_families", tests, NULL, NULL);
}
