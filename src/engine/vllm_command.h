/* vllm_command: a plan as `vllm serve`, and `vllm serve` read back into the wish it means. */
#ifndef ENGINE_VLLM_COMMAND_H
#define ENGINE_VLLM_COMMAND_H

#include "engine/command.h"
#include "plan/vllm.h"

/* What a command says beside the wish. Texts are the caller's argv or live in arena. */
struct vllm_request {
    struct vllm_wish wish;
    const char *program; /* "vllm", "python3" */
    const char *model_ref;
    const char *visible;                   /* CUDA_VISIBLE_DEVICES, NULL: not set */
    const char *port;                      /* NULL: 8000 */
    const char *partition;                 /* VLLM_PP_LAYER_PARTITION */
    bool p2p_off;                          /* NCCL_P2P_DISABLE=1 */
    const char *passed[REQUEST_MAX_WORDS]; /* words to hand on, with their values */
    uint32_t n_passed;
    const char *not_accounted[REQUEST_MAX_WORDS]; /* unknown flags among them */
    uint32_t n_not_accounted;
};

/* Is this the beginning of a vLLM command: `vllm serve`, `python -m
 * vllm.entrypoints.openai.api_server`, with VAR=VALUE words or `env` before it? */
bool vllm_is_command(int n_words, char *const *words);

/* A whole command; what it leaves out stays open in the wish, which is marked as_command (then
 * vllm_plan_make takes vLLM's defaults). environ_ may be NULL. ERR_9002, ERR_9003, ERR_2113. */
bool vllm_request_parse(struct vllm_request *r, int n_words, char *const *words,
                        char *const *environ_, struct arena *arena, struct err *err);

/* CUDA_VISIBLE_DEVICES against the machine, into wish.cards in the order given. ERR_2101. */
bool vllm_request_cards(struct vllm_request *r, const struct machine *machine, struct err *err);

/* The command of a plan. model_ref: what stands behind `serve`. r: words to hand on, port; may be
 * NULL. Cards are named by index in PCI order. Planning the words again on the same cards gives the
 * same plan. */
bool vllm_command_make(const struct vllm_plan *p, const struct vllm_request *r,
                       const char *model_ref, struct arena *arena, struct engine_command *out,
                       struct err *err);

#endif
