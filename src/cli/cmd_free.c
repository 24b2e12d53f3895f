/* cmd_free: `gpu free`: who holds the memory of a GPU; asks those to end that are named, and says
 * what came back. */
#include <stdio.h>
#include <string.h>

#include "api/gpu_docs_json.h"
#include "base/clock.h"
#include "base/own.h"
#include "cli/ask.h"
#include "cli/gpus.h"
#include "cli/interrupt.h"
#include "process/process.h"
#include "telemetry/process_info.h"

enum { END_MS = 10000, QUESTION_MAX = 240 };
static const double memory_wait_s = 5, look_again_s = 0.1, fast_hz = 10;

struct free_job {
    struct cli *c;
    struct watch *w;
    uint32_t gpu;
    struct gpu_view view;
    struct occupant_note note[PROCESSES_MAX];
    struct stopped stopped;
};

/* NULL: we may. */
static const char *why_not(const struct free_job *job, const struct process *p)
{
    if (job->view.info.simulated)
        return "it is simulated";
    if (given(job->c, OPTION_PROC_ROOT) || !p->local_pid)
        return "it is not visible from here";
    if (process_is_above_us(p->local_pid))
        return "this program runs below it";
    if (geteuid() != 0 && p->uid != geteuid())
        return "it belongs to somebody else";
    return NULL;
}

static void take_view(struct free_job *job)
{
    watch_view(job->w, job->gpu, &job->view);
    const struct process_table *t = &job->view.processes;
    for (uint32_t i = 0; i < t->n; i++) {
        gpu_user(t->process[i].uid, job->note[i].user);
        job->note[i].why_not = why_not(job, &t->process[i]);
    }
}

static bool told(const struct free_job *job)
{
    return job->view.has_processes && job->view.processes.known;
}

static const char *again(const struct free_job *job, uint32_t pid, bool root)
{
    const char *text = arena_printf(&job->c->arena, "%sdualgpuopt gpu free %u --pid %u --yes",
                                    root ? "sudo " : "", job->gpu, pid);
    return text ? text : "";
}

/* "python3 (PID 4711, ann, 7.8 GiB)" */
static void name_victim(const struct free_job *job, uint32_t i, char *out, size_t cap)
{
    const struct process *p = &job->view.processes.process[i];
    char gib[32];
    snprintf(out, cap, "%s (PID %u%s%s, %s%s)", p->name[0] ? p->name : "a process", p->pid,
             job->note[i].user[0] ? ", " : "", job->note[i].user,
             p->memory_bytes == UINT64_MAX ? "size unknown" : str_gib(p->memory_bytes, 1, gib),
             p->memory_bytes == UINT64_MAX ? "" : " GiB");
}

/* ---- stopping one ---- */

/* The number may belong to another process by now. */
static bool still_the_same(const struct process *listed)
{
    struct process now = *listed;
    return process_info_read(NULL, listed->local_pid, &now) && now.since_s == listed->since_s &&
           now.uid == listed->uid;
}

static uint64_t free_now(struct free_job *job)
{
    struct gpu_view v;
    uint64_t bytes = UINT64_MAX;
    watch_view(job->w, job->gpu, &v);
    gpu_view_free(&v, &bytes);
    return bytes;
}

/* Drivers take a moment to hand back what a process held. */
static void wait_for_memory(struct free_job *job, uint64_t before_bytes)
{
    struct stopped *s = &job->stopped;
    uint64_t end_ns = clock_mono_ns() + (uint64_t)(memory_wait_s * 1e9);
    s->came_back_bytes = UINT64_MAX;
    do {
        s->free_bytes = free_now(job);
        if (s->free_bytes != UINT64_MAX && before_bytes != UINT64_MAX)
            s->came_back_bytes = s->free_bytes > before_bytes ? s->free_bytes - before_bytes : 0;
        if (s->came_back_bytes != UINT64_MAX && s->held_bytes != UINT64_MAX &&
            s->came_back_bytes >= s->held_bytes)
            return;
    } while (clock_mono_ns() < end_ns && interrupt_sleep(look_again_s));
}

