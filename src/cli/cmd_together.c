/* cmd_together: `plan A --with B`: several models on the same cards, planned and judged as a whole.
 */
#include <string.h>
#include <sys/stat.h>

#include "api/together_json.h"
#include "base/json.h"
#include "base/own.h"
#include "cli/together_text.h"

enum form { FORM_TEXT, FORM_JSON, FORM_ARGS };

static bool too_many(struct err *err)
{
    return err_set(err, ERR_2113, "--with: %d models side by side are the most",
                   TOGETHER_MAX_MODELS);
}

/* Every --with of the command line, in order. */
static bool list_withs(struct cli *c, const char **texts, uint32_t *n, struct err *err)
{
    const struct words *w = &c->words;
    *n = 0;
    for (int i = 1; i < w->argc && strcmp(w->argv[i], "--") != 0; i++) {
        const char *text = NULL;
        if (strcmp(w->argv[i], "--with") == 0 && i + 1 < w->argc)
            text = w->argv[++i];
        else if (str_starts(w->argv[i], "--with="))
            text = w->argv[i] + strlen("--with=");
        if (!text)
            continue;
        if (*n == TOGETHER_MAX_MODELS - 1)
            return too_many(err);
        texts[(*n)++] = text;
    }
    return true;
}

/* "name@16k rest" becomes "name --ctx 16k rest", unless a file has that name. */
static const char *open_at(struct cli *c, const char *text)
{
    struct stat st;
    int64_t tokens;
    size_t len = strcspn(text, " \t");
    char *first = arena_strndup(&c->arena, text, len);
    char *at = first ? strrchr(first, '@') : NULL;
    if (!first)
        return NULL;
    if (!at || at == first || stat(first, &st) == 0 ||
        (!str_parse_i64(at + 1, 1, 1 << 30, true, &tokens) && !str_eq_fold(at + 1, "max")))
        return text;
    *at = '\0';
    return arena_printf(&c->arena, "%s --ctx %s%s", first, at + 1, text + len);
}

/* What counts for the machine counts for all. */
static int shared_words(const struct cli *c, const char **out)
{
    static const struct {
        enum option_id id;
        const char *name;
    } shared[] = {
        {OPTION_GPUS,        "--gpus"       },
        {OPTION_KEEP_FREE,   "--keep-free"  },
        {OPTION_HOST_MEMORY, "--host-memory"}
    };
    int n = 0;
    for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
        if (!c->words.value[shared[i].id])
            continue;
        out[n++] = shared[i].name;
        out[n++] = c->words.value[shared[i].id];
    }
    if (given(c, OPTION_ALLOW_CPU))
        out[n++] = "--allow-cpu";
    return n;
}

/* A side's own words may not speak of the machine, nor of more models. */
static bool check_side(const struct cli *c, const struct plan_side *s, struct err *err)
{
    static const struct {
        enum option_id id;
        const char *name;
    } of_all[] = {
        {OPTION_GPUS,        "--gpus"       },
        {OPTION_HOST_MEMORY, "--host-memory"},
        {OPTION_WITH,        "--with"       },
        {OPTION_LENGTHS,     "--lengths"    },
        {OPTION_GOAL,        "--goal"       }
    };
    for (size_t i = 0; i < sizeof(of_all) / sizeof(of_all[0]); i++) {
        const char *its = s->cli.words.value[of_all[i].id], *ours = c->words.value[of_all[i].id];
        if (!its || (ours && strcmp(its, ours) == 0))
            continue;
        err_set(err, ERR_2113, "%s stands in the quotes of --with, but holds for all models",
                of_all[i].name);
        return err_fix(err, NULL, "put it outside of the quotes");
    }
    if (!s->cli.words.dashes)
        return true;
    err_set(err, ERR_2113, "--with takes a model and settings, not a whole command");
    return err_fix(err, NULL, "for example --with \"qwen3-8b:Q4_K_M --ctx 16k\"");
}

static bool check_options(const struct cli *c, enum form *form, struct err *err)
{
    static const struct plan_side_option others[] = {
        {OPTION_EXPLAIN, "--explain"},
        {OPTION_EXPORT,  "--export" },
        {OPTION_ALL,     "--all"    },
        {OPTION_GOAL,    "--goal"   },
        {OPTION_LENGTHS, "--lengths"}
    };
    const char *asked = c->words.value[OPTION_OUTPUT];
    if (!plan_side_refuse(c, others, sizeof(others) / sizeof(others[0]), "is for one plan, --with makes several",
                          "leave one of them away", err))
        return false;
    if (c->words.dashes) {
        err_set(err, ERR_2113,
                "--with chooses places, but a whole command leaves nothing to choose");
        return err_fix(err, NULL, "plan the model instead of its command");
    }
    *form = c->look.json ? FORM_JSON : FORM_TEXT;
    if (!asked || strcmp(asked, "text") == 0)
        return true;
    *form = strcmp(asked, "json") == 0 ? FORM_JSON : FORM_ARGS;
    if (*form == FORM_JSON || strcmp(asked, "args") == 0)
        return true;
    err_set(err, ERR_2113, "-o %s holds one command, --with makes several", asked);
    return err_fix(err, NULL, "text, json, or args: one line a model");
}

