/* profile: finds a built-in model in the embedded text and makes a header of it. */
#include "model/profile.h"

#include "base/str.h"
#include "model/draft.h"
#include "model/quantize.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_LINE = 1024, MAX_NAME = 64, MAX_DEPTH = 4 };

/* Copies the line at *at without its end and moves on; false at the end of the text. */
static bool next_line(const char **at, char line[MAX_LINE])
{
    size_t len;

    if (!**at)
        return false;
    len = strcspn(*at, "\n");
    size_t kept = len < MAX_LINE - 1 ? len : MAX_LINE - 1;
    memcpy(line, *at, kept);
    line[kept] = '\0';
    *at += len + ((*at)[len] == '\n');
    return true;
}

/* "[name] title" -> both; false for other lines. */
static bool section_line(char *line, const char **name, const char **title)
{
    char *end = line[0] == '[' ? strchr(line, ']') : NULL;

    if (!end)
        return false;
    *end = '\0';
    *name = line + 1;
    *title = end + 1 + strspn(end + 1, " ");
    return true;
}

static bool find_section(const char *text, const char *wanted, const char **body,
                         char title[MAX_LINE])
{
    char line[MAX_LINE];
    const char *name, *its_title;

    while (next_line(&text, line)) {
        if (section_line(line, &name, &its_title) && !strcasecmp(name, wanted)) {
            memcpy(title, its_title, strlen(its_title) + 1);
            *body = text;
            return true;
        }
    }
    return false;
}

/* "name = value" of the section at body; inherited ones are not seen. */
static bool section_value(const char *body, const char *name, char *out, size_t cap)
{
    char line[MAX_LINE];
    size_t len = strlen(name);

    while (next_line(&body, line) && line[0] != '[') {
        if (!strncmp(line, name, len) && !strncmp(line + len, " = ", 3)) {
            strncpy(out, line + len + 3, cap - 1);
            out[cap - 1] = '\0';
            return true;
        }
    }
    return false;
}

/* "[0*5 8 ...]" -> one number per layer. */
static void read_array(struct draft *d, const char *name, const char *value)
{
    int32_t values[MODEL_MAX_LAYERS];
    uint32_t n = 0;

    for (char *p = (char *)value + 1; *p && *p != ']';) {
        long number = strtol(p, &p, 10), times = *p == '*' ? strtol(p + 1, &p, 10) : 1;
        while (times-- > 0 && n < MODEL_MAX_LAYERS)
            values[n++] = (int32_t)number;
        p += strspn(p, " ");
        if (*p != ']' && (*p < '0' || *p > '9'))
            break;
    }
    draft_array(d, name, values, n);
}

static void read_key(struct draft *d, const char *name, const char *value)
{
    bool number = strspn(value, "0123456789.e+-") == strlen(value);

    if (value[0] == '[')
        read_array(d, name, value);
    else if (!strcmp(value, "true") || !strcmp(value, "false"))
        draft_bool(d, name, value[0] == 't');
    else if (number && strpbrk(value, ".e"))
        draft_f64(d, name, strtod(value, NULL));
    else if (number)
        draft_u32(d, name, strtoull(value, NULL, 10));
    else
        draft_string(d, name, arena_strdup(d->arena, value));
}

static uint32_t block_count(const struct draft *d)
{
    for (uint32_t i = 0; i < d->n_keys; i++) {
        if (str_ends(d->keys[i].name, ".block_count"))
            return (uint32_t)d->keys[i].value.u;
    }
    return 0;
}

/* Blocks that "*" stands for; a count beyond the engine's limit is refused by the model's own
 * reader. */
static uint32_t star_count(const struct draft *d)
{
    uint32_t n = block_count(d);
    return n < MODEL_MAX_LAYERS ? n : MODEL_MAX_LAYERS;
}

/* "4096 64 f32" */
static void read_dims(char *text, uint64_t ne[4], uint8_t *type)
{
    int n = 0;
    uint32_t named;
    char *save = NULL;

    memset(ne, 0, sizeof *ne * 4);
    *type = 0;
    for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        if (gguf_type_by_name(word, &named)) {
            *type = (uint8_t)named;
            return;
        }
        if (n < 4)
            ne[n++] = strtoull(word, NULL, 10);
    }
    *type = n > 1 ? GGUF_TYPE_F16 : GGUF_TYPE_F32;
}

