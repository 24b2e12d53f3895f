/* cmd_model: the commands `model ls`, `model show` and `model scan`. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "api/model_json.h"
#include "api/models_json.h"
#include "api/planner.h"
#include "base/own.h"
#include "base/table.h"
#include "cli/models.h"
#include "cli/plan_vllm.h"
#include "model/hub_layout.h"

enum { PATH_MOST = 32 };

static struct table_style style_of(const struct cli *c)
{
    return (struct table_style){.width = c->look.width,
                                .plain = c->look.plain,
                                .ascii = c->look.ascii,
                                .no_heading = c->look.quiet};
}

static void add_billions(struct table *t, uint64_t parameters)
{
    double b = (double)parameters / 1e9;
    if (b >= 1000)
        table_cellf(t, "%.2f T", b / 1000);
    else
        table_cellf(t, b < 10 ? "%.2f B" : "%.1f B", b);
}

static void add_bytes(struct table *t, const struct cli *c, uint64_t bytes)
{
    char gib[32];
    if (c->look.plain)
        table_cellf(t, "%llu", (unsigned long long)bytes);
    else
        table_cellf(t, "%s GiB", str_gib(bytes, 1, gib));
}

/* The end of a path tells more than its beginning. */
static void add_path(struct table *t, const struct cli *c, const char *path)
{
    const char *home = getenv("HOME");
    size_t n = home && *home && !c->look.plain ? strlen(home) : 0, len;
    bool at_home = n && strncmp(path, home, n) == 0 && path[n] == '/';
    path += at_home ? n : 0;
    len = strlen(path);
    if (c->look.plain || len <= PATH_MOST)
        table_cellf(t, "%s%s", at_home ? "~" : "", path);
    else
        table_cellf(t, "...%s", path + len - PATH_MOST + 3);
}

static void write_found(struct cli *c, const struct model_list *list)
{
    own(own_table) struct table t = {0};
    struct table_style style = style_of(c);
    table_column(&t, "MODEL", TABLE_LEFT);
    table_column(&t, "QUANT", TABLE_LEFT);
    table_column(&t, "SIZE", TABLE_RIGHT);
    table_column(&t, "PARAMS", TABLE_RIGHT);
    table_column(&t, "FILE", TABLE_LEFT);
    for (size_t i = 0; i < list->n; i++) {
        const struct model_found *f = &list->found[i];
        if (!f->usable)
            continue;
        table_cellf(&t, "%s%s", f->name ? f->name : "-", f->projector ? " (projector)" : "");
        table_cell(&t, f->quantization);
        add_bytes(&t, c, f->file_bytes);
        add_billions(&t, f->parameters);
        add_path(&t, c, f->path);
    }
    if (t.n_cells)
        table_write(&t, &style, &c->out);
    for (size_t i = 0; i < list->n && !c->look.quiet; i++) {
        const struct model_found *f = &list->found[i];
        char first[32] = "unusable ";
        if (f->usable || !f->why)
            continue;
        if (c->look.plain)
            snprintf(first, sizeof(first), "unusable DGO%04d ", f->why->code);
        text_wrap(&c->notes, first, 9, f->why->title, c->look.plain ? 1 << 16 : c->look.width);
    }
}

bool cmd_model_scan(struct cli *c, struct err *err)
{
    struct model_list list = {0};
    struct json j;
    const char *dir = c->words.word[0];
    if (!model_scan(dir, &c->arena, &list, err))
        return false;
    if (c->look.json) {
        cli_json_start(c, &j, "models");
        models_json(&j, NULL, 0, &list);
        return cli_json_finish(c, &j, err);
    }
    write_found(c, &list);
    if (list.n == 0)
        str_addf(&c->notes, "no model (*.gguf) in %s and %d levels below it\n", dir,
                 MODEL_SCAN_DEPTH);
    if (list.cut)
        str_addf(&c->notes, "there is more than one scan looks at: name a directory below %s\n",
                 dir);
    return true;
}

