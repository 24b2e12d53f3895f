/* cmd_doctor: what doctor found, as lines, records or a document, and as a report to send. */
#include <stdio.h>
#include <string.h>

#include "api/doctor_json.h"
#include "base/own.h"
#include "cli/help.h"
#include "cli/install.h"
#include "doctor/bundle.h"

enum { CACHES_MOST = 16, INDENT = 25, WORD = 6 };

static const char *const words[] = {"ok", "WARN", "FAIL", "skip"};

static void write_line(struct str *out, const struct look *look, const struct check *k)
{
    static const char *const colors[] = {"32", "33", "1;31", "2"};
    own(own_str) struct str first = {0}, text = {0}, line = {0};
    size_t word = strlen(words[k->level]);
    str_addf(&first, "%-5s %-18s ", words[k->level], k->id);
    str_add(&text, k->text);
    if (k->need)
        str_addf(&text, " (%s: package %s)", k->need, k->package);
    text_wrap(&line, first.data ? first.data : "", INDENT, text.data ? text.data : "", look->width);
    if (look->color && line.len > word)
        str_addf(out, "\x1b[%sm%s\x1b[0m%s", colors[k->level], words[k->level], line.data + word);
    else
        str_add(out, line.data ? line.data : "");
    if (k->fix)
        text_wrap(out, "      fix                ", INDENT, k->fix, look->width);
    if (!k->command)
        return;
    bool wide = INDENT + str_columns(k->command) >
                (size_t)look->width; /* never broken: it is there to be copied */
    str_addf(out, "%*s%s\n", wide ? WORD : INDENT, "", k->command);
}

/* The length of "gpu.0." at the beginning of an id, or 0. */
static size_t gpu_part(const char *id)
{
    size_t digits = strncmp(id, "gpu.", 4) == 0 ? strspn(id + 4, "0123456789") : 0;
    return digits && id[4 + digits] == '.' ? 4 + digits + 1 : 0;
}

/* What is well with a GPU takes one line; returns how many checks that were about it. */
static size_t write_gpu(struct str *out, const struct look *look, const struct check *checks,
                        size_t n)
{
    own(own_str) struct str well = {0}, id = {0};
    size_t part = gpu_part(checks[0].id), count = 0;
    const struct check *state = &checks[0];
    for (; count < n && strncmp(checks[count].id, state->id, part) == 0; count++)
        if (checks[count].level == CHECK_OK && count > 0)
            str_addf(&well, ", %s", checks[count].id + part);
    str_add_n(&id, state->id, part - 1);
    if (state->level == CHECK_OK && !look->quiet) {
        own(own_str) struct str text = {0};
        str_addf(&text, "%s: state%s", state->text, well.data ? well.data : "");
        write_line(out, look, &(struct check){.id = id.data, .level = CHECK_OK, .text = text.data});
    }
    for (size_t i = 0; i < count; i++)
        if (checks[i].level == CHECK_WARN || checks[i].level == CHECK_FAIL)
            write_line(out, look, &checks[i]);
    return count;
}

static void write_sum(struct str *out, const struct look *look, const size_t *count, bool hint)
{
    char sum[96];
    snprintf(sum, sizeof(sum), "%zu ok, %zu warning%s, %zu failure%s", count[CHECK_OK],
             count[CHECK_WARN], count[CHECK_WARN] == 1 ? "" : "s", count[CHECK_FAIL],
             count[CHECK_FAIL] == 1 ? "" : "s");
    str_add(out, sum);
    if (hint && (count[CHECK_WARN] || count[CHECK_FAIL]))
        str_addf(out, "\n%*s%s", WORD, "",
                 "to ask others: dualgpuopt doctor --bundle report.tar.gz (no names in it)");
    str_add(out, "\n");
}

static void write_lines(struct str *out, const struct look *look, const struct doctor_report *r,
                        const size_t *count, bool hint)
{
    if (r->simulated && !look->quiet)
        str_add(out, "SIMULATED: the GPUs are the simulator's\n");
    for (size_t i = 0; i < r->n;) {
        const struct check *k = &r->check[i];
        if (gpu_part(k->id)) {
            i += write_gpu(out, look, k, r->n - i);
            continue;
        }
        if (!look->quiet || k->level == CHECK_WARN || k->level == CHECK_FAIL)
            write_line(out, look, k);
        i++;
    }
    if (!look->quiet)
        write_sum(out, look, count, hint);
}

