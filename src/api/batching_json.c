/* batching_json: writes slots by percentile and groups by length. */
#include "api/batching_json.h"

static void add_slots(struct json *j, const struct batching_slots *r, bool chosen)
{
    json_open_object(j);
    json_key_u64(j, "percentile", r->percentile);
    json_key_u64(j, "prompt", r->prompt);
    json_key_u64(j, "slot", r->slot);
    json_key_u64(j, "parallel", r->parallel);
    json_key_u64(j, "context", r->context);
    json_key_u64(j, "ubatch", r->ubatch);
    json_key_f64(j, "wasted", r->wasted);
    json_key_f64(j, "served", r->served);
    json_key_bool(j, "beyond_training", r->beyond_training);
    json_key_bool(j, "chosen", chosen);
    json_close_object(j);
}

static void add_groups(struct json *j, const struct batching_advice *a)
{
    const struct batching_groups *g = &a->groups;
    json_key(j, "groups");
    json_open_object(j);
    json_key_u64(j, "batches", g->n_batches);
    json_key_u64(j, "max_items", a->rules.max_items);
    json_key_u64(j, "max_tokens", a->rules.max_tokens);
    json_key_u64(j, "oversize", g->n_oversize);
    json_key_u64(j, "tokens", g->tokens);
    json_key_u64(j, "padded_tokens", g->padded);
    json_key_u64(j, "padded_tokens_in_order", g->padded_in_order);
    json_close_object(j);
}

void batching_json(struct json *j, const struct batching_advice *a)
{
    json_key(j, "batching");
    json_open_object(j);
    json_key_u64(j, "prompts", a->n);
    json_key_u64(j, "shortest", a->shortest);
    json_key_u64(j, "p50", a->p50);
    json_key_u64(j, "p95", a->p95);
    json_key_u64(j, "longest", a->longest);
    json_key_f64(j, "mean", a->mean);
    json_key_u64(j, "reply_tokens", BATCHING_REPLY);
    json_key(j, "slots");
    json_open_array(j);
    for (int i = 0; i < BATCHING_ROWS; i++)
        add_slots(j, &a->rows[i], i == a->chosen);
    json_close_array(j);
    add_groups(j, a);
    json_close_object(j);
}
