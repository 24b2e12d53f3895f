/* make-sample: writes a built-in model as a GGUF file: true header, a hole for its tensors. */
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "gguf_write.h"
#include "model/keys.h"
#include "model/profile.h"

static const char usage[] =
    "usage: make-sample NAME[:QUANT] OUT.gguf [--no-vocabulary] [--no-data]\n"
    "Writes the built-in model NAME with the header a published file has, and no data: the file is "
    "as long\n"
    "as the real one and takes next to no disk. --no-data: end after the header.\n"
    "Example: make-sample llama-3.3-70b:Q4_K_M llama-3.3-70b-Q4_K_M.gguf\n";

/* Merges per hundred tokens: Llama 3's vocabulary has 280,147 for 128,256 tokens, others about one
 * a token. */
static uint32_t count_merges(const struct model *m)
{
    uint32_t percent = strcmp(m->architecture, "llama") == 0 ? 218 : 100;
    return (uint32_t)((uint64_t)m->hp.n_vocab * percent / 100);
}

static void add_array(struct gguf_write *w, const struct gguf_key *key)
{
    gguf_write_i32_array(w, key->name, key->value.array, key->count);
}

/* Profiles hold integers, floats, bools, texts and arrays of 32 bit integers; files have 32 bit
 * floats. */
static void add_key(struct gguf_write *w, const struct gguf_key *key)
{
    switch (key->type) {
    case GGUF_U32: gguf_write_u32(w, key->name, (uint32_t)key->value.u); break;
    case GGUF_U64: gguf_write_u64(w, key->name, key->value.u); break;
    case GGUF_F64: gguf_write_f32(w, key->name, (float)key->value.f); break;
    case GGUF_BOOL: gguf_write_bool(w, key->name, key->value.u != 0); break;
    case GGUF_STRING: gguf_write_string(w, key->name, key->value.string); break;
    case GGUF_ARRAY: add_array(w, key); break;
    default: break;
    }
}

static void add_file_type(struct gguf_write *w, const char *quantization)
{
    for (uint32_t i = 0; i < 64; i++) {
        if (ftype_name(i) && strcmp(ftype_name(i), quantization) == 0) {
            gguf_write_u32(w, "general.file_type", i);
            return;
        }
    }
}

/* The architectures with norms that subtract the mean (NemotronH has both kinds). */
static const char *const layer_norms[] = {
    "bloom",    "cohere2",    "command-r",      "dbrx",  "falcon", "gpt2",     "gptneox",    "mpt",
    "nemotron", "nemotron_h", "nemotron_h_moe", "orion", "phi2",   "stablelm", "starcoder2",
};

static void add_scale(struct gguf_write *w, const char *architecture, const char *key, float value)
{
    char name[128];

    snprintf(name, sizeof(name), "%s%s", architecture, key);
    gguf_write_f32(w, name, value);
}

/* What the engine asks for before it loads a file and no size depends on; profiles leave it out. */
static void add_loading_keys(struct gguf_write *w, const char *architecture, bool vocabulary)
{
    static const char *const xielu[] = {"xielu.alpha_n", "xielu.alpha_p", "xielu.beta",
                                        "xielu.eps"};

    add_scale(w, architecture, ".attention.layer_norm_rms_epsilon", 1e-5f);
    for (size_t i = 0; i < sizeof(layer_norms) / sizeof(*layer_norms); i++) {
        if (strcmp(layer_norms[i], architecture) == 0)
            add_scale(w, architecture, ".attention.layer_norm_epsilon", 1e-5f);
    }
    for (size_t i = 0; i < 4 && strcmp(architecture, "apertus") == 0; i++)
        add_scale(w, "", xielu[i], 0.5f);
    if (!vocabulary)
        gguf_write_string(w, "tokenizer.ggml.model", "none");
}

static void fill(struct gguf_write *w, const struct gguf *header, const struct model *m,
                 bool vocabulary)
{
    for (uint32_t i = 0; i < header->n_keys; i++)
        add_key(w, &header->keys[i]);
    add_loading_keys(w, m->architecture, vocabulary);
    add_file_type(w, m->quantization);
    gguf_write_u32(w, "general.quantization_version", 2);
    if (vocabulary)
        gguf_write_vocabulary(w, m->hp.n_vocab, count_merges(m));
    for (uint32_t i = 0; i < m->n_tensors; i++)
        gguf_write_tensor(w, m->tensors[i].name, m->tensors[i].type, m->tensors[i].n_dims,
                          m->tensors[i].ne);
}

static bool make_sample(const char *ref, const char *path, bool vocabulary, bool data,
                        struct err *err)
{
    own(own_arena) struct arena arena = {0};
    own(own_gguf_write) struct gguf_write w;
    struct gguf header;
    struct model m;
    char name[64];

    gguf_write_init(&w);
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(ref, ":"), ref);
    if (!profile_open(ref, NULL, &arena, &m, err) ||
        !profile_read(profile_text, name, &arena, &header, err))
        return false;
    fill(&w, &header, &m, vocabulary);
    if (!data)
        w.data_bytes = 0;
    return gguf_write_file(&w, path, err);
}

int main(int argc, char **argv)
{
    bool vocabulary = true, data = true;
    const char *words[2] = {NULL, NULL};
    struct err err = {0};
    int n = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-vocabulary") == 0)
            vocabulary = false;
        else if (strcmp(argv[i], "--no-data") == 0)
            data = false;
        else if (argv[i][0] != '-' && n < 2)
            words[n++] = argv[i];
        else
            n = 3;
    }
    if (n != 2) {
        fputs(usage, stderr);
        return 2;
    }
    if (make_sample(words[0], words[1], vocabulary, data, &err))
        return 0;
    fprintf(stderr, "make-sample: %s\n", err.title);
    return err_exit_code(err.code);
}
