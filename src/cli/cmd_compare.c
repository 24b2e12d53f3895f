/* cmd_compare: the command `compare`: two plans side by side, the difference, and what it comes to.
 */
#include <math.h>
#include <string.h>

#include "api/compare_json.h"
#include "base/json.h"
#include "base/own.h"
#include "base/table.h"
#include "cli/plan_side.h"
#include "plan/compare.h"

#define GIB 1073741824.0

struct pair {
    struct plan_side side[2];
    struct compare result;
    const char *names[2];
};

static void finish_pair(struct pair *p)
{
    for (int i = 0; i < 2; i++)
        plan_side_finish(&p->side[i]);
}

/* Options that belong to one plan's answer. */
static bool check_options(const struct cli *c, struct err *err)
{
    static const struct plan_side_option others[] = {
        {OPTION_EXPLAIN, "--explain"},
        {OPTION_EXPORT,  "--export" },
        {OPTION_ALL,     "--all"    }
    };
    const char *form = c->words.value[OPTION_OUTPUT];
    if (!plan_side_refuse(c, others, sizeof(others) / sizeof(others[0]), "shows one plan, compare has two",
                          "use it with plan", err))
        return false;
    if (!form || strcmp(form, "text") == 0 || strcmp(form, "json") == 0)
        return true;
    err_set(err, ERR_2113, "-o %s holds one plan, compare has two", form);
    return err_fix(err, NULL, "text or json");
}

/* Everything but the command's name and the two texts counts for both. */
static int outer_words(const struct cli *c, const char **out)
{
    const struct words *w = &c->words;
    bool named = false;
    int n = 0;
    for (int i = 1; i < w->argc && n < SIDE_MAX_WORDS; i++) {
        bool own_word = w->argv[i] == w->word[0] || w->argv[i] == w->word[1];
        bool name = !named && strcmp(w->argv[i], "compare") == 0;
        named = named || name;
        if (!own_word && !name)
            out[n++] = w->argv[i];
    }
    return n;
}

static void add_value(struct table *t, const struct compare_row *r, int i, bool plain)
{
    char number[32];
    if (!r->has[i])
        table_cell(t, NULL);
    else if (r->unit == COMPARE_TEXT)
        table_cell(t, r->text[i]);
    else if (r->unit == COMPARE_TPS && (plain || r->value[i] < 1000))
        table_cellf(t, "%.1f", r->value[i]);
    else if (r->unit == COMPARE_TPS)
        table_cell(t, str_grouped((uint64_t)(r->value[i] + 0.5), number));
    else if (plain)
        table_cellf(t, "%lld", (long long)r->value[i]);
    else if (r->unit == COMPARE_BYTES)
        table_cellf(t, "%.2f GiB", r->value[i] / GIB);
    else
        table_cell(t, str_grouped((uint64_t)r->value[i], number));
}

static void add_difference(struct table *t, const struct compare_row *r)
{
    double d = r->value[1] - r->value[0];
    if (r->note)
        table_cell(t, r->note);
    else if (!r->has[0] || !r->has[1])
        table_cell(t, r->has[0] ? "A only" : "B only");
    else if (r->better == COMPARE_SAME)
        table_cell(t, "same");
    else if (r->unit == COMPARE_TEXT)
        table_cell(t, r->better == COMPARE_OTHER ? "different"
                      : r->better == COMPARE_A   ? "A better"
                                                 : "B better");
    else if (r->unit == COMPARE_BYTES)
        table_cellf(t, "%+.2f GiB", d / GIB);
    else if (r->value[0] > 0)
        table_cellf(t, "%+.0f%%", 100 * d / r->value[0]);
    else
        table_cellf(t, "%+.0f", d);
}

static void write_names(struct cli *c, const struct pair *p)
{
    own(own_str) struct str cards = {0};
    for (int i = 0; i < 2; i++) {
        own(own_str) struct str shown = {0};
        str_add_printable(&shown, p->names[i], strlen(p->names[i]));
        text_wrap(&c->out, i ? "B  " : "A  ", 3, shown.data ? shown.data : "", c->look.width);
    }
    plan_simulated(p->side[0].job.plan, &cards);
    if (!cards.len)
        plan_simulated(p->side[1].job.plan, &cards);
    if (cards.len)
        text_wrap(&c->out, "simulated cards: ", 17, cards.data, c->look.width);
    str_add(&c->out, "\n");
}

