/* server: one thread accepts, one more per connection answers; all are joined at the end. */
#include "server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>

#include "base/str.h"

struct asked {
    char method[8], path[256], range[64], token[64];
    bool has_range;
    uint64_t first, last;
};

struct connection {
    struct server *server;
    int fd, number;
};

static bool send_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

static bool send_text(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool send_text(int fd, const char *fmt, ...)
{
    struct str text = {0};
    va_list ap;
    bool ok;

    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    ok = send_all(fd, text.data, text.len);
    str_finish(&text);
    return ok;
}

static uint64_t size_of(const struct route *route)
{
    return route->size || !route->body ? route->size : strlen(route->body);
}

static bool send_body(int fd, const struct route *route, uint64_t from, uint64_t to)
{
    unsigned char block[32768];

    while (from < to) {
        size_t n = to - from < sizeof(block) ? (size_t)(to - from) : sizeof(block);
        for (size_t i = 0; i < n; i++)
            block[i] = route->body ? (unsigned char)route->body[from + i] : server_byte(from + i);
        if (!send_all(fd, block, n))
            return false;
        from += n;
    }
    return true;
}

static bool read_head(int fd, char *head, size_t cap)
{
    size_t len = 0;

    while (len < cap - 1) {
        if (recv(fd, head + len, 1, 0) != 1)
            return false;
        head[++len] = '\0';
        if (len >= 4 && strcmp(head + len - 4, "\r\n\r\n") == 0)
            return true;
    }
    return false;
}

static void take_header(const char *head, const char *name, char *out, size_t cap)
{
    const char *line = strcasestr(head, name);
    size_t len;

    out[0] = '\0';
    if (!line)
        return;
    line += strlen(name);
    len = strcspn(line, "\r\n");
    snprintf(out, cap, "%.*s", (int)len, line);
}

static struct asked parse_head(const char *head)
{
    struct asked a = {0};
    char *query;

    sscanf(head, "%7s %255s", a.method, a.path);
    take_header(head, "\r\nRange: ", a.range, sizeof(a.range));
    take_header(head, "\r\nAuthorization: ", a.token, sizeof(a.token));
    a.has_range = sscanf(a.range, "bytes=%" SCNu64 "-%" SCNu64, &a.first, &a.last) == 2;
    query = strchr(a.path, '?');
    if (query)
        *query = '\0';
    return a;
}

static void remember(struct connection *c, const struct asked *a)
{
    struct server *s = c->server;

    pthread_mutex_lock(&s->lock);
    if (s->n_seen < SERVER_MAX_REQUESTS) {
        struct request_seen *seen = &s->seen[s->n_seen++];
        snprintf(seen->path, sizeof(seen->path), "%s", a->path);
        snprintf(seen->range, sizeof(seen->range), "%s", a->range);
        snprintf(seen->token, sizeof(seen->token), "%s", a->token);
        seen->connection = c->number;
    }
    pthread_mutex_unlock(&s->lock);
}

static const struct route *find_route(const struct server *s, const char *path)
{
    static const struct route missing = {.conduct = SERVE_STATUS, .status = 404};

    for (const struct route *r = s->routes; r->path; r++) {
        if (strcmp(r->path, path) == 0)
            return r;
    }
    return &missing;
}

static bool answer_range(int fd, const struct route *route, const struct asked *a, int nth)
{
    uint64_t size = size_of(route), first = a->first, last = a->last;
    uint64_t total = size + (route->conduct == SERVE_GROWING ? (uint64_t)nth : 0);
    char text[32] = "*";

    if (first >= size)
        return send_text(fd,
                         "HTTP/1.1 416 Range\r\nContent-Range: bytes */%" PRIu64
                         "\r\nContent-Length: 0\r\n\r\n",
                         size);
    if (last >= size)
        last = size - 1;
    if (route->conduct != SERVE_NO_TOTAL)
        snprintf(text, sizeof(text), "%" PRIu64, total);
    if (route->conduct == SERVE_WRONG_PART && last + 1 < size)
        first++, last++;
    if (!send_text(fd,
                   "HTTP/1.1 206 Partial\r\nContent-Length: %" PRIu64
                   "\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64 "/%s\r\nETag: \"%d\"\r\n\r\n",
                   last + 1 - first, first, last, text, route->conduct == SERVE_NEW_ETAG ? nth : 7))
        return false;
    if (route->conduct == SERVE_CUT) {
        send_body(fd, route, first, first + (last - first) / 2);
        return false;
    }
    if (route->conduct == SERVE_DRIP) {
        for (uint64_t at = first; at <= last; at++, usleep(20000)) {
            if (!send_body(fd, route, at, at + 1))
                return false;
        }
        return true;
    }
    return send_body(fd, route, first, last + 1);
}

static bool answer_chunked(int fd, const struct route *route)
{
    uint64_t size = size_of(route);

    return send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%" PRIx64 "\r\n",
                     size) &&
           send_body(fd, route, 0, size) && send_text(fd, "\r\n0\r\n\r\n");
}

