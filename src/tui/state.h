/* state: what a person has chosen on the screen, and what a key makes of it: a pure step. */
#ifndef TUI_STATE_H
#define TUI_STATE_H

#include "tui/rows.h"

/* Codes of keys: characters as they are, the rest above them. */
enum top_key {
    TOP_KEY_ESC = 27,
    TOP_KEY_BACKSPACE = 127,
    TOP_KEY_UP = 0x110000,
    TOP_KEY_DOWN,
    TOP_KEY_LEFT,
    TOP_KEY_RIGHT,
    TOP_KEY_SHIFT_LEFT,
    TOP_KEY_SHIFT_RIGHT,
    TOP_KEY_HOME,
    TOP_KEY_END,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_BACKTAB,
    TOP_KEY_F0,
    TOP_KEY_ROW = 0x120000,     /* + n: a click on the nth process of the list */
    TOP_KEY_GPU = 0x130000,     /* + n: a click on a GPU */
    TOP_KEY_SORT_BY = 0x140000, /* + n: a click on the heading of that order */
};
#define TOP_KEY_F(n) ((uint32_t)TOP_KEY_F0 + (n))

enum action {
#define KEY(id, k1, k2, k3, shown, help, listed) ACTION_##id,
#include "tui/keys.def"
#undef KEY
    ACTION_NONE
};

struct key_info {
    uint32_t code[3];
    const char *shown, *help;
    bool listed;
};
extern const struct key_info key_info[ACTION_NONE];
enum action key_action(uint32_t code);

enum symbols { SYMBOLS_BRAILLE, SYMBOLS_BLOCK, SYMBOLS_ASCII };
enum overlay { OVERLAY_NONE, OVERLAY_HELP, OVERLAY_SETUP };
enum prompt {
    PROMPT_NONE,
    PROMPT_FILTER,
    PROMPT_FIND,
    PROMPT_MARKER,
    PROMPT_SORT,
    PROMPT_SIGNAL,
    PROMPT_CONFIRM
};

enum { TOP_MARKERS_MAX = 9, TOP_LABEL_MAX = 24, TOP_MESSAGE_MAX = 200 };

struct top_marker {
    uint64_t mono_ns;
    char label[TOP_LABEL_MAX];
};

struct top_victim {
    uint32_t pid, local_pid, gpu;
    int64_t since_s;
    uint64_t memory_bytes;
    char name[PROCESS_NAME_MAX], user[TOP_USER_MAX + 12];
};

struct top_chart {
    double window_s;
    uint64_t until_ns; /* right edge; 0: live */
    bool cursor;
    uint64_t cursor_ns;
    int n_markers;
    struct top_marker marker[TOP_MARKERS_MAX];
};

struct top_state {
    struct settings settings;
    enum symbols symbols; /* what "auto" came to */
    bool mono, readonly, paused, unsaved;
    enum overlay overlay;
    int overlay_row;
    enum prompt prompt;
    char input[FILTER_TEXT_MAX];
    char find[FILTER_TEXT_MAX];
    char message[TOP_MESSAGE_MAX]; /* until the next key */
    uint32_t pid, pid_gpu; /* the chosen process, followed when the order changes; 0: none yet */
    int row;               /* where it was last */
    uint32_t gpu;          /* the chosen GPU */
    struct top_chart chart;
    struct top_victim victim;
    int signal;
};

/* What the world has to do after a key. */
enum effect {
    EFFECT_NONE,
    EFFECT_QUIT,
    EFFECT_SAVE,
    EFFECT_SIGNAL,
    EFFECT_REDRAW,
    EFFECT_RATE,
    EFFECT_LOOK,
    EFFECT_COPY
};

void top_state_init(struct top_state *s, const struct settings *settings);

/* One key. EFFECT_SIGNAL: send s->signal to s->victim, asked and answered; EFFECT_RATE: settings'
 * rate, EFFECT_LOOK: colours, symbols or mouse changed; EFFECT_COPY: the line of top_copy_text. */
enum effect top_key(struct top_state *s, const struct top_model *m, uint32_t key);

void top_say(struct top_state *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The chosen row in the list, -1 when it is empty. */
int top_chosen(const struct top_state *s, const struct top_model *m, const struct rows *rows);
char *top_copy_text(const struct top_state *s, const struct top_model *m, char *out, size_t size);

double top_rate(const struct settings *s);                /* samples per second, 0: not chosen */
double top_window_s(const struct top_model *m, int word); /* of the setting's word */
enum metric top_metric(const struct settings *s);

/* Edges of the chart's time. */
void top_chart_span(const struct top_state *s, const struct top_model *m, uint64_t *from_ns,
                    uint64_t *until_ns);

/* Signals that F9 offers. */
struct top_signal {
    char key;
    int number;
    const char *name;
};
extern const struct top_signal top_signals[];
enum { TOP_SIGNALS = 7 };
const char *top_signal_name(int number);

/* Keys while a prompt is open; of prompt.c. */
void prompt_open(struct top_state *s, enum prompt p, const char *input);
enum effect prompt_key(struct top_state *s, const struct top_model *m, uint32_t key);
void prompt_victim(struct top_state *s, const struct top_model *m, int signal);
bool find_next(struct top_state *s, const struct top_model *m);

#endif
