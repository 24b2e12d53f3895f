/* place: the engine's choice of a buffer for every weight: its layer's, unless a rule or an op
 * speaks against it. */
#include "law/place.h"

#include <string.h>

#include "base/own.h"
#include "law/override.h"
#include "law/weight.h"

enum { NOT_IN_USE = -2 };

struct placer {
    const struct model *m;
    const struct machine *mc;
    const struct law_settings *s;
    const struct override_set *set;
    struct assignment *a;
};

/* Place in machine.devices -> engine's number; -1 when the engine does not use the device. */
static int engine_number(const struct assignment *a, int place)
{
    for (uint32_t i = 0; i < a->n_devices; i++)
        if (a->device_of[i] == place)
            return (int)i;
    return -1;
}

bool place_never_loads_nextn(const struct model *m)
{
    static const char *const NEVER[] = {"bailingmoe2", "exaone-moe", "exaone4", "glm4",
                                        "dots3note"};
    for (size_t i = 0; i < sizeof(NEVER) / sizeof(*NEVER); i++)
        if (strcmp(m->architecture, NEVER[i]) == 0)
            return true;
    return false;
}

static bool is_ffn_role(uint8_t role)
{
    switch (role) {
    case ROLE_FFN_GATE:
    case ROLE_FFN_UP:
    case ROLE_FFN_DOWN:
    case ROLE_FFN_GATE_INP:
    case ROLE_FFN_EXP_PROBS_B:
    case ROLE_FFN_GATE_EXPS:
    case ROLE_FFN_UP_EXPS:
    case ROLE_FFN_DOWN_EXPS:
    case ROLE_FFN_GATE_UP_EXPS:
    case ROLE_FFN_GATE_SHEXP:
    case ROLE_FFN_UP_SHEXP:
    case ROLE_FFN_DOWN_SHEXP: return true;
    default: return false;
    }
}

/* Parts of NextN blocks that these ask for without the flag that skips them. */
static bool loads_anyway(const struct model *m, uint8_t role)
{
    bool hy = strcmp(m->architecture, "hy_v3") == 0, step = strcmp(m->architecture, "step35") == 0;
    if (strcmp(m->architecture, "deepseek32") == 0 || strcmp(m->architecture, "glm-dsa") == 0)
        return role == ROLE_FFN_EXP_PROBS_B;
    if (!hy && !step && strcmp(m->architecture, "cohere2moe") != 0)
        return false;
    if (role == ROLE_NEXTN_EMBED || role == ROLE_NEXTN_HEAD || role == ROLE_NEXTN_HEAD_NORM)
        return true;
    bool attn = role == ROLE_ATTN_Q_NORM || role == ROLE_ATTN_K_NORM || role == ROLE_ATTN_GATE;
    return ((hy || step) && is_ffn_role(role)) || (step && attn);
}

static bool is_loaded(const struct model *m, const struct law_settings *s,
                      const struct model_tensor *t)
{
    if (t->layer < 0 || (uint32_t)t->layer >= m->n_layers || !m->layers[t->layer].nextn)
        return true;
    return (s->mtp && !place_never_loads_nextn(m)) || loads_anyway(m, t->role);
}

/* Gemma 4 makes rope factors for its full layers only. */
static bool layer_has_rope_factors(const struct model *m, uint32_t il)
{
    if (m->layers[il].nextn)
        return false;
    if (strcmp(m->architecture, "gemma4") != 0)
        return true;
    return !m->layers[il].window;
}

static int home_buffer(const struct model *m, const struct assignment *a,
                       const struct model_tensor *t)
{
    switch (weight_place(m, t)) {
    case WEIGHT_INPUT: return LAW_HOST;
    case WEIGHT_OUTPUT: return a->layer_buffer[m->n_layers];
    case WEIGHT_LAYER:
        return (uint32_t)t->layer < m->n_layers ? a->layer_buffer[t->layer] : LAW_HOST;
    case WEIGHT_FIRST_LAYER: break;
    }
    return a->layer_buffer[0];
}

/* Where a weight ends up when it is asked to lie in `buffer`: on the host when that device lacks
 * its op. RPC devices claim to know every op. */
