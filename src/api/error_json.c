/* error_json: writes the error document. */
#include "api/error_json.h"

#include "base/json.h"

void error_json(const struct err *e, struct str *out)
{
    struct json j;
    json_init(&j, out, true, NULL);
    json_open_object(&j);
    json_key_str(&j, "schema", "dualgpuopt/v1");
    json_key_str(&j, "kind", "error");
    json_key(&j, "code");
    json_add_strf(&j, "DGO%04d", e->code);
    json_key_str(&j, "title", e->title);
    json_key(&j, "why");
    json_open_array(&j);
    for (int i = 0; i < e->n_why; i++)
        json_add_str(&j, e->why[i]);
    json_close_array(&j);
    json_key(&j, "fixes");
    json_open_array(&j);
    for (int i = 0; i < e->n_fix; i++) {
        json_open_object(&j);
        json_key_str(&j, "text", e->fix[i].text);
        json_key_str(&j, "command", e->fix[i].command[0] ? e->fix[i].command : NULL);
        json_close_object(&j);
    }
    json_close_array(&j);
    json_close_object(&j);
    json_end(&j);
}
