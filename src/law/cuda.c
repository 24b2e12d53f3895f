/* cuda: which ops the CUDA and CPU backends run, and how many bytes their results take. */
#include "law/cuda.h"
#include "law/law.h"

enum { ROW_PADDING = 512, KQ_STRIDE = 256, CC_VOLTA = 700, CC_TURING = 750, CC_ADA = 890 };

enum attention_kernel { KERNEL_NONE, KERNEL_TILE, KERNEL_VEC, KERNEL_MMA };

static bool is_float(uint32_t type)
{
    return type == GGUF_TYPE_F32 || type == GGUF_TYPE_F16 || type == GGUF_TYPE_BF16;
}

static bool is_f32_or_f16(uint32_t type)
{
    return type == GGUF_TYPE_F32 || type == GGUF_TYPE_F16;
}

static bool attention_reads(uint32_t type)
{
    return is_float(type) || type == GGUF_TYPE_Q4_0 || type == GGUF_TYPE_Q4_1 ||
           type == GGUF_TYPE_Q5_0 || type == GGUF_TYPE_Q5_1 || type == GGUF_TYPE_Q8_0;
}

/* All heads of a group can go through one kernel at once. */
static bool groups_heads(const struct g_tensor *op)
{
    const struct g_tensor *q = op->src[0], *k = op->src[1], *mask = op->src[3];
    if (q->ne[2] / k->ne[2] < 2 || !mask || op->param[0] || k->ne[1] % KQ_STRIDE)
        return false;
    for (int i = 0; i < 4; i++) {
        const struct g_tensor *t = op->src[i];
        if (g_is_quantised(t->type))
            continue;
        if (t->nb[1] % 16 || t->nb[2] % 16 || t->nb[3] % 16)
            return false;
    }
    return true;
}

static bool head_sizes_fit(int64_t dk, int64_t dv, int64_t ratio, bool grouped)
{
    switch (dk) {
    case 40:
    case 64:
    case 72:
    case 80:
    case 96:
    case 112:
    case 128:
    case 256: return dv == dk;
    case 192: return dv == 128 && grouped && ratio % 8 == 0;
    case 320: return dv == 256 && grouped && ratio % 32 == 0;
    case 512: return dv == 512 && grouped;
    case 576: return dv == 512 && grouped;
    default: return false;
    }
}

/* One query over few of many cells: only the tensor core kernel can gather them. */
static bool gathers_sparsely(const struct g_tensor *op, int64_t ratio, bool grouped)
{
    const struct g_tensor *q = op->src[0], *k = op->src[1], *v = op->src[2], *mask = op->src[3];
    int64_t n = op->param[2], dk = k->ne[0], dv = v->ne[0];
    if (!grouped || ratio <= 4 || dk != dv || (dk != 512 && dk != 256) || n <= 0 || op->param[1])
        return false;
    int64_t queries = q->ne[1] < 8 ? q->ne[1] : 8;
    int64_t gathered = 2 * queries * n > 4096 ? 2 * queries * n : 4096;
    return mask->ne[0] == k->ne[1] && mask->ne[1] >= q->ne[1] && mask->ne[2] == 1 &&
           k->ne[1] >= gathered;
}

static enum attention_kernel kernel_with_tensor_cores(int cc, const struct g_tensor *op,
                                                      int64_t ratio, bool grouped,
                                                      bool vec_possible)
{
    const struct g_tensor *q = op->src[0], *k = op->src[1], *v = op->src[2];
    if (!vec_possible)
        return KERNEL_MMA;
    if (g_is_quantised(k->type) || g_is_quantised(v->type)) {
        if (q->ne[1] <= (cc >= CC_ADA ? 2 : 1))
            return KERNEL_VEC;
    } else if (!gathers_sparsely(op, ratio, grouped) && cc >= CC_ADA && q->ne[1] == 1 &&
               q->ne[3] == 1 && !(ratio > 4 && (q->ne[0] >= 256 || k->ne[1] >= 8192))) {
        return KERNEL_VEC;
    }
    return !grouped && q->ne[1] == 1 ? KERNEL_VEC : KERNEL_MMA;
}

static enum attention_kernel kernel_of_volta(const struct g_tensor *op, int64_t ratio,
                                             bool vec_possible)
{
    int64_t dk = op->src[0]->ne[0], most = dk == 320 ? 32 : dk == 576 || dk == 192 ? 16 : 8;
    int64_t columns = 1;
    while (ratio % (2 * columns) == 0 && columns < most)
        columns *= 2;
    columns *= op->src[0]->ne[1];
    if (vec_possible && columns <= 2)
        return KERNEL_VEC;
    return columns <= 16 ? KERNEL_TILE : KERNEL_MMA;
}

