/* cache: a hash table with an LRU chain; what is being computed stands in the table only. */
#include "base/cache.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define BUCKETS_LEAST 16
#define BUCKETS_MOST  65536

enum state { IN_FLIGHT, READY, FAILED };

/* The table holds one reference, every loan and every waiting thread one more. */
struct cache_entry {
    atomic_size_t references;
    void (*free_value)(void *);
    struct cache_entry *next_in_bucket;
    struct cache_entry *newer, *older;
    enum state state; /* this and all below up to key: written under the cache's lock */
    void *value;
    struct err *err; /* of a failed computation, for those who waited; NULL if memory was short */
    uint64_t made_ns;
    uint64_t hash;
    size_t key_len;
    unsigned char key[];
};

struct cache {
    pthread_mutex_t lock;
    pthread_cond_t landed; /* some computation ended */
    struct cache_config config;
    struct cache_stats stats;
    struct cache_entry **buckets;
    size_t n_buckets; /* a power of two */
    struct cache_entry *newest, *oldest;
    struct cache *previous, *next; /* in the list of all caches */
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cache *list_first, *list_last;

static void add_to_list(struct cache *c)
{
    pthread_mutex_lock(&list_lock);
    c->previous = list_last;
    *(list_last ? &list_last->next : &list_first) = c;
    list_last = c;
    pthread_mutex_unlock(&list_lock);
}

static void remove_from_list(struct cache *c)
{
    pthread_mutex_lock(&list_lock);
    *(c->previous ? &c->previous->next : &list_first) = c->next;
    *(c->next ? &c->next->previous : &list_last) = c->previous;
    pthread_mutex_unlock(&list_lock);
}

struct cache *cache_new(const struct cache_config *config)
{
    struct cache *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->config = *config;
    c->n_buckets = BUCKETS_LEAST;
    while (c->n_buckets < config->max_entries && c->n_buckets < BUCKETS_MOST)
        c->n_buckets *= 2;
    c->buckets = calloc(c->n_buckets, sizeof(struct cache_entry *));
    if (!c->buckets) {
        free(c);
        return NULL;
    }
    if (!c->config.now_ns)
        c->config.now_ns = clock_mono_ns;
    str_printable(config->name, strlen(config->name), c->stats.name, sizeof(c->stats.name));
    c->stats.maxsize = config->max_entries;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->landed, NULL);
    add_to_list(c);
    return c;
}

static void drop_reference(struct cache_entry *e)
{
    if (atomic_fetch_sub(&e->references, 1) != 1)
        return;
    if (e->state == READY && e->free_value)
        e->free_value(e->value);
    free(e->err);
    free(e);
}

void cache_free(struct cache *c)
{
    if (!c)
        return;
    remove_from_list(c);
    for (struct cache_entry *e = c->newest, *older; e; e = older) {
        older = e->older;
        drop_reference(e);
    }
    pthread_cond_destroy(&c->landed);
    pthread_mutex_destroy(&c->lock);
    free(c->buckets);
    free(c);
}

static void unlink_from_chain(struct cache *c, struct cache_entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
    e->newer = e->older = NULL;
}

