/* complete: completion scripts for bash, zsh and fish, made from the tables. */
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "cli/cli.h"

static void add_names(const char *names, struct str *out)
{
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, " ");
        str_add(out, out->len ? " " : "");
        str_add_n(out, p, n);
        p += n + (p[n] == ' ');
    }
}

static void option_words(unsigned scopes, struct str *out)
{
    size_t n;
    const struct option *o = option_table(&n);
    for (size_t i = 0; i < n; i++)
        if (o[i].scope & (scopes | SCOPE_ALL))
            add_names(o[i].names, out);
    const struct flag *f = flag_table(&n);
    for (size_t i = 0; i < n && (scopes & SCOPE_ENGINE); i++)
        if (f[i].id != FLAG_HARMLESS)
            add_names(f[i].names, out);
}

/* The words that may follow `group`: first words of all commands for "", else its second words. */
static void next_words(const char *group, struct str *out)
{
    size_t n, len = strlen(group);
    const struct command *c = command_table(&n);
    const char *last = "";
    for (size_t i = 0; i < n; i++) {
        const char *word = c[i].words;
        if (len && (strncmp(word, group, len) != 0 || word[len] != ' '))
            continue;
        word += len ? len + 1 : 0;
        size_t size = strcspn(word, " ");
        if (strncmp(last, word, size) == 0 && (last[size] == ' ' || !last[size]))
            continue;
        str_add(out, out->len ? " " : "");
        str_add_n(out, word, size);
        last = word;
    }
}

/* What may stand as a word of its own behind a command. */
static const char *argument_words(const struct command *c)
{
    if (strcmp(c->words, "completion") == 0)
        return "bash zsh fish";
    if (strcmp(c->words, "help") == 0)
        return "plan model gpu engine doctor gpus sizes exit-codes settings environment errors";
    return "";
}

static bool takes_files(const struct command *c)
{
    return strstr(c->arguments, "MODEL") || strstr(c->arguments, "DIR");
}

static void add_shell_cases(struct str *out)
{
    size_t n;
    const struct command *c = command_table(&n);
    own(own_str) struct str first = {0}, all = {0};
    char group[32] = "";
    next_words("", &first);
    option_words(0, &all);
    str_addf(out, "    '') words='%s %s' ;;\n", first.data, all.data);
    for (size_t i = 0; i < n; i++) {
        own(own_str) struct str options = {0}, second = {0};
        size_t len = strcspn(c[i].words, " ");
        if (c[i].words[len] && strncmp(group, c[i].words, len) != 0) {
            snprintf(group, sizeof(group), "%.*s", (int)len, c[i].words);
            next_words(group, &second);
            str_addf(out, "    ' %s') words='%s' ;;\n", group, second.data);
        }
        option_words(c[i].scopes, &options);
        str_addf(out, "    ' %s'*) words='%s%s%s'%s ;;\n", c[i].words, argument_words(&c[i]),
                 *argument_words(&c[i]) ? " " : "", options.data,
                 takes_files(&c[i]) ? " files=1" : "");
    }
}

/* Words that are options do not count as the command; what follows -- is the engine's business. */
static void bash(struct str *out)
{
    str_add(out, "# bash completion of dualgpuopt:  eval \"$(dualgpuopt completion bash)\"\n"
                 "_dualgpuopt() {\n"
                 "  local cur=${COMP_WORDS[COMP_CWORD]} words='' files='' typed='' i\n"
                 "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
                 "    case ${COMP_WORDS[i]} in\n"
                 "    --) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
                 "    -*) ;;\n"
                 "    *) typed=\"$typed ${COMP_WORDS[i]}\" ;;\n"
                 "    esac\n"
                 "  done\n"
                 "  case $typed in\n");
    add_shell_cases(out);
    str_add(out, "  esac\n"
                 "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                 "  if [[ -n $files && $cur != -* ]]; then\n"
                 "    COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                 "  fi\n"
                 "}\n"
                 "complete -o filenames -o bashdefault -F _dualgpuopt dualgpuopt\n");
}

