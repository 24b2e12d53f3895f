/* test_cache: one computation however many ask, exact keys, bounds, age, loans, counters. */
#include "check.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "base/own.h"

static atomic_int n_made, n_freed;

static bool make_copy(const void *key, size_t key_len, void *user, void **value, struct err *err)
{
    atomic_fetch_add(&n_made, 1);
    *value = calloc(1, key_len + 1);
    memcpy(*value, key, key_len);
    return *value != NULL;
}

static bool make_failure(const void *key, size_t key_len, void *user, void **value, struct err *err)
{
    atomic_fetch_add(&n_made, 1);
    return err_set(err, ERR_2002, "attempt %d", atomic_load(&n_made));
}

static void free_value(void *value)
{
    atomic_fetch_add(&n_freed, 1);
    free(value);
}

static struct cache *new_cache(size_t max_entries)
{
    atomic_store(&n_made, 0);
    atomic_store(&n_freed, 0);
    struct cache *c = cache_new(&(struct cache_config){
        .name = "test", .max_entries = max_entries, .free_value = free_value});
    assert_non_null(c);
    return c;
}

static void ask(struct cache *c, const char *key)
{
    own(own_cache_loan) struct cache_loan loan = {0};
    assert_true(cache_get(c, key, strlen(key), make_copy, NULL, &loan, NULL));
    assert_string_equal(loan.value, key);
}

static void counters_count(void **state)
{
    struct cache *c = new_cache(10);
    assert_true(isnan(cache_stats(c).hit_ratio));
    for (int i = 0; i < 4; i++)
        ask(c, "k");
    struct cache_stats s = cache_stats(c);
    assert_int_equal(s.hits, 3);
    assert_int_equal(s.misses, 1);
    assert_true(s.hit_ratio == 0.75);
    assert_int_equal(s.currsize, 1);
    assert_int_equal(s.maxsize, 10);
    assert_int_equal(s.evictions, 0);
    cache_free(c);
    assert_int_equal(n_freed, 1);
}

static void one_hit_of_three_is_a_third(void **state)
{
    struct cache *c = new_cache(10);
    ask(c, "a");
    ask(c, "b");
    ask(c, "a");
    struct cache_stats s = cache_stats(c);
    assert_int_equal(s.hits + s.misses, 3);
    assert_true(fabs(s.hit_ratio - 1.0 / 3) < 1e-12);
    cache_free(c);
}

static void the_least_recently_used_goes_first(void **state)
{
    struct cache *c = new_cache(2);
    ask(c, "a");
    ask(c, "b");
    ask(c, "a");
    ask(c, "c");
    assert_int_equal(n_freed, 1);
    ask(c, "a");
    assert_int_equal(n_made, 3);
    ask(c, "b");
    assert_int_equal(n_made, 4);
    assert_int_equal(cache_stats(c).evictions, 2);
    assert_int_equal(cache_stats(c).currsize, 2);
    cache_free(c);
    assert_int_equal(n_freed, 4);
}

static void keys_with_one_hash_stay_apart(void **state)
{
    static const char a[] = "8yn0iYCKYHlIj4-BwPqk", b[] = "GReLUrM4wMqfg9yzV3KQ";
    assert_true(str_hash(a, 20) == str_hash(b, 20));
    struct cache *c = new_cache(10);
    ask(c, a);
    ask(c, b);
    ask(c, a);
    ask(c, "");
    assert_int_equal(n_made, 3);
    cache_free(c);
}

static void key_parts_do_not_run_together(void **state)
{
    static const char *const calls[][4] = {
        {"1",    "x",   "2"},
        {"1",    "x=2"},
        {"1x",   "2"     },
        {"1", "",      "x=2"   }
    };
    struct cache *c = new_cache(10);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        own(own_str) struct str key = {0};
        own(own_cache_loan) struct cache_loan loan = {0};
        for (int part = 0; calls[i][part]; part++)
            cache_key_add(&key, calls[i][part], strlen(calls[i][part]));
        assert_true(cache_get(c, key.data, key.len, make_copy, NULL, &loan, NULL));
        assert_memory_equal(loan.value, key.data, key.len);
    }
    assert_int_equal(n_made, 4);
    cache_free(c);
}