static void write_table(struct cli *c, const struct pair *p)
{
    static const char *const better[] = {"", "A", "B", ""};
    static const char *const words[] = {"same", "a", "b", "different"};
    own(own_table) struct table t = {0};
    struct table_style style = {.width = c->look.width,
                                .plain = c->look.plain,
                                .ascii = c->look.ascii,
                                .no_heading = c->look.quiet};
    table_column(&t, "", TABLE_LEFT);
    table_column(&t, "A", TABLE_RIGHT);
    table_column(&t, "B", TABLE_RIGHT);
    table_column(&t, "DIFFERENCE", TABLE_RIGHT);
    table_column(&t, "BETTER", TABLE_LEFT);
    for (uint32_t i = 0; i < p->result.n_rows; i++) {
        const struct compare_row *r = &p->result.rows[i];
        table_cell(&t, c->look.plain ? r->key : r->title);
        add_value(&t, r, 0, c->look.plain);
        add_value(&t, r, 1, c->look.plain);
        if (c->look.plain)
            table_cellf(&t, "%s", r->note ? r->note : "");
        else
            add_difference(&t, r);
        table_cell(&t, c->look.plain ? words[r->better] : better[r->better]);
    }
    table_write(&t, &style, &c->out);
}

static void write_sentences(struct cli *c, const struct pair *p)
{
    for (uint32_t i = 0; i < p->result.n_rows; i++) {
        const struct compare_row *r = &p->result.rows[i];
        own(own_str) struct str line = {0};
        str_addf(&line, "%s:", r->title);
        for (int k = 0; k < 2; k++) {
            str_addf(&line, " %c ", 'A' + k);
            if (!r->has[k])
                str_add(&line, "none");
            else if (r->unit == COMPARE_TEXT)
                str_add(&line, r->text[k]);
            else if (r->unit == COMPARE_BYTES)
                str_addf(&line, "%.2f GiB", r->value[k] / GIB);
            else
                str_addf(&line, "%.*f", r->unit == COMPARE_TPS ? 1 : 0, r->value[k]);
            str_add(&line, k ? "." : ",");
        }
        text_wrap(&c->out, "", 0, line.data ? line.data : "", c->look.width);
    }
}

static bool write_answer(struct cli *c, const struct pair *p, struct err *err)
{
    struct json j;
    if (c->look.json) {
        cli_json_start(c, &j, "compare");
        compare_json(&j, &p->result, p->names);
        return cli_json_finish(c, &j, err);
    }
    bool bare = c->look.plain || c->look.quiet;
    if (!bare)
        write_names(c, p);
    if (c->look.accessible && !c->look.plain)
        write_sentences(c, p);
    else
        write_table(c, p);
    if (c->look.plain)
        return true;
    str_add(&c->out, "\n");
    text_wrap(&c->out, "Verdict: ", 9, p->result.verdict, c->look.width);
    return true;
}

static bool make_pair(struct cli *c, struct pair *p, struct err *err)
{
    const char *outer[SIDE_MAX_WORDS];
    int n = outer_words(c, outer);
    for (int i = 0; i < 2; i++) {
        p->names[i] = c->words.word[i];
        if (!plan_side_make(c, i ? "B" : "A", p->names[i], outer, n, &p->side[i], err))
            return false;
    }
    return compare_make(p->side[0].job.plan, p->side[1].job.plan, &c->arena, &p->result, err);
}

bool cmd_compare(struct cli *c, struct err *err)
{
    struct pair *p = arena_new(&c->arena, struct pair);
    if (!p)
        return err_set(err, ERR_1201, "no memory for two plans");
    const char *form = c->words.value[OPTION_OUTPUT];
    if (!check_options(c, err))
        return false;
    c->look.json = c->look.json || (form && strcmp(form, "json") == 0);
    bool ok = make_pair(c, p, err) && write_answer(c, p, err);
    finish_pair(p);
    return ok;
}
