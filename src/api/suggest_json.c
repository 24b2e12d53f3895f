/* suggest_json: writes the suggestions document. */
#include "api/suggest_json.h"

#include "base/own.h"
#include "gguf/type.h"

/* 0 is unknown, and null. */
static void known(struct json *j, const char *key, double n)
{
    json_key(j, key);
    n > 0 ? json_add_f64(j, n) : json_add_null(j);
}

static void whole(struct json *j, const char *key, uint64_t n)
{
    json_key(j, key);
    n ? json_add_u64(j, n) : json_add_null(j);
}

static void type(struct json *j, const char *key, int type)
{
    const struct gguf_type_info *t = type >= 0 ? gguf_type_info((uint32_t)type) : NULL;
    json_key_str(j, key, t ? t->name : NULL);
}

static void add_model(struct json *j, const struct model *m)
{
    json_key(j, "model");
    json_open_object(j);
    json_key_str(j, "path", m->path);
    json_key_str(j, "name", m->name);
    json_key_str(j, "quantization", m->quantization);
    json_key_u64(j, "file_bytes", m->file_bytes);
    json_key_u64(j, "layers", m->n_layers);
    whole(j, "context_trained", m->hp.n_ctx_train);
    json_close_object(j);
}

static void add_wish(struct json *j, const struct suggest_wish *w, const struct suggestions *found)
{
    json_key(j, "wish");
    json_open_object(j);
    json_key_u64(j, "context", found->context);
    json_key_bool(j, "context_given", w->wish->given & GIVEN_CTX);
    json_key_bool(j, "context_lowered", found->context_lowered);
    type(j, "type_k", (int)w->wish->s.type_k);
    type(j, "type_v", (int)w->wish->s.type_v);
    known(j, "min_tps", w->min_tps);
    json_key_u64(j, "max_cards", w->max_cards);
    json_key_bool(j, "prices", w->prices != NULL);
    json_close_object(j);
}

static void add_mine(struct json *j, const struct machine *mine)
{
    json_key(j, "own_cards");
    json_open_array(j);
    for (uint32_t i = 0; i < mine->n_devices; i++) {
        json_open_object(j);
        json_key_str(j, "name", mine->devices[i].name);
        json_key_bool(j, "simulated", mine->devices[i].simulated);
        json_key_u64(j, "total_bytes", mine->devices[i].total_bytes);
        json_key_u64(j, "free_bytes", mine->devices[i].free_bytes);
        json_close_object(j);
    }
    json_close_array(j);
}

static void add_cards(struct json *j, const struct suggestion *s)
{
    own(own_str) struct str gpus = {0};
    json_key(j, "cards");
    json_open_array(j);
    for (uint32_t i = 0; i < s->n_parts; i++) {
        json_open_object(j);
        json_key_str(j, "name", s->parts[i].card->name);
        json_key_u64(j, "count", s->parts[i].count);
        json_key_u64(j, "total_bytes", s->parts[i].card->total_bytes);
        known(j, "bandwidth_gbs", s->parts[i].card->bandwidth_gbs);
        known(j, "board_watts", s->parts[i].card->tdp_w);
        json_close_object(j);
    }
    json_close_array(j);
    json_key_u64(j, "n_cards", s->n_cards);
    suggest_gpus_text(s, &gpus);
    json_key_str(j, "gpus", gpus.data);
}

static void add_speed(struct json *j, const struct speed *v)
{
    bool said = v->confidence != SPEED_NONE && v->decode.tps > 0;
    json_key(j, "speed");
    json_open_object(j);
    known(j, "decode_tps", v->decode.tps);
    known(j, "decode_tps_low", v->decode.low);
    known(j, "decode_tps_high", v->decode.high);
    known(j, "prefill_tps", v->prefill.tps);
    known(j, "prefill_tps_low", v->prefill.low);
    known(j, "prefill_tps_high", v->prefill.high);
    json_key_str(j, "confidence", said ? speed_confidence_name(v->confidence) : NULL);
    json_close_object(j);
}

static void add_row(struct json *j, const struct suggestion *s)
{
    json_open_object(j);
    json_key_str(j, "rank", suggest_rank_name(s->rank));
    json_key_bool(j, "meets", s->rank == SUGGEST_MEETS);
    json_key_bool(j, "fits", s->rank <= SUGGEST_SLOW);
    add_cards(j, s);
    json_key_bool(j, "own_cards_idle", s->mine_idle);
    whole(j, "context_max", s->context_max);
    type(j, "fits_with_kv", s->kv_type);
    json_key(j, "layers");
    json_open_array(j);
    for (uint32_t i = 0; i < s->n_devices; i++)
        json_add_u64(j, s->layers[i]);
    json_close_array(j);
    add_speed(j, &s->speed);
    known(j, "board_watts", s->watts);
    known(j, "watts_per_tps", s->speed.decode.tps > 0 ? s->watts / s->speed.decode.tps : 0);
    known(j, "price", s->price);
    whole(j, "short_bytes", s->short_bytes);
    json_key_str(j, "note", s->note);
    json_close_object(j);
}

void suggest_json(struct json *j, const struct model *model, const struct suggest_wish *wish,
                  const struct suggestions *found)
{
    json_key_bool(j, "simulated", true);
    add_model(j, model);
    add_wish(j, wish, found);
    add_mine(j, wish->mine);
    json_key_u64(j, "catalogue_cards", wish->n_cards);
    json_key_u64(j, "combinations", found->n_combinations);
    json_key_bool(j, "all", wish->all);
    json_key_bool(j, "met", found->met);
    json_key(j, "suggestions");
    json_open_array(j);
    for (uint32_t i = 0; i < found->n; i++)
        add_row(j, &found->row[i]);
    json_close_array(j);
}
