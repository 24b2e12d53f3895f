/* bench_plan: what a whole plan costs, from start to exit, beside llama-fit-params where that is
 * installed. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"

extern char **environ;

enum { PLAN_RUNS = 15, PRINT_RUNS = 5, FIT_RUNS = 3, N_REMOTE = 2 };

struct bench_case {
    const char *model, *cards;
    double limit_ms;
    uint32_t limit_mib; /* 0: none stated */
};

static const struct bench_case cases[] = {
    {"llama-3.3-70b:Q4_K_M",   "rtx5090,rtx4090",         20, 16},
    {"qwen3-235b-a22b:Q4_K_M", "80GiB,48GiB,24GiB,16GiB", 50, 0 },
};

struct cost {
    double median_ms, first_ms, peak_mib;
    bool ok;
};

static pid_t start(char *const argv[])
{
    posix_spawn_file_actions_t to_nowhere;
    pid_t pid = -1;

    posix_spawn_file_actions_init(&to_nowhere);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_addopen(&to_nowhere, fd, "/dev/null", O_RDWR, 0);
    if (posix_spawnp(&pid, argv[0], &to_nowhere, NULL, argv, environ) != 0)
        pid = -1;
    posix_spawn_file_actions_destroy(&to_nowhere);
    return pid;
}

/* One run: its milliseconds and peak memory. A plan that does not fit (8) is an answer too. */
static bool run_once(char *const argv[], double *ms, double *mib)
{
    struct rusage used;
    uint64_t begun = clock_mono_ns();
    pid_t pid = start(argv);
    int status;

    if (pid < 0 || wait4(pid, &status, 0, &used) != pid)
        return false;
    *ms = (double)(clock_mono_ns() - begun) / 1e6;
    *mib = (double)used.ru_maxrss / 1024;
    return WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 8);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The first run, which brings files into memory, is not among the n. */
static struct cost measure(char *const argv[], int n)
{
    struct cost c = {.ok = true};
    double ms[PLAN_RUNS], mib;

    if (!run_once(argv, &c.first_ms, &mib))
        return (struct cost){0};
    for (int i = 0; i < n && c.ok; i++) {
        c.ok = run_once(argv, &ms[i], &mib);
        c.peak_mib = mib > c.peak_mib ? mib : c.peak_mib;
    }
    qsort(ms, (size_t)n, sizeof(*ms), ascending);
    c.median_ms = ms[n / 2];
    return c;
}

static void print_engine(const char *what, const struct cost *c, const struct cost *plan)
{
    if (c->ok)
        printf("  %-44s %9.1f ms %7.1f MiB  %6.0f x\n", what, c->median_ms, c->peak_mib,
               c->median_ms / plan->median_ms);
    else
        printf("  %-44s %12s\n", what, "refused");
}

/* tool: llama-fit-params; remote: the value of --rpc or NULL. */
static void bench_engine(char *tool, char *remote, char *path, const struct cost *plan)
{
    char *print[] = {tool, "-m", path, "-fitp", "on", remote ? "--rpc" : NULL, remote, NULL};
    char *fit[] = {tool, "-m", path, remote ? "--rpc" : NULL, remote, NULL};
    struct cost c = measure(print, PRINT_RUNS);

    print_engine("llama-fit-params -fitp on (one dry run)", &c, plan);
    c = measure(fit, FIT_RUNS);
    print_engine("llama-fit-params (the whole fit)", &c, plan);
}

static void print_limit(const struct bench_case *b, const struct cost *c)
{
    bool broken = c->median_ms > b->limit_ms || (b->limit_mib && c->peak_mib > b->limit_mib);

    printf("  %-44s %9.1f ms", "  limit", b->limit_ms);
    if (b->limit_mib)
        printf(" %7.1f MiB", (double)b->limit_mib);
    printf("   %s\n", broken ? "BROKEN" : "kept");
}

