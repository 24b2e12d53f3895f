/* run: starts programs with pipes to files, keeps what they said. */
#include "run.h"

#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../api/schema.h"

enum { KEPT = 8, WORDS_MOST = 128, LINE_MOST = 8192 };

static char folder[64];
static char *kept[KEPT][2];
static unsigned n_runs;

int run_setup(void **state)
{
    (void)state;
    setlocale(LC_ALL, "C.UTF-8");
    snprintf(folder, sizeof(folder), "/tmp/dualgpuopt-cli-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return chdir(folder);
}

int run_teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    for (int i = 0; i < KEPT; i++)
        for (int k = 0; k < 2; k++) {
            free(kept[i][k]);
            kept[i][k] = NULL;
        }
    return chdir("/") || system(command);
}

const char *run_folder(void)
{
    return folder;
}

static char *read_all(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    char *text = calloc(1, (size_t)st.st_size + 1);
    assert_non_null(text);
    assert_int_equal(pread(fd, text, (size_t)st.st_size, 0), st.st_size);
    close(fd);
    return text;
}

/* Splits line in place. */
static int split(char *line, char **words)
{
    int n = 0;
    char *from = line, *to = line;
    while (*from) {
        bool quoted = false;
        while (*from == ' ')
            from++;
        if (!*from)
            break;
        assert_true(n < WORDS_MOST - 1);
        words[n++] = to;
        for (; *from && (quoted || *from != ' '); from++) {
            if (*from == '\'')
                quoted = !quoted;
            else
                *to++ = *from;
        }
        from += *from == ' ';
        *to++ = '\0';
    }
    words[n] = NULL;
    return n;
}

static bool is_setting(const char *word)
{
    size_t n = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    return n && word[n] == '=';
}

static struct ran start(const char *program, char *line)
{
    char *words[WORDS_MOST], *argv[WORDS_MOST + 1], home[80], path[160], simulated[160];
    char *env[WORDS_MOST + 8] = {home, path, "LC_ALL=C.UTF-8", "TERM=xterm-256color",
                                 "DUALGPUOPT_NVML_PATH=/nonexistent/libnvidia-ml.so.1", simulated};
    int n = split(line, words), n_env = 6, i = 0, n_argv = 0, status;
    struct timespec begin, end;
    snprintf(home, sizeof(home), "HOME=%s", folder);
    snprintf(simulated, sizeof(simulated), "DUALGPUOPT_SIM_STATE=%s/sim.world", folder);
    snprintf(path, sizeof(path), "PATH=%s/bin:/usr/bin:/bin", folder);
    for (; i < n && is_setting(words[i]); i++) {
        int k = 0;
        while (k < n_env && strncmp(env[k], words[i], strcspn(words[i], "=") + 1) != 0)
            k++;
        env[k] = words[i];
        n_env += k == n_env;
    }
    argv[n_argv++] = program ? (char *)(uintptr_t)program : words[i++];
    for (; i < n; i++)
        argv[n_argv++] = words[i];
    argv[n_argv] = NULL;
    int out = memfd_create("out", 0), err = memfd_create("err", 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, err, 2);
    pid_t pid;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    assert_int_equal(posix_spawnp(&pid, argv[0], &actions, NULL, argv, env), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (!WIFEXITED(status))
        fail_msg("%s died of signal %d", argv[0], WTERMSIG(status));
    char **keep = kept[n_runs++ % KEPT];
    free(keep[0]);
    free(keep[1]);
    keep[0] = read_all(out);
    keep[1] = read_all(err);
    return (struct ran){WEXITSTATUS(status), keep[0], keep[1],
                        (double)(end.tv_sec - begin.tv_sec) +
                            1e-9 * (double)(end.tv_nsec - begin.tv_nsec)};
}

struct ran run(const char *fmt, ...)
{
    char line[LINE_MOST];
    va_list ap;
    va_start(ap, fmt);
    assert_true(vsnprintf(line, sizeof(line), fmt, ap) < LINE_MOST);
    va_end(ap);
    return start(PROGRAM, line);
}

struct ran run_program(const char *fmt, ...)
{
    char line[LINE_MOST];
    va_list ap;
    va_start(ap, fmt);
    assert_true(vsnprintf(line, sizeof(line), fmt, ap) < LINE_MOST);
    va_end(ap);
    return start(NULL, line);
}

void run_file(const char *name, const char *text, bool executable)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    if (executable)
        assert_int_equal(chmod(name, 0755), 0);
}

