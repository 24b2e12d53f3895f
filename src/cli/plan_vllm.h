/* plan_vllm: one `plan` for vLLM: what was asked, what was found, and its forms. */
#ifndef CLI_PLAN_VLLM_H
#define CLI_PLAN_VLLM_H

#include "cli/plan_job.h"
#include "engine/vllm_command.h"
#include "engine/vllm_hosts.h"

struct vllm_job {
    struct vllm_request request;
    struct hub_model model;
    struct vllm_plan plan;
    struct vllm_hosts hosts;
};

/* A directory in the hub's layout. GGUF repositories often keep a config.json too: not those. */
bool plan_vllm_layout(const char *ref);

/* Which engine the words mean. ERR_9002 and ERR_2113 of --engine. */
struct engine_choice {
    bool vllm;
    bool automatic;     /* --engine auto: the reason is told */
    const char *layout; /* both could run it: the folder that vLLM would take; NULL: only one */
    const char *why;    /* both could, this was set: why only one is planned; or NULL */
};
bool plan_vllm_wanted(struct cli *c, struct engine_choice *choice, struct err *err);

/* Did reading a repository fail because it holds no GGUF file at all? */
bool plan_vllm_no_gguf(const char *ref, const struct err *failed);

/* A GGUF plan that failed because the repository holds none: look at it again as a layout? */
bool plan_vllm_again(struct cli *c, const struct err *failed);

/* As plan_job_make; job->plan is the outline that the common parts of texts are drawn from. */
bool plan_vllm_make(struct cli *c, struct plan_job *job, bool automatic, struct err *err);
bool plan_vllm_command(struct cli *c, struct plan_job *job, struct err *err);

/* A reason for the engine, into the plan's reasons and its heading. */
bool plan_engine_say(struct cli *c, struct plan_job *job, const char *why, struct err *err);
/* Why llama.cpp, where --engine auto had no choice. */
const char *plan_engine_alone(const struct plan_job *job);

/* The folder vLLM would take for a model that has a GGUF file and safetensors side by side; NULL:
 * it has not. */
const char *plan_engine_layout(struct cli *c, const char *ref);

/* Both engines' plans; the better by the goal is the job, and says why. */
bool plan_engine_make(struct cli *c, struct plan_job *job, const char *layout, struct err *err);

void vllm_text(const struct plan_job *job, const struct look *look, struct str *out);
void vllm_sentences(const struct plan_job *job, struct str *out);
void vllm_records(const struct plan_job *job, struct str *out);

/* The table of every rank's terms, and how each is known. */
void vllm_numbers(const struct plan_job *job, const struct look *look, struct str *out);
void vllm_summary(const struct vllm_plan *p, struct str *out); /* "2 cards share ..., 8,192 tokens" */

#endif