/* A's own words: all that is not --with. */
static int own_words(const struct cli *c, const char **out)
{
    const struct words *w = &c->words;
    bool named = false;
    int n = 0;
    for (int i = 1; i < w->argc && n < SIDE_MAX_WORDS; i++) {
        bool name = !named && strcmp(w->argv[i], "plan") == 0;
        named = named || name;
        if (strcmp(w->argv[i], "--with") == 0)
            i++;
        else if (!name && !str_starts(w->argv[i], "--with="))
            out[n++] = w->argv[i];
    }
    return n;
}

/* Ports one after the other, so that all commands can run at once; one that was asked for stays. */
static bool give_port(struct cli *c, uint32_t i, struct engine_request *r, struct err *err)
{
    for (uint32_t k = 0; k < r->n_passed; k++)
        if (str_starts(r->passed[k], "--port"))
            return true;
    if (i == 0 || r->n_passed + 2 > REQUEST_MAX_WORDS)
        return true;
    r->passed[r->n_passed++] = "--port";
    r->passed[r->n_passed] = arena_printf(&c->arena, "%u", 8080 + i);
    return r->passed[r->n_passed++] || err_set(err, ERR_1201, "no memory for a port");
}

static bool make_sides(struct cli *c, struct together_job *job, struct err *err)
{
    const char *texts[TOGETHER_MAX_MODELS], *words[SIDE_MAX_WORDS];
    uint32_t n;
    if (!list_withs(c, texts, &n, err))
        return false;
    int n_words = own_words(c, words);
    if (!plan_side_make(c, NULL, "", words, n_words, &job->side[0], err))
        return false;
    n_words = shared_words(c, words);
    for (uint32_t i = 1; i <= n; i++) {
        char who[32] = "--with (A)";
        const char *text = open_at(c, texts[i - 1]);
        who[8] = (char)('A' + i);
        if (!text)
            return err_set(err, ERR_1201, "no memory for words");
        if (!plan_side_make(c, who, text, words, n_words, &job->side[i], err) ||
            !check_side(c, &job->side[i], err))
            return false;
    }
    job->n = n + 1;
    return true;
}

static bool make_plans(struct cli *c, struct together_job *job, struct err *err)
{
    struct together_part parts[TOGETHER_MAX_MODELS];
    for (uint32_t i = 0; i < job->n; i++) {
        struct plan_job *j = &job->side[i].job;
        job->names[i] = j->request.model_ref;
        parts[i] = (struct together_part){
            .name = job->names[i], .model = j->model, .wish = j->request.wish};
    }
    if (!together_make(parts, job->n, &job->side[0].job.machine, &c->arena, &job->result, err))
        return false;
    for (uint32_t i = 0; i < job->n; i++)
        job->side[i].job.plan = &job->result.plans[i];
    return true;
}

static bool make_commands(struct cli *c, struct together_job *job, struct err *err)
{
    for (uint32_t i = 0; i < job->n; i++) {
        struct plan_side *s = &job->side[i];
        if (!give_port(c, i, &s->job.request, err) || !plan_job_command(&s->cli, &s->job, err))
            return false;
        if (i == 0 && s->cli.notes.data)
            str_add(&c->notes, s->cli.notes.data);
    }
    return true;
}

static bool write_json(struct cli *c, const struct together_job *job, struct err *err)
{
    struct json j;
    struct plan_document docs[TOGETHER_MAX_MODELS] = {0};
    for (uint32_t i = 0; i < job->n; i++) {
        const struct plan_job *one = &job->side[i].job;
        docs[i] = (struct plan_document){
            .plan = one->plan, .command = &one->command, .request = &one->request};
    }
    cli_json_start(c, &j, "plans");
    together_json(&j, &job->result, docs, job->names);
    return cli_json_finish(c, &j, err);
}

static bool write_form(struct cli *c, struct together_job *job, enum form form, struct err *err)
{
    if (form != FORM_TEXT && !make_commands(c, job, err))
        return false;
    if (form == FORM_JSON)
        return write_json(c, job, err);
    for (uint32_t i = 0; form == FORM_ARGS && i < job->n; i++) {
        command_write_line(&job->side[i].job.command, &c->out);
        if (c->out.len && c->out.data[c->out.len - 1] != '\n')
            str_add(&c->out, "\n");
    }
    if (form == FORM_TEXT)
        together_text(job, &c->look, &c->out);
    return true;
}

bool cmd_together(struct cli *c, struct err *err)
{
    enum form form;
    struct together_job *job = arena_new(&c->arena, struct together_job);
    if (!job)
        return err_set(err, ERR_1201, "no memory for several plans");
    if (!check_options(c, &form, err))
        return false;
    c->look.json = form == FORM_JSON;
    bool ok = make_sides(c, job, err) && make_plans(c, job, err) && write_form(c, job, form, err);
    c->exit_code = ok ? together_exit_code(&job->result) : 0;
    for (uint32_t i = 0; i < TOGETHER_MAX_MODELS; i++)
        plan_side_finish(&job->side[i]);
    return ok;
}
