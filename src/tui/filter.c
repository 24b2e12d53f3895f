/* filter: a recursive descent of bounded depth into a list of nodes, and a stack of bits that works
 * them off. */
#include "tui/filter.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { NODE_COMPARE, NODE_WORD, NODE_NOT, NODE_AND, NODE_OR };
enum { OP_GREATER, OP_GREATER_EQUAL, OP_LESS, OP_LESS_EQUAL, OP_EQUAL, OP_NOT_EQUAL };
enum { DEPTH_MAX = 12 };

/* Fields beyond the metrics: short names, and what belongs to a process. */
enum field {
    FIELD_MEMORY_PERCENT = METRIC_COUNT,
    FIELD_GPU,
    FIELD_PID,
    FIELD_PROCESS_MEMORY,
    FIELD_PROCESS_SM,
    FIELD_NAME,
    FIELD_USER,
    FIELD_CONTAINER,
    FIELD_STATE,
};

static const struct {
    const char *name;
    uint8_t field;
} fields[] = {
    {"temp",      METRIC_TEMPERATURE  },
    {"util",      METRIC_UTILIZATION  },
    {"mem",       FIELD_MEMORY_PERCENT},
    {"used",      METRIC_MEMORY_USED  },
    {"free",      METRIC_MEMORY_FREE  },
    {"power",     METRIC_POWER        },
    {"fan",       METRIC_FAN          },
    {"clock",     METRIC_CLOCK_SM     },
    {"gpu",       FIELD_GPU           },
    {"state",     FIELD_STATE         },
    {"pid",       FIELD_PID           },
    {"pmem",      FIELD_PROCESS_MEMORY},
    {"sm",        FIELD_PROCESS_SM    },
    {"name",      FIELD_NAME          },
    {"user",      FIELD_USER          },
    {"container", FIELD_CONTAINER     },
};

const char *filter_field(size_t i)
{
    return i < sizeof(fields) / sizeof(*fields) ? fields[i].name : NULL;
}

struct parser {
    struct filter *out;
    const char *at;
    int depth;
    struct err *err;
};

static bool refuse(struct parser *p, const char *what)
{
    char rest[24];
    if (!*p->at)
        return err_set(p->err, ERR_9005, "filter: %s at its end", what);
    str_printable(p->at, strnlen(p->at, 12), rest, sizeof(rest));
    return err_set(p->err, ERR_9005, "filter: %s at \"%s\"", what, rest);
}

static bool emit(struct parser *p, struct filter_node node)
{
    if (p->out->n >= FILTER_NODES_MAX)
        return refuse(p, "too many terms");
    p->out->node[p->out->n++] = node;
    return true;
}

static void skip_blanks(struct parser *p)
{
    while (*p->at == ' ')
        p->at++;
}

static bool in_word(char c)
{
    return c && c != ' ' && !strchr("&|!()<>=", c);
}

/* Is the next word this one (and no longer)? */
static bool take_word(struct parser *p, const char *word)
{
    size_t n = strlen(word);
    if (strncasecmp(p->at, word, n) != 0 || in_word(p->at[n]))
        return false;
    p->at += n;
    return true;
}

static bool take_op(struct parser *p, uint8_t *op)
{
    static const struct {
        const char *text;
        uint8_t op;
    } ops[] = {
        {">=", OP_GREATER_EQUAL},
        {"<=", OP_LESS_EQUAL   },
        {"!=", OP_NOT_EQUAL    },
        {"==", OP_EQUAL        },
        {">",  OP_GREATER      },
        {"<",  OP_LESS         },
        {"=",  OP_EQUAL        }
    };
    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
        if (strncmp(p->at, ops[i].text, strlen(ops[i].text)) == 0) {
            *op = ops[i].op;
            p->at += strlen(ops[i].text);
            return true;
        }
    }
    return false;
}

static bool find_field(const char *word, uint8_t *field)
{
    enum metric m;
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        if (str_eq_fold(word, fields[i].name)) {
            *field = fields[i].field;
            return true;
        }
    }
    if (!metric_find(word, &m))
        return false;
    *field = (uint8_t)m;
    return true;
}

static bool is_text(uint8_t field)
{
    return field == FIELD_NAME || field == FIELD_USER || field == FIELD_CONTAINER ||
           field == FIELD_STATE;
}

static bool is_bytes(uint8_t field)
{
    return field == FIELD_PROCESS_MEMORY ||
           (field < METRIC_COUNT && (metric_info[field].unit == UNIT_BYTES ||
                                     metric_info[field].unit == UNIT_BYTES_PER_SECOND));
}

