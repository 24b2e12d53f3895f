/* test_top: top on a terminal of its own, keys typed, and a signal to a real process. */
#include "run.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/top.h"
#include "telemetry/process_info.h"

enum { PATIENCE_MS = 20000, SEEN_MAX = 1 << 20 };

static char seen[SEEN_MAX];
static size_t n_seen;
static int terminal = -1;
static pid_t program;

static void start(const char *term, const char *option)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    n_seen = 0;
    program = forkpty(&terminal, NULL, NULL, &size);
    assert_true(program >= 0);
    if (program == 0) {
        setenv("TERM", term, 1);
        setenv("DUALGPUOPT_NVML_PATH", TEST_DRIVER, 1);
        setenv("XDG_CONFIG_HOME", run_folder(), 1);
        setenv("LC_ALL", "C.UTF-8", 1);
        execl(PROGRAM, "dualgpuopt", "top", option, NULL);
        _exit(127);
    }
}

static bool read_more(void)
{
    struct pollfd in = {.fd = terminal, .events = POLLIN};
    if (poll(&in, 1, PATIENCE_MS) <= 0)
        return false;
    ssize_t n = read(terminal, seen + n_seen, SEEN_MAX - 1 - n_seen);
    n_seen += n > 0 ? (size_t)n : 0;
    seen[n_seen] = 0;
    return n > 0;
}

static void wait_for(const char *text)
{
    seen[n_seen] = 0;
    while (!strstr(seen, text))
        if (!read_more())
            fail_msg("\"%s\" did not come up in %zu bytes", text, n_seen);
    n_seen = 0;
}

static void type(const char *keys)
{
    assert_int_equal(write(terminal, keys, strlen(keys)), (ssize_t)strlen(keys));
}

static int leave(void)
{
    int status;
    while (read_more())
        ;
    assert_int_equal(waitpid(program, &status, 0), program);
    close(terminal);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void draws_and_gives_the_terminal_back(void **state)
{
    (void)state;
    start("xterm-256color", "--readonly");
    wait_for("RTX 5090");
    type("2");
    wait_for("GPU-5090aaaa");
    type("q");
    assert_int_equal(leave(), 0);
    assert_non_null(strstr(seen, "\033[?1049l"));
}

static void settings_are_saved_on_request_only(void **state)
{
    (void)state;
    char path[256];
    snprintf(path, sizeof(path), "%s/dualgpuopt/top.yaml", run_folder());
    start("xterm-256color", NULL);
    wait_for("RTX 5090");
    type("c");
    type("q");
    assert_int_equal(leave(), 0);
    assert_non_null(strstr(seen, "not saved"));
    assert_int_not_equal(access(path, F_OK), 0);
    start("xterm-256color", NULL);
    wait_for("RTX 5090");
    type("cW");
    wait_for("saved: ");
    type("q");
    assert_int_equal(leave(), 0);
    assert_int_equal(access(path, F_OK), 0);
    run_file("dualgpuopt/top.yaml", "screen: nowhere\n", false);
    start("xterm-256color", NULL);
    wait_for("line 1, column 9");
    type("q");
    assert_int_equal(leave(), 0);
}

static void ended_by_ctrl_c(void **state)
{
    (void)state;
    start("xterm", NULL);
    wait_for("RTX 5090");
    type("\003");
    assert_int_equal(leave(), 130);
}

static void sentences_where_nothing_can_be_drawn(void **state)
{
    (void)state;
    start("dumb", NULL);
    wait_for("GPU 1 RTX 4090: ");
    type("\n");
    wait_for("GPU 1 RTX 4090: ");
    assert_null(strchr(seen, '\033'));
    type("q");
    assert_int_equal(leave(), 0);
    start("xterm", "--accessible");
    wait_for("GPU 0 RTX 5090: ");
    type("q");
    assert_int_equal(leave(), 0);
}

static void a_pipe_is_no_terminal(void **state)
{
    (void)state;
    struct ran r = run("TERM=xterm top");
    expect_error(&r, 2, 9003, "top --accessible");
    r = run("TERM=dumb top --filter 'temp>'");
    expect_error(&r, 2, 9005, "a number belongs here");
    r = run("TERM=dumb top --symbols roman");
    expect_error(&r, 2, 9002, "braille");
    r = run("help keys");
    expect_text(&r, "F12 W");
    expect_text(&r, "pmem");
}

static struct top_victim victim_of(pid_t pid)
{
    struct process p = {0};
    assert_true(process_info_read(NULL, (uint32_t)pid, &p));
    struct top_victim v = {
        .pid = (uint32_t)pid, .local_pid = (uint32_t)pid, .since_s = p.since_s, .user = "me"};
    memcpy(v.name, p.name, sizeof(v.name));
    return v;
}

static void a_signal_hits_who_was_asked_about(void **state)
{
    (void)state;
    struct top_state s = {.signal = SIGTERM};
    struct top_sent sent = {.fd = -1};
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    s.victim = victim_of(child);
    s.readonly = true;
    top_send(&s, &sent, clock_mono_ns());
    assert_int_equal(sent.fd, -1);
    s.readonly = false;
    s.victim.since_s -= 100; /* its number was another's a while ago */
    top_send(&s, &sent, clock_mono_ns());
    assert_int_equal(sent.fd, -1);
    assert_non_null(strstr(s.message, "another process by now"));
    assert_int_equal(kill(child, 0), 0);
    s.victim.since_s += 100;
    top_send(&s, &sent, clock_mono_ns());
    assert_true(sent.fd >= 0);
    assert_true(!top_sent_news(&s, &sent, sent.sent_ns, false));
    struct pollfd in = {.fd = sent.fd, .events = POLLIN};
    assert_int_equal(poll(&in, 1, PATIENCE_MS), 1);
    assert_true(top_sent_news(&s, &sent, sent.sent_ns + 400000000, true));
    assert_non_null(strstr(s.message, "ended 0.4 s after SIGTERM"));
    assert_int_equal(sent.fd, -1);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void one_that_stays_is_reported(void **state)
{
    (void)state;
    struct top_state s = {.signal = SIGHUP};
    struct top_sent sent = {.fd = -1};
    pid_t child = fork();
    if (child == 0) {
        signal(SIGHUP, SIG_IGN);
        for (;;)
            pause();
    }
    s.victim = victim_of(child);
    top_send(&s, &sent, 1000);
    assert_true(top_sent_news(&s, &sent, 1000 + UINT64_C(6000000000), false));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_and_gives_the_terminal_back),
        cmocka_unit_test(settings_are_saved_on_request_only),
        cmocka_unit_test(ended_by_ctrl_c),
        cmocka_unit_test(sentences_where_nothing_can_be_drawn),
        cmocka_unit_test(a_pipe_is_no_terminal),
        cmocka_unit_test(a_signal_hits_who_was_asked_about),
        cmocka_unit_test(one_that_stays_is_reported),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
