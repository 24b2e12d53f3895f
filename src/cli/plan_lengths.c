/* plan_lengths: a bounded file of lengths in, slots and groups out. */
#include "cli/plan_lengths.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/table.h"

static bool unreadable(const char *path, const char *why, struct err *err)
{
    err_set(err, ERR_1202, "%s cannot be read: %s", path, why);
    return err_fix(err, NULL, "name a text file with one prompt length in tokens a line");
}

/* One byte more than is allowed tells that there is too much. */
static bool read_file(const char *path, char *buf, size_t *len, struct err *err)
{
    struct stat st;
    own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        return unreadable(path, strerror(errno), err);
    if (!S_ISREG(st.st_mode))
        return unreadable(path, "it is no regular file", err);
    *len = 0;
    while (*len <= BATCHING_MAX_BYTES) {
        ssize_t n = read(fd, buf + *len, BATCHING_MAX_BYTES + 1 - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return unreadable(path, strerror(errno), err);
        if (n == 0)
            break;
        *len += (size_t)n;
    }
    return true;
}

bool plan_lengths_make(struct cli *c, const struct plan *p, const struct batching_advice **out,
                       struct err *err)
{
    const char *path = c->words.value[OPTION_LENGTHS];
    struct batching_lengths lengths;
    size_t len = 0;
    if (!path)
        return true;
    char *buf = arena_alloc(&c->arena, BATCHING_MAX_BYTES + 1, 1);
    struct batching_advice *a = arena_new(&c->arena, struct batching_advice);
    if (!buf || !a)
        return err_set(err, ERR_1201, "no memory for a list of lengths");
    if (!read_file(path, buf, &len, err) ||
        !batching_parse(path, buf, len, &c->arena, &lengths, err) ||
        !batching_advise(p, &lengths, &c->arena, a, err))
        return false;
    *out = a;
    return true;
}

static void write_slots(const struct batching_advice *a, const struct look *look, struct str *out)
{
    own(own_table) struct table t = {0};
    struct table_style style = {.width = look->width,
                                .plain = look->plain,
                                .ascii = look->ascii,
                                .indent = look->plain ? 0 : 2};
    static const char *const headings[] = {"SLOTS FOR", "PROMPT", "SLOT",   "-np",
                                           "-c",        "-ub",    "FIT IN", "EMPTY"};
    char number[32];
    for (int i = 0; i < 8; i++)
        table_column(&t, headings[i], i ? TABLE_RIGHT : TABLE_LEFT);
    for (int i = 0; i < BATCHING_ROWS; i++) {
        const struct batching_slots *r = &a->rows[i];
        if (r->percentile == 100)
            table_cellf(&t, "longest%s", i == a->chosen ? " *" : "");
        else
            table_cellf(&t, "p%u%s", r->percentile, i == a->chosen ? " *" : "");
        table_cell(&t, str_grouped(r->prompt, number));
        table_cell(&t, str_grouped(r->slot, number));
        if (r->parallel) {
            table_cellf(&t, "%u", r->parallel);
            table_cell(&t, str_grouped(r->context, number));
            table_cellf(&t, "%u", r->ubatch);
        } else {
            table_cell(&t, "0");
            table_cell(&t, NULL);
            table_cell(&t, NULL);
        }
        table_cellf(&t, "%.0f %%", 100 * r->served);
        table_cellf(&t, "%.0f %%", 100 * r->wasted);
    }
    table_write(&t, &style, out);
}

static double waste(uint64_t tokens, uint64_t padded)
{
    return padded ? 100.0 * (1.0 - (double)tokens / (double)padded) : 0;
}

static void write_advice(const struct batching_advice *a, const struct look *look, struct str *out)
{
    own(own_str) struct str s = {0};
    char x[32], y[32];
    if (a->chosen < 0) {
        text_wrap(out, "  ", 2, "Not one slot fits on these cards, whatever its length.",
                  look->width);
        return;
    }
    const struct batching_slots *r = &a->rows[a->chosen];
    str_addf(&s, "* -np %u -c %llu -ub %u", r->parallel, (unsigned long long)r->context, r->ubatch);
    if (r->percentile < 100)
        str_addf(
            &s, ": longer slots do not fit%s; %.0f %% of the prompts have to be cut or refused",
            a->rows[BATCHING_ROWS - 1].beyond_training ? " or are beyond what was trained" : "",
            100 * (1 - r->served));
    else
        str_add(&s, ": every prompt has room");
    if (r->beyond_training)
        str_add(&s, "; beyond what the model was trained for");
    str_addf(&s, ". A slot is prompt and answer (%d tokens), rounded up to 256.", BATCHING_REPLY);
    if (r->wasted > 0.5 && r->parallel > 1)
        str_add(&s,
                " Much of that room stays empty: with -kvu all slots share one cache of that size, "
                "and only what is "
                "at work at once must fit.");
    text_wrap(out, "  ", 4, s.data ? s.data : "", look->width);
    str_finish(&s);
    const struct batching_groups *g = &a->groups;
    str_addf(&s, "Sorted by length: %s batches of up to %u prompts and %s tokens",
             str_grouped(g->n_batches, x), a->rules.max_items, str_grouped(a->rules.max_tokens, y));
    str_addf(&s, "; padding %.0f %% (in the list's order: %.0f %%).", waste(g->tokens, g->padded),
             waste(g->tokens, g->padded_in_order));
    if (g->n_oversize)
        str_addf(&s, " %u prompt%s longer than a batch: alone.", g->n_oversize,
                 g->n_oversize > 1 ? "s are" : " is");
    text_wrap(out, "  ", 4, s.data ? s.data : "", look->width);
}

void plan_lengths_text(const struct batching_advice *a, const struct look *look, struct str *out)
{
    char n[32], p50[32], p95[32], longest[32];
    if (!look->plain)
        str_addf(out, "\nBatching  %s prompts: half up to %s tokens, 95 %% up to %s, longest %s\n",
                 str_grouped(a->n, n), str_grouped(a->p50, p50), str_grouped(a->p95, p95),
                 str_grouped(a->longest, longest));
    write_slots(a, look, out);
    if (!look->plain)
        write_advice(a, look, out);
}
