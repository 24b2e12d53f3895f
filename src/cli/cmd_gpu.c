/* cmd_gpu: the command `gpu ls`: the cards of this machine and who holds their memory. */
#include <string.h>

#include "api/gpus_json.h"
#include "base/own.h"
#include "base/table.h"
#include "cli/cli.h"

enum { NAMED_MOST = 3 };

/* The maker is not what tells two cards apart. */
static const char *short_name(const char *name)
{
    const char *s = name ? name : "?";
    s += str_starts(s, "NVIDIA ") ? strlen("NVIDIA ") : 0;
    return s + (str_starts(s, "GeForce ") ? strlen("GeForce ") : 0);
}

static void add_processes(struct table *t, const struct nvml_card *card)
{
    own(own_str) struct str list = {0};
    char gib[32];
    for (uint32_t i = 0; i < card->n_processes && i < NAMED_MOST; i++) {
        const struct nvml_process *p = &card->processes[i];
        str_addf(&list, "%s%s", i ? ", " : "", p->name);
        if (p->bytes != UINT64_MAX)
            str_addf(&list, " %s", str_gib(p->bytes, 1, gib));
    }
    if (card->n_processes > NAMED_MOST)
        str_addf(&list, " and %u more", card->n_processes - NAMED_MOST);
    table_cell(t, card->trouble ? card->trouble : list.data);
}

static void write_people(struct cli *c, const struct nvml_inventory *inv)
{
    own(own_table) struct table t = {0};
    struct table_style style = {
        .width = c->look.width, .ascii = c->look.ascii, .no_heading = c->look.quiet};
    char a[32];
    table_column(&t, "GPU", TABLE_LEFT);
    table_column(&t, "PCI", TABLE_LEFT);
    table_column(&t, "TOTAL GiB", TABLE_RIGHT);
    table_column(&t, "FREE GiB", TABLE_RIGHT);
    table_column(&t, "IN USE BY (GiB)", TABLE_LEFT);
    for (uint32_t i = 0; i < inv->n_cards; i++) {
        const struct nvml_card *card = &inv->cards[i];
        const char *pci =
            card->pci && str_starts(card->pci, "00000000:") ? card->pci + 9 : card->pci;
        table_cellf(&t, "%u %s", card->index, short_name(card->name));
        table_cell(&t, pci);
        table_cell(&t, card->total_bytes ? str_gib(card->total_bytes, 1, a) : "-");
        table_cell(&t, card->total_bytes ? str_gib(card->free_bytes, 1, a) : "-");
        add_processes(&t, card);
    }
    table_write(&t, &style, &c->out);
    if (!c->look.quiet)
        str_addf(&c->out, "\ndriver %s   UUIDs: dualgpuopt gpu ls --plain\n",
                 inv->driver_version ? inv->driver_version : "of unknown version");
}

static void write_plain(struct cli *c, const struct nvml_inventory *inv)
{
    for (uint32_t i = 0; i < inv->n_cards; i++) {
        const struct nvml_card *card = &inv->cards[i];
        str_addf(&c->out, "%u\t%s\t%s\t%s\t%llu\t%llu\t%u\n", card->index,
                 card->name ? card->name : "", card->uuid ? card->uuid : "",
                 card->pci ? card->pci : "", (unsigned long long)card->total_bytes,
                 (unsigned long long)card->free_bytes, card->n_processes);
    }
}

static void write_sentences(struct cli *c, const struct nvml_inventory *inv)
{
    char a[32], b[32];
    for (uint32_t i = 0; i < inv->n_cards; i++) {
        const struct nvml_card *card = &inv->cards[i];
        str_addf(&c->out, "GPU %u %s: %s of %s GiB free, %u processes.\n", card->index,
                 short_name(card->name), str_gib(card->free_bytes, 1, a),
                 str_gib(card->total_bytes, 1, b), card->n_processes);
    }
}

bool cmd_gpu_ls(struct cli *c, struct err *err)
{
    struct nvml_inventory inv = {0};
    struct json j;
    if (!nvml_read_inventory(&c->arena, &inv, err))
        return false;
    if (c->look.json) {
        cli_json_start(c, &j, "gpus");
        gpus_json(&j, &inv);
        return cli_json_finish(c, &j, err);
    }
    if (c->look.plain)
        write_plain(c, &inv);
    else if (c->look.accessible)
        write_sentences(c, &inv);
    else
        write_people(c, &inv);
    return true;
}
