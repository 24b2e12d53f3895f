/* gguf_write: appends little endian values to two growing texts, joins them at the end. */
#include "gguf_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"

static void add_le(struct str *s, uint64_t value, int bytes)
{
    char out[8];

    for (int i = 0; i < bytes; i++)
        out[i] = (char)(value >> (8 * i));
    str_add_n(s, out, (size_t)bytes);
}

static void begin_key(struct gguf_write *w, const char *key, uint32_t type)
{
    size_t len = strlen(key);

    add_le(&w->keys, len, 8);
    str_add_n(&w->keys, key, len);
    add_le(&w->keys, type, 4);
    w->n_keys++;
}

static void begin_array(struct gguf_write *w, const char *key, uint32_t type, uint64_t n)
{
    begin_key(w, key, GGUF_ARRAY);
    add_le(&w->keys, type, 4);
    add_le(&w->keys, n, 8);
}

static uint64_t pad(uint64_t n, uint32_t alignment)
{
    return (n + alignment - 1) / alignment * alignment;
}

void gguf_write_init(struct gguf_write *w)
{
    *w = (struct gguf_write){.version = 3, .alignment = 32};
}

void gguf_write_finish(struct gguf_write *w)
{
    str_finish(&w->keys);
    str_finish(&w->tensors);
}

void gguf_write_u32(struct gguf_write *w, const char *key, uint32_t value)
{
    begin_key(w, key, GGUF_U32);
    add_le(&w->keys, value, 4);
}

void gguf_write_u16(struct gguf_write *w, const char *key, uint16_t value)
{
    begin_key(w, key, GGUF_U16);
    add_le(&w->keys, value, 2);
}

void gguf_write_i32(struct gguf_write *w, const char *key, int32_t value)
{
    begin_key(w, key, GGUF_I32);
    add_le(&w->keys, (uint32_t)value, 4);
}

void gguf_write_u64(struct gguf_write *w, const char *key, uint64_t value)
{
    begin_key(w, key, GGUF_U64);
    add_le(&w->keys, value, 8);
}

void gguf_write_f32(struct gguf_write *w, const char *key, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    begin_key(w, key, GGUF_F32);
    add_le(&w->keys, bits, 4);
}

void gguf_write_bool(struct gguf_write *w, const char *key, bool value)
{
    begin_key(w, key, GGUF_BOOL);
    add_le(&w->keys, value, 1);
}

void gguf_write_string(struct gguf_write *w, const char *key, const char *value)
{
    begin_key(w, key, GGUF_STRING);
    add_le(&w->keys, strlen(value), 8);
    str_add(&w->keys, value);
}

void gguf_write_i32_array(struct gguf_write *w, const char *key, const int32_t *values, uint64_t n)
{
    begin_array(w, key, GGUF_I32, n);
    for (uint64_t i = 0; i < n; i++)
        add_le(&w->keys, (uint32_t)values[i], 4);
}

void gguf_write_u32_array(struct gguf_write *w, const char *key, const uint32_t *values, uint64_t n)
{
    begin_array(w, key, GGUF_U32, n);
    for (uint64_t i = 0; i < n; i++)
        add_le(&w->keys, values[i], 4);
}

void gguf_write_bool_array(struct gguf_write *w, const char *key, const bool *values, uint64_t n)
{
    begin_array(w, key, GGUF_BOOL, n);
    for (uint64_t i = 0; i < n; i++)
        add_le(&w->keys, values[i], 1);
}

void gguf_write_alignment(struct gguf_write *w, uint32_t alignment)
{
    gguf_write_u32(w, "general.alignment", alignment);
    w->alignment = alignment;
}

static void add_strings(struct gguf_write *w, const char *key, const char *format, uint32_t n)
{
    char text[64];

    begin_array(w, key, GGUF_STRING, n);
    for (uint32_t i = 0; i < n; i++) {
        int len = snprintf(text, sizeof(text), "%s%u", format, i);
        add_le(&w->keys, (uint64_t)len, 8);
        str_add_n(&w->keys, text, (size_t)len);
    }
}

