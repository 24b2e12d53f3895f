/* plan_job: from a request to a machine, a model, a plan and its command. */
#include "cli/plan_job.h"

#include <string.h>

#include "base/cache.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "engine/load.h"

/* True if the list names a card of this machine: then the driver must be asked. */
static bool needs_driver(const char *gpus)
{
    if (!gpus || !*gpus || *gpus == '+')
        return true;
    for (const char *p = gpus; *p;) {
        size_t n = strcspn(p, ",:"), digits = strspn(p, "0123456789");
        if ((digits && digits == n) || strncasecmp(p, "GPU-", 4) == 0)
            return true;
        p += strcspn(p, ",");
        p += *p == ',';
    }
    return false;
}

bool plan_job_machine(struct cli *c, struct plan_job *job, struct err *err)
{
    const char *gpus = c->words.value[OPTION_GPUS];
    struct machine *real = arena_new(&c->arena, struct machine);
    uint64_t begin = clock_mono_ns();
    double count = 0;
    bool set;
    if (!real)
        return err_set(err, ERR_1201, "no memory for the list of cards");
    if (!variable_read(VARIABLE_ID_GPU_COUNT, &set, &count, err) ||
        !machine_read_host("", &real->host, err))
        return false;
    if (gpus && str_eq_fold(gpus, "none"))
        return machine_parse_gpus(gpus, real, &c->arena, &job->machine, err);
    if (needs_driver(gpus)) {
        if (!machine_read_cards(real, (uint32_t)count, &c->arena, &job->no_cards))
            real->n_devices = 0;
        log_info("driver asked in %.2f ms, %u cards", (double)(clock_mono_ns() - begin) / 1e6,
                 real->n_devices);
    }
    if (!machine_parse_gpus(gpus, real, &c->arena, &job->machine, err))
        return false;
    if (job->machine.n_devices)
        job->no_cards = (struct err){0};
    return true;
}

/* --split 46,34: layers per card. The engine counts the output layer too: it goes with the last
 * card. */
static bool split_layers(struct cli *c, struct plan_job *job, struct err *err)
{
    const char *way = c->words.value[OPTION_SPLIT];
    struct law_settings *s = &job->request.wish.s;
    uint32_t all = job->model->n_layers + 1;
    double sum = 0;
    if (!way || !plan_request_lists_layers(way))
        return true;
    if (!plan_request_apply(c, &job->request, flag_find("-ts"), "--split", way, err))
        return false;
    for (uint32_t i = 0; i < s->n_tensor_split; i++)
        sum += s->tensor_split[i];
    if (s->n_tensor_split > job->machine.n_devices) {
        err_set(err, ERR_2113, "--split %s names %u cards, there %s %u", way, s->n_tensor_split,
                job->machine.n_devices == 1 ? "is" : "are", job->machine.n_devices);
        return err_fix(err, NULL, "name as many numbers as cards");
    }
    if (sum == (double)all - 1) {
        uint32_t last = s->n_tensor_split - 1;
        while (last > 0 && s->tensor_split[last] == 0)
            last--;
        s->tensor_split[last] += 1;
        sum += 1;
    }
    if (sum == (double)all)
        return true;
    err_set(err, ERR_2113, "--split %s shares out %.0f layers, the model has %u", way, sum,
            all - 1);
    return err_fix(err, NULL, "let the numbers add up to %u, or give shares with -ts", all - 1);
}

static bool use_cards(struct plan_job *job, struct err *err)
{
    struct engine_request *r = &job->request;
    bool visible = false;
    for (int i = 0; i < 4; i++)
        visible = visible || r->visible[i];
    if (r->draft_devices) {
        r->wish.given |= GIVEN_DRAFT_CARDS;
        if (!request_draft_cards(r, &job->machine, &r->wish.draft_cards, err))
            return false;
    }
    if (!r->devices && !visible)
        return true;
    r->wish.cards_set = true;
    return request_cards(r, &job->machine, &r->wish.cards, err);
}

/* Words that only choose the form of the answer. */
static bool is_form(const char *word, bool *has_value)
{
    static const char *const alone[] = {"--explain", "--plain", "-q",           "--quiet",   "-v",
                                        "--verbose", "--ascii", "--accessible", "--no-color"};
    *has_value = strcmp(word, "-o") == 0 || strcmp(word, "--output") == 0 ||
                 strcmp(word, "--color") == 0 || strcmp(word, "--export") == 0;
    for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++)
        if (strcmp(word, alone[i]) == 0)
            return true;
    return *has_value || str_starts(word, "--json") || str_starts(word, "--output=") ||
           str_starts(word, "--color=") || str_starts(word, "--export=");
}

