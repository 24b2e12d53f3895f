/* model: from a header to a model: who it is, its hyper-parameters, its layers, its tensors. */
#include "model/keys.h"

#include "base/str.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

static const char *printable_copy(struct arena *arena, const char *text)
{
    char shown[256];

    return arena_strdup(arena, str_printable(text, strlen(text), shown, sizeof shown));
}

/* "/models/Qwen3-8B-Q4_K_M-00001-of-00002.gguf" -> "Qwen3-8B-Q4_K_M". */
static const char *stem(struct arena *arena, const char *path)
{
    const char *base = strrchr(path, '/');
    size_t len;

    base = base ? base + 1 : path;
    len = strcspn(base, "?#");
    if (len > 5 && !strncasecmp(base + len - 5, ".gguf", 5))
        len -= 5;
    if (len > 15 && base[len - 15] == '-' && !strncmp(base + len - 9, "-of-", 4))
        len -= 15;
    char *copy = arena_strndup(arena, base, len);
    return copy ? printable_copy(arena, copy) : NULL;
}

static bool contains_fold(const char *text, const char *part)
{
    size_t n = strlen(part);

    for (; *text; text++) {
        if (!strncasecmp(text, part, n))
            return true;
    }
    return false;
}

static const char *name_of(const struct gguf *g, const char *path, struct arena *arena)
{
    const char *name = gguf_get_string(g, "general.name");
    const char *size = gguf_get_string(g, "general.size_label");

    if (!name || !*name)
        name = gguf_get_string(g, "general.basename");
    if (!name || !*name)
        return stem(arena, path);
    if (size && *size && !contains_fold(name, size)) {
        name = arena_printf(arena, "%s %s", name, size);
        if (!name)
            return NULL;
    }
    return printable_copy(arena, name);
}

static const char *commonest_type(const struct model *m, struct arena *arena)
{
    uint64_t bytes[GGUF_TYPE_LIMIT] = {0};
    uint32_t most = 0;

    for (uint32_t i = 0; i < m->n_tensors; i++)
        bytes[m->tensors[i].type] += m->tensors[i].bytes;
    for (uint32_t t = 1; t < GGUF_TYPE_LIMIT; t++)
        most = bytes[t] > bytes[most] ? t : most;
    char *name = arena_strdup(arena, gguf_type_info(most)->name);
    for (char *p = name; p && *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return name;
}

static const char *quantization_of(const struct gguf *g, const struct model *m, struct arena *arena)
{
    uint32_t file_type;

    if (gguf_get_u32(g, "general.file_type", &file_type) && ftype_name(file_type))
        return ftype_name(file_type);
    return commonest_type(m, arena);
}

static bool check_embedding(struct model *m, struct err *err)
{
    const struct model_tensor *t = model_global(m, ROLE_TOKEN_EMBD, PART_WEIGHT);

    if (!t)
        return true;
    if (m->hp.n_vocab == 0 && t->ne[1] <= MAX_VOCAB)
        m->hp.n_vocab = (uint32_t)t->ne[1];
    if (!model_family_known(m->family) || (t->ne[0] == m->hp.n_embd && t->ne[1] == m->hp.n_vocab))
        return true;
    err_set(err, ERR_2003,
            "token_embd.weight is %" PRIu64 " x %" PRIu64 ", not %" PRIu32 " x %" PRIu32, t->ne[0],
            t->ne[1], m->hp.n_embd, m->hp.n_vocab);
    return err_why(err, "%s.embedding_length and the vocabulary say otherwise", m->architecture);
}

static const char *architecture_of(const struct gguf *g, struct err *err)
{
    const char *architecture = gguf_get_string(g, "general.architecture");

    if (!architecture || !*architecture || strlen(architecture) > 64) {
        err_set(err, ERR_2003, "general.architecture is missing from the header");
        return NULL;
    }
    if (!strcmp(architecture, "clip")) {
        err_set(err, ERR_2003, "this is a vision projector, not a language model");
        err_fix(err, NULL, "name the language model, and this file with --mmproj");
        return NULL;
    }
    if (g->n_tensors == 0) {
        err_set(err, ERR_2003, "the file holds no tensors");
        err_why(err, "it is a vocabulary or an index, not a model");
        return NULL;
    }
    return architecture;
}

static bool build(const struct gguf *g, const char *path, struct arena *arena, struct model *m,
                  struct err *err)
{
    struct layer_keys *keys = arena_new(arena, struct layer_keys);
    const char *architecture = architecture_of(g, err);

    if (!architecture)
        return false;
    m->family = model_family_find(architecture);
    m->architecture = printable_copy(arena, architecture);
    m->path = arena_strdup(arena, path);
    if (!keys || !m->architecture || !m->path)
        return err_set(err, ERR_1201, "no memory for the model's header");
    struct key_reader r = {.g = g,
                           .architecture = architecture,
                           .family = m->family,
                           .hp = &m->hp,
                           .layers = keys,
                           .err = err};
    hparams_read(&r);
    layers_read(&r);
    if (r.failed)
        return false;
    struct model_layer *layers = arena_array(arena, struct model_layer, m->hp.n_layer);
    if (!layers)
        return err_set(err, ERR_1201, "no memory for the model's layers");
    if (!layers_make(&r, layers))
        return false;
    m->layers = layers;
    m->n_layers = m->hp.n_layer;
    if (!tensors_make(g, arena, m, err) || !check_embedding(m, err))
        return false;
    m->name = name_of(g, path, arena);
    m->quantization = quantization_of(g, m, arena);
    if (!m->name || !m->quantization)
        return err_set(err, ERR_1201, "no memory for the model's name");
    return true;
}

bool model_from_gguf(const struct gguf *g, const char *path, struct arena *arena, struct model *out,
                     struct err *err)
{
    struct arena_mark mark = arena_mark(arena);
    struct model m = {.from_file = true, .file_bytes = g->file_bytes};

    if (!build(g, path, arena, &m, err)) {
        arena_rewind(arena, mark);
        return false;
    }
    *out = m;
    return true;
}
