/* truth_tally: compares the law's answer with the engine's, value by value. */
#include "truth_tally.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/own.h"

enum { MODELS_MAX = 1024, ARCHS_MAX = 256 };

struct loaded {
    const char *name, *ftype;
    struct model model;
    bool ok;
};

struct runner {
    const struct truth_options *opt;
    struct arena *arena; /* models */
    struct arena scratch;
    struct loaded *models;
    uint32_t n_models, n_listed;
    struct truth_tally *tally;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool load_file(struct runner *r, const struct truth_row *row, struct model *out,
                      struct err *err)
{
    struct gguf g;
    const char *path =
        row->path ? row->path
                  : arena_printf(r->arena, "%s/%s.%s.gguf", r->opt->models, row->model, row->ftype);
    return path && gguf_read_path(path, 0, r->arena, &g, err) &&
           model_from_gguf(&g, path, r->arena, out, err);
}

static bool load_profile(struct runner *r, const struct truth_row *row, struct model *out,
                         struct err *err)
{
    struct model_request req = {.ref = arena_printf(r->arena, "%s:%s", row->model, row->ftype)};
    return req.ref && model_open(&req, r->arena, out, err);
}

static const struct loaded *load(struct runner *r, const struct truth_row *row)
{
    for (uint32_t i = r->n_models; i-- > 0;)
        if (strcmp(r->models[i].name, row->model) == 0 &&
            strcmp(r->models[i].ftype, row->ftype) == 0)
            return &r->models[i];
    if (r->n_models == MODELS_MAX)
        return NULL;
    struct loaded *m = &r->models[r->n_models++];
    m->name = row->model;
    m->ftype = row->ftype;
    struct err err = {0};
    m->ok = r->opt->models || row->path ? load_file(r, row, &m->model, &err)
                                        : load_profile(r, row, &m->model, &err);
    if (!m->ok)
        fprintf(stderr, "%s %s: %s\n", row->model, row->ftype, err.title);
    return m;
}

static struct truth_count *count_of(struct truth_tally *t, const char *arch)
{
    for (uint32_t i = 0; i < t->n_arch; i++)
        if (strcmp(t->arch[i].arch, arch) == 0)
            return &t->arch[i];
    if (t->n_arch == ARCHS_MAX)
        return &t->arch[ARCHS_MAX - 1];
    t->arch[t->n_arch].arch = arch;
    return &t->arch[t->n_arch++];
}

static void list(struct runner *r, const struct truth_row *row, const char *what, int device,
                 uint64_t expected, uint64_t got, uint64_t total)
{
    if (!r->opt->verbose || (r->opt->most_listed && r->n_listed >= r->opt->most_listed))
        return;
    r->n_listed++;
    printf("%s.%s n_dev=%u%s %s %s[%d] engine %" PRIu64 " law %" PRIu64 " diff %+" PRId64
           " (%.3f %%)\n",
           row->model, row->ftype, row->n_devices, row->rpc ? " rpc" : "", row->text, what, device,
           expected, got, (int64_t)(got - expected),
           total ? 100.0 * (double)(int64_t)(got - expected) / (double)total : 0.0);
}

static bool same(struct runner *r, const struct truth_row *row, const char *what, int device,
                 uint64_t expected, uint64_t got)
{
    if (expected != got)
        list(r, row, what, device, expected, got, expected);
    return expected == got;
}

static void compare_static(struct runner *r, const struct truth_row *row,
                           const struct law_result *got, struct truth_count *c)
{
    /* rows of a draft context name the weights of the model it shares */
    bool weights = true, kv = true, loads = row->settings.context == CONTEXT_MAIN;
    for (uint32_t i = 0; i < row->n_devices; i++) {
        if (loads)
            weights &= same(r, row, "weights", (int)i, row->device[i].weights,
                            got->device[i].bytes.weights);
        if (!row->summed)
            kv &= same(r, row, "kv", (int)i, row->device[i].kv, got->device[i].bytes.kv);
    }
    if (!row->summed) {
        uint64_t host = got->host.weights + (row->n_devices ? got->host_repack : 0);
        if (loads)
            weights &= same(r, row, "host weights", -1, row->host.weights, host);
        kv &= same(r, row, "host kv", -1, row->host.kv, got->host.kv);
        kv &= same(r, row, "n_ctx", -1, row->n_ctx, got->n_ctx);
    }
    if (row->n_devices == 0 && loads)
        weights &= same(r, row, "repack", -1, row->repack, got->host_repack);
    c->weights += weights;
    c->kv += kv;
}

static void compare_value(struct runner *r, const struct truth_row *row, int i, uint64_t expected,
                          uint64_t got, uint64_t total, struct truth_count *c)
{
    double off = total ? 100.0 * ((double)got - (double)expected) / (double)total : 0.0;
    c->values++;
    c->values_equal += got == expected;
    c->values_near += fabs(off) <= 1.0;
    c->values_below += off < -1.0;
    c->worst_below = fmin(c->worst_below, off);
    c->worst_above = fmax(c->worst_above, off);
    if (got != expected)
        list(r, row, "compute", i, expected, got, total);
}

static void compare_host(struct runner *r, const struct truth_row *row,
                         const struct law_result *got, struct truth_count *c)
{
    c->hosts++;
    c->hosts_equal += got->host.compute == row->host.compute;
    if (got->host.compute != row->host.compute)
        list(r, row, "host compute", -1, row->host.compute, got->host.compute,
             row->host.weights + row->host.kv + row->host.compute);
}

static void compare_compute(struct runner *r, const struct truth_row *row,
                            const struct law_result *got, struct truth_count *c)
{
    uint32_t before = c->values_equal;
    for (uint32_t i = 0; i < row->n_devices; i++) {
        const struct truth_bytes *want = &row->device[i];
        const struct law_bytes *b = &got->device[i].bytes;
        uint64_t mine = row->summed ? b->kv + b->compute : b->compute;
        uint64_t theirs = row->summed ? want->kv : want->compute;
        uint64_t total = want->weights + want->kv + want->compute;
        compare_value(r, row, (int)i, theirs, mine, total, c);
    }
    c->compute_rows++;
    c->compute_rows_equal += c->values_equal - before == row->n_devices;
    if (row->summed)
        return;
    compare_host(r, row, got, c);
}

static void run_row(struct runner *r, const struct truth_row *row, struct truth_count *c)
{
    const struct loaded *m = load(r, row);
    c->rows++;
    if (!m || !m->ok) {
        c->no_model++;
        return;
    }
    struct machine mc = truth_machine(row);
    struct law_result got;
    struct err err = {0};
    double start = now();
    bool ok =
        (r->opt->static_only ? law_estimate_static
         : r->opt->quick     ? law_estimate_quick
                         : law_estimate)(&m->model, &mc, &row->settings, &r->scratch, &got, &err);
    c->seconds += now() - start;
    if (!row->ok) {
        c->refusals++;
        c->refused += !ok;
        if (ok)
            list(r, row, "accepted, but the engine refuses", -1, 0, 0, 0);
        return;
    }
    if (row->lumped) {
        c->rows--; /* nothing to compare */
        return;
    }
    c->ok++;
    if (!ok) {
        c->refused_wrongly++;
        list(r, row, err.title, -1, 0, 0, 0);
        return;
    }
    compare_static(r, row, &got, c);
    if (!r->opt->static_only && row->reserved && row->n_devices > 0)
        compare_compute(r, row, &got, c);
    if (!r->opt->static_only && row->n_devices == 0)
        compare_host(r, row, &got, c);
}

static void add(struct truth_count *to, const struct truth_count *c)
{
    to->rows += c->rows;
    to->ok += c->ok;
    to->no_model += c->no_model;
    to->weights += c->weights;
    to->kv += c->kv;
    to->refusals += c->refusals;
    to->refused += c->refused;
    to->refused_wrongly += c->refused_wrongly;
    to->compute_rows += c->compute_rows;
    to->compute_rows_equal += c->compute_rows_equal;
    to->values += c->values;
    to->values_equal += c->values_equal;
    to->values_near += c->values_near;
    to->values_below += c->values_below;
    to->hosts += c->hosts;
    to->hosts_equal += c->hosts_equal;
    to->worst_below = fmin(to->worst_below, c->worst_below);
    to->worst_above = fmax(to->worst_above, c->worst_above);
    to->seconds += c->seconds;
}

bool truth_run(const struct truth_row *rows, size_t n, const struct truth_options *opt,
               struct arena *arena, struct truth_tally *out)
{
    struct runner r = {.opt = opt, .arena = arena, .tally = out};
    *out = (struct truth_tally){.total.arch = "all"};
    r.models = arena_array(arena, struct loaded, MODELS_MAX);
    out->arch = arena_array(arena, struct truth_count, ARCHS_MAX);
    if (!r.models || !out->arch)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (opt->only && !strstr(rows[i].model, opt->only))
            continue;
        if (opt->setting && !strstr(rows[i].text, opt->setting))
            continue;
        run_row(&r, &rows[i], count_of(out, rows[i].arch));
    }
    for (uint32_t i = 0; i < out->n_arch; i++)
        add(&out->total, &out->arch[i]);
    arena_finish(&r.scratch);
    return true;
}

