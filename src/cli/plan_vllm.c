/* plan_vllm: decides whether a plan is for vLLM, and makes it: words, model, cards, plan, outline. */
#include "cli/plan_vllm.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cache.h"
#include "base/own.h"
#include "fetch/hf.h"
#include "plan/vllm_layout.h"

extern char **environ;

#define GIB 1073741824.0

enum { WORDS_MOST = 32 };

static const char *named_model(const struct cli *c)
{
    const char *ref = c->words.n_words ? c->words.word[0] : NULL;
    for (int i = 0; i < c->words.n_settings && !ref; i++)
        if (c->words.setting[i].flag->id == FLAG_MODEL)
            ref = c->words.setting[i].value;
    return ref;
}

static bool holds_gguf(const char *path)
{
    bool found = false;
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && !found && (e = readdir(dir));)
        found = str_ends(e->d_name, ".gguf");
    if (dir)
        closedir(dir);
    return found;
}

bool plan_vllm_layout(const char *ref)
{
    return hub_is_layout(ref) && !holds_gguf(ref);
}

static bool has_settings(const struct cli *c)
{
    for (int id = OPTION_VLLM_TP; id <= OPTION_VLLM_KV; id++)
        if (c->words.value[id])
            return true;
    return false;
}

/* What is set that only one of the engines has: its name, or NULL. */
static const char *only_llama(const struct cli *c)
{
    static const struct {
        enum option_id id;
        const char *name;
    } rows[] = {
        {OPTION_SPLIT,       "--split"      },
        {OPTION_ALLOW_CPU,   "--allow-cpu"  },
        {OPTION_HOST_MEMORY, "--host-memory"},
        {OPTION_QUANT,       "--quant"      },
        {OPTION_WITH,        "--with"       },
        {OPTION_LENGTHS,     "--lengths"    }
    };
    const char *kv = c->words.value[OPTION_KV], *gpus = c->words.value[OPTION_GPUS];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (given(c, rows[i].id))
            return rows[i].name;
    for (int i = 0; i < c->words.n_settings; i++) {
        int id = c->words.setting[i].flag->id;
        if (id != FLAG_MODEL && id != FLAG_CTX && id != FLAG_PARALLEL && id != FLAG_BATCH)
            return c->words.setting[i].word;
    }
    if (kv && !str_eq_fold(kv, "f16") && !str_eq_fold(kv, "bf16") && !str_starts(kv, "fp8"))
        return "--kv";
    return gpus && strstr(gpus, "rpc://") ? "an rpc:// card" : NULL;
}

static const char *only_vllm(const struct cli *c)
{
    const char *kv = c->words.value[OPTION_KV], *gpus = c->words.value[OPTION_GPUS];
    if (has_settings(c))
        return "a setting of vLLM";
    if (kv && str_starts(kv, "fp8"))
        return "--kv fp8";
    return gpus && strstr(gpus, ":host=") ? "a card of another host" : NULL;
}

/* GGUF file and safetensors side by side: what was set decides, else both are planned. */
static bool choose_of_both(struct cli *c, const char *ref, struct engine_choice *out,
                           struct err *err)
{
    const char *layout = plan_engine_layout(c, ref), *a = only_llama(c), *b = only_vllm(c);
    if (!layout)
        return true;
    out->layout = layout;
    if (!a && !b)
        return true;
    out->vllm = b && !a;
    out->why = arena_printf(&c->arena, "%s, because %.*s is given; %s could run the model too",
                            out->vllm ? "vLLM" : "llama.cpp", (int)strcspn(a ? a : b, "="),
                            a ? a : b, out->vllm ? "llama.cpp" : "vLLM");
    return out->why || err_set(err, ERR_1201, "no memory for a reason");
}

static bool wanted_by_command(struct cli *c, const char *engine, bool *wanted, struct err *err)
{
    bool vllm = vllm_is_command(c->words.n_rest, c->words.rest);
    *wanted = vllm;
    if (!engine || str_eq_fold(engine, "auto") || str_eq_fold(engine, "vllm") == vllm)
        return true;
    err_set(err, ERR_2113, "--engine %s stands before --, the command after it is %s", engine,
            vllm ? "vLLM's" : "llama.cpp's");
    return err_fix(err, NULL, "leave --engine out: the command says it");
}

