/* model: what follows from a GPU's numbers in words. */
#include "tui/model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

double top_value(const struct gpu_view *g, enum metric m)
{
    return g->has_sample && sample_has(&g->sample, m) ? g->sample.value[m] : (double)NAN;
}

bool top_is_old(const struct gpu_view *g)
{
    return g->health.state != GPU_OK && g->health.state != GPU_DEGRADED;
}

int top_severity(const struct gpu_view *g)
{
    static const char *const bad[] = {"HUNG", "LOST", "DENIED", "STALE", "HOT", "ECC"};
    const char *word = gpu_word(g);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (strcmp(word, bad[i]) == 0)
            return 2;
    return word[0] >= 'A' && word[0] <= 'Z';
}

char *top_age_text(uint64_t ns, char *out, size_t size)
{
    uint64_t s = ns / (uint64_t)CLOCK_NS_PER_S;
    if (s < 120)
        snprintf(out, size, "%" PRIu64 " s", s);
    else if (s < 7200)
        snprintf(out, size, "%" PRIu64 " min", s / 60);
    else if (s < 172800)
        snprintf(out, size, "%" PRIu64 " h %02" PRIu64, s / 3600, s / 60 % 60);
    else
        snprintf(out, size, "%" PRIu64 " d", s / 86400);
    return out;
}

const char *top_sentence(const struct gpu_view *g, char out[TOP_SENTENCE_MAX])
{
    char age[24];
    gpu_sentence(g, out);
    size_t n = strlen(out);
    if (top_is_old(g) && g->has_sample && g->health.age_ns != UINT64_MAX && n)
        snprintf(out + n, TOP_SENTENCE_MAX - n, "; numbers are %s old",
                 top_age_text(g->health.age_ns, age, sizeof(age)));
    return out;
}

char *top_clock_text(const struct top_model *m, char *out, size_t size)
{
    int64_t s = m->wall_ns / CLOCK_NS_PER_S + m->utc_offset_s;
    int64_t day = ((s % 86400) + 86400) % 86400;
    snprintf(out, size, "%02d:%02d:%02d", (int)(day / 3600), (int)(day / 60 % 60), (int)(day % 60));
    return out;
}

char *top_user_text(const struct top_model *m, uint32_t uid, char *out, size_t size)
{
    if (uid == UINT32_MAX) {
        snprintf(out, size, "-");
        return out;
    }
    for (uint32_t i = 0; i < m->n_users; i++) {
        if (m->user[i].uid == uid && m->user[i].name[0]) {
            snprintf(out, size, "%s", m->user[i].name);
            return out;
        }
    }
    snprintf(out, size, "%" PRIu32, uid);
    return out;
}
