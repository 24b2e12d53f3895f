/* gpu_words: the order of what matters: state, heat, power, link, memory. */
#include "api/gpu_words.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* A GPU that does nothing may run slow and narrow: only work shows a fault. */
static const double busy_percent = 30;

const char *gpu_short_name(const char *name)
{
    static const char *const makers[] = {"NVIDIA ", "GeForce ", "AMD ", "Radeon ", "Intel "};
    const char *s = name;
    for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++)
        if (str_starts(s, makers[i]) && s[strlen(makers[i])])
            s += strlen(makers[i]);
    return s[0] ? s : "?";
}

static double value(const struct gpu_view *v, enum metric m, double unknown)
{
    return sample_has(&v->sample, m) ? v->sample.value[m] : unknown;
}

static bool is_busy(const struct gpu_view *v)
{
    return value(v, METRIC_UTILIZATION, 0) >= busy_percent;
}

static uint64_t throttle(const struct gpu_view *v)
{
    return (uint64_t)value(v, METRIC_THROTTLE, 0);
}

bool gpu_link_below(const struct gpu_view *v)
{
    double lanes = value(v, METRIC_PCIE_WIDTH, 0), gen = value(v, METRIC_PCIE_GEN, 0);
    bool narrow = lanes > 0 && v->info.pcie_width_max && lanes < v->info.pcie_width_max;
    bool slow = gen > 0 && v->info.pcie_gen_max && gen < v->info.pcie_gen_max;
    return narrow || (slow && is_busy(v));
}

const char *gpu_link_text(const struct gpu_view *v, char out[32])
{
    double lanes = value(v, METRIC_PCIE_WIDTH, 0), gen = value(v, METRIC_PCIE_GEN, 0);
    if (lanes <= 0 || gen <= 0)
        return "-";
    int n = snprintf(out, 32, "gen%.0f", gen);
    if (v->info.pcie_gen_max > gen && is_busy(v))
        n += snprintf(out + n, 32 - (size_t)n, "/%u", v->info.pcie_gen_max);
    n += snprintf(out + n, 32 - (size_t)n, " x%.0f", lanes);
    if (v->info.pcie_width_max > lanes)
        snprintf(out + n, 32 - (size_t)n, "/%u", v->info.pcie_width_max);
    return out;
}

static bool is_hot(const struct gpu_view *v)
{
    return throttle(v) & (THROTTLE_THERMAL | THROTTLE_HARDWARE_THERMAL) || v->level.temperature >= LEVEL_CRITICAL;
}

static bool is_capped(const struct gpu_view *v)
{
    return is_busy(v) && throttle(v) & (THROTTLE_POWER_CAP | THROTTLE_POWER_BRAKE | THROTTLE_HARDWARE);
}

const char *gpu_word(const struct gpu_view *v)
{
    static const char *const words[GPU_STATE_COUNT] = {
        [GPU_DEGRADED] = "DEGRADED", [GPU_STALE] = "STALE", [GPU_SUSPENDED] = "asleep",
        [GPU_DENIED] = "DENIED",     [GPU_HUNG] = "HUNG",   [GPU_LOST] = "LOST",
    };
    if (v->health.state != GPU_OK)
        return words[v->health.state];
    if (!v->has_sample)
        return "waiting";
    if (is_hot(v))
        return "HOT";
    if (value(v, METRIC_ECC_UNCORRECTED, 0) > 0 || value(v, METRIC_ROWS_PENDING, 0) > 0)
        return "ECC";
    if (is_capped(v))
        return "CAPPED";
    if (gpu_link_below(v))
        return "LINK";
    if (v->level.memory >= LEVEL_CRITICAL)
        return "FULL";
    return "ok";
}

static void say_state(const struct gpu_view *v, char *out)
{
    const char *detail = v->health.detail;
    double s = (double)v->health.since_ns / 1e9;
    switch (v->health.state) {
    case GPU_LOST:
        snprintf(out, GPU_SENTENCE_MAX, "is lost for %.0f s: %s; see: sudo dmesg | grep -i xid", s, detail);
        return;
    case GPU_HUNG:
        snprintf(out, GPU_SENTENCE_MAX, "hangs for %.0f s: %s", s, detail);
        return;
    case GPU_DENIED:
        snprintf(out, GPU_SENTENCE_MAX, "may not be read: %s; see: ls -l /dev/nvidia*", detail);
        return;
    case GPU_STALE:
        snprintf(out, GPU_SENTENCE_MAX, "is not up to date: %s", detail);
        return;
    case GPU_DEGRADED:
        snprintf(out, GPU_SENTENCE_MAX, "answers in part: %s", detail);
        return;
    default:
        out[0] = 0;
    }
}

static void say_heat(const struct gpu_view *v, char *out)
{
    char words[96], at[40] = "";
    double celsius = value(v, METRIC_TEMPERATURE, -1);
    if (celsius >= 0)
        snprintf(at, sizeof(at), " at %.0f C", celsius);
    throttle_text(throttle(v), words, sizeof(words));
    if (throttle(v) & THROTTLE_COSTS)
        snprintf(out, GPU_SENTENCE_MAX, "is slowed down (%s)%s: more air, or a lower power limit", words, at);
    else if (v->info.slowdown_c)
        snprintf(out, GPU_SENTENCE_MAX, "is hot%s; it slows down at %u C", at, v->info.slowdown_c);
    else
        snprintf(out, GPU_SENTENCE_MAX, "is hot%s", at);
}

static void say_power(const struct gpu_view *v, char *out)
{
    char words[96];
    throttle_text(throttle(v), words, sizeof(words));
    snprintf(out, GPU_SENTENCE_MAX, "is held at its power limit (%s), %.0f of %.0f W", words, value(v, METRIC_POWER, 0),
             value(v, METRIC_POWER_LIMIT, 0));
}

static void say_memory(const struct gpu_view *v, char *out)
{
    char free_gib[32];
    uint64_t free_bytes = 0;
    gpu_view_free(v, &free_bytes);
    snprintf(out, GPU_SENTENCE_MAX, "has %s GiB of memory left (%s)", str_gib(free_bytes, 1, free_gib),
             v->level.reasons);
}

const char *gpu_sentence(const struct gpu_view *v, char out[GPU_SENTENCE_MAX])
{
    char link[32];
    const char *word = gpu_word(v);
    say_state(v, out);
    if (out[0] || !v->has_sample)
        return out;
    if (strcmp(word, "HOT") == 0)
        say_heat(v, out);
    else if (strcmp(word, "ECC") == 0)
        snprintf(out, GPU_SENTENCE_MAX, "had %.0f memory errors that could not be corrected%s",
                 value(v, METRIC_ECC_UNCORRECTED, 0),
                 value(v, METRIC_ROWS_PENDING, 0) > 0 ? "; rows wait for a reset to be replaced" : "");
    else if (strcmp(word, "CAPPED") == 0)
        say_power(v, out);
    else if (strcmp(word, "LINK") == 0)
        snprintf(out, GPU_SENTENCE_MAX, "has a slower link than it could (%s): prompts and tensor split suffer",
                 gpu_link_text(v, link));
    else if (strcmp(word, "FULL") == 0)
        say_memory(v, out);
    return out;
}
