/* document: begins and ends the JSON document of a command, with the keys that were asked for. */
#include <string.h>

#include "base/json.h"
#include "cli/cli.h"

void cli_json_start(struct cli *c, struct json *j, const char *kind)
{
    const char *fields = c->words.value[OPTION_JSON];
    bool list = fields && strcmp(fields, "help") == 0;
    json_init(j, &c->out, true, fields && *fields && !list ? fields : NULL);
    json_open_object(j);
    json_key_str(j, "schema", "dualgpuopt/v1");
    json_key_str(j, "kind", kind);
}

bool cli_json_finish(struct cli *c, struct json *j, struct err *err)
{
    size_t len;
    json_close_object(j);
    if (!json_end(j))
        return err_set(err, ERR_1201, "no memory for the JSON document");
    const char *unused = json_unused_field(j, &len);
    if (!unused)
        return true;
    str_finish(&c->out);
    err_set(err, ERR_9002, "--json: this document has no key \"%.*s\"", (int)len, unused);
    return err_fix(err, NULL, "--json=help lists the keys");
}