static bool answer_headers(int fd)
{
    bool ok = send_text(fd, "HTTP/1.1 200 OK\r\n");

    for (int i = 0; ok; i++)
        ok = send_text(fd, "X-Filler-%d: %0200d\r\n", i, i);
    return false;
}

/* False: the connection is over. */
static bool answer(int fd, const struct route *route, const struct asked *a, int nth)
{
    char nothing[64];

    switch (route->conduct) {
    case SERVE_REDIRECT:
        return send_text(fd, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 5\r\n\r\nmoved",
                         route->location);
    case SERVE_STATUS:
        return send_text(fd,
                         "HTTP/1.1 %d Status\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\npage",
                         route->status);
    case SERVE_CHUNKED: return answer_chunked(fd, route);
    case SERVE_HEADERS: return answer_headers(fd);
    case SERVE_NOISE: return send_text(fd, "220 welcome\r\n") && false;
    case SERVE_SILENCE:
        while (recv(fd, nothing, sizeof(nothing), 0) > 0)
            ;
        return false;
    default: break;
    }
    if (a->has_range && route->conduct != SERVE_WHOLE)
        return answer_range(fd, route, a, nth);
    return send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: %" PRIu64 "\r\n\r\n",
                     size_of(route)) &&
           (strcmp(a->method, "HEAD") == 0 || send_body(fd, route, 0, size_of(route)));
}

static void *serve_connection(void *arg)
{
    struct connection *c = arg;
    char head[8192];

    for (int nth = 0; read_head(c->fd, head, sizeof(head)); nth++) {
        struct asked a = parse_head(head);
        remember(c, &a);
        if (!answer(c->fd, find_route(c->server, a.path), &a, nth))
            break;
    }
    shutdown(c->fd, SHUT_RDWR);
    free(c);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct server *s = arg;
    int fd;

    while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
        struct connection *c = malloc(sizeof(*c));
        assert_true(c && s->n_connections < SERVER_MAX_CONNECTIONS);
        *c = (struct connection){.server = s, .fd = fd, .number = s->n_connections};
        s->sockets[c->number] = fd;
        assert_int_equal(pthread_create(&s->threads[c->number], NULL, serve_connection, c), 0);
        s->n_connections++;
    }
    return NULL;
}

void server_start(struct server *s, const struct route *routes)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    *s = (struct server){.routes = routes, .lock = PTHREAD_MUTEX_INITIALIZER};
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->listener >= 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(s->listener, 16), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&address, &len), 0);
    s->port = ntohs(address.sin_port);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d", s->port);
    assert_int_equal(pthread_create(&s->accepter, NULL, accept_all, s), 0);
}

void server_stop(struct server *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->accepter, NULL);
    close(s->listener);
    for (int i = 0; i < s->n_connections; i++) {
        shutdown(s->sockets[i], SHUT_RDWR);
        pthread_join(s->threads[i], NULL);
        close(s->sockets[i]);
    }
}
