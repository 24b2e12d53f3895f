/* cli: the commands that people type; every run takes words and gives text, an exit code or an
 * error. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "engine/request.h"

enum scope {
    SCOPE_ALL = 1 << 0,
    SCOPE_PLAN = 1 << 1,
    SCOPE_ENGINE = 1 << 2, /* settings of engine/flags.def */
    SCOPE_MODEL = 1 << 3,
    SCOPE_SHOW = 1 << 4,
    SCOPE_HELP = 1 << 5,
    SCOPE_DOCTOR = 1 << 6,
    SCOPE_BESIDE = 1 << 7, /* plan alone: the engine, other models, lengths of prompts */
    SCOPE_SUGGEST = 1 << 8,
    SCOPE_VLLM = 1 << 9, /* settings of vLLM */
    SCOPE_GPUS = 1 << 10, /* commands that read the GPUs */
    SCOPE_STATUS = 1 << 11,
    SCOPE_RECORD = 1 << 12,
    SCOPE_REPLAY = 1 << 13,
    SCOPE_TOP = 1 << 14,
    SCOPE_PICK = 1 << 15,
    SCOPE_LIMITS = 1 << 16,
    SCOPE_FREE = 1 << 17,
    SCOPE_SIM = 1 << 20, /* starting a simulated driver */
};

enum option_kind { OPTION_SWITCH, OPTION_VALUE, OPTION_MAYBE };

enum option_id {
#define OPTION(id, scope, kind, names, value, help) OPTION_##id,
#include "cli/options.def"
    OPTION_COUNT
};

struct option {
    enum option_id id;
    unsigned scope;
    enum option_kind kind;
    const char *names; /* blank separated */
    const char *value; /* "" for switches */
    const char *help;
};
const struct option *option_table(size_t *n);

enum variable_kind { VARIABLE_COUNT, VARIABLE_SIZE, VARIABLE_SHARE, VARIABLE_FLAG, VARIABLE_TEXT };

enum variable_id {
#define VARIABLE(id, name, kind, least, most, normal, unit, help) VARIABLE_ID_##id,
#include "cli/variables.def"
    VARIABLE_ID_COUNT
};

struct variable {
    const char *name;
    enum variable_kind kind;
    double least, most;
    const char *normal, *unit, *help;
};
const struct variable *variable_table(size_t *n);

/* True with *out where the variable is set; COUNT and SHARE as they are, SIZE in bytes. ERR_9002
 * names the variable; *set tells whether it was there. */
bool variable_read(enum variable_id id, bool *set, double *out, struct err *err);

struct cli;
struct command {
    const char *words, *arguments;
    int least, most;
    unsigned scopes;
    bool (*run)(struct cli *c, struct err *err);
    const char *help, *example, *more;
};
const struct command *command_table(size_t *n);

enum { CLI_MAX_WORDS = 8, CLI_MAX_SETTINGS = 256 };

/* What stood on the command line. Texts are argv's. */
struct words {
    const struct command *command;   /* NULL: none was named */
    const char *value[OPTION_COUNT]; /* NULL: not given; "" for a switch */
    int n_words;
    const char *word[CLI_MAX_WORDS];
    int n_settings;
    struct {
        const struct flag *flag;
        const char *word, *value;
    } setting[CLI_MAX_SETTINGS];
    int n_rest; /* behind -- */
    char *const *rest;
    bool dashes; /* there was a -- */
    bool bare;   /* no command was named: it is `status` */
    int argc;
    char *const *argv;
};

/* ERR_9001..9003 with the nearest known word. On errors what was understood so far stays in out. */
bool words_parse(int argc, char *const *argv, struct words *out, struct err *err);

/* How text is drawn. */
struct look {
    bool color, blocks; /* blocks: block glyphs for bars, with colour only */
    bool ascii;         /* no character beyond ASCII */
    bool plain, quiet, accessible, json;
    int width; /* columns, at most 80 */
};
struct look look_make(const struct words *w, int fd);

struct cli {
    struct words words;
    struct look look;
    struct arena arena;
    struct str out;   /* for stdout, written at the end */
    struct str notes; /* for stderr, before out */
    int exit_code;
};

static inline bool given(const struct cli *c, enum option_id id)
{
    return c->words.value[id] != NULL;
}

/* Makes the simulated driver the one of this process where the words or the environment ask for it. */
bool cli_simulate(const struct cli *c, struct err *err);

/* The value of an option as a size in bytes. ERR_2102 names it. */
bool cli_size(struct cli *c, enum option_id id, const char *name, uint64_t *out, struct err *err);

/* The planner of this process, with the sizes the environment asks for; NULL with err set. */
struct planner *cli_planner(struct err *err);

/* A file written whole or not at all: a temporary one beside it, synced, renamed. ERR_1202. */
bool cli_write_file(const char *path, const struct str *text, unsigned mode, struct err *err);

/* Starts a JSON document of `kind` in c->out with the keys asked for; json_finish checks their
 * names. */
struct json;
void cli_json_start(struct cli *c, struct json *j, const char *kind);
bool cli_json_finish(struct cli *c, struct json *j, struct err *err);

/* The error as people read it, at most `width` columns wide. */
void message_error(const struct err *e, int width, struct str *out);

/* Text wrapped at `width` columns, continued lines indented. */
void text_wrap(struct str *out, const char *first, int indent, const char *text, int width);

bool help_command(const struct command *cmd, struct str *out);
void help_overview(struct str *out);

bool cmd_plan(struct cli *c, struct err *err);
bool cmd_together(struct cli *c, struct err *err); /* plan --with */
bool cmd_compare(struct cli *c, struct err *err);
bool cmd_suggest(struct cli *c, struct err *err);
bool cmd_model_ls(struct cli *c, struct err *err);
bool cmd_model_show(struct cli *c, struct err *err);
bool cmd_model_scan(struct cli *c, struct err *err);
bool cmd_status(struct cli *c, struct err *err);
bool cmd_top(struct cli *c, struct err *err);
bool cmd_gpu_ls(struct cli *c, struct err *err);
bool cmd_gpu_show(struct cli *c, struct err *err);
bool cmd_gpu_watch(struct cli *c, struct err *err);
bool cmd_gpu_topo(struct cli *c, struct err *err);
bool cmd_gpu_limits(struct cli *c, struct err *err);
bool cmd_gpu_pick(struct cli *c, struct err *err);
bool cmd_gpu_free(struct cli *c, struct err *err);
bool cmd_record(struct cli *c, struct err *err);
bool cmd_replay(struct cli *c, struct err *err);
bool cmd_engine_ls(struct cli *c, struct err *err);
bool cmd_engine_probe(struct cli *c, struct err *err);
bool cmd_sim_start(struct cli *c, struct err *err);
bool cmd_sim_stop(struct cli *c, struct err *err);
bool cmd_sim_ls(struct cli *c, struct err *err);
bool cmd_sim_show(struct cli *c, struct err *err);
bool cmd_sim_inject(struct cli *c, struct err *err);
bool cmd_sim_clear(struct cli *c, struct err *err);
bool cmd_doctor(struct cli *c, struct err *err);
bool cmd_completion(struct cli *c, struct err *err);
bool cmd_help(struct cli *c, struct err *err);
bool cmd_version(struct cli *c, struct err *err);

#endif
