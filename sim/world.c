/* world: begins, joins and ends the shared file; tells its time. */
#include "sim/world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "base/str.h"
#include "sim/world_shared.h"

/* A world that nobody started by name begins anew after this long without anyone. */
#define IDLE_NS ((uint64_t)3600 * 1000000000)

void world_lock(struct world_shared *s)
{
    if (pthread_mutex_lock(&s->lock) == EOWNERDEAD)
        pthread_mutex_consistent(&s->lock);
}

void world_unlock(struct world_shared *s)
{
    pthread_mutex_unlock(&s->lock);
}

void world_tell(struct world_shared *s)
{
    atomic_fetch_add(&s->news, 1);
    syscall(SYS_futex, &s->news, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void world_wait(struct world *w, uint32_t ms)
{
    struct timespec limit = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    uint32_t seen = atomic_load(&w->shared->news);
    syscall(SYS_futex, &w->shared->news, FUTEX_WAIT, seen, &limit, NULL, 0);
}

static uint64_t boot_hash(void)
{
    char id[64] = {0};
    own_fd int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, id, sizeof(id)) : 0;
    return n > 0 ? str_hash(id, (size_t)n) : 1;
}

static int64_t clamp_time(double ns)
{
    return ns < 0 ? 0 : ns > (double)WORLD_YEAR_NS ? WORLD_YEAR_NS : (int64_t)ns;
}

int64_t world_now(const struct world_shared *s, uint64_t mono_ns)
{
    double since = mono_ns > s->base_mono_ns ? (double)(mono_ns - s->base_mono_ns) : 0;
    return s->scale > 0 ? clamp_time((double)s->base_sim_ns + since * s->scale) : s->base_sim_ns;
}

struct world_clock world_clock(struct world *w)
{
    struct world_shared *s = w->shared;
    uint64_t mono = clock_mono_ns();
    atomic_store_explicit(&s->used_mono_ns, mono, memory_order_relaxed);
    world_lock(s);
    struct world_clock c = {.scale = s->scale, .seed = s->seed, .now_ns = world_now(s, mono)};
    world_unlock(s);
    return c;
}

void world_jump(struct world *w, int64_t to_ns)
{
    struct world_shared *s = w->shared;
    world_lock(s);
    s->base_mono_ns = clock_mono_ns();
    s->base_sim_ns = clamp_time((double)to_ns);
    world_unlock(s);
    world_tell(s);
}

void world_set_scale(struct world *w, double scale)
{
    struct world_shared *s = w->shared;
    uint64_t mono = clock_mono_ns();
    world_lock(s);
    s->base_sim_ns = world_now(s, mono);
    s->base_mono_ns = mono;
    s->scale = scale;
    world_unlock(s);
    world_tell(s);
}

const struct sim_scenario *world_scenario(const struct world *w)
{
    return &w->scenario;
}

const char *world_path(const struct world *w)
{
    return w->path;
}

bool world_stopped(const struct world *w)
{
    return atomic_load_explicit(&w->shared->stopped, memory_order_relaxed) != 0;
}

/* The file of a wish; *common tells that it is the one of `sim start`. */
static bool find_path(const struct world_wish *wish, char out[WORLD_PATH_MAX], struct err *err)
{
    char folder[WORLD_PATH_MAX];
    const char *state = wish->state ? wish->state : getenv("DUALGPUOPT_SIM_STATE");
    if (state && *state) {
        if (strlen(state) >= WORLD_PATH_MAX - 8)
            return err_set(err, ERR_1502, "the state's path has more than %d characters",
                           WORLD_PATH_MAX - 9);
        memcpy(out, state, strlen(state) + 1);
        return true;
    }
    if (!world_folder(folder, err))
        return false;
    if (wish->scenario)
        snprintf(out, WORLD_PATH_MAX, "%.380s/sim-%016llx.world", folder,
                 (unsigned long long)str_hash(wish->scenario, strlen(wish->scenario)));
    else
        snprintf(out, WORLD_PATH_MAX, "%.380s/sim.world", folder);
    return true;
}

static bool make_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t kind;
    bool ok = pthread_mutexattr_init(&kind) == 0;
    ok = ok && pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) == 0 &&
         pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0 &&
         pthread_mutex_init(lock, &kind) == 0;
    pthread_mutexattr_destroy(&kind);
    return ok;
}