void gguf_write_vocabulary(struct gguf_write *w, uint32_t n_tokens, uint32_t n_merges)
{
    gguf_write_string(w, "tokenizer.ggml.model", "gpt2");
    gguf_write_string(w, "tokenizer.ggml.pre", "default");
    add_strings(w, "tokenizer.ggml.tokens", "t", n_tokens);
    begin_array(w, "tokenizer.ggml.token_type", GGUF_I32, n_tokens);
    for (uint32_t i = 0; i < n_tokens; i++)
        add_le(&w->keys, 1, 4);
    add_strings(w, "tokenizer.ggml.merges", "ab cd", n_merges);
    gguf_write_u32(w, "tokenizer.ggml.bos_token_id", 1);
    gguf_write_u32(w, "tokenizer.ggml.eos_token_id", 2);
}

void gguf_write_tensor(struct gguf_write *w, const char *name, uint32_t type, uint32_t n_dims,
                       const uint64_t *ne)
{
    const struct gguf_type_info *info = gguf_type_info(type);
    uint64_t bytes = gguf_row_bytes(info, n_dims ? ne[0] : 1);

    for (uint32_t i = 1; i < n_dims; i++)
        bytes *= ne[i];
    gguf_write_raw_tensor(w, name, strlen(name), n_dims, ne, type, w->data_bytes);
    w->data_bytes += pad(bytes, w->alignment);
}

void gguf_write_raw_key(struct gguf_write *w, const void *name, uint64_t name_len, uint32_t type,
                        const void *bytes, size_t len)
{
    add_le(&w->keys, name_len, 8);
    str_add_n(&w->keys, name, name_len);
    add_le(&w->keys, type, 4);
    str_add_n(&w->keys, bytes, len);
    w->n_keys++;
}

void gguf_write_raw_tensor(struct gguf_write *w, const void *name, size_t name_len, uint32_t n_dims,
                           const uint64_t *ne, uint32_t type, uint64_t offset)
{
    add_le(&w->tensors, name_len, 8);
    str_add_n(&w->tensors, name, name_len);
    add_le(&w->tensors, n_dims, 4);
    for (uint32_t i = 0; i < n_dims && i < 8; i++)
        add_le(&w->tensors, ne[i], 8);
    add_le(&w->tensors, type, 4);
    add_le(&w->tensors, offset, 8);
    w->n_tensors++;
}

bool gguf_write_header(const struct gguf_write *w, struct str *out)
{
    str_add_n(out, "GGUF", 4);
    add_le(out, w->version, 4);
    add_le(out, w->n_tensors, 8);
    add_le(out, w->n_keys, 8);
    if (w->keys.len)
        str_add_n(out, w->keys.data, w->keys.len);
    if (w->n_tensors) {
        str_add_n(out, w->tensors.data, w->tensors.len);
        str_add_char(out, '\0', (int)(pad(out->len, w->alignment) - out->len));
    }
    return !out->failed && !w->keys.failed && !w->tensors.failed;
}

static bool write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

bool gguf_write_file(const struct gguf_write *w, const char *path, struct err *err)
{
    own(own_str) struct str header = {0};
    own(own_str) struct str part = {0};
    own_fd int fd = -1;

    if (!gguf_write_header(w, &header))
        return err_set(err, ERR_1201, "%s: no memory for its header", path);
    str_addf(&part, "%s.part", path);
    if (part.failed)
        return err_set(err, ERR_1201, "%s: no memory for its name", path);
    fd = open(part.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd >= 0 && write_all(fd, header.data, header.len) &&
        ftruncate(fd, (off_t)(header.len + w->data_bytes)) == 0 && rename(part.data, path) == 0)
        return true;
    err_set(err, ERR_1202, "%s: cannot be written: %s", path, strerror(errno));
    if (fd >= 0)
        unlink(part.data);
    return false;
}
