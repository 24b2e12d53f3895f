/* scenario: reads a scenario's YAML by tables of keys, checks what belongs together, fills in
 * defaults. */
#include "sim/scenario.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sim/document.h"

enum { PID_FIRST = 5000000 }; /* beyond the largest pid Linux gives (4194304) */

enum kind { TEXT, SIZE, TIME, NUMBER, WHOLE, FLAG };

/* One key that has a single value. For TEXT, least is the room in bytes. */
struct key {
    const char *name;
    enum kind kind;
    size_t at;
    double least, most;
};

bool scenario_time(const char *text, int64_t *out_ns)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {
        {"",   1    },
        {"ms", 1e-3 },
        {"s",  1    },
        {"m",  60   },
        {"h",  3600 },
        {"d",  86400}
    };
    char *end;
    if (!*text || strchr("0123456789.", *text) == NULL)
        return false;
    double n = strtod(text, &end);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].unit) == 0 && n * units[i].seconds <= 366 * 86400.0) {
            *out_ns = llround(n * units[i].seconds * 1e9);
            return true;
        }
    }
    return false;
}

static bool take_text(struct doc *d, yaml_node_t *at, const struct key *k, const char *text,
                      char *to)
{
    size_t len = strlen(text);
    char shown[4];
    if (len == 0 || len >= (size_t)k->least)
        return doc_error(d, at, "%s has %zu characters, 1 to %zu are allowed", k->name, len,
                         (size_t)k->least - 1);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return doc_error(
                d, at, "%s has the control character %s", k->name,
                (snprintf(shown, sizeof(shown), "%02x", (unsigned char)text[i]), shown));
    memcpy(to, text, len + 1);
    return true;
}

static bool take_value(struct doc *d, yaml_node_t *at, const struct key *k, const char *text,
                       void *to)
{
    double n = 0;
    if (k->kind == TEXT)
        return take_text(d, at, k, text, to);
    if (k->kind == SIZE)
        return (str_parse_size(text, to) && *(uint64_t *)to <= (uint64_t)1 << 45) ||
               doc_error(d, at, "%s cannot be \"%.40s\": write a size like 12GiB", k->name, text);
    if (k->kind == TIME)
        return scenario_time(text, to) ||
               doc_error(d, at, "%s cannot be \"%.40s\": write a time like 30s", k->name, text);
    if (k->kind == FLAG) {
        *(bool *)to = strcmp(text, "true") == 0;
        return *(bool *)to || strcmp(text, "false") == 0 ||
               doc_error(d, at, "%s is true or false", k->name);
    }
    if (!str_parse_f64(text, k->least, k->most, &n) || (k->kind == WHOLE && n != floor(n)))
        return doc_error(d, at, "%s cannot be \"%.40s\": a%s number from %g to %g", k->name, text,
                         k->kind == WHOLE ? " whole" : "", k->least, k->most);
    if (k->kind == WHOLE)
        *(uint32_t *)to = (uint32_t)n;
    else
        *(double *)to = n;
    return true;
}

/* True with *known set where the key is one of keys[n]; *known is false for others. */
static bool take_key(struct doc *d, const struct key *keys, size_t n, const char *name,
                     yaml_node_t *value, void *base, bool *known)
{
    *known = false;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(keys[i].name, name) != 0)
            continue;
        *known = true;
        const char *text = doc_text(d, value, name);
        return text && take_value(d, value, &keys[i], text, (char *)base + keys[i].at);
    }
    return true;
}

