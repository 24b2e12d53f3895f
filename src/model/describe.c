/* describe: reads a YAML of hyper-parameters, one table row per key, line and column in every
 * error. */
#include "model/describe.h"

#include "base/own.h"
#include "base/str.h"
#include "model/draft.h"
#include "model/quantize.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

enum { NAME_MAX_LEN = 128 };

struct description {
    char name[NAME_MAX_LEN], quantization[NAME_MAX_LEN];
    int64_t context, hidden, layers, heads, kv_heads, head_dim, vocab, ff, experts, used;
    bool tied, has_kv_heads, has_head_dim, has_ff;
};

enum value_kind { VALUE_TEXT, VALUE_NUMBER, VALUE_BOOL };

/* Positive where the description says so; the texts are those of the program this one follows. */
/* clang-format off */
static const struct field {
    const char *key;
    enum value_kind kind;
    size_t offset;
    int64_t max;
    bool required;
    const char *positive; /* reason when it is not above 0; NULL: 0 is fine */
} fields[] = {
#define AT(member) offsetof(struct description, member)
    {"name", VALUE_TEXT, AT(name), 0, false, NULL},
    {"context_length", VALUE_NUMBER, AT(context), 1 << 30, true, "Context length must be positive"},
    {"hidden_size", VALUE_NUMBER, AT(hidden), 1 << 18, true, "Hidden size must be positive"},
    {"num_layers", VALUE_NUMBER, AT(layers), MODEL_MAX_LAYERS, true,
     "Number of layers must be positive"},
    {"num_heads", VALUE_NUMBER, AT(heads), 1 << 14, true, "Number of heads must be positive"},
    {"kv_heads", VALUE_NUMBER, AT(kv_heads), 1 << 14, false, "Number of KV heads must be positive"},
    {"head_dim", VALUE_NUMBER, AT(head_dim), 1 << 12, false, "Head dimension must be positive"},
    {"vocab_size", VALUE_NUMBER, AT(vocab), 1 << 26, false, "Vocabulary size must be positive"},
    {"intermediate_size", VALUE_NUMBER, AT(ff), 1 << 22, false,
     "Intermediate size must be positive"},
    {"experts", VALUE_NUMBER, AT(experts), MODEL_MAX_EXPERTS, false, NULL},
    {"experts_used", VALUE_NUMBER, AT(used), MODEL_MAX_EXPERTS, false, NULL},
    {"quantization", VALUE_TEXT, AT(quantization), 0, false, NULL},
    {"tied_embeddings", VALUE_BOOL, AT(tied), 0, false, NULL},
#undef AT
};
/* clang-format on */
enum { N_FIELDS = sizeof fields / sizeof *fields };

struct place {
    const char *path;
    size_t line, column; /* from 1 */
};

static bool refuse(struct err *err, struct place at, const char *reason)
{
    err_set(err, ERR_2007, "%s: line %zu, column %zu: these hyper-parameters cannot be used",
            at.path, at.line, at.column);
    return err_why(err, "%s", reason);
}

static bool refuse_key(struct err *err, struct place at, const char *key)
{
    const char *keys[N_FIELDS];
    char shown[NAME_MAX_LEN];

    for (size_t i = 0; i < N_FIELDS; i++)
        keys[i] = fields[i].key;
    err_set(err, ERR_2007, "%s: line %zu, column %zu: %s is no hyper-parameter", at.path, at.line,
            at.column, str_printable(key, strlen(key), shown, sizeof shown));
    const char *nearest = str_nearest(key, keys, N_FIELDS);
    if (nearest)
        err_fix(err, NULL, "did you mean %s?", nearest);
    return err_fix(
        err, NULL,
        "known are name, context_length, hidden_size, num_layers, num_heads, kv_heads, head_dim, "
        "vocab_size, intermediate_size, experts, experts_used, quantization, tied_embeddings");
}

static bool set_number(const struct field *f, const char *text, struct place at, int64_t *out,
                       struct err *err)
{
    char reason[200];
    int64_t value;