static void put_newest(struct cache *c, struct cache_entry *e)
{
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static struct cache_entry **find_slot(struct cache *c, const void *key, size_t len, uint64_t hash)
{
    struct cache_entry **slot = &c->buckets[hash & (c->n_buckets - 1)];
    while (*slot) {
        struct cache_entry *e = *slot;
        if (e->hash == hash && e->key_len == len && (!len || memcmp(e->key, key, len) == 0))
            break;
        slot = &e->next_in_bucket;
    }
    return slot;
}

static void remove_from_table(struct cache *c, struct cache_entry *e)
{
    struct cache_entry **slot = &c->buckets[e->hash & (c->n_buckets - 1)];
    while (*slot != e)
        slot = &(*slot)->next_in_bucket;
    *slot = e->next_in_bucket;
}

/* Takes a ready entry out of the cache; the caller drops the table's reference without the lock. */
static void evict(struct cache *c, struct cache_entry *e)
{
    remove_from_table(c, e);
    unlink_from_chain(c, e);
    c->stats.currsize--;
    c->stats.evictions++;
}

static struct cache_entry *new_entry(struct cache *c, const void *key, size_t len, uint64_t hash)
{
    size_t size;
    if (__builtin_add_overflow(sizeof(struct cache_entry), len, &size))
        return NULL;
    struct cache_entry *e = calloc(1, size);
    if (!e)
        return NULL;
    atomic_init(&e->references, 2);
    e->free_value = c->config.free_value;
    e->hash = hash;
    e->key_len = len;
    if (len)
        memcpy(e->key, key, len);
    struct cache_entry **bucket = &c->buckets[hash & (c->n_buckets - 1)];
    e->next_in_bucket = *bucket;
    *bucket = e;
    return e;
}

/* After make() returned: publishes the result. Returns the entry that left the table, if any. */
static struct cache_entry *land(struct cache *c, struct cache_entry *e, bool ok, void *value,
                                const struct err *err)
{
    struct cache_entry *out = NULL;
    pthread_mutex_lock(&c->lock);
    e->made_ns = c->config.now_ns();
    if (ok) {
        e->value = value;
        e->state = READY;
        put_newest(c, e);
        if (++c->stats.currsize > c->config.max_entries) {
            out = c->oldest;
            evict(c, out);
        }
    } else {
        e->err = malloc(sizeof(*e->err));
        if (e->err)
            *e->err = *err;
        e->state = FAILED;
        remove_from_table(c, e);
        out = e;
    }
    pthread_cond_broadcast(&c->landed);
    pthread_mutex_unlock(&c->lock);
    return out;
}

static bool compute(struct cache *c, struct cache_entry *e, cache_make_fn *make, void *user,
                    struct cache_loan *loan, struct err *err)
{
    struct err failure = {0};
    void *value = NULL;
    bool ok = make(e->key, e->key_len, user, &value, &failure);
    struct cache_entry *out = land(c, e, ok, value, &failure);
    if (out)
        drop_reference(out);
    if (ok) {
        *loan = (struct cache_loan){value, e};
        return true;
    }
    drop_reference(e); /* NOLINT(clang-analyzer-unix.Malloc): the table's reference was another */
    if (err)
        *err = failure;
    return false;
}

/* With the lock held and a reference taken: waits for another thread's result. */
static bool await(struct cache *c, struct cache_entry *e, struct cache_loan *loan, struct err *err)
{
    while (e->state == IN_FLIGHT)
        pthread_cond_wait(&c->landed, &c->lock);
    bool ok = e->state == READY;
    if (ok)
        c->stats.hits++;
    else
        c->stats.misses++;
    pthread_mutex_unlock(&c->lock);
    if (ok) {
        *loan = (struct cache_loan){e->value, e};
        return true;
    }
    if (err && e->err)
        *err = *e->err;
    else
        err_set(err, ERR_1201, "out of memory while a computation was shared");
    drop_reference(e);
    return false;
}

static bool too_old(struct cache *c, const struct cache_entry *e)
{
    return e->state == READY && c->config.ttl_ns &&
           c->config.now_ns() - e->made_ns >= c->config.ttl_ns;
}

bool cache_get(struct cache *c, const void *key, size_t key_len, cache_make_fn *make, void *user,
               struct cache_loan *loan, struct err *err)
{
    uint64_t hash = str_hash(key, key_len);
    pthread_mutex_lock(&c->lock);
    struct cache_entry *old = NULL, *e = *find_slot(c, key, key_len, hash);
    if (e && too_old(c, e)) {
        evict(c, e);
        old = e;
        e = NULL;
    }
    if (e) {
        atomic_fetch_add(&e->references, 1);
        if (e->state == READY) {
            unlink_from_chain(c, e);
            put_newest(c, e);
        }
        return await(c, e, loan, err);
    }
    c->stats.misses++;
    e = new_entry(c, key, key_len, hash);
    pthread_mutex_unlock(&c->lock);
    if (old)
        drop_reference(old);
    if (!e)
        return err_set(err, ERR_1201, "out of memory for an entry of the %s cache", c->stats.name);
    return compute(c, e, make, user, loan, err);
}

void cache_release(struct cache_loan *loan)
{
    if (loan->entry)
        drop_reference(loan->entry);
    *loan = (struct cache_loan){0};
}

void cache_key_add(struct str *key, const void *part, size_t len)
{
    uint64_t n = len;
    str_add_n(key, (const char *)&n, sizeof(n));
    str_add_n(key, part, len);
}

struct cache_stats cache_stats(struct cache *c)
{
    pthread_mutex_lock(&c->lock);
    struct cache_stats stats = c->stats;
    pthread_mutex_unlock(&c->lock);
    uint64_t total = stats.hits + stats.misses;
    stats.hit_ratio = total ? (double)stats.hits / (double)total : (double)NAN;
    return stats;
}

size_t cache_list(struct cache_stats *out, size_t max)
{
    size_t n = 0;
    pthread_mutex_lock(&list_lock);
    for (struct cache *c = list_first; c; c = c->next, n++)
        if (n < max)
            out[n] = cache_stats(c);
    pthread_mutex_unlock(&list_lock);
    return n;
}
