/* libcurl: dlopen once, by the names that distributions use. */
#include "fetch/libcurl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct libcurl table;
static bool loaded;

static bool find_all(void *lib)
{
    void *p;

#define X(field, symbol, type, parameters) \
    p = dlsym(lib, symbol);                \
    if (!p)                                \
        return false;                      \
    memcpy(&table.field, &p, sizeof(p));
    LIBCURL_CALLS(X)
#undef X
    return true;
}

static void load(void)
{
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.so"};
    void *lib = NULL;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !lib; i++)
        lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    loaded = lib && find_all(lib) && table.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

const struct libcurl *libcurl_load(struct err *err)
{
    pthread_once(&once, load);
    if (loaded)
        return &table;
    err_set(err, ERR_2005, "libcurl.so.4 cannot be loaded, and without it nothing is fetched");
    err_fix(err, "sudo apt install libcurl4", "install it");
    return NULL;
}
