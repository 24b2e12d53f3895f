/* compare_json: writes the rows of a comparison. */
#include "api/compare_json.h"

static void add_side(struct json *j, const struct compare *c, int i, const char *name)
{
    const struct plan *p = c->plan[i];
    json_open_object(j);
    json_key_str(j, "name", name);
    json_key_str(j, "model", p->model->name);
    json_key_str(j, "verdict", plan_verdict_name(p->verdict));
    json_key_bool(j, "simulated", p->machine->simulated);
    json_close_object(j);
}

static void add_value(struct json *j, const struct compare_row *r, int i)
{
    json_key(j, i ? "b" : "a");
    if (!r->has[i])
        json_add_null(j);
    else if (r->unit == COMPARE_TEXT)
        json_add_str(j, r->text[i]);
    else if (r->unit == COMPARE_TPS)
        json_add_f64(j, r->value[i]);
    else
        json_add_i64(j, (int64_t)r->value[i]);
}

static void add_difference(struct json *j, const struct compare_row *r)
{
    bool both = r->has[0] && r->has[1] && r->unit != COMPARE_TEXT;
    double d = r->value[1] - r->value[0];
    json_key(j, "difference");
    if (!both)
        json_add_null(j);
    else if (r->unit == COMPARE_TPS)
        json_add_f64(j, d);
    else
        json_add_i64(j, (int64_t)d);
}

void compare_json(struct json *j, const struct compare *c, const char *const names[2])
{
    static const char *const units[] = {"text", "tokens", "bytes", "tokens_per_second"};
    static const char *const better[] = {"same", "a", "b", "different"};
    json_key_bool(j, "simulated", c->plan[0]->machine->simulated || c->plan[1]->machine->simulated);
    json_key(j, "plans");
    json_open_array(j);
    for (int i = 0; i < 2; i++)
        add_side(j, c, i, names[i]);
    json_close_array(j);
    json_key(j, "rows");
    json_open_array(j);
    for (uint32_t i = 0; i < c->n_rows; i++) {
        const struct compare_row *r = &c->rows[i];
        json_open_object(j);
        json_key_str(j, "key", r->key);
        json_key_str(j, "unit", units[r->unit]);
        add_value(j, r, 0);
        add_value(j, r, 1);
        add_difference(j, r);
        json_key_str(j, "better", better[r->better]);
        json_key_str(j, "note", r->note);
        json_close_object(j);
    }
    json_close_array(j);
    json_key_str(j, "conclusion", c->verdict);
}
