/* keys: bounded reads of ARCH.something keys, each error naming the key and its value. Internal to
 * the room. */
#ifndef MODEL_KEYS_H
#define MODEL_KEYS_H

#include "gguf/gguf.h"
#include "model/family.h"

/* Largest values that are believed; far above every real model, far below what overflows 64 bits.
 */
enum {
    MAX_WIDTH = 1 << 20, /* embedding, head dimensions */
    MAX_HEADS = 1 << 14,
    MAX_FF = 1 << 24, /* feed-forward and state sizes */
    MAX_VOCAB = 1 << 28,
    MAX_KV_WIDTH = 1 << 26, /* elements of K or V per cell and layer */
    MAX_CONTEXT = 1 << 30,
};

/* Per-layer values before they become model_layer. */
struct layer_keys {
    uint32_t n_head[MODEL_MAX_LAYERS], n_head_kv[MODEL_MAX_LAYERS], n_ff[MODEL_MAX_LAYERS];
    uint32_t n_ff_exp[MODEL_MAX_LAYERS], n_expert_used[MODEL_MAX_LAYERS];
    uint32_t window[MODEL_MAX_LAYERS], recurrent[MODEL_MAX_LAYERS], index[MODEL_MAX_LAYERS];
    uint32_t rope[MODEL_MAX_LAYERS]; /* 0: not rotated */
    bool has_head_count_kv;
};

/* What is being read, for whom. The first failure sets err and makes every later read a no-op, so
 * that a list of reads is checked once. */
struct key_reader {
    const struct gguf *g;
    const char *architecture;
    const struct model_family *family;
    struct model_hparams *hp;
    struct layer_keys *layers;
    struct err *err;
    bool failed;
};

enum { KEY_OPTIONAL, KEY_REQUIRED };

/* Each returns true when the key was there and good; an absent optional key leaves *out. */
bool key_u32(struct key_reader *r, const char *name, int required, uint32_t max, uint32_t *out);
bool key_f64(struct key_reader *r, const char *name, double *out); /* optional */
bool key_bool(struct key_reader *r, const char *name, bool *out);  /* optional */
/* A number for all layers or an array with exactly n elements. */
bool key_layers(struct key_reader *r, const char *name, int required, uint32_t max, uint32_t n,
                uint32_t *out);
/* An array of at most MODEL_MAX_LAYERS; elements it lacks are set to 0. False when it is no array.
 */
bool key_array(struct key_reader *r, const char *name, int required, uint32_t max, uint32_t *out);
const struct gguf_key *key_find(const struct key_reader *r, const char *name);
/* Refuse: ERR_2003 "ARCH.name ..." (printf of the rest). */
void key_refuse(struct key_reader *r, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* hparams.c: everything but the layers; family.adjust.c: what single architectures do differently.
 */
void hparams_read(struct key_reader *r);
void adjust_hparams(struct key_reader *r);
/* layers.c: windows, recurrence, sharing: from keys to model_layer (n_layer of them, tensors
 * unset). */
void layers_read(struct key_reader *r);
bool layers_make(struct key_reader *r, struct model_layer *out);
/* tensors.c: the table by role. */
bool tensors_make(const struct gguf *g, struct arena *arena, struct model *m, struct err *err);
/* ftype.c: names of general.file_type; NULL when unknown. */
const char *ftype_name(uint32_t file_type);

#endif
