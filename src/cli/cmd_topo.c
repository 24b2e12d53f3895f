/* cmd_topo: `gpu topo`: a matrix of how close the GPUs sit to each other, and between which memory
 * is copied directly. */
#include <stdio.h>

#include "api/gpu_docs_json.h"
#include "base/own.h"
#include "base/table.h"
#include "cli/gpus.h"

enum { BLOCK = 8 };

/* A table of 8 columns at a time keeps within 80 characters. */
static void write_matrix(struct cli *c, const struct gpu_view *views, const struct topology *t,
                         uint32_t first)
{
    own(own_table) struct table table = {0};
    struct table_style style = {.width = c->look.width, .ascii = c->look.ascii};
    char heading[BLOCK][8], word[16];
    uint32_t end = first + BLOCK < t->n ? first + BLOCK : t->n;
    table_column(&table, "GPU", TABLE_LEFT);
    for (uint32_t k = first; k < end; k++) {
        snprintf(heading[k - first], sizeof(heading[0]), "%u", views[k].info.index);
        table_column(&table, heading[k - first], TABLE_RIGHT);
    }
    for (uint32_t i = 0; i < t->n; i++) {
        table_cellf(&table, "%u %s", views[i].info.index, gpu_short_name(views[i].info.name));
        for (uint32_t k = first; k < end; k++)
            table_cell(&table, i == k ? "-" : topology_word(&t->pair[i][k], word));
    }
    table_write(&table, &style, &c->out);
}

static void write_legend(struct cli *c, const struct topology *t)
{
    uint32_t seen = 0;
    bool links = false, switched = false;
    for (uint32_t i = 0; i < t->n; i++) {
        for (uint32_t k = 0; k < t->n; k++) {
            const struct nvml_pair *p = &t->pair[i][k];
            if (i == k)
                continue;
            links = links || p->nvlinks;
            switched = switched || p->by_nvswitch;
            seen |= p->nvlinks ? 0 : UINT32_C(1) << p->distance;
        }
    }
    str_add(&c->out, "\n");
    if (links)
        str_addf(&c->out, "NVn   n NVLinks%s\n", switched ? ", through an NVSwitch" : "");
    for (int d = 0; d <= NVML_DISTANCE_UNKNOWN; d++)
        if (seen >> d & 1)
            str_addf(&c->out, "%-5s %s\n", topology_distance_word((enum nvml_distance)d),
                     topology_distance_meaning((enum nvml_distance)d));
}

/* One line for each answer, with the pairs it holds for. */
static void write_p2p(struct cli *c, const struct gpu_view *views, const struct topology *t)
{
    for (int answer = 0; answer <= NVML_P2P_UNKNOWN; answer++) {
        own(own_str) struct str pairs = {0}, first = {0};
        uint32_t n = 0;
        for (uint32_t i = 0; i < t->n; i++) {
            for (uint32_t k = i + 1; k < t->n; k++) {
                if ((int)topology_p2p(t, i, k) != answer)
                    continue;
                str_addf(&pairs, "%s%u-%u", n++ ? ", " : "", views[i].info.index,
                         views[k].info.index);
            }
        }
        if (!n)
            continue;
        str_addf(&first, "%s%s: ",
                 answer == NVML_P2P_OK || answer == NVML_P2P_UNKNOWN ? "peer-to-peer "
                                                                     : "no peer-to-peer, ",
                 topology_p2p_text((enum nvml_p2p)answer));
        bool all = n == t->n * (t->n - 1) / 2;
        text_wrap(&c->out, first.data ? first.data : "", 2, all ? "every pair" : pairs.data,
                  c->look.width);
    }
}

static void write_people(struct cli *c, struct watch *w, const struct gpu_view *views,
                         const struct topology *t)
{
    if (!c->look.quiet) {
        gpus_headline(c, w);
        str_add(&c->out, "\n");
    }
    for (uint32_t first = 0; first < t->n; first += BLOCK) {
        str_add(&c->out, first ? "\n" : "");
        write_matrix(c, views, t, first);
    }
    if (t->n < 2) {
        str_addf(&c->out, "\n%s\n", t->n ? "One GPU: there is nothing to be close to." : "No GPU.");
        return;
    }
    if (!c->look.quiet)
        write_legend(c, t);
    str_add(&c->out, "\n");
    write_p2p(c, views, t);
}

/* a, b, distance, NVLinks, 1 or 0 for peer-to-peer, why not. */
static void write_plain(struct cli *c, const struct gpu_view *views, const struct topology *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        for (uint32_t k = i + 1; k < t->n; k++) {
            const struct nvml_pair *p = &t->pair[i][k];
            enum nvml_p2p p2p = topology_p2p(t, i, k);
            str_addf(&c->out, "%u\t%u\t%s\t", views[i].info.index, views[k].info.index,
                     p->distance == NVML_DISTANCE_UNKNOWN ? ""
                                                          : topology_distance_word(p->distance));
            if (p->nvlinks_known)
                str_addf(&c->out, "%u", p->nvlinks);
            str_addf(&c->out, "\t%s\t%s\n",
                     p2p == NVML_P2P_UNKNOWN ? ""
                     : p2p == NVML_P2P_OK    ? "1"
                                             : "0",
                     p2p == NVML_P2P_OK ? "" : topology_p2p_text(p2p));
        }
    }
}

static void write_sentences(struct cli *c, const struct gpu_view *views, const struct topology *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        for (uint32_t k = i + 1; k < t->n; k++) {
            const struct nvml_pair *p = &t->pair[i][k];
            enum nvml_p2p p2p = topology_p2p(t, i, k);
            str_addf(&c->out, "GPU %u and GPU %u are joined ", views[i].info.index,
                     views[k].info.index);
            if (p->nvlinks)
                str_addf(&c->out, "by %u NVLinks.", p->nvlinks);
            else if (p->distance == NVML_DISTANCE_UNKNOWN)
                str_add(&c->out, "in a way the driver does not tell.");
            else
                str_addf(&c->out, "%s.", topology_distance_meaning(p->distance));
            if (p2p == NVML_P2P_OK)
                str_add(&c->out, " They can copy directly.\n");
            else
                str_addf(&c->out, " Direct copies: %s%s.\n", p2p == NVML_P2P_UNKNOWN ? "" : "no, ",
                         topology_p2p_text(p2p));
        }
    }
    if (t->n < 2)
        str_addf(&c->out, "There %s.\n", t->n ? "is one GPU" : "is no GPU");
}

bool cmd_gpu_topo(struct cli *c, struct err *err)
{
    own(own_watch) struct watch *w = NULL;
    own_free struct topology *t = calloc(1, sizeof(*t));
    struct json j;
    if (!t)
        return err_set(err, ERR_1201, "no memory for the pairs of GPUs");
    if (!cli_watch(c, 2, false, NULL, &w, err))
        return false;
    own_free struct gpu_view *views = watch_views(w, err);
    if (!views || !topology_read(views, watch_count(w), t, err))
        return false;
    if (c->look.json) {
        cli_json_start(c, &j, "topology");
        topology_json(&j, views, t);
        return cli_json_finish(c, &j, err);
    }
    if (c->look.plain)
        write_plain(c, views, t);
    else if (c->look.accessible)
        write_sentences(c, views, t);
    else
        write_people(c, w, views, t);
    return true;
}