struct json_object *run_json(const struct ran *r, const char *kind)
{
    char why[512] = "";
    if (!schema_check_text(kind, r->out, why, sizeof(why)))
        fail_msg("%s: %s\n%s", kind, why, r->err);
    return json_tokener_parse(r->out);
}

struct json_object *at(struct json_object *doc, const char *path)
{
    struct json_object *here = doc;
    for (const char *p = path; *p;) {
        char name[64];
        size_t n = strcspn(p, ".");
        snprintf(name, sizeof(name), "%.*s", (int)n, p);
        if (json_object_get_type(here) == json_type_array)
            here = json_object_array_get_idx(here, strtoul(name, NULL, 10));
        else if (!json_object_object_get_ex(here, name, &here))
            fail_msg("no %s in %s", name, path);
        p += n + (p[n] == '.');
    }
    return here;
}

int64_t number_at(struct json_object *doc, const char *path)
{
    struct json_object *o = at(doc, path);
    assert_int_equal(json_object_get_type(o), json_type_int);
    return json_object_get_int64(o);
}

const char *text_at(struct json_object *doc, const char *path)
{
    struct json_object *o = at(doc, path);
    assert_int_equal(json_object_get_type(o), json_type_string);
    return json_object_get_string(o);
}

int widest_line(const char *text)
{
    int most = 0, now = 0;
    for (const char *p = text; *p; p++) {
        if (*p == '\x1b') {
            p += strcspn(p, "m");
            if (!*p)
                break;
        } else if (*p == '\n') {
            now = 0;
        } else if (((unsigned char)*p & 0xc0) != 0x80) {
            now++;
        }
        most = now > most ? now : most;
    }
    return most;
}

int count_lines(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

void expect_text(const struct ran *r, const char *part)
{
    if (!strstr(r->out, part))
        fail_msg("\"%s\" is not in:\n%s%s", part, r->out, r->err);
}

/* A line that only holds a command to copy may be as long as the command is. */
static void check_widths(const char *text)
{
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "\n");
        char line[1024] = "";
        memcpy(line, p, n < sizeof(line) ? n : sizeof(line) - 1);
        if (widest_line(line) > 80 && strncmp(p, "       dualgpuopt ", 18) != 0)
            fail_msg("wider than 80 columns: %s", line);
        p += n + (p[n] == '\n');
    }
}

void expect_error(const struct ran *r, int exit_code, int dgo, const char *part)
{
    char begin[32], more[64];
    if (r->code != exit_code)
        fail_msg("exit code %d, not %d\n%s%s", r->code, exit_code, r->out, r->err);
    assert_string_equal(r->out, "");
    unsigned code = 0;
    if (sscanf(r->err, "error DGO%u: ", &code) != 1)
        fail_msg("no error in the house's style:\n%s", r->err);
    if (dgo && code != (unsigned)dgo)
        fail_msg("DGO%u, not DGO%d:\n%s", code, dgo, r->err);
    snprintf(begin, sizeof(begin), "error DGO%04u: ", code);
    snprintf(more, sizeof(more), "\nmore   dualgpuopt help DGO%04u\n", code);
    assert_true(strncmp(r->err, begin, strlen(begin)) == 0);
    size_t n = strlen(r->err), m = strlen(more);
    if (n < m || strcmp(r->err + n - m, more) != 0)
        fail_msg("does not end with where to read more:\n%s", r->err);
    if (!strstr(r->err, "\nfix "))
        fail_msg("names no way out:\n%s", r->err);
    if (count_lines(r->err) > 12)
        fail_msg("is too long:\n%s", r->err);
    check_widths(r->err);
    if (part && !strstr(r->err, part))
        fail_msg("\"%s\" is not in:\n%s", part, r->err);
}
