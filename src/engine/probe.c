/* probe: finds an installed engine and learns which flags it knows, once for every version of the file. */
#include "engine/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "base/str.h"

extern char **environ;

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool absent(const char *program, struct err *err)
{
    err_set(err, ERR_3001, "%s was not found", program);
    err_why(err, "it is not on PATH and no other path was given");
    return err_fix(err, NULL, "install llama.cpp, or put its folder on PATH");
}

bool probe_find(const char *program, struct arena *arena, const char **path, struct err *err)
{
    const char *dirs = getenv("PATH");
    if (strchr(program, '/')) {
        char real[PATH_MAX];
        if (!is_program(program) || !realpath(program, real))
            return absent(program, err);
        *path = arena_strdup(arena, real);
        return *path || err_set(err, ERR_1201, "no memory for a path");
    }
    for (const char *p = dirs ? dirs : ""; *p;) {
        char full[PATH_MAX];
        size_t len = strcspn(p, ":");
        int n = snprintf(full, sizeof(full), "%.*s/%s", (int)len, p, program);
        if (len && n > 0 && (size_t)n < sizeof(full) && is_program(full)) {
            *path = arena_strdup(arena, full);
            return *path || err_set(err, ERR_1201, "no memory for a path");
        }
        p += len;
        p += *p == ':';
    }
    return absent(program, err);
}

static int run_child(const char *path, const char *flag, int out, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    char *argv[] = {(char *)path, (char *)flag, NULL};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, out, 2);
    int code = posix_spawn(pid, path, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

/* Reads until end of file, the size limit or the deadline; false on the last two. */
static bool drain(int fd, struct str *out)
{
    uint64_t deadline = clock_mono_ns() + (uint64_t)PROBE_TIMEOUT_MS * 1000000;
    char block[8192];
    while (out->len < PROBE_MAX_TEXT && !out->failed) {
        uint64_t now = clock_mono_ns();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = now < deadline ? poll(&p, 1, (int)((deadline - now) / 1000000) + 1) : 0;
        if (ready == 0)
            return false;
        if (ready < 0 && errno == EINTR)
            continue;
        ssize_t n = read(fd, block, sizeof(block));
        if (n <= 0)
            return n == 0;
        str_add_n(out, block, (size_t)n);
    }
    return false;
}

static bool run(const char *path, const char *flag, struct str *out, struct err *err)
{
    int fds[2];
    pid_t pid;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return err_set(err, ERR_3002, "no pipe for %s: %s", path, strerror(errno));
    int code = run_child(path, flag, fds[1], &pid);
    close(fds[1]);
    if (code != 0) {
        close(fds[0]);
        return err_set(err, ERR_3002, "%s does not start: %s", path, strerror(code));
    }
    bool whole = drain(fds[0], out);
    close(fds[0]);
    if (!whole)
        kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    if (whole && !out->failed)
        return true;
    err_set(err, ERR_3002, "%s %s gave no answer within %d s", path, flag, PROBE_TIMEOUT_MS / 1000);
    return err_fix(err, NULL, "run it by hand and see what it waits for");
}

/* "version: 10825 (de3ff815)" or "build: 10825": the number after the word. */
static uint32_t build_number(const char *text)
{
    static const char *const marks[] = {"version:", "build:", " b"};
    for (size_t i = 0; i < 3; i++) {
        const char *at = strstr(text, marks[i]);
        char *end;
        unsigned long n = at ? strtoul(at + strlen(marks[i]), &end, 10) : 0;
        if (n > 0 && n < 1000000)
            return (uint32_t)n;
    }
    return 0;
}

static const char *version_line(const char *text, struct arena *arena)
{
    const char *at = strstr(text, "version:");
    char shown[200];
    at = at ? at + strlen("version:") : NULL;
    while (at && *at == ' ')
        at++;
    return at ? arena_strdup(arena, str_printable(at, strcspn(at, "\n"), shown, sizeof(shown))) : NULL;
}

/* One file per engine file: its name is the file's identity, so that an update is a new name. */
static bool cache_path(const char *path, char *out, size_t cap, bool make_dir)
{
    struct stat st;
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char dir[PATH_MAX];
    int n;
    if (stat(path, &st) != 0 || !((xdg && xdg[0] == '/') || (home && home[0] == '/')))
        return false;
    if (xdg && xdg[0] == '/')
        n = snprintf(dir, sizeof(dir), "%s/dualgpuopt", xdg);
    else
        n = snprintf(dir, sizeof(dir), "%s/.cache/dualgpuopt", home);
    if (n < 0 || (size_t)n >= sizeof(dir))
        return false;
    if (make_dir) {
        char *slash = strrchr(dir, '/');
        *slash = 0;
        mkdir(dir, 0700);
        *slash = '/';
        mkdir(dir, 0700);
    }
    n = snprintf(out, cap, "%s/engine-%llx-%llx-%llx-%llx", dir, (unsigned long long)st.st_dev,
                 (unsigned long long)st.st_ino, (unsigned long long)st.st_size,
                 (unsigned long long)st.st_mtim.tv_sec * 1000000000ull +
                     (unsigned long long)st.st_mtim.tv_nsec);
    return n > 0 && (size_t)n < cap;
}

static bool load_cached(const char *path, struct str *text)
{
    char file[PATH_MAX], block[8192];
    if (!cache_path(path, file, sizeof(file), false))
        return false;
    own_fd int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        st.st_size <= 0 || st.st_size > 2 * PROBE_MAX_TEXT)
        return false;
    ssize_t n;
    while ((n = read(fd, block, sizeof(block))) > 0)
        str_add_n(text, block, (size_t)n);
    return n == 0 && !text->failed && memchr(text->data, '\f', text->len) != NULL;
}

