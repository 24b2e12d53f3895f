/* archive: ustar headers, and gzip with stored blocks: a report is small, and so no library is
 * needed. */
#include "doctor/archive.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"

enum { BLOCK = 512, STORED_MOST = 65535 };

/* POSIX.1-1988 ustar; numbers are octal texts. */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

static void add_file(struct str *tar, const struct archive_file *f, int64_t mtime_s)
{
    struct header h = {
        .type = '0', .magic = "ustar", .version = {'0', '0'}
    };
    char size[13], mtime[13], sum[9];
    unsigned total = 0;
    snprintf(h.name, sizeof(h.name), "%s", f->name);
    memcpy(h.mode, "0000600", 8);
    memcpy(h.uid, "0000000", 8);
    memcpy(h.gid, "0000000", 8);
    snprintf(size, sizeof(size), "%011llo", (unsigned long long)f->text.len & 077777777777ull);
    snprintf(mtime, sizeof(mtime), "%011llo", (unsigned long long)mtime_s & 077777777777ull);
    memcpy(h.size, size, sizeof(h.size));
    memcpy(h.mtime, mtime, sizeof(h.mtime));
    memset(h.sum, ' ', sizeof(h.sum));
    const unsigned char *raw = (const unsigned char *)&h;
    for (size_t i = 0; i < sizeof(h); i++)
        total += raw[i];
    snprintf(sum, sizeof(sum), "%06o", total & 0777777);
    memcpy(h.sum, sum, 7);
    str_add_n(tar, (const char *)&h, sizeof(h));
    str_add_n(tar, f->text.data ? f->text.data : "", f->text.len);
    str_add_char(tar, 0, (int)((BLOCK - f->text.len % BLOCK) % BLOCK));
}

/* RFC 1952: of bits reversed 0x04c11db7. */
static uint32_t crc_of(const char *data, size_t len)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)data[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void add_number(struct str *out, uint32_t n, int bytes)
{
    for (int i = 0; i < bytes; i++)
        str_add_n(out, (char[]){(char)(n >> (8 * i))}, 1);
}

static void add_gzip(struct str *out, const struct str *tar)
{
    static const char start[10] = {0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    str_add_n(out, start, sizeof(start));
    for (size_t at = 0; at < tar->len;) {
        uint32_t n = tar->len - at > STORED_MOST ? STORED_MOST : (uint32_t)(tar->len - at);
        add_number(out, at + n == tar->len, 1); /* the last block */
        add_number(out, n, 2);
        add_number(out, ~n, 2);
        str_add_n(out, tar->data + at, n);
        at += n;
    }
    add_number(out, crc_of(tar->data, tar->len), 4);
    add_number(out, (uint32_t)tar->len, 4);
}

void archive_write(struct str *out, const struct archive_file *files, size_t n, int64_t mtime_s)
{
    own(own_str) struct str tar = {0};
    for (size_t i = 0; i < n; i++)
        add_file(&tar, &files[i], mtime_s);
    str_add_char(&tar, 0, 2 * BLOCK);
    if (tar.failed)
        out->failed = true;
    else
        add_gzip(out, &tar);
}
