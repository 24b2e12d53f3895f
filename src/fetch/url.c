/* url: libcurl's own parser decides, so that what is checked is what will be fetched. */
#include "fetch/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/own.h"
#include "fetch/hf.h"

struct parts {
    const struct libcurl *curl;
    CURLU *url;
    char *scheme, *user, *host, *port, *path;
};

static void parts_finish(struct parts *p)
{
    if (!p->url)
        return;
    p->curl->free(p->scheme);
    p->curl->free(p->user);
    p->curl->free(p->host);
    p->curl->free(p->port);
    p->curl->free(p->path);
    p->curl->url_cleanup(p->url);
}

static bool parts_init(struct parts *p, const struct libcurl *curl, const char *url)
{
    *p = (struct parts){.curl = curl, .url = curl->url()};
    if (!p->url || curl->url_set(p->url, CURLUPART_URL, url, 0) != CURLUE_OK)
        return false;
    curl->url_get(p->url, CURLUPART_USER, &p->user, 0);
    return curl->url_get(p->url, CURLUPART_SCHEME, &p->scheme, 0) == CURLUE_OK &&
           curl->url_get(p->url, CURLUPART_HOST, &p->host, 0) == CURLUE_OK &&
           curl->url_get(p->url, CURLUPART_PORT, &p->port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
           curl->url_get(p->url, CURLUPART_PATH, &p->path, 0) == CURLUE_OK;
}

bool fetch_is_url(const char *ref)
{
    return strncasecmp(ref, "http://", 7) == 0 || strncasecmp(ref, "https://", 8) == 0;
}

bool url_check(const struct libcurl *curl, const char *url, char **out_name, struct err *err)
{
    own(parts_finish) struct parts p = {0};
    size_t shown = strcspn(url, "?#");

    if (!fetch_is_url(url) || strlen(url) >= FETCH_MAX_URL || !parts_init(&p, curl, url))
        return err_set(err, ERR_9002, "not an http:// or https:// URL that can be fetched: '%.*s'",
                       memchr(url, '@', shown) ? 0 : (int)shown, url);
    if (p.user) {
        err_set(err, ERR_9002, "a URL with a user in it is not fetched: %s://...@%s%s", p.scheme,
                p.host, p.path);
        return err_fix(err, NULL, "secrets do not belong on the command line: leave the user out");
    }
    *out_name = strndup(url, shown);
    return *out_name || err_set(err, ERR_1201, "no memory for a URL");
}

bool url_of_hub(const struct libcurl *curl, const char *url)
{
    own(parts_finish) struct parts ours = {0};
    own(parts_finish) struct parts hub = {0};
    char endpoint[FETCH_MAX_URL];

    return hf_endpoint(endpoint, NULL) && parts_init(&ours, curl, url) &&
           parts_init(&hub, curl, endpoint) && strcasecmp(ours.scheme, hub.scheme) == 0 &&
           strcasecmp(ours.host, hub.host) == 0 && strcmp(ours.port, hub.port) == 0;
}
