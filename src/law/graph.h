/* graph: the engine's compute graph as shapes only: what every op makes, reads and views.
 *
 * A graph here has the same nodes in the same order as the engine's own (a post-order walk over
 * sources that g_expand starts), because the allocator's answer depends on that order. Names of ops
 * follow ggml. */
#ifndef LAW_GRAPH_H
#define LAW_GRAPH_H

#include "base/arena.h"
#include "gguf/type.h"

enum g_op {
    OP_NONE, /* leaf: weight, cache or input */
    OP_DUP,
    OP_ADD,
    OP_ADD_ID,
    OP_ADD1,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_SQR,
    OP_SQRT,
    OP_LOG,
    OP_SIN,
    OP_COS,
    OP_SUM,
    OP_SUM_ROWS,
    OP_CUMSUM,
    OP_MEAN,
    OP_ARGMAX,
    OP_REPEAT,
    OP_CONCAT,
    OP_NORM,
    OP_RMS_NORM,
    OP_GROUP_NORM,
    OP_L2_NORM,
    OP_MUL_MAT,
    OP_MUL_MAT_ID,
    OP_OUT_PROD,
    OP_SCALE,
    OP_SET,
    OP_CPY,
    OP_CONT,
    OP_RESHAPE,
    OP_VIEW,
    OP_PERMUTE,
    OP_TRANSPOSE,
    OP_GET_ROWS,
    OP_SET_ROWS,
    OP_DIAG,
    OP_DIAG_MASK_INF,
    OP_SOFT_MAX,
    OP_ROPE,
    OP_CLAMP,
    OP_PAD,
    OP_ARANGE,
    OP_ARGSORT,
    OP_TOP_K,
    OP_TRI,
    OP_FILL,
    OP_FLASH_ATTN_EXT,
    OP_SSM_CONV,
    OP_SSM_SCAN,
    OP_RWKV_WKV6,
    OP_RWKV_WKV7,
    OP_GATED_DELTA_NET,
    OP_GATED_LINEAR_ATTN,
    OP_SOLVE_TRI,
    OP_UNARY,
    OP_GLU,
    OP_LIGHTNING_INDEXER,
    OP_DSV4_HC_COMB,
    OP_DSV4_HC_PRE,
    OP_DSV4_HC_POST,
    OP_CUSTOM,
    OP_COUNT
};
enum g_unary {
    U_SILU,
    U_GELU,
    U_RELU,
    U_TANH,
    U_SIGMOID,
    U_EXP,
    U_SOFTPLUS,
    U_NEG,
    U_ABS,
    U_SQRT,
    U_GELU_QUICK,
    U_GELU_ERF,
    U_XIELU,
    U_SGN,
    U_ROUND
};
enum g_glu {
    GLU_REGLU,
    GLU_GEGLU,
    GLU_SWIGLU,
    GLU_SWIGLU_OAI,
    GLU_GEGLU_ERF,
    GLU_GEGLU_QUICK,
    GLU_SWIGLU_CLAMP
};
enum g_rope_mode {
    ROPE_NORMAL = 0,
    ROPE_NEOX = 2,
    ROPE_MROPE = 8,
    ROPE_VISION = 24,
    ROPE_IMROPE = 40
};

enum g_flag {
    G_INPUT =
        1, /* filled before the graph runs: allocated first, never overwritten by others' results */
    G_OUTPUT = 2,  /* never freed, never reused */
    G_WEIGHT = 4,  /* leaf outside of the compute buffer, usage "weights" */
    G_CACHE = 8,   /* leaf outside of the compute buffer: KV cells or recurrent state */
    G_REPACK = 16, /* a G_WEIGHT on the host that is kept repacked for the CPU's kernels
                      (assign_is_repacked): no other backend can read it */
};

enum { G_MAX_SRC = 10, G_NO_BUFFER = -1 };

