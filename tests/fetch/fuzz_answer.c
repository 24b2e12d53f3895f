/* fuzz_answer: any bytes as the head of an answer; what is believed must make sense. */
#include <stdlib.h>
#include <string.h>

#include "fetch/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct answer_head head = {0};
    const char *text = (const char *)data;

    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t len = end ? (size_t)(end - text) + 1 : size;
        if (!answer_line(&head, text, len))
            break;
        if (head.status < 0 || head.status > 999 || strlen(head.etag) >= sizeof(head.etag) ||
            head.header_bytes > ANSWER_MAX_HEADER ||
            (head.has_range && head.range_total && head.range_start >= head.range_total))
            abort();
        text += len;
        size -= len;
    }
    return 0;
}
