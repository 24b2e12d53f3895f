/* hf: takes references apart, lists a repository's files, picks the one that is meant. */
#include "fetch/hf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <json-c/json.h>

#include "base/own.h"

/* The files of a repository that are models; names live in the arena. */
struct listing {
    const char **files;
    size_t n, capacity;
};

bool hf_is_ref(const char *ref)
{
    return strncasecmp(ref, "hf:", 3) == 0;
}

static bool take_part(const char *from, size_t len, const char *also, char *out, size_t cap)
{
    if (len == 0 || len >= cap)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)from[i]) && !strchr(also, from[i]))
            return false;
    }
    memcpy(out, from, len);
    out[len] = '\0';
    return true;
}

static bool take_name(const char *from, size_t len, char *out, size_t cap)
{
    return take_part(from, len, "._-", out, cap) && out[0] != '.' && !strstr(out, "..");
}

/* A path inside a repository: no way up, nothing a terminal would act on. */
static bool file_is_sound(const char *path, size_t len)
{
    if (!path || len == 0 || len >= sizeof(((struct hf_ref *)0)->file) || path[0] == '/' ||
        memmem(path, len, "..", 2) || memmem(path, len, "//", 2))
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f || path[i] == '\\')
            return false;
    }
    return len > 5 && strncasecmp(path + len - 5, ".gguf", 5) == 0;
}

static bool refuse_ref(const char *ref, struct err *err)
{
    err_set(err, ERR_9002, "not a model on the hub: '%s'", ref);
    err_why(err, "it must read hf:OWNER/REPO, hf:OWNER/REPO:QUANT or hf:OWNER/REPO/FILE.gguf");
    return err_fix(err, "dualgpuopt plan hf:ggml-org/gemma-3-4b-it-GGUF:Q4_K_M", "for example");
}

bool hf_parse(const char *ref, struct hf_ref *out, struct err *err)
{
    struct hf_ref r = {0};
    const char *owner = ref + 3, *repo, *rest;

    if (!hf_is_ref(ref))
        return refuse_ref(ref, err);
    repo = strchr(owner, '/');
    if (!repo || !take_name(owner, (size_t)(repo - owner), r.owner, sizeof(r.owner)))
        return refuse_ref(ref, err);
    repo++;
    rest = repo + strcspn(repo, "/:");
    if (!take_name(repo, (size_t)(rest - repo), r.repo, sizeof(r.repo)))
        return refuse_ref(ref, err);
    if (*rest == ':' && !take_part(rest + 1, strlen(rest + 1), "._-", r.quant, sizeof(r.quant)))
        return refuse_ref(ref, err);
    if (*rest == '/') {
        if (!file_is_sound(rest + 1, strlen(rest + 1)))
            return refuse_ref(ref, err);
        strcpy(r.file, rest + 1);
    }
    *out = r;
    return true;
}

static bool is_model(const char *path)
{
    static const char *const others[] = {"mmproj",  "imatrix", "mtp-",
                                         "eagle3-", "dflash-", "dspark-"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strstr(name, others[i]))
            return false;
    }
    return true;
}

/* "...-00002-of-00003.gguf": a part that is not the first. */
static bool is_later_part(const char *path)
{
    unsigned part, parts;
    size_t len = strlen(path);
    int end = 0;

    return len > 20 && sscanf(path + len - 20, "-%5u-of-%5u.gguf%n", &part, &parts, &end) == 2 &&
           end == 20 && parts > 1 && part != 1;
}

static bool has_quant(const char *path, const char *quant)
{
    size_t len = strlen(quant);

    for (const char *p = path; (p = strcasestr(p, quant)); p++) {
        if (p[len] == '.' || p[len] == '-')
            return true;
    }
    return false;
}

const char *hf_choose(const struct hf_ref *ref, const char *const *files, size_t n)
{
    static const char *const usual[] = {"Q4_K_M", "Q8_0", ""};
    const char *asked[] = {ref->quant};
    const char *const *quants = ref->quant[0] ? asked : usual;
    size_t n_quants = ref->quant[0] ? 1 : sizeof(usual) / sizeof(usual[0]);

    if (ref->file[0])
        return ref->file;
    for (size_t q = 0; q < n_quants; q++) {
        for (size_t i = 0; i < n; i++) {
            if (is_model(files[i]) && !is_later_part(files[i]) &&
                (!quants[q][0] || has_quant(files[i], quants[q])))
                return files[i];
        }
    }
    return NULL;
}

static bool add_file(struct listing *l, struct arena *arena, const char *path, size_t len,
                     struct err *err)
{
    if (!file_is_sound(path, len) || l->n >= HF_MAX_FILES)
        return true;
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 64;
        const char **larger = arena_array(arena, const char *, capacity);
        if (!larger)
            return err_set(err, ERR_1201, "no memory for a list of files");
        if (l->n)
            memcpy(larger, l->files, l->n * sizeof(*larger));
        l->files = larger;
        l->capacity = capacity;
    }
    l->files[l->n] = arena_strndup(arena, path, len);
    if (!l->files[l->n])
        return err_set(err, ERR_1201, "no memory for a list of files");
    l->n++;
    return true;
}

static void put_json(struct json_object **o)
{
    json_object_put(*o);
}

static struct json_object *parse_json(const struct str *text)
{
    struct json_tokener *tok = json_tokener_new_ex(64);
    struct json_object *root;

