/* galloc: the engine's graph allocator on shapes: holes, in-place results, who frees what when. */
#include "law/galloc.h"

#include <string.h>

enum { MAX_HOLES = 256 }; /* ggml-alloc.c MAX_FREE_BLOCKS */

struct hole {
    uint64_t at, size;
};

/* One buffer's free space, sorted by address; the last hole reaches to the end of the address
 * space. */
struct space {
    struct hole hole[MAX_HOLES];
    uint32_t n;
    uint64_t high; /* largest address ever used */
};

struct tensor_state {
    int32_t children, views;
    int8_t buffer;
    bool owned;        /* lies in one of our buffers and is not freed yet */
    uint64_t at, size; /* size as asked, not rounded */
};

struct run {
    const struct galloc_buffer *buffers;
    const struct galloc_trace *trace;
    struct space *spaces;
    struct tensor_state *state;
    const char *why; /* set once the layout has failed */
};

static uint64_t round_up(uint64_t n, uint64_t alignment)
{
    return (n + alignment - 1) & ~(alignment - 1);
}

static void tell(const struct run *r, enum galloc_what what, const struct g_tensor *t,
                 const struct g_tensor *parent, int buffer, uint64_t size, uint64_t at)
{
    if (r->trace)
        r->trace->on_event(r->trace->ctx,
                           &(struct galloc_event){what, t, parent, buffer, size, at});
}

static void remove_hole(struct space *s, uint32_t i)
{
    s->n--;
    memmove(&s->hole[i], &s->hole[i + 1], (s->n - i) * sizeof s->hole[0]);
}

/* The smallest hole that is large enough (the last of equals), else the open end. False: beyond all
 * addresses. */
static bool space_take(struct space *s, uint64_t size, uint64_t *at)
{
    uint32_t best = s->n - 1;
    uint64_t best_size = UINT64_MAX;
    for (uint32_t i = 0; i + 1 < s->n; i++) {
        uint64_t have = s->hole[i].size;
        if (have >= size && have <= best_size) {
            best = i;
            best_size = have;
        }
    }
    struct hole *h = &s->hole[best];
    if (h->size <= size && best + 1 == s->n)
        return false;
    *at = h->at;
    h->at += size;
    h->size -= size;
    if (*at + size > s->high)
        s->high = *at + size;
    if (!h->size)
        remove_hole(s, best);
    return true;
}

/* False: the engine's table of free blocks would overflow. */
static bool space_give(struct space *s, uint64_t at, uint64_t size)
{
    uint32_t i = 0;
    while (i < s->n && s->hole[i].at + s->hole[i].size != at && at + size != s->hole[i].at)
        i++;
    if (i == s->n) {
        if (s->n == MAX_HOLES)
            return false;
        for (i = 0; i < s->n && s->hole[i].at < at; i++)
            ;
        memmove(&s->hole[i + 1], &s->hole[i], (s->n - i) * sizeof s->hole[0]);
        s->hole[i] = (struct hole){at, size};
        s->n++;
        return true;
    }
    struct hole *h = &s->hole[i];
    bool at_its_end = h->at + h->size == at;
    h->size += size;
    if (!at_its_end) {
        h->at = at;
        if (i > 0 && h[-1].at + h[-1].size == at) {
            h[-1].size += h->size;
            remove_hole(s, i);
        }
    } else if (i + 1 < s->n && h->at + h->size == h[1].at) {
        h->size += h[1].size;
        remove_hole(s, i + 1);
    }
    return true;
}

static uint64_t size_in(const struct run *r, const struct g_tensor *t, int buffer)
{
    return r->buffers[buffer].size_of(r->buffers[buffer].ctx, t);
}

static bool may_be_in_place(uint8_t op)
{
    switch (op) {
    case OP_FILL:
    case OP_SCALE:
    case OP_DIAG_MASK_INF:
    case OP_ADD:
    case OP_ADD_ID:
    case OP_ADD1:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_SQR:
    case OP_SQRT:
    case OP_LOG:
    case OP_UNARY:
    case OP_ROPE:
    case OP_RMS_NORM:
    case OP_CLAMP:
    case OP_SOFT_MAX: return true;
    default: return false;
    }
}

static bool same_layout(const struct g_tensor *a, const struct g_tensor *b)
{
    return a->type == b->type && !memcmp(a->ne, b->ne, sizeof a->ne) &&
           !memcmp(a->nb, b->nb, sizeof a->nb);
}

/* The source whose memory t may take over: ours, read by nobody else, of the same layout. Views
 * never are: what they look at may have other readers. */
static struct g_tensor *find_heir_of(const struct run *r, const struct g_tensor *t)
{
    if (!may_be_in_place(t->op))
        return NULL;
    for (int i = 0; i < t->n_src; i++) {
        struct g_tensor *parent = t->src[i];
        if (!parent || !r->state[parent->id].owned || parent->flags & G_OUTPUT)
            continue;
        const struct tensor_state *p = &r->state[parent->id];
        if (p->children == 1 && p->views == 0 && same_layout(t, parent))
            return parent;
    }
    return NULL;
}

