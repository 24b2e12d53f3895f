/* test_clients: who has a card open, from a made /proc: shared and repeated files, other cards,
 * processes that go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/wait.h>

#include "amdgpu/clients.h"
#include "../tree.h"

static char root[64];
static struct clients_found found;
static const struct drm_identity nodes = {
    .n_nodes = 2, .nodes = {"card0", "renderD128"}
};
static const uint64_t second = 1000000000;

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/clientsXXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int drop_root(void **state)
{
    (void)state;
    scratch_remove(root);
    return 0;
}

/* One open file of the process: where it points, and what the driver writes about it. */
static void put_file(unsigned pid, unsigned fd, const char *target, const char *pdev,
                     unsigned client, unsigned vram_mib)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%u/fd/%u", pid, fd);
    tree_link(root, path, target);
    snprintf(path, sizeof(path), "/proc/%u/fdinfo/%u", pid, fd);
    snprintf(text, sizeof(text),
             "pos:\t0\ndrm-driver:\tamdgpu\ndrm-pdev:\t%s\ndrm-client-id:\t%u\ndrm-memory-vram:\t%"
             "u MiB\n"
             "drm-memory-gtt:\t1 MiB\ndrm-memory-cpu:\t9 MiB\ndrm-engine-compute:\t%u ns\n",
             pdev, client, vram_mib, 1000 * client);
    tree_put(root, path, text);
}

static const struct client *client(uint64_t id)
{
    for (uint32_t i = 0; i < found.n; i++)
        if (found.at[i].id == id)
            return &found.at[i];
    return NULL;
}

static void scan(struct clients *c, uint64_t now_ns)
{
    assert_true(clients_scan(c, now_ns, &found));
}

static void counts_every_client_once(void **state)
{
    (void)state;
    put_file(10, 3, "/dev/dri/renderD128", "0000:03:00.0", 7, 100);
    put_file(10, 4, "/dev/dri/renderD128", "0000:03:00.0", 7, 100); /* a dup */
    put_file(10, 5, "/dev/dri/card0", "0000:03:00.0", 8, 5);
    put_file(9, 3, "/dev/dri/renderD128", "0000:03:00.0", 8, 5); /* passed on to another process */
    put_file(11, 3, "/dev/dri/renderD129", "0000:04:00.0", 7, 999); /* another card */
    put_file(11, 4, "/dev/dri/renderD128", "0000:09:00.0", 6, 999); /* says it is of another card */
    put_file(12, 3, "/dev/null", "0000:03:00.0", 9, 999);
    tree_put(root, "/proc/uptime", "1 1\n");
    struct clients *c = clients_new(root, "0000:03:00.0", &nodes);
    scan(c, second);
    assert_int_equal(found.n, 2);
    assert_int_equal(found.hidden, 0);
    assert_int_equal(client(7)->pid, 10);
    assert_int_equal(client(7)->local_bytes, 100 << 20);
    assert_int_equal(client(7)->system_bytes, 1 << 20);
    assert_true(client(7)->engine[CLIENT_COMPUTE].known);
    assert_int_equal(client(7)->engine[CLIENT_COMPUTE].busy, 7000);
    assert_false(client(7)->engine[CLIENT_GRAPHICS].known);
    assert_int_equal(client(8)->pid, 9);
    clients_free(c);
}

static void notices_what_comes_and_goes(void **state)
{
    (void)state;
    char path[128];
    put_file(20, 3, "/dev/dri/renderD128", "0000:03:00.0", 21, 1);
    struct clients *c = clients_new(root, "0000:03:00.0", &nodes);
    scan(c, second);
    assert_non_null(client(21));
    put_file(20, 3, "/dev/dri/renderD128", "0000:03:00.0", 21, 2);
    put_file(22, 3, "/dev/dri/renderD128", "0000:03:00.0", 23, 1);
    scan(c, 2 * second);
    assert_int_equal(client(21)->local_bytes, 2 << 20);
    assert_non_null(client(23));

    /* A file that is opened later is found after a while even if nothing else tells. */
    put_file(20, 9, "/dev/dri/card0", "0000:03:00.0", 24, 1);
    scan(c, 40 * second);
    assert_non_null(client(24));
    snprintf(path, sizeof(path), "%s/proc/22", root);
    scratch_remove(path);
    scan(c, 41 * second);
    assert_null(client(23));
    assert_non_null(client(21));
    clients_free(c);
}

static void without_proc_it_says_so(void **state)
{
    (void)state;
    struct clients *c = clients_new("/nonexistent", "0000:03:00.0", &nodes);
    assert_false(clients_scan(c, second, &found));
    clients_free(c);
    clients_free(NULL);
}

/* Nobody has such a card open here: the real /proc is walked to its end. */
static void walks_the_real_proc(void **state)
{
    (void)state;
    struct clients *c = clients_new("", "ffff:ff:1f.7", &nodes);
    for (uint64_t i = 1; i <= 3; i++) {
        scan(c, i * second);
        assert_int_equal(found.n, 0);
    }
    clients_free(c);
}

/* Another user's open files may not be seen; that is told apart from having none. */
static void counts_processes_that_hide(void **state)
{
    (void)state;
    int status;
    if (getuid() != 0)
        skip();
    pid_t child = fork();
    if (child == 0) {
        struct clients *c = clients_new("", "ffff:ff:1f.7", &nodes);
        bool hidden = setresuid(65534, 65534, 65534) == 0 && c && clients_scan(c, second, &found) &&
                      found.hidden > 0;
        clients_free(c);
        _exit(hidden ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_every_client_once),   cmocka_unit_test(notices_what_comes_and_goes),
        cmocka_unit_test(without_proc_it_says_so),    cmocka_unit_test(walks_the_real_proc),
        cmocka_unit_test(counts_processes_that_hide),
    };
    return cmocka_run_group_tests(tests, make_root, drop_root);
}