/* "blk.0-2,5.ffn_up.weight", "blk.*.x", "output.weight" */
static void read_tensor(struct draft *d, char *name, char *dims)
{
    uint64_t ne[4];
    uint8_t type;
    char *rest = strncmp(name, "blk.", 4) == 0 ? strchr(name + 4, '.') : NULL;

    read_dims(dims, ne, &type);
    if (!rest) {
        draft_tensor(d, -1, name, ne, type);
        return;
    }
    if (name[4] == '*') {
        for (uint32_t il = 0, n = star_count(d); il < n; il++)
            draft_tensor(d, (int)il, rest + 1, ne, type);
        return;
    }
    for (char *p = name + 4; p < rest;) {
        long first = strtol(p, &p, 10), last = *p == '-' ? strtol(p + 1, &p, 10) : first;
        for (long il = first; il <= last && il < MODEL_MAX_LAYERS; il++)
            draft_tensor(d, (int)il, rest + 1, ne, type);
        p += *p == ',';
    }
}

static void read_body(const char *text, const char *body, struct draft *d, int depth)
{
    static const char *const notes[] = {"parameters", "default", "architecture"};
    char line[MAX_LINE], title[MAX_LINE], base[MAX_NAME];
    const char *base_body;

    if (section_value(body, "like", base, sizeof base)) {
        if (depth == MAX_DEPTH || !find_section(text, base, &base_body, title)) {
            d->failed = true;
            return;
        }
        read_body(text, base_body, d, depth + 1);
        d->replace = true;
    }
    if (section_value(body, "architecture", line, sizeof line))
        d->architecture = arena_strdup(d->arena, line);
    while (next_line(&body, line) && line[0] != '[') {
        char *equals = strstr(line, " = "), *colon = strstr(line, ": ");
        bool note = !strncmp(line, "like = ", 7);
        if (equals)
            *equals = '\0';
        for (size_t i = 0; equals && i < sizeof notes / sizeof *notes; i++)
            note |= !strcmp(line, notes[i]);
        if (line[0] == '-')
            draft_remove(d, line + 2);
        else if (equals && !note)
            read_key(d, line, equals + 3);
        else if (!equals && colon) {
            *colon = '\0';
            read_tensor(d, line, colon + 2);
        }
    }
}

bool profile_read(const char *text, const char *name, struct arena *arena, struct gguf *out,
                  struct err *err)
{
    struct draft *d = arena_new(arena, struct draft);
    char title[MAX_LINE];
    const char *body;

    if (!find_section(text, name, &body, title))
        return err_set(err, ERR_2001, "there is no built-in model %s", name);
    if (!d)
        return err_set(err, ERR_1201, "no memory for the profile %s", name);
    draft_init(d, arena, NULL);
    read_body(text, body, d, 0);
    char *kept = arena_strdup(arena, title);
    if (!d->architecture || !kept)
        return err_set(err, ERR_2003, "the profile %s has no architecture", name);
    return draft_finish(d, kept, out, err);
}

static bool is_word_part(const char *ref, char name[MAX_NAME], const char **quant)
{
    size_t len = strcspn(ref, ":");

    if (len == 0 || len >= MAX_NAME)
        return false;
    memcpy(name, ref, len);
    name[len] = '\0';
    *quant = ref[len] ? ref + len + 1 : NULL;
    return true;
}

bool profile_known(const char *ref)
{
    char name[MAX_NAME], title[MAX_LINE];
    const char *quant, *body;

    return is_word_part(ref, name, &quant) && find_section(profile_text, name, &body, title);
}

bool model_profiles(struct arena *arena, struct model_profile **out, size_t *n, struct err *err)
{
    enum { MAX_PROFILES = 512 };
    struct model_profile *list = arena_array(arena, struct model_profile, MAX_PROFILES);
    const char *text = profile_text, *name, *title;
    char line[MAX_LINE], value[MAX_NAME];
    size_t count = 0;

    while (list && count < MAX_PROFILES && next_line(&text, line)) {
        struct model_profile *p = &list[count];
        if (!section_line(line, &name, &title))
            continue;
        p->name = arena_strdup(arena, name);
        p->title = arena_strdup(arena, title);
        p->quantization = "Q4_K_M";
        if (section_value(text, "parameters", value, sizeof value))
            p->parameters = strtoull(value, NULL, 10);
        if (section_value(text, "default", value, sizeof value) && quantize_find(value))
            p->quantization = quantize_find(value);
        if (!p->name || !p->title)
            return err_set(err, ERR_1201, "no memory for the list of profiles");
        count++;
    }
    if (!list)
        return err_set(err, ERR_1201, "no memory for the list of profiles");
    *out = list;
    *n = count;
    return true;
}

/* Up to four models whose names begin with the word, or else hold it; the only one is returned
 * instead. */
