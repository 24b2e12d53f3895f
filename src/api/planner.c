/* planner: keys that hold everything an answer depends on, and values that own all they point to.
 */
#include "api/planner.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"

struct planner {
    struct cache *headers, *plans;
};

/* The cache holds one reference, every plan that is kept one more. */
struct opened {
    atomic_int references;
    struct arena arena;
    struct model model;
    struct str key;
};

struct made {
    struct opened *model;
    struct arena arena;
    struct plan plan;
    struct machine machine;
};

static void close_model(void *value)
{
    struct opened *o = value;
    if (!o || atomic_fetch_sub(&o->references, 1) != 1)
        return;
    arena_finish(&o->arena);
    str_finish(&o->key);
    free(o);
}

static void free_plan(void *value)
{
    struct made *m = value;
    if (!m)
        return;
    arena_finish(&m->arena);
    close_model(m->model);
    free(m);
}

struct planner *planner_new(size_t entries, uint64_t plan_ttl_ns)
{
    struct planner *p = calloc(1, sizeof(*p));
    struct cache_config headers = {
        .name = "headers", .max_entries = entries, .free_value = close_model};
    struct cache_config plans = {
        .name = "plans", .max_entries = entries, .ttl_ns = plan_ttl_ns, .free_value = free_plan};
    if (!p)
        return NULL;
    p->headers = cache_new(&headers);
    p->plans = cache_new(&plans);
    if (p->headers && p->plans)
        return p;
    planner_free(p);
    return NULL;
}

void planner_free(struct planner *p)
{
    if (!p)
        return;
    if (p->plans)
        cache_free(p->plans);
    if (p->headers)
        cache_free(p->headers);
    free(p);
}

struct opening {
    struct model_request request;
    const struct str *key;
};

static bool open_model(const void *key, size_t key_len, void *user, void **value, struct err *err)
{
    const struct opening *opening = user;
    struct opened *o = calloc(1, sizeof(*o));
    if (!o)
        return err_set(err, ERR_1201, "no memory for a model");
    atomic_init(&o->references, 1);
    str_add_n(&o->key, key, key_len);
    if (o->key.failed || !model_open(&opening->request, &o->arena, &o->model, err)) {
        bool memory = o->key.failed;
        close_model(o);
        return memory ? err_set(err, ERR_1201, "no memory for a model") : false;
    }
    *value = o;
    return true;
}

static void add_text(struct str *key, const char *text)
{
    cache_key_add(key, text ? text : "", text ? strlen(text) + 1 : 0);
}

bool planner_open(struct planner *p, const char *ref, const char *quant, struct cache_loan *loan,
                  const struct model **out, struct err *err)
{
    own(own_str) struct str key = {0};
    struct opening opening = {
        .request = {.ref = ref, .quant = quant}
    };
    struct stat st;
    add_text(&key, ref);
    add_text(&key, quant);
    if (stat(ref, &st) == 0) {
        uint64_t file[5] = {st.st_dev, st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
                            (uint64_t)st.st_mtim.tv_nsec};
        cache_key_add(&key, file, sizeof(file));
    }
    if (key.failed)
        return err_set(err, ERR_1201, "no memory for a key");
    if (!cache_get(p->headers, key.data, key.len, open_model, &opening, loan, err))
        return false;
    *out = &((struct opened *)loan->value)->model;
    return true;
}

/* Numbers as they lie in memory, texts as texts: addresses say nothing. */
static void add_device(struct str *key, const struct device *d)
{
    struct device numbers = *d;
    numbers.name = numbers.uuid = numbers.pci = numbers.rpc = numbers.host = NULL;
    numbers.occupants = NULL;
    cache_key_add(key, &numbers, sizeof(numbers));
    add_text(key, d->name);
    add_text(key, d->uuid);
    add_text(key, d->pci);
    add_text(key, d->rpc);
    add_text(key, d->host);
    for (uint32_t i = 0; i < d->n_occupants; i++) {
        cache_key_add(key, &d->occupants[i].pid, sizeof(d->occupants[i].pid));
        cache_key_add(key, &d->occupants[i].bytes, sizeof(d->occupants[i].bytes));
        add_text(key, d->occupants[i].name);
    }
}