struct g_tensor {
    uint8_t op;    /* enum g_op */
    uint8_t sub;   /* enum g_unary / g_glu of OP_UNARY, OP_GLU; rope mode of OP_ROPE; else 0 */
    uint8_t type;  /* enum gguf_type */
    uint8_t flags; /* enum g_flag */
    int8_t
        buffer; /* leaf outside: engine's device number or LAW_HOST; G_NO_BUFFER: to be allocated */
    int8_t backend; /* pinned by the builder as the engine's graph callback does (norm and l_last of
                       a layer, while n_tokens < 32 or all layers are offloaded): device number or
                       LAW_HOST of the layer, -1: the scheduler's choice. Ignored where that backend
                       cannot run the op. */
    int16_t layer;  /* block of a FLASH_ATTN_EXT or GATED_DELTA_NET (the engine asks whether it runs
                       on its layer's  device), else -1 */
    bool visited;
    uint8_t n_src; /* of an appended tensor: sources lie below this place (some may be NULL) */
    int32_t id;    /* dense number within the graph, in order of creation */
    int64_t ne[4];
    uint64_t nb[4];
    struct g_tensor *src[G_MAX_SRC];
    struct g_tensor *view_src; /* never itself a view */
    uint64_t view_offset;
    int32_t param[4]; /* concat: dim; rope: dims, mode; soft_max: alibi; flash_attn: alibi, softcap,
                         n_kv_max; ssm_scan, gated_delta_net: snapshots; tri: kind; group_norm:
                         groups; mul_mat_id: F32 input asked for */
    const char *name; /* for debugging and for rules that ask for names (ffn_moe_topk ...) */
};

struct graph {
    struct arena *arena;
    struct g_tensor **nodes, **leafs;
    uint32_t n_nodes, n_leafs, cap_nodes, cap_leafs;
    int32_t n_tensors;     /* ids handed out */
    bool failed;           /* out of memory, or a shape rule was broken: the result is void */
    const char *failed_at; /* the constructor that failed first */
    struct g_tensor *slab; /* tensors are cut from slabs of the arena */
    uint32_t slab_left;
    struct g_tensor
        dud; /* what constructors return once the graph has failed: one element, safe to use */
};

void graph_init(struct graph *g, struct arena *arena);
uint64_t g_nbytes(const struct g_tensor *t); /* ggml_nbytes: from strides */
int64_t g_nelements(const struct g_tensor *t);
bool g_is_contiguous(const struct g_tensor *t);
bool g_is_transposed(const struct g_tensor *t);
static inline bool g_is_view_op(uint8_t op) /* nothing is computed */
{
    return op == OP_NONE || (op >= OP_RESHAPE && op <= OP_TRANSPOSE);
}
bool g_same_shape(const struct g_tensor *a, const struct g_tensor *b);
bool g_is_contiguous_1(const struct g_tensor *t); /* dimension 1 may have any stride */
bool g_is_contiguous_2(const struct g_tensor *t);
bool g_is_contiguous_to_3(const struct g_tensor *t); /* in dimensions 0 to 2 */
bool g_is_contiguous_rows(const struct g_tensor *t);
bool g_is_quantised(uint32_t type);

/* Leafs. */
struct g_tensor *g_leaf(struct graph *g, uint32_t type, int n_dims, const int64_t *ne, int flags,
                        int buffer, const char *name);
struct g_tensor *g_input(struct graph *g, uint32_t type, int64_t a, int64_t b, int64_t c, int64_t d,
                         const char *name);

/* A tensor of the graph's own that is not an op's result (op NONE): g_input without the flag. */
struct g_tensor *g_new(struct graph *g, uint32_t type, int64_t a, int64_t b, int64_t c, int64_t d,
                       const char *name);
uint64_t g_row_bytes(uint32_t type, int64_t n);    /* ggml_row_size */
uint64_t g_element_size(const struct g_tensor *t); /* ggml_element_size: bytes of a block */

/* Ops. Sources may be NULL where ggml allows. Every constructor checks shapes as ggml asserts them
 * and sets g->failed instead of aborting; it never returns NULL. Shapes, types, strides and view
 * relations are ggml's. */
struct g_tensor *g_add(struct graph *g, struct g_tensor *a, struct g_tensor *b);
struct g_tensor *g_add_inplace(struct graph *g, struct g_tensor *a, struct g_tensor *b);
struct g_tensor *g_add_id(struct graph *g, struct g_tensor *a, struct g_tensor *b,
                          struct g_tensor *ids);
