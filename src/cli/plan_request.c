/* plan_request: the options, settings and variables of `plan` as a request. */
#include <string.h>

#include "cli/plan_job.h"

extern char **environ;

#define HOST_LEAST (1ull << 30)

bool plan_request_variables(struct plan_wish *w, struct err *err)
{
    bool set;
    double v;
    if (!variable_read(VARIABLE_ID_SYSTEM_OVERHEAD, &set, &v, err))
        return false;
    if (set)
        w->system_overhead_bytes = (uint64_t)v;
    if (!variable_read(VARIABLE_ID_SAFETY_MARGIN, &set, &v, err))
        return false;
    if (set) {
        w->safety_margin = v;
        w->safety_margin_set = true;
    }
    if (!variable_read(VARIABLE_ID_KV_CACHE_FACTOR, &set, &v, err))
        return false;
    if (set)
        w->kv_cache_factor = v;
    if (!variable_read(VARIABLE_ID_TP_OVERHEAD, &set, &v, err))
        return false;
    if (set)
        w->tp_overhead = v;
    if (!variable_read(VARIABLE_ID_MIN_CONTEXT, &set, &v, err))
        return false;
    if (set)
        w->min_context = (uint32_t)v;
    return true;
}

bool cli_size(struct cli *c, enum option_id id, const char *name, uint64_t *out, struct err *err)
{
    const char *text = c->words.value[id];
    if (str_parse_size(text, out))
        return true;
    err_set(err, ERR_2102, "%s cannot be \"%s\"", name, text);
    return err_fix(err, NULL, "write a size like 1GiB, 800MiB or 2GB");
}

bool plan_request_lists_layers(const char *way)
{
    return way[0] >= '0' && way[0] <= '9';
}

static bool set_strategy(struct cli *c, struct plan_wish *w, struct err *err)
{
    static const char *const ways[] = {"auto", "one", "even", "proportional"};
    const char *way = c->words.value[OPTION_SPLIT];
    if (!way)
        return true;
    if (w->given & (GIVEN_TENSOR_SPLIT | GIVEN_SPLIT_MODE)) {
        err_set(err, ERR_2113, "--split and the engine's own -sm or -ts say how to split twice");
        return err_fix(err, NULL, "give one of them");
    }
    if (plan_request_lists_layers(way))
        return true; /* needs the model: split_layers */
    for (int i = 0; i < 4; i++) {
        if (str_eq_fold(way, ways[i])) {
            w->strategy = (enum plan_strategy)i;
            return true;
        }
    }
    const char *near = str_nearest(way, ways, 4);
    err_set(err, ERR_9002, "--split cannot be \"%s\"", way);
    if (near)
        err_fix(err, NULL, "did you mean %s?", near);
    return err_fix(err, NULL, "auto, one, even, proportional, or layers per card like 46,34");
}

static bool set_goal(struct cli *c, struct plan_wish *w, struct err *err)
{
    static const struct { const char *word; enum plan_goal goal; } goals[] = {
        {"balanced", GOAL_BALANCED}, {"context", GOAL_CONTEXT}, {"speed", GOAL_SPEED}, {"throughput", GOAL_THROUGHPUT}};
    static const char *const words[] = {"balanced", "context", "speed", "throughput"};
    const char *asked = c->words.value[OPTION_GOAL];
    for (int i = 0; asked && i < 4; i++) {
        if (!str_eq_fold(asked, goals[i].word))
            continue;
        w->goal = goals[i].goal;
        if (w->goal == GOAL_CONTEXT && (w->given & GIVEN_CTX)) {
            err_set(err, ERR_2113, "--goal context looks for the largest context, but %s gives one",
                    given(c, OPTION_VLLM_LENGTH) ? "--max-model-len" : "--ctx");
            return err_fix(err, NULL, "leave one of them out");
        }
        if (w->goal != GOAL_CONTEXT && w->ctx_max) {
            err_set(err, ERR_2113, "--ctx max asks for the largest context, --goal %s for something else", asked);
            return err_fix(err, "--goal context", "leave one of them out, or look for the largest context");
        }
        if (w->goal == GOAL_THROUGHPUT && (w->given & GIVEN_PARALLEL) && w->s.n_seq_max == 1) {
            err_set(err, ERR_2113, "--goal throughput is about several streams, but -np 1 allows one");
            return err_fix(err, NULL, "leave -np out, or take --goal speed");
        }
        return true;
    }
    if (!asked)
        return true;
    const char *near = str_nearest(asked, words, 4);
    err_set(err, ERR_9002, "--goal cannot be \"%s\"", asked);
    if (near)
        err_fix(err, NULL, "did you mean %s?", near);
    return err_fix(err, NULL, "balanced, context, speed or throughput");
}

