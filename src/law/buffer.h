/* buffer: what a tensor takes in a device's or the host's buffer: alignment and row padding. */
#ifndef LAW_BUFFER_H
#define LAW_BUFFER_H

#include "law/law.h"

struct buffer_rule {
    uint32_t align;
    uint32_t row_pad; /* quantised tensors end on a multiple of so many elements, 0: no rule */
};

/* CUDA (and HIP, and CUDA behind RPC): 128 bytes, rows of 512 (ggml-cuda.cu get_alloc_size,
 * behaviour). Vulkan: the device's own alignment, 16 is common. */
static inline struct buffer_rule buffer_rule_device(enum backend b)
{
    return b == BACKEND_VULKAN ? (struct buffer_rule){16, 0} : (struct buffer_rule){128, 512};
}

/* TENSOR_ALIGNMENT of ggml's CPU buffers. */
static inline struct buffer_rule buffer_rule_host(void)
{
    return (struct buffer_rule){32, 0};
}

/* Bytes a tensor of `bytes` exact bytes and first dimension ne0 takes; type must be known. */
static inline uint64_t buffer_bytes(struct buffer_rule r, const struct gguf_type_info *t,
                                    uint64_t ne0, uint64_t bytes)
{
    uint64_t over = r.row_pad && t->quantised ? ne0 % r.row_pad : 0;
    if (over)
        bytes += gguf_row_bytes(t, r.row_pad - over);
    return (bytes + r.align - 1) / r.align * r.align;
}

#endif
