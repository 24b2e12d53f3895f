/* first: looks for GPUs, engines and models; nothing found is an answer too. */
#include "cli/first.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "cli/gpus.h"
#include "cli/models.h"
#include "engine/probe.h"

enum { INDENT = 11 };

/* The folder and those above it, which may be there already. True when it is new. */
static bool make_folder(char *path)
{
    for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = 0;
        mkdir(path, 0700);
        *p = '/';
    }
    return mkdir(path, 0700) == 0;
}

bool first_is_now(const struct cli *c)
{
    own(own_str) struct str path = {0};
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (given(c, OPTION_NO_INPUT) || c->look.json || c->look.plain || c->look.quiet ||
        !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return false;
    if (state && state[0] == '/')
        str_addf(&path, "%s/dualgpuopt", state);
    else if (home && home[0] == '/')
        str_addf(&path, "%s/.local/state/dualgpuopt", home);
    return path.len && !path.failed && make_folder(path.data);
}

static void fact(struct cli *c, const char *name, const char *text)
{
    char first[32];
    snprintf(first, sizeof(first), "  %-8s ", name);
    text_wrap(&c->out, first, INDENT, text, c->look.width);
}

static void look_for_gpus(struct cli *c, struct watch *w, const struct err *why)
{
    own(own_str) struct str text = {0};
    struct gpu_view v;
    char gib[32];
    uint32_t n = w ? watch_count(w) : 0;
    for (uint32_t i = 0; i < n; i++) {
        watch_view(w, i, &v);
        str_addf(&text, "%s%s", i ? ", " : "", gpu_short_name(v.info.name));
        if (sample_has(&v.sample, METRIC_MEMORY_TOTAL))
            str_addf(&text, " %s GiB",
                     str_gib((uint64_t)v.sample.value[METRIC_MEMORY_TOTAL], 1, gib));
    }
    if (n)
        str_add(&text, watch_simulated(w) ? "   SIMULATED" : "");
    else
        str_addf(&text, "none that can be used: %s%s%s",
                 why->title[0] ? why->title : "the driver knows none", why->n_why ? ": " : "",
                 why->n_why ? why->why[0] : "");
    fact(c, "GPUs", text.data ? text.data : "");
}

static void look_for_engines(struct cli *c)
{
    own(own_str) struct str text = {0};
    struct engine_probe probe = {0};
    struct err none = {0};
    const char *path;
    if (probe_engine("llama-server", &c->arena, &probe, &none))
        str_addf(&text, "%s%s%s", probe.path, probe.version ? ", " : "",
                 probe.version ? probe.version : "");
    if (probe_find("vllm", &c->arena, &path, &none))
        str_addf(&text, "%s%s", text.len ? "; " : "", path);
    fact(c, "engines",
         text.len ? text.data
                  : "neither llama-server nor vllm on PATH: plans need none, running a model does");
}

/* The one to start with: the first that can be planned. */
static const char *look_for_models(struct cli *c)
{
    own(own_str) struct str text = {0};
    struct model_list list = {0};
    struct err none = {0};
    const char *first = NULL;
    size_t n = 0;
    if (models_find(c, &list, &none))
        for (size_t i = 0; i < list.n; i++)
            if (list.found[i].usable && !list.found[i].projector && n++ == 0)
                first = list.found[i].path;
    if (n)
        str_addf(&text, "%zu on this machine, %s", n, first);
    else
        str_add(&text, "no file found in the usual places; the built-in profiles are there: "
                       "dualgpuopt model ls");
    fact(c, "models", text.data ? text.data : "");
    return first;
}

static bool has_command(const char *words)
{
    size_t n;
    const struct command *c = command_table(&n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(c[i].words, words) == 0)
            return true;
    return false;
}

static void say_next(struct cli *c, bool gpus, const char *model)
{
    own(own_str) struct str plan = {0};
    str_add(&plan, "dualgpuopt plan ");
    str_add_shell(&plan, model ? model : gpus ? "llama-3.1-8b" : "llama-3.3-70b:Q4_K_M");
    str_add(&plan, gpus ? "" : " --gpus rtx5090,rtx4090");
    str_addf(&c->out, "\nNext\n  %s\n      what it takes on %s, before it is loaded\n",
             plan.data ? plan.data : "", gpus ? "these GPUs" : "GPUs you do not have");
    if (gpus)
        str_add(&c->out, "  dualgpuopt status --watch\n      what the GPUs do\n");
    else if (has_command("sim start"))
        str_add(&c->out, "  dualgpuopt sim start duo\n      try everything with simulated GPUs\n");
    str_addf(&c->out, "  dualgpuopt doctor\n      %s\n  dualgpuopt --help\n      everything else\n",
             gpus ? "whether all is well here" : "why no GPU can be used");
}

void first_look(struct cli *c)
{
    own(own_watch) struct watch *w = NULL;
    struct err why = {0};
    bool gpus = cli_watch(c, 2, false, NULL, &w, &why) && watch_count(w) > 0;
    str_add(&c->out, "Hello. This is what I found here:\n");
    look_for_gpus(c, w, &why);
    look_for_engines(c);
    const char *model = look_for_models(c);
    say_next(c, gpus, model);
    if (!gpus)
        return;
    str_add(&c->out, "\n");
    gpus_table(c, w);
    gpus_findings(c, w);
}