static int supported_buffer(const struct model *m, const struct machine *mc,
                            const struct assignment *a, const struct model_tensor *t,
                            enum weight_op op, int buffer)
{
    if (buffer == LAW_HOST)
        return LAW_HOST;
    if (mc->devices[a->device_of[buffer]].backend == BACKEND_RPC || weight_fits_cuda(m, t, op))
        return buffer;
    return LAW_HOST;
}

/* NOT_IN_USE: a rule sends it to a device that the model does not run on. */
static int place_tensor(const struct placer *p, const struct model_tensor *t, enum weight_op op,
                        int home)
{
    int target = override_find(p->set, t->name, t->layer);
    if (target == LAW_HOST)
        return LAW_HOST;
    if (target == OVERRIDE_NONE)
        return supported_buffer(p->m, p->mc, p->a, t, op, home);
    int number = p->s->split == SPLIT_TENSOR ? -1 : engine_number(p->a, target);
    return number >= 0 ? number : NOT_IN_USE;
}

/* The engine would abort: no op can run where this weight lies. */
static bool refuse_target(const struct placer *p, const struct model_tensor *t, struct err *err)
{
    if (p->s->split == SPLIT_TENSOR)
        err_set(err, ERR_2112, "-ot sends %s to one device, but -sm tensor makes one of all",
                t->name);
    else
        err_set(err, ERR_2114, "-ot sends %s to device %d, which is not in use", t->name,
                override_find(p->set, t->name, t->layer));
    return err_fix(err, "-sm layer", "use all devices by layers, or send the tensor to CPU");
}

/* Weights of the host lie in the pinned memory of the first device that has such; only without one
 * are they repacked. */
static bool host_repacks(const struct machine *mc, const struct law_settings *s,
                         const struct assignment *a)
{
    if (!mc->host.avx2 || s->no_repack)
        return false;
    if (s->no_host)
        return true;
    for (uint32_t i = 0; i < a->n_devices; i++)
        if (mc->devices[a->device_of[i]].backend != BACKEND_RPC)
            return false;
    return true;
}

bool assign_is_repacked(const struct model *m, const struct machine *mc,
                        const struct law_settings *s, const struct assignment *a, uint32_t tensor)
{
    const struct model_tensor *t = &m->tensors[tensor];
    return a->tensor_buffer[tensor] == LAW_HOST && host_repacks(mc, s, a) &&
           weight_fits_repack(t, weight_op(m, t));
}

/* Encoders have no output matrix, so nothing is copied for one. */
static bool is_encoder(const struct model *m)
{
    static const char *const ENCODERS[] = {
        "bert",         "nomic-bert",  "nomic-bert-moe", "neo-bert",  "jina-bert-v2",
        "jina-bert-v3", "modern-bert", "eurobert",       "t5encoder", "wavtokenizer-dec",
        "clip"};
    for (size_t i = 0; i < sizeof(ENCODERS) / sizeof(*ENCODERS); i++)
        if (strcmp(m->architecture, ENCODERS[i]) == 0)
            return true;
    return false;
}

/* These ask for the copy before they have the embedding, so they get it even in the same buffer. */
static bool copies_first(const struct model *m)
{
    return strcmp(m->architecture, "gemma3n") == 0 || strcmp(m->architecture, "gemma4") == 0;
}

const struct model_tensor *assign_copied_tensor(const struct model *m)
{
    const struct model_tensor *t = model_global(m, ROLE_TOKEN_EMBD, PART_WEIGHT);
    return t ? t : model_global(m, ROLE_OUTPUT, PART_WEIGHT);
}

/* A model without output.weight multiplies by token_embd: a second copy, unless both would lie in
 * the same buffer. CodeShell without token_embd looks tokens up in a copy of output.weight. */
