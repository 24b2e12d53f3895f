/* plan_job: everything one `plan` was asked, what it found, and the forms it can be shown in. */
#ifndef CLI_PLAN_JOB_H
#define CLI_PLAN_JOB_H

#include "api/planner.h"
#include "cli/cli.h"
#include "engine/command.h"

struct batching_advice;
struct vllm_job;

struct plan_job {
    struct engine_request request;
    struct machine machine;
    struct planner *planner;
    struct cache_loan model_loan, plan_loan;
    const struct model *model;
    const struct plan *plan;
    const struct plan
        *spill; /* the asked plan does not fit, this one does with layers in host memory; or NULL */
    const struct batching_advice *batching; /* with --lengths, or NULL */
    struct vllm_job *vllm; /* planned for vLLM: plan is then only its outline; or NULL */
    const char *engine_why; /* with --engine auto, or where both could: why this engine */
    const char *layout;     /* for vLLM: instead of the model that was named; or NULL */
    uint32_t streams, stream_depth; /* for vLLM: what throughput is compared by, 0: its own */
    struct engine_probe probe;
    struct engine_command command; /* after plan_job_command */
    struct err no_cards;           /* why there is no card, when none was named */
    const char *again;             /* this command line as people would type it, without its form */
};

/* From words to a plan. Errors name the option, variable or file. finish gives back what is on
 * loan. */
bool plan_job_make(struct cli *c, struct plan_job *job, struct err *err);
void plan_job_finish(struct plan_job *job);

/* The command line as people would type it, into job->again. */
bool plan_job_words(struct cli *c, struct plan_job *job, struct err *err);

/* Only the first step: the cards of --gpus, else the real ones; no_cards tells why there is none. */
bool plan_job_machine(struct cli *c, struct plan_job *job, struct err *err);

/* Options, settings and variables into the request; --split with layers waits for the model. */
bool plan_request_read(struct cli *c, struct engine_request *r, struct err *err);
/* The part of it that every engine has: goal, cards to use, room to keep, variables. */
bool plan_request_options(struct cli *c, struct plan_wish *w, struct err *err);
/* ERR_2113 where something that chooses stands beside a whole command. */
/* What the environment says about memory and speed. */
bool plan_request_variables(struct plan_wish *w, struct err *err);
bool plan_request_alone(struct cli *c, struct err *err);
bool plan_request_lists_layers(const char *way); /* --split 46,34 */
/* One engine setting under the spelling that was typed, so that an error names what stands there.
 */
bool plan_request_apply(struct cli *c, struct engine_request *r, const struct flag *f,
                        const char *word, const char *value, struct err *err);

/* The plan's command, of flags that the installed engine knows; without one, of all. */
bool plan_job_command(struct cli *c, struct plan_job *job, struct err *err);

/* The command line at hand with `more` added, if it fits into `room` columns, else with dots in its
 * place. */
void plan_job_again(const struct plan_job *job, const char *more, int room, struct str *out);

void plan_text(const struct plan_job *job, const struct look *look, struct str *out);
void plan_sentences(const struct plan_job *job, struct str *out);
void plan_records(const struct plan_job *job, struct str *out);

/* Their lines of the other plans. */
void plan_choice_sentences(const struct plan *p, struct str *out);
void plan_choice_records(const struct plan *p, struct str *out);

/* Parts of plan_text. */
void plan_heading(const struct plan_job *job, const struct look *look, struct str *out);
void plan_verdict_line(const struct plan *p, const char *rest, const struct look *look,
                       struct str *out);
void plan_not_accounted(const struct plan_job *job, const struct look *look, struct str *out);
void plan_bars(const struct plan *p, const struct look *look, bool layers, struct str *out);
void plan_numbers(const struct plan *p, const struct look *look, struct str *out);
struct table;
enum { PLAN_COLUMNS_MOST = 3 }; /* with more cards the cards become rows */
/* Columns of such a table: the part, each card, all of them if there are several, how we know. heads is the caller's. */
void plan_card_columns(const struct plan *p, char heads[PLAN_COLUMNS_MOST][16], struct table *t);
void plan_others(const struct plan_job *job, const struct look *look, struct str *out);
void plan_ways(const struct plan_job *job, const struct look *look, struct str *out);
/* First way out that works, combinations before the others; NULL: no flag does it. */
const struct plan_alternative *plan_best_way(const struct plan *p);
void plan_next(const struct plan_job *job, const struct look *look, struct str *out);

/* Words that several forms share. */
uint64_t plan_card_need(const struct plan_device *d); /* ours, without other programs */
uint64_t plan_host_need(const struct plan *p);
uint32_t plan_card_layers(const struct plan *p,
                          uint32_t i); /* blocks on card i, the output layer not counted */
uint32_t plan_host_layers(const struct plan *p);
void plan_verdict_text(const struct plan *p, struct str *out); /* "FITS TIGHTLY" */
void plan_summary(const struct plan *p, struct str *out); /* "46 + 34 layers, 32,768 tokens, ..." */
void plan_simulated(const struct plan *p,
                    struct str *out); /* "0 RTX 5090, 1 RTX 4090" or nothing */
void plan_host_note(const struct plan *p, struct str *out); /* what lies there, in words */

#endif