/* "80", "80%", "80C", "350W"; sizes as everywhere, where a bare number is MiB. */
static bool parse_value(const char *word, uint8_t field, double *out)
{
    char number[FILTER_TEXT_MAX];
    uint64_t bytes;
    if (is_bytes(field)) {
        if (!str_parse_size(word, &bytes))
            return false;
        *out = (double)bytes;
        return true;
    }
    size_t n = strspn(word, "0123456789.-");
    static const char *const units[] = {"", "%", "c", "w", "mhz"};
    bool known = false;
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
        known = known || str_eq_fold(word + n, units[i]);
    memcpy(number, word, n);
    number[n] = 0;
    return known && str_parse_f64(number, -1e18, 1e18, out);
}

static bool parse_compare(struct parser *p, const char *field_word, size_t field_at)
{
    struct filter_node node = {.kind = NODE_COMPARE};
    char value[FILTER_TEXT_MAX];
    if (!take_op(p, &node.op))
        return emit(p, (struct filter_node){.kind = NODE_WORD,
                                            .word = (uint8_t)field_at,
                                            .word_len = (uint8_t)strlen(field_word)});
    if (!find_field(field_word, &node.field)) {
        p->at = p->out->text + field_at;
        return refuse(p, "no such field");
    }
    skip_blanks(p);
    const char *start = p->at;
    while (in_word(*p->at))
        p->at++;
    size_t len = (size_t)(p->at - start);
    memcpy(value, start, len);
    value[len] = 0;
    node.word = (uint8_t)(start - p->out->text);
    node.word_len = (uint8_t)len;
    bool fits = is_text(node.field) ? len > 0 && (node.op == OP_EQUAL || node.op == OP_NOT_EQUAL)
                                    : parse_value(value, node.field, &node.value);
    if (!fits) {
        p->at = start;
        return refuse(p, is_text(node.field) ? "= or != and a word belong here"
                                             : "a number belongs here");
    }
    return emit(p, node);
}

static bool parse_or(struct parser *p);

static bool parse_term(struct parser *p)
{
    char word[FILTER_TEXT_MAX];
    skip_blanks(p);
    if (*p->at == '!' || *p->at == '(') {
        bool not = *p->at++ == '!';
        if (++p->depth > DEPTH_MAX)
            return refuse(p, "nested too deep");
        if (!(not ? parse_term(p) : parse_or(p)))
            return false;
        p->depth--;
        skip_blanks(p);
        if (not )
            return emit(p, (struct filter_node){.kind = NODE_NOT});
        if (*p->at != ')')
            return refuse(p, "a ) is missing");
        p->at++;
        return true;
    }
    const char *start = p->at;
    while (in_word(*p->at))
        p->at++;
    size_t len = (size_t)(p->at - start);
    if (!len)
        return refuse(p, "a word or FIELD>VALUE belongs here");
    memcpy(word, start, len);
    word[len] = 0;
    const char *after = p->at;
    skip_blanks(p);
    if (!*p->at || !strchr("<>=!", *p->at) || (*p->at == '!' && p->at[1] != '='))
        p->at = after;
    return parse_compare(p, word, (size_t)(start - p->out->text));
}

/* Blanks between terms mean "and". */
static bool parse_and(struct parser *p)
{
    if (!parse_term(p))
        return false;
    for (;;) {
        skip_blanks(p);
        if (!*p->at || *p->at == ')' || *p->at == '|')
            return true;
        const char *before = p->at;
        if (take_word(p, "or")) {
            p->at = before;
            return true;
        }
        if (*p->at == '&')
            p->at += p->at[1] == '&' ? 2 : 1;
        else
            take_word(p, "and");
        if (!parse_term(p) || !emit(p, (struct filter_node){.kind = NODE_AND}))
            return false;
    }
}

static bool parse_or(struct parser *p)
{
    if (!parse_and(p))
        return false;
    for (;;) {
        skip_blanks(p);
        if (*p->at == '|')
            p->at += p->at[1] == '|' ? 2 : 1;
        else if (!take_word(p, "or"))
            return true;
        if (!parse_and(p) || !emit(p, (struct filter_node){.kind = NODE_OR}))
            return false;
    }
}

bool filter_parse(const char *text, struct filter *out, struct err *err)
{
    struct filter f = {0};
    struct parser p = {.out = &f, .at = f.text, .err = err};
    if (strlen(text) >= sizeof(f.text))
        return err_set(err, ERR_9005, "filter: longer than %d bytes", FILTER_TEXT_MAX - 1);
    memcpy(f.text, text, strlen(text) + 1);
    skip_blanks(&p);
    if (!*p.at) {
        *out = (struct filter){0};
        return true;
    }
    if (!parse_or(&p))
        return false;
    if (*p.at)
        return refuse(&p, "nothing fits here");
    *out = f;
    return true;
}