static enum attention_kernel choose_kernel(const struct cuda_rules *r, const struct g_tensor *op)
{
    const struct g_tensor *q = op->src[0], *k = op->src[1], *v = op->src[2], *mask = op->src[3];
    int64_t ratio = q->ne[2] / k->ne[2], dk = q->ne[0];
    bool grouped = groups_heads(op);
    if (!head_sizes_fit(k->ne[0], v->ne[0], ratio, grouped) || !attention_reads(k->type) ||
        !attention_reads(v->type) || (mask && mask->ne[2] != 1))
        return KERNEL_NONE;
    bool vec_possible = dk <= 256 && dk % 64 == 0 && dk != 192 && k->ne[1] % KQ_STRIDE == 0;
    bool odd_head = dk == 40 || dk == 72;
    if (r->cc >= CC_TURING && !odd_head)
        return kernel_with_tensor_cores(r->cc, op, ratio, grouped, vec_possible);
    if (r->cc >= CC_VOLTA && r->cc < CC_TURING && !odd_head)
        return kernel_of_volta(op, ratio, vec_possible);
    bool quantised = g_is_quantised(k->type) || g_is_quantised(v->type);
    if (vec_possible && (quantised ? q->ne[1] <= 2 : q->ne[1] == 1 && !grouped))
        return KERNEL_VEC;
    return KERNEL_TILE;
}

/* Pairs of K and V types whose vector kernels are compiled by default. */
static bool has_vec_kernel(int64_t dk, uint32_t k, uint32_t v)
{
    k = k == GGUF_TYPE_F32 ? GGUF_TYPE_F16 : k;
    v = v == GGUF_TYPE_F32 ? GGUF_TYPE_F16 : v;
    return (dk == 64 || dk == 128 || dk == 256) && k == v &&
           (k == GGUF_TYPE_F16 || k == GGUF_TYPE_BF16 || k == GGUF_TYPE_Q4_0 ||
            k == GGUF_TYPE_Q8_0);
}

static bool is_view_of_k(const struct g_tensor *v, const struct g_tensor *k)
{
    return v->view_src &&
           (v->view_src == k || (v->view_src == k->view_src && v->view_offset == k->view_offset));
}

static uint64_t append_f16(uint64_t end, const struct g_tensor *t)
{
    return ((end + 127) & ~(uint64_t)127) + 2 * (uint64_t)g_nelements(t);
}

static uint64_t attention_size(const struct cuda_rules *r, const struct g_tensor *op)
{
    const struct g_tensor *k = op->src[1], *v = op->src[2];
    enum attention_kernel kernel = choose_kernel(r, op);
    bool all = kernel == KERNEL_TILE || kernel == KERNEL_MMA ||
               (kernel == KERNEL_VEC && !has_vec_kernel(op->src[0]->ne[0], k->type, v->type));
    bool vec = kernel == KERNEL_VEC;
    uint64_t end = g_nbytes(op);
    if (k->type != GGUF_TYPE_F16 && (all || (vec && k->type == GGUF_TYPE_F32)))
        end = append_f16(end, k);
    if (v->type != GGUF_TYPE_F16 && (all || (vec && v->type == GGUF_TYPE_F32)) &&
        !is_view_of_k(v, k))
        end = append_f16(end, v);
    return end;
}

uint64_t cuda_size_of(const void *ctx, const struct g_tensor *t)
{
    uint64_t size = t->op == OP_FLASH_ATTN_EXT ? attention_size(ctx, t) : g_nbytes(t);
    if (g_is_quantised(t->type) && t->ne[0] % ROW_PADDING)
        size += g_row_bytes(t->type, ROW_PADDING - t->ne[0] % ROW_PADDING);
    return size;
}

uint64_t host_size_of(const void *ctx, const struct g_tensor *t)
{
    return g_nbytes(t);
}

static bool multiplies(const struct g_tensor *op)
{
    const struct g_tensor *a = op->src[0], *b = op->src[1];
    if (a->nb[0] != g_element_size(a) || b->nb[0] != g_element_size(b))
        return false;
    if (b->type == GGUF_TYPE_F16 && a->type != GGUF_TYPE_F16)
        return false;
    return is_float(a->type) || (g_is_quantised(a->type) && a->type != GGUF_TYPE_TQ1_0 &&
                                 a->type != GGUF_TYPE_TQ2_0 && a->type != GGUF_TYPE_Q8_1);
}

