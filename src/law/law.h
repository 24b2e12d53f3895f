/* law: what llama.cpp allocates for a model under given settings, per device and host, in bytes. */
#ifndef LAW_LAW_H
#define LAW_LAW_H

#include "machine/machine.h"
#include "model/model.h"

enum { LAW_MAX_OVERRIDES = 32, LAW_HOST = MACHINE_MAX_DEVICES };

enum law_flash { FLASH_AUTO, FLASH_ON, FLASH_OFF };
enum law_split { SPLIT_NONE, SPLIT_LAYER, SPLIT_ROW, SPLIT_TENSOR };

/* The context that answers, or the one that drafts on the NextN blocks of the same loaded model. */
enum law_context { CONTEXT_MAIN, CONTEXT_NEXTN };

/* -ot rule: tensors in whose name an ECMAScript pattern is found go to a device or the host; the
 * first rule of the command that matches wins, those of -ncmoe and -ncffn among them. */
struct law_override {
    const char *pattern;
    int target; /* place in machine.devices, or LAW_HOST */
};

/* Exactly the engine's own knobs, after the program's defaults (server, cli, bench ...) were
 * applied. */
struct law_settings {
    uint32_t n_ctx; /* as asked; 0: the trained context */
    uint32_t n_batch, n_ubatch;
    uint32_t n_seq_max; /* slots, -np */
    bool kv_unified;
    uint32_t type_k, type_v; /* enum gguf_type */
    enum law_flash flash;
    int32_t n_gpu_layers; /* -1: all */
    enum law_split split;
    uint32_t n_tensor_split; /* 0: by free memory */
    double tensor_split[MACHINE_MAX_DEVICES];
    uint32_t main_gpu;
    uint32_t n_cpu_moe; /* -ncmoe; UINT32_MAX: -cmoe */
    uint32_t n_cpu_ffn; /* -ncffn */
    uint32_t n_overrides;
    struct law_override overrides[LAW_MAX_OVERRIDES];
    /* The engine keeps one list in the order of the command: how many of overrides come after
     * -ncmoe and -ncffn. */
    uint32_t overrides_after_cpu_moe, overrides_after_cpu_ffn;
    bool no_kv_offload; /* -nkvo */
    bool swa_full;
    bool no_op_offload;
    bool no_repack;
    bool no_host;               /* --no-host */
    bool embeddings;            /* --embedding, --rerank: a full batch of outputs */
    bool mtp;                   /* --spec-type draft-mtp: NextN blocks are loaded */
    uint32_t n_outputs_max;     /* 0: n_batch */
    uint32_t n_outputs_per_seq; /* 0: n_outputs_max */
    uint32_t n_rs_seq;          /* snapshots of recurrent state per sequence beside the live one */
    enum law_context context; /* CONTEXT_NEXTN: weights are the main context's and reported as 0 */
};

/* The engine library's own defaults: ctx 0, batch 2048, ubatch 512, 1 sequence, f16 KV, flash auto,
 * all layers. */
struct law_settings law_default_settings(void);

/* Settings of the second context that --spec-type draft-mtp makes beside one with these settings
 * and this n_ctx (law_result.n_ctx of the first): its own cache, of the draft's types, and compute
 * buffers; one output a sequence. Source: llama.cpp common/speculative.cpp, behaviour. */
struct law_settings law_nextn_settings(const struct law_settings *main, uint32_t n_ctx,
                                       uint32_t type_k, uint32_t type_v);

/* The engine drafts with this model's own NextN blocks, and their graph is known. */
bool law_can_draft(const struct model *model);

struct law_bytes {
    uint64_t weights, kv, compute;
};

struct law_device {
    struct law_bytes bytes;
    int first_layer, last_layer; /* inclusive, the output layer is n_layer; -1: none */
};

struct law_result {
    uint32_t n_ctx, n_ctx_seq, n_batch, n_ubatch, n_streams; /* after the engine's rounding */
    bool flash_on;
    bool pipeline; /* four copies of inputs and crossings */
    uint32_t n_splits;
    uint32_t n_nodes;   /* of the prompt graph */
    uint32_t n_devices; /* = machine.n_devices */
    struct law_device
        device[MACHINE_MAX_DEVICES]; /* device[i] is machine.devices[i]; unused ones are zero */
    struct law_bytes host;
    uint64_t host_repack; /* weights copied a second time for the CPU's kernels */
    uint64_t host_output; /* output buffer at start: logits of one token per sequence */
    bool compute_exact;   /* false: an estimate within [low, high] per device and host */
    uint64_t compute_low[MACHINE_MAX_DEVICES + 1],
        compute_high[MACHINE_MAX_DEVICES + 1]; /* host last used: index n_devices */
    /* Place in machine.devices of every layer, LAW_HOST for the host; [n_layer]: output. -sm
     * tensor: 0 stands for all devices together. */
    int layer_device[MODEL_MAX_LAYERS + 1];
};

/* Engine build -> law. build 0: the newest. */
struct law_version {
    const char *engine;     /* "llama.cpp" */
    const char *title;      /* the build this law was derived from and checked against */
    uint32_t from_build;    /* oldest build number it is used for */
    bool has_split_buffers; /* -sm row still exists */
};
const struct law_version *law_version_for(uint32_t build);

/* The whole law. Refusals of the engine are errors (ERR_2110, 2111, 2112, 2114) with the reason and
 * the nearest legal setting as fix. scratch is used and rewound; out owns nothing. */
bool law_estimate(const struct model *model, const struct machine *machine,
                  const struct law_settings *settings, struct arena *scratch,
                  struct law_result *out, struct err *err);

/* Weights and KV only (microseconds): compute is left 0. For searches that prune first. */
bool law_estimate_static(const struct model *model, const struct machine *machine,
                         const struct law_settings *settings, struct arena *scratch,
                         struct law_result *out, struct err *err);

/* As law_estimate, with compute from a model whose equal layers are folded together (fold.h):
 * several times faster and equal on every measured row, but not proved so. For searches;
 * law_estimate has the last word. */
bool law_estimate_quick(const struct model *model, const struct machine *machine,
                        const struct law_settings *settings, struct arena *scratch,
                        struct law_result *out, struct err *err);

/* Bytes that each layer (n_layer + 1 of them, the output layer last) would add to a device: weights
 * and cache, with a device's padding; 0 for blocks that are not loaded. For choosing a split;
 * law_estimate has the last word. */
bool law_layer_costs(const struct model *model, const struct machine *machine,
                     const struct law_settings *settings, struct arena *scratch,
                     uint64_t costs[MODEL_MAX_LAYERS + 1], uint32_t *n_costs, struct err *err);

#endif