static bool unknown_key(struct doc *d, yaml_node_t *at, const char *name, const struct key *keys,
                        size_t n)
{
    const char *names[32];
    for (size_t i = 0; i < n && i < 32; i++)
        names[i] = keys[i].name;
    const char *near = str_nearest(name, names, n < 32 ? n : 32);
    if (near)
        return doc_error(d, at, "\"%.40s\" is not known here; did you mean %s?", name, near);
    return doc_error(d, at, "\"%.40s\" is not known here", name);
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- cards ---- */

static bool take_set(struct doc *d, void *ctx, const char *key, yaml_node_t *at, yaml_node_t *value)
{
    struct sim_gpu *g = ctx;
    struct sim_set *s = &g->set[g->n_sets];
    const char *text = doc_text(d, value, key);
    s->field = fault_field(key);
    if (s->field == SIM_FIELD_NONE)
        return doc_error(d, at, "no reading is called \"%.40s\"", key);
    if (!text || g->n_sets == SIM_SETS_MAX)
        return false;
    if (!fault_number(text, s->field, &s->value))
        return doc_error(d, value, "%s cannot be \"%.40s\"", key, text);
    g->n_sets++;
    return true;
}

static const struct key mig_keys[] = {
    {"profile",          TEXT,  offsetof(struct sim_mig, profile),          SIM_NAME_MAX, 0 },
    {"memory",           SIZE,  offsetof(struct sim_mig, memory_bytes),     0,            0 },
    {"gpu-instance",     WHOLE, offsetof(struct sim_mig, gpu_instance),     0,            15},
    {"compute-instance", WHOLE, offsetof(struct sim_mig, compute_instance), 0,            15},
    {"slices",           WHOLE, offsetof(struct sim_mig, slices),           1,            8 },
};

static bool take_mig_key(struct doc *d, void *ctx, const char *key, yaml_node_t *at,
                         yaml_node_t *value)
{
    bool known;
    return take_key(d, mig_keys, COUNT(mig_keys), key, value, ctx, &known) &&
           (known || unknown_key(d, at, key, mig_keys, COUNT(mig_keys)));
}

static bool take_mig(struct doc *d, void *ctx, yaml_node_t *item)
{
    struct sim_gpu *g = ctx;
    struct sim_mig *m = &g->mig[g->n_mig];
    *m = (struct sim_mig){.gpu_instance = g->n_mig + 1, .slices = 1};
    if (!doc_each_key(d, item, "a MIG device", take_mig_key, m))
        return false;
    if (!m->profile[0] || !m->memory_bytes)
        return doc_error(d, item, "a MIG device needs profile and memory");
    g->n_mig++;
    return true;
}

/* What a file says of a card before it is known which card it is. */
struct gpu_text {
    struct sim_gpu g;
    char card[SIM_NAME_MAX], name[SIM_NAME_MAX + 16], link[16];
    double target_c, slowdown_c;
    uint64_t total_bytes, reserved_bytes;
    bool reserved_said;
};

static const struct key gpu_keys[] = {
    {"card",     TEXT,   offsetof(struct gpu_text, card),           SIM_NAME_MAX,      0    },
    {"name",     TEXT,   offsetof(struct gpu_text, name),           SIM_NAME_MAX + 16, 0    },
    {"uuid",     TEXT,   offsetof(struct gpu_text, g.uuid),         48,                0    },
    {"total",    SIZE,   offsetof(struct gpu_text, total_bytes),    0,                 0    },
    {"reserved", SIZE,   offsetof(struct gpu_text, reserved_bytes), 0,                 0    },
    {"link",     TEXT,   offsetof(struct gpu_text, link),           16,                0    },
    {"bus",      WHOLE,  offsetof(struct gpu_text, g.pci_bus),      0,                 255  },
    {"domain",   WHOLE,  offsetof(struct gpu_text, g.pci_domain),   0,                 65535},
    {"numa",     WHOLE,  offsetof(struct gpu_text, g.numa),         0,                 15   },
    {"nvlinks",  WHOLE,  offsetof(struct gpu_text, g.nvlinks),      0,                 18   },
    {"ambient",  NUMBER, offsetof(struct gpu_text, g.ambient_c),    -20,               60   },
    {"cooling",  NUMBER, offsetof(struct gpu_text, g.cooling),      0.1,               10   },
    {"limit",    NUMBER, offsetof(struct gpu_text, g.limit_w),      1,                 5000 },
    {"target",   NUMBER, offsetof(struct gpu_text, target_c),       30,                120  },
    {"slowdown", NUMBER, offsetof(struct gpu_text, slowdown_c),     30,                120  },
    {"unified",  FLAG,   offsetof(struct gpu_text, g.unified),      0,                 0    },
    {"fan",      FLAG,   offsetof(struct gpu_text, g.fan),          0,                 0    },
};

static bool take_gpu_key(struct doc *d, void *ctx, const char *key, yaml_node_t *at,
                         yaml_node_t *value)
{
    struct gpu_text *t = ctx;
    bool known;
    if (strcmp(key, "set") == 0)
        return doc_each_key(d, value, "set", take_set, &t->g);
    if (strcmp(key, "mig") == 0)
        return doc_each_item(d, value, "mig", SIM_MIG_MAX, take_mig, &t->g);
    if (strcmp(key, "reserved") == 0)
        t->reserved_said = true;
    return take_key(d, gpu_keys, COUNT(gpu_keys), key, value, t, &known) &&
           (known || unknown_key(d, at, key, gpu_keys, COUNT(gpu_keys)));
}

static void make_uuid(const char *scenario, uint32_t index, char out[48])
{
    char seed[SIM_NAME_MAX + 16];
    snprintf(seed, sizeof(seed), "%s/%u", scenario, index);
    uint64_t a = str_hash(seed, strlen(seed)), b = str_hash(&a, sizeof(a));
    snprintf(out, 48, "GPU-%08x-%04x-%04x-%04x-%012" PRIx64, (uint32_t)(a >> 32),
             (uint32_t)(a >> 16) & 0xffff, (uint32_t)a & 0xffff, (uint32_t)(b >> 48),
             b & 0xffffffffffff);
}

static bool finish_link(struct doc *d, yaml_node_t *item, struct gpu_text *t)
{
    struct sim_gpu *g = &t->g;
    unsigned gen = g->card.pcie_gen, lanes = g->card.pcie_lanes;
    char rest;
    if (t->link[0] && (sscanf(t->link, "gen%1ux%2u%c", &gen, &lanes, &rest) != 2 || gen < 1 ||
                       gen > 7 || lanes < 1 || lanes > 32))
        return doc_error(d, item, "link cannot be \"%s\": write it like gen4x8", t->link);
    g->link_gen = gen;
    g->link_width = lanes;
    return true;
}

static void finish_name(struct gpu_text *t)
{
    struct sim_gpu *g = &t->g;
    const char *official = strcmp(g->card.name, "H100 SXM5 80GB") == 0          ? "H100 80GB HBM3"
                           : strcmp(g->card.name, "H200 SXM 141GB") == 0        ? "H200"
                           : strcmp(g->card.name, "GB10 (DGX Spark)") == 0      ? "GB10"
                           : strcmp(g->card.name, "GeForce RTX 3060 12GB") == 0 ? "GeForce RTX 3060"
                                                                                : g->card.name;
    if (t->name[0])
        memcpy(g->name, t->name, sizeof(g->name));
    else
        snprintf(g->name, sizeof(g->name), "NVIDIA %.*s", SIM_NAME_MAX, official);
}

static bool take_gpu(struct doc *d, void *ctx, yaml_node_t *item)
{
    struct sim_scenario *s = ctx;
    struct gpu_text t = {
        .g = {.pci_bus = 1 + 16 * s->n_gpus, .ambient_c = 24, .cooling = 1, .nvlinks = UINT32_MAX}
    };
    t.g.fan = true;
    if (!doc_each_key(d, item, "a card", take_gpu_key, &t))
        return false;
    struct sim_gpu *g = &t.g;
    if (!t.card[0])
        return doc_error(d, item, "a card needs the key card, like `card: RTX 4090`");
    if (!card_make(t.card, &g->card))
        return doc_error(d, item, "no card \"%.40s\" in the catalogue", t.card);
    if (t.total_bytes)
        g->card.total_bytes = t.total_bytes;
    if (t.reserved_said)
        g->card.reserved_bytes = t.reserved_bytes;
    if (g->card.reserved_bytes > g->card.total_bytes)
        return doc_error(d, item, "more memory is reserved than there is");
    if (t.target_c > 0)
        g->card.target_c = (uint32_t)t.target_c;
    if (t.slowdown_c > 0)
        g->card.slowdown_c = (uint32_t)t.slowdown_c;
    if (g->limit_w <= 0)
        g->limit_w = g->card.board_w;
    if (g->nvlinks == UINT32_MAX)
        g->nvlinks = 0;
    finish_name(&t);
    if (!finish_link(d, item, &t))
        return false;
    s->gpu[s->n_gpus++] = *g;
    return true;
}

/* ---- processes ---- */

static const struct key share_keys[] = {
    {"gpu",        WHOLE,  offsetof(struct sim_share, gpu),           0, SIM_GPUS_MAX - 1},
    {"weights",    SIZE,   offsetof(struct sim_share, weights_bytes), 0, 0               },
    {"load",       TIME,   offsetof(struct sim_share, load_ns),       0, 0               },
    {"kv",         SIZE,   offsetof(struct sim_share, kv_bytes),      0, 0               },
    {"kv-over",    TIME,   offsetof(struct sim_share, kv_ns),         0, 0               },
    {"saw",        SIZE,   offsetof(struct sim_share, saw_bytes),     0, 0               },
    {"saw-every",  TIME,   offsetof(struct sim_share, saw_ns),        0, 0               },
    {"leak",       SIZE,   offsetof(struct sim_share, leak_bytes),    0, 0               },
    {"leak-every", TIME,   offsetof(struct sim_share, leak_ns),       0, 0               },
    {"busy",       NUMBER, offsetof(struct sim_share, busy),          0, 1               },
    {"rest",       NUMBER, offsetof(struct sim_share, rest),          0, 1               },
    {"busy-for",   TIME,   offsetof(struct sim_share, busy_ns),       0, 0               },
    {"rest-for",   TIME,   offsetof(struct sim_share, rest_ns),       0, 0               },
    {"intensity",  NUMBER, offsetof(struct sim_share, intensity),     0, 2               },
    {"encoder",    NUMBER, offsetof(struct sim_share, encoder),       0, 1               },
    {"decoder",    NUMBER, offsetof(struct sim_share, decoder),       0, 1               },
};

static bool take_share_key(struct doc *d, void *ctx, const char *key, yaml_node_t *at,
                           yaml_node_t *value)
{
    struct sim_share *h = ctx;
    uint32_t mig = 0;
    const struct key mig_key = {"mig", WHOLE, 0, 0, SIM_MIG_MAX - 1};
    bool known;
    if (!take_key(d, &mig_key, 1, key, value, &mig, &known))
        return false;
    if (known) {
        h->mig = (int32_t)mig;
        return true;
    }
    return take_key(d, share_keys, COUNT(share_keys), key, value, h, &known) &&
           (known || unknown_key(d, at, key, share_keys, COUNT(share_keys)));
}

static bool take_share(struct doc *d, void *ctx, yaml_node_t *item)
{
    struct sim_process *p = ctx;
    struct sim_share h = {.mig = -1,
                          .intensity = 0.8,
                          .load_ns = 10000000000,
                          .kv_ns = 60000000000,
                          .saw_ns = 20000000000,
                          .leak_ns = 60000000000};
    if (!doc_each_key(d, item, "a share of a card", take_share_key, &h))
        return false;
    if (!h.load_ns || !h.kv_ns || !h.saw_ns || !h.leak_ns)
        return doc_error(d, item, "load, kv-over, saw-every and leak-every must be more than 0");
    if (h.rest_ns && !h.busy_ns)
        return doc_error(d, item, "rest-for needs busy-for");
    p->share[p->n_shares++] = h;
    return true;
}

struct process_text {
    struct sim_process p;
    char type[24];
};

static const struct key process_keys[] = {
    {"pid",    WHOLE, offsetof(struct process_text, p.pid),      1,            4294967294.0},
    {"name",   TEXT,  offsetof(struct process_text, p.name),     SIM_NAME_MAX, 0           },
    {"type",   TEXT,  offsetof(struct process_text, type),       24,           0           },
    {"start",  TIME,  offsetof(struct process_text, p.start_ns), 0,            0           },
    {"life",   TIME,  offsetof(struct process_text, p.life_ns),  0,            0           },
    {"again",  TIME,  offsetof(struct process_text, p.again_ns), 0,            0           },
    {"orphan", FLAG,  offsetof(struct process_text, p.orphan),   0,            0           },
};

static bool take_process_key(struct doc *d, void *ctx, const char *key, yaml_node_t *at,
                             yaml_node_t *value)
{
    struct process_text *t = ctx;
    bool known;
    if (strcmp(key, "on") == 0)
        return doc_each_item(d, value, "on", SIM_SHARES_MAX, take_share, &t->p);
    return take_key(d, process_keys, COUNT(process_keys), key, value, t, &known) &&
           (known || unknown_key(d, at, key, process_keys, COUNT(process_keys)));
}

static bool take_process(struct doc *d, void *ctx, yaml_node_t *item)
{
    struct sim_scenario *s = ctx;
    struct process_text t = {
        .p = {.pid = PID_FIRST + 1000 * s->n_processes, .life_ns = SIM_NEVER},
          .type = "compute"
    };
    if (!doc_each_key(d, item, "a process", take_process_key, &t))
        return false;
    struct sim_process *p = &t.p;
    p->kinds = strcmp(t.type, "compute") == 0    ? SIM_COMPUTE
               : strcmp(t.type, "graphics") == 0 ? SIM_GRAPHICS
               : strcmp(t.type, "both") == 0     ? SIM_COMPUTE | SIM_GRAPHICS
               : strcmp(t.type, "mps") == 0      ? SIM_MPS
                                                 : 0;
    if (!p->kinds)
        return doc_error(d, item, "type cannot be \"%s\": compute, graphics, both or mps", t.type);
    if (!p->name[0])
        snprintf(p->name, sizeof(p->name), "process-%u", s->n_processes);
    if (p->life_ns == 0 || (p->again_ns && (p->life_ns == SIM_NEVER || p->again_ns < p->life_ns)))
        return doc_error(d, item, "again must not be shorter than life, and life not 0");
    s->process[s->n_processes++] = *p;
    return true;
}

/* ---- faults and the whole ---- */

static bool take_fault_key(struct doc *d, void *ctx, const char *key, yaml_node_t *at,
                           yaml_node_t *value)
{
    struct err why = {0};
    const char *text = doc_text(d, value, key);
    return text && (fault_word(ctx, key, text, &why) || doc_error(d, at, "%s", why.title));
}

static bool take_fault(struct doc *d, void *ctx, yaml_node_t *item)
{
    struct sim_scenario *s = ctx;
    struct sim_fault *f = &s->fault[s->n_faults];
    struct err why = {0};
    *f = (struct sim_fault){0};
    if (!doc_each_key(d, item, "a fault", take_fault_key, f))
        return false;
    if (!fault_check(f, &why))
        return doc_error(d, item, "%s", why.title);
    s->n_faults++;
    return true;
}

static const struct key scenario_keys[] = {
    {"name",            TEXT,   offsetof(struct sim_scenario, name),           SIM_NAME_MAX, 0 },
    {"about",           TEXT,   offsetof(struct sim_scenario, about),          200,          0 },
    {"driver",          TEXT,   offsetof(struct sim_scenario, driver_version), 32,           0 },
    {"lenient",         FLAG,   offsetof(struct sim_scenario, lenient),        0,            0 },
    {"wsl",             FLAG,   offsetof(struct sim_scenario, wsl),            0,            0 },
    {"narrow-counters", FLAG,   offsetof(struct sim_scenario, narrow),         0,            0 },
    {"noise",           NUMBER, offsetof(struct sim_scenario, noise),          0,            10},
};

static bool take_top(struct doc *d, void *ctx, const char *key, yaml_node_t *at, yaml_node_t *value)
{
    struct sim_scenario *s = ctx;
    bool known;
    if (strcmp(key, "gpus") == 0)
        return doc_each_item(d, value, "gpus", SIM_GPUS_MAX, take_gpu, s);
    if (strcmp(key, "processes") == 0)
        return doc_each_item(d, value, "processes", SIM_PROCESSES_MAX, take_process, s);
    if (strcmp(key, "faults") == 0)
        return doc_each_item(d, value, "faults", SIM_FAULTS_MAX, take_fault, s);
    return take_key(d, scenario_keys, COUNT(scenario_keys), key, value, s, &known) &&
           (known || unknown_key(d, at, key, scenario_keys, COUNT(scenario_keys)));
}

/* Places that name a card or a MIG device which is not there. */
static bool check_places(struct doc *d, const struct sim_scenario *s)
{
    for (uint32_t i = 0; i < s->n_processes; i++) {
        const struct sim_process *p = &s->process[i];
        for (uint32_t k = 0; k < p->n_shares; k++) {
            const struct sim_share *h = &p->share[k];
            if (h->gpu >= s->n_gpus)
                return doc_error(d, NULL, "process %s uses GPU %u of %u", p->name, h->gpu,
                                 s->n_gpus);
            if (h->mig >= (int32_t)s->gpu[h->gpu].n_mig)
                return doc_error(d, NULL, "process %s uses MIG device %d of GPU %u, which has %u",
                                 p->name, h->mig, h->gpu, s->gpu[h->gpu].n_mig);
        }
        for (uint32_t k = 0; k < i; k++)
            if (s->process[k].pid == p->pid)
                return doc_error(d, NULL, "two processes have the pid %u", p->pid);
    }
    for (uint32_t i = 0; i < s->n_faults; i++)
        if (s->fault[i].gpu >= (int32_t)s->n_gpus)
            return doc_error(d, NULL, "fault %u names GPU %d of %u", i + 1, s->fault[i].gpu,
                             s->n_gpus);
    return true;
}

static void name_cards(struct sim_scenario *s)
{
    for (uint32_t i = 0; i < s->n_gpus; i++) {
        struct sim_gpu *g = &s->gpu[i];
        if (!g->uuid[0])
            make_uuid(s->name, i, g->uuid);
        snprintf(g->serial, sizeof(g->serial), "16%011u",
                 (uint32_t)(str_hash(g->uuid, strlen(g->uuid)) % 1000000007));
    }
}

bool scenario_parse(const char *name, const char *text, size_t len, struct sim_scenario *out,
                    struct err *err)
{
    struct doc d;
    if (len > SIM_TEXT_MAX)
        return err_set(err, ERR_1501, "%s: %zu bytes, a scenario has at most %d", name, len,
                       SIM_TEXT_MAX);
    if (!doc_open(&d, name, text, len, err))
        return false;
    struct sim_scenario *s = calloc(1, sizeof(*s));
    bool ok = s != NULL || err_set(err, ERR_1201, "no memory for a scenario");
    if (ok) {
        *s =
            (struct sim_scenario){.noise = 1, .cuda_version = 13000, .driver_version = "580.95.05"};
        snprintf(s->name, sizeof(s->name), "unnamed");
        ok = doc_each_key(&d, doc_root(&d), "a scenario", take_top, s) && check_places(&d, s);
    }
    if (ok) {
        name_cards(s);
        *out = *s;
    }
    free(s);
    doc_close(&d);
    return ok;
}
