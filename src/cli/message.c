/* message: errors as people read them: what, why, how to mend it, and where to read more. */
#include <string.h>

#include "base/own.h"
#include "cli/cli.h"

enum { LABEL = 7 };

/* Bytes of text that fit into `room` columns, cut at a blank if there is one, and the bytes to
 * skip. */
static size_t line_end(const char *text, int room, size_t *skip)
{
    size_t n = strlen(text), blank = 0, used = 0;
    int columns = 0;
    while (used < n && text[used] != '\n') {
        uint32_t c;
        size_t step = str_utf8(text + used, n - used, &c);
        if (text[used] == ' ')
            blank = used;
        if (++columns > room)
            break;
        used += step ? step : 1;
    }
    bool whole = used == n || text[used] == '\n';
    if (!whole && blank)
        used = blank;
    *skip = used + (text[used] == ' ' || text[used] == '\n');
    return used;
}

void text_wrap(struct str *out, const char *first, int indent, const char *text, int width)
{
    int begin = (int)str_columns(first);
    str_add(out, first);
    str_add_char(out, ' ', indent - begin);
    int room = width - (begin > indent ? begin : indent);
    while (*text) {
        size_t skip, n = line_end(text, room > 8 ? room : 8, &skip);
        str_add_n(out, text, n);
        str_add(out, "\n");
        text += skip;
        if (*text)
            str_add_char(out, ' ', indent);
        room = width - indent;
    }
}

static void add_fix(const struct err_fix *fix, int width, struct str *out)
{
    own(own_str) struct str text = {0};
    size_t room = (size_t)(width - LABEL);
    str_add(&text, fix->text);
    if (!fix->command[0]) {
        text_wrap(out, "fix", LABEL, text.data, width);
        return;
    }
    const char *colon = str_ends(fix->text, "?") ? "" : ":";
    if (text.len + 3 + strlen(fix->command) <= room) {
        str_addf(&text, "%s  %s", colon, fix->command);
        text_wrap(out, "fix", LABEL, text.data, width);
        return;
    }
    str_add(&text, colon);
    text_wrap(out, "fix", LABEL, text.data, width);
    str_add_char(out, ' ', LABEL); /* a command is never broken: it is there to be copied */
    str_addf(out, "%s\n", fix->command);
}

void message_error(const struct err *e, int width, struct str *out)
{
    own(own_str) struct str first = {0}, more = {0};
    str_addf(&first, "error DGO%04d: ", e->code);
    text_wrap(out, first.data ? first.data : "error ", LABEL, e->title, width);
    for (int i = 0; i < e->n_why; i++)
        text_wrap(out, "why", LABEL, e->why[i], width);
    for (int i = 0; i < e->n_fix; i++)
        add_fix(&e->fix[i], width, out);
    str_addf(&more, "dualgpuopt help DGO%04d", e->code);
    text_wrap(out, "more", LABEL, more.data ? more.data : "", width);
}