/* Where other programs keep what they downloaded. */
static void usual_places(struct arena *a, const char **out, size_t most, size_t *n)
{
    static const char *const below_home[] = {".cache/llama.cpp", ".cache/huggingface/hub", "models",
                                             ".lmstudio/models"};
    const char *home = getenv("HOME"), *llama = getenv("LLAMA_CACHE"),
               *hub = getenv("HF_HUB_CACHE");
    *n = 0;
    if (llama && *llama)
        out[(*n)++] = llama;
    if (hub && *hub)
        out[(*n)++] = hub;
    for (size_t i = 0; home && *home && i < 4 && *n < most; i++) {
        struct stat st;
        const char *path = arena_printf(a, "%s/%s", home, below_home[i]);
        if (path && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            out[(*n)++] = path;
    }
}

bool models_find(struct cli *c, struct model_list *all, struct err *err)
{
    const char *places[8];
    size_t n;
    usual_places(&c->arena, places, 8, &n);
    all->found = arena_array(&c->arena, struct model_found, MODEL_SCAN_FOUND);
    if (!all->found)
        return err_set(err, ERR_1201, "no memory for a list of models");
    for (size_t i = 0; i < n; i++) {
        struct model_list one = {0};
        struct err quiet = {0};
        if (!model_scan(places[i], &c->arena, &one, &quiet))
            continue;
        for (size_t k = 0; k < one.n && all->n < MODEL_SCAN_FOUND; k++)
            all->found[all->n++] = one.found[k];
        all->cut = all->cut || one.cut;
    }
    return true;
}

bool cmd_model_ls(struct cli *c, struct err *err)
{
    own(own_table) struct table t = {0};
    struct table_style style = style_of(c);
    struct model_profile *profiles;
    struct model_list list = {0};
    struct json j;
    size_t n;
    if (!model_profiles(&c->arena, &profiles, &n, err) || !models_find(c, &list, err))
        return false;
    if (c->look.json) {
        cli_json_start(c, &j, "models");
        models_json(&j, profiles, n, &list);
        return cli_json_finish(c, &j, err);
    }
    if (list.n) {
        write_found(c, &list);
        str_add(&c->out, c->look.plain ? "" : "\n");
    }
    table_column(&t, "PROFILE", TABLE_LEFT);
    table_column(&t, "NAME", TABLE_LEFT);
    table_column(&t, "PARAMS", TABLE_RIGHT);
    table_column(&t, "QUANT", TABLE_LEFT);
    for (size_t i = 0; i < n; i++) {
        table_cell(&t, profiles[i].name);
        table_cell(&t, profiles[i].title);
        add_billions(&t, profiles[i].parameters);
        table_cell(&t, profiles[i].quantization);
    }
    table_write(&t, &style, &c->out);
    if (!c->look.quiet && !c->look.plain)
        str_add(&c->out,
                "\nAny quantisation of a profile can be planned: dualgpuopt plan NAME:Q5_K_M\n");
    return true;
}

/* One line per run of layers that are alike. */
static bool alike(const struct model *m, uint32_t a, uint32_t b)
{
    const struct model_layer *x = &m->layers[a], *y = &m->layers[b];
    return x->kv == y->kv && x->ffn == y->ffn && x->nextn == y->nextn &&
           x->n_embd_k == y->n_embd_k && x->n_embd_v == y->n_embd_v && x->n_head == y->n_head &&
           x->state_s == y->state_s;
}

static void show_layers(struct cli *c, const struct model *m)
{
    own(own_table) struct table t = {0};
    struct table_style style = {
        .width = c->look.width, .plain = c->look.plain, .ascii = c->look.ascii};
    static const char *const ffn[] = {"none", "dense", "experts"};
    char number[32];
    table_column(&t, "LAYERS", TABLE_LEFT);
    table_column(&t, "MEMORY", TABLE_LEFT);
    table_column(&t, "B/TOKEN", TABLE_RIGHT);
    table_column(&t, "STATE B", TABLE_RIGHT);
    table_column(&t, "HEADS", TABLE_RIGHT);
    table_column(&t, "KV HEADS", TABLE_RIGHT);
    table_column(&t, "FEED-FORWARD", TABLE_LEFT);
    table_column(&t, "WEIGHTS GiB", TABLE_RIGHT);
    for (uint32_t i = 0, end; i < m->n_layers; i = end) {
        const struct model_layer *l = &m->layers[i];
        uint64_t bytes = 0;
        for (end = i; end < m->n_layers && alike(m, i, end); end++)
            bytes += model_layer_bytes(m, end);
        if (end - i == 1)
            table_cellf(&t, "%u%s", i, l->nextn ? " nextn" : "");
        else
            table_cellf(&t, "%u-%u%s", i, end - 1, l->nextn ? " nextn" : "");
        table_cell(&t, model_kv_name(l->kv));
        table_cell(&t, str_grouped(model_cell_bytes(l, GGUF_TYPE_F16, GGUF_TYPE_F16), number));
        table_cell(&t, str_grouped(4 * (l->state_r + l->state_s), number));
        table_cellf(&t, "%u", l->n_head);
        table_cellf(&t, "%u", l->n_head_kv);
        table_cell(&t, ffn[l->ffn]);
        table_cell(&t, str_gib(bytes, 2, number));
    }
    table_write(&t, &style, &c->out);
}

static void show_tensors(struct cli *c, const struct model *m)
{
    own(own_table) struct table t = {0};
    struct table_style style = style_of(c);
    char number[32];
    table_column(&t, "TENSOR", TABLE_LEFT);
    table_column(&t, "TYPE", TABLE_LEFT);
    table_column(&t, "SHAPE", TABLE_LEFT);
    table_column(&t, "BYTES", TABLE_RIGHT);
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        const struct model_tensor *x = &m->tensors[i];
        const struct gguf_type_info *type = gguf_type_info(x->type);
        own(own_str) struct str shape = {0};
        for (int d = 0; d < x->n_dims; d++)
            str_addf(&shape, "%s%llu", d ? " x " : "", (unsigned long long)x->ne[d]);
        table_cell(&t, x->name);
        table_cell(&t, type ? type->name : "?");
        table_cell(&t, shape.data);
        table_cell(&t, c->look.plain ? (snprintf(number, sizeof(number), "%llu",
                                                 (unsigned long long)x->bytes),
                                        number)
                                     : str_grouped(x->bytes, number));
    }
    table_write(&t, &style, &c->out);
}

