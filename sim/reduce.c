/* reduce: marks symbols as undefined in the dynamic table of a copied ELF library. */
#include "sim/reduce.h"

#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"

enum { LIBRARY_MAX = 64 << 20 };

struct image {
    unsigned char *data;
    uint64_t size;
};

static bool inside(const struct image *m, uint64_t at, uint64_t len)
{
    return at <= m->size && len <= m->size - at;
}

static const Elf64_Shdr *find_section(const struct image *m, const Elf64_Ehdr *h, uint32_t type)
{
    for (unsigned i = 0; i < h->e_shnum; i++) {
        const Elf64_Shdr *s =
            (const void *)(m->data + h->e_shoff + (uint64_t)i * sizeof(Elf64_Shdr));
        if (s->sh_type == type && inside(m, s->sh_offset, s->sh_size))
            return s;
    }
    return NULL;
}

/* The table of dynamic symbols and its texts. */
static bool find_symbols(const struct image *m, Elf64_Sym **symbols, uint64_t *n,
                         const char **texts, uint64_t *room)
{
    const Elf64_Ehdr *h = (const void *)m->data;
    if (m->size < sizeof(*h) || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 ||
        h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_shentsize != sizeof(Elf64_Shdr) ||
        h->e_shoff % 8 || !inside(m, h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr)))
        return false;
    const Elf64_Shdr *table = find_section(m, h, SHT_DYNSYM);
    if (!table || table->sh_link >= h->e_shnum || table->sh_offset % 8)
        return false;
    const Elf64_Shdr *strings =
        (const void *)(m->data + h->e_shoff + (uint64_t)table->sh_link * sizeof(Elf64_Shdr));
    if (!inside(m, strings->sh_offset, strings->sh_size) || !strings->sh_size ||
        m->data[strings->sh_offset + strings->sh_size - 1])
        return false;
    *symbols = (void *)(m->data + table->sh_offset);
    *n = table->sh_size / sizeof(Elf64_Sym);
    *texts = (const char *)m->data + strings->sh_offset;
    *room = strings->sh_size;
    return true;
}

static bool hide(const struct image *m, const char *name)
{
    Elf64_Sym *symbols;
    uint64_t n, room;
    const char *texts;
    if (!find_symbols(m, &symbols, &n, &texts, &room))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (symbols[i].st_name >= room || strcmp(texts + symbols[i].st_name, name) != 0)
            continue;
        symbols[i].st_shndx = SHN_UNDEF;
        symbols[i].st_value = 0;
        symbols[i].st_info = ELF64_ST_INFO(STB_WEAK, ELF64_ST_TYPE(symbols[i].st_info));
        return true;
    }
    return false;
}

static bool write_whole(const char *to, const struct image *m, struct err *err)
{
    char fresh[4096];
    if (snprintf(fresh, sizeof(fresh), "%s.XXXXXX", to) >= (int)sizeof(fresh))
        return err_set(err, ERR_1502, "%s: the path is too long", to);
    own_fd int fd = mkostemp(fresh, 0);
    bool ok = fd >= 0;
    for (uint64_t done = 0; ok && done < m->size;) {
        ssize_t n = write(fd, m->data + done, m->size - done);
        ok = n > 0;
        done += ok ? (uint64_t)n : 0;
    }
    ok = ok && rename(fresh, to) == 0;
    if (!ok && fd >= 0)
        unlink(fresh);
    return ok || err_set(err, ERR_1502, "%s cannot be written: %s", to, strerror(errno));
}

bool reduce_library(const char *from, const char *to, const char *const *names, size_t n,
                    struct err *err)
{
    struct file *f;
    struct image m = {0};
    if (!file_open(from, from, 0, &f, &m.size, err))
        return false;
    own_free unsigned char *data = m.size <= LIBRARY_MAX ? malloc(m.size ? m.size : 1) : NULL;
    bool ok = data || err_set(err, ERR_1502, "%s is too large for a driver's library", from);
    ok = ok && file_read_at(f, 0, data, m.size, err);
    file_close(f);
    m.data = data;
    for (size_t i = 0; ok && i < n; i++)
        ok = hide(&m, names[i]) ||
             err_set(err, ERR_1502, "%s has no symbol %s to hide", from, names[i]);
    return ok && write_whole(to, &m, err);
}
