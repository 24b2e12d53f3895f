/* install: asks, then lets apt-get do it, as root or by sudo. */
#include "cli/install.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "base/own.h"
#include "cli/ask.h"
#include "cli/gpus.h"
#include "engine/probe.h"

extern char **environ;

enum { PACKAGES_MOST = 16 };

/* The driver's library must be of the kernel driver's version, and an engine is built for its
 * cards: choosing those is not ours. */
static bool is_chosen_by_people(const struct check *k)
{
    return strcmp(k->id, "dep.nvml") == 0 || strcmp(k->id, "dep.llama-server") == 0;
}

static bool is_missing(const struct check *k)
{
    return k->package && k->level != CHECK_OK;
}

static bool run(struct cli *c, char *const *argv, struct err *err)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = 0;
    cli_flush(c);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    int code = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0)
        return err_set(err, ERR_1203, "%s cannot be started: %s", argv[0], strerror(code));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    return err_set(err, ERR_1203, "apt-get did not install them (exit code %d)",
                   WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void name_others(struct cli *c, const struct check *checks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_missing(&checks[i]) && is_chosen_by_people(&checks[i]))
            str_addf(&c->notes, "%s is missing and not installed by this: %s\n",
                     checks[i].id + strlen("dep."),
                     strcmp(checks[i].id, "dep.nvml") == 0 ? "it comes with the driver"
                                                           : "choose its build for your cards");
}

bool install_missing(struct cli *c, const struct check *checks, size_t n, struct err *err)
{
    own(own_str) struct str command = {0}, question = {0};
    const char *argv[PACKAGES_MOST + 5], *path;
    int words = 0, packages = 0;
    struct err none = {0};
    if (geteuid() != 0)
        argv[words++] = "sudo";
    argv[words++] = "apt-get";
    argv[words++] = "install";
    argv[words++] = "-y";
    for (size_t i = 0; i < n && packages < PACKAGES_MOST; i++) {
        if (!is_missing(&checks[i]) || is_chosen_by_people(&checks[i]))
            continue;
        argv[words++] = checks[i].package;
        packages++;
    }
    argv[words] = NULL;
    if (!packages) {
        name_others(c, checks, n);
        str_add(&c->out, "Nothing to install: the libraries this program uses are there.\n");
        return true;
    }
    for (int i = 0; i < words; i++)
        str_addf(&command, "%s%s", i ? " " : "", argv[i]);
    if (!probe_find("apt-get", &c->arena, &path, &none)) {
        err_set(err, ERR_1203, "there is no apt-get here");
        return err_fix(err, NULL, "install by your system's means what doctor --check-deps names");
    }
    str_addf(&question, "Install %d package%s (%s)?", packages, packages == 1 ? "" : "s",
             command.data);
    if (!ask_yes(c, question.data, "dualgpuopt --install-deps --yes", err))
        return false;
    if (!run(c, (char *const *)(uintptr_t)argv, err))
        return err_fix(err, command.data, "run it yourself to see more");
    name_others(c, checks, n);
    str_add(&c->out, "Installed. Look again: dualgpuopt --check-deps\n");
    return true;
}
