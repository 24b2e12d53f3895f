/* test_planner: plans and headers are given again only while everything they depend on is
 * unchanged. */
#include "../base/check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/planner.h"

#define GIB ((uint64_t)1 << 30)

struct bench {
    struct planner *planner;
    struct cache_loan model_loan;
    const struct model *model;
    struct machine machine;
    struct plan_wish wish;
    struct arena arena;
};

static void set_up(struct bench *b, size_t entries, uint64_t ttl)
{
    struct err err = {0};
    struct machine none = {0};
    *b = (struct bench){.planner = planner_new(entries, ttl), .wish = plan_default_wish()};
    none.host.total_bytes = none.host.free_bytes = 64 * GIB;
    assert_non_null(b->planner);
    assert_true(planner_open(b->planner, "llama-3.1-8b", NULL, &b->model_loan, &b->model, &err));
    assert_true(machine_parse_gpus("24GiB,16GiB", &none, &b->arena, &b->machine, &err));
}

static void tear_down(struct bench *b)
{
    cache_release(&b->model_loan);
    planner_free(b->planner);
    arena_finish(&b->arena);
}

static const struct plan *ask(struct bench *b, struct cache_loan *loan)
{
    struct err err = {0};
    const struct plan *plan = NULL;
    if (!planner_plan(b->planner, &b->model_loan, &b->machine, &b->wish, &b->arena, loan, &plan,
                      &err))
        fail_msg("%s", err.title);
    return plan;
}

static struct cache_stats stats_of(const char *name)
{
    struct cache_stats all[16];
    size_t n = cache_list(all, 16);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i];
    fail_msg("no cache %s", name);
    return all[0];
}

static void the_same_question_is_answered_once(void **state)
{
    (void)state;
    struct bench b;
    struct cache_loan one = {0}, two = {0};
    set_up(&b, 8, 0);
    const struct plan *first = ask(&b, &one), *second = ask(&b, &two);
    assert_ptr_equal(first, second);
    assert_int_equal(stats_of("plans").hits, 1);
    assert_int_equal(stats_of("plans").misses, 1);
    cache_release(&one);
    cache_release(&two);
    tear_down(&b);
}

static void whatever_changes_makes_another_plan(void **state)
{
    (void)state;
    struct bench b;
    struct cache_loan loans[6] = {0};
    set_up(&b, 8, 0);
    const struct plan *plain = ask(&b, &loans[0]);
    b.machine.devices[0].free_bytes -= GIB;
    const struct plan *less = ask(&b, &loans[1]);
    assert_ptr_not_equal(plain, less);
    assert_true(less->devices[0].card->free_bytes == 23 * GIB);
    b.machine.devices[0].name = "other";
    assert_string_equal(ask(&b, &loans[2])->devices[0].card->name, "other");
    b.wish.s.n_ctx = 4096;
    b.wish.given |= GIVEN_CTX;
    assert_int_equal(ask(&b, &loans[3])->law.n_ctx, 4096);
    b.wish.s.overrides[0] = (struct law_override){"blk\\.0\\.", LAW_HOST};
    b.wish.s.n_overrides = 1;
    b.wish.given |= GIVEN_OVERRIDE;
    uint64_t host = ask(&b, &loans[4])->host.weights;
    char same_place[16] = "blk\\.[01]\\.";
    b.wish.s.overrides[0].pattern = same_place;
    assert_true(ask(&b, &loans[5])->host.weights > host);
    assert_int_equal(stats_of("plans").hits, 0);
    for (int i = 0; i < 6; i++)
        cache_release(&loans[i]);
    tear_down(&b);
}

static void a_plan_outlives_its_question(void **state)
{
    (void)state;
    struct bench b;
    struct cache_loan one = {0}, other = {0};
    struct err err = {0};
    const struct model *m;
    char name[] = "24GiB card";
    set_up(&b, 1, 0);
    b.machine.devices[0].name = name;
    const struct plan *plan = ask(&b, &one);
    memset(name, 'x', sizeof(name) - 1);
    cache_release(&b.model_loan);
    assert_true(
        planner_open(b.planner, "phi-2", NULL, &other, &m, &err)); /* evicts the model's header */
    assert_string_equal(plan->model->name, "Llama 3.1 8B");
    assert_string_equal(plan->devices[0].card->name, "24GiB card");
    cache_release(&one);
    cache_release(&other);
    tear_down(&b);
}

static void plans_grow_old(void **state)
{
    (void)state;
    struct bench b;
    struct cache_loan one = {0}, two = {0};
    set_up(&b, 8, 1);
    ask(&b, &one);
    ask(&b, &two);
    assert_int_equal(stats_of("plans").misses, 2);
    cache_release(&one);
    cache_release(&two);
    tear_down(&b);
}

static void a_changed_file_is_read_again(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "name: small\nhidden_size: 512\nnum_layers: 4\nnum_heads: 8\ncontext_length: 2048\n",
        "name: larger\nhidden_size: 512\nnum_layers: 12\nnum_heads: 8\ncontext_length: 2048\n"};
    struct planner *p = planner_new(8, 0);
    char path[] = "/tmp/dualgpuopt-planner-XXXXXX.yaml";
    int fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pwrite(fd, texts[i], strlen(texts[i]), 0), strlen(texts[i]));
        for (int k = 0; k < 2; k++) {
            struct cache_loan loan = {0};
            struct err err = {0};
            const struct model *m;
            if (!planner_open(p, path, NULL, &loan, &m, &err))
                fail_msg("%s", err.title);
            assert_int_equal(m->n_layers, i ? 12 : 4);
            cache_release(&loan);
        }
    }
    assert_int_equal(stats_of("headers").misses, 2);
    assert_int_equal(stats_of("headers").hits, 2);
    close(fd);
    unlink(path);
    planner_free(p);
}

static void *ask_from_a_thread(void *user)
{
    struct bench *b = user;
    for (int i = 0; i < 10; i++) {
        struct cache_loan loan = {0};
        struct arena arena = {0};
        struct err err = {0};
        const struct plan *plan = NULL;
        if (!planner_plan(b->planner, &b->model_loan, &b->machine, &b->wish, &arena, &loan, &plan,
                          &err))
            return user;
        cache_release(&loan);
        arena_finish(&arena);
    }
    return NULL;
}

static void threads_share_one_computation(void **state)
{
    (void)state;
    struct bench b;
    pthread_t threads[5];
    void *failed;
    set_up(&b, 8, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_from_a_thread, &b), 0);
    for (int i = 0; i < 5; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(stats_of("plans").misses, 1);
    assert_int_equal(stats_of("plans").hits, 49);
    tear_down(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_question_is_answered_once),
        cmocka_unit_test(whatever_changes_makes_another_plan),
        cmocka_unit_test(a_plan_outlives_its_question),
        cmocka_unit_test(plans_grow_old),
        cmocka_unit_test(a_changed_file_is_read_again),
        cmocka_unit_test(threads_share_one_computation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
