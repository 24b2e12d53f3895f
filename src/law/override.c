/* override: reads ECMAScript patterns as POSIX ones and finds the first that matches a name. */
#include "law/override.h"

#include <string.h>

#include "base/own.h"
#include "base/str.h"

/* Adds a character that stands for itself. */
static void add_literal(struct str *out, char c)
{
    if (c == '^' || c == '\\')
        str_addf(out, "\\%c", c);
    else
        str_addf(out, "[%c]", c);
}

/* Text of an escape inside or outside of a bracket; false: not one we can say in POSIX. */
static bool add_escape(struct str *out, char c, bool in_bracket)
{
    static const char *const CLASS[][3] = {
        {"d", "[0-9]",         "0-9"       },
        {"D", "[^0-9]",        NULL        },
        {"w", "[A-Za-z0-9_]",  "A-Za-z0-9_"},
        {"W", "[^A-Za-z0-9_]", NULL        },
        {"s", "[[:space:]]",   "[:space:]" },
        {"S", "[^[:space:]]",  NULL        },
        {"b", "\\b",           NULL        },
        {"B", "\\B",           NULL        },
    };
    for (size_t i = 0; i < sizeof(CLASS) / sizeof(*CLASS); i++) {
        if (CLASS[i][0][0] != c)
            continue;
        const char *text = CLASS[i][in_bracket ? 2 : 1];
        str_add(out, text ? text : "");
        return text != NULL;
    }
    bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (word || c == '\0' || (in_bracket && (c == ']' || c == '^' || c == '-' || c == '\\')))
        return false;
    if (in_bracket)
        str_add_char(out, c, 1);
    else
        add_literal(out, c);
    return true;
}

/* Copies a bracket expression from after its '[' to after its ']'. NULL: not closed, or not
 * sayable. */
static const char *add_bracket(struct str *out, const char *p)
{
    str_add_char(out, '[', 1);
    if (*p == '^')
        str_add_char(out, *p++, 1);
    if (*p == ']') /* an empty set in ECMAScript, a literal in POSIX */
        return NULL;
    for (; *p && *p != ']'; p++) {
        if (*p != '\\')
            str_add_char(out, *p, 1);
        else if (!add_escape(out, *++p, true))
            return NULL;
    }
    if (*p != ']')
        return NULL;
    str_add_char(out, ']', 1);
    return p + 1;
}

static bool is_quantifier(char c)
{
    return c == '*' || c == '+' || c == '?' || c == '}';
}

/* ECMAScript -> POSIX extended. Lazy quantifiers find the same names as greedy ones, so their '?'
 * is dropped. */
static bool translate(struct str *out, const char *p)
{
    char last = '\0';
    while (*p) {
        char c = *p++;
        if (c == '\\') {
            if (!add_escape(out, *p, false))
                return false;
            p++;
        } else if (c == '[') {
            if (!(p = add_bracket(out, p)))
                return false;
        } else if (c == '(' && *p == '?') {
            if (p[1] != ':')
                return false;
            p += 2;
            str_add_char(out, '(', 1);
        } else if (c == '?' && is_quantifier(last)) {
            last = '\0';
            continue;
        } else {
            str_add_char(out, c, 1);
        }
        last = c;
    }
    return !out->failed;
}

static bool compile(regex_t *out, const char *pattern, struct err *err)
{
    own(own_str) struct str posix = {0};
    str_add(&posix, "");
    int rc = REG_BADPAT;
    if (translate(&posix, pattern))
        rc = regcomp(out, posix.data ? posix.data : "", REG_EXTENDED | REG_NOSUB);
    if (rc == 0)
        return true;
    err_set(err, ERR_2114, "the pattern \"%s\" of -ot cannot be read", pattern);
    err_why(err,
            "it is not a regular expression of the kind the engine searches tensor names with, or "
            "one with look-ahead or back-references, which no tensor name needs");
    return err_fix(err, "-ot 'blk\\.[0-9]+\\.ffn_.*_exps=CPU'",
                   "give a pattern like this one: characters, ., [ ], ( ), |, *, +, ?");
}

static uint32_t rules_before(const struct law_settings *s, uint32_t after)
{
    return after < s->n_overrides ? s->n_overrides - after : 0;
}

bool override_set_init(struct override_set *set, const struct law_settings *s, struct err *err)
{
    memset(set, 0, sizeof(*set));
    set->n_cpu_moe = s->n_cpu_moe;
    set->n_cpu_ffn = s->n_cpu_ffn;
    if (s->n_overrides > LAW_MAX_OVERRIDES)
        return err_set(err, ERR_2114, "%u -ot rules are more than the %d that are read",
                       s->n_overrides, LAW_MAX_OVERRIDES);
    set->cpu_moe_at = rules_before(s, s->overrides_after_cpu_moe);
    set->cpu_ffn_at = rules_before(s, s->overrides_after_cpu_ffn);
    for (uint32_t i = 0; i < s->n_overrides; i++) {
        if (!compile(&set->rule[i], s->overrides[i].pattern, err)) {
            override_set_finish(set);
            return false;
        }
        set->target[i] = s->overrides[i].target;
        set->n = i + 1;
    }
    return true;
}

void override_set_finish(struct override_set *set)
{
    for (uint32_t i = 0; i < set->n; i++)
        regfree(&set->rule[i]);
    set->n = 0;
}

/* Skips one of the words (the longest first) at p; NULL when none stands there. */
static const char *skip_word(const char *p, const char *const *words)
{
    for (; *words; words++) {
        size_t len = strlen(*words);
        if (strncmp(p, *words, len) == 0)
            return p + len;
    }
    return NULL;
}

/* \.ffn_(up|down|gate|gate_up)_(ch|)exps is found in the name. */
static bool is_expert_name(const char *name)
{
    static const char *const PARTS[] = {"up_", "down_", "gate_up_", "gate_", NULL};
    static const char *const EXPS[] = {"chexps", "exps", NULL};
    const char *p = strstr(name, ".ffn_");
    return p && (p = skip_word(p + 5, PARTS)) && skip_word(p, EXPS);
}

/* \.ffn_(up|down|gate)\. is found in the name. */
static bool is_dense_ffn_name(const char *name)
{
    static const char *const PARTS[] = {"up.", "down.", "gate.", NULL};
    const char *p = strstr(name, ".ffn_");
    return p && skip_word(p + 5, PARTS);
}

int override_find(const struct override_set *set, const char *name, int layer)
{
    bool moe = layer >= 0 && (uint32_t)layer < set->n_cpu_moe && is_expert_name(name);
    bool ffn = layer >= 0 && (uint32_t)layer < set->n_cpu_ffn && is_dense_ffn_name(name);
    for (uint32_t i = 0; i < set->n; i++) {
        if ((moe && i >= set->cpu_moe_at) || (ffn && i >= set->cpu_ffn_at))
            return LAW_HOST;
        if (regexec(&set->rule[i], name, 0, NULL, 0) == 0)
            return set->target[i];
    }
    return moe || ffn ? LAW_HOST : OVERRIDE_NONE;
}

bool override_any(const struct law_settings *s)
{
    return s->n_overrides > 0 || s->n_cpu_moe > 0 || s->n_cpu_ffn > 0;
}