static void show_header(struct cli *c, const struct model *m)
{
    const struct model_hparams *h = &m->hp;
    char a[32], b[32];
    str_add_printable(&c->out, m->name, strlen(m->name));
    str_addf(&c->out, "\n  %s, %s GiB, %.2f B parameters\n", m->quantization,
             str_gib(m->file_bytes, 1, a), (double)m->parameters / 1e9);
    str_addf(&c->out, "  architecture %s (%s)\n", m->architecture, model_family_title(m));
    str_addf(&c->out, "  %u layers, width %u, vocabulary %s, trained context %s\n", h->n_layer,
             h->n_embd, str_grouped(h->n_vocab, a), str_grouped(h->n_ctx_train, b));
    str_addf(&c->out, "  heads %u, KV heads %u, head %u for K and %u for V\n", h->n_head,
             h->n_head_kv, h->head_dim_k, h->head_dim_v);
    if (h->n_expert)
        str_addf(&c->out, "  %u experts, %u used per token, %u shared\n", h->n_expert,
                 h->n_expert_used, h->n_expert_shared);
    if (h->n_swa)
        str_addf(&c->out, "  window of %s tokens%s\n", str_grouped(h->n_swa, a),
                 h->swa_chunked ? ", in chunks" : "");
    if (!m->from_file)
        str_add(&c->out, "  computed from a profile or a description: no file of weights was read\n");
    str_add(&c->out, "\n");
}

static bool open_layout(struct cli *c, const char *ref, const struct model **out, struct err *err)
{
    struct model *m = arena_new(&c->arena, struct model);
    struct hub_model *hub = arena_new(&c->arena, struct hub_model);
    if (!m || !hub)
        return err_set(err, ERR_1201, "no memory for a model");
    *out = m;
    return hub_open(ref, &c->arena, hub, err) && hub_to_model(hub, &c->arena, m, err);
}

/* GGUF first; a repository that holds none is looked at again as safetensors. */
static bool open_any(struct cli *c, struct cache_loan *loan, const struct model **out,
                     struct err *err)
{
    const char *ref = c->words.word[0];
    struct err second = {0};
    struct planner *planner = cli_planner(err);
    if (!planner)
        return false;
    if (plan_vllm_layout(ref))
        return open_layout(c, ref, out, err);
    if (planner_open(planner, ref, c->words.value[OPTION_QUANT], loan, out, err))
        return true;
    if (!plan_vllm_no_gguf(ref, err) || given(c, OPTION_QUANT))
        return false;
    if (open_layout(c, ref, out, &second))
        return true;
    if (second.code != ERR_2001)
        *err = second;
    return false;
}

bool cmd_model_show(struct cli *c, struct err *err)
{
    own(own_cache_loan) struct cache_loan loan = {0};
    const struct model *m;
    struct json j;
    if (!open_any(c, &loan, &m, err))
        return false;
    if (c->look.json) {
        cli_json_start(c, &j, "model");
        model_json(&j, m, given(c, OPTION_TENSORS));
        return cli_json_finish(c, &j, err);
    }
    if (given(c, OPTION_TENSORS)) {
        show_tensors(c, m);
        return true;
    }
    if (!c->look.plain && !c->look.quiet)
        show_header(c, m);
    show_layers(c, m);
    if (!c->look.plain && !c->look.quiet)
        str_add(&c->out,
                "\nB/TOKEN: K and V cache in f16, for every token (window: of the window).\n");
    return true;
}