static bool begin(struct world_shared *s, const struct world_wish *wish, const char *text,
                  size_t len)
{
    memset(s, 0, sizeof(*s));
    if (!make_lock(&s->lock))
        return false;
    s->size = sizeof(*s);
    s->boot = boot_hash();
    s->seed = wish->seed ? wish->seed : 1;
    s->scale = wish->scale;
    s->base_mono_ns = clock_mono_ns();
    s->base_sim_ns = wish->at_ns;
    s->next_id = 1;
    s->text_len = (uint32_t)len;
    s->text_hash = str_hash(text, len);
    memcpy(s->text, text, len);
    str_printable(wish->scenario, strlen(wish->scenario), s->source, sizeof(s->source));
    atomic_store(&s->used_mono_ns, s->base_mono_ns);
    memcpy(s->magic, WORLD_MAGIC, sizeof(s->magic));
    return true;
}

static bool usable(const struct world_shared *s)
{
    return memcmp(s->magic, WORLD_MAGIC, sizeof(s->magic)) == 0 && s->size == sizeof(*s) &&
           s->text_len <= SIM_TEXT_MAX && s->boot == boot_hash() && atomic_load(&s->stopped) == 0 &&
           s->n_faults <= SIM_FAULTS_MAX && s->n_children <= WORLD_CHILDREN_MAX && s->scale >= 0 &&
           str_hash(s->text, s->text_len) == s->text_hash;
}

/* The file, locked, and still the one of that path. -1 with err set. */
static int open_locked(const char *path, bool make, struct err *err)
{
    for (int tries = 0; tries < 50; tries++) {
        struct stat st, now;
        int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
        if (fd < 0 && errno == ENOENT) {
            err_set(err, ERR_1503, "no simulated driver is running");
            err_fix(err, "dualgpuopt sim start duo", "start one");
            return -1;
        }
        if (fd < 0) {
            err_set(err, ERR_1502, "%s cannot be opened: %s", path, strerror(errno));
            return -1;
        }
        if (flock(fd, LOCK_EX) == 0 && fstat(fd, &st) == 0 && stat(path, &now) == 0 &&
            st.st_ino == now.st_ino) {
            if (S_ISREG(st.st_mode) && st.st_uid == getuid())
                return fd;
            close(fd);
            err_set(err, ERR_1502, "%s is not a file of yours", path);
            return -1;
        }
        close(fd);
    }
    err_set(err, ERR_1502, "%s is made and taken away all the time", path);
    return -1;
}

static struct world_shared *map(int fd, struct err *err)
{
    void *p = mmap(NULL, sizeof(struct world_shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        err_set(err, ERR_1502, "the world's file cannot be mapped: %s", strerror(errno));
        return NULL;
    }
    return p;
}

static struct world_shared *map_existing(int fd, struct err *err)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_size == (off_t)sizeof(struct world_shared) ? map(fd, err)
                                                                                   : NULL;
}

/* A new file in the place of what was there: those who map the old one see that it stopped. */
static struct world_shared *begin_file(const char *path, const struct world_wish *wish,
                                       const char *text, size_t len, struct err *err)
{
    char fresh[WORLD_PATH_MAX + 8];
    snprintf(fresh, sizeof(fresh), "%s.XXXXXX", path);
    own_fd int fd = mkostemp(fresh, O_CLOEXEC);
    if (fd < 0 || ftruncate(fd, sizeof(struct world_shared)) != 0) {
        err_set(err, ERR_1502, "%s cannot be written: %s", path, strerror(errno));
        if (fd >= 0)
            unlink(fresh);
        return NULL;
    }
    struct world_shared *s = map(fd, err);
    if (s && (!begin(s, wish, text, len) || rename(fresh, path) != 0)) {
        munmap(s, sizeof(*s));
        s = NULL;
        err_set(err, ERR_1502, "%s cannot be put in its place: %s", path, strerror(errno));
    }
    if (!s)
        unlink(fresh);
    return s;
}