    if (!str_parse_i64(text, INT64_MIN, INT64_MAX, false, &value)) {
        snprintf(reason, sizeof reason, "%s must be a whole number", f->key);
        return refuse(err, at, reason);
    }
    if (f->positive && value <= 0)
        return refuse(err, at, f->positive);
    if (value < 0 || value > f->max) {
        snprintf(reason, sizeof reason, "%s must be at most %" PRId64, f->key, f->max);
        return refuse(err, at, reason);
    }
    *out = value;
    return true;
}

static bool set_field(const struct field *f, const char *text, struct place at,
                      struct description *d, struct err *err)
{
    char *member = (char *)d + f->offset;

    switch (f->kind) {
    case VALUE_NUMBER: return set_number(f, text, at, (int64_t *)(void *)member, err);
    case VALUE_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return refuse(err, at, "tied_embeddings must be true or false");
        *(bool *)(void *)member = text[0] == 't';
        return true;
    default:
        if (strlen(text) >= NAME_MAX_LEN)
            return refuse(err, at, "a name has at most 127 bytes");
        memcpy(member, text, strlen(text) + 1);
        return true;
    }
}

struct reading {
    yaml_parser_t parser;
    const char *path;
    struct place where[N_FIELDS]; /* line 0: not given */
};

static void own_reading(struct reading *r)
{
    yaml_parser_delete(&r->parser);
}

static struct place place_of(const struct reading *r, yaml_mark_t mark)
{
    return (struct place){r->path, mark.line + 1, mark.column + 1};
}

static bool next_event(struct reading *r, yaml_event_t *event, struct err *err)
{
    if (yaml_parser_parse(&r->parser, event))
        return true;
    const char *problem = r->parser.problem ? r->parser.problem : "not readable as YAML";
    return refuse(err, place_of(r, r->parser.problem_mark), problem);
}

/* One "key: value"; *done at the mapping's end. */
static bool read_pair(struct reading *r, struct description *d, bool *done, struct err *err)
{
    yaml_event_t key, value;
    bool ok = false;

    if (!next_event(r, &key, err))
        return false;
    *done = key.type == YAML_MAPPING_END_EVENT;
    if (*done || key.type != YAML_SCALAR_EVENT) {
        ok = *done || refuse(err, place_of(r, key.start_mark), "a key must be a word");
        yaml_event_delete(&key);
        return ok;
    }
    const char *word = (const char *)key.data.scalar.value;
    size_t i = 0;
    while (i < N_FIELDS && strcmp(fields[i].key, word) != 0)
        i++;
    if (i == N_FIELDS || key.data.scalar.length != strlen(word)) {
        refuse_key(err, place_of(r, key.start_mark), word);
    } else if (r->where[i].line) {
        refuse(err, place_of(r, key.start_mark), "this key was given before");
    } else if (next_event(r, &value, err)) {
        r->where[i] = place_of(r, value.start_mark);
        if (value.type == YAML_SCALAR_EVENT &&
            value.data.scalar.length == strlen((const char *)value.data.scalar.value))
            ok = set_field(&fields[i], (const char *)value.data.scalar.value, r->where[i], d, err);
        else
            refuse(err, r->where[i], "a single value is expected here");
        yaml_event_delete(&value);
    }
    yaml_event_delete(&key);
    return ok;
}

static bool read_mapping(struct reading *r, struct description *d, struct err *err)
{
    bool started = false, done = false;

    while (!started) {
        yaml_event_t event;
        if (!next_event(r, &event, err))
            return false;
        yaml_event_type_t type = event.type;
        struct place at = place_of(r, event.start_mark);
        yaml_event_delete(&event);
        started = type == YAML_MAPPING_START_EVENT;
        if (!started && type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT)
            return refuse(err, at,
                          "a mapping of hyper-parameters is expected (num_layers: 32 ...)");
    }
    while (!done) {
        if (!read_pair(r, d, &done, err))
            return false;
    }
    return true;
}

