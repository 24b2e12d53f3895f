/* weight: roles of tensors, the ops that use them, and what CUDA and the CPU can do with them. */
#include "law/weight.h"

#include <string.h>

#include "model/family.h"

static bool is_expert(uint8_t role)
{
    switch (role) {
    case ROLE_FFN_GATE_EXPS:
    case ROLE_FFN_UP_EXPS:
    case ROLE_FFN_DOWN_EXPS:
    case ROLE_FFN_GATE_UP_EXPS:
    case ROLE_FFN_GATE_CHEXPS:
    case ROLE_FFN_UP_CHEXPS:
    case ROLE_FFN_DOWN_CHEXPS: return true;
    default: return false;
    }
}

static bool is_element_role(uint8_t role)
{
    switch (role) {
    case ROLE_TOKEN_EMBD_NORM:
    case ROLE_OUTPUT_NORM:
    case ROLE_CLS_NORM:
    case ROLE_PER_LAYER_PROJ_NORM:
    case ROLE_ATTN_NORM:
    case ROLE_ATTN_NORM_2:
    case ROLE_ATTN_Q_NORM:
    case ROLE_ATTN_K_NORM:
    case ROLE_ATTN_OUT_NORM:
    case ROLE_ATTN_POST_NORM:
    case ROLE_ATTN_SUB_NORM:
    case ROLE_ATTN_Q_A_NORM:
    case ROLE_ATTN_KV_A_NORM:
    case ROLE_INDEXER_K_NORM:
    case ROLE_FFN_NORM:
    case ROLE_FFN_POST_NORM:
    case ROLE_FFN_POST_NORM_1:
    case ROLE_FFN_POST_NORM_2:
    case ROLE_FFN_PRE_NORM_2:
    case ROLE_FFN_SUB_NORM:
    case ROLE_FFN_NORM_EXPS:
    case ROLE_FFN_ACT:
    case ROLE_FFN_EXP_PROBS_B:
    case ROLE_LAYER_OUT_NORM:
    case ROLE_LAYER_OUT_SCALE:
    case ROLE_SSM_DT_NORM:
    case ROLE_SSM_B_NORM:
    case ROLE_SSM_C_NORM:
    case ROLE_SSM_D:
    case ROLE_SSM_NORM:
    case ROLE_SSM_CONV1D_Q:
    case ROLE_SSM_CONV1D_K:
    case ROLE_SSM_CONV1D_V:
    case ROLE_PER_LAYER_POST_NORM:
    case ROLE_ALTUP_CORRECT_SCALE:
    case ROLE_ALTUP_ROUTER_NORM:
    case ROLE_LAUREL_POST_NORM:
    case ROLE_TIME_MIX_W0:
    case ROLE_TIME_MIX_LERP_X:
    case ROLE_TIME_MIX_LERP_W:
    case ROLE_TIME_MIX_LERP_K:
    case ROLE_TIME_MIX_LERP_V:
    case ROLE_TIME_MIX_LERP_R:
    case ROLE_TIME_MIX_LERP_G:
    case ROLE_TIME_MIX_LERP_FUSED:
    case ROLE_TIME_MIX_DECAY:
    case ROLE_TIME_MIX_LN:
    case ROLE_TIME_MIX_A0:
    case ROLE_TIME_MIX_V0:
    case ROLE_TIME_MIX_K_K:
    case ROLE_TIME_MIX_K_A:
    case ROLE_TIME_MIX_R_K:
    case ROLE_CHANNEL_MIX_LERP_K:
    case ROLE_CHANNEL_MIX_LERP_R:
    case ROLE_NEXTN_ENORM:
    case ROLE_NEXTN_HNORM:
    case ROLE_NEXTN_HEAD_NORM: return true;
    default: return false;
    }
}

bool weight_is_rope_factor(const struct model_tensor *t)
{
    return t->role == ROLE_ROPE_FREQS || t->role == ROLE_ROPE_FACTORS_LONG ||
           t->role == ROLE_ROPE_FACTORS_SHORT;
}