/* Whether what is mapped is the world that is wished. */
static bool suits(const struct world_shared *s, const struct world_wish *wish, const char *text,
                  size_t len)
{
    if (wish->again || !usable(s))
        return false;
    if (!text)
        return true;
    uint64_t idle = clock_mono_ns() - atomic_load(&s->used_mono_ns);
    return s->text_len == len && s->text_hash == str_hash(text, len) &&
           (wish->state || idle < IDLE_NS);
}

static struct world_shared *join_locked(int fd, const char *path, const struct world_wish *wish,
                                        const char *text, size_t len, struct err *err)
{
    struct err ignored = {0};
    struct world_shared *s = map_existing(fd, &ignored);
    if (s && suits(s, wish, text, len))
        return s;
    if (s && memcmp(s->magic, WORLD_MAGIC, sizeof(s->magic)) == 0 && text) {
        atomic_store(&s->stopped, 1);
        world_tell(s);
    }
    if (s)
        munmap(s, sizeof(*s));
    if (!text) {
        err_set(err, ERR_1503, "the simulated driver of %s has stopped", path);
        err_fix(err, "dualgpuopt sim start duo", "start one");
        return NULL;
    }
    return begin_file(path, wish, text, len, err);
}

static struct world_shared *join_or_begin(const char *path, const struct world_wish *wish,
                                          const char *text, size_t len, struct err *err)
{
    int fd = open_locked(path, text != NULL, err);
    if (fd < 0)
        return NULL;
    struct world_shared *s = join_locked(fd, path, wish, text, len, err);
    flock(fd, LOCK_UN); /* a mapping would keep it locked */
    close(fd);
    return s;
}

bool world_open(const struct world_wish *wish, struct world **out, struct err *err)
{
    own_free char *text = NULL;
    size_t len = 0;
    char path[WORLD_PATH_MAX];
    own_free struct sim_scenario *scenario = calloc(1, sizeof(*scenario));
    if (!scenario)
        return err_set(err, ERR_1201, "no memory for a scenario");
    if (wish->scenario && !world_find_scenario(wish->scenario, &text, &len, err))
        return false;
    if ((text && !scenario_parse(wish->scenario, text, len, scenario, err)) ||
        !find_path(wish, path, err))
        return false;
    struct world_shared *s = join_or_begin(path, wish, text, len, err);
    if (!s)
        return false;
    struct world *w = calloc(1, sizeof(*w));
    bool ok = w || err_set(err, ERR_1201, "no memory for a world");
    ok = ok && (text || scenario_parse(path, s->text, s->text_len, scenario, err));
    if (!ok) {
        munmap(s, sizeof(*s));
        free(w);
        return false;
    }
    w->shared = s;
    w->scenario = *scenario;
    memcpy(w->path, path, sizeof(path));
    pthread_mutex_init(&w->lock, NULL);
    atomic_store(&s->used_mono_ns, clock_mono_ns());
    *out = w;
    return true;
}

void world_close(struct world *w)
{
    if (!w)
        return;
    munmap(w->shared, sizeof(*w->shared));
    pthread_mutex_destroy(&w->lock);
    free(w);
}

bool world_stop(const char *state, struct err *err)
{
    struct world_wish wish = {.state = state};
    own(own_world) struct world *w = NULL;
    if (!world_open(&wish, &w, err))
        return false;
    atomic_store(&w->shared->stopped, 1);
    world_tell(w->shared);
    return unlink(w->path) == 0 ||
           err_set(err, ERR_1502, "%s cannot be removed: %s", w->path, strerror(errno));
}