    if (!tok)
        return NULL;
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
    root = json_tokener_parse_ex(tok, text->data ? text->data : "", (int)text->len + 1);
    json_tokener_free(tok);
    return root;
}

/* Both shapes the hub has: [{"type":"file","path":P}, ...] and {"siblings":[{"rfilename":P}, ...]}.
 */
static bool read_listing(const struct str *text, struct listing *l, struct arena *arena,
                         struct err *err)
{
    own(put_json) struct json_object *root = parse_json(text);
    struct json_object *list = root, *path;

    if (json_object_is_type(root, json_type_object) &&
        !json_object_object_get_ex(root, "siblings", &list))
        list = NULL;
    if (!json_object_is_type(list, json_type_array))
        return err_set(err, ERR_2005, "the hub's list of files cannot be understood");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        if (!json_object_is_type(entry, json_type_object) ||
            !(json_object_object_get_ex(entry, "rfilename", &path) ||
              json_object_object_get_ex(entry, "path", &path)) ||
            !json_object_is_type(path, json_type_string))
            continue;
        if (!add_file(l, arena, json_object_get_string(path),
                      (size_t)json_object_get_string_len(path), err))
            return false;
    }
    return true;
}

static bool ask_hub(const struct hf_ref *ref, const char *endpoint, const char *tail,
                    const struct fetch_options *options, struct arena *arena, struct listing *l,
                    struct err *err)
{
    own(own_str) struct str url = {0};
    own(own_str) struct str text = {0};

    str_addf(&url, "%s/api/models/%s/%s%s", endpoint, ref->owner, ref->repo, tail);
    if (url.failed)
        return err_set(err, ERR_1201, "no memory for a URL");
    *l = (struct listing){0};
    if (fetch_text(url.data, options, HF_MAX_LISTING, &text, err) &&
        read_listing(&text, l, arena, err))
        return true;
    return err_prefix(err, "hf:%s/%s", ref->owner, ref->repo);
}

static bool refuse_choice(const struct hf_ref *ref, const struct listing *l, struct err *err)
{
    own(own_str) struct str names = {0};
    size_t shown = 0, models = 0;

    for (size_t i = 0; i < l->n; i++) {
        if (!is_model(l->files[i]) || is_later_part(l->files[i]))
            continue;
        models++;
        if (names.len + strlen(l->files[i]) < ERR_TEXT_MAX - 40) {
            str_addf(&names, "%s%s", shown ? ", " : "", l->files[i]);
            shown++;
        }
    }
    if (ref->quant[0])
        err_set(err, ERR_2001, "hf:%s/%s has no GGUF model of the quantisation %s", ref->owner,
                ref->repo, ref->quant);
    else
        err_set(err, ERR_2001, "hf:%s/%s has no GGUF model", ref->owner, ref->repo);
    if (models == 0)
        return err_fix(err, NULL, "look for a repository of GGUF files, often named %s-GGUF",
                       ref->repo);
    if (models > shown)
        str_addf(&names, " and %zu more", models - shown);
    err_why(err, "it has %s", names.data ? names.data : "others");
    return err_fix(err, NULL, "name one of them: hf:%s/%s/FILE.gguf", ref->owner, ref->repo);
}

static const char *file_url(const struct hf_ref *ref, const char *endpoint, const char *file,
                            struct arena *arena)
{
    own(own_str) struct str url = {0};

    str_addf(&url, "%s/%s/%s/resolve/main/", endpoint, ref->owner, ref->repo);
    for (const char *p = file; *p; p++) {
        if (isalnum((unsigned char)*p) || strchr("-._~/", *p))
            str_add_char(&url, *p, 1);
        else
            str_addf(&url, "%%%02X", (unsigned char)*p);
    }
    return url.failed ? NULL : arena_strdup(arena, url.data);
}

static const char *find_file(const struct hf_ref *ref, const char *endpoint,
                             const struct fetch_options *options, struct arena *arena,
                             struct err *err)
{
    static const char *const tails[] = {"/tree/main?recursive=true", ""};
    struct listing listing = {0};
    const char *file = NULL;
    struct err why = {0}; /* a list without the file says more than a list that is not there */

    if (ref->file[0])
        return ref->file;
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]) && !file; i++) {
        struct err now = {0};
        if (ask_hub(ref, endpoint, tails[i], options, arena, &listing, &now)) {
            file = hf_choose(ref, listing.files, listing.n);
            if (!file)
                refuse_choice(ref, &listing, &why);
            continue;
        }
        if (why.code == ERR_NONE)
            why = now;
        if (now.code != ERR_2001)
            break;
    }
    if (!file && err)
        *err = why;
    return file;
}

bool hf_resolve(const char *ref, const char *quant, const struct fetch_options *options,
                struct arena *arena, const char **out_url, struct err *err)
{
    char endpoint[FETCH_MAX_URL];
    struct hf_ref r;
    const char *file, *url;

    if (!hf_parse(ref, &r, err) || !hf_endpoint(endpoint, err))
        return false;
    if (quant && quant[0] && !r.quant[0] && !r.file[0] &&
        !take_part(quant, strlen(quant), "._-", r.quant, sizeof(r.quant)))
        return err_set(err, ERR_9002, "not the name of a quantisation: '%s'", quant);
    file = find_file(&r, endpoint, options, arena, err);
    if (!file)
        return false;
    url = file_url(&r, endpoint, file, arena);
    if (!url)
        return err_set(err, ERR_1201, "no memory for a URL");
    *out_url = url;
    return true;
}