static int place_output_copy(const struct placer *p)
{
    const struct model *m = p->m;
    const struct model_tensor *t = model_global(m, ROLE_TOKEN_EMBD, PART_WEIGHT);
    bool uses_embd = strcmp(m->architecture, "bitnet") == 0; /* as it lies, no copy */
    if (!t && strcmp(m->architecture, "codeshell") == 0 && (t = assign_copied_tensor(m)))
        return place_tensor(p, t, WEIGHT_MUL_MAT, p->a->layer_buffer[m->n_layers]);
    if (!t || model_global(m, ROLE_OUTPUT, PART_WEIGHT) || is_encoder(m) || uses_embd)
        return ASSIGN_NOT_LOADED;
    int buffer = place_tensor(p, t, WEIGHT_MUL_MAT, p->a->layer_buffer[m->n_layers]);
    if (buffer != p->a->tensor_buffer[t - m->tensors] || copies_first(m))
        return buffer;
    bool repacked = host_repacks(p->mc, p->s, p->a) && weight_fits_repack(t, WEIGHT_MUL_MAT);
    return buffer == LAW_HOST && repacked ? LAW_HOST : ASSIGN_NOT_LOADED;
}

bool place_repacks_copy(const struct model *m, const struct machine *mc,
                        const struct law_settings *s, const struct assignment *a)
{
    const struct model_tensor *t = assign_copied_tensor(m);
    return t && a->output_copy_buffer == LAW_HOST && host_repacks(mc, s, a) &&
           weight_fits_repack(t, WEIGHT_MUL_MAT);
}

static uint8_t rope_bit(const struct model_tensor *t)
{
    return (uint8_t)(1u << (t->role - ROLE_ROPE_FREQS));
}

static int place_rope_factor(const struct placer *p, const struct model_tensor *t)
{
    if (override_find(p->set, t->name, -1) != OVERRIDE_NONE)
        p->a->rope_fixed |= rope_bit(t);
    for (uint32_t il = 0; il < p->m->n_layers; il++)
        if (layer_has_rope_factors(p->m, il))
            return place_tensor(p, t, WEIGHT_ANY, p->a->layer_buffer[il]);
    return ASSIGN_NOT_LOADED;
}

int assign_rope_buffer(const struct model *m, const struct assignment *a,
                       const struct model_tensor *t, uint32_t layer)
{
    bool fixed = a->rope_fixed & rope_bit(t);
    return fixed ? a->tensor_buffer[t - m->tensors] : a->layer_buffer[layer];
}

/* One copy in every buffer that holds a layer, unless a rule sent it to one place. */
bool assign_copies_rope_factor(const struct model *m, const struct assignment *a,
                               const struct model_tensor *t, int buffer)
{
    for (uint32_t il = 0; il < m->n_layers; il++)
        if (layer_has_rope_factors(m, il) && assign_rope_buffer(m, a, t, il) == buffer)
            return true;
    return false;
}

static bool place_all(const struct placer *p, struct err *err)
{
    for (uint32_t i = 0; i < p->m->n_tensors; i++) {
        const struct model_tensor *t = &p->m->tensors[i];
        int buffer = ASSIGN_NOT_LOADED;
        if (weight_is_rope_factor(t))
            buffer = place_rope_factor(p, t);
        else if (is_loaded(p->m, p->s, t))
            buffer = place_tensor(p, t, weight_op(p->m, t), home_buffer(p->m, p->a, t));
        if (buffer == NOT_IN_USE)
            return refuse_target(p, t, err);
        p->a->tensor_buffer[i] = (int8_t)buffer;
        p->a->repacked_any |= assign_is_repacked(p->m, p->mc, p->s, p->a, i);
    }
    p->a->output_copy_buffer = place_output_copy(p);
    return true;
}

bool place_tensors(const struct model *m, const struct machine *mc, const struct law_settings *s,
                   struct arena *arena, struct assignment *a, struct err *err)
{
    own(own_override_set) struct override_set set;
    struct placer p = {m, mc, s, &set, a};
    if (!override_set_init(&set, s, err))
        return false;
    a->tensor_buffer = arena_array(arena, int8_t, m->n_tensors ? m->n_tensors : 1);
    if (!a->tensor_buffer)
        return err_set(err, ERR_1201, "no memory to place %u tensors", m->n_tensors);
    return place_all(&p, err);
}
