/* words_unknown: what to say about a word or an option that no table knows: the nearest one that
 * is. */
#include <stdio.h>
#include <string.h>

#include "cli/words.h"

enum { NAMES_MAX = 512, NAME_MAX_LEN = 40 };

/* First words of all commands, or the second words of a group. */
bool words_unknown(const char *group, const char *word, struct err *err)
{
    size_t n, n_names = 0;
    char all[256] = "", command[160];
    const struct command *c = command_table(&n);
    static char names[NAMES_MAX][NAME_MAX_LEN];
    const char *list[NAMES_MAX];
    for (size_t i = 0; i < n; i++) {
        const char *blank = strchr(c[i].words, ' ');
        bool second = *group && blank && strncmp(c[i].words, group, strlen(group)) == 0 &&
                      c[i].words[strlen(group)] == ' ';
        if (*group && !second)
            continue;
        snprintf(names[n_names], NAME_MAX_LEN, "%.*s",
                 second || !blank ? NAME_MAX_LEN - 1 : (int)(blank - c[i].words),
                 second ? blank + 1 : c[i].words);
        if (n_names && strcmp(names[n_names - 1], names[n_names]) == 0)
            continue;
        list[n_names] = names[n_names];
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", n_names ? ", " : "",
                 names[n_names]);
        n_names++;
    }
    const char *near = word ? str_nearest(word, list, n_names) : NULL;
    if (word)
        err_set(err, ERR_9001, "there is no command \"%s%s%s\"", group, *group ? " " : "", word);
    else
        err_set(err, ERR_9003, "%s needs one more word", group);
    err_why(err, "known: %s", all);
    if (!near)
        return err_fix(err, "dualgpuopt --help", "see what there is");
    snprintf(command, sizeof(command), "dualgpuopt %s%s%s", group, *group ? " " : "", near);
    return err_fix(err, command, "did you mean \"%s\"?", near);
}

static const char *nearest_option(const char *name, unsigned scopes)
{
    static char names[NAMES_MAX][NAME_MAX_LEN];
    const char *list[NAMES_MAX];
    size_t n, count = 0;
    const struct option *o = option_table(&n);
    const char *texts[NAMES_MAX];
    size_t n_texts = 0, n_flags;
    const struct flag *f = flag_table(&n_flags);
    for (size_t i = 0; i < n; i++)
        if (o[i].scope & (scopes | SCOPE_ALL))
            texts[n_texts++] = o[i].names;
    for (size_t i = 0; i < n_flags && (scopes & SCOPE_ENGINE); i++)
        if (f[i].id != FLAG_HARMLESS)
            texts[n_texts++] = f[i].names;
    for (size_t i = 0; i < n_texts; i++) {
        for (const char *p = texts[i]; *p && count < NAMES_MAX;) {
            size_t len = strcspn(p, " ");
            snprintf(names[count], NAME_MAX_LEN, "%.*s", (int)len, p);
            list[count] = names[count];
            count++;
            p += len + (p[len] == ' ');
        }
    }
    return str_nearest(name, list, count);
}

bool words_unknown_option(const struct words *w, const char *word, struct err *err)
{
    char name[NAME_MAX_LEN], command[160];
    size_t len = words_name_length(word);
    const struct command *cmd = w->bare ? NULL : w->command;
    const char *of = cmd ? cmd->words : "dualgpuopt";
    snprintf(name, sizeof(name), "%.*s", (int)(len < NAME_MAX_LEN ? len : NAME_MAX_LEN - 1), word);
    snprintf(command, sizeof(command), "dualgpuopt %s%s--help", cmd ? of : "", cmd ? " " : "");
    const struct flag *f = words_setting(word, len);
    if (f && f->id == FLAG_HARMLESS && w->command && (w->command->scopes & SCOPE_ENGINE)) {
        err_set(err, ERR_9001, "%s changes no memory, so that %s does not take it", name, of);
        return err_fix(err, "dualgpuopt plan -- llama-server -m MODEL ...",
                       "plan a whole command with all its flags");
    }
    if (f || words_option(word, len)) {
        err_set(err, ERR_9001, "%s is not an option of %s", name, of);
        return err_fix(err, command, "see its options");
    }
    const char *near = nearest_option(name, w->command ? w->command->scopes : SCOPE_ALL);
    err_set(err, ERR_9001, "%s knows no option %s", of, name);
    if (near)
        err_fix(err, NULL, "did you mean %s?", near);
    return err_fix(err, command, "see its options");
}
