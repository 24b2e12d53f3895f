/* top_gather: what is new of the GPUs, the time, and who the users are. */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/top.h"

/* From the file alone: directory services would be asked over the network while a person waits for
 * a key. */
static void name_user(struct top_user *u)
{
    FILE *f = fopen("/etc/passwd", "re");
    struct passwd *p;
    while (f && (p = fgetpwent(f)) != NULL)
        if (p->pw_uid == u->uid)
            snprintf(u->name, sizeof(u->name), "%s", p->pw_name);
    if (f)
        fclose(f);
}

static void know_user(struct top_model *m, uint32_t uid)
{
    for (uint32_t i = 0; i < m->n_users; i++)
        if (m->user[i].uid == uid)
            return;
    if (m->n_users == TOP_USERS_MAX || uid == UINT32_MAX)
        return;
    m->user[m->n_users] = (struct top_user){.uid = uid};
    name_user(&m->user[m->n_users++]);
}

void top_gather(struct top_model *m, struct watch *w)
{
    m->n = watch_count(w);
    m->n = m->n > TELEMETRY_MAX_GPUS ? TELEMETRY_MAX_GPUS : m->n;
    m->history = watch_history(w);
    m->now_ns = clock_mono_ns();
    m->wall_ns = clock_wall_ns();
    time_t now = (time_t)(m->wall_ns / CLOCK_NS_PER_S);
    struct tm local;
    m->utc_offset_s = localtime_r(&now, &local) ? (int32_t)local.tm_gmtoff : 0;
    for (uint32_t g = 0; g < m->n; g++) {
        watch_view(w, g, &m->gpu[g]);
        const struct process_table *t = &m->gpu[g].processes;
        for (int i = 0; i < t->n; i++)
            know_user(m, t->process[i].uid);
    }
}
