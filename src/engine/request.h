/* request: an engine's settings as flags: parsed one by one into a wish, or a whole command at once. */
#ifndef ENGINE_REQUEST_H
#define ENGINE_REQUEST_H

#include "plan/plan.h"

enum flag_value { VALUE_NONE, VALUE_NUMBER, VALUE_TEXT };

enum flag_id {
    FLAG_HARMLESS = 0,
#define FLAG(id, names, variable, value, help) FLAG_##id,
#include "engine/flags.def"
    FLAG_COUNT
};

struct flag {
    enum flag_id id;
    const char *names;    /* blank separated */
    const char *variable; /* "" none */
    enum flag_value value;
    const char *help;     /* NULL for harmless rows */
};

const struct flag *flag_table(size_t *n);      /* all rows, harmless ones too */
const struct flag *flag_find(const char *name); /* exact spelling, or NULL */
const char *flag_main_name(enum flag_id id, char out[32]); /* the spelling we emit */

enum { REQUEST_MAX_WORDS = 256 };

/* A wish and what stands beside it. Texts are the caller's argv or live in arena. */
struct engine_request {
    struct plan_wish wish;
    const char *program;     /* as written, "llama-server" */
    const char *model_ref, *mmproj_ref, *draft_ref;
    const char *devices;     /* -dev, NULL: all */
    const char *rpc;         /* --rpc, NULL: not given */
    const char *draft_devices; /* -devd, NULL: as -dev */
    const char *visible[4];  /* per enum backend: what the variable of that driver names, NULL: not set */
    const char *spec_type;   /* --spec-type as written, NULL: not given */
    const char *loras[8];
    uint32_t n_loras;
    uint32_t n_control;
    uint32_t spec_kinds;     /* of spec_type: bit i is the table's i-th */
    bool drafts_untold;      /* an engine that drafts without --spec-type */
    uint32_t per_slot_ctx;
    bool rerank, mmproj_on_host;
    bool parallel_auto;      /* -np -1 */
    bool fit_off;
    uint32_t bench_prompt, bench_gen, bench_depth; /* llama-bench */
    const char *passed[REQUEST_MAX_WORDS]; /* words to hand on: harmless and unknown ones, with their values */
    uint32_t n_passed;
    const char *not_accounted[REQUEST_MAX_WORDS]; /* unknown flags among them */
    uint32_t n_not_accounted;
};

void request_init(struct engine_request *r);

/* One flag with its value (NULL for VALUE_NONE). machine: for -ot device names; may be NULL. */
bool request_apply(struct engine_request *r, const struct flag *f, const char *value, struct arena *arena,
                   struct err *err);

/* A whole command: words[0] may be VAR=VALUE settings or `env`, then the program. Defaults of that program,
 * LLAMA_ARG_* of environ (NULL: none) and of the words, then its flags. */
bool request_parse(struct engine_request *r, int n_words, char *const *words, char *const *environ_,
                   struct arena *arena, struct err *err);

/* Last step before planning: limits of outputs, slots, batches that depend on several flags at once. */
bool request_settle(struct engine_request *r, struct err *err);

/* Place in machine.devices of a local card by index or UUID (or its beginning), as CUDA_VISIBLE_DEVICES names it; -1. */
int request_find_card(const char *word, const struct machine *m);

/* Variables that name the cards of each kind to their driver, by enum backend; NULL: it has none. */
extern const char *const request_visible_variables[4];

/* -dev and those variables: which cards of the machine a command uses (bit mask), 0: none. */
bool request_cards(const struct engine_request *r, const struct machine *m, uint32_t *mask, struct err *err);
/* The same for -devd; without it what request_cards says. */
bool request_draft_cards(const struct engine_request *r, const struct machine *m, uint32_t *mask, struct err *err);

/* What a file of NextN blocks alone asks for when it is the draft model and no --spec-type says otherwise. */
void request_draft_is_head(struct engine_request *r);

#endif
