/* plan_engine: where both engines could run a model, plans it for both and takes the better by the goal. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "cli/plan_vllm.h"

#define GIB 1073741824.0

enum { USUAL_CONTEXT = 32768 };
#define BALANCED_SHARE 0.9 /* of the better speed */

static bool holds(const char *path, const char *end)
{
    bool found = false;
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && !found && (e = readdir(dir));)
        found = str_ends(e->d_name, end);
    if (dir)
        closedir(dir);
    return found;
}

const char *plan_engine_layout(struct cli *c, const char *ref)
{
    const char *slash = strrchr(ref, '/');
    const char *dir = !str_ends(ref, ".gguf") ? ref
                      : slash                 ? arena_strndup(&c->arena, ref, (size_t)(slash - ref))
                                              : ".";
    return dir && *dir && hub_is_layout(dir) && holds(dir, ".gguf") && holds(dir, ".safetensors")
               ? dir
               : NULL;
}

/* What one engine's plan comes to. */
struct merit {
    const char *engine;
    bool made, fits;
    uint32_t cards, context;
    struct speed speed;
    const char *quantization;
    uint64_t file_bytes;
};

static struct merit merit_of(const struct plan_job *job, bool made)
{
    struct merit m = {.engine = job->vllm ? "vLLM" : "llama.cpp", .made = made};
    if (!made)
        return m;
    m.fits = job->plan->verdict == VERDICT_FITS || job->plan->verdict == VERDICT_TIGHT;
    m.cards = (uint32_t)__builtin_popcount(job->plan->used_mask);
    m.context = job->vllm ? job->vllm->plan.wish.max_len : job->plan->law.n_ctx_seq;
    m.speed = job->plan->speed;
    m.quantization = job->model->quantization;
    m.file_bytes = job->model->file_bytes;
    return m;
}

/* Above 0: a is more. */
static int more(double a, double b)
{
    return a > b ? 1 : a < b ? -1 : 0;
}

static double up_to(uint32_t context, uint32_t most)
{
    return context < most ? context : most;
}

/* Above 0: a is the better one by the goal; what decided, in a word. */
static int weigh(enum plan_goal goal, const struct merit *a, const struct merit *b,
                 const char **what)
{
    double x = a->speed.decode.tps, y = b->speed.decode.tps, best = x > y ? x : y;
    struct {
        const char *what;
        int order;
    } rules[5] = {{"it fits and the other does not", (int)a->fits - (int)b->fits}};
    int n = 1;
    bool known = x > 0 && y > 0;
    if (goal == GOAL_FEWEST) {
        rules[n].what = "it needs fewer cards";
        rules[n++].order = more(b->cards, a->cards);
    }
    if (goal == GOAL_BALANCED && known) {
        rules[n].what = "it is faster by more than a tenth";
        rules[n++].order = (int)(x >= BALANCED_SHARE * best) - (int)(y >= BALANCED_SHARE * best);
    }
    if (goal == GOAL_THROUGHPUT) {
        rules[n].what = "its throughput is higher";
        rules[n++].order = more(a->speed.throughput.tps, b->speed.throughput.tps);
    }
    if (goal == GOAL_CONTEXT || goal == GOAL_BALANCED || goal == GOAL_FEWEST) {
        rules[n].what = "its context is larger";
        rules[n++].order = more(up_to(a->context, goal == GOAL_BALANCED ? USUAL_CONTEXT : UINT32_MAX),
                                up_to(b->context, goal == GOAL_BALANCED ? USUAL_CONTEXT : UINT32_MAX));
    }
    rules[n].what = "it is faster";
    rules[n++].order = known ? more(x, y) : 0;
    for (int i = 0; i < n; i++) {
        *what = rules[i].what;
        if (rules[i].order)
            return rules[i].order;
    }
    *what = "both are as good and its memory is known to the byte";
    return 0;
}