static bool picks_rows(const struct g_tensor *a)
{
    switch (a->type) {
    case GGUF_TYPE_IQ4_NL:
    case GGUF_TYPE_MXFP4: return a->ne[0] % 256 == 0;
    case GGUF_TYPE_Q8_1:
    case GGUF_TYPE_Q8_K:
    case GGUF_TYPE_NVFP4:
    case GGUF_TYPE_TQ1_0:
    case GGUF_TYPE_TQ2_0: return false;
    default: return is_float(a->type) || a->type == GGUF_TYPE_I32 || g_is_quantised(a->type);
    }
}

static bool stores_rows(const struct g_tensor *op)
{
    uint32_t to = op->type, from = op->src[0]->type, at = op->src[1]->type;
    bool known = is_float(to) || to == GGUF_TYPE_Q4_0 || to == GGUF_TYPE_Q4_1 ||
                 to == GGUF_TYPE_Q5_0 || to == GGUF_TYPE_Q5_1 || to == GGUF_TYPE_Q8_0 ||
                 to == GGUF_TYPE_IQ4_NL;
    bool types = (known && from == GGUF_TYPE_F32) || (to == GGUF_TYPE_F16 && from == GGUF_TYPE_F16);
    return types && (at == GGUF_TYPE_I64 || at == GGUF_TYPE_I32);
}

static bool copies(const struct g_tensor *op)
{
    const struct g_tensor *a = op->src[0], *b = op->src[1];
    uint32_t from = a->type, to = b->type;
    if (is_float(from) && is_float(to))
        return true;
    if (from == GGUF_TYPE_F32 &&
        (to == GGUF_TYPE_Q8_0 || to == GGUF_TYPE_Q4_0 || to == GGUF_TYPE_Q4_1 ||
         to == GGUF_TYPE_Q5_0 || to == GGUF_TYPE_Q5_1 || to == GGUF_TYPE_IQ4_NL ||
         to == GGUF_TYPE_I32))
        return true;
    if (to == GGUF_TYPE_F32 &&
        (from == GGUF_TYPE_Q8_0 || from == GGUF_TYPE_Q4_0 || from == GGUF_TYPE_Q4_1 ||
         from == GGUF_TYPE_Q5_0 || from == GGUF_TYPE_Q5_1 || from == GGUF_TYPE_I32))
        return true;
    if (from == GGUF_TYPE_I32 && to == GGUF_TYPE_I32)
        return true;
    return from == to && g_is_contiguous(a) && g_is_contiguous(b);
}

static bool joins(const struct g_tensor *op)
{
    const struct g_tensor *a = op->src[0], *b = op->src[1];
    if (a->type != b->type)
        return false;
    if (!g_is_quantised(a->type))
        return true;
    return op->param[0] == 3 ? g_is_contiguous(a) && g_is_contiguous(b)
                             : g_is_contiguous_to_3(a) && g_is_contiguous_to_3(b);
}

static bool scans_state(const struct g_tensor *op)
{
    const struct g_tensor *s = op->src[0];
    if (op->src[3]->ne[0] == 1) /* Mamba 2 */
        return (s->ne[0] == 128 || s->ne[0] == 256) && s->ne[1] % 16 == 0;
    return op->param[0] <= 1 && s->ne[0] == 16 && s->ne[1] == 1 && s->ne[2] % 128 == 0 &&
           op->src[4]->ne[1] == 1;
}

static bool indexes(const struct g_tensor *op)
{
    const struct g_tensor *q = op->src[0], *k = op->src[1];
    if (q->ne[0] != 128 || (q->ne[1] != 64 && q->ne[1] != 32))
        return false;
    for (int i = 0; i < 2; i++) {
        const struct g_tensor *t = op->src[i];
        if (!g_is_quantised(t->type) && (t->nb[1] % 16 || t->nb[2] % 16 || t->nb[3] % 16))
            return false;
    }
    return attention_reads(k->type);
}

