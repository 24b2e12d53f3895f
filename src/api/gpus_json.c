/* gpus_json: writes the inventory of GPUs. */
#include "api/gpus_json.h"

static void known(struct json *j, const char *key, uint64_t n)
{
    json_key(j, key);
    n ? json_add_u64(j, n) : json_add_null(j);
}

static void add_process(struct json *j, const struct nvml_process *p)
{
    json_open_object(j);
    json_key_u64(j, "pid", p->pid);
    json_key_str(j, "name", p->name);
    json_key(j, "bytes");
    p->bytes == UINT64_MAX ? json_add_null(j) : json_add_u64(j, p->bytes);
    json_close_object(j);
}

static void add_card(struct json *j, const struct nvml_card *c)
{
    json_open_object(j);
    json_key_u64(j, "index", c->index);
    json_key_str(j, "name", c->name);
    json_key_str(j, "uuid", c->uuid);
    json_key_str(j, "pci", c->pci);
    known(j, "total_bytes", c->total_bytes);
    json_key(j, "free_bytes");
    c->total_bytes ? json_add_u64(j, c->free_bytes) : json_add_null(j);
    json_key(j, "used_bytes");
    c->total_bytes ? json_add_u64(j, c->total_bytes - c->free_bytes) : json_add_null(j);
    json_key(j, "compute_capability");
    c->cc_major ? json_add_strf(j, "%u.%u", c->cc_major, c->cc_minor) : json_add_null(j);
    known(j, "cores", c->cores);
    known(j, "pcie_gen_max", c->pcie_gen_max);
    known(j, "pcie_width_max", c->pcie_width_max);
    json_key_str(j, "trouble", c->trouble);
    json_key(j, "processes");
    json_open_array(j);
    for (uint32_t i = 0; i < c->n_processes; i++)
        add_process(j, &c->processes[i]);
    json_close_array(j);
    json_close_object(j);
}

void gpus_json(struct json *j, const struct nvml_inventory *inventory)
{
    json_key_bool(j, "simulated", false);
    json_key_str(j, "driver_version", inventory->driver_version);
    json_key(j, "gpus");
    json_open_array(j);
    for (uint32_t i = 0; i < inventory->n_cards; i++)
        add_card(j, &inventory->cards[i]);
    json_close_array(j);
}
