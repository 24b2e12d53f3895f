/* fuzz_filter: any bytes as a filter, worked off on GPUs and processes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tui/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct top_model m = {.n = 1};
    char text[2 * FILTER_TEXT_MAX];
    struct filter f = {0};
    struct err err = {0};
    size = size < sizeof(text) ? size : sizeof(text) - 1;
    memcpy(text, data, size);
    text[size] = 0;
    m.gpu[0].has_sample = true;
    sample_set(&m.gpu[0].sample, METRIC_TEMPERATURE, 60);
    m.gpu[0].processes.n = 1;
    if (!filter_parse(text, &f, &err)) {
        if (err.code == ERR_NONE)
            abort();
        return 0;
    }
    filter_shows_gpu(&f, &m, 0);
    return 0;
}