static bool stop_one(struct free_job *job, uint32_t i, struct err *err)
{
    const struct process *p = &job->view.processes.process[i];
    uint32_t pid = p->pid;
    uint64_t held_bytes = p->memory_bytes, before_bytes = free_now(job);
    own_fd int held = process_hold(p->local_pid, err);
    if (held < 0)
        return false;
    if (!still_the_same(p)) {
        err_set(err, ERR_1110, "PID %u is another process than the driver's list said", pid);
        return err_fix(err, "dualgpuopt gpu ls", "look again");
    }
    watch_set_rate(job->w, fast_hz);
    if (!process_end(held, END_MS, err)) {
        if (err->code == ERR_1109)
            return err_fix(err, again(job, pid, true), "root may");
        char kill[32];
        snprintf(kill, sizeof(kill), "kill -KILL %u", p->local_pid);
        return err_fix(err, kill, "it may be saving its work; this ends it at once");
    }
    job->stopped = (struct stopped){.pid = pid, .held_bytes = held_bytes};
    wait_for_memory(job, before_bytes);
    return true;
}

static void say_stopped(struct free_job *job, const char *victim)
{
    const struct stopped *s = &job->stopped;
    struct str *out = &job->c->out;
    char a[32], b[32];
    str_addf(out, "%s has ended. ", victim);
    if (s->came_back_bytes == UINT64_MAX) {
        str_add(out, "The driver does not tell what is free.\n");
        return;
    }
    str_addf(out, "%s GiB came back, %s GiB are free now, as the driver says.\n",
             str_gib(s->came_back_bytes, 1, a), str_gib(s->free_bytes, 1, b));
    if (s->held_bytes != UINT64_MAX && s->came_back_bytes < s->held_bytes) {
        str_addf(
            out,
            "That is less than the %s GiB it held: somebody else holds the rest, or took it.\n",
            str_gib(s->held_bytes, 1, a));
        job->c->exit_code = 1;
    }
}

/* ---- which ---- */

static bool refuse(const struct free_job *job, uint32_t i, struct err *err)
{
    const struct process *p = &job->view.processes.process[i];
    char victim[QUESTION_MAX];
    name_victim(job, i, victim, sizeof(victim));
    err_set(err, ERR_1109, "%s is not stopped: %s", victim, job->note[i].why_not);
    if (p->local_pid && !process_is_above_us(p->local_pid) && !job->view.info.simulated &&
        geteuid() != 0)
        return err_fix(err, again(job, p->pid, true), "root may");
    return err_fix(err, NULL, "end it where it was started");
}

static bool stop_named(struct free_job *job, struct err *err)
{
    const struct process_table *t = &job->view.processes;
    const char *text = job->c->words.value[OPTION_PID];
    char victim[QUESTION_MAX], question[QUESTION_MAX + 32], command[64];
    int64_t pid;
    uint32_t i = 0;
    if (!str_parse_i64(text, 1, INT32_MAX, false, &pid)) {
        err_set(err, ERR_9002, "--pid cannot be \"%s\"", text);
        return err_fix(err, NULL, "one number from the list of gpu free");
    }
    while (told(job) && i < t->n && t->process[i].pid != (uint32_t)pid)
        i++;
    if (!told(job) || i == t->n) {
        snprintf(command, sizeof(command), "dualgpuopt gpu free %u --no-input", job->gpu);
        err_set(err, ERR_1111, "PID %lld holds no memory on GPU %u", (long long)pid, job->gpu);
        return err_fix(err, command, "see who does");
    }
    if (job->note[i].why_not)
        return refuse(job, i, err);
    name_victim(job, i, victim, sizeof(victim));
    snprintf(question, sizeof(question), "Stop %s?", victim);
    if (!ask_yes(job->c, question, again(job, (uint32_t)pid, false), err) || !stop_one(job, i, err))
        return false;
    if (!job->c->look.json)
        say_stopped(job, victim);
    return true;
}

/* Typing the number is what makes sure that the right one was read. */
static bool ask_each(struct free_job *job, struct err *err)
{
    const struct process_table *t = &job->view.processes;
    for (uint32_t i = 0; i < t->n; i++) {
        char victim[QUESTION_MAX], question[2 * QUESTION_MAX], answer[32], number[16];
        if (job->note[i].why_not)
            continue;
        name_victim(job, i, victim, sizeof(victim));
        snprintf(number, sizeof(number), "%u", t->process[i].pid);
        snprintf(question, sizeof(question),
                 "Stop %s?%s Type its PID to stop it, Enter to leave it: ", victim,
                 t->process[i].type == PROCESS_GRAPHICS ? " It draws on a screen." : "");
        ask_line(job->c, question, answer, sizeof(answer));
        if (strcmp(answer, number) != 0)
            continue;
        if (!stop_one(job, i, err))
            return false;
        say_stopped(job, victim);
    }
    return true;
}

