/* fuzz_scenario: scenario files and faults in words; what is accepted can be played to any time. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sim/physics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void play(const struct sim_scenario *s)
{
    static const int64_t times[] = {1, 77777777777, (int64_t)3600 * 1000000000};
    struct surroundings around = {0};
    struct reading r;
    struct physics p;
    if (!s->n_gpus)
        return;
    physics_start(&s->gpu[0], &p);
    for (size_t i = 0; i < 2; i++) {
        physics_advance(s, 0, &around, times[i], &p);
        physics_read(s, 0, &around, 1, &p, &r);
    }
    for (uint32_t i = 0; i < s->n_processes; i++)
        for (uint32_t k = 0; k < s->process[i].n_shares; k++)
            load_bytes(&s->process[i], &s->process[i].share[k], times[2]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sim_scenario s;
    struct sim_fault f;
    struct err err = {0};
    char text[300];
    if (scenario_parse("fuzz", (const char *)data, size, &s, &err))
        play(&s);
    size_t n = size < sizeof(text) - 1 ? size : sizeof(text) - 1;
    memcpy(text, data, n);
    text[n] = 0;
    fault_parse(text, &f, &err);
    return 0;
}
