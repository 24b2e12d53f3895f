/* test_child: real processes hold simulated memory, and only as long as they live. */
#include <signal.h>
#include <sys/wait.h>

#include "nv.h"

static unsigned count_of(void *card, pid_t pid, uint64_t *bytes)
{
    struct nv_process p[64];
    unsigned n = 64, found = 0;
    assert_int_equal(NV(nvmlDeviceGetComputeRunningProcesses_v3, card, &n, p), 0);
    for (unsigned i = 0; i < n; i++) {
        if (p[i].pid != (unsigned)pid)
            continue;
        *bytes = p[i].used;
        found++;
    }
    return found;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PRELOADS 0 /* a sanitizer's own library must come first */
#else
#define PRELOADS 1
#endif

/* A program that knows nothing of us, preloaded; ready when it writes its byte. */
static pid_t start_cat(const char *wish, int *to, int *from)
{
    int in[2], out[2];
    assert_int_equal(pipe(in) | pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        setenv("DUALGPUOPT_SIM_ALLOC", wish, 1);
        setenv("LD_PRELOAD", SIM_LIBRARY, 1);
        execlp("cat", "cat", "-u", NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    *to = in[1];
    *from = out[0];
    char byte = 'x';
    assert_int_equal(write(*to, &byte, 1), 1);
    assert_int_equal(read(*from, &byte, 1), 1);
    return pid;
}

static void any_program_owns_memory_while_it_lives(void **unused)
{
    int to, from;
    uint64_t bytes = 0;
    nv_begin("dual-basic", 60 * SECOND);
    if (!PRELOADS)
        skip();
    void *first = nv_card(0), *second = nv_card(1);
    pid_t pid = start_cat("0:8GiB,1:512MiB", &to, &from);
    assert_int_equal(count_of(first, pid, &bytes), 1);
    assert_true(bytes == 8192 * MIB);
    assert_int_equal(count_of(second, pid, &bytes), 1);
    assert_true(nv_memory(first).used == (5000 + 8192) * MIB);
    assert_true(nv_memory(first).total == nv_memory(first).used + nv_memory(first).free);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(to);
    close(from);
    /* the library looks at /proc at most every 20 ms */
    for (int i = 0; i < 1000 && count_of(first, pid, &bytes); i++)
        usleep(5000);
    assert_int_equal(count_of(first, pid, &bytes), 0);
    assert_true(nv_memory(first).used == 5000 * MIB);
}

static void a_full_card_refuses(void **unused)
{
    nv_begin("dual-basic", 60 * SECOND);
    void *card = nv_card(1);
    uint64_t left = nv_memory(card).free;
    assert_int_equal(NV(dualgpuopt_sim_alloc, 1, left + MIB), NV_MEMORY);
    assert_int_equal(NV(dualgpuopt_sim_alloc, 1, left), 0);
    assert_true(nv_memory(card).free == 0);
    assert_int_equal(NV(dualgpuopt_sim_free, 1, left + MIB), NV_INVALID_ARGUMENT);
    assert_int_equal(NV(dualgpuopt_sim_free, 1, left), 0);
    assert_true(nv_memory(card).free == left);
    assert_int_equal(NV(dualgpuopt_sim_alloc, 2, MIB), NV_INVALID_ARGUMENT);
}

static void later_wishes_wait_for_simulated_time(void **unused)
{
    int to, from;
    uint64_t bytes = 0;
    nv_begin("dual-basic", 60 * SECOND);
    if (!PRELOADS)
        skip();
    void *card = nv_card(0);
    pid_t pid = start_cat("0:1GiB,0:2GiB@30s", &to, &from);
    assert_int_equal(count_of(card, pid, &bytes), 1);
    assert_true(bytes == 1024 * MIB);
    world_jump(world, 95 * SECOND);
    for (int i = 0; i < 2000 && bytes != 3072 * MIB; i++) {
        usleep(5000);
        count_of(card, pid, &bytes);
    }
    assert_true(bytes == 3072 * MIB);
    close(to);
    close(from);
    waitpid(pid, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(any_program_owns_memory_while_it_lives, nv_end),
        cmocka_unit_test_teardown(a_full_card_refuses, nv_end),
        cmocka_unit_test_teardown(later_wishes_wait_for_simulated_time, nv_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