struct g_tensor *g_add1(struct graph *g, struct g_tensor *a, struct g_tensor *b);
struct g_tensor *g_sub(struct graph *g, struct g_tensor *a, struct g_tensor *b);
struct g_tensor *g_mul(struct graph *g, struct g_tensor *a, struct g_tensor *b);
struct g_tensor *g_div(struct graph *g, struct g_tensor *a, struct g_tensor *b);
struct g_tensor *g_sqr(struct graph *g, struct g_tensor *a);
struct g_tensor *g_log(struct graph *g, struct g_tensor *a);
struct g_tensor *g_sqrt(struct graph *g, struct g_tensor *a);
struct g_tensor *g_sin(struct graph *g, struct g_tensor *a);
struct g_tensor *g_cos(struct graph *g, struct g_tensor *a);
struct g_tensor *g_sum_rows(struct graph *g, struct g_tensor *a);
struct g_tensor *g_sum(struct graph *g, struct g_tensor *a);
struct g_tensor *g_argmax(struct graph *g, struct g_tensor *a);
struct g_tensor *g_cumsum(struct graph *g, struct g_tensor *a);
struct g_tensor *g_mean(struct graph *g, struct g_tensor *a);
struct g_tensor *g_repeat(struct graph *g, struct g_tensor *a, struct g_tensor *like);
struct g_tensor *g_repeat_4d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1,
                             int64_t n2, int64_t n3);
struct g_tensor *g_concat(struct graph *g, struct g_tensor *a, struct g_tensor *b, int dim);
struct g_tensor *g_norm(struct graph *g, struct g_tensor *a);
struct g_tensor *g_rms_norm(struct graph *g, struct g_tensor *a);
struct g_tensor *g_group_norm(struct graph *g, struct g_tensor *a, int groups);
struct g_tensor *g_l2_norm(struct graph *g, struct g_tensor *a);
struct g_tensor *g_mul_mat(struct graph *g, struct g_tensor *a, struct g_tensor *b);
struct g_tensor *g_mul_mat_id(struct graph *g, struct g_tensor *as, struct g_tensor *b,
                              struct g_tensor *ids);
struct g_tensor *g_out_prod(struct graph *g, struct g_tensor *a, struct g_tensor *b);
struct g_tensor *g_scale(struct graph *g, struct g_tensor *a); /* and ggml_scale_bias */
struct g_tensor *g_scale_inplace(struct graph *g, struct g_tensor *a);
struct g_tensor *g_set_inplace(struct graph *g, struct g_tensor *a, struct g_tensor *b);
struct g_tensor *g_dup(struct graph *g, struct g_tensor *a);
struct g_tensor *g_cpy(struct graph *g, struct g_tensor *a, struct g_tensor *into);
struct g_tensor *g_cast(struct graph *g, struct g_tensor *a, uint32_t type);
struct g_tensor *g_cont(struct graph *g, struct g_tensor *a);
struct g_tensor *g_cont_1d(struct graph *g, struct g_tensor *a, int64_t n0);
struct g_tensor *g_cont_2d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1);
struct g_tensor *g_cont_3d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1, int64_t n2);
struct g_tensor *g_cont_4d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1, int64_t n2,
                           int64_t n3);
struct g_tensor *g_reshape_1d(struct graph *g, struct g_tensor *a, int64_t n0);
struct g_tensor *g_reshape_2d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1);
struct g_tensor *g_reshape_3d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1,
                              int64_t n2);
struct g_tensor *g_reshape_4d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1,
                              int64_t n2, int64_t n3);
struct g_tensor *g_view_1d(struct graph *g, struct g_tensor *a, int64_t n0, uint64_t offset);
struct g_tensor *g_view_2d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1,
                           uint64_t nb1, uint64_t offset);
struct g_tensor *g_view_3d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1, int64_t n2,
                           uint64_t nb1, uint64_t nb2, uint64_t offset);
struct g_tensor *g_view_4d(struct graph *g, struct g_tensor *a, int64_t n0, int64_t n1, int64_t n2,
                           int64_t n3, uint64_t nb1, uint64_t nb2, uint64_t nb3, uint64_t offset);
struct g_tensor *g_permute(struct graph *g, struct g_tensor *a, int d0, int d1, int d2, int d3);
struct g_tensor *g_transpose(struct graph *g, struct g_tensor *a);
struct g_tensor *g_get_rows(struct graph *g, struct g_tensor *a, struct g_tensor *rows);
struct g_tensor *g_set_rows(struct graph *g, struct g_tensor *into, struct g_tensor *rows,
                            struct g_tensor *at);
struct g_tensor *g_soft_max(struct graph *g, struct g_tensor *a);
struct g_tensor *g_soft_max_ext(struct graph *g, struct g_tensor *a, struct g_tensor *mask,
                                bool alibi);
