/* together_text: several plans on the same cards as people read them: one bar a card, one line a
 * model. */
#ifndef CLI_TOGETHER_TEXT_H
#define CLI_TOGETHER_TEXT_H

#include "cli/plan_side.h"
#include "plan/together.h"

struct together_job {
    uint32_t n;
    struct plan_side side[TOGETHER_MAX_MODELS];
    const char *names[TOGETHER_MAX_MODELS];
    struct together result;
};

/* Records, sentences or text, as look says. */
void together_text(const struct together_job *job, const struct look *look, struct str *out);

#endif
