/* transfer: drives libcurl for one request at a time and turns what went wrong into our errors. */
#include "fetch/transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/own.h"
#include "fetch/answer.h"
#include "fetch/hf.h"
#include "fetch/url.h"

/* One request while it runs. A range is stored in out, a text is added to text. */
struct request {
    struct fetch_link *link;
    struct answer_head head;
    uint64_t start, pos; /* in the file: first byte wanted, next byte of the body */
    size_t want, got;
    unsigned char *out;
    struct str *text;
    bool begun;
    bool done; /* enough: what curl says about the rest does not matter */
    char problem[160];
};

bool fetch_link_init(struct fetch_link *l, const char *url, const struct fetch_options *options,
                     struct err *err)
{
    const struct fetch_options none = {0};
    int64_t ms;

    if (!options)
        options = &none;
    ms = options->total_ms > 0 ? options->total_ms : FETCH_TOTAL_MS;
    *l = (struct fetch_link){.bytes_left = FETCH_MAX_BYTES};
    if (options->max_bytes && options->max_bytes < FETCH_MAX_BYTES)
        l->bytes_left = options->max_bytes;
    l->deadline_ns = clock_mono_ns() + (uint64_t)ms * 1000000;
    l->curl = libcurl_load(err);
    if (!l->curl || !url_check(l->curl, url, &l->name, err))
        return false;
    l->url = strdup(url);
    l->easy = l->curl->easy_init();
    l->send_token = url_of_hub(l->curl, url);
    if (!l->url || !l->easy)
        return err_set(err, ERR_1201, "%s: no memory to fetch it", l->name);
    return true;
}

void fetch_link_finish(struct fetch_link *l)
{
    if (l->easy)
        l->curl->easy_cleanup(l->easy);
    free(l->url);
    free(l->name);
    *l = (struct fetch_link){0};
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    struct request *r = ctx;

    if (answer_line(&r->head, line, size * n))
        return size * n;
    snprintf(r->problem, sizeof(r->problem), "its answer has a header that makes no sense");
    return 0;
}

/* At the first byte of a body: does it hold what was asked for? */
static bool begin_body(struct request *r)
{
    const struct answer_head *head = &r->head;

    r->begun = true;
    if (r->text)
        return true;
    if (head->status == 206 && (!head->has_range || head->range_start != r->start)) {
        snprintf(r->problem, sizeof(r->problem), "it sent another part than bytes from %" PRIu64,
                 r->start);
        return false;
    }
    if (head->status == 200 && !head->has_length) {
        snprintf(r->problem, sizeof(r->problem), "it does not say how long the file is");
        return false;
    }
    r->pos = head->status == 206 ? r->start : 0;
    return true;
}

static void store(struct request *r, const char *data, size_t n)
{
    uint64_t skip = r->pos < r->start ? r->start - r->pos : 0;

    r->pos += n;
    if (skip >= n)
        return;
    data += skip;
    n -= skip;
    if (n > r->want - r->got)
        n = r->want - r->got;
    memcpy(r->out + r->got, data, n);
    r->got += n;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    struct request *r = ctx;
    size_t bytes = size * n;
    bool surplus;

    if (bytes > r->link->bytes_left) {
        snprintf(r->problem, sizeof(r->problem), "it sent more than the bound on a header");
        return 0;
    }
    r->link->bytes_left -= bytes;
    if (r->head.status != 200 && (r->head.status != 206 || r->text)) {
        r->done = true; /* a page about an error: its status says enough */
        return 0;
    }
    if (!r->begun && !begin_body(r))
        return 0;
    if (r->text) {
        if (bytes > r->want - r->got) {
            snprintf(r->problem, sizeof(r->problem), "its answer is longer than %zu bytes",
                     r->want);
            return 0;
        }
        str_add_n(r->text, data, bytes);
        r->got += bytes;
        return r->text->failed ? 0 : bytes;
    }
    surplus = r->pos + bytes > r->start + r->want;
    store(r, data, bytes);
    /* a whole 206 is read to its end, so that the connection can be used again */
    r->done = r->got == r->want && (surplus || r->head.status == 200);
    return r->done ? 0 : bytes;
}