static void zsh(struct str *out)
{
    str_add(out, "#compdef dualgpuopt\n"
                 "# zsh completion of dualgpuopt:  eval \"$(dualgpuopt completion zsh)\"\n"
                 "_dualgpuopt() {\n"
                 "  local list='' files='' typed='' i\n"
                 "  for ((i = 2; i < CURRENT; i++)); do\n"
                 "    case ${words[i]} in\n"
                 "    --) _files; return ;;\n"
                 "    -*) ;;\n"
                 "    *) typed=\"$typed ${words[i]}\" ;;\n"
                 "    esac\n"
                 "  done\n"
                 "  case $typed in\n");
    own(own_str) struct str cases = {0};
    add_shell_cases(&cases);
    for (const char *p = cases.data; p && *p;) { /* `words` is zsh's own name */
        const char *at = strstr(p, ") words='");
        if (!at) {
            str_add(out, p);
            break;
        }
        str_add_n(out, p, (size_t)(at - p));
        str_add(out, ") list='");
        p = at + strlen(") words='");
    }
    str_add(out, "  esac\n"
                 "  [[ -n $files && ${words[CURRENT]} != -* ]] && _files\n"
                 "  compadd -- ${=list}\n"
                 "}\n"
                 "compdef _dualgpuopt dualgpuopt\n");
}

static void fish_option(const char *condition, const char *names, bool value, const char *help,
                        struct str *out)
{
    str_addf(out, "complete -c dualgpuopt%s", condition);
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, " ");
        if (p[1] == '-')
            str_addf(out, " -l %.*s", (int)n - 2, p + 2);
        else
            str_addf(out, " -%c %.*s", n == 2 ? 's' : 'o', (int)n - 1, p + 1);
        p += n + (p[n] == ' ');
    }
    str_add(out, value ? " -r -d " : " -d ");
    str_add_shell(out, help);
    str_add(out, "\n");
}

static void fish_command(const struct command *c, struct str *out)
{
    char condition[96];
    size_t n, len = strcspn(c->words, " ");
    const struct option *o = option_table(&n);
    const char *second = c->words[len] ? c->words + len + 1 : NULL;
    snprintf(condition, sizeof(condition), " -n '__fish_seen_subcommand_from %s'",
             second ? second : c->words);
    if (second)
        str_addf(out, "complete -c dualgpuopt -f -n '__fish_seen_subcommand_from %.*s' -a %s -d ",
                 (int)len, c->words, second);
    else
        str_addf(out, "complete -c dualgpuopt -f -n __fish_use_subcommand -a %s -d ", c->words);
    str_add_shell(out, c->help);
    str_add(out, "\n");
    for (size_t i = 0; i < n; i++)
        if (o[i].scope & c->scopes)
            fish_option(condition, o[i].names, o[i].kind == OPTION_VALUE, o[i].help, out);
    const struct flag *f = flag_table(&n);
    for (size_t i = 0; i < n && (c->scopes & SCOPE_ENGINE); i++)
        if (f[i].id != FLAG_HARMLESS)
            fish_option(condition, f[i].names, f[i].value != VALUE_NONE, f[i].help, out);
}

static void fish(struct str *out)
{
    own(own_str) struct str first = {0};
    size_t n;
    const struct command *c = command_table(&n);
    const struct option *o;
    next_words("", &first);
    str_add(out, "# fish completion of dualgpuopt:  dualgpuopt completion fish | source\n");
    str_addf(out, "complete -c dualgpuopt -f -n __fish_use_subcommand -a '%s'\n", first.data);
    for (size_t i = 0; i < n; i++)
        fish_command(&c[i], out);
    o = option_table(&n);
    for (size_t i = 0; i < n; i++)
        if (o[i].scope & SCOPE_ALL)
            fish_option("", o[i].names, o[i].kind == OPTION_VALUE, o[i].help, out);
}

bool cmd_completion(struct cli *c, struct err *err)
{
    static const struct {
        const char *name;
        void (*write)(struct str *);
    } shells[] = {
        {"bash", bash},
        {"zsh",  zsh },
        {"fish", fish}
    };
    const char *shell = c->words.word[0];
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(shell, shells[i].name) == 0) {
            shells[i].write(&c->out);
            return true;
        }
    }
    err_set(err, ERR_9002, "there is no completion for \"%s\"", shell);
    return err_fix(err, "dualgpuopt completion bash", "bash, zsh or fish");
}