static bool set_options(struct cli *c, struct plan_wish *w, struct err *err)
{
    int64_t n;
    w->spread = given(c, OPTION_SPREAD);
    w->allow_cpu = given(c, OPTION_ALLOW_CPU);
    w->all_alternatives = given(c, OPTION_ALL);
    if (given(c, OPTION_KEEP_FREE)) {
        if (!cli_size(c, OPTION_KEEP_FREE, "--keep-free", &w->keep_free_bytes, err))
            return false;
        w->keep_free_set = true;
    }
    if (given(c, OPTION_HOST_MEMORY)) {
        if (!cli_size(c, OPTION_HOST_MEMORY, "--host-memory", &w->host_memory_bytes, err))
            return false;
        if (w->host_memory_bytes < HOST_LEAST) {
            err_set(err, ERR_2102, "--host-memory %s: an engine does not start in less than 1GiB",
                    c->words.value[OPTION_HOST_MEMORY]);
            return err_fix(err, "--host-memory 1GiB", "the least that is taken");
        }
    }
    if (given(c, OPTION_MAX_GPUS)) {
        const char *text = c->words.value[OPTION_MAX_GPUS];
        if (!str_parse_i64(text, 1, MACHINE_MAX_DEVICES, false, &n)) {
            err_set(err, ERR_9002, "--max-gpus cannot be \"%s\"", text);
            return err_fix(err, NULL, "a number from 1 to %d", MACHINE_MAX_DEVICES);
        }
        w->max_gpus = (uint32_t)n;
    }
    if (!set_strategy(c, w, err) || !set_goal(c, w, err))
        return false;
    if (w->spread && (w->strategy == PLACE_ONE || w->max_gpus)) {
        err_set(err, ERR_2113, "--spread uses every card, %s fewer",
                w->max_gpus ? "--max-gpus" : "--split one");
        return err_fix(err, NULL, "give one of them");
    }
    return true;
}

/* In the spelling that was typed, so that an error names what stands there. */
bool plan_request_apply(struct cli *c, struct engine_request *r, const struct flag *f,
                        const char *word, const char *value, struct err *err)
{
    struct flag spelled = *f;
    spelled.names = arena_strndup(&c->arena, word, strcspn(word, "="));
    if (!spelled.names)
        return err_set(err, ERR_1201, "no memory for a setting");
    return request_apply(r, &spelled, value, &c->arena, err);
}

/* --kv first: -ctk and -ctv say more exactly what is meant. */
static bool apply_settings(struct cli *c, struct engine_request *r, struct err *err)
{
    const char *kv = c->words.value[OPTION_KV];
    if (kv && (!plan_request_apply(c, r, flag_find("-ctk"), "--kv", kv, err) ||
               !plan_request_apply(c, r, flag_find("-ctv"), "--kv", kv, err)))
        return false;
    for (int i = 0; i < c->words.n_settings; i++)
        if (!plan_request_apply(c, r, c->words.setting[i].flag, c->words.setting[i].word,
                                c->words.setting[i].value, err))
            return false;
    return true;
}

