/* make: real GGUF files for the tests, from profiles or key by key; their data is a hole. */
#ifndef TESTS_MODEL_MAKE_H
#define TESTS_MODEL_MAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../tools/gguf_write.h"
#include "base/own.h"
#include "model/model.h"
#include "model/profile.h"

/* A directory of this test's own, removed with all it holds by make_dir_remove. */
static inline char *make_dir(void)
{
    char *dir = strdup("/tmp/dualgpuopt-model-XXXXXX");

    assert_non_null(dir);
    assert_non_null(mkdtemp(dir));
    return dir;
}

static inline void make_dir_remove(char *dir)
{
    char command[256];

    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
    free(dir);
}

static inline void make_key(struct gguf_write *w, const struct gguf_key *k)
{
    switch (k->type) {
    case GGUF_U32: gguf_write_u32(w, k->name, (uint32_t)k->value.u); break;
    case GGUF_U64: gguf_write_u64(w, k->name, k->value.u); break;
    case GGUF_F64: gguf_write_f32(w, k->name, (float)k->value.f); break;
    case GGUF_BOOL: gguf_write_bool(w, k->name, k->value.u != 0); break;
    case GGUF_STRING: gguf_write_string(w, k->name, k->value.string); break;
    case GGUF_ARRAY: gguf_write_i32_array(w, k->name, k->value.array, k->count); break;
    default: fail();
    }
}

/* The file that a profile's header describes, unquantised. */
static inline void make_profile_file(const char *name, const char *path)
{
    own(own_arena) struct arena arena = {0};
    own(own_gguf_write) struct gguf_write w;
    struct err err = {0};
    struct gguf g;

    gguf_write_init(&w);
    assert_true(profile_read(profile_text, name, &arena, &g, &err));
    for (uint32_t i = 0; i < g.n_keys; i++)
        make_key(&w, &g.keys[i]);
    for (uint32_t i = 0; i < g.n_tensors; i++)
        gguf_write_tensor(&w, g.tensors[i].name, g.tensors[i].type, g.tensors[i].n_dims,
                          g.tensors[i].ne);
    assert_true(gguf_write_file(&w, path, &err));
}

static inline bool open_model(const char *ref, const char *quant, struct arena *arena,
                              struct model *out, struct err *err)
{
    return model_open(&(struct model_request){.ref = ref, .quant = quant}, arena, out, err);
}

#endif
