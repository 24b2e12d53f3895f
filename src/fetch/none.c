/* none: the room when built without libcurl: everything remote is refused, with the reason. */
#include <strings.h>

#include "fetch/hf.h"

bool fetch_is_url(const char *ref)
{
    return strncasecmp(ref, "http://", 7) == 0 || strncasecmp(ref, "https://", 8) == 0;
}

bool hf_is_ref(const char *ref)
{
    return strncasecmp(ref, "hf:", 3) == 0;
}

static bool refuse(const char *what, struct err *err)
{
    err_set(err, ERR_2005, "%s: this build cannot fetch", what);
    return err_fix(err, NULL,
                   "get the file and name it by its path, or build with -Dfetch=enabled");
}

bool fetch_open(const char *url, const struct fetch_options *options, struct fetch_source *out,
                struct err *err)
{
    return refuse(url, err);
}

void fetch_close(struct fetch_source *src)
{
    *src = (struct fetch_source){0};
}

bool fetch_text(const char *url, const struct fetch_options *options, size_t limit, struct str *out,
                struct err *err)
{
    return refuse(url, err);
}

bool hf_resolve(const char *ref, const char *quant, const struct fetch_options *options,
                struct arena *arena, const char **out_url, struct err *err)
{
    return refuse(ref, err);
}
