/* cache: keeps computed values by key; threads that ask at once share one computation. */
#ifndef BASE_CACHE_H
#define BASE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct cache;
struct cache_entry;

#define CACHE_NAME_MAX 32

struct cache_config {
    const char *name;   /* for people, copied, cut at CACHE_NAME_MAX - 1 bytes */
    size_t max_entries; /* the least recently used goes first; 0: values are shared, none is kept */
    uint64_t ttl_ns;    /* age at which a value is computed anew; 0: never */
    void (*free_value)(void *); /* NULL: nothing to free */
    uint64_t (*now_ns)(void);   /* NULL: clock_mono_ns */
};

/* NULL when memory is short. The cache is listed in cache_list until it is freed. */
struct cache *cache_new(const struct cache_config *config);

/* No thread may be inside of cache_get. Values on loan live on until they are released. */
void cache_free(struct cache *c);

/* Computes the value of a key: true with *value (which becomes the cache's, NULL is a value too),
 * or false with err set. Runs without a lock in one of the asking threads; it must not ask the same
 * cache for the same key. */
typedef bool cache_make_fn(const void *key, size_t key_len, void *user, void **value,
                           struct err *err);

/* A value that will not be freed before cache_release. Zeroed means none. */
struct cache_loan {
    void *value; /* shared with other threads: read it only */
    struct cache_entry *entry;
};

/* The value of the key, computed by make(user) unless there is one or another thread is at it,
 * whose result or error is then shared. Failures are not kept. Keys are equal when all their bytes
 * are. Thread safe. */
bool cache_get(struct cache *c, const void *key, size_t key_len, cache_make_fn *make, void *user,
               struct cache_loan *loan, struct err *err);

void cache_release(struct cache_loan *loan); /* accepts a zeroed or released one */
static inline void own_cache_loan(struct cache_loan *loan)
{
    cache_release(loan);
}

/* Appends one part and its length to a key, so that ("ab", "c") and ("a", "bc") differ. */
void cache_key_add(struct str *key, const void *part, size_t len);

struct cache_stats {
    char name[CACHE_NAME_MAX];
    uint64_t hits;            /* answered without computing: kept values and shared computations */
    uint64_t misses;          /* computed, or shared a computation that failed */
    uint64_t evictions;       /* values dropped for lack of room or for age */
    size_t maxsize, currsize; /* entries */
    double hit_ratio;         /* hits / (hits + misses), NaN before the first question */
};

struct cache_stats cache_stats(struct cache *c);

/* The numbers of every cache of the process, oldest first, at most max of them into out; returns
 * how many caches there are. */
size_t cache_list(struct cache_stats *out, size_t max);

#endif