static void failures_are_not_kept(void **state)
{
    struct cache *c = new_cache(10);
    struct cache_loan loan = {0};
    struct err err = {0};
    assert_false(cache_get(c, "k", 1, make_failure, NULL, &loan, &err));
    assert_string_equal(err.title, "attempt 1");
    assert_null(loan.entry);
    assert_false(cache_get(c, "k", 1, make_failure, NULL, &loan, NULL));
    assert_int_equal(n_made, 2);
    ask(c, "k");
    assert_int_equal(cache_stats(c).misses, 3);
    assert_int_equal(cache_stats(c).currsize, 1);
    cache_free(c);
    assert_int_equal(n_freed, 1);
}

static void loans_outlive_eviction_and_cache(void **state)
{
    struct cache *c = new_cache(1);
    struct cache_loan a = {0}, b = {0};
    assert_true(cache_get(c, "a", 1, make_copy, NULL, &a, NULL));
    assert_true(cache_get(c, "b", 1, make_copy, NULL, &b, NULL));
    assert_int_equal(n_freed, 0);
    assert_string_equal(a.value, "a");
    cache_release(&a);
    assert_int_equal(n_freed, 1);
    cache_free(c);
    assert_string_equal(b.value, "b");
    cache_release(&b);
    cache_release(&b);
    assert_int_equal(n_freed, 2);
}

static void a_cache_without_room_still_answers(void **state)
{
    struct cache *c = new_cache(0);
    ask(c, "a");
    ask(c, "a");
    assert_int_equal(n_made, 2);
    assert_int_equal(n_freed, 2);
    assert_int_equal(cache_stats(c).currsize, 0);
    cache_free(c);
}

static uint64_t pretended_ns;
static uint64_t pretended_now(void)
{
    return pretended_ns;
}

static void old_values_are_made_anew(void **state)
{
    atomic_store(&n_made, 0);
    atomic_store(&n_freed, 0);
    struct cache *c = cache_new(&(struct cache_config){.name = "aging",
                                                       .max_entries = 4,
                                                       .ttl_ns = 100,
                                                       .free_value = free_value,
                                                       .now_ns = pretended_now});
    pretended_ns = 1000;
    ask(c, "k");
    pretended_ns = 1099;
    ask(c, "k");
    assert_int_equal(n_made, 1);
    pretended_ns = 1100;
    ask(c, "k");
    assert_int_equal(n_made, 2);
    assert_int_equal(n_freed, 1);
    assert_int_equal(cache_stats(c).evictions, 1);
    assert_int_equal(cache_stats(c).currsize, 1);
    cache_free(c);
}

/* Several threads, all let loose at once. */
struct crowd {
    struct cache *cache;
    cache_make_fn *make;
    pthread_barrier_t start;
    int calls, n_keys;
    atomic_int failed;
    atomic_int asking; /* threads that are in cache_get or about to be */
    int threads;
};

static void *ask_often(void *arg)
{
    struct crowd *crowd = arg;
    pthread_barrier_wait(&crowd->start);
    for (int i = 0; i < crowd->calls; i++) {
        struct cache_loan loan = {0};
        struct err err = {0};
        char key[24];
        int n = snprintf(key, sizeof(key), "key %d", i % crowd->n_keys);
        atomic_fetch_add(&crowd->asking, 1);
        if (!cache_get(crowd->cache, key, (size_t)n, crowd->make, crowd, &loan, &err)) {
            atomic_fetch_add(&crowd->failed, 1);
            if (err.code != ERR_2002)
                abort();
        } else if (strcmp(loan.value, key) != 0) {
            abort();
        }
        cache_release(&loan);
    }
    return NULL;
}

static void run_crowd(struct crowd *crowd, int threads)
{
    pthread_t thread[32];
    crowd->threads = threads;
    pthread_barrier_init(&crowd->start, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, ask_often, crowd), 0);
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&crowd->start);
}