static size_t field_index(const char *key)
{
    size_t i = 0;

    while (strcmp(fields[i].key, key) != 0)
        i++;
    return i;
}

static bool check(struct reading *r, struct description *d, struct err *err)
{
    char reason[200];
    struct place start = {r->path, 1, 1};

    for (size_t i = 0; i < N_FIELDS; i++) {
        if (fields[i].required && !r->where[i].line) {
            snprintf(reason, sizeof reason, "%s is missing", fields[i].key);
            return refuse(err, start, reason);
        }
    }
    struct place heads = r->where[field_index("num_heads")];
    d->has_kv_heads = r->where[field_index("kv_heads")].line != 0;
    d->has_head_dim = r->where[field_index("head_dim")].line != 0;
    d->has_ff = r->where[field_index("intermediate_size")].line != 0;
    if (!d->has_kv_heads)
        d->kv_heads = d->heads;
    if (!d->has_head_dim && d->hidden % d->heads != 0) {
        snprintf(reason, sizeof reason,
                 "Hidden size (%" PRId64 ") must be divisible by number of heads (%" PRId64 ")",
                 d->hidden, d->heads);
        refuse(err, heads, reason);
        return err_fix(err, NULL, "or give the head's size: head_dim: 128");
    }
    if (d->heads % d->kv_heads != 0) {
        snprintf(reason, sizeof reason,
                 "Number of heads (%" PRId64 ") must be divisible by number of KV heads (%" PRId64
                 ")",
                 d->heads, d->kv_heads);
        return refuse(err, r->where[field_index("kv_heads")], reason);
    }
    if (d->experts && (d->used < 1 || d->used > d->experts))
        return refuse(err, r->where[field_index("experts")], "experts_used must be 1 to experts");
    return true;
}

static void fill_defaults(struct description *d)
{
    enum { MULTIPLE = 256, VOCAB = 32000 };

    if (!d->has_head_dim)
        d->head_dim = d->hidden / d->heads;
    if (!d->has_ff)
        d->ff = (8 * d->hidden / 3 + MULTIPLE - 1) / MULTIPLE * MULTIPLE;
    if (d->vocab == 0)
        d->vocab = VOCAB;
}

static void add_keys(struct draft *g, const struct description *d)
{
    draft_u32(g, "block_count", (uint64_t)d->layers);
    draft_u32(g, "context_length", (uint64_t)d->context);
    draft_u32(g, "embedding_length", (uint64_t)d->hidden);
    draft_u32(g, "feed_forward_length", (uint64_t)d->ff);
    draft_u32(g, "attention.head_count", (uint64_t)d->heads);
    draft_u32(g, "attention.head_count_kv", (uint64_t)d->kv_heads);
    draft_u32(g, "attention.key_length", (uint64_t)d->head_dim);
    draft_u32(g, "attention.value_length", (uint64_t)d->head_dim);
    draft_u32(g, "rope.dimension_count", (uint64_t)d->head_dim);
    draft_u32(g, "vocab_size", (uint64_t)d->vocab);
    if (d->experts) {
        draft_u32(g, "expert_count", (uint64_t)d->experts);
        draft_u32(g, "expert_used_count", (uint64_t)d->used);
    }
}

static void add(struct draft *g, int layer, const char *name, int64_t a, int64_t b, int64_t c,
                uint8_t type)
{
    uint64_t ne[4] = {(uint64_t)a, (uint64_t)b, (uint64_t)c, 1};

    draft_tensor(g, layer, name, ne, type);
}