static const char *offer_family(const char *name, const char *const *names, size_t n,
                                struct err *err)
{
    enum { MOST = 4 };
    char list[ERR_TEXT_MAX] = "";
    const char *last = NULL;
    size_t found = 0;
    for (int pass = 0; pass < 2 && !found && strlen(name) >= 3; pass++) {
        for (size_t i = 0; i < n; i++) {
            const char *at = strcasestr(names[i], name);
            if (!at || (pass == 0 && at != names[i]))
                continue;
            last = names[i];
            if (found++ < MOST && strlen(list) + strlen(last) + 3 < sizeof list)
                snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s",
                         found > 1 ? ", " : "", last);
        }
    }
    if (found > 1)
        err_fix(err, NULL, "did you mean one of %s%s?", list, found > MOST ? " ..." : "");
    return found == 1 ? last : NULL;
}

static bool refuse_unknown(const char *name, struct arena *arena, struct err *err)
{
    struct arena_mark mark = arena_mark(arena);
    struct model_profile *list;
    size_t n;

    err_set(err, ERR_2001, "there is no file and no built-in model named %s", name);
    if (!model_profiles(arena, &list, &n, NULL))
        return false;
    const char **names = arena_array(arena, const char *, n);
    for (size_t i = 0; names && i < n; i++)
        names[i] = list[i].name;
    const char *nearest = names ? offer_family(name, names, n, err) : NULL;
    if (!nearest && names && err->n_fix == 0)
        nearest = str_nearest(name, names, n);
    if (nearest) {
        char command[ERR_TEXT_MAX] = "dualgpuopt plan ";
        strncat(command, nearest, sizeof command - strlen(command) - 1);
        err_fix(err, command, "the nearest built-in model is %s", nearest);
    }
    err_fix(err, "dualgpuopt model ls", "list what is known");
    arena_rewind(arena, mark);
    return false;
}

/* Publishers' own mixes (Q4_K_XL, UD-Q4_K_L) follow no rule a profile could: the nearest that does.
 */
static void offer_base(const char *name, const char *wanted, struct err *err)
{
    static const char *const bases[][2] = {
        {"Q2_K", "Q2_K"  },
        {"Q3_K", "Q3_K_M"},
        {"Q4_K", "Q4_K_M"},
        {"Q5_K", "Q5_K_M"},
        {"Q6_K", "Q6_K"  },
        {"Q8",   "Q8_0"  }
    };
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        char command[ERR_TEXT_MAX];
        if (!strcasestr(wanted, bases[i][0]))
            continue;
        snprintf(command, sizeof command, "dualgpuopt plan %s:%s", name, bases[i][1]);
        err_fix(err, command, "the nearest is %s; for another mix plan the file itself",
                bases[i][1]);
        return;
    }
}

static bool choose_quant(const char *name, const char *in_ref, const char *asked, const char **out,
                         struct err *err)
{
    char title[MAX_LINE], value[MAX_NAME] = "Q4_K_M", base[MAX_NAME];
    const char *body, *wanted = in_ref ? in_ref : asked;

    if (in_ref && asked && !str_eq_fold(in_ref, asked))
        return err_set(err, ERR_2113, "%s:%s and --quant %s contradict each other", name, in_ref,
                       asked);
    if (!wanted && find_section(profile_text, name, &body, title)) {
        if (!section_value(body, "default", value, sizeof value) &&
            section_value(body, "like", base, sizeof base) &&
            find_section(profile_text, base, &body, title))
            section_value(body, "default", value, sizeof value);
        wanted = value;
    }
    *out = quantize_find(wanted);
    if (*out)
        return true;
    err_set(err, ERR_9002, "%s is no quantisation of %s", wanted, name);
    offer_base(name, wanted, err);
    return err_fix(err, NULL, "one of Q4_K_M, Q5_K_M, Q6_K, Q8_0, IQ4_XS, Q3_K_M, F16 ...");
}

bool profile_open(const char *ref, const char *quant, struct arena *arena, struct model *out,
                  struct err *err)
{
    char name[MAX_NAME], title[MAX_LINE];
    const char *in_ref, *mix, *body;
    struct gguf g;
    struct model m;

    if (!is_word_part(ref, name, &in_ref) || !find_section(profile_text, name, &body, title))
        return refuse_unknown(ref, arena, err);
    if (!choose_quant(name, in_ref, quant, &mix, err))
        return false;
    if (!profile_read(profile_text, name, arena, &g, err) ||
        !model_from_gguf(&g, ref, arena, &m, err) || !quantize_model(&m, mix, arena, err))
        return false;
    m.from_file = false;
    *out = m;
    return true;
}
