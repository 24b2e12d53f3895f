/* sim: starts, lists and ends worlds, and finds the library that shows them. */
#include "sim/sim.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/str.h"
#include "sim/reduce.h"
#include "sim/shipped.h"
#include "sim/world_shared.h"

/* The library of a world lies in a folder of its name, so that LD_LIBRARY_PATH finds it. */
static void reduced_path(const char *world_file, char out[WORLD_PATH_MAX + 40])
{
    snprintf(out, WORLD_PATH_MAX + 40, "%s.lib/libnvidia-ml.so.1", world_file);
}

static bool find_full_library(char out[WORLD_PATH_MAX], struct err *err)
{
    char program[PATH_MAX], path[PATH_MAX + 64];
    const char *named = getenv("DUALGPUOPT_SIM_LIBRARY");
    static const char *const beside[] = {"/sim/", "/../sim/", "/../../sim/",
                                         "/../" SIM_LIBDIR "/dualgpuopt/sim/"};
    if (named && *named && strlen(named) < WORLD_PATH_MAX) {
        memcpy(out, named, strlen(named) + 1);
        return true;
    }
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[n > 0 ? n : 0] = 0;
    char *slash = strrchr(program, '/');
    if (slash)
        *slash = 0;
    for (size_t i = 0; slash && i <= sizeof(beside) / sizeof(beside[0]); i++) {
        if (i < sizeof(beside) / sizeof(beside[0]))
            snprintf(path, sizeof(path), "%s%slibnvidia-ml.so.1", program, beside[i]);
        else
            snprintf(path, sizeof(path), "%s/libnvidia-ml.so.1", SIM_PREFIX "/" SIM_LIBDIR "/dualgpuopt/sim");
        char *real = realpath(path, NULL);
        bool found = real && strlen(real) < WORLD_PATH_MAX;
        if (found)
            memcpy(out, real, strlen(real) + 1);
        free(real);
        if (found)
            return true;
    }
    err_set(err, ERR_1502, "the simulated driver's library is not beside this program");
    return err_fix(err, NULL, "install it with make install, or set DUALGPUOPT_SIM_LIBRARY");
}

static void drop_reduced(const char *world_file)
{
    char path[WORLD_PATH_MAX + 40];
    reduced_path(world_file, path);
    unlink(path);
    *strrchr(path, '/') = 0;
    rmdir(path);
}

/* A library for a world whose scenario hides calls. */
static bool make_reduced(const struct world *w, struct err *err)
{
    const struct sim_scenario *s = world_scenario(w);
    const char *hidden[SIM_FAULTS_MAX];
    char full[WORLD_PATH_MAX], path[WORLD_PATH_MAX + 40], folder[WORLD_PATH_MAX + 40];
    size_t n = 0;
    for (uint32_t i = 0; i < s->n_faults; i++)
        if (s->fault[i].kind == SIM_FAULT_HIDE)
            hidden[n++] = s->fault[i].call;
    drop_reduced(world_path(w));
    if (!n)
        return true;
    if (!find_full_library(full, err))
        return false;
    reduced_path(world_path(w), path);
    memcpy(folder, path, sizeof(path));
    *strrchr(folder, '/') = 0;
    if (mkdir(folder, 0700) != 0)
        return err_set(err, ERR_1502, "%s cannot be made", folder);
    return reduce_library(full, path, hidden, n, err);
}

static bool common_state(const char *state, char out[WORLD_PATH_MAX], struct err *err)
{
    char folder[WORLD_PATH_MAX];
    const char *named = state ? state : getenv("DUALGPUOPT_SIM_STATE");
    if (named && *named) {
        if (strlen(named) >= WORLD_PATH_MAX - 8)
            return err_set(err, ERR_1502, "the state's path is too long");
        memcpy(out, named, strlen(named) + 1);
        return true;
    }
    if (!world_folder(folder, err))
        return false;
    snprintf(out, WORLD_PATH_MAX, "%.380s/sim.world", folder);
    return true;
}

bool sim_start(const struct sim_options *o, struct err *err)
{
    char state[WORLD_PATH_MAX];
    own(own_world) struct world *w = NULL;
    if (!common_state(o->state, state, err))
        return false;
    struct world_wish wish = {.scenario = o->scenario,
                              .state = state,
                              .seed = o->seed,
                              .scale = o->scale,
                              .at_ns = o->at_ns,
                              .again = true};
    if (!(o->scale == 0 || (o->scale >= 0.01 && o->scale <= 3600)))
        return err_set(err, ERR_9002, "the time scale can be 1 to 3600, or 0 to stand still");
    return world_open(&wish, &w, err) && make_reduced(w, err);
}

