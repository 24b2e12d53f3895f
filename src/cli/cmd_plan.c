/* cmd_plan: the command `plan`: makes the plan and writes it in the form that was asked for. */
#include <string.h>

#include "api/batching_json.h"
#include "api/plan_json.h"
#include "api/vllm_json.h"
#include "base/json.h"
#include "base/own.h"
#include "cli/plan_lengths.h"
#include "cli/plan_vllm.h"
#include "plan/explain.h"

enum form { FORM_TEXT, FORM_JSON, FORM_ARGS, FORM_ENV, FORM_SH };

static bool choose_form(struct cli *c, enum form *form, struct err *err)
{
    static const char *const names[] = {"text", "json", "args", "env", "sh"};
    const char *asked = c->words.value[OPTION_OUTPUT];
    *form = c->look.json ? FORM_JSON : FORM_TEXT;
    if (!asked)
        return true;
    for (int i = 0; i < 5; i++) {
        if (strcmp(asked, names[i]) != 0)
            continue;
        bool other = c->look.json && i != FORM_JSON;
        *form = (enum form)i;
        if (!other && !(c->look.plain && i != FORM_TEXT))
            return true;
        err_set(err, ERR_2113, "-o %s and %s are two forms of the same answer", asked,
                other ? "--json" : "--plain");
        return err_fix(err, NULL, "give one of them");
    }
    const char *near = str_nearest(asked, names, 5);
    err_set(err, ERR_9002, "-o cannot be \"%s\"", asked);
    if (near)
        err_fix(err, NULL, "did you mean %s?", near);
    return err_fix(err, NULL, "text, json, args, env or sh");
}

static bool write_json(struct cli *c, const struct plan_job *job, struct err *err)
{
    struct json j;
    struct plan_document doc = {
        .plan = job->plan, .command = &job->command, .request = &job->request};
    cli_json_start(c, &j, "plan");
    if (job->vllm)
        vllm_json(&j, &job->vllm->plan, job->model, &job->command, &job->vllm->request,
                  &job->vllm->hosts);
    else
        plan_json(&j, &doc);
    if (job->batching)
        batching_json(&j, job->batching);
    return cli_json_finish(c, &j, err);
}

/* The words alone, each quoted as a shell needs it. */
static void write_args(const struct engine_command *command, struct str *out)
{
    for (uint32_t i = 0; i < command->n_words; i++) {
        str_add(out, i ? " " : "");
        str_add_shell(out, command->words[i]);
    }
    str_add(out, "\n");
}

/* What a reader of the file must know, after a script's first line or at the head of an environment
 * file. */
static void add_remarks(const struct plan_job *job, bool script, struct str *out)
{
    own(own_str) struct str cards = {0};
    plan_simulated(job->plan, &cards);
    if (cards.len)
        str_addf(out, "# planned for simulated cards: %s\n", cards.data);
    if (script && !job->vllm && !job->model->from_file)
        str_addf(out, "# %s is no file: put the path of yours after -m\n", job->model->path);
}

/* Other hosts first, as what a person types there; then this one joins, being the head. */
static void add_hosts(const struct vllm_hosts *hosts, struct str *out)
{
    for (uint32_t i = 0; i < hosts->n; i++) {
        own(own_str) struct str line = {0};
        const struct vllm_host *h = &hosts->host[i];
        command_write_line(&h->command, &line);
        if (line.len && i)
            str_addf(out, "# on %s, when this runs: %s", h->name, line.data);
        else if (line.len)
            str_addf(out, "# for %s, the head\n%.*s || exit 1\n", h->name, (int)line.len - 1,
                     line.data);
    }
}

static void write_script(const struct plan_job *job, struct str *out)
{
    own(own_str) struct str script = {0};
    command_write_script(&job->command, &script);
    size_t first = script.data ? strcspn(script.data, "\n") : 0;
    if (!script.data || !script.data[first])
        return;
    str_add_n(out, script.data, first + 1);
    add_remarks(job, true, out);
    if (job->vllm)
        add_hosts(&job->vllm->hosts, out);
    str_add(out, script.data + first + 1);
}

static void write_env(const struct plan_job *job, struct str *out)
{
    add_remarks(job, false, out);
    command_write_env(&job->command, out);
}

