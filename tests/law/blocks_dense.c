/* blocks_dense: graphs of dense transformers: what is in them, in which order, and where it is
 * nailed down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "toy_model.h"

#include <string.h>

static int setup(void **state)
{
    static struct toy toy;

    toy_init(&toy, "llama");
    *state = &toy;
    return 0;
}

static int teardown(void **state)
{
    toy_finish(*state);
    return 0;
}

static void a_layer_has_the_ops_of_llama_in_the_engines_order(void **state)
{
    static const enum g_op first_layer[] = {
        OP_GET_ROWS, OP_RMS_NORM, OP_MUL,      OP_MUL_MAT,        OP_RESHAPE, OP_ROPE,
        OP_MUL_MAT,  OP_RESHAPE,  OP_MUL_MAT,  OP_RESHAPE,        OP_ROPE,    OP_VIEW,
        OP_SET_ROWS, OP_VIEW,     OP_SET_ROWS, OP_VIEW,           OP_PERMUTE, OP_VIEW,
        OP_PERMUTE,  OP_VIEW,     OP_PERMUTE,  OP_FLASH_ATTN_EXT, OP_RESHAPE, OP_MUL_MAT,
        OP_ADD,      OP_RMS_NORM, OP_MUL,      OP_MUL_MAT,        OP_MUL_MAT, OP_GLU,
        OP_MUL_MAT,  OP_ADD,
    };
    struct toy *t = *state;

    assert_true(toy_build(t, 64, 64));
    for (size_t i = 0; i < sizeof first_layer / sizeof *first_layer; i++)
        assert_int_equal(t->graph.nodes[i]->op, first_layer[i]);
    assert_int_equal(t->graph.n_nodes, 1 + 31 * TOY_LAYERS + 2 + 3);
}

static void the_last_layer_keeps_only_the_rows_that_are_asked_for(void **state)
{
    struct toy *t = *state;
    const struct g_tensor *logits;

    assert_true(toy_build(t, 64, 5));
    logits = t->graph.nodes[t->graph.n_nodes - 1];
    assert_int_equal(logits->ne[0], TOY_VOCAB);
    assert_int_equal(logits->ne[1], 5);
    assert_true(logits->flags & G_OUTPUT);
    assert_int_equal(toy_count(t, OP_GET_ROWS), 3);
    assert_int_equal(toy_find(t, OP_GLU, TOY_LAYERS - 2)->ne[1], 64);
    assert_int_equal(toy_find(t, OP_GLU, TOY_LAYERS - 1)->ne[1], 5);
}

static void flash_attention_reads_a_half_precision_mask_of_all_cells(void **state)
{
    struct toy *t = *state;
    const struct g_tensor *mask;

    assert_true(toy_build(t, 64, 64));
    mask = toy_leaf(t, "attn_inp_kq_mask");
    assert_non_null(mask);
    assert_int_equal(mask->type, GGUF_TYPE_F16);
    assert_int_equal(mask->ne[0], 1024);
    assert_int_equal(mask->ne[1], 64);
    assert_int_equal(toy_find(t, OP_FLASH_ATTN_EXT, 1)->layer, 1);
}

static void without_flash_attention_v_is_stored_element_by_element(void **state)
{
    struct toy *t = *state;

    t->settings.flash = FLASH_OFF;
    assert_true(toy_build(t, 64, 64));
    assert_int_equal(toy_count(t, OP_FLASH_ATTN_EXT), 0);
    assert_int_equal(toy_count(t, OP_SOFT_MAX), TOY_LAYERS);
    assert_int_equal(toy_leaf(t, "attn_inp_kq_mask")->type, GGUF_TYPE_F32);
    assert_int_equal(toy_leaf(t, "attn_inp_k_idxs")->ne[0], 64);
    assert_int_equal(toy_leaf(t, "attn_inp_v_idxs")->ne[0], 64 * 32);
}

static void every_slot_has_a_stream_unless_they_share_one_cache(void **state)
{
    struct toy *t = *state;

    t->settings.n_seq_max = 4;
    assert_true(toy_build(t, 64, 4));
    assert_int_equal(toy_leaf(t, "attn_inp_kq_mask")->ne[3], 4);
    assert_int_equal(toy_leaf(t, "attn_inp_kq_mask")->ne[1], 16);
    assert_int_equal(toy_leaf(t, "cache_k")->ne[2], 4);
    assert_int_equal(toy_find(t, OP_FLASH_ATTN_EXT, 0)->ne[3], 4);

    t->settings.kv_unified = true;
    assert_true(toy_build(t, 64, 4));
    assert_int_equal(toy_leaf(t, "attn_inp_kq_mask")->ne[3], 1);
    assert_int_equal(toy_find(t, OP_FLASH_ATTN_EXT, 0)->ne[3], 1);
}

static void quantised_caches_turn_q_k_v_and_the_result(void **state)
{
    struct toy *t = *state;
    uint32_t plain, rotated;

    for (int il = 0; il < TOY_LAYERS; il++)
        t->layers[il].head_dim_k = t->layers[il].head_dim_v = 64;
    for (int il = 0; il < TOY_LAYERS; il++) {
        t->layers[il].n_head = t->layers[il].n_head_kv = 1;
        t->layers[il].n_embd_k = t->layers[il].n_embd_v = 64;
        toy_drop(t, il, ROLE_ATTN_K);
        toy_drop(t, il, ROLE_ATTN_V);
        toy_add(t, il, ROLE_ATTN_K, PART_WEIGHT, TOY_EMBD, 64, 1);
        toy_add(t, il, ROLE_ATTN_V, PART_WEIGHT, TOY_EMBD, 64, 1);
    }
    assert_true(toy_build(t, 64, 64));
    plain = toy_count(t, OP_MUL_MAT);
    t->settings.type_k = t->settings.type_v = GGUF_TYPE_Q8_0;
    assert_true(toy_build(t, 64, 64));
    rotated = toy_count(t, OP_MUL_MAT);
    assert_int_equal(rotated, plain + 4 * TOY_LAYERS);
    assert_int_equal(toy_leaf(t, "attn_inp_k_rot")->ne[0], 64);
}

static void a_cache_on_the_host_pulls_plain_attention_there(void **state)
{
    struct toy *t = *state;
    const struct g_tensor *merged;

    t->settings.flash = FLASH_OFF;
    t->settings.no_kv_offload = true;
    assert_true(toy_build(t, 64, 64));
    merged = toy_find(t, OP_CONT, 0);
    assert_non_null(merged);
    assert_int_equal(merged->backend, LAW_HOST);
    assert_int_equal(toy_leaf(t, "cache_k")->buffer, LAW_HOST);
}

static void norms_are_nailed_down_when_all_layers_are_offloaded_or_few_tokens_come(void **state)
{
    struct toy *t = *state;

    assert_true(toy_build(t, 64, 64));
    assert_int_equal(toy_find(t, OP_RMS_NORM, 0)->backend, 0);
    assert_int_equal(toy_find(t, OP_RMS_NORM, 2 * TOY_LAYERS)->backend, -1); /* the last one */

    t->settings.n_gpu_layers = 2;
    assert_true(toy_build(t, 64, 64));
    assert_int_equal(toy_find(t, OP_RMS_NORM, 0)->backend, -1);
    assert_true(toy_build(t, 1, 1));
    assert_int_equal(toy_find(t, OP_RMS_NORM, 0)->backend, LAW_HOST);
    assert_int_equal(toy_find(t, OP_RMS_NORM, 2 * TOY_LAYERS - 1)->backend, 0);
}