bool sim_stop(const char *state, struct err *err)
{
    char path[WORLD_PATH_MAX];
    if (!common_state(state, path, err) || !world_stop(path, err))
        return false;
    drop_reduced(path);
    return true;
}

bool sim_present(struct world **out, struct err *err)
{
    const char *named = getenv("DUALGPUOPT_SIM_SCENARIO");
    struct world_wish wish = {.scenario = named && *named ? named : NULL, .scale = 1, .seed = 1};
    return world_open(&wish, out, err);
}

bool sim_started(void)
{
    char path[WORLD_PATH_MAX];
    struct err ignored = {0};
    return common_state(NULL, path, &ignored) && access(path, R_OK) == 0;
}

/* The world of that file, or the present one. */
static bool open_for_change(const char *state, struct world **out, struct err *err)
{
    struct world_wish wish = {.state = state};
    return state ? world_open(&wish, out, err) : sim_present(out, err);
}

bool sim_inject(const char *state, const char *fault, uint32_t *id, struct err *err)
{
    struct sim_fault f;
    own(own_world) struct world *w = NULL;
    return fault_parse(fault, &f, err) && open_for_change(state, &w, err) &&
           world_inject(w, &f, id, err);
}

bool sim_clear(const char *state, uint32_t id, struct err *err)
{
    own(own_world) struct world *w = NULL;
    if (!open_for_change(state, &w, err))
        return false;
    return world_clear(w, id) || id == 0 || err_set(err, ERR_1501, "no fault %u holds", id);
}

bool sim_shipped(size_t index, struct sim_scenario *out, struct err *err)
{
    const struct shipped *s = shipped_scenarios;
    while (s->name && index > 0) {
        s++;
        index--;
    }
    return s->name && scenario_parse(s->name, s->text, strlen(s->text), out, err);
}

static bool entry_of(const char *path, bool started, struct sim_entry *out)
{
    struct err ignored = {0};
    own(own_world) struct world *w = NULL;
    struct world_wish wish = {.state = path};
    if (!world_open(&wish, &w, &ignored))
        return false;
    /* asking is no use of it */
    struct world_clock c = world_clock(w);
    *out = (struct sim_entry){.scale = c.scale,
                              .now_ns = c.now_ns,
                              .n_gpus = world_scenario(w)->n_gpus,
                              .started = started};
    snprintf(out->path, sizeof(out->path), "%s", path);
    snprintf(out->scenario, sizeof(out->scenario), "%s", world_scenario(w)->name);
    return true;
}

bool sim_list(struct sim_entry *out, size_t cap, size_t *n, struct err *err)
{
    char folder[WORLD_PATH_MAX], path[WORLD_PATH_MAX + 300], common[WORLD_PATH_MAX];
    *n = 0;
    if (!common_state(NULL, common, err) || !world_folder(folder, err))
        return false;
    if (cap > 0 && entry_of(common, true, &out[0]))
        *n = 1;
    DIR *d = opendir(folder);
    for (struct dirent *e = d ? readdir(d) : NULL; e && *n < cap; e = readdir(d)) {
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (str_starts(e->d_name, "sim-") && str_ends(e->d_name, ".world") &&
            strlen(path) < WORLD_PATH_MAX && entry_of(path, false, &out[*n]))
            (*n)++;
    }
    if (d)
        closedir(d);
    return true;
}

bool sim_library(char out[WORLD_PATH_MAX], struct err *err)
{
    char state[WORLD_PATH_MAX], reduced[WORLD_PATH_MAX + 40];
    const char *by_name = getenv("DUALGPUOPT_SIM_SCENARIO");
    struct err ignored = {0};
    if (!(by_name && *by_name) && common_state(NULL, state, &ignored)) {
        reduced_path(state, reduced);
        if (strlen(reduced) < WORLD_PATH_MAX && access(reduced, R_OK) == 0) {
            memcpy(out, reduced, strlen(reduced) + 1);
            return true;
        }
    }
    return find_full_library(out, err);
}
