/* server: a small HTTP server in the test's own process, honest or not, by path. */
#ifndef TESTS_FETCH_SERVER_H
#define TESTS_FETCH_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>

enum conduct {
    SERVE_RANGES,     /* 206 with what was asked for */
    SERVE_WHOLE,      /* 200 with everything, whatever was asked for */
    SERVE_CHUNKED,    /* 200 in chunks, no length */
    SERVE_CUT,        /* promises all, sends half, closes */
    SERVE_WRONG_PART, /* 206 with the bytes after those that were asked for */
    SERVE_NO_TOTAL,   /* Content-Range: bytes a-b/ followed by a star */
    SERVE_GROWING,    /* every answer states a larger total */
    SERVE_NEW_ETAG,   /* every answer carries another ETag */
    SERVE_REDIRECT,   /* 302 to `location` */
    SERVE_STATUS,     /* `status`, with a page */
    SERVE_SILENCE,    /* takes the request and says nothing */
    SERVE_DRIP,       /* 206, then a byte at a time, slowly */
    SERVE_HEADERS,    /* headers without end */
    SERVE_NOISE,      /* no HTTP at all */
};

struct route {
    const char *path; /* without query; NULL ends the table */
    enum conduct conduct;
    const char *body; /* NULL: size bytes of server_byte */
    uint64_t size;    /* of body, 0: its strlen */
    const char *location;
    int status;
};

struct request_seen {
    char path[256], range[64], token[64]; /* token: "Bearer ..." or "" */
    int connection;                       /* counted from 0 */
};

enum { SERVER_MAX_REQUESTS = 64, SERVER_MAX_CONNECTIONS = 64 };

struct server {
    const struct route *routes;
    int listener, port;
    pthread_t accepter;
    pthread_mutex_t lock;
    int n_connections;
    pthread_t threads[SERVER_MAX_CONNECTIONS];
    int sockets[SERVER_MAX_CONNECTIONS];
    int n_seen;
    struct request_seen seen[SERVER_MAX_REQUESTS];
    char url[64]; /* http://127.0.0.1:PORT */
};

void server_start(struct server *s, const struct route *routes);
void server_stop(struct server *s);

/* The byte at a place of a body that is made up. */
static inline unsigned char server_byte(uint64_t at)
{
    return (unsigned char)(at * 31 + (at >> 9));
}

#endif
