/* together_json: writes the joint verdict, the cards' sums and each plan whole. */
#include "api/together_json.h"

static void add_cards(struct json *j, const struct together *t)
{
    json_key(j, "cards");
    json_open_array(j);
    for (uint32_t i = 0; i < t->n_cards; i++) {
        const struct device *d = &t->machine->devices[i];
        const struct together_card *c = &t->cards[i];
        json_open_object(j);
        json_key_i64(j, "index", d->index);
        json_key_str(j, "uuid", d->uuid);
        json_key_str(j, "name", d->name);
        json_key_bool(j, "simulated", d->simulated);
        json_key_u64(j, "total_bytes", d->total_bytes);
        json_key_u64(j, "free_bytes", d->free_bytes);
        json_key(j, "needs_bytes");
        json_open_array(j);
        for (uint32_t k = 0; k < t->n; k++)
            json_add_u64(j, c->need[k]);
        json_close_array(j);
        json_key_u64(j, "other_bytes", c->other);
        json_key_u64(j, "keep_free_bytes", c->keep_free);
        json_key_i64(j, "free_after_bytes", c->free_after);
        json_close_object(j);
    }
    json_close_array(j);
}

static void add_short(struct json *j, const struct together *t)
{
    json_key(j, "shortfall");
    if (t->short_part < 0) {
        json_add_null(j);
        return;
    }
    json_open_object(j);
    json_key_i64(j, "plan", t->short_part);
    json_key_u64(j, "bytes", t->short_bytes);
    json_close_object(j);
}

static void add_ways(struct json *j, const struct together *t)
{
    json_key(j, "ways");
    json_open_array(j);
    for (uint32_t i = 0; i < t->n_ways; i++) {
        const struct together_way *w = &t->ways[i];
        json_open_object(j);
        json_key(j, "plan");
        w->part < 0 ? json_add_null(j) : json_add_i64(j, w->part);
        json_key_str(j, "change", w->change);
        json_key_str(j, "flags", w->flags);
        json_key_str(j, "price", w->price);
        json_close_object(j);
    }
    json_close_array(j);
}

void together_json(struct json *j, const struct together *t, const struct plan_document *docs,
                   const char *const *names)
{
    json_key_bool(j, "simulated", t->machine->simulated);
    json_key_str(j, "verdict", plan_verdict_name(t->verdict));
    json_key(j, "names");
    json_open_array(j);
    for (uint32_t i = 0; i < t->n; i++)
        json_add_str(j, names[i]);
    json_close_array(j);
    add_cards(j, t);
    add_short(j, t);
    add_ways(j, t);
    json_key_u64(j, "card_uses", t->card_uses);
    json_key_bool(j, "proved", t->proved);
    json_key_u64(j, "candidates", t->candidates);
    json_key(j, "plans");
    json_open_array(j);
    for (uint32_t i = 0; i < t->n; i++) {
        json_open_object(j);
        json_key_str(j, "schema", "dualgpuopt/v1");
        json_key_str(j, "kind", "plan");
        plan_json(j, &docs[i]);
        json_close_object(j);
    }
    json_close_array(j);
}