static bool supports_by_op(const struct cuda_rules *r, const struct g_tensor *op)
{
    const struct g_tensor *a = op->src[0], *b = op->src[1];
    switch (op->op) {
    case OP_UNARY: return op->sub != U_SQRT && g_is_contiguous(a);
    case OP_GLU: return g_is_contiguous_1(a);
    case OP_MUL_MAT_ID: return !op->param[0] && multiplies(op);
    case OP_MUL_MAT: return multiplies(op);
    case OP_OUT_PROD:
        return op->type == GGUF_TYPE_F32 && a->type == GGUF_TYPE_F32 && b->type == GGUF_TYPE_F32;
    case OP_GET_ROWS: return picks_rows(a);
    case OP_SET_ROWS: return stores_rows(op);
    case OP_SET:
        return (op->type == GGUF_TYPE_F32 || op->type == GGUF_TYPE_I32) && a->type == op->type &&
               b->type == op->type;
    case OP_CPY: return copies(op);
    case OP_REPEAT: return is_f32_or_f16(a->type);
    case OP_CONCAT: return joins(op);
    case OP_NORM:
    case OP_RMS_NORM:
    case OP_L2_NORM:
    case OP_SUM: return g_is_contiguous_rows(a);
    case OP_SUM_ROWS:
    case OP_MEAN:
        return a->type == GGUF_TYPE_F32 && op->type == GGUF_TYPE_F32 && g_is_contiguous_rows(a);
    case OP_GROUP_NORM: return g_is_contiguous(a);
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV: return is_f32_or_f16(a->type) && is_f32_or_f16(b->type) && is_f32_or_f16(op->type);
    case OP_SSM_SCAN: return scans_state(op);
    case OP_SSM_CONV: return a->ne[1] % 128 == 0;
    case OP_ROPE: return a->nb[0] == g_element_size(a) && g_is_contiguous_2(a);
    case OP_FLASH_ATTN_EXT: return choose_kernel(r, op) != KERNEL_NONE;
    case OP_LIGHTNING_INDEXER: return indexes(op);
    case OP_CUSTOM: return false;
    default: return true;
    }
}

bool cuda_supports(const struct cuda_rules *r, const struct g_tensor *op)
{
    if (r->remote)
        return true;
    for (int i = 0; i < op->n_src; i++)
        if (op->src[i] && op->src[i]->buffer != G_NO_BUFFER && op->src[i]->buffer != LAW_HOST &&
            op->src[i]->buffer != r->device)
            return false;
    return supports_by_op(r, op);
}

bool cuda_offloads(const struct cuda_rules *r, const struct g_tensor *op)
{
    if (r->passive)
        return false;
    switch (op->op) {
    case OP_GET_ROWS: return false;
    case OP_MUL_MAT: return op->ne[1] >= CUDA_OFFLOAD_MIN_BATCH;
    case OP_MUL_MAT_ID:
    case OP_ROPE: return op->ne[2] >= CUDA_OFFLOAD_MIN_BATCH;
    default: return op->ne[1] * op->ne[2] * op->ne[3] >= CUDA_OFFLOAD_MIN_BATCH;
    }
}

/* Repacked weights serve the products they were made for, nothing else. */
static bool multiplies_repacked(const struct g_tensor *op)
{
    const struct g_tensor *b = op->src[1];
    bool product = op->op == OP_MUL_MAT || op->op == OP_MUL_MAT_ID;
    return product && op->src[0]->flags & G_REPACK && b->type == GGUF_TYPE_F32 &&
           (b->buffer == G_NO_BUFFER || b->buffer == LAW_HOST);
}

bool cpu_supports(const struct g_tensor *op)
{
    if (g_is_view_op(op->op))
        return true;
    for (int i = 0; i < 4; i++)
        if (op->src[i] && op->src[i]->flags & G_REPACK)
            return multiplies_repacked(op);
    switch (op->op) {
    case OP_CPY:
    case OP_SET_ROWS:
        return op->type != GGUF_TYPE_IQ3_XXS && op->type != GGUF_TYPE_IQ3_S &&
               op->type != GGUF_TYPE_IQ2_XXS && op->type != GGUF_TYPE_IQ2_XS &&
               op->type != GGUF_TYPE_IQ2_S && op->type != GGUF_TYPE_IQ1_S &&
               op->type != GGUF_TYPE_IQ1_M;
    case OP_MUL_MAT: /* the second operand is F32, or already of the type the first one is
                        multiplied with */
        return op->src[1]->type == GGUF_TYPE_F32 ||
               (op->src[1]->type == op->src[0]->type && is_float(op->src[0]->type));
    case OP_OUT_PROD:
        return op->src[1]->type == GGUF_TYPE_F32 && op->src[0]->type != GGUF_TYPE_BF16;
    case OP_SSM_SCAN: return op->param[0] == 1 || op->src[3]->ne[0] == 1;
    default: return true;
    }
}