static void write_vllm(struct cli *c, const struct plan_job *job)
{
    if (c->look.plain)
        vllm_records(job, &c->out);
    else if (c->look.accessible)
        vllm_sentences(job, &c->out);
    else
        vllm_text(job, &c->look, &c->out);
    if (given(c, OPTION_EXPLAIN)) {
        str_add(&c->out, "\n");
        vllm_explain(&job->vllm->plan, &c->out);
    }
}

static void write_text(struct cli *c, const struct plan_job *job)
{
    if (job->vllm) {
        write_vllm(c, job);
        return;
    }
    if (c->look.plain)
        plan_records(job, &c->out);
    else if (c->look.accessible)
        plan_sentences(job, &c->out);
    else
        plan_text(job, &c->look, &c->out);
    if (job->batching)
        plan_lengths_text(job->batching, &c->look, &c->out);
    if (given(c, OPTION_EXPLAIN)) {
        str_add(&c->out, "\n");
        explain_write(job->plan, &c->arena, &c->out);
    }
}

static bool write_form(struct cli *c, const struct plan_job *job, enum form form, struct err *err)
{
    switch (form) {
    case FORM_JSON: return write_json(c, job, err);
    case FORM_ARGS: write_args(&job->command, &c->out); return true;
    case FORM_ENV: write_env(job, &c->out); return true;
    case FORM_SH: write_script(job, &c->out); return true;
    default: write_text(c, job); return true;
    }
}

static bool export_env(struct cli *c, const struct plan_job *job, struct err *err)
{
    own(own_str) struct str env = {0};
    const char *path = c->words.value[OPTION_EXPORT];
    if (!path)
        return true;
    write_env(job, &env);
    if (env.failed || !env.data)
        return err_set(err, ERR_1201, "no memory for the environment file");
    if (!cli_write_file(path, &env, 0644, err))
        return false;
    if (!c->look.quiet)
        str_addf(&c->notes, "wrote %s\n", path);
    return true;
}

/* A repository without GGUF files is looked at again as what vLLM serves; where it is none of that
 * either, the first answer stands. */
static bool try_vllm(struct cli *c, struct plan_job *job, bool automatic, struct err *err)
{
    struct err second = {0};
    if (!plan_vllm_again(c, err))
        return false;
    plan_job_finish(job);
    *job = (struct plan_job){0};
    if (plan_vllm_make(c, job, automatic, &second)) {
        *err = second;
        return true;
    }
    if (second.code != ERR_2001)
        *err = second;
    return false;
}

static bool make(struct cli *c, struct plan_job *job, struct err *err)
{
    struct engine_choice choice;
    if (!plan_vllm_wanted(c, &choice, err))
        return false;
    if (choice.layout && !choice.why)
        return plan_engine_make(c, job, choice.layout, err);
    job->layout = choice.layout;
    if (choice.vllm)
        return plan_vllm_make(c, job, choice.automatic && !choice.why, err) &&
               (!choice.why || plan_engine_say(c, job, choice.why, err));
    if (!plan_job_make(c, job, err))
        return try_vllm(c, job, choice.automatic, err);
    const char *why = choice.why ? choice.why : choice.automatic ? plan_engine_alone(job) : NULL;
    return plan_lengths_make(c, job->plan, &job->batching, err) &&
           (!why || plan_engine_say(c, job, why, err));
}

static bool answer(struct cli *c, struct plan_job *job, enum form form, struct err *err)
{
    bool command = form != FORM_TEXT || given(c, OPTION_EXPORT);
    return make(c, job, err) &&
           (!command ||
            (job->vllm ? plan_vllm_command(c, job, err) : plan_job_command(c, job, err))) &&
           write_form(c, job, form, err) && export_env(c, job, err);
}

bool cmd_plan(struct cli *c, struct err *err)
{
    enum form form;
    struct engine_choice choice;
    if (!plan_vllm_wanted(c, &choice, err))
        return false;
    if (given(c, OPTION_WITH) && !choice.vllm)
        return cmd_together(c, err);
    struct plan_job *job = arena_new(&c->arena, struct plan_job);
    if (!job)
        return err_set(err, ERR_1201, "no memory for a plan");
    if (!choose_form(c, &form, err))
        return false;
    c->look.json = form == FORM_JSON;
    bool ok = answer(c, job, form, err);
    c->exit_code = !ok         ? 0
                   : job->vllm ? vllm_exit_code(&job->vllm->plan)
                               : plan_exit_code(job->plan);
    plan_job_finish(job);
    return ok;
}