bool plan_request_alone(struct cli *c, struct err *err)
{
    static const struct {
        enum option_id id;
        const char *name;
    } chosen[] = {
        {OPTION_KV,          "--kv"                    },
        {OPTION_GOAL,        "--goal"                  },
        {OPTION_SPLIT,       "--split"                 },
        {OPTION_SPREAD,      "--spread"                },
        {OPTION_MAX_GPUS,    "--max-gpus"              },
        {OPTION_ALLOW_CPU,   "--allow-cpu"             },
        {OPTION_VLLM_TP,     "--tensor-parallel-size"  },
        {OPTION_VLLM_PP,     "--pipeline-parallel-size"},
        {OPTION_VLLM_SHARE,  "--gpu-memory-utilization"},
        {OPTION_VLLM_LENGTH, "--max-model-len"         },
        {OPTION_VLLM_SEQS,   "--max-num-seqs"          },
        {OPTION_VLLM_TOKENS, "--max-num-batched-tokens"},
        {OPTION_VLLM_KV,     "--kv-cache-dtype"        },
    };
    const char *name = c->words.n_settings ? c->words.setting[0].flag->names : NULL;
    for (size_t i = 0; i < sizeof(chosen) / sizeof(chosen[0]) && !name; i++)
        name = given(c, chosen[i].id) ? chosen[i].name : NULL;
    if (!name && !c->words.n_words)
        return true;
    if (c->words.n_words)
        err_set(err, ERR_2113, "\"%s\" stands before -- and a command after it", c->words.word[0]);
    else
        err_set(err, ERR_2113,
                "%.*s stands before --, but a whole command leaves nothing to choose",
                (int)strcspn(name, " "), name);
    return err_fix(err, NULL, "put all of it into the command after --");
}

bool plan_request_options(struct cli *c, struct plan_wish *w, struct err *err)
{
    return plan_request_variables(w, err) && set_options(c, w, err);
}

/* What is read here is llama.cpp's alone. */
static bool refuse_vllm(struct cli *c, struct err *err)
{
    const char *engine = c->words.value[OPTION_ENGINE];
    size_t n;
    const struct option *o = option_table(&n);
    if (engine && str_eq_fold(engine, "vllm")) {
        err_set(err, ERR_2113, "--engine vllm is about one plan alone");
        return err_fix(err, NULL, "plan each model by itself, or leave --engine out");
    }
    for (size_t i = 0; i < n; i++) {
        bool its = o[i].id >= OPTION_VLLM_TP && o[i].id <= OPTION_VLLM_KV;
        if (!its || !given(c, o[i].id))
            continue;
        const char *space = strrchr(o[i].names, ' ');
        err_set(err, ERR_2113, "%s is a setting of vLLM, this plan is for llama.cpp",
                space ? space + 1 : o[i].names);
        err_why(err, "llama.cpp loads GGUF files; vLLM loads config.json with safetensors files");
        return err_fix(err, NULL, "leave it out, or name a model in the Hugging Face layout");
    }
    return true;
}

bool plan_request_read(struct cli *c, struct engine_request *r, struct err *err)
{
    if (!refuse_vllm(c, err))
        return false;
    if (c->words.dashes) {
        if (!plan_request_alone(c, err) ||
            !request_parse(r, c->words.n_rest, c->words.rest, environ, &c->arena, err))
            return false;
    } else {
        request_init(r);
        if (!apply_settings(c, r, err))
            return false;
        if (c->words.n_words && r->model_ref)
            return err_set(err, ERR_2113, "the model is named twice: \"%s\" and \"%s\"",
                           c->words.word[0], r->model_ref);
        if (c->words.n_words)
            r->model_ref = c->words.word[0];
    }
    if (!r->model_ref) {
        err_set(err, ERR_9003, "%s",
                c->words.dashes ? "the command after -- names no model" : "plan needs a model");
        return err_fix(err, c->words.command->example, "for example");
    }
    return plan_request_options(c, &r->wish, err) &&
           (c->words.dashes || request_settle(r, err));
}
