/* redact: one pass over the text; at every place the first rule that matches replaces what it
 * matches. */
#include "doctor/redact.h"

#include <ctype.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { FIRST_PERSON = 1000, LAST_PERSON = 60000, TOKEN_LEAST = 8, UUID_LEAST = 8 };

struct span {
    const char *text;
    size_t len, at;
};

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static bool is_token(char c)
{
    return is_word(c) || c == '-' || c == '.' || c == '/' || c == '+' || c == '=' || c == '~';
}

static bool begins_word(const struct span *s)
{
    return s->at == 0 || !is_word(s->text[s->at - 1]);
}

static bool has(const struct span *s, const char *part, bool fold)
{
    size_t n = strlen(part);
    return n && s->len - s->at >= n &&
           (fold ? strncasecmp(s->text + s->at, part, n) : strncmp(s->text + s->at, part, n)) == 0;
}

static size_t run_of(const struct span *s, size_t from, bool (*belongs)(char))
{
    size_t n = 0;
    while (from + n < s->len && belongs(s->text[from + n]))
        n++;
    return n;
}

/* A whole word, in any case: its length, or 0. */
static size_t whole_word(const struct span *s, const char *word)
{
    size_t n = strlen(word);
    if (!has(s, word, true) || !begins_word(s))
        return 0;
    return s->at + n == s->len || !is_word(s->text[s->at + n]) ? n : 0;
}

static size_t known_name(const struct span *s, const struct redact_names *names, const char **mark)
{
    size_t n = names->host[0] ? whole_word(s, names->host) : 0;
    *mark = "[host]";
    for (size_t i = 0; !n && i < names->n_users; i++) {
        *mark = "[user]";
        n = whole_word(s, names->user[i]);
    }
    return n;
}

static bool in_path(char c)
{
    return c && c != '/' && c != '"' && c != '\'' && c != ':' && c != ',' && c != ';' &&
           !isspace((unsigned char)c);
}

static size_t home_folder(const struct span *s, const struct redact_names *names)
{
    static const char *const above[] = {"/home/", "/Users/"};
    size_t n = strlen(names->home);
    if (n > 1 && has(s, names->home, false) &&
        (s->at + n == s->len || !is_word(s->text[s->at + n])))
        return n;
    for (size_t i = 0; i < 2; i++)
        if (has(s, above[i], false) && run_of(s, s->at + strlen(above[i]), in_path))
            return strlen(above[i]) + run_of(s, s->at + strlen(above[i]), in_path);
    return 0;
}

static size_t known_token(const struct span *s)
{
    static const char *const starts[] = {"hf_",         "sk-",     "ghp_",   "gho_",
                                         "github_pat_", "glpat-",  "xoxb-",  "xoxp-",
                                         "Bearer ",     "bearer ", "Basic ", "basic "};
    for (size_t i = 0; begins_word(s) && i < sizeof(starts) / sizeof(starts[0]); i++) {
        size_t n = strlen(starts[i]);
        size_t more = has(s, starts[i], false) ? run_of(s, s->at + n, is_token) : 0;
        if (more >= TOKEN_LEAST)
            return n + more;
    }
    return 0;
}