bool truth_holds(const struct truth_count *c, bool static_only)
{
    bool fixed = c->weights == c->ok && c->kv == c->ok && c->refused == c->refusals &&
                 c->refused_wrongly == 0 && c->no_model == 0 && c->rows > 0;
    if (static_only || !fixed)
        return fixed;
    return c->compute_rows_equal * 100ull >= c->compute_rows * 95ull &&
           c->values_near * 1000ull >= c->values * 999ull && c->values_below == 0;
}

static double percent(uint32_t part, uint32_t whole)
{
    return whole ? 100.0 * part / whole : 100.0;
}

static void print_line(const struct truth_count *c, bool static_only)
{
    printf("%-14s %5u %6.2f %6.2f %5u/%-3u", c->arch, c->rows, percent(c->weights, c->ok),
           percent(c->kv, c->ok), c->refused, c->refusals);
    if (!static_only)
        printf(" %6.2f %6.2f %6.2f %7.3f %7.3f %6.2f",
               percent(c->compute_rows_equal, c->compute_rows), percent(c->values_equal, c->values),
               percent(c->values_near, c->values), c->worst_below, c->worst_above,
               percent(c->hosts_equal, c->hosts));
    printf(" %8.1f%s\n", c->rows ? 1e6 * c->seconds / c->rows : 0.0,
           truth_holds(c, static_only) ? "" : "  <-");
}

void truth_print(const struct truth_tally *t, bool static_only)
{
    printf("%-14s %5s %6s %6s %9s", "family", "rows", "wt %", "kv %", "refused");
    if (!static_only)
        printf(" %6s %6s %6s %7s %7s %6s", "rows =", "val =", "<=1 %", "below %", "above %",
               "host =");
    printf(" %8s\n", "us/row");
    for (uint32_t i = 0; i < t->n_arch; i++)
        print_line(&t->arch[i], static_only);
    print_line(&t->total, static_only);
}