static bool bench_case(const struct bench_case *b, char *const argv[], char *tool, char *remote)
{
    char path[PATH_MAX];
    char *sample[] = {argv[2], (char *)b->model, path, NULL};
    char *plan[] = {argv[1], "plan", path, "--gpus", (char *)b->cards, NULL};
    struct stat st;
    struct cost c;
    double ms, mib;

    snprintf(path, sizeof(path), "%s/bench-%d.gguf", argv[3], (int)getpid());
    if (!run_once(sample, &ms, &mib) || stat(path, &st) != 0)
        return false;
    c = measure(plan, PLAN_RUNS);
    printf("\n%s on %s, everything open; a header of %.1f MB\n", b->model, b->cards,
           (double)st.st_blocks * 512 / 1e6);
    if (c.ok) {
        printf("  %-44s %9.1f ms %7.1f MiB   (first run %.1f ms)\n", "dualgpuopt plan", c.median_ms,
               c.peak_mib, c.first_ms);
        print_limit(b, &c);
        if (tool)
            bench_engine(tool, remote, path, &c);
    }
    unlink(path);
    return c.ok;
}

/* A program of the engine, in DUALGPUOPT_TEST_ENGINE (a folder, or a program in one) or on PATH. */
static bool find_engine(const char *name, char path[PATH_MAX])
{
    const char *place = getenv("DUALGPUOPT_TEST_ENGINE"), *list = getenv("PATH");
    char *all = NULL, *rest, *dir;
    struct stat st;
    bool found = false;

    if (place && stat(place, &st) == 0) {
        const char *slash = S_ISDIR(st.st_mode) ? place + strlen(place) : strrchr(place, '/');
        snprintf(path, PATH_MAX, "%.*s/%s", slash ? (int)(slash - place) : 0, place, name);
        return access(path, X_OK) == 0;
    }
    all = strdup(list ? list : "");
    for (rest = all; all && !found && (dir = strsep(&rest, ":"));) {
        snprintf(path, PATH_MAX, "%s/%s", dir, name);
        found = access(path, X_OK) == 0;
    }
    free(all);
    return found;
}

/* Does the engine see a card by itself? */
static bool has_card(const char *tool)
{
    setenv("FIT_PARAMS", tool, 1);
    return system("\"$FIT_PARAMS\" --list-devices 2>/dev/null | grep -q 'MiB free'") == 0;
}

static struct sockaddr_in local(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int free_port(void)
{
    struct sockaddr_in at = local(0);
    socklen_t size = sizeof(at);
    own_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0)
        return 0;
    return ntohs(at.sin_port);
}

/* At most ten seconds. */
static bool wait_for(int port)
{
    struct sockaddr_in at = local(port);

    for (int i = 0; i < 500; i++) {
        own_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
            return true;
        nanosleep(&(struct timespec){0, 20000000}, NULL);
    }
    return false;
}

/* Remote devices for an engine without cards: started here, ended by main. */
static char *start_remotes(const char *tool, pid_t pids[N_REMOTE])
{
    static char list[64];
    char server[PATH_MAX], port[16];

    if (has_card(tool) || !find_engine("ggml-rpc-server", server))
        return NULL;
    for (int i = 0; i < N_REMOTE; i++) {
        char *argv[] = {server, "-H", "127.0.0.1", "-p", port, NULL};
        snprintf(port, sizeof(port), "%d", free_port());
        pids[i] = start(argv);
        if (pids[i] < 0 || !wait_for(atoi(port)))
            return NULL;
        snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s127.0.0.1:%s", i ? "," : "",
                 port);
    }
    return list;
}

int main(int argc, char **argv)
{
    char tool[PATH_MAX], *remote = NULL;
    pid_t pids[N_REMOTE] = {-1, -1};
    bool ok = true, engine = find_engine("llama-fit-params", tool);

    if (argc != 4) {
        fputs("usage: bench_plan DUALGPUOPT MAKE-SAMPLE FOLDER\n", stderr);
        return 2;
    }
    if (engine)
        remote = start_remotes(tool, pids);
    printf("whole processes; median of %d runs, of llama-fit-params %d (-fitp on) and %d%s\n",
           PLAN_RUNS, PRINT_RUNS, FIT_RUNS,
           !engine  ? "\nllama-fit-params: not on PATH nor in DUALGPUOPT_TEST_ENGINE"
           : remote ? ", on two ggml-rpc-server of this machine"
                    : "");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases) && ok; i++) {
        ok = bench_case(&cases[i], argv, engine ? tool : NULL, remote);
        fflush(stdout);
    }
    for (int i = 0; i < N_REMOTE; i++) {
        if (pids[i] > 0 && kill(pids[i], SIGTERM) == 0)
            waitpid(pids[i], NULL, 0);
    }
    if (!ok)
        fputs("bench_plan: a program did not run\n", stderr);
    return ok ? 0 : 1;
}
