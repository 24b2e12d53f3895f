/* error_json: an error as the document that scripts read (kind "error"). */
#ifndef API_ERROR_JSON_H
#define API_ERROR_JSON_H

#include "base/err.h"
#include "base/str.h"

/* Appends the document to out, with a newline. out->failed tells about memory. */
void error_json(const struct err *e, struct str *out);

#endif