static void a_tied_model_reads_its_second_copy_on_the_card(void **state)
{
    struct toy *t = *state;
    const struct g_tensor *logits;

    toy_drop(t, -1, ROLE_OUTPUT);
    assert_true(toy_build(t, 64, 64));
    logits = t->graph.nodes[t->graph.n_nodes - 1];
    assert_int_equal(toy_find(t, OP_GET_ROWS, 0)->src[0]->buffer, LAW_HOST);
    assert_int_equal(logits->src[0]->buffer, 0);
    assert_ptr_not_equal(logits->src[0], toy_find(t, OP_GET_ROWS, 0)->src[0]);
}

static void a_graph_without_a_needed_tensor_or_memory_is_refused(void **state)
{
    struct toy *t = *state;
    struct arena tiny = {0};

    toy_drop(t, 1, ROLE_ATTN_V);
    assert_false(toy_build(t, 64, 64));
    assert_non_null(t->graph.failed_at);

    arena_init(&tiny, 4096);
    graph_init(&t->graph, &tiny);
    assert_false(build_graph(&t->builder));
    arena_finish(&tiny);
}

static void an_unknown_architecture_has_no_graph(void **state)
{
    struct toy *t = *state;

    t->model.architecture = "nobody-knows-this";
    assert_null(graph_for(&t->model, &t->settings));
    assert_false(toy_build(t, 64, 64));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_layer_has_the_ops_of_llama_in_the_engines_order),
        TEST(the_last_layer_keeps_only_the_rows_that_are_asked_for),
        TEST(flash_attention_reads_a_half_precision_mask_of_all_cells),
        TEST(without_flash_attention_v_is_stored_element_by_element),
        TEST(every_slot_has_a_stream_unless_they_share_one_cache),
        TEST(quantised_caches_turn_q_k_v_and_the_result),
        TEST(a_cache_on_the_host_pulls_plain_attention_there),
        TEST(norms_are_nailed_down_when_all_layers_are_offloaded_or_few_tokens_come),
        TEST(a_tied_model_reads_its_second_copy_on_the_card),
        TEST(a_graph_without_a_needed_tensor_or_memory_is_refused),
        TEST(an_unknown_architecture_has_no_graph),
    };

    return cmocka_run_group_tests_name("blocks_dense", tests, NULL, NULL);
}
