/* models_json: writes the list of built-in profiles and of models found in directories. */
#include "api/models_json.h"

static void add_found(struct json *j, const struct model_found *f)
{
    json_open_object(j);
    json_key_str(j, "path", f->path);
    json_key_str(j, "name", f->name);
    json_key_str(j, "architecture", f->architecture);
    json_key_str(j, "quantization", f->quantization);
    json_key_u64(j, "file_bytes", f->file_bytes);
    json_key_u64(j, "parameters", f->parameters);
    json_key_u64(j, "layers", f->n_layers);
    json_key_u64(j, "shards", f->n_shards);
    json_key_bool(j, "projector", f->projector);
    json_key_bool(j, "usable", f->usable);
    json_key(j, "code");
    f->why ? json_add_strf(j, "DGO%04d", f->why->code) : json_add_null(j);
    json_key_str(j, "why", f->why ? f->why->title : NULL);
    json_close_object(j);
}

void models_json(struct json *j, const struct model_profile *profiles, size_t n,
                 const struct model_list *found)
{
    json_key(j, "profiles");
    json_open_array(j);
    for (size_t i = 0; i < n; i++) {
        json_open_object(j);
        json_key_str(j, "name", profiles[i].name);
        json_key_str(j, "title", profiles[i].title);
        json_key_str(j, "quantization", profiles[i].quantization);
        json_key_u64(j, "parameters", profiles[i].parameters);
        json_close_object(j);
    }
    json_close_array(j);
    json_key(j, "found");
    json_open_array(j);
    for (size_t i = 0; i < found->n; i++)
        add_found(j, &found->found[i]);
    json_close_array(j);
    json_key_bool(j, "cut", found->cut);
}