bool plan_vllm_wanted(struct cli *c, struct engine_choice *out, struct err *err)
{
    *out = (struct engine_choice){0};
    static const char *const names[] = {"llama.cpp", "vllm", "auto"};
    const char *engine = c->words.value[OPTION_ENGINE], *ref = named_model(c);
    int named = -1;
    for (int i = 0; engine && i < 3; i++)
        named = str_eq_fold(engine, names[i]) ? i : named;
    if (engine && named < 0) {
        const char *near = str_nearest(engine, names, 3);
        err_set(err, ERR_9002, "--engine cannot be \"%s\"", engine);
        if (near)
            err_fix(err, NULL, "did you mean %s?", near);
        return err_fix(err, NULL, "llama.cpp, vllm or auto");
    }
    out->automatic = named == 2;
    if (c->words.dashes)
        return wanted_by_command(c, engine, &out->vllm, err);
    bool layout = ref && plan_vllm_layout(ref);
    bool remote = ref && hf_is_ref(ref) && has_settings(c);
    out->vllm = named == 1 || (named != 0 && (layout || remote));
    return named == 0 || named == 1 || !ref || layout || choose_of_both(c, ref, out, err);
}

/* A list of what is there, as a reason, means GGUF files of other names. */
bool plan_vllm_no_gguf(const char *ref, const struct err *failed)
{
    return failed->code == ERR_2001 && failed->n_why == 0 && hf_is_ref(ref) &&
           !strchr(ref + 3, ':') && !str_ends(ref, ".gguf");
}

bool plan_vllm_again(struct cli *c, const struct err *failed)
{
    const char *engine = c->words.value[OPTION_ENGINE], *ref = named_model(c);
    return !c->words.dashes && ref && plan_vllm_no_gguf(ref, failed) &&
           !given(c, OPTION_QUANT) && !given(c, OPTION_LENGTHS) &&
           (!engine || str_eq_fold(engine, "auto"));
}

const char *plan_engine_alone(const struct plan_job *job)
{
    return job->plan->model->from_file
               ? "llama.cpp, because the model is a GGUF file; vLLM serves safetensors, its loader "
                 "of GGUF is an experiment that is not planned"
               : "llama.cpp, because the model is the description of a GGUF file; vLLM would take "
                 "its Hugging Face original, which can be planned by its own name";
}

bool plan_engine_say(struct cli *c, struct plan_job *job, const char *why, struct err *err)
{
    struct vllm_plan *v = job->vllm ? &job->vllm->plan : NULL;
    struct plan *p = v ? NULL : arena_new(&c->arena, struct plan);
    if (!why || (!v && !p))
        return err_set(err, ERR_1201, "no memory for a plan");
    job->engine_why = why;
    if (v) {
        if (v->n_reasons < VLLM_MAX_REASONS)
            v->reasons[v->n_reasons++] = why;
        return true;
    }
    *p = *job->plan;
    if (p->n_reasons < PLAN_MAX_REASONS)
        p->reasons[p->n_reasons++] = why;
    job->plan = p;
    return true;
}

/* Words of a vLLM command, made of this program's own options: one reader checks them all. */
struct line {
    struct cli *c;
    int n;
    char *word[WORDS_MOST];
};

static bool add(struct line *l, const char *flag, const char *value, struct err *err)
{
    char *name = arena_strdup(&l->c->arena, flag);
    char *text = value ? arena_strdup(&l->c->arena, value) : NULL;
    if (!name || (value && !text) || l->n + 2 > WORDS_MOST)
        return err_set(err, ERR_1201, "no memory for a setting");
    l->word[l->n++] = name;
    if (text)
        l->word[l->n++] = text;
    return true;
}