static void free_range(struct run *r, int buffer, uint64_t at, uint64_t size)
{
    if (!space_give(&r->spaces[buffer], at, size))
        r->why = "more holes in a buffer than the engine can remember";
}

static void take_over(struct run *r, struct g_tensor *t, struct g_tensor *parent)
{
    struct tensor_state *s = &r->state[t->id], *p = &r->state[parent->id];
    uint64_t alignment = r->buffers[p->buffer].alignment;
    s->buffer = p->buffer;
    s->at = p->at;
    s->size = size_in(r, t, s->buffer);
    p->owned = false;
    tell(r, GALLOC_REUSE, t, parent, s->buffer, s->size, s->at);
    uint64_t had = round_up(p->size, alignment), needs = round_up(s->size, alignment);
    if (had > needs) {
        tell(r, GALLOC_FREE_EXTRA, parent, t, s->buffer, had - needs, s->at + needs);
        free_range(r, s->buffer, s->at + needs, had - needs);
    }
}

static void allocate(struct run *r, struct g_tensor *t, int buffer)
{
    struct tensor_state *s = &r->state[t->id];
    if (s->owned || t->view_src || t->buffer != G_NO_BUFFER)
        return;
    s->owned = true;
    struct g_tensor *parent = find_heir_of(r, t);
    if (parent) {
        take_over(r, t, parent);
        return;
    }
    s->buffer = (int8_t)buffer;
    s->size = size_in(r, t, buffer);
    if (!space_take(&r->spaces[buffer], round_up(s->size, r->buffers[buffer].alignment), &s->at))
        r->why = "a buffer would be larger than any address";
    tell(r, GALLOC_TAKE, t, NULL, buffer, s->size, s->at);
}

static void release(struct run *r, struct g_tensor *t)
{
    struct tensor_state *s = &r->state[t->id];
    if (!s->owned || t->flags & G_OUTPUT)
        return;
    tell(r, GALLOC_FREE, t, NULL, s->buffer, s->size, s->at);
    free_range(r, s->buffer, s->at, round_up(s->size, r->buffers[s->buffer].alignment));
    s->owned = false;
}

/* Count readers and views; graph inputs get their place before anything else can take it. */
static void count_readers(struct run *r, const struct galloc_graph *g)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        struct g_tensor *t = g->nodes[i];
        if (t->view_src && t->op != OP_NONE)
            r->state[t->view_src->id].views++;
        if (t->flags & G_INPUT)
            allocate(r, t, g->node_buffer[i]);
        for (int j = 0; j < t->n_src; j++) {
            if (!t->src[j])
                continue;
            r->state[t->src[j]->id].children++;
            if (t->src[j]->flags & G_INPUT)
                allocate(r, t->src[j], g->node_buffer[i]);
        }
    }
}

static void reader_done(struct run *r, struct g_tensor *source)
{
    struct tensor_state *s = &r->state[source->id];
    s->children--;
    if (s->children || s->views)
        return;
    if (!source->view_src) {
        release(r, source);
        return;
    }
    struct tensor_state *v = &r->state[source->view_src->id];
    v->views--;
    if (!v->views && !v->children)
        release(r, source->view_src);
}

static void run_node(struct run *r, struct g_tensor *t, int buffer)
{
    for (int j = 0; j < t->n_src; j++)
        if (t->src[j])
            allocate(r, t->src[j], buffer);
    allocate(r, t, buffer);
    for (int j = 0; j < t->n_src; j++)
        if (t->src[j])
            reader_done(r, t->src[j]);
}

bool galloc_measure(const struct galloc_graph *g, const struct galloc_buffer *buffers,
                    uint32_t n_buffers, struct arena *scratch, const struct galloc_trace *trace,
                    uint64_t *sizes, const char **why)
{
    struct run r = {.buffers = buffers, .trace = trace};
    r.spaces = arena_array(scratch, struct space, n_buffers);
    r.state = arena_array(scratch, struct tensor_state, (size_t)g->n_tensors);
    if (!r.spaces || !r.state) {
        *why = "memory";
        return false;
    }
    for (uint32_t b = 0; b < n_buffers; b++) {
        r.spaces[b].n = 1;
        r.spaces[b].hole[0].size = UINT64_MAX / 2;
    }
    for (uint32_t i = 0; i < g->n_leafs; i++)
        allocate(&r, g->leafs[i], g->leaf_buffer[i]);
    count_readers(&r, g);
    for (uint32_t i = 0; i < g->n_nodes && !r.why; i++)
        run_node(&r, g->nodes[i], g->node_buffer[i]);
    for (uint32_t b = 0; b < n_buffers; b++)
        sizes[b] = r.spaces[b].high;
    if (r.why)
        *why = r.why;
    return !r.why;
}
