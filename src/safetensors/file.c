/* file: headers from regular files by pread. */
#include "base/file.h"
#include "safetensors/safetensors.h"

bool safetensors_source_file(const char *path, struct safetensors_source *out, struct err *err)
{
    struct file *f;
    uint64_t size;
    if (!file_open(path, path, 0, &f, &size, err))
        return false;
    *out = (struct safetensors_source){
        .name = file_name(f), .size_bytes = size, .read_at = file_read_at, .close = file_close, .ctx = f};
    return true;
}

void safetensors_source_close(struct safetensors_source *src)
{
    if (src->close)
        src->close(src->ctx);
    *src = (struct safetensors_source){0};
}