static bool add_options(struct line *l, struct err *err)
{
    static const struct {
        enum option_id id;
        const char *flag;
    } rows[] = {
        {OPTION_VLLM_TP,     "--tensor-parallel-size"  },
        {OPTION_VLLM_PP,     "--pipeline-parallel-size"},
        {OPTION_VLLM_SHARE,  "--gpu-memory-utilization"},
        {OPTION_VLLM_LENGTH, "--max-model-len"         },
        {OPTION_VLLM_SEQS,   "--max-num-seqs"          },
        {OPTION_VLLM_TOKENS, "--max-num-batched-tokens"},
        {OPTION_VLLM_KV,     "--kv-cache-dtype"        },
    };
    const char *kv = l->c->words.value[OPTION_KV];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (given(l->c, rows[i].id) &&
            !add(l, rows[i].flag, l->c->words.value[rows[i].id], err))
            return false;
    if (!kv || given(l->c, OPTION_VLLM_KV))
        return true;
    bool plain = str_eq_fold(kv, "f16") || str_eq_fold(kv, "bf16") || str_eq_fold(kv, "auto");
    if (plain || str_starts(kv, "fp8"))
        return add(l, "--kv-cache-dtype", plain ? "auto" : kv, err);
    err_set(err, ERR_2114, "vLLM keeps no cache of type %s", kv);
    return err_fix(err, NULL, "take fp8, which halves it, or f16");
}

static bool add_context(struct line *l, const char *word, const char *value, struct err *err)
{
    char number[32];
    int64_t n;
    if (str_eq_fold(value, "max"))
        return true;
    if (!str_parse_i64(value, 1, 1 << 30, true, &n)) {
        err_set(err, ERR_9002, "%.*s cannot be \"%s\"", (int)strcspn(word, "="), word, value);
        return err_fix(err, NULL, "tokens, like 32768 or 32k, or max");
    }
    snprintf(number, sizeof(number), "%lld", (long long)n);
    return add(l, "--max-model-len", number, err);
}

/* llama.cpp's settings that vLLM has under another name; the others mean nothing there. */
static bool add_settings(struct line *l, struct err *err)
{
    const struct words *w = &l->c->words;
    for (int i = 0; i < w->n_settings; i++) {
        const char *word = w->setting[i].word, *value = w->setting[i].value;
        bool ok = true;
        switch (w->setting[i].flag->id) {
        case FLAG_MODEL: break;
        case FLAG_CTX: ok = add_context(l, word, value, err); break;
        case FLAG_PARALLEL: ok = add(l, "--max-num-seqs", value, err); break;
        case FLAG_BATCH: ok = add(l, "--max-num-batched-tokens", value, err); break;
        default:
            err_set(err, ERR_2113, "%.*s is a setting of llama.cpp, this plan is for vLLM",
                    (int)strcspn(word, "="), word);
            return err_fix(err, NULL, "leave it out, or name a GGUF file");
        }
        if (!ok)
            return false;
    }
    return true;
}

static bool refuse_options(struct cli *c, struct err *err)
{
    static const struct {
        enum option_id id;
        const char *name;
    } rows[] = {
        {OPTION_SPLIT,       "--split"      },
        {OPTION_ALLOW_CPU,   "--allow-cpu"  },
        {OPTION_HOST_MEMORY, "--host-memory"},
        {OPTION_QUANT,       "--quant"      },
        {OPTION_WITH,        "--with"       },
        {OPTION_LENGTHS,     "--lengths"    }
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!given(c, rows[i].id))
            continue;
        err_set(err, ERR_2113, "%s is for llama.cpp, this plan is for vLLM", rows[i].name);
        return err_fix(err, NULL, "leave it out");
    }
    return true;
}

static bool read_words(struct cli *c, struct vllm_request *r, const char *layout, struct err *err)
{
    const char *ref = layout ? layout : named_model(c);
    struct line l = {.c = c};
    if (!refuse_options(c, err))
        return false;
    if (c->words.dashes)
        return plan_request_alone(c, err) &&
               vllm_request_parse(r, c->words.n_rest, c->words.rest, environ, &c->arena, err);
    if (!ref) {
        err_set(err, ERR_9003, "plan needs a model");
        return err_fix(err, "dualgpuopt plan ~/models/Qwen3-8B --engine vllm", "for example");
    }
    if (!add(&l, "vllm", "serve", err) || !add(&l, "--model", ref, err) ||
        !add_options(&l, err) || !add_settings(&l, err) ||
        !vllm_request_parse(r, l.n, l.word, NULL, &c->arena, err))
        return false;
    r->wish.as_command = false;
    return true;
}