/* Best effort: without a cache the next call asks the engine again. */
static void save_cached(const char *path, const struct str *version, const struct str *help)
{
    char file[PATH_MAX], temporary[PATH_MAX];
    if (!cache_path(path, file, sizeof(file), true))
        return;
    int n = snprintf(temporary, sizeof(temporary), "%s.%d", file, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof(temporary))
        return;
    FILE *f = fopen(temporary, "wxe");
    if (!f)
        return;
    bool ok = fwrite(version->data ? version->data : "", 1, version->len, f) == version->len &&
              fputc('\f', f) == '\f' &&
              fwrite(help->data ? help->data : "", 1, help->len, f) == help->len && fflush(f) == 0 &&
              fsync(fileno(f)) == 0;
    ok = fclose(f) == 0 && ok;
    if (!ok || rename(temporary, file) != 0)
        unlink(temporary);
}

static bool fill(const char *path, const char *version, const char *help, struct arena *arena,
                 struct engine_probe *out, struct err *err)
{
    *out = (struct engine_probe){
        .path = path,
        .version = version_line(version, arena),
        .build = build_number(version),
        .help = arena_strdup(arena, help),
    };
    return out->help || err_set(err, ERR_1201, "no memory for the engine's help");
}

bool probe_engine(const char *program, struct arena *arena, struct engine_probe *out, struct err *err)
{
    const char *path;
    own(own_str) struct str cached = {0}, version = {0}, help = {0};
    if (!probe_find(program, arena, &path, err))
        return false;
    if (load_cached(path, &cached)) {
        char *split = memchr(cached.data, '\f', cached.len);
        *split = 0;
        return fill(path, cached.data, split + 1, arena, out, err);
    }
    if (!run(path, "--version", &version, err) || !run(path, "--help", &help, err))
        return false;
    save_cached(path, &version, &help);
    return fill(path, version.data ? version.data : "", help.data ? help.data : "", arena, out, err);
}

static bool is_word_char(char c)
{
    return c == '-' || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9');
}

bool probe_knows(const struct engine_probe *p, const char *flag)
{
    size_t n = strlen(flag);
    if (!p)
        return true;
    for (const char *at = p->help; (at = strstr(at, flag)); at += n)
        if ((at == p->help || !is_word_char(at[-1])) && !is_word_char(at[n]))
            return true;
    return false;
}