static bool in_secret(char c)
{
    return c && c != '"' && c != '\'' && c != ',' && c != ';' && c != '&' &&
           !isspace((unsigned char)c);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool in_line(char c)
{
    return c && c != '\n';
}

/* In quotes all that is in them; else a word, and the next one too where it only says how it is
 * written. */
static size_t secret_length(const struct span *s, size_t at)
{
    char quote = at > 0 ? s->text[at - 1] : 0;
    if (quote == '"' || quote == '\'') {
        const char *end = memchr(s->text + at, quote, run_of(s, at, in_line));
        return end ? (size_t)(end - (s->text + at)) : run_of(s, at, in_line);
    }
    size_t n = run_of(s, at, in_secret);
    bool scheme = (n == 6 && strncasecmp(s->text + at, "bearer", n) == 0) ||
                  (n == 5 && strncasecmp(s->text + at, "basic", n) == 0);
    size_t blanks = scheme ? run_of(s, at + n, is_blank) : 0;
    return blanks ? n + blanks + run_of(s, at + n + blanks, in_secret) : n;
}

static bool between(char c)
{
    return c == '"' || c == '\'' || is_blank(c);
}

/* Behind a word like "token": the length up to its value, and of the value, which is what goes. */
static size_t named_secret(const struct span *s, size_t *value)
{
    static const char *const keys[] = {"token",   "password", "passwd",       "secret",
                                       "api_key", "apikey",   "api-key",      "access_key",
                                       "_key",    "serial",   "authorization"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (!has(s, keys[i], true))
            continue;
        size_t at = s->at + strlen(keys[i]);
        at += run_of(s, at, is_word); /* serial_number, tokens */
        at += run_of(s, at, between);
        if (at >= s->len || (s->text[at] != ':' && s->text[at] != '='))
            continue;
        at++;
        at += run_of(s, at, is_blank);
        at += at < s->len && (s->text[at] == '"' || s->text[at] == '\'');
        *value = secret_length(s, at);
        if (*value)
            return at - s->at;
    }
    return 0;
}

static bool in_uuid(char c)
{
    return isxdigit((unsigned char)c) || c == '-';
}

/* The same card is known again within one report, and nowhere else. */
static size_t card_uuid(const struct span *s, char mark[24])
{
    bool gpu = has(s, "GPU-", false), mig = has(s, "MIG-", false);
    size_t more = (gpu || mig) && begins_word(s) ? run_of(s, s->at + 4, in_uuid) : 0;
    if (more < UUID_LEAST)
        return 0;
    snprintf(mark, 24, "%s-[%04x]", gpu ? "GPU" : "MIG",
             (unsigned)(str_hash(s->text + s->at, 4 + more) & 0xffff));
    return 4 + more;
}

void redact_add(struct str *out, const char *text, size_t len, const struct redact_names *names)
{
    struct span s = {.text = text, .len = len};
    while (s.at < len) {
        char uuid[24];
        const char *mark = "[removed]";
        size_t value = 0, n = named_secret(&s, &value);
        if (n) {
            str_add_n(out, text + s.at, n);
            str_add(out, mark);
            s.at += n + value;
            continue;
        }
        if ((n = known_token(&s)))
            ;
        else if ((n = card_uuid(&s, uuid)))
            mark = uuid;
        else if ((n = home_folder(&s, names)))
            mark = "~";
        else
            n = known_name(&s, names, &mark);
        if (n)
            str_add(out, mark);
        else
            str_add_n(out, text + s.at, 1);
        s.at += n ? n : 1;
    }
}

static void add_user(struct redact_names *names, const char *name)
{
    if (!name || !*name || strcmp(name, "root") == 0 || strlen(name) >= REDACT_NAME_MAX)
        return;
    for (size_t i = 0; i < names->n_users; i++)
        if (strcmp(names->user[i], name) == 0)
            return;
    if (names->n_users < REDACT_NAMES_MOST)
        snprintf(names->user[names->n_users++], REDACT_NAME_MAX, "%s", name);
}

void redact_read_names(struct redact_names *out)
{
    static const char *const variables[] = {"USER", "LOGNAME", "SUDO_USER", "USERNAME"};
    const char *home = getenv("HOME");
    *out = (struct redact_names){0};
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        add_user(out, getenv(variables[i]));
    setpwent();
    for (const struct passwd *p = getpwent(); p; p = getpwent())
        if ((p->pw_uid >= FIRST_PERSON && p->pw_uid <= LAST_PERSON) || p->pw_uid == getuid())
            add_user(out, p->pw_name);
    endpwent();
    if (gethostname(out->host, sizeof(out->host) - 1) != 0)
        out->host[0] = 0;
    out->host[strcspn(out->host, ".")] = 0;
    snprintf(out->home, sizeof(out->home), "%.255s", home ? home : "");
}
