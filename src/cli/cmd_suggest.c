/* cmd_suggest: the command `suggest`: which cards of the catalogue would run a model, best first. */
#include <stdio.h>
#include <string.h>

#include "api/suggest_json.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "base/table.h"
#include "cli/plan_job.h"
#include "cli/suggest_prices.h"
#include "engine/load.h"

enum { USUAL_CARDS = 4 };
#define TPS_LEAST 0.01
#define TPS_MOST  100000.0

struct suggest_job {
    struct plan_job plan; /* request, own cards and model */
    struct machine mine;
    struct suggest_wish wish;
    struct suggestions found;
};

static bool read_numbers(struct cli *c, struct suggest_wish *w, struct err *err)
{
    const char *tps = c->words.value[OPTION_MIN_TPS], *cards = c->words.value[OPTION_MAX_CARDS];
    int64_t n = USUAL_CARDS;
    if (tps && !str_parse_f64(tps, TPS_LEAST, TPS_MOST, &w->min_tps)) {
        err_set(err, ERR_9002, "--min-tps cannot be \"%s\"", tps);
        return err_fix(err, NULL, "tokens per second, from %g to %g; leave it out if any speed will do", TPS_LEAST,
                       TPS_MOST);
    }
    if (cards && !str_parse_i64(cards, 1, SUGGEST_MOST_CARDS, false, &n)) {
        err_set(err, ERR_9002, "--max-cards cannot be \"%s\"", cards);
        return err_fix(err, NULL, "a number from 1 to %d", SUGGEST_MOST_CARDS);
    }
    w->max_cards = (uint32_t)n;
    w->all = given(c, OPTION_ALL);
    return true;
}

/* What is said about cards that are at hand has no meaning for cards that are looked for. */
static bool refuse_cards(const struct engine_request *r, struct err *err)
{
    static const struct { uint32_t given; const char *name; } about_cards[] = {
        {GIVEN_TENSOR_SPLIT, "-ts"}, {GIVEN_MAIN_GPU, "-mg"}, {GIVEN_SPLIT_MODE, "-sm"},
        {GIVEN_GPU_LAYERS, "-ngl"}, {GIVEN_OVERRIDE, "-ot"}};
    const char *name = r->devices ? "-dev" : NULL;
    for (size_t i = 0; i < sizeof(about_cards) / sizeof(about_cards[0]) && !name; i++)
        name = r->wish.given & about_cards[i].given ? about_cards[i].name : NULL;
    if (!name)
        return true;
    err_set(err, ERR_2113, "%s is about given cards, suggest looks for cards", name);
    return err_fix(err, NULL, "leave it out, or plan with --gpus");
}

static bool read_mine(struct cli *c, struct suggest_job *job, struct err *err)
{
    if (!given(c, OPTION_WITH_MINE)) {
        if (!given(c, OPTION_GPUS))
            return machine_read_host("", &job->mine.host, err);
        err_set(err, ERR_9003, "--gpus names cards that are there, but nothing says to count them");
        return err_fix(err, NULL, "add --with-mine to look for cards beside them, or leave --gpus out");
    }
    if (!plan_job_machine(c, &job->plan, err) || !machine_check_rpc(&job->plan.machine, err))
        return false;
    job->mine = job->plan.machine;
    if (!job->mine.n_devices) {
        *err = job->plan.no_cards;
        if (err->code == ERR_NONE)
            err_set(err, ERR_9003, "--with-mine, but there is no card");
        return err_fix(err, NULL, "name yours: --with-mine --gpus rtx3060");
    }
    if (job->mine.n_devices + job->wish.max_cards <= MACHINE_MAX_DEVICES)
        return true;
    err_set(err, ERR_2114, "%u cards and %u more are more than the engine's %d", job->mine.n_devices,
            job->wish.max_cards, MACHINE_MAX_DEVICES);
    return err_fix(err, NULL, "lower --max-cards");
}

static bool read_wish(struct cli *c, struct suggest_job *job, struct err *err)
{
    struct engine_request *r = &job->plan.request;
    const char *prices = c->words.value[OPTION_PRICES];
    double *list = NULL;
    if (c->words.dashes)
        return err_set(err, ERR_9001, "only plan takes a command after --");
    if (!read_numbers(c, &job->wish, err) || !plan_request_read(c, r, err) || !refuse_cards(r, err) ||
        !read_mine(c, job, err) || (prices && !suggest_prices_read(c, prices, &list, err)))
        return false;
    job->wish.cards = card_table(&job->wish.n_cards);
    job->wish.prices = list;
    job->wish.mine = &job->mine;
    job->wish.wish = &r->wish;
    return true;
}

