/* graph: makes tensors of shapes only, tells their layouts, and orders them as the engine does. */
#include "law/graph.h"
#include "law/graph_make.h"

#include <string.h>

enum { SLAB = 256, FIRST_NODES = 1024, FIRST_LEAFS = 512 };

void graph_init(struct graph *g, struct arena *arena)
{
    memset(g, 0, sizeof *g);
    g->arena = arena;
    g->dud = (struct g_tensor){
        .buffer = G_NO_BUFFER, .backend = -1, .layer = -1, .ne = {1, 1, 1, 1},
                   .nb = {4, 4, 4, 4}
    };
}

struct g_tensor *g_fail(struct graph *g, const char *where)
{
    if (!g->failed)
        g->failed_at = where;
    g->failed = true;
    return &g->dud;
}

uint64_t g_row_bytes(uint32_t type, int64_t n)
{
    const struct gguf_type_info *t = gguf_type_info(type);
    return t && n > 0 ? gguf_row_bytes(t, (uint64_t)n) : 0;
}

uint64_t g_element_size(const struct g_tensor *t)
{
    const struct gguf_type_info *info = gguf_type_info(t->type);
    return info ? info->block_bytes : 0;
}

bool g_is_quantised(uint32_t type)
{
    const struct gguf_type_info *info = gguf_type_info(type);
    return info && info->quantised;
}

int64_t g_nelements(const struct g_tensor *t)
{
    return t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
}

int64_t g_product(int64_t n0, int64_t n1, int64_t n2, int64_t n3)
{
    int64_t p;
    bool over = __builtin_mul_overflow(n0, n1, &p) || __builtin_mul_overflow(p, n2, &p) ||
                __builtin_mul_overflow(p, n3, &p);
    return over ? -1 : p;
}

uint64_t g_nbytes(const struct g_tensor *t)
{
    const struct gguf_type_info *info = gguf_type_info(t->type);
    if (t->ne[0] <= 0 || t->ne[1] <= 0 || t->ne[2] <= 0 || t->ne[3] <= 0)
        return 0;
    uint64_t n = info->block == 1 ? info->block_bytes + (uint64_t)(t->ne[0] - 1) * t->nb[0]
                                  : (uint64_t)t->ne[0] * t->nb[0] / info->block;
    for (int i = 1; i < 4; i++)
        n += (uint64_t)(t->ne[i] - 1) * t->nb[i];
    return n;
}

bool g_same_shape(const struct g_tensor *a, const struct g_tensor *b)
{
    return a->ne[0] == b->ne[0] && a->ne[1] == b->ne[1] && a->ne[2] == b->ne[2] &&
           a->ne[3] == b->ne[3];
}

bool g_is_transposed(const struct g_tensor *t)
{
    return t->nb[0] > t->nb[1];
}

/* Of the first n dimensions, 1..free_dims may have any stride, the others follow from the ones
 * below them. */
static bool is_contiguous_above(const struct g_tensor *t, int free_dims, int n)
{
    const struct gguf_type_info *info = gguf_type_info(t->type);
    uint64_t next = info->block_bytes;
    if (t->ne[0] != info->block && t->nb[0] != next)
        return false;
    next *= (uint64_t)t->ne[0] / info->block;
    for (int i = 1; i < n; i++) {
        if (i <= free_dims) {
            next = (uint64_t)t->ne[i] * t->nb[i];
            continue;
        }
        if (t->ne[i] != 1 && t->nb[i] != next)
            return false;
        next *= (uint64_t)t->ne[i];
    }
    return true;
}

bool g_is_contiguous(const struct g_tensor *t)
{
    return is_contiguous_above(t, 0, 4);
}

bool g_is_contiguous_1(const struct g_tensor *t)
{
    return is_contiguous_above(t, 1, 4);
}

bool g_is_contiguous_2(const struct g_tensor *t)
{
    return is_contiguous_above(t, 2, 4);
}

bool g_is_contiguous_to_3(const struct g_tensor *t)
{
    return is_contiguous_above(t, 0, 3);
}

bool g_is_contiguous_rows(const struct g_tensor *t)
{
    const struct gguf_type_info *info = gguf_type_info(t->type);
    return t->ne[0] == info->block || t->nb[0] == info->block_bytes;
}

static struct g_tensor *take_tensor(struct graph *g)
{
    if (!g->slab_left) {
        g->slab = arena_array(g->arena, struct g_tensor, SLAB);
        if (!g->slab)
            return NULL;
        g->slab_left = SLAB;
    }
    g->slab_left--;
    struct g_tensor *t = g->slab++;
    t->id = g->n_tensors++;
    t->buffer = G_NO_BUFFER;
    t->backend = -1;
    t->layer = -1;
    return t;
}

