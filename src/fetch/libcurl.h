/* libcurl: the library, loaded at the first fetch: plans of local files never pay for it. */
#ifndef FETCH_LIBCURL_H
#define FETCH_LIBCURL_H

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/err.h"

/* X(field, symbol, return type, parameters) */
#define LIBCURL_CALLS(X)                                                                 \
    X(global_init, "curl_global_init", CURLcode, (long))                                 \
    X(easy_init, "curl_easy_init", CURL *, (void))                                       \
    X(easy_setopt, "curl_easy_setopt", CURLcode, (CURL *, CURLoption, ...))              \
    X(easy_perform, "curl_easy_perform", CURLcode, (CURL *))                             \
    X(easy_getinfo, "curl_easy_getinfo", CURLcode, (CURL *, CURLINFO, ...))              \
    X(easy_cleanup, "curl_easy_cleanup", void, (CURL *))                                 \
    X(easy_strerror, "curl_easy_strerror", const char *, (CURLcode))                     \
    X(url, "curl_url", CURLU *, (void))                                                  \
    X(url_set, "curl_url_set", CURLUcode, (CURLU *, CURLUPart, const char *, unsigned))  \
    X(url_get, "curl_url_get", CURLUcode, (const CURLU *, CURLUPart, char **, unsigned)) \
    X(url_cleanup, "curl_url_cleanup", void, (CURLU *))                                  \
    X(free, "curl_free", void, (void *))

struct libcurl {
#define X(field, symbol, type, parameters) type(*field) parameters;
    LIBCURL_CALLS(X)
#undef X
};

/* The loaded library, for the life of the program; NULL: ERR_2005 says what to install. Thread
 * safe. */
const struct libcurl *libcurl_load(struct err *err);

#endif
