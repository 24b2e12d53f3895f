/* run: the built program as a person runs it: real processes, real files, an environment of its
 * own. */
#ifndef TESTS_CLI_RUN_H
#define TESTS_CLI_RUN_H

#include "../base/check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

/* A folder of this test's own, which is the program's working and home folder. No card, no engine,
 * no colour unless the test gives them. */
int run_setup(void **state);
int run_teardown(void **state);
const char *run_folder(void);

/* What a run gave; valid until the next run but seven. */
struct ran {
    int code;
    const char *out, *err;
    double seconds;
};

/* Words are split at blanks; 'single quotes' keep blanks in. NAME=VALUE words in front are its
 * environment. */
struct ran run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Another program the same way, from PATH or by its path (a shell, a helper of the build). */
struct ran run_program(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A file in the folder. */
void run_file(const char *name, const char *text, bool executable);

/* The JSON document on stdout, checked against the schema of its kind; the caller puts it. */
struct json_object *run_json(const struct ran *r, const char *kind);

/* Member by path: "settings.context", "devices.0.layers". Fails the test when it is not there. */
struct json_object *at(struct json_object *doc, const char *path);
int64_t number_at(struct json_object *doc, const char *path);
const char *text_at(struct json_object *doc, const char *path);

int widest_line(const char *text); /* in columns, escape sequences not counted */
int count_lines(const char *text);
void expect_text(const struct ran *r, const char *part); /* stdout holds it */

/* The program exits with code, says nothing on stdout, and gives one error in the house's style
 * whose texts hold `part` (may be NULL); DGO code 0: any. */
void expect_error(const struct ran *r, int exit_code, int dgo, const char *part);

#endif