static bool look(struct cli *c, struct suggest_job *job, struct err *err)
{
    struct plan_job *p = &job->plan;
    const char *quant = c->words.value[OPTION_QUANT];
    p->planner = cli_planner(err);
    if (!p->planner || !read_wish(c, job, err) ||
        !planner_open(p->planner, p->request.model_ref, quant, &p->model_loan, &p->model, err) ||
        !request_load(&p->request, p->model, &c->arena, err))
        return false;
    uint64_t begin = clock_mono_ns();
    if (!suggest_make(p->model, &job->wish, &c->arena, &job->found, err))
        return false;
    log_info("%u combinations in %.2f ms, %llu placements looked at", job->found.n_combinations,
             (double)(clock_mono_ns() - begin) / 1e6, (unsigned long long)job->found.candidates);
    return true;
}

static void row_name(const struct suggest_job *job, const struct suggestion *s, struct str *out)
{
    if (job->mine.n_devices)
        str_add(out, s->n_parts ? "+ " : "yours");
    suggest_cards_text(s, out);
}

/* "19-27", with a decimal where the numbers are small. */
static void add_range(const struct speed_range *r, struct str *out)
{
    if (r->tps > 0)
        str_addf(out, "%.*f-%.*f", r->low < 9.95, r->low, r->high < 9.95, r->high);
}

static void add_row(struct table *t, const struct suggest_job *job, const struct suggestion *s)
{
    own(own_str) struct str name = {0}, range = {0};
    char number[32];
    row_name(job, s, &name);
    add_range(&s->speed.decode, &range);
    table_cell(t, name.data);
    table_cell(t, s->rank <= SUGGEST_SLOW ? "yes" : "no");
    table_cell(t, s->context_max ? str_grouped(s->context_max, number) : NULL);
    table_cell(t, range.data);
    if (s->watts > 0)
        table_cellf(t, "%.0f", s->watts);
    else
        table_cell(t, NULL);
    if (job->wish.prices && s->price > 0)
        table_cellf(t, "%.0f", s->price);
    else if (job->wish.prices)
        table_cell(t, NULL);
    table_cell(t, s->note);
}

static void write_wish(const struct suggest_job *job, struct str *out)
{
    const struct model *m = job->plan.model;
    const struct suggest_wish *w = &job->wish;
    char number[32];
    str_add_printable(out, m->name, strlen(m->name));
    if (m->quantization)
        str_addf(out, " %s", m->quantization);
    const char *k = gguf_type_info(w->wish->s.type_k)->name, *v = gguf_type_info(w->wish->s.type_v)->name;
    str_addf(out, ", %s tokens, KV %s", str_grouped(job->found.context, number), k);
    if (strcmp(k, v) != 0)
        str_addf(out, " and %s", v);
    if (w->min_tps > 0)
        str_addf(out, ", at least %g tok/s", w->min_tps);
    for (uint32_t i = 0; i < job->mine.n_devices; i++)
        str_addf(out, "%s%s", i ? ", " : ", beside ", job->mine.devices[i].name);
}

static void write_head(const struct suggest_job *job, const struct look *look, struct str *out)
{
    own(own_str) struct str wish = {0};
    str_addf(out, "SIMULATED: no GPU is used. Speeds are ranges, watts are board limits%s.\n",
             job->wish.prices ? "" : ", no prices");
    write_wish(job, &wish);
    text_wrap(out, "", 0, wish.data ? wish.data : "", look->width);
    if (job->found.context_lowered)
        text_wrap(out, "", 0, "No combination holds 32,768 tokens: looked for 8,192.", look->width);
}

/* The list for --gpus that plans this row; false where the person's own cards have no list to add to. */
static void write_gpus(struct cli *c, const struct suggest_job *job, const struct suggestion *s, struct str *out)
{
    const char *own_list = c->words.value[OPTION_GPUS];
    if (job->mine.n_devices && !s->mine_idle)
        str_addf(out, "%s%s", own_list ? own_list : "+", own_list && s->n_parts ? "," : "");
    suggest_gpus_text(s, out);
}

static void write_next(struct cli *c, const struct suggest_job *job, struct str *out)
{
    own(own_str) struct str gpus = {0}, all = {0};
    const struct suggestion *best = &job->found.row[0];
    if (!job->found.met)
        str_add(&all, "Nothing meets the wish: these are the nearest. ");
    str_addf(&all, "%u combinations of %zu cards%s", job->found.n_combinations, job->wish.n_cards,
             job->wish.all ? "." : "; the best of each number of cards are shown, all with --all.");
    str_add(out, "\n");
    text_wrap(out, "", 0, all.data ? all.data : "", c->look.width);
    if (!job->found.met)
        return;
    write_gpus(c, job, best, &gpus);
    str_add(out, "Plan the first:\n  dualgpuopt plan ");
    str_add_shell(out, job->plan.request.model_ref);
    if (gpus.data && strcmp(gpus.data, "+") != 0) {
        str_add(out, " --gpus ");
        str_add_shell(out, gpus.data);
    }
    str_addf(out, " --ctx %u\n", job->found.context);
}