static void add_layer(struct draft *g, const struct description *d, int il)
{
    enum { F32 = GGUF_TYPE_F32, F16 = GGUF_TYPE_F16 };
    int64_t q = d->heads * d->head_dim, kv = d->kv_heads * d->head_dim, n = d->experts;

    add(g, il, "attn_norm.weight", d->hidden, 1, 1, F32);
    add(g, il, "attn_q.weight", d->hidden, q, 1, F16);
    add(g, il, "attn_k.weight", d->hidden, kv, 1, F16);
    add(g, il, "attn_v.weight", d->hidden, kv, 1, F16);
    add(g, il, "attn_output.weight", q, d->hidden, 1, F16);
    add(g, il, "ffn_norm.weight", d->hidden, 1, 1, F32);
    if (n)
        add(g, il, "ffn_gate_inp.weight", d->hidden, n, 1, F32);
    add(g, il, n ? "ffn_gate_exps.weight" : "ffn_gate.weight", d->hidden, d->ff, n, F16);
    add(g, il, n ? "ffn_up_exps.weight" : "ffn_up.weight", d->hidden, d->ff, n, F16);
    add(g, il, n ? "ffn_down_exps.weight" : "ffn_down.weight", d->ff, d->hidden, n, F16);
}

static bool build(const char *path, const struct description *d, const char *quant,
                  struct arena *arena, struct model *out, struct err *err)
{
    struct draft *g = arena_new(arena, struct draft);
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    char *title = arena_strdup(arena, d->name[0] ? d->name : base);
    const char *mix = quant ? quant : d->quantization[0] ? d->quantization : "F16";
    struct gguf header;
    struct model m;

    if (!g || !title)
        return err_set(err, ERR_1201, "no memory for the model of %s", path);
    draft_init(g, arena, "llama");
    add_keys(g, d);
    add(g, -1, "token_embd.weight", d->hidden, d->vocab, 1, GGUF_TYPE_F16);
    for (int il = 0; il < (int)d->layers; il++)
        add_layer(g, d, il);
    add(g, -1, "output_norm.weight", d->hidden, 1, 1, GGUF_TYPE_F32);
    if (!d->tied)
        add(g, -1, "output.weight", d->hidden, d->vocab, 1, GGUF_TYPE_F16);
    if (!draft_finish(g, title, &header, err) || !model_from_gguf(&header, path, arena, &m, err) ||
        !quantize_model(&m, mix, arena, err))
        return err_prefix(err, "%s", path);
    m.from_file = false;
    *out = m;
    return true;
}

bool describe_parse(const char *path, const char *text, size_t len, const char *quant,
                    struct arena *arena, struct model *out, struct err *err)
{
    struct description d = {.used = 2};
    own(own_reading) struct reading r = {.path = path};

    if (!yaml_parser_initialize(&r.parser))
        return err_set(err, ERR_1201, "no memory to read %s", path);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    if (!read_mapping(&r, &d, err) || !check(&r, &d, err))
        return false;
    fill_defaults(&d);
    return build(path, &d, quant, arena, out, err);
}

static bool read_all(int fd, const char *path, char *out, size_t len, struct err *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = read(fd, out + done, len - done);
        if (n <= 0)
            return err_set(err, ERR_1202, "%s could not be read: %s", path,
                           n < 0 ? strerror(errno) : "it became shorter");
        done += (size_t)n;
    }
    return true;
}

bool describe_open(const char *path, const char *quant, struct arena *arena, struct model *out,
                   struct err *err)
{
    own_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    own_free char *text = NULL;
    struct stat st;

    if (fd < 0)
        return err_set(err, errno == ENOENT ? ERR_2001 : ERR_1202, "%s: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(err, ERR_2008, "%s is not a regular file", path);
    if (st.st_size > DESCRIBE_MAX_BYTES)
        return err_set(err, ERR_2007, "%s has %" PRId64 " bytes; at most %d are read", path,
                       (int64_t)st.st_size, DESCRIBE_MAX_BYTES);
    text = malloc((size_t)st.st_size + 1);
    if (!text)
        return err_set(err, ERR_1201, "no memory to read %s", path);
    return read_all(fd, path, text, (size_t)st.st_size, err) &&
           describe_parse(path, text, (size_t)st.st_size, quant, arena, out, err);
}