bool plan_job_words(struct cli *c, struct plan_job *job, struct err *err)
{
    own(own_str) struct str s = {0};
    const struct words *w = &c->words;
    bool named = false, dashes = false;
    for (int i = 1; i < w->argc; i++) {
        bool has_value;
        dashes = dashes || strcmp(w->argv[i], "--") == 0;
        if (!dashes && is_form(w->argv[i], &has_value)) {
            i += has_value;
            continue;
        }
        named = named || strcmp(w->argv[i], "plan") == 0;
        str_add(&s, s.len ? " " : "");
        str_add_shell(&s, w->argv[i]);
    }
    job->again =
        arena_printf(&c->arena, "dualgpuopt%s %s", named ? "" : " plan", s.data ? s.data : "");
    return (job->again && !s.failed) || err_set(err, ERR_1201, "no memory for a command");
}

void plan_job_again(const struct plan_job *job, const char *more, int room, struct str *out)
{
    const char *dashes = strstr(job->again, " -- ");
    size_t before = dashes ? (size_t)(dashes - job->again) : strlen(job->again);
    if ((int)(strlen(job->again) + strlen(more) + 1) > room) {
        str_addf(out, "dualgpuopt plan ... %s", more);
        return;
    }
    str_add_n(out, job->again, before);
    str_addf(out, " %s%s", more, dashes ? dashes : "");
}

static bool open_model(struct cli *c, struct plan_job *job, struct err *err)
{
    const char *ref = job->request.model_ref;
    const struct model *m;
    uint64_t begin = clock_mono_ns();
    if (!planner_open(job->planner, ref, c->words.value[OPTION_QUANT], &job->model_loan, &m, err))
        return false;
    job->model = m;
    log_info("%s: header read in %.2f ms, %u tensors", ref, (double)(clock_mono_ns() - begin) / 1e6,
             m->n_tensors);
    return true;
}

static bool make_plan(struct cli *c, struct plan_job *job, struct err *err)
{
    uint64_t begin = clock_mono_ns();
    if (!planner_plan(job->planner, &job->model_loan, &job->machine, &job->request.wish, &c->arena,
                      &job->plan_loan, &job->plan, err))
        return false;
    log_info("planned in %.2f ms, %llu placements looked at",
             (double)(clock_mono_ns() - begin) / 1e6, (unsigned long long)job->plan->optimality.candidates);
    return true;
}

/* Room that no card has cannot be kept free. */
static bool check_keep_free(const struct plan_job *job, struct err *err)
{
    const struct plan_wish *w = &job->request.wish;
    char keep[32], most[32];
    uint64_t largest = 0;
    for (uint32_t i = 0; i < job->machine.n_devices; i++)
        largest = job->machine.devices[i].total_bytes > largest
                      ? job->machine.devices[i].total_bytes
                      : largest;
    if (!w->keep_free_set || !largest || w->keep_free_bytes < largest)
        return true;
    err_set(err, ERR_2113, "--keep-free %s GiB leaves nothing: the largest card has %s GiB",
            str_gib(w->keep_free_bytes, 1, keep), str_gib(largest, 1, most));
    return err_fix(err, "--keep-free 1GiB", "keep less free");
}

bool plan_job_make(struct cli *c, struct plan_job *job, struct err *err)
{
    struct engine_request *r = &job->request;
    job->planner = cli_planner(err);
    if (!job->planner || !plan_request_read(c, r, err) || !plan_job_machine(c, job, err) ||
        !check_keep_free(job, err) || !open_model(c, job, err) ||
        !request_load(r, job->model, &c->arena, err) || !use_cards(job, err) ||
        !split_layers(c, job, err) || !make_plan(c, job, err))
        return false;
    job->spill = job->plan->spill;
    return plan_job_words(c, job, err);
}

void plan_job_finish(struct plan_job *job)
{
    cache_release(&job->plan_loan);
    cache_release(&job->model_loan);
}

bool plan_job_command(struct cli *c, struct plan_job *job, struct err *err)
{
    struct err none = {0};
    struct engine_command *command = &job->command;
    const char *program = job->request.program;
    bool installed = probe_engine(program, &c->arena, &job->probe, &none);
    if (!installed)
        log_info("%s: %s", program, none.title);
    if (!command_make(job->plan, &job->request, job->model->path, installed ? &job->probe : NULL,
                      &c->arena, command, err))
        return false;
    for (uint32_t i = 0; i < command->n_dropped && !c->look.quiet; i++)
        str_addf(&c->notes, "%s does not know %s: left out\n", program, command->dropped[i]);
    return true;
}
