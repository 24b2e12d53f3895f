/* tensors: sorts a header's tensors by what their names say: block, role, part. */
#include "model/keys.h"

#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const char *const role_names[ROLE_COUNT] = {
#define GLOBAL(ROLE, name) [ROLE_##ROLE] = name,
#define LAYER(ROLE, name) [ROLE_##ROLE] = name,
#include "model/tensors.def"
};
static const bool role_is_global[ROLE_COUNT] = {
#define GLOBAL(ROLE, name) [ROLE_##ROLE] = true,
#define LAYER(ROLE, name)
#include "model/tensors.def"
};
/* clang-format on */

enum { SLOTS = 512 }; /* power of two, above twice ROLE_COUNT */
_Static_assert(SLOTS > 2 * ROLE_COUNT, "the table of names must stay half empty");

struct name_table {
    uint8_t role[SLOTS];
};

static uint32_t slot_of(const char *name, size_t len, bool global)
{
    return (uint32_t)(str_hash(name, len) + global) & (SLOTS - 1);
}

static void fill(struct name_table *t)
{
    memset(t, 0, sizeof *t);
    for (int role = 1; role < ROLE_COUNT; role++) {
        uint32_t i = slot_of(role_names[role], strlen(role_names[role]), role_is_global[role]);
        while (t->role[i])
            i = (i + 1) & (SLOTS - 1);
        t->role[i] = (uint8_t)role;
    }
}

static enum tensor_role look_up(const struct name_table *t, const char *name, size_t len,
                                bool global)
{
    for (uint32_t i = slot_of(name, len, global); t->role[i]; i = (i + 1) & (SLOTS - 1)) {
        uint8_t role = t->role[i];
        if (role_is_global[role] == global && strlen(role_names[role]) == len &&
            !memcmp(role_names[role], name, len))
            return role;
    }
    return ROLE_NONE;
}

/* "blk.12.attn_q.weight" -> 12, rest "attn_q.weight"; -1 for model-wide names and numbers too long.
 */
static int block_of(const char *name, const char **rest)
{
    const char *p = name + 4;
    int n = 0;

    *rest = name;
    if (strncmp(name, "blk.", 4) != 0 || *p < '0' || *p > '9')
        return -1;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (n > 9999)
            return -1;
        n = n * 10 + (*p - '0');
    }
    if (*p != '.')
        return -1;
    *rest = p + 1;
    return n;
}

static enum tensor_part part_of(const char *name, size_t *len)
{
    static const struct {
        const char *suffix;
        enum tensor_part part;
    } parts[] = {
        {".weight", PART_WEIGHT},
        {".bias",   PART_BIAS  },
        {".scale",  PART_SCALE }
    };

    *len = strlen(name);
    for (size_t i = 0; i < 3; i++) {
        if (str_ends(name, parts[i].suffix)) {
            *len -= strlen(parts[i].suffix);
            return parts[i].part;
        }
    }
    return PART_BARE;
}

static bool place(struct model *m, struct model_layer *layers, uint32_t index,
                  const struct model_tensor *t, struct err *err)
{
    char shown[4 * GGUF_MAX_NAME + 1];

    if (t->layer >= (int)m->hp.n_layer) {
        str_printable(t->name, strlen(t->name), shown, sizeof shown);
        err_set(err, ERR_2003, "tensor %s belongs to a layer the model does not have", shown);
        return err_why(err, "%s.block_count is %" PRIu32, m->architecture, m->hp.n_layer);
    }
    if (t->role == ROLE_NONE)
        return true;
    if (t->layer < 0)
        m->global[t->role][t->part] = (int32_t)index;
    else
        layers[t->layer].tensor[t->role][t->part] = (int32_t)index;
    return true;
}

static void set_ffn(struct model_layer *l)
{
    const int32_t(*t)[PART_COUNT] = (const int32_t(*)[PART_COUNT])l->tensor;

    if (t[ROLE_FFN_GATE_INP][PART_WEIGHT] >= 0 || t[ROLE_FFN_UP_EXPS][PART_WEIGHT] >= 0 ||
        t[ROLE_FFN_GATE_UP_EXPS][PART_WEIGHT] >= 0)
        l->ffn = FFN_MOE;
    else if (t[ROLE_FFN_UP][PART_WEIGHT] >= 0 || t[ROLE_FFN_DOWN][PART_WEIGHT] >= 0)
        l->ffn = FFN_DENSE;
    else
        l->ffn = FFN_NONE;
}

static bool read_one(const struct gguf_tensor *from, const struct name_table *names,
                     struct arena *arena, struct model_tensor *to)
{
    const char *rest;
    size_t len;
    int layer = block_of(from->name, &rest);

    *to = (struct model_tensor){.type = from->type,
                                .n_dims = from->n_dims,
                                .layer = (int16_t)layer,
                                .bytes = from->size_bytes};
    to->name = arena_strdup(arena, from->name);
    memcpy(to->ne, from->ne, sizeof to->ne);
    to->part = (uint8_t)part_of(rest, &len);
    to->role = (uint8_t)look_up(names, rest, len, layer < 0);
    return to->name != NULL;
}

bool tensors_make(const struct gguf *g, struct arena *arena, struct model *m, struct err *err)
{
    struct model_tensor *tensors = arena_array(arena, struct model_tensor, g->n_tensors + 1);
    struct model_layer *layers = (struct model_layer *)m->layers;
    struct name_table names;

    if (!tensors)
        return err_set(err, ERR_1201, "no memory for %" PRIu32 " tensors", g->n_tensors);
    fill(&names);
    memset(m->global, 0xff, sizeof m->global);
    for (uint32_t il = 0; il < m->hp.n_layer; il++)
        memset(layers[il].tensor, 0xff, sizeof layers[il].tensor);
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        if (!read_one(t, &names, arena, &tensors[i]))
            return err_set(err, ERR_1201, "no memory for %" PRIu32 " tensors", g->n_tensors);
        if (!place(m, layers, i, &tensors[i], err))
            return false;
        m->parameters += t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
    }
    for (uint32_t il = 0; il < m->hp.n_layer; il++)
        set_ffn(&layers[il]);
    m->tensors = tensors;
    m->n_tensors = g->n_tensors;
    return true;
}