static bool contains(const char *text, const char *word, size_t len)
{
    for (; *text; text++)
        if (strncasecmp(text, word, len) == 0)
            return true;
    return len == 0;
}

bool filter_finds(const struct top_model *m, const struct process *p, const char *word, size_t len)
{
    char pid[48], user[TOP_USER_MAX + 12];
    snprintf(pid, sizeof(pid), "%" PRIu32 " %" PRIu32, p->pid, p->local_pid);
    return contains(p->name, word, len) || contains(p->container, word, len) ||
           contains(pid, word, len) ||
           contains(top_user_text(m, p->uid, user, sizeof(user)), word, len);
}

static double number_of(uint8_t field, const struct gpu_view *g, const struct process *p)
{
    switch (field) {
    case FIELD_MEMORY_PERCENT: {
        double percent = g->has_sample ? sample_memory_percent(&g->sample) : -1;
        return percent < 0 ? (double)NAN : percent;
    }
    case FIELD_GPU: return g->info.index;
    case FIELD_PID: return p ? p->pid : (double)NAN;
    case FIELD_PROCESS_MEMORY:
        return p && p->memory_bytes != UINT64_MAX ? (double)p->memory_bytes : (double)NAN;
    case FIELD_PROCESS_SM: return p && p->sm >= 0 ? (double)p->sm : (double)NAN;
    default: return top_value(g, (enum metric)field);
    }
}

static bool compare(double a, uint8_t op, double b)
{
    if (isnan(a))
        return false;
    switch (op) {
    case OP_GREATER: return a > b;
    case OP_GREATER_EQUAL: return a >= b;
    case OP_LESS: return a < b;
    case OP_LESS_EQUAL: return a <= b;
    case OP_EQUAL: return a <= b && a >= b;
    default: return a < b || a > b;
    }
}

static bool text_matches(const struct filter *f, const struct filter_node *n,
                         const struct top_model *m, const struct gpu_view *g,
                         const struct process *p)
{
    char user[TOP_USER_MAX + 12];
    const char *text = NULL;
    if (n->field == FIELD_STATE)
        text = g->health.state == GPU_OK ? gpu_word(g) : gpu_state_name[g->health.state];
    else if (n->field == FIELD_NAME)
        text = p ? p->name : g->info.name;
    else if (p)
        text = n->field == FIELD_USER ? top_user_text(m, p->uid, user, sizeof(user)) : p->container;
    return text && contains(text, f->text + n->word, n->word_len) == (n->op == OP_EQUAL);
}

static bool evaluate(const struct filter *f, const struct top_model *m, uint32_t gpu,
                     const struct process *p)
{
    const struct gpu_view *g = &m->gpu[gpu];
    uint64_t stack = 0; /* the top in bit 0; no deeper than there are nodes */
    if (!f->n)
        return true;
    for (int i = 0; i < f->n; i++) {
        const struct filter_node *n = &f->node[i];
        bool top = stack & 1;
        switch (n->kind) {
        case NODE_NOT: stack ^= 1; break;
        case NODE_AND:
        case NODE_OR: {
            bool below = stack >> 1 & 1;
            stack = (stack >> 2) << 1 | (n->kind == NODE_AND ? top && below : top || below);
            break;
        }
        case NODE_WORD:
            top = contains(g->info.name, f->text + n->word, n->word_len) ||
                  (p && filter_finds(m, p, f->text + n->word, n->word_len));
            stack = stack << 1 | top;
            break;
        default:
            top = is_text(n->field) ? text_matches(f, n, m, g, p)
                                    : compare(number_of(n->field, g, p), n->op, n->value);
            stack = stack << 1 | top;
        }
    }
    return stack & 1;
}

bool filter_gpu(const struct filter *f, const struct top_model *m, uint32_t gpu)
{
    return evaluate(f, m, gpu, NULL);
}

bool filter_process(const struct filter *f, const struct top_model *m, uint32_t gpu,
                    const struct process *p)
{
    return evaluate(f, m, gpu, p);
}

bool filter_shows_gpu(const struct filter *f, const struct top_model *m, uint32_t gpu)
{
    if (filter_gpu(f, m, gpu))
        return true;
    for (uint32_t i = 0; i < m->gpu[gpu].processes.n; i++)
        if (filter_process(f, m, gpu, &m->gpu[gpu].processes.process[i]))
            return true;
    return false;
}
