/* set: one model from the files it was split into, whichever of them is named. */
#include "gguf/shard.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"

enum { NAME_BYTES = PATH_MAX + 64 };

/* A set while it is being read. */
struct set {
    const struct gguf_opener *opener;
    const char *first_name;
    size_t prefix_len; /* of first_name, without "-%05d-of-%05d.gguf" */
    int flags;
    struct arena *arena;
    struct arena scratch; /* keys of the shards after the first: read, compared, dropped */
    struct gguf_names names;
    struct gguf_reader reader;
    uint32_t count;
    const struct gguf_tensor **tensors; /* per shard */
    uint32_t *n_tensors;
    const char **shard_names;
    struct gguf out;
};

static void own_set(struct set *s)
{
    arena_finish(&s->scratch);
    gguf_names_finish(&s->names);
}

static void set_reset(struct set *s)
{
    gguf_names_finish(&s->names);
    s->reader = (struct gguf_reader){
        .keys = s->arena,
        .tensors = s->arena,
        .names = &s->names,
        .budget = GGUF_MAX_ARENA_BYTES,
        .header_budget = GGUF_MAX_HEADER_BYTES,
    };
}

static bool open_and_read(struct set *s, const char *name, struct gguf_shard *out,
                          uint64_t *file_bytes, struct err *err)
{
    struct gguf_source src = {0};
    bool ok;

    if (!s->opener->open(s->opener->ctx, name, &src, err))
        return false;
    ok = gguf_shard_read(&src, s->flags, &s->reader, out, err);
    *file_bytes = src.size_bytes;
    gguf_source_close(&src);
    return ok;
}

/* The two numbers a shard carries; a file without split.count, or with 1 or 0, stands alone. */
static bool split_numbers(const struct gguf_shard *shard, const char *name, uint64_t *no,
                          uint64_t *count, struct err *err)
{
    const struct gguf_key *key = gguf_keys_find(shard->keys, shard->n_keys, "split.count");

    *no = *count = 0;
    if (key && !gguf_key_u64(key, count))
        return err_set(err, ERR_2004, "%s: split.count is not a number of parts", name);
    key = gguf_keys_find(shard->keys, shard->n_keys, "split.no");
    if (key && !gguf_key_u64(key, no))
        return err_set(err, ERR_2004, "%s: split.no is not the number of a part", name);
    if (*count > 1 && !key)
        return err_set(err, ERR_2004, "%s: one of %" PRIu64 " parts, but does not say which", name,
                       *count);
    return true;
}

static bool check_numbers(const char *name, uint64_t no, uint64_t count, struct err *err)
{
    if (count > GGUF_MAX_SPLITS)
        return err_set(err, ERR_2004, "%s: says it is one of %" PRIu64 " parts, at most %d can be",
                       name, count, GGUF_MAX_SPLITS);
    if (no >= count)
        return err_set(err, ERR_2004, "%s: says it is part %" PRIu64 " (from 0) of %" PRIu64, name,
                       no, count);
    return true;
}

static bool shard_name(const struct set *s, uint64_t no, char *out, struct err *err)
{
    int n = snprintf(out, NAME_BYTES, "%.*s-%05" PRIu64 "-of-%05u.gguf", (int)s->prefix_len,
                     s->first_name, no + 1, s->count);

    if (n < 0 || n >= NAME_BYTES)
        return err_set(err, ERR_2004, "%s: the name is too long for a split model", s->first_name);
    return true;
}

static bool find_prefix(struct set *s, uint64_t no, struct err *err)
{
    char suffix[64];
    size_t len = strlen(s->first_name);
    int n = snprintf(suffix, sizeof(suffix), "-%05" PRIu64 "-of-%05u.gguf", no + 1, s->count);

    if (len > (size_t)n && len < PATH_MAX && strcmp(s->first_name + len - n, suffix) == 0) {
        s->prefix_len = len - n;
        return true;
    }
    err_set(err, ERR_2004, "%s: part %" PRIu64 " of %u, but its name does not say so",
            s->first_name, no + 1, s->count);
    err_why(err, "the other parts are found by name: this one must end in \"%s\"", suffix);
    return err_fix(err, NULL, "give the file back the name it was published under");
}

static bool explain_missing(const struct set *s, const char *name, uint32_t no, struct err *err)
{
    char cause[ERR_TEXT_MAX];

    if (!err || err->code != ERR_2001)
        return false;
    memcpy(cause, err->title, sizeof(cause));
    err_set(err, ERR_2004, "%s: part %u of %u is missing", name, no + 1, s->count);
    err_why(err, "%s", cause);
    return err_fix(err, NULL, "get the missing part and put it beside %s", s->first_name);
}

static bool append(struct set *s, uint32_t no, const char *name, const struct gguf_shard *shard,
                   uint64_t file_bytes, struct err *err)
{
    if (s->out.n_tensors + shard->n_tensors > GGUF_MAX_TENSORS)
        return err_set(err, ERR_2004, "%s: more than %d tensors in the set", name,
                       GGUF_MAX_TENSORS);
    s->shard_names[no] = arena_strdup(s->arena, name);
    if (!s->shard_names[no])
        return err_set(err, ERR_1201, "%s: no memory for its name", name);
    if (__builtin_add_overflow(s->out.data_bytes, shard->data_bytes, &s->out.data_bytes) ||
        __builtin_add_overflow(s->out.file_bytes, file_bytes, &s->out.file_bytes))
        return err_set(err, ERR_2004, "%s: the set is larger than can be counted", name);
    s->tensors[no] = shard->tensors;
    s->n_tensors[no] = shard->n_tensors;
    s->out.n_tensors += shard->n_tensors;
    s->out.header_bytes += shard->header_bytes;
    s->out.header_only |= shard->header_only;
    return true;
}