static void describe(const struct merit *m, enum plan_goal goal, struct str *out)
{
    char number[32];
    str_addf(out, "%s %s (%.1f GiB) ", m->engine, m->quantization, (double)m->file_bytes / GIB);
    if (!m->fits) {
        str_add(out, "does not fit");
        return;
    }
    str_addf(out, "%s tokens on %u GPU%s", str_grouped(m->context, number), m->cards,
             m->cards == 1 ? "" : "s");
    if (m->speed.decode.tps > 0)
        str_addf(out, ", about %.*f tok/s", m->speed.decode.tps < 10, m->speed.decode.tps);
    if (goal == GOAL_THROUGHPUT && m->speed.throughput.tps > 0)
        str_addf(out, ", %.0f over all streams", m->speed.throughput.tps);
}

static bool overlap(const struct speed_range *a, const struct speed_range *b)
{
    return a->tps > 0 && b->tps > 0 && a->low <= b->high && b->low <= a->high;
}

static const char *reason(struct cli *c, enum plan_goal goal, const struct merit *best,
                          const struct merit *other, const char *what, const struct err *refusal)
{
    static const char *const goals[] = {"", "--goal balanced: ", "--goal context: ",
                                        "--goal speed: ", "--goal throughput: "};
    own(own_str) struct str s = {0};
    bool by_speed = strstr(what, "faster") || strstr(what, "throughput");
    str_addf(&s, "%s, because %s%s: ", best->engine, goals[goal],
             other->made ? what : "the other engine cannot be planned");
    if (!other->made) {
        str_add(&s, refusal->title);
        return arena_strdup(&c->arena, s.data);
    }
    describe(best, goal, &s);
    str_add(&s, "; ");
    describe(other, goal, &s);
    if (by_speed && overlap(goal == GOAL_THROUGHPUT ? &best->speed.throughput : &best->speed.decode,
                            goal == GOAL_THROUGHPUT ? &other->speed.throughput
                                                    : &other->speed.decode))
        str_add(&s, " (the ranges overlap: a measurement would settle it)");
    return s.data ? arena_strdup(&c->arena, s.data) : NULL;
}

static bool same_model(const struct plan_job *gguf, const struct plan_job *layout)
{
    const struct model_hparams *hp = &gguf->model->hp;
    const struct hub_config *h = &layout->vllm->model.config;
    return hp->n_layer == h->n_layers && hp->n_embd == h->hidden && hp->n_head == h->heads;
}

bool plan_engine_make(struct cli *c, struct plan_job *job, const char *layout, struct err *err)
{
    struct plan_job *other = arena_new(&c->arena, struct plan_job);
    struct err first = {0}, second = {0};
    const char *what = "";
    if (!other)
        return err_set(err, ERR_1201, "no memory for a plan");
    bool gguf = plan_job_make(c, job, &first);
    enum plan_goal goal = job->request.wish.goal;
    other->layout = layout;
    if (gguf && goal == GOAL_THROUGHPUT) {
        other->streams = job->plan->settings.n_seq_max;
        other->stream_depth = job->plan->law.n_ctx_seq;
    }
    bool hub = plan_vllm_make(c, other, false, &second);
    if (!gguf && !hub) {
        *err = first;
        plan_job_finish(other);
        return false;
    }
    if (gguf && hub && !same_model(job, other))
        return plan_engine_say(c, job, "llama.cpp, because the safetensors files beside the GGUF "
                                       "file are of another model", err);
    struct merit a = merit_of(job, gguf), b = merit_of(other, hub);
    bool take = !gguf || (hub && weigh(goal, &b, &a, &what) > 0);
    if (gguf && hub && !take)
        weigh(goal, &a, &b, &what);
    const char *why = reason(c, goal, take ? &b : &a, take ? &a : &b, what, gguf ? &second : &first);
    if (take) {
        plan_job_finish(job);
        *job = *other;
    }
    return plan_engine_say(c, job, why, err);
}
