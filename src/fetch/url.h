/* url: which URLs are fetched, what may be shown of them, and whether two are of one origin. */
#ifndef FETCH_URL_H
#define FETCH_URL_H

#include <stdbool.h>

#include "base/err.h"
#include "fetch/libcurl.h"

/* True for an http(s) URL without a user in it; *out_name (to free) is what may be shown of it.
 * ERR_9002. */
bool url_check(const struct libcurl *curl, const char *url, char **out_name, struct err *err);

/* Scheme, host and port of the URL are those of the hub (hf_endpoint). */
bool url_of_hub(const struct libcurl *curl, const char *url);

#endif