static bool begin(struct set *s, const char *name, const struct gguf_shard *shard,
                  uint64_t file_bytes, struct err *err)
{
    uint32_t slots = s->count ? s->count : 1;

    s->tensors = gguf_reader_take(&s->reader, s->arena, slots, sizeof(*s->tensors), err);
    s->n_tensors = gguf_reader_take(&s->reader, s->arena, slots, sizeof(*s->n_tensors), err);
    s->shard_names = gguf_reader_take(&s->reader, s->arena, slots, sizeof(*s->shard_names), err);
    if (!s->tensors || !s->n_tensors || !s->shard_names)
        return false;
    s->out = (struct gguf){
        .version = shard->version,
        .alignment = shard->alignment,
        .n_keys = shard->n_keys,
        .keys = shard->keys,
        .n_shards = slots,
        .shard_names = s->shard_names,
    };
    return append(s, 0, name, shard, file_bytes, err);
}

/* Read shard `no` and check that it belongs here. Shard 0 gives the set its keys. */
static bool read_shard(struct set *s, uint32_t no, struct err *err)
{
    char name[NAME_BYTES];
    struct gguf_shard shard;
    uint64_t file_bytes, its_no, its_count;

    if (!shard_name(s, no, name, err))
        return false;
    s->reader.number = (uint16_t)no;
    s->reader.keys = no == 0 ? s->arena : &s->scratch;
    if (!open_and_read(s, name, &shard, &file_bytes, err))
        return explain_missing(s, name, no, err);
    if (!split_numbers(&shard, name, &its_no, &its_count, err))
        return false;
    if (its_no != no || its_count != s->count)
        return err_set(err, ERR_2004,
                       "%s: says it is part %" PRIu64 " of %" PRIu64 ", its name says %u of %u",
                       name, its_no + 1, its_count, no + 1, s->count);
    if (no == 0)
        return begin(s, name, &shard, file_bytes, err);
    arena_finish(&s->scratch);
    return append(s, no, name, &shard, file_bytes, err);
}

static bool check_total(const struct set *s, struct err *err)
{
    uint64_t total;
    const struct gguf_key *key = gguf_find(&s->out, "split.tensors.count");

    if (!key || (gguf_key_u64(key, &total) && total == s->out.n_tensors))
        return true;
    return err_set(err, ERR_2004, "%s: the set holds %u tensors and promises another number",
                   s->first_name, s->out.n_tensors);
}

static bool join(struct set *s, struct err *err)
{
    struct gguf_tensor *all;
    uint32_t at = 0;

    if (s->out.n_shards == 1) {
        s->out.tensors = s->tensors[0];
        return true;
    }
    all = gguf_reader_take(&s->reader, s->arena, s->out.n_tensors, sizeof(*all), err);
    if (!all)
        return false;
    for (uint32_t i = 0; i < s->out.n_shards; i++) {
        if (s->n_tensors[i])
            memcpy(&all[at], s->tensors[i], s->n_tensors[i] * sizeof(*all));
        at += s->n_tensors[i];
    }
    s->out.tensors = all;
    return check_total(s, err);
}

static bool read_all(struct set *s, struct err *err)
{
    struct arena_mark start = arena_mark(s->arena);
    struct gguf_shard shard;
    uint64_t file_bytes, no, count;

    if (!open_and_read(s, s->first_name, &shard, &file_bytes, err) ||
        !split_numbers(&shard, s->first_name, &no, &count, err))
        return false;
    if (count > 1) {
        if (!check_numbers(s->first_name, no, count, err))
            return false;
        s->count = (uint32_t)count;
        if (!find_prefix(s, no, err))
            return false;
    }
    if (count <= 1 || no == 0) {
        if (!begin(s, s->first_name, &shard, file_bytes, err))
            return false;
    } else { /* the keys and the order of tensors are those of the first file: start over with it */
        arena_rewind(s->arena, start);
        set_reset(s);
        if (!read_shard(s, 0, err))
            return false;
    }
    for (uint32_t i = 1; i < s->count; i++) {
        if (!read_shard(s, i, err))
            return false;
    }
    return join(s, err);
}

bool gguf_read_set(const struct gguf_opener *opener, const char *first_name, int flags,
                   struct arena *arena, struct gguf *out, struct err *err)
{
    own(own_set) struct set s = {
        .opener = opener, .first_name = first_name, .flags = flags, .arena = arena};
    struct arena_mark start = arena_mark(arena);

    arena_init(&s.scratch, GGUF_MAX_ARENA_BYTES);
    set_reset(&s);
    if (!read_all(&s, err)) {
        arena_rewind(arena, start);
        return false;
    }
    *out = s.out;
    return true;
}

bool gguf_read(const struct gguf_source *src, int flags, struct arena *arena, struct gguf *out,
               struct err *err)
{
    own(own_set) struct set s = {.first_name = src->name, .flags = flags, .arena = arena};
    struct arena_mark start = arena_mark(arena);
    struct gguf_shard shard;

    set_reset(&s);
    if (!gguf_shard_read(src, flags, &s.reader, &shard, err) ||
        !begin(&s, src->name, &shard, src->size_bytes, err) || !join(&s, err)) {
        arena_rewind(arena, start);
        return false;
    }
    *out = s.out;
    return true;
}