static void add_wish(struct str *key, const struct plan_wish *w)
{
    struct plan_wish numbers = *w;
    for (uint32_t i = 0; i < w->s.n_overrides; i++) {
        add_text(key, w->s.overrides[i].pattern);
        numbers.s.overrides[i].pattern = NULL;
    }
    cache_key_add(key, &numbers, sizeof(numbers));
}

static void add_machine(struct str *key, const struct machine *m)
{
    struct host host = m->host;
    host.cpu = NULL;
    cache_key_add(key, &host, sizeof(host));
    for (uint32_t i = 0; i < m->n_devices; i++)
        add_device(key, &m->devices[i]);
}

static const char *copy(struct arena *a, const char *text, bool *ok)
{
    const char *kept = text ? arena_strdup(a, text) : NULL;
    *ok = *ok && (!text || kept);
    return kept;
}

static bool copy_machine(struct arena *a, const struct machine *from, struct machine *to)
{
    bool ok = true;
    *to = *from;
    to->host.cpu = copy(a, from->host.cpu, &ok);
    for (uint32_t i = 0; i < from->n_devices; i++) {
        struct device *d = &to->devices[i];
        struct occupant *o = arena_array(a, struct occupant, d->n_occupants ? d->n_occupants : 1);
        d->name = copy(a, d->name, &ok);
        d->uuid = copy(a, d->uuid, &ok);
        d->pci = copy(a, d->pci, &ok);
        d->rpc = copy(a, d->rpc, &ok);
        d->host = copy(a, d->host, &ok);
        ok = ok && o;
        for (uint32_t k = 0; ok && k < d->n_occupants; k++) {
            o[k] = d->occupants[k];
            o[k].name = copy(a, o[k].name, &ok);
        }
        d->occupants = o;
    }
    return ok;
}

struct making {
    struct opened *model;
    const struct machine *machine;
    const struct plan_wish *wish;
};

static bool make_plan(const void *key, size_t key_len, void *user, void **value, struct err *err)
{
    const struct making *m = user;
    struct made *made = calloc(1, sizeof(*made));
    struct plan_wish wish = *m->wish;
    bool ok = made && copy_machine(&made->arena, m->machine, &made->machine);
    (void)key;
    (void)key_len;
    for (uint32_t i = 0; ok && i < wish.s.n_overrides; i++)
        wish.s.overrides[i].pattern = copy(&made->arena, wish.s.overrides[i].pattern, &ok);
    if (made) {
        made->model = m->model;
        atomic_fetch_add(&m->model->references, 1);
    }
    if (!ok) {
        free_plan(made);
        return err_set(err, ERR_1201, "no memory for a plan");
    }
    if (!plan_make(&m->model->model, &made->machine, &wish, &made->arena, &made->plan, err)) {
        free_plan(made);
        return false;
    }
    *value = made;
    return true;
}

static bool plan_in_arena(const struct opened *o, const struct machine *machine,
                          const struct plan_wish *wish, struct arena *arena,
                          const struct plan **out, struct err *err)
{
    struct plan *plan = arena_new(arena, struct plan);
    if (!plan)
        return err_set(err, ERR_1201, "no memory for a plan");
    *out = plan;
    return plan_make(&o->model, machine, wish, arena, plan, err);
}

bool planner_plan(struct planner *p, const struct cache_loan *model, const struct machine *machine,
                  const struct plan_wish *wish, struct arena *arena, struct cache_loan *loan,
                  const struct plan **out, struct err *err)
{
    own(own_str) struct str key = {0};
    struct making m = {model->value, machine, wish};
    if (wish->draft || wish->layer_extra)
        return plan_in_arena(m.model, machine, wish, arena, out, err);
    cache_key_add(&key, m.model->key.data, m.model->key.len);
    add_machine(&key, machine);
    add_wish(&key, wish);
    if (key.failed)
        return err_set(err, ERR_1201, "no memory for a key");
    if (!cache_get(p->plans, key.data, key.len, make_plan, &m, loan, err))
        return false;
    *out = &((struct made *)loan->value)->plan;
    return true;
}
