/* limits: one setting, asked for and read back, on a thread that may be left behind. */
#include "nvml/limits.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/deadline.h"
#include "base/own.h"
#include "nvml/library.h"

enum { MW = 1000, UUID_MAX = 96 };

struct setting {
    char uuid[UUID_MAX];
    uint32_t watts, now_w;
    struct err err;
    bool ok;
};

static bool refused(const struct nv *nv, const struct setting *s, int code, uint32_t min_mw,
                    uint32_t max_mw, struct err *err)
{
    if (code == NV_NO_PERMISSION)
        return err_set(err, ERR_1104, "the driver lets only root set a power limit");
    if (code == NV_NOT_SUPPORTED || code == NV_FUNCTION_NOT_FOUND) {
        err_set(err, ERR_1108, "this card has no power limit that can be set");
        return err_fix(err, NULL,
                       nv->simulated
                           ? "it is simulated, and its limits are the card's own"
                           : "cards of laptops are limited by the machine's own settings");
    }
    if (code != NV_INVALID_ARGUMENT) {
        err_set(err, ERR_1108, "the driver did not set %u W: %s (code %d)", s->watts,
                nv_text(nv, code), code);
        return err_fix(err, "dualgpuopt doctor", "see what is wrong");
    }
    err_set(err, ERR_1107, "%u W is outside of what this card takes", s->watts);
    if (max_mw)
        err_why(err, "it takes %u to %u W", (min_mw + MW - 1) / MW, max_mw / MW);
    return err_fix(err, NULL, "ask for what it takes");
}

static bool set_limit(const struct nv *nv, struct setting *s, struct err *err)
{
    nv_device dev = NULL;
    uint32_t min_mw = 0, max_mw = 0, now_mw = 0, asked_mw;
    int code = nv->handle_by_uuid ? nv->handle_by_uuid(s->uuid, &dev) : NV_FUNCTION_NOT_FOUND;
    if (code != NV_OK) {
        err_set(err, ERR_1108, "the driver does not open %s: %s", s->uuid, nv_text(nv, code));
        return err_fix(err, "dualgpuopt doctor", "see what is wrong");
    }
    if (!nv->power_range || nv->power_range(dev, &min_mw, &max_mw) != NV_OK || min_mw > max_mw)
        min_mw = max_mw = 0;
    code = __builtin_mul_overflow(s->watts, (uint32_t)MW, &asked_mw) ? NV_INVALID_ARGUMENT
           : nv->set_power_limit ? nv->set_power_limit(dev, asked_mw)
                                 : NV_FUNCTION_NOT_FOUND;
    if (code != NV_OK)
        return refused(nv, s, code, min_mw, max_mw, err);
    code = nv->power_asked ? nv->power_asked(dev, &now_mw) : NV_FUNCTION_NOT_FOUND;
    if (code != NV_OK) {
        err_set(err, ERR_1108, "%u W was asked for, but the driver does not say what it took: %s",
                s->watts, nv_text(nv, code));
        return err_fix(err, "dualgpuopt gpu ls", "look at the cards");
    }
    s->now_w = now_mw / MW;
    return true;
}

static void run_setting(void *ctx)
{
    struct setting *s = ctx;
    own(nv_close) struct nv nv = {0};
    s->ok = nv_open(&nv, "", &s->err) && set_limit(&nv, s, &s->err);
}

bool nvml_set_power_limit(const char *uuid, uint32_t watts, uint32_t *now_w, struct err *err)
{
    struct setting *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(err, ERR_1201, "no memory to set a limit");
    s->watts = watts;
    snprintf(s->uuid, sizeof(s->uuid), "%s", uuid);
    enum deadline_end end =
        deadline_run(run_setting, free, s, NVML_ANSWER_S * (uint64_t)CLOCK_NS_PER_S);
    if (end == DEADLINE_LATE)
        return nvml_silent(NVML_ANSWER_S, err);
    bool ok = end == DEADLINE_DONE && s->ok;
    if (ok)
        *now_w = s->now_w;
    else if (end == DEADLINE_NO_THREAD)
        err_set(err, ERR_1201, "no thread to set a limit");
    else if (err)
        *err = s->err;
    free(s);
    return ok;
}