static bool read_request(struct cli *c, struct plan_job *job, struct err *err)
{
    struct vllm_request *r = &job->vllm->request;
    struct plan_wish wish = plan_default_wish();
    if (!read_words(c, r, job->layout, err))
        return false;
    if (r->wish.max_len)
        wish.given |= GIVEN_CTX;
    if (!plan_request_options(c, &wish, err))
        return false;
    if (!c->words.dashes || given(c, OPTION_GOAL))
        r->wish.goal = wish.goal;
    r->wish.spread = wish.spread;
    r->wish.max_gpus = wish.max_gpus;
    r->wish.keep_free_set = wish.keep_free_set;
    r->wish.keep_free_bytes = wish.keep_free_bytes;
    r->wish.min_context = wish.min_context;
    r->wish.streams = job->streams;
    r->wish.stream_depth = job->stream_depth;
    job->request.program = r->program;
    job->request.n_not_accounted = r->n_not_accounted;
    memcpy(job->request.not_accounted, r->not_accounted, sizeof(r->not_accounted));
    return true;
}

/* What vLLM takes for a repository is OWNER/REPO, unless there is such a folder. */
static const char *reference(struct cli *c, const char *ref)
{
    const char *slash = strchr(ref, '/');
    bool repository = slash && slash != ref && !strchr(slash + 1, '/') && ref[0] != '.' &&
                      ref[0] != '~' && !strchr(ref, ':');
    return c->words.dashes && repository && access(ref, F_OK) != 0
               ? arena_printf(&c->arena, "hf:%s", ref)
               : ref;
}

/* The model is there, but not in a layout that vLLM's plan reads. */
static bool refuse_model(struct plan_job *job, const char *ref, struct err *err)
{
    const struct model *m;
    struct err none = {0};
    char command[ERR_TEXT_MAX];
    own(own_str) struct str quoted = {0};
    if (access(ref, F_OK) == 0 && !holds_gguf(ref) && !str_ends(ref, ".gguf"))
        return false;
    if (!planner_open(job->planner, ref, NULL, &job->model_loan, &m, &none)) {
        *err = none;
        return false;
    }
    err_set(err, ERR_2113, "%s is %s, no model for vLLM", ref,
            m->from_file ? "a GGUF file" : "a built-in profile of GGUF files");
    err_why(err, "vLLM's weights are read from config.json and the headers of safetensors files");
    str_add_shell(&quoted, ref);
    snprintf(command, sizeof(command), "dualgpuopt plan %s", quoted.data ? quoted.data : ref);
    err_fix(err, command, "plan it for llama.cpp");
    return err_fix(err, NULL, "name a directory in that layout, or hf:OWNER/REPO");
}

static bool open_model(struct cli *c, struct plan_job *job, struct err *err)
{
    const char *ref = reference(c, job->vllm->request.model_ref);
    if (!ref)
        return err_set(err, ERR_1201, "no memory for a name");
    if (hub_open(ref, &c->arena, &job->vllm->model, err))
        return true;
    return hf_is_ref(ref) || hub_is_layout(ref) ? false : refuse_model(job, ref, err);
}

static bool need_cards(const struct plan_job *job, struct err *err)
{
    if (job->machine.n_devices)
        return true;
    err_set(err, ERR_2110, "vLLM needs a GPU, there is none");
    if (job->no_cards.code != ERR_NONE)
        err_why(err, "%s", job->no_cards.title);
    return err_fix(err, "--gpus rtx4090", "name cards to plan for some that are not here");
}

/* Memory the used cards have, and what of it neither rank nor kept-free room nor a promise holds. */
static const char *waste(struct cli *c, const struct vllm_plan *p)
{
    double all = 0, idle = 0;
    bool equal = true;
    for (uint32_t i = 0; i < p->n_ranks; i++) {
        const struct vllm_rank *r = &p->ranks[i];
        uint64_t keep = vllm_keep_free(&p->wish, r->card), kv = p->blocks.value * r->block_bytes;
        equal = equal && r->card->free_bytes == p->ranks[0].card->free_bytes;
        all += (double)r->card->free_bytes;
        idle += r->kv.value > kv ? (double)(r->kv.value - kv) : 0;
        idle += r->free_after > (int64_t)keep ? (double)(r->free_after - (int64_t)keep) : 0;
    }
    if (equal || idle * 3 <= all)
        return NULL;
    return arena_printf(&c->arena,
                        "one utilization for unequal cards leaves %.1f of %.1f GiB unused: a GGUF "
                        "file of this model under llama.cpp would fill each card",
                        idle / GIB, all / GIB);
}

