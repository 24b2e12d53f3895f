/* cmd_pick: `gpu pick`: the UUIDs of the GPUs that a task should use on stdout, the reasons on
 * stderr. */
#include "api/gpu_docs_json.h"
#include "base/own.h"
#include "cli/gpus.h"
#include "cli/plan_job.h"
#include "machine/machine.h"

struct task {
    uint64_t need_bytes;
    const char *name; /* NULL: none was given */
    struct plan_wish wish;
    uint64_t host_free_bytes; /* less what the system keeps; UINT64_MAX unknown */
};

static bool read_task(struct cli *c, struct task *t, struct err *err)
{
    struct host host = {0};
    struct err unread = {0};
    *t = (struct task){.wish = plan_default_wish(),
                       .name = c->words.value[OPTION_AS],
                       .host_free_bytes = UINT64_MAX};
    if (!given(c, OPTION_NEED)) {
        err_set(err, ERR_9003, "gpu pick needs --need SIZE");
        return err_fix(err, "dualgpuopt gpu pick --need 8GiB", "for example");
    }
    if (!cli_size(c, OPTION_NEED, "--need", &t->need_bytes, err) ||
        !plan_request_variables(&t->wish, err))
        return false;
    if (!t->need_bytes) {
        err_set(err, ERR_2102, "--need cannot be nothing");
        return err_fix(err, "dualgpuopt gpu pick --need 512MiB",
                       "write what the task holds at most");
    }
    if (given(c, OPTION_KEEP_FREE)) {
        if (!cli_size(c, OPTION_KEEP_FREE, "--keep-free", &t->wish.keep_free_bytes, err))
            return false;
        t->wish.keep_free_set = true;
    }
    const char *root = c->words.value[OPTION_PROC_ROOT];
    uint64_t kept = t->wish.system_overhead_bytes;
    if (machine_read_host(root ? root : "", &host, &unread))
        t->host_free_bytes = host.free_bytes > kept ? host.free_bytes - kept : 0;
    return true;
}

/* A machine whose GPUs cannot be used at all is one for the CPU. */
static bool watch_or_none(struct cli *c, struct watch **w, struct str *why, struct err *err)
{
    if (cli_watch(c, 2, false, NULL, w, err))
        return true;
    if (err->code < ERR_1101 || err->code > ERR_1105)
        return false;
    str_addf(why, "%s%s%s", err->title, err->n_why ? ": " : "", err->n_why ? err->why[0] : "");
    *err = (struct err){0};
    return true;
}

static bool nothing_holds(const struct task *t, const struct pick *p, struct err *err)
{
    char need[32], host[32];
    err_set(err, ERR_2115, "nothing here holds %s GiB: %s", str_gib(t->need_bytes, 1, need),
            p->reason);
    for (uint32_t i = 0; i < p->n; i++)
        err_why(err, "%s", p->card[i].why);
    if (p->n < ERR_WHY_MAX)
        err_why(err, "the host has %s GiB to spare", str_gib(t->host_free_bytes, 1, host));
    return err_fix(err, "dualgpuopt gpu ls", "see who holds what");
}

static void write_reasons(struct cli *c, const struct task *t, const struct pick *p,
                          const char *no_gpu)
{
    if (c->look.quiet || c->look.plain)
        return;
    if (t->name)
        str_addf(&c->notes, "%s: ", t->name);
    str_addf(&c->notes, "%s%s\n", p->reason, p->n_chosen ? "" : ": use the CPU");
    if (*no_gpu)
        str_addf(&c->notes, "%s\n", no_gpu);
    for (uint32_t i = 0; i < p->n; i++)
        if (!p->card[i].chosen || p->n_chosen > 1)
            text_wrap(&c->notes, "", 2, p->card[i].why, c->look.width);
}

bool cmd_gpu_pick(struct cli *c, struct err *err)
{
    own(own_watch) struct watch *w = NULL;
    own(own_str) struct str no_gpu = {0};
    own_free struct gpu_view *views = NULL;
    struct pick p;
    struct task t;
    struct json j;
    if (!read_task(c, &t, err) || !watch_or_none(c, &w, &no_gpu, err))
        return false;
    if (w && !(views = watch_views(w, err)))
        return false;
    pick_make(views, w ? watch_count(w) : 0, t.need_bytes, &t.wish, &p);
    if (!p.n_chosen && t.host_free_bytes < t.need_bytes)
        return nothing_holds(&t, &p, err);
    if (c->look.json) {
        cli_json_start(c, &j, "pick");
        pick_json(&j, views, &p, t.need_bytes, t.name, t.host_free_bytes);
        return cli_json_finish(c, &j, err);
    }
    for (uint32_t i = 0, n = 0; i < p.n; i++)
        if (p.card[i].chosen)
            str_addf(&c->out, "%s%s", n++ ? "," : "", views[i].info.uuid);
    str_add(&c->out, p.n_chosen ? "\n" : "cpu\n");
    write_reasons(c, &t, &p, no_gpu.data ? no_gpu.data : "");
    return true;
}
