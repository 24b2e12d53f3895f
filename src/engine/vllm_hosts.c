/* vllm_hosts: the commands that join the hosts of a vLLM plan to one Ray cluster. */
#include "engine/vllm_hosts.h"

#include <string.h>

int vllm_host_index(const struct vllm_plan *p, uint32_t rank)
{
    const struct device *d = p->ranks[rank].card;
    int before = 0;
    if (!d->simulated || (!d->host && !d->rpc))
        return d->index;
    for (uint32_t i = 0; i < p->ranks[rank].device; i++)
        before += device_same_host(&p->machine->devices[i], d);
    return before;
}

static const char *name_of(const struct device *d, struct arena *arena)
{
    size_t len;
    const char *host = device_host(d, &len);
    return arena_strndup(arena, host, len);
}

const char *vllm_host_address(const struct device *card, struct arena *arena)
{
    const char *name = name_of(card, arena);
    return name && *name && name[strspn(name, "0123456789.")] == '\0' ? name : NULL;
}

static bool check_names(const struct vllm_plan *p, struct err *err)
{
    for (uint32_t i = 0; i < p->n_ranks; i++) {
        const struct device *d = p->ranks[i].card;
        size_t len;
        device_host(d, &len);
        if (len)
            continue;
        err_set(err, ERR_2101, "GPU %d names no host, others of the plan do", d->index);
        err_why(err, "every host must be told the address of the first one");
        return err_fix(err, "--gpus rtx4090:host=192.0.2.1,rtx4090:host=192.0.2.2",
                       "give each card its :host=, this machine's too");
    }
    return true;
}

static bool add_word(struct engine_command *c, struct arena *arena, const char *flag,
                     const char *value)
{
    return command_add_word(c, arena_printf(arena, "--%s=%s", flag, value ? value : ""));
}

static bool make_command(const struct vllm_plan *p, const char *head, struct arena *arena,
                         struct vllm_host *h)
{
    struct engine_command *c = &h->command;
    const char *address = vllm_host_address(p->ranks[h->first_rank].card, arena);
    struct str cards = {0};
    for (uint32_t i = 0; i < h->n_ranks; i++)
        str_addf(&cards, "%s%d", i ? "," : "", vllm_host_index(p, h->first_rank + i));
    const char *visible = cards.data ? arena_strdup(arena, cards.data) : NULL;
    str_finish(&cards);
    bool ok = visible && command_add_variable(c, "CUDA_DEVICE_ORDER", "PCI_BUS_ID") &&
              command_add_variable(c, "CUDA_VISIBLE_DEVICES", visible) &&
              (!address || command_add_variable(c, "VLLM_HOST_IP", address)) &&
              command_add_word(c, "ray") && command_add_word(c, "start");
    if (h->first_rank == 0)
        ok = ok && command_add_word(c, "--head") &&
             command_add_word(c, arena_printf(arena, "--port=%d", VLLM_RAY_PORT));
    else
        ok = ok &&
             command_add_word(c, arena_printf(arena, "--address=%s:%d", head, VLLM_RAY_PORT));
    ok = ok && (!address || add_word(c, arena, "node-ip-address", address));
    return ok && command_add_word(c, arena_printf(arena, "--num-gpus=%u", h->n_ranks));
}

bool vllm_hosts_make(const struct vllm_plan *p, struct arena *arena, struct vllm_hosts *out,
                     struct err *err)
{
    struct vllm_host *all = arena_array(arena, struct vllm_host, p->n_ranks);
    uint32_t n = 0;
    *out = (struct vllm_hosts){0};
    if (!all)
        return err_set(err, ERR_1201, "no memory for the hosts");
    for (uint32_t i = 0; i < p->n_ranks; i++) {
        if (n && device_same_host(p->ranks[i].card, p->ranks[i - 1].card)) {
            all[n - 1].n_ranks++;
            continue;
        }
        all[n++] = (struct vllm_host){
            .name = name_of(p->ranks[i].card, arena), .first_rank = i, .n_ranks = 1};
    }
    if (n < 2)
        return true;
    if (!check_names(p, err))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!make_command(p, all[0].name, arena, &all[i]))
            return err_set(err, ERR_1201, "no memory for the hosts' commands");
    *out = (struct vllm_hosts){n, all};
    return true;
}