static bool set_contiguous(struct g_tensor *t, const struct gguf_type_info *info,
                           const int64_t ne[4])
{
    uint64_t bytes = info->block_bytes;
    t->nb[0] = bytes;
    if (ne[0] < 0 || ne[0] % info->block)
        return false;
    if (__builtin_mul_overflow(bytes, (uint64_t)ne[0] / info->block, &bytes))
        return false;
    for (int i = 1; i < 4; i++) {
        t->nb[i] = bytes;
        if (ne[i] < 0 || __builtin_mul_overflow(bytes, (uint64_t)ne[i], &bytes))
            return false;
    }
    memcpy(t->ne, ne, sizeof t->ne);
    return bytes <= INT64_MAX / 16; /* so that counts of elements stay in range too */
}

struct g_tensor *g_make(struct graph *g, uint8_t op, uint32_t type, int64_t n0, int64_t n1,
                        int64_t n2, int64_t n3)
{
    const struct gguf_type_info *info = gguf_type_info(type);
    if (g->failed || !info)
        return g_fail(g, "tensor type");
    struct g_tensor *t = take_tensor(g);
    if (!t)
        return g_fail(g, "memory");
    t->op = op;
    t->type = (uint8_t)type;
    if (!set_contiguous(t, info, (int64_t[4]){n0, n1, n2, n3}))
        return g_fail(g, "tensor size");
    return t;
}

struct g_tensor *g_make_like(struct graph *g, uint8_t op, struct g_tensor *a)
{
    G_CHECK(g, a);
    struct g_tensor *t = g_make(g, op, a->type, a->ne[0], a->ne[1], a->ne[2], a->ne[3]);
    t->src[0] = a;
    return t;
}

struct g_tensor *g_make_view(struct graph *g, uint8_t op, struct g_tensor *a, const int64_t ne[4],
                             uint64_t offset)
{
    G_CHECK(g, a);
    struct g_tensor *t = g_make(g, op, a->type, ne[0], ne[1], ne[2], ne[3]);
    t->src[0] = a;
    t->view_src = a->view_src ? a->view_src : a;
    t->view_offset = offset + (a->view_src ? a->view_offset : 0);
    uint64_t size = (uint64_t)t->ne[3] * t->nb[3];
    if (size && (size > g_nbytes(t->view_src) || t->view_offset > g_nbytes(t->view_src) - size))
        return g_fail(g, "view beyond its source");
    return t;
}

struct g_tensor *g_make_same(struct graph *g, uint8_t op, struct g_tensor *a)
{
    G_CHECK(g, a);
    struct g_tensor *t = g_make_view(g, op, a, a->ne, 0);
    memcpy(t->nb, a->nb, sizeof t->nb);
    return t;
}

struct g_tensor *g_leaf(struct graph *g, uint32_t type, int n_dims, const int64_t *ne, int flags,
                        int buffer, const char *name)
{
    int64_t n[4] = {1, 1, 1, 1};
    G_CHECK(g, n_dims >= 1 && n_dims <= 4);
    memcpy(n, ne, (size_t)n_dims * sizeof *ne);
    struct g_tensor *t = g_make(g, OP_NONE, type, n[0], n[1], n[2], n[3]);
    t->flags = (uint8_t)flags;
    t->buffer = (int8_t)buffer;
    t->name = name;
    return t;
}

struct g_tensor *g_new(struct graph *g, uint32_t type, int64_t a, int64_t b, int64_t c, int64_t d,
                       const char *name)
{
    struct g_tensor *t = g_make(g, OP_NONE, type, a, b, c, d);
    t->name = name;
    return t;
}

struct g_tensor *g_input(struct graph *g, uint32_t type, int64_t a, int64_t b, int64_t c, int64_t d,
                         const char *name)
{
    struct g_tensor *t = g_new(g, type, a, b, c, d, name);
    t->flags = G_INPUT;
    return t;
}

void g_set_input(struct g_tensor *t)
{
    t->flags |= G_INPUT;
}

void g_set_output(struct g_tensor *t)
{
    t->flags |= G_OUTPUT;
}

static bool append(struct graph *g, struct g_tensor ***list, uint32_t *n, uint32_t *cap,
                   uint32_t first, struct g_tensor *t)
{
    if (*n == *cap) {
        uint32_t wide = *cap ? 2 * *cap : first;
        struct g_tensor **grown = arena_array(g->arena, struct g_tensor *, wide);
        if (!grown)
            return false;
        if (*n)
            memcpy(grown, *list, *n * sizeof **list);
        *list = grown;
        *cap = wide;
    }
    (*list)[(*n)++] = t;
    return true;
}

static void visit(struct graph *g, struct g_tensor *t)
{
    if (t->visited)
        return;
    t->visited = true;
    for (int i = 0; i < G_MAX_SRC; i++) {
        if (!t->src[i])
            continue;
        t->n_src = (uint8_t)(i + 1);
        visit(g, t->src[i]);
    }
    bool ok = t->op == OP_NONE ? append(g, &g->leafs, &g->n_leafs, &g->cap_leafs, FIRST_LEAFS, t)
                               : append(g, &g->nodes, &g->n_nodes, &g->cap_nodes, FIRST_NODES, t);
    if (!ok)
        g_fail(g, "memory");
}

void g_expand(struct graph *g, struct g_tensor *t)
{
    if (!g->failed && t)
        visit(g, t);
}
