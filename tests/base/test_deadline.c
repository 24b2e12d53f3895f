/* test_deadline: work that ends in time, and work that is left behind. */
#include "check.h"

#include <semaphore.h>
#include <stdatomic.h>

#include "base/deadline.h"

struct work {
    atomic_int runs;
    sem_t go, dropped;
};

static void quick(void *ctx)
{
    atomic_fetch_add(&((struct work *)ctx)->runs, 1);
}

static void stuck(void *ctx)
{
    struct work *w = ctx;
    sem_wait(&w->go);
}

static void drop(void *ctx)
{
    sem_post(&((struct work *)ctx)->dropped);
}

static void what_ends_in_time_is_the_callers(void **state)
{
    (void)state;
    struct work w = {0};
    assert_int_equal(deadline_run(quick, drop, &w, UINT64_C(60000000000)), DEADLINE_DONE);
    assert_int_equal(w.runs, 1);
    assert_false(deadline_left_behind());
}

static void what_is_late_is_dropped_when_it_comes_back(void **state)
{
    (void)state;
    static struct work w;
    sem_init(&w.go, 0, 0);
    sem_init(&w.dropped, 0, 0);
    assert_int_equal(deadline_run(stuck, drop, &w, 1000000), DEADLINE_LATE);
    assert_true(deadline_left_behind());
    sem_post(&w.go);
    assert_int_equal(sem_wait(&w.dropped), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ends_in_time_is_the_callers),
        cmocka_unit_test(what_is_late_is_dropped_when_it_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