static bool say_engine(struct cli *c, struct plan_job *job, struct err *err)
{
    struct vllm_plan *p = &job->vllm->plan;
    const char *wasted = waste(c, p);
    if (!plan_engine_say(c, job,
                         "vLLM, because the model is config.json with safetensors; llama.cpp loads "
                         "GGUF: it would need a conversion (convert_hf_to_gguf.py)",
                         err))
        return false;
    if (wasted && p->n_reasons < VLLM_MAX_REASONS)
        p->reasons[p->n_reasons++] = wasted;
    return true;
}

static void outline_rank(const struct vllm_plan *v, const struct vllm_rank *r, struct plan *p)
{
    struct plan_device *d = &p->devices[r->device];
    d->first_layer = (int)r->first_layer;
    d->last_layer = (int)r->last_layer;
    d->weights = r->weights;
    d->kv = r->kv.value;
    d->compute = r->activation.value + r->graphs.value;
    d->runtime = r->non_torch.value + r->runtime;
    d->runtime_low = r->non_torch.low + r->runtime;
    d->runtime_high = r->non_torch.high + r->runtime;
    d->keep_free = vllm_keep_free(&v->wish, r->card);
    d->free_after = r->free_after;
    p->used_mask |= 1u << r->device;
}

/* The plan as the bars and headings of every engine's plan know it. */
static bool outline(struct cli *c, struct plan_job *job, struct err *err)
{
    const struct vllm_plan *v = &job->vllm->plan;
    struct model *m = arena_new(&c->arena, struct model);
    struct plan *p = arena_new(&c->arena, struct plan);
    if (!m || !p)
        return err_set(err, ERR_1201, "no memory for a plan");
    if (!hub_to_model(&job->vllm->model, &c->arena, m, err))
        return false;
    *p = (struct plan){.model = m,
                       .machine = &job->machine,
                       .verdict = v->verdict,
                       .speed = v->speed,
                       .n_alternatives = v->n_alternatives,
                       .n_devices = job->machine.n_devices};
    p->wish.all_alternatives = given(c, OPTION_ALL);
    memcpy(p->alternatives, v->alternatives, sizeof(p->alternatives));
    for (uint32_t i = 0; i < p->n_devices; i++) {
        const struct device *card = &job->machine.devices[i];
        p->devices[i] = (struct plan_device){.card = card,
                                             .first_layer = -1,
                                             .last_layer = -1,
                                             .other = card->total_bytes - card->free_bytes,
                                             .free_after = (int64_t)card->free_bytes};
    }
    for (uint32_t i = 0; i < v->n_ranks; i++)
        outline_rank(v, &v->ranks[i], p);
    job->model = m;
    job->plan = p;
    return true;
}

bool plan_vllm_make(struct cli *c, struct plan_job *job, bool automatic, struct err *err)
{
    struct vllm_job *v = job->vllm = arena_new(&c->arena, struct vllm_job);
    if (!v)
        return err_set(err, ERR_1201, "no memory for a plan");
    job->planner = cli_planner(err);
    if (!job->planner || !read_request(c, job, err) || !open_model(c, job, err) ||
        !plan_job_machine(c, job, err) || !need_cards(job, err) ||
        !vllm_request_cards(&v->request, &job->machine, err) ||
        !vllm_plan_make(&v->model, &job->machine, &v->request.wish, &c->arena, &v->plan, err) ||
        !vllm_hosts_make(&v->plan, &c->arena, &v->hosts, err) ||
        !vllm_options_make(&v->request.wish, &c->arena, &v->plan, err))
        return false;
    if (automatic && !c->words.dashes && !say_engine(c, job, err))
        return false;
    return outline(c, job, err) && plan_job_words(c, job, err);
}

bool plan_vllm_command(struct cli *c, struct plan_job *job, struct err *err)
{
    return vllm_command_make(&job->vllm->plan, &job->vllm->request, job->vllm->request.model_ref,
                             &c->arena, &job->command, err);
}
