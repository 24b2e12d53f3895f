/* assign: which layer and which tensor lies on which device, and the bytes of the weights there. */
#ifndef LAW_ASSIGN_H
#define LAW_ASSIGN_H

#include "law/law.h"

struct assignment {
    uint32_t
        n_devices; /* devices the engine uses; -sm none keeps one, -sm tensor makes one of all */
    int device_of[MACHINE_MAX_DEVICES];     /* engine's number -> place in machine.devices */
    int layer_buffer[MODEL_MAX_LAYERS + 1]; /* engine's device number, or LAW_HOST */
    int8_t *tensor_buffer; /* [n_tensors]: engine's device number, LAW_HOST, or ASSIGN_NOT_LOADED */
    int output_copy_buffer; /* where a tied model's second copy of token_embd lies,
                               ASSIGN_NOT_LOADED: none */
    bool repacked_any;
    uint8_t rope_fixed; /* bit role - ROLE_ROPE_FREQS: a rule sends that rope factor to one place */
    bool has_overrides;
    bool pipeline; /* the engine asks for pipeline parallelism: four copies of inputs and crossings
                    */
};
enum { ASSIGN_NOT_LOADED = -1 };

/* ERR_2110/2112/2114 for what cannot be placed. Buffers are the engine's device numbers; device_of
 * leads to the place in machine.devices. A rope factor tensor is copied once per buffer that holds
 * layers: its tensor_buffer is that of the first such layer, graphs take the buffer of the layer at
 * hand. Law: llama.cpp src/llama-model.cpp load_tensors, src/llama-model-loader.cpp create_tensor,
 * behaviour. */
bool assign_make(const struct model *m, const struct machine *mc, const struct law_settings *s,
                 struct arena *arena, struct assignment *out, struct err *err);
/* Adds weights to out->device[].bytes.weights, host.weights, host_repack. */
void assign_weigh(const struct model *m, const struct machine *mc, const struct law_settings *s,
                  const struct assignment *a, struct law_result *out);
/* What output_copy_buffer holds a copy of: token_embd, or output where there is none. */
const struct model_tensor *assign_copied_tensor(const struct model *m);
/* True if the engine stores this host tensor repacked (x86 with AVX2; ggml-cpu repack.cpp,
 * behaviour). */
bool assign_is_repacked(const struct model *m, const struct machine *mc,
                        const struct law_settings *s, const struct assignment *a, uint32_t tensor);

/* Buffer of the copy of this rope factor tensor that a layer reads. */
int assign_rope_buffer(const struct model *m, const struct assignment *a,
                       const struct model_tensor *t, uint32_t layer);

/* True if `buffer` gets a copy of this rope factor tensor. */
bool assign_copies_rope_factor(const struct model *m, const struct assignment *a,
                               const struct model_tensor *t, int buffer);
#endif