static void write_plain(struct cli *c, const struct doctor_report *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct check *k = &r->check[i];
        str_addf(&c->out, "%s\t%s\t%s\t%s\t%s\n", check_level_name(k->level), k->id, k->text,
                 k->fix ? k->fix : "", k->command ? k->command : "");
    }
}

static void write_document(struct json *j, const struct doctor_report *r)
{
    struct cache_stats caches[CACHES_MOST];
    size_t n = cache_list(caches, CACHES_MOST);
    doctor_json(j, r->check, r->n, caches, n < CACHES_MOST ? n : CACHES_MOST);
    json_key_bool(j, "simulated", r->simulated);
}

/* Written before anything is said, so that what is said of it is true. */
static bool write_bundle(struct cli *c, const struct doctor_options *o,
                         const struct doctor_report *r, const size_t *count,
                         struct bundle_file *files, struct err *err)
{
    own(own_str) struct str shown = {0}, document = {0}, archive = {0};
    struct look look = {.width = c->look.width, .ascii = true};
    struct json j;
    write_lines(&shown, &look, r, count, false);
    json_init(&j, &document, true, NULL);
    json_open_object(&j);
    json_key_str(&j, "schema", "dualgpuopt/v1");
    json_key_str(&j, "kind", "doctor");
    write_document(&j, r);
    doctor_json_bundle(&j, NULL, NULL, 0);
    json_close_object(&j);
    json_end(&j);
    return bundle_make(r, o, &shown, &document, &archive, files, err) &&
           cli_write_file(c->words.value[OPTION_BUNDLE], &archive, 0600, err);
}

static void list_bundle(struct cli *c, const struct bundle_file *files)
{
    if (c->look.quiet)
        return;
    str_addf(&c->out, "written: %s, without names of people and machine, tokens, serial numbers\n",
             c->words.value[OPTION_BUNDLE]);
    for (size_t i = 0; i < BUNDLE_FILES; i++)
        str_addf(&c->out, "  %-36s %7zu bytes\n", files[i].name, files[i].bytes);
}

static bool read_options(struct cli *c, struct doctor_options *out, struct err *err)
{
    double limit = 0, keep = 2048.0 * (1 << 20);
    bool set = false;
    *out = (struct doctor_options){
        .sysfs_root = c->words.value[OPTION_SYSFS_ROOT],
        .proc_root = c->words.value[OPTION_PROC_ROOT],
        .libraries_only = given(c, OPTION_CHECK_DEPS) || given(c, OPTION_INSTALL_DEPS),
    };
    if (!variable_read(VARIABLE_ID_GPU_COUNT, &set, &limit, err))
        return false;
    out->gpu_limit = set ? (uint32_t)limit : 0;
    if (!variable_read(VARIABLE_ID_SYSTEM_OVERHEAD, &set, &keep, err))
        return false;
    out->keep_host_bytes = (uint64_t)keep;
    return true;
}

bool cmd_doctor(struct cli *c, struct err *err)
{
    struct doctor_options o;
    struct doctor_report r;
    struct bundle_file files[BUNDLE_FILES];
    size_t count[4] = {0};
    struct json j;
    bool bundle = given(c, OPTION_BUNDLE);
    if (!cli_planner(err) || !read_options(c, &o, err) || !doctor_run(&o, &c->arena, &r, err))
        return false;
    if (given(c, OPTION_INSTALL_DEPS))
        return install_missing(c, r.check, r.n, err);
    for (size_t i = 0; i < r.n; i++)
        count[r.check[i].level]++;
    c->exit_code = count[CHECK_FAIL] ? 7 : 0;
    if (bundle && !write_bundle(c, &o, &r, count, files, err))
        return false;
    if (c->look.json) {
        cli_json_start(c, &j, "doctor");
        write_document(&j, &r);
        doctor_json_bundle(&j, c->words.value[OPTION_BUNDLE], files, BUNDLE_FILES);
        return cli_json_finish(c, &j, err);
    }
    if (c->look.plain)
        write_plain(c, &r);
    else
        write_lines(&c->out, &c->look, &r, count, !bundle);
    if (bundle && !c->look.plain)
        list_bundle(c, files);
    return true;
}

void help_checks(struct str *out)
{
    size_t n;
    const struct doctor_row *rows = doctor_table(&n);
    for (size_t i = 0; i < n; i++) {
        char first[64];
        snprintf(first, sizeof(first), "%-18s ", rows[i].id);
        text_wrap(out, first, 19, rows[i].help, 80);
    }
    str_add(out,
            "\nN is the number of a GPU. A check that gives no answer within 3 s is reported as\n"
            "hung, and the next one is made. Exit code 7: a check failed.\n");
}