enum weight_op weight_op(const struct model *m, const struct model_tensor *t)
{
    if (t->part == PART_BIAS)
        return is_expert(t->role) ? WEIGHT_ANY : WEIGHT_ELEMENT;
    if (is_expert(t->role))
        return WEIGHT_MUL_MAT_ID;
    if (is_element_role(t->role))
        return WEIGHT_ELEMENT;
    switch (t->role) {
    case ROLE_TOKEN_EMBD:
    case ROLE_POSITION_EMBD:
    case ROLE_TOKEN_TYPES:
    case ROLE_PER_LAYER_TOKEN_EMBD:
    case ROLE_NEXTN_EMBED: return WEIGHT_GET_ROWS;
    case ROLE_SSM_CONV1D:
    case ROLE_SHORTCONV_CONV: return WEIGHT_SSM_CONV;
    case ROLE_SSM_A: /* the Mambas scan by it, the delta nets multiply */
        return m->family->state == STATE_SSM && m->family->layers != RULE_RECURRENT_EXCEPT_EVERY
                   ? WEIGHT_SSM_SCAN
                   : WEIGHT_ELEMENT;
    case ROLE_TIME_MIX_FIRST:
    case ROLE_ATTN_SINKS:
    case ROLE_ROPE_FREQS:
    case ROLE_ROPE_FACTORS_LONG:
    case ROLE_ROPE_FACTORS_SHORT: return WEIGHT_ANY;
    default: return WEIGHT_MUL_MAT;
    }
}

enum weight_place weight_place(const struct model *m, const struct model_tensor *t)
{
    if (t->layer >= 0)
        return WEIGHT_LAYER;
    switch (t->role) {
    case ROLE_TOKEN_EMBD:
    case ROLE_POSITION_EMBD:
    case ROLE_TOKEN_TYPES:
    case ROLE_PER_LAYER_TOKEN_EMBD: return WEIGHT_INPUT;
    case ROLE_TOKEN_EMBD_NORM: /* LFM2 files call their output norm so */
        return strncmp(m->architecture, "lfm2", 4) == 0 ? WEIGHT_OUTPUT : WEIGHT_FIRST_LAYER;
    case ROLE_PER_LAYER_MODEL_PROJ:
    case ROLE_PER_LAYER_PROJ_NORM: return WEIGHT_FIRST_LAYER;
    default: return WEIGHT_OUTPUT;
    }
}

/* mul_mat and mul_mat_id: all but the ternary types and those that are never stored. */
static bool cuda_multiplies(uint8_t type)
{
    switch (type) {
    case GGUF_TYPE_TQ1_0:
    case GGUF_TYPE_TQ2_0:
    case GGUF_TYPE_Q8_1:
    case GGUF_TYPE_I8:
    case GGUF_TYPE_I16:
    case GGUF_TYPE_I32:
    case GGUF_TYPE_I64:
    case GGUF_TYPE_F64: return false;
    default: return true;
    }
}

static bool cuda_gets_rows(const struct model_tensor *t)
{
    switch (t->type) {
    case GGUF_TYPE_IQ4_NL:
    case GGUF_TYPE_MXFP4: return t->ne[0] % 256 == 0;
    case GGUF_TYPE_NVFP4:
    case GGUF_TYPE_Q8_K: return false;
    case GGUF_TYPE_I32: return true;
    default: return cuda_multiplies(t->type);
    }
}

/* A is {d_state, channels} in the first Mamba, {1, heads} in the second. */
static bool cuda_scans(const struct model *m, const struct model_tensor *t)
{
    uint64_t heads = t->ne[1], inner = m->hp.ssm_inner;
    if (heads == 0)
        return false;
    if (t->ne[0] == 1)
        return (m->hp.ssm_state == 128 || m->hp.ssm_state == 256) && inner / heads % 16 == 0;
    return t->ne[0] == 16 && inner / heads == 1 && heads % 128 == 0 && m->hp.ssm_groups <= 1;
}

bool weight_fits_cuda(const struct model *m, const struct model_tensor *t, enum weight_op op)
{
    switch (op) {
    case WEIGHT_MUL_MAT:
    case WEIGHT_MUL_MAT_ID: return cuda_multiplies(t->type);
    case WEIGHT_GET_ROWS: return cuda_gets_rows(t);
    case WEIGHT_ELEMENT: return t->type == GGUF_TYPE_F32 || t->type == GGUF_TYPE_F16;
    case WEIGHT_SSM_CONV: return t->ne[1] % 128 == 0;
    case WEIGHT_SSM_SCAN: return cuda_scans(m, t);
    case WEIGHT_ANY: return true;
    }
    return true;
}

bool weight_fits_repack(const struct model_tensor *t, enum weight_op op)
{
    switch (t->type) {
    case GGUF_TYPE_Q4_0:
    case GGUF_TYPE_Q4_K:
    case GGUF_TYPE_IQ4_NL:
    case GGUF_TYPE_MXFP4: break;
    default: return false;
    }
    if (t->ne[1] % 8 != 0 || t->ne[3] != 1)
        return false;
    if (op == WEIGHT_MUL_MAT)
        return t->ne[1] > 1 && t->ne[2] == 1;
    return op == WEIGHT_MUL_MAT_ID && t->ne[2] > 1;
}