struct g_tensor *g_rope(struct graph *g, struct g_tensor *a, struct g_tensor *pos,
                        struct g_tensor *factors, int n_rot, int mode);
struct g_tensor *g_clamp(struct graph *g, struct g_tensor *a);
/* pads at the end of each dimension; ggml_pad_ext with both ends has the sums here */
struct g_tensor *g_pad(struct graph *g, struct g_tensor *a, int64_t p0, int64_t p1, int64_t p2,
                       int64_t p3);
struct g_tensor *g_argsort(struct graph *g, struct g_tensor *a);
struct g_tensor *g_argsort_top_k(struct graph *g, struct g_tensor *a,
                                 int64_t k); /* argsort and a view, as ggml_argsort_top_k */
struct g_tensor *g_top_k(struct graph *g, struct g_tensor *a, int64_t k);
struct g_tensor *g_tri(struct graph *g, struct g_tensor *a, int kind);
struct g_tensor *g_diag(struct graph *g, struct g_tensor *a);
struct g_tensor *g_fill(struct graph *g, struct g_tensor *a);
struct g_tensor *g_fill_inplace(struct graph *g, struct g_tensor *a);
struct g_tensor *g_arange(struct graph *g, int64_t n);
struct g_tensor *g_solve_tri(struct graph *g, struct g_tensor *a, struct g_tensor *b);
struct g_tensor *g_flash_attn_ext(struct graph *g, struct g_tensor *q, struct g_tensor *k,
                                  struct g_tensor *v, struct g_tensor *mask, bool alibi,
                                  bool softcap);
struct g_tensor *g_ssm_conv(struct graph *g, struct g_tensor *sx, struct g_tensor *c);
struct g_tensor *g_ssm_scan(struct graph *g, struct g_tensor *s, struct g_tensor *x,
                            struct g_tensor *dt, struct g_tensor *A, struct g_tensor *B,
                            struct g_tensor *C, struct g_tensor *ids, int64_t n_snapshots);
struct g_tensor *g_gated_delta_net(struct graph *g, struct g_tensor *q, struct g_tensor *k,
                                   struct g_tensor *v, struct g_tensor *gate, struct g_tensor *beta,
                                   struct g_tensor *state, int64_t n_snapshots);
struct g_tensor *g_gated_linear_attn(struct graph *g, struct g_tensor *k, struct g_tensor *v,
                                     struct g_tensor *q, struct g_tensor *gate,
                                     struct g_tensor *state);
struct g_tensor *g_lightning_indexer(struct graph *g, struct g_tensor *q, struct g_tensor *k,
                                     struct g_tensor *weights, struct g_tensor *mask);
struct g_tensor *g_rwkv_wkv6(struct graph *g, struct g_tensor *k, struct g_tensor *v,
                             struct g_tensor *r, struct g_tensor *tf, struct g_tensor *td,
                             struct g_tensor *state);
struct g_tensor *g_rwkv_wkv7(struct graph *g, struct g_tensor *r, struct g_tensor *w,
                             struct g_tensor *k, struct g_tensor *v, struct g_tensor *a,
                             struct g_tensor *b, struct g_tensor *state);
struct g_tensor *g_unary(struct graph *g, struct g_tensor *a, enum g_unary op);
struct g_tensor *g_unary_inplace(struct graph *g, struct g_tensor *a, enum g_unary op);
struct g_tensor *g_glu(struct graph *g, struct g_tensor *a, enum g_glu op,
                       bool swapped); /* one tensor, halves */
struct g_tensor *g_glu_split(struct graph *g, struct g_tensor *a, struct g_tensor *b,
                             enum g_glu op);

struct g_tensor *g_xielu(struct graph *g, struct g_tensor *a);

void g_set_input(struct g_tensor *t);
void g_set_output(struct g_tensor *t);
void g_set_n_kv_max(struct g_tensor *attn, int32_t n); /* ggml_flash_attn_ext_set_n_kv_max */
void g_add_sinks(struct g_tensor *attn_or_softmax, struct g_tensor *sinks); /* may be NULL */

/* ggml_build_forward_expand: append t and whatever it needs, in the engine's order.
 * ggml_build_forward_select is g_expand of every candidate in turn: the ones that are not computed
 * are allocated all the same. */
void g_expand(struct graph *g, struct g_tensor *t);

#endif