/* Holds the computation until every thread is asking. */
static bool make_when_all_ask(const void *key, size_t key_len, void *user, void **value,
                              struct err *err)
{
    struct crowd *crowd = user;
    while (atomic_load(&crowd->asking) < crowd->threads)
        sched_yield();
    return make_copy(key, key_len, user, value, err);
}

static bool fail_when_all_ask(const void *key, size_t key_len, void *user, void **value,
                              struct err *err)
{
    struct crowd *crowd = user;
    while (atomic_load(&crowd->asking) < crowd->threads)
        sched_yield();
    return make_failure(key, key_len, user, value, err);
}

static void five_threads_compute_once(void **state)
{
    struct crowd crowd = {
        .cache = new_cache(4), .make = make_when_all_ask, .calls = 1, .n_keys = 1};
    run_crowd(&crowd, 5);
    assert_int_equal(n_made, 1);
    assert_int_equal(cache_stats(crowd.cache).hits, 4);
    cache_free(crowd.cache);
}

static void fifty_calls_compute_once(void **state)
{
    struct crowd crowd = {.cache = new_cache(4), .make = make_copy, .calls = 10, .n_keys = 1};
    run_crowd(&crowd, 5);
    assert_int_equal(n_made, 1);
    assert_int_equal(cache_stats(crowd.cache).hits, 49);
    assert_int_equal(cache_stats(crowd.cache).misses, 1);
    cache_free(crowd.cache);
    assert_int_equal(n_freed, 1);
}

static void a_failure_wakes_all_who_wait(void **state)
{
    struct crowd crowd = {
        .cache = new_cache(4), .make = fail_when_all_ask, .calls = 1, .n_keys = 1};
    run_crowd(&crowd, 8);
    assert_int_equal(crowd.failed, 8);
    assert_int_equal(cache_stats(crowd.cache).misses, 8);
    assert_int_equal(cache_stats(crowd.cache).currsize, 0);
    ask(crowd.cache, "key 0");
    cache_free(crowd.cache);
}

static void many_threads_and_little_room(void **state)
{
    struct crowd crowd = {.cache = new_cache(3), .make = make_copy, .calls = 500, .n_keys = 7};
    run_crowd(&crowd, 8);
    struct cache_stats s = cache_stats(crowd.cache);
    assert_int_equal(s.hits + s.misses, 8 * 500);
    assert_int_equal(s.misses, n_made);
    assert_int_equal(s.evictions, n_made - 3);
    assert_int_equal(s.currsize, 3);
    cache_free(crowd.cache);
    assert_int_equal(n_freed, n_made);
}

static void every_cache_is_listed(void **state)
{
    struct cache_stats list[4];
    size_t before = cache_list(NULL, 0);
    struct cache *first = new_cache(5),
                 *second = cache_new(&(struct cache_config){.name = "other"});
    ask(first, "k");
    assert_int_equal(cache_list(list, 0), before + 2);
    assert_int_equal(cache_list(list, 4), before + 2);
    assert_string_equal(list[before].name, "test");
    assert_int_equal(list[before].misses, 1);
    assert_string_equal(list[before + 1].name, "other");
    cache_free(first);
    assert_int_equal(cache_list(list, 4), before + 1);
    assert_string_equal(list[before].name, "other");
    cache_free(second);
    cache_free(NULL);
    assert_int_equal(cache_list(NULL, 0), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_count),
        cmocka_unit_test(one_hit_of_three_is_a_third),
        cmocka_unit_test(the_least_recently_used_goes_first),
        cmocka_unit_test(keys_with_one_hash_stay_apart),
        cmocka_unit_test(key_parts_do_not_run_together),
        cmocka_unit_test(failures_are_not_kept),
        cmocka_unit_test(loans_outlive_eviction_and_cache),
        cmocka_unit_test(a_cache_without_room_still_answers),
        cmocka_unit_test(old_values_are_made_anew),
        cmocka_unit_test(five_threads_compute_once),
        cmocka_unit_test(fifty_calls_compute_once),
        cmocka_unit_test(a_failure_wakes_all_who_wait),
        cmocka_unit_test(many_threads_and_little_room),
        cmocka_unit_test(every_cache_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
