/* plan_side: splits a text into words and plans them as if they had been typed after `plan`. */
#include "cli/plan_side.h"

#include <string.h>

static bool push(struct plan_side *s, const char *word, struct err *err)
{
    if (s->argc == SIDE_MAX_WORDS)
        return err_set(err, ERR_9002, "more than %d words", SIDE_MAX_WORDS);
    s->argv[s->argc] = arena_strdup(&s->cli.arena, word);
    return s->argv[s->argc++] || err_set(err, ERR_1201, "no memory for words");
}

/* The next word of *text into word (as long as the text at most); false at its end. */
static bool next_word(const char **text, char *word, bool *open)
{
    const char *p = *text + strspn(*text, " \t\n");
    char quote = '\0', *to = word;
    if (!*p)
        return false;
    for (; *p && (quote || !strchr(" \t\n", *p)); p++) {
        if (quote ? *p == quote : *p == '\'' || *p == '"')
            quote = quote ? '\0' : *p;
        else
            *to++ = *p;
    }
    *to = '\0';
    *text = p;
    *open = quote != '\0';
    return true;
}

/* A whole command needs no -- in front of it here. */
static bool is_engine(const char *word)
{
    static const char *const programs[] = {"llama-server", "llama-cli", "llama-completion",
                                           "llama-bench", "llama-fit-params"};
    const char *slash = strrchr(word, '/');
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        if (strcmp(slash ? slash + 1 : word, programs[i]) == 0)
            return true;
    return false;
}

static bool split(struct plan_side *s, const char *text, struct err *err)
{
    char *word = arena_alloc(&s->cli.arena, strlen(text) + 1, 1);
    bool open = false, first = true;
    if (!word)
        return err_set(err, ERR_1201, "no memory for words");
    while (next_word(&text, word, &open)) {
        if (open)
            return err_set(err, ERR_9001, "a quote is not closed");
        if ((first && is_engine(word) && !push(s, "--", err)) || !push(s, word, err))
            return false;
        first = false;
    }
    return true;
}

static bool make(struct plan_side *s, const char *text, const char *const *outer, int n_outer,
                 struct err *err)
{
    if (!push(s, "dualgpuopt", err) || !push(s, "plan", err))
        return false;
    for (int i = 0; i < n_outer; i++)
        if (!push(s, outer[i], err))
            return false;
    if (!split(s, text, err) || !words_parse(s->argc, s->argv, &s->cli.words, err))
        return false;
    if (*text && !s->cli.words.n_words && !s->cli.words.dashes && !s->cli.words.n_settings) {
        err_set(err, ERR_9003, "\"%s\" names no model", text);
        return err_fix(
            err, NULL,
            "write a model and its settings in quotes: \"llama-3.1-8b:Q4_K_M --ctx 16k\"");
    }
    return plan_job_make(&s->cli, &s->job, err);
}

bool plan_side_make(struct cli *c, const char *who, const char *text, const char *const *outer,
                    int n_outer, struct plan_side *side, struct err *err)
{
    side->cli.look = c->look;
    side->made = true;
    bool ok = make(side, text, outer, n_outer, err) || (who && err_prefix(err, "%s", who));
    if (side->cli.notes.data)
        str_add(&c->notes, side->cli.notes.data);
    return ok;
}

void plan_side_finish(struct plan_side *side)
{
    if (!side->made)
        return;
    plan_job_finish(&side->job);
    str_finish(&side->cli.out);
    str_finish(&side->cli.notes);
    arena_finish(&side->cli.arena);
    side->made = false;
}

bool plan_side_refuse(const struct cli *c, const struct plan_side_option *options, size_t n, const char *why,
                      const char *fix, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!given(c, options[i].id))
            continue;
        err_set(err, ERR_2113, "%s %s", options[i].name, why);
        return err_fix(err, NULL, "%s", fix);
    }
    return true;
}