/* ---- the list ---- */

static void write_plain(struct free_job *job)
{
    const struct process_table *t = &job->view.processes;
    for (uint32_t i = 0; told(job) && i < t->n; i++) {
        const struct process *p = &t->process[i];
        str_addf(&job->c->out, "%u\t%s\t%s\t%lld\t", p->pid, p->name, job->note[i].user,
                 (long long)p->since_s);
        if (p->memory_bytes != UINT64_MAX)
            str_addf(&job->c->out, "%llu", (unsigned long long)p->memory_bytes);
        str_addf(&job->c->out, "\t%s\n", job->note[i].why_not ? job->note[i].why_not : "");
    }
}

static void write_sentences(struct free_job *job)
{
    const struct process_table *t = &job->view.processes;
    char victim[QUESTION_MAX], gib[32];
    gpu_sentences(job->c, &job->view);
    for (uint32_t i = 0; told(job) && i < t->n; i++) {
        name_victim(job, i, victim, sizeof(victim));
        str_addf(&job->c->out, "%s holds memory%s%s.\n", victim,
                 job->note[i].why_not ? "; it cannot be stopped from here: " : "",
                 job->note[i].why_not ? job->note[i].why_not : "");
    }
    if (told(job) && t->unattributed_bytes && t->unattributed_bytes != UINT64_MAX)
        str_addf(&job->c->out, "%s GiB are used by nobody in this list.\n",
                 str_gib(t->unattributed_bytes, 1, gib));
}

static void write_people(struct free_job *job)
{
    struct cli *c = job->c;
    char memory[48];
    if (!c->look.quiet)
        str_addf(
            &c->out, "GPU %u %s%s   %s GiB used\n", job->gpu, gpu_short_name(job->view.info.name),
            job->view.info.simulated ? "   SIMULATED" : "", gpu_memory_cell(&job->view, memory));
    if (!told(job)) {
        str_add(&c->out, "  the driver does not tell who holds it\n");
        return;
    }
    if (!job->view.processes.n) {
        str_add(&c->out, "  nobody holds memory there\n");
        return;
    }
    gpu_process_table(c, &job->view);
    for (uint32_t i = 0; i < job->view.processes.n; i++)
        if (job->note[i].why_not)
            str_addf(&c->out, "  %u is not stopped from here: %s\n",
                     job->view.processes.process[i].pid, job->note[i].why_not);
}

static bool list(struct free_job *job, struct err *err)
{
    struct cli *c = job->c;
    if (c->look.plain)
        write_plain(job);
    else if (c->look.accessible)
        write_sentences(job);
    else
        write_people(job);
    if (ask_possible(c) && told(job))
        return ask_each(job, err);
    return true;
}

bool cmd_gpu_free(struct cli *c, struct err *err)
{
    own(own_watch) struct watch *w = NULL;
    struct free_job *job = arena_new(&c->arena, struct free_job);
    struct json j;
    if (!job)
        return err_set(err, ERR_1201, "no memory for a list of processes");
    job->c = c;
    if (given(c, OPTION_YES) && !given(c, OPTION_PID)) {
        err_set(err, ERR_9003, "--yes needs --pid: which process may be stopped?");
        return err_fix(err, "dualgpuopt gpu free 0 --no-input", "see the PIDs first");
    }
    if (!cli_watch(c, 2, true, NULL, &w, err) || !cli_find_gpu(w, c->words.word[0], &job->gpu, err))
        return false;
    job->w = w;
    take_view(job);
    if (given(c, OPTION_PID) && !stop_named(job, err))
        return false;
    if (c->look.json) {
        cli_json_start(c, &j, "occupants");
        occupants_json(&j, &job->view, job->note, &job->stopped);
        return cli_json_finish(c, &j, err);
    }
    return given(c, OPTION_PID) || list(job, err);
}
