/* hf: names of models on the Hugging Face hub, and which file of a repository such a name means. */
#ifndef FETCH_HF_H
#define FETCH_HF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "fetch/fetch.h"

enum { HF_MAX_FILES = 20000, HF_MAX_LISTING = 8 << 20, HF_MAX_TOKEN = 512 };

/* "hf:OWNER/REPO[:QUANT]" or "hf:OWNER/REPO/PATH.gguf". Zeroed is no reference. */
struct hf_ref {
    char owner[97], repo[97]; /* 96 is the hub's own limit */
    char quant[33];           /* "": none was given */
    char file[512];           /* "": the quant decides */
};

bool hf_is_ref(const char *ref); /* begins with "hf:" */

/* Take a reference apart; ERR_9002 says what is wrong with it. */
bool hf_parse(const char *ref, struct hf_ref *out, struct err *err);

/* The hub: $HF_ENDPOINT, else the public one; no slash at its end, into out[FETCH_MAX_URL].
 * ERR_9002 when it is no http(s) URL. */
bool hf_endpoint(char *out, struct err *err);

/* The token into out[HF_MAX_TOKEN + 1]: $HF_TOKEN, else the file $HF_TOKEN_PATH, $HF_HOME/token or
 * ~/.cache/huggingface/token. False when there is none (or none that could be sent). */
bool hf_token(char *out);

/* The file that ref means among files[n] of its repository, in the hub's order; NULL if none does.
 * As llama.cpp's -hf chooses (common/download.cpp, behaviour): the first model file with "QUANT."
 * or "QUANT-" in its path, of a split set the first part; without a quant Q4_K_M, then Q8_0, then
 * any. */
const char *hf_choose(const struct hf_ref *ref, const char *const *files, size_t n);

/* The URL of the file that ref means, in arena; asks the hub unless the file is named. quant, if
 * not NULL or "", counts where ref has none. Errors as fetch_open's; ERR_2001 lists the quants
 * there are. */
bool hf_resolve(const char *ref, const char *quant, const struct fetch_options *options,
                struct arena *arena, const char **out_url, struct err *err);

#endif
