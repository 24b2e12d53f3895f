/* assign: the engine's choice of devices and layers, in the engine's own float arithmetic. */
#include "law/assign.h"

#include "law/buffer.h"
#include "law/override.h"
#include "law/place.h"
#include "law/weight.h"

/* RPC servers come first, then the cards in their order. -sm none keeps one of that list, -sm
 * tensor makes one device of all. */
static bool pick_devices(const struct machine *mc, const struct law_settings *s,
                         struct assignment *a, struct err *err)
{
    uint32_t n = 0;
    for (int rpc = 1; rpc >= 0; rpc--)
        for (uint32_t i = 0; i < mc->n_devices; i++)
            if ((mc->devices[i].backend == BACKEND_RPC) == rpc)
                a->device_of[n++] = (int)i;
    a->n_devices = n;
    if (s->split == SPLIT_NONE && n > 0) {
        if (s->main_gpu >= n) {
            err_set(err, ERR_2114, "-mg %u names a device that is not there: %u device%s in use",
                    s->main_gpu, n, n == 1 ? " is" : "s are");
            return err_fix(err, "-mg 0", "name one of the devices 0 to %u", n - 1);
        }
        a->device_of[0] = a->device_of[s->main_gpu];
        a->n_devices = 1;
    } else if (s->split == SPLIT_TENSOR && n > 1) {
        a->n_devices = 1;
    }
    return true;
}

/* Share of each device as the engine cumulates it: -ts, or free memory when that is absent or all
 * zero. */
static bool cumulate_shares(const struct machine *mc, const struct law_settings *s,
                            const struct assignment *a, float *cum, struct err *err)
{
    bool given = false;
    for (uint32_t i = 0; i < a->n_devices && i < s->n_tensor_split; i++)
        given |= (float)s->tensor_split[i] != 0.0f;
    float sum = 0.0f;
    for (uint32_t i = 0; i < a->n_devices; i++) {
        const struct device *d = &mc->devices[a->device_of[i]];
        float share;
        if (given)
            share = i < s->n_tensor_split ? (float)s->tensor_split[i] : 0.0f;
        else if (d->free_bytes == 0 &&
                 d->total_bytes == 0) /* reports nothing: the host's is taken */
            share = (float)mc->host.free_bytes;
        else
            share = (float)d->free_bytes;
        sum += share;
        cum[i] = sum;
    }
    if (a->n_devices > 0 && !(sum > 0.0f)) {
        err_set(err, ERR_2110, "the layers cannot be shared out: no device has free memory");
        return err_fix(err, "-ts 1,1", "give the shares yourself, or free some memory");
    }
    for (uint32_t i = 0; i < a->n_devices; i++)
        cum[i] /= sum;
    return true;
}

static bool place_layers(const struct model *m, const struct machine *mc,
                         const struct law_settings *s, struct assignment *a, struct err *err)
{
    float cum[MACHINE_MAX_DEVICES];
    if (!cumulate_shares(mc, s, a, cum, err))
        return false;
    int64_t n = (int64_t)m->n_layers + 1;
    int64_t ngl = s->n_gpu_layers < 0 ? n : s->n_gpu_layers;
    int64_t on_gpu = a->n_devices == 0 ? 0 : (ngl < n ? ngl : n);
    int64_t first = n > ngl ? n - ngl : 0;
    for (int64_t il = 0; il < n; il++) {
        a->layer_buffer[il] = LAW_HOST;
        if (il < first || il - first >= on_gpu)
            continue;
        float at = (float)(il - first) / (float)on_gpu;
        uint32_t dev = 0;
        while (dev + 1 < a->n_devices && !(cum[dev] > at))
            dev++;
        a->layer_buffer[il] = (int)dev;
    }
    return true;
}

bool assign_make(const struct model *m, const struct machine *mc, const struct law_settings *s,
                 struct arena *arena, struct assignment *out, struct err *err)
{
    struct assignment a = {.has_overrides = override_any(s)};
    if (!pick_devices(mc, s, &a, err) || !place_layers(m, mc, s, &a, err) ||
        !place_tensors(m, mc, s, arena, &a, err))
        return false;
    a.pipeline = a.n_devices > 1 && s->split == SPLIT_LAYER && !s->no_kv_offload &&
                 !a.has_overrides &&
                 (s->n_gpu_layers < 0 || (uint32_t)s->n_gpu_layers > m->n_layers);
    *out = a;
    return true;
}

struct weigher {
    const struct machine *mc;
    const struct assignment *a;
    struct law_result *out;
};

static void add_weight(const struct weigher *w, const struct model_tensor *t, int buffer,
                       bool repacked)
{
    const struct gguf_type_info *info = gguf_type_info(t->type);
    if (buffer == LAW_HOST) {
        uint64_t bytes = buffer_bytes(buffer_rule_host(), info, t->ne[0], t->bytes);
        *(repacked ? &w->out->host_repack : &w->out->host.weights) += bytes;
    } else if (buffer >= 0) {
        int place = w->a->device_of[buffer];
        struct buffer_rule rule = buffer_rule_device(w->mc->devices[place].backend);
        w->out->device[place].bytes.weights += buffer_bytes(rule, info, t->ne[0], t->bytes);
    }
}

void assign_weigh(const struct model *m, const struct machine *mc, const struct law_settings *s,
                  const struct assignment *a, struct law_result *out)
{
    struct weigher w = {mc, a, out};
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        const struct model_tensor *t = &m->tensors[i];
        if (!weight_is_rope_factor(t)) {
            add_weight(&w, t, a->tensor_buffer[i], assign_is_repacked(m, mc, s, a, i));
            continue;
        }
        for (int b = 0; b <= LAW_HOST; b++)
            if (assign_copies_rope_factor(m, a, t, b))
                add_weight(&w, t, b, false);
    }
    const struct model_tensor *t = assign_copied_tensor(m);
    if (t && a->output_copy_buffer != ASSIGN_NOT_LOADED)
        add_weight(&w, t, a->output_copy_buffer, place_repacks_copy(m, mc, s, a));
}