static void write_people(struct cli *c, const struct suggest_job *job)
{
    own(own_table) struct table t = {0};
    struct table_style style = {.width = c->look.width, .ascii = c->look.ascii, .no_heading = c->look.quiet};
    table_column(&t, "CARDS", TABLE_LEFT);
    table_column(&t, "FITS", TABLE_LEFT);
    table_column(&t, "MAX CTX", TABLE_RIGHT);
    table_column(&t, "TOK/S", TABLE_RIGHT);
    table_column(&t, "WATTS", TABLE_RIGHT);
    if (job->wish.prices)
        table_column(&t, "PRICE", TABLE_RIGHT);
    table_column(&t, "NOTE", TABLE_LEFT);
    for (uint32_t i = 0; i < job->found.n; i++)
        add_row(&t, job, &job->found.row[i]);
    write_head(job, &c->look, &c->out);
    table_write(&t, &style, &c->out);
    if (!c->look.quiet)
        write_next(c, job, &c->out);
}

/* rank, --gpus list, largest context, decode low, expected, high, prefill, watts, price, note; empty: unknown. */
static void write_plain(struct cli *c, const struct suggest_job *job)
{
    for (uint32_t i = 0; i < job->found.n; i++) {
        own(own_str) struct str gpus = {0};
        const struct suggestion *s = &job->found.row[i];
        const double numbers[] = {s->speed.decode.low, s->speed.decode.tps, s->speed.decode.high,
                                  s->speed.prefill.tps, s->watts, s->price};
        write_gpus(c, job, s, &gpus);
        str_addf(&c->out, "%s\t%s\t%u", suggest_rank_name(s->rank), gpus.data ? gpus.data : "", s->context_max);
        for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++) {
            str_add(&c->out, "\t");
            if (numbers[k] > 0)
                str_addf(&c->out, "%.2f", numbers[k]);
        }
        str_addf(&c->out, "\t%s\n", s->note);
    }
}

static void write_sentences(struct cli *c, const struct suggest_job *job)
{
    char number[32];
    write_head(job, &c->look, &c->out);
    for (uint32_t i = 0; i < job->found.n; i++) {
        own(own_str) struct str line = {0};
        const struct suggestion *s = &job->found.row[i];
        row_name(job, s, &line);
        str_addf(&line, ": %s%s", s->rank <= SUGGEST_SLOW ? "fits" : "does not fit",
                 s->rank == SUGGEST_MEETS ? " and meets the wish" : "");
        if (s->context_max)
            str_addf(&line, ", at most %s tokens", str_grouped(s->context_max, number));
        if (s->speed.decode.tps > 0)
            str_addf(&line, ", %.0f to %.0f tokens per second", s->speed.decode.low, s->speed.decode.high);
        if (s->speed.prefill.tps > 0)
            str_addf(&line, ", prompts %s",
                     str_grouped((uint64_t)(s->speed.prefill.tps + 0.5), number));
        if (s->watts > 0)
            str_addf(&line, ", %.0f watts", s->watts);
        if (s->price > 0)
            str_addf(&line, ", price %.0f", s->price);
        str_addf(&line, ". Note: %s.", s->note);
        text_wrap(&c->out, "", 0, line.data ? line.data : "", c->look.width);
    }
}

static bool write_answer(struct cli *c, const struct suggest_job *job, struct err *err)
{
    struct json j;
    if (c->look.json) {
        cli_json_start(c, &j, "suggestions");
        suggest_json(&j, job->plan.model, &job->wish, &job->found);
        return cli_json_finish(c, &j, err);
    }
    if (c->look.plain)
        write_plain(c, job);
    else if (c->look.accessible)
        write_sentences(c, job);
    else
        write_people(c, job);
    return true;
}

bool cmd_suggest(struct cli *c, struct err *err)
{
    struct suggest_job *job = arena_new(&c->arena, struct suggest_job);
    if (!job)
        return err_set(err, ERR_1201, "no memory for suggestions");
    bool ok = look(c, job, err) && write_answer(c, job, err);
    c->exit_code = ok && !job->found.met ? err_exit_code(ERR_2104) : 0;
    plan_job_finish(&job->plan);
    return ok;
}
