/* make: see make.h. */
#include "make.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define GIB 1073741824.0
#define S   UINT64_C(1000000000)

static void set_values(struct sample *s, uint32_t gpu, int second)
{
    bool second_kind = gpu % 2;
    double total = second_kind ? 24 : 32;
    double used = second_kind ? 21.5 : 28 + (second > 60 ? 1.0 : 0);
    sample_set(s, METRIC_MEMORY_TOTAL, total * GIB);
    sample_set(s, METRIC_MEMORY_USED, used * GIB);
    sample_set(s, METRIC_MEMORY_RESERVED, 0.5 * GIB);
    sample_set(s, METRIC_MEMORY_FREE, (total - used - 0.5) * GIB);
    sample_set(s, METRIC_UTILIZATION, second_kind ? 64 : 50 + round(40 * sin(second / 10.0)));
    sample_set(s, METRIC_TEMPERATURE, second_kind ? 83 : 64);
    sample_set(s, METRIC_POWER, second_kind ? 310 : 262);
    sample_set(s, METRIC_POWER_LIMIT, second_kind ? 450 : 575);
    sample_set(s, METRIC_CLOCK_SM, second_kind ? 1905 : 2610);
    sample_set(s, METRIC_FAN, second_kind ? 100 : 41);
    sample_set(s, METRIC_PCIE_GEN, second_kind ? 4 : 5);
    sample_set(s, METRIC_PCIE_WIDTH, second_kind ? 4 : 16);
    sample_set(s, METRIC_THROTTLE, second_kind ? THROTTLE_THERMAL : 0);
}

void make_process(struct top_model *m, uint32_t gpu, uint32_t pid, const char *name, double gib)
{
    struct process_table *t = &m->gpu[gpu].processes;
    struct process *p = &t->process[t->n++];
    *p = (struct process){.pid = pid,
                          .local_pid = pid,
                          .uid = 1000,
                          .type = PROCESS_COMPUTE,
                          .since_s = m->wall_ns / (int64_t)S - 8040,
                          .memory_bytes = (uint64_t)(gib * GIB),
                          .sm = 36,
                          .memory_bus = 20,
                          .encoder = -1,
                          .decoder = -1};
    snprintf(p->name, sizeof(p->name), "%s", name);
    t->known = true;
    m->gpu[gpu].has_processes = true;
}

static void make_gpu(struct top_model *m, uint32_t g)
{
    struct gpu_view *v = &m->gpu[g];
    v->info = (struct gpu_info){.index = (uint16_t)g,
                                .pcie_gen_max = g % 2 ? 4 : 5,
                                .pcie_width_max = 16,
                                .slowdown_c = 87,
                                .cc_major = 12,
                                .power_min_w = 100,
                                .power_max_w = 600};
    snprintf(v->info.name, sizeof(v->info.name), "NVIDIA GeForce RTX %s", g % 2 ? "4090" : "5090");
    snprintf(v->info.uuid, sizeof(v->info.uuid), "GPU-%08x-1111-2222-3333-444455556666", g);
    snprintf(v->info.pci, sizeof(v->info.pci), "0000:%02x:00.0", g + 1);
    for (int second = 0; second <= MAKE_SECONDS; second++) {
        struct sample s = {.gpu = (uint16_t)g, .mono_ns = m->started_ns + (uint64_t)second * S};
        set_values(&s, g, second);
        history_push(m->history, &s);
        v->sample = s;
    }
    v->has_sample = true;
    v->health = (struct gpu_health){.state = GPU_OK};
    level_read(&v->sample, &level_table_default, &v->level);
    if (g % 2 == 0)
        make_process(m, g, 4211 + g, "llama-server", 26.5);
    make_process(m, g, 5200 + g, g % 2 ? "llama-server" : "comfyui", g % 2 ? 21 : 1.5);
}

void make_model(struct top_model *m, uint32_t n)
{
    struct err err = {0};
    *m = (struct top_model){.host = "homelab",
                            .wall_ns = INT64_C(1764000131) * (int64_t)S,
                            .started_ns = 1000 * S,
                            .now_ns = (1000 + MAKE_SECONDS) * S,
                            .hz = 1,
                            .history_s = 600,
                            .n = n,
                            .n_users = 1};
    m->user[0] = (struct top_user){.uid = 1000, .name = "ana"};
    if (!history_new(&m->history, TELEMETRY_MAX_GPUS, 1, 600, &err))
        return;
    for (uint32_t g = 0; g < n; g++)
        make_gpu(m, g);
}

void make_finish(struct top_model *m)
{
    history_free(m->history);
}

void make_state(struct top_state *s)
{
    struct settings settings;
    settings_default(&settings);
    top_state_init(s, &settings);
    s->symbols = SYMBOLS_ASCII;
    s->mono = true;
}

char *make_screen(const struct top_model *m, const struct top_state *s, int w, int h)
{
    struct screen out = {0};
    struct str text = {0};
    if (!screen_init(&out, w, h))
        return NULL;
    tui_draw(m, s, &out);
    screen_dump(&out, &text);
    screen_finish(&out);
    return str_take(&text);
}

void make_keys(struct top_state *s, const struct top_model *m, const char *keys)
{
    for (; *keys; keys++)
        top_key(s, m, (uint32_t)(unsigned char)*keys);
}
