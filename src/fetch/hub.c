/* hub: where the model hub is, and the token that may be shown to it and to nobody else. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "fetch/hf.h"

static const char public_endpoint[] = "https://"
                                      "huggingface.co";

bool hf_endpoint(char *out, struct err *err)
{
    const char *named = getenv("HF_ENDPOINT");
    size_t len;

    if (!named || !*named)
        named = public_endpoint;
    len = strlen(named);
    while (len > 0 && named[len - 1] == '/')
        len--;
    if (len >= FETCH_MAX_URL || !fetch_is_url(named)) {
        err_set(err, ERR_9002, "HF_ENDPOINT is not the URL of a hub: '%s'", named);
        return err_fix(err, "unset HF_ENDPOINT", "leave it out for the public hub");
    }
    memcpy(out, named, len);
    out[len] = '\0';
    return true;
}

/* Blanks around it are dropped; anything that cannot stand in a header makes it no token at all. */
static bool take_token(const char *text, char *out)
{
    size_t len;

    while (isspace((unsigned char)*text))
        text++;
    len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    if (len == 0 || len > HF_MAX_TOKEN)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isgraph((unsigned char)text[i]))
            return false;
    }
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

static bool token_file(const char *path, char *out)
{
    own_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    char text[HF_MAX_TOKEN + 64];
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    n = read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    return take_token(text, out);
}

bool hf_token(char *out)
{
    static const struct {
        const char *variable, *rest;
    } places[] = {
        {"HF_TOKEN_PATH",  ""                         },
        {"HF_HOME",        "/token"                   },
        {"XDG_CACHE_HOME", "/huggingface/token"       },
        {"HOME",           "/.cache/huggingface/token"},
    };
    const char *value = getenv("HF_TOKEN");
    char path[4096];

    if (value && *value)
        return take_token(value, out);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        value = getenv(places[i].variable);
        if (!value || !*value)
            continue;
        int n = snprintf(path, sizeof(path), "%s%s", value, places[i].rest);
        return n > 0 && (size_t)n < sizeof(path) && token_file(path, out);
    }
    return false;
}