static bool set_options(struct fetch_link *l, struct request *r, char *error_text, int64_t left_ms,
                        const char *range, const char *token)
{
    CURLcode (*set)(CURL *, CURLoption, ...) = l->curl->easy_setopt;
    const char *redirects = strncasecmp(l->url, "https:", 6) == 0 ? "https" : "http,https";
    CURLcode bad = CURLE_OK;

    bad |= set(l->easy, CURLOPT_URL, l->url);
    bad |= set(l->easy, CURLOPT_NOSIGNAL, 1L);
    bad |= set(l->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= set(l->easy, CURLOPT_REDIR_PROTOCOLS_STR, redirects);
    bad |= set(l->easy, CURLOPT_FOLLOWLOCATION, 1L);
    bad |= set(l->easy, CURLOPT_MAXREDIRS, (long)FETCH_MAX_REDIRECTS);
    bad |= set(l->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)FETCH_CONNECT_MS);
    bad |= set(l->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    bad |= set(l->easy, CURLOPT_LOW_SPEED_TIME, (long)FETCH_STALL_S);
    bad |= set(l->easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
    bad |= set(l->easy, CURLOPT_USERAGENT, "dualgpuopt/" DUALGPUOPT_VERSION);
    bad |= set(l->easy, CURLOPT_BUFFERSIZE, 128L << 10);
    bad |= set(l->easy, CURLOPT_RANGE, range);
    bad |= set(l->easy, CURLOPT_HTTPAUTH, token ? CURLAUTH_BEARER : CURLAUTH_NONE);
    bad |= set(l->easy, CURLOPT_XOAUTH2_BEARER, token);
    bad |= set(l->easy, CURLOPT_ERRORBUFFER, error_text);
    bad |= set(l->easy, CURLOPT_HEADERFUNCTION, on_header);
    bad |= set(l->easy, CURLOPT_HEADERDATA, r);
    bad |= set(l->easy, CURLOPT_WRITEFUNCTION, on_body);
    bad |= set(l->easy, CURLOPT_WRITEDATA, r);
    return bad == CURLE_OK;
}

static bool explain_status(const struct fetch_link *l, const struct answer_head *head, bool token,
                           struct err *err)
{
    int status = head->status;

    if (status == 404 || status == 410) {
        err_set(err, ERR_2001, "%s: not there (HTTP %d)", l->name, status);
        return err_fix(err, NULL,
                       "check the name; models that need a token may also hide like this");
    }
    if (status == 401 || status == 403) {
        err_set(err, ERR_2006, "%s: the server refuses (HTTP %d)", l->name, status);
        err_why(err, !l->send_token ? "no token is sent to servers other than the hub's"
                     : token        ? "the token that was sent is not allowed to read it"
                                    : "no token was found in HF_TOKEN nor in the hub's token file");
        err_why(err, "hubs answer like this also for names that do not exist");
        return err_fix(err, "export HF_TOKEN=...",
                       "accept the model's terms on its page and set a token that may read it");
    }
    err_set(err, ERR_2005, "%s: the server answers HTTP %d", l->name, status);
    if (head->retry_after)
        err_why(err, "it asks to wait %" PRIu64 " seconds", head->retry_after);
    return err_fix(err, NULL, "try again later, or get the file and name it by its path");
}

static bool explain_curl(const struct fetch_link *l, CURLcode code, const char *text,
                         struct err *err)
{
    if (code == CURLE_OPERATION_TIMEDOUT)
        err_set(err, ERR_2005, "%s: the server took too long", l->name);
    else if (code == CURLE_PARTIAL_FILE)
        err_set(err, ERR_2005, "%s: the answer ended early", l->name);
    else
        err_set(err, ERR_2005, "%s: cannot be fetched", l->name);
    err_why(err, "%s", *text ? text : l->curl->easy_strerror(code));
    return err_fix(err, NULL, "check the network and the name, then try again");
}

/* Later requests go straight to where this one was led. */
static bool follow(struct fetch_link *l, struct err *err)
{
    char *url = NULL;

    l->curl->easy_getinfo(l->easy, CURLINFO_EFFECTIVE_URL, &url);
    if (!url || strcmp(url, l->url) == 0)
        return true;
    url = strdup(url);
    if (!url)
        return err_set(err, ERR_1201, "%s: no memory to fetch it", l->name);
    free(l->url);
    l->url = url;
    l->send_token = url_of_hub(l->curl, url);
    return true;
}

static bool perform(struct fetch_link *l, struct request *r, const char *range, struct err *err)
{
    char text[CURL_ERROR_SIZE] = "", token[HF_MAX_TOKEN + 1];
    bool has_token = l->send_token && hf_token(token);
    int64_t left_ms = ((int64_t)l->deadline_ns - (int64_t)clock_mono_ns()) / 1000000;
    CURLcode code;

    if (left_ms <= 0)
        return explain_curl(l, CURLE_OPERATION_TIMEDOUT, "the time for it is used up", err);
    if (!set_options(l, r, text, left_ms, range, has_token ? token : NULL))
        return err_set(err, ERR_2005, "%s: this libcurl is too old to be used", l->name);
    code = l->curl->easy_perform(l->easy);
    l->curl->easy_setopt(l->easy, CURLOPT_ERRORBUFFER, NULL);
    if (r->problem[0]) {
        err_set(err, ERR_2005, "%s: %s", l->name, r->problem);
        return err_fix(err, NULL, "get the file and name it by its path");
    }
    if (code != CURLE_OK && !r->done)
        return explain_curl(l, code, text, err);
    if (r->head.status == 416 && r->head.has_range && !r->text)
        return true;
    if (r->head.status != 200 && (r->head.status != 206 || r->text))
        return explain_status(l, &r->head, has_token, err);
    return follow(l, err);
}

static bool same_file(struct fetch_link *l, const struct answer_head *head, struct err *err)
{
    if (l->etag[0] && head->etag[0] && strcmp(l->etag, head->etag) != 0) {
        err_set(err, ERR_2005, "%s: changed on the server while it was read", l->name);
        return err_fix(err, NULL, "try again");
    }
    memcpy(l->etag, head->etag, sizeof(l->etag));
    return true;
}

bool fetch_link_range(struct fetch_link *l, uint64_t start, size_t want, void *out,
                      struct fetch_answer *answer, struct err *err)
{
    struct request r = {.link = l, .start = start, .want = want, .out = out};
    uint64_t total, expected;
    char range[64];

    snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, start, start + want - 1);
    if (!perform(l, &r, range, err) || !same_file(l, &r.head, err))
        return false;
    if (r.head.status != 200 && !r.head.has_range)
        return err_set(err, ERR_2005, "%s: the server does not say how long the file is", l->name);
    total = r.head.status == 200 ? r.head.length : r.head.range_total;
    expected = total > start ? total - start : 0;
    if (expected > want)
        expected = want;
    if (r.got < expected) {
        err_set(err, ERR_2005, "%s: the answer ended early", l->name);
        err_why(err, "%zu bytes came where %" PRIu64 " were promised", r.got, expected);
        return err_fix(err, NULL, "try again, or get the file and name it by its path");
    }
    *answer = (struct fetch_answer){.total = total, .got = (size_t)expected};
    return true;
}

bool fetch_link_text(struct fetch_link *l, size_t limit, struct str *out, struct err *err)
{
    struct request r = {.link = l, .want = limit, .text = out};

    if (!perform(l, &r, NULL, err))
        return false;
    if (out->failed)
        return err_set(err, ERR_1201, "%s: no memory for its text", l->name);
    return true;
}
