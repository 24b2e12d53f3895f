/* seed_plan: runs `plan --json` and takes from the document what the rows ask about. */
#include "seed_plan.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static int64_t member(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return json_object_get_int64(v); /* null: 0 */
}

static void see_card(struct seen *s, struct json_object *d, uint32_t i, int n_layers)
{
    struct json_object *span = at(d, "layers");
    s->first[i] = s->last[i] = -1;
    s->weights += member(d, "weights_bytes");
    s->kv += member(d, "kv_bytes");
    s->compute += member(d, "compute_bytes");
    s->runtime += member(d, "runtime_bytes");
    if (!span)
        return;
    s->used |= 1u << i;
    s->first[i] = json_object_get_int(json_object_array_get_idx(span, 0));
    s->last[i] = json_object_get_int(json_object_array_get_idx(span, 1));
    s->layers[i] = (s->last[i] < n_layers ? s->last[i] : n_layers - 1) - s->first[i] + 1;
}

static void see_document(struct json_object *doc, struct seen *s)
{
    struct json_object *devices = at(doc, "devices"), *shares = at(doc, "settings.tensor_split"),
                       *reasons = at(doc, "reasons");
    snprintf(s->verdict, sizeof(s->verdict), "%s", text_at(doc, "verdict"));
    s->cards = (uint32_t)json_object_array_length(devices);
    assert_true(s->cards <= SEED_CARDS);
    for (uint32_t i = 0; i < s->cards; i++)
        see_card(s, json_object_array_get_idx(devices, i), i, (int)number_at(doc, "model.layers"));
    s->n_shares = shares ? (uint32_t)json_object_array_length(shares) : 0;
    assert_true(s->n_shares <= SEED_CARDS);
    for (uint32_t i = 0; i < s->n_shares; i++)
        s->share[i] = json_object_get_double(json_object_array_get_idx(shares, i));
    s->context = number_at(doc, "settings.context");
    s->context_max = json_object_get_int64(at(doc, "context_max.f16"));
    s->parameters = number_at(doc, "model.parameters");
    s->file_bytes = number_at(doc, "model.file_bytes");
    s->host_weights = number_at(doc, "host.weights_bytes");
    s->host_kv = number_at(doc, "host.kv_bytes");
    for (size_t i = 0; i < json_object_array_length(reasons); i++)
        snprintf(s->reasons + strlen(s->reasons), sizeof(s->reasons) - strlen(s->reasons), "%s\n",
                 json_object_get_string(json_object_array_get_idx(reasons, i)));
}

/* A leading NAME=VALUE word goes before `plan`. */
struct seen see(const char *fmt, ...)
{
    struct seen s = {0};
    char words[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    int env = strncmp(words, "DUALGPUOPT_", 11) == 0 ? (int)strcspn(words, " ") + 1 : 0;
    struct ran r = run("%.*splan %s --json", env, words, words + env);
    if (r.code != 0 && r.code != 8)
        fail_msg("plan %s: exit code %d\n%s", words, r.code, r.err);
    struct json_object *doc = run_json(&r, "plan");
    s.code = r.code;
    see_document(doc, &s);
    json_object_put(doc);
    return s;
}

double seen_gib(const struct seen *s)
{
    return (double)(s->weights + s->kv + s->compute + s->runtime) / (double)GIB;
}

bool near_to(double a, double b, double most)
{
    return fabs(a - b) <= most;
}

void expect_cards(const struct seen *s, uint32_t mask)
{
    assert_int_equal(s->code, 0);
    assert_int_equal(s->used, mask);
}
