/* model: what there is to show at one moment: every GPU's view, and the history. */
#ifndef TUI_MODEL_H
#define TUI_MODEL_H

#include "api/gpu_words.h"

enum { TOP_USERS_MAX = 64, TOP_USER_MAX = 16 };

struct top_user {
    uint32_t uid;
    char name[TOP_USER_MAX];
};

struct top_model {
    char host[64];
    int64_t wall_ns;
    int32_t utc_offset_s;        /* of the local time of day */
    uint64_t now_ns, started_ns; /* mono */
    double hz;
    double history_s; /* how far back the history goes at most */
    struct history *history;
    uint32_t n;
    struct gpu_view gpu[TELEMETRY_MAX_GPUS];
    uint32_t n_users;
    struct top_user user[TOP_USERS_MAX];
};

/* A value of the newest sample, or NAN. */
double top_value(const struct gpu_view *g, enum metric m);

/* Numbers are from before: no sample for more than two periods, or the GPU does not answer. */
bool top_is_old(const struct gpu_view *g);

/* How much a GPU's word (gpu_word) wants to be seen: 0 fine, 1 worth a look, 2 bad. */
int top_severity(const struct gpu_view *g);

/* gpu_sentence, and how old the numbers are where they are; "" when there is nothing to say.
 * Returns out. */
enum { TOP_SENTENCE_MAX = GPU_SENTENCE_MAX + 48 };
const char *top_sentence(const struct gpu_view *g, char out[TOP_SENTENCE_MAX]);

/* "12 s", "3 min", "2 h 14", "5 d". Returns out. */
char *top_age_text(uint64_t ns, char *out, size_t size);

/* "14:02:11", local time. Returns out. */
char *top_clock_text(const struct top_model *m, char *out, size_t size);

/* Name of a user, or the number where it has none here. Returns out. */
char *top_user_text(const struct top_model *m, uint32_t uid, char *out, size_t size);

#endif
