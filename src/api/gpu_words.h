/* gpu_words: what is the matter with a GPU, in a word and in a sentence, the same in every face. */
#ifndef API_GPU_WORDS_H
#define API_GPU_WORDS_H

#include "api/watch.h"

enum { GPU_NAME_SHORT = 48, GPU_SENTENCE_MAX = 240 };

/* "RTX 4090" of "NVIDIA GeForce RTX 4090". Points into name; "?" for "". */
const char *gpu_short_name(const char *name);

/* One word for a column: "ok", "HOT", "CAPPED", "LINK", "FULL", "DEGRADED", "LOST", "HUNG", ...; capitals want attention. */
const char *gpu_word(const struct gpu_view *v);

/* What it means and what to do, without "GPU 1": "throttles (heat) at 83 C, 310 of 450 W"; "" when all is well. */
const char *gpu_sentence(const struct gpu_view *v, char out[GPU_SENTENCE_MAX]);

/* "gen5 x16", "gen4 x4/16" when the link has fewer lanes than card and slot could; "-" unknown. */
const char *gpu_link_text(const struct gpu_view *v, char out[32]);

/* Under load the link is narrower or slower than it could be. */
bool gpu_link_below(const struct gpu_view *v);

#endif
