/* bundle: a report to send with a question: what was checked and what the machine shows, without
 * whose it is. */
#ifndef DOCTOR_BUNDLE_H
#define DOCTOR_BUNDLE_H

#include "doctor/doctor.h"

enum { BUNDLE_FILES = 8 };

/* Makes the .tar.gz in *out. `shown` is the report as people read it, `document` the same as JSON.
 * files: names and sizes of what is in it (static names). ERR_1201. */
bool bundle_make(const struct doctor_report *r, const struct doctor_options *o,
                 const struct str *shown, const struct str *document, struct str *out,
                 struct bundle_file files[BUNDLE_FILES], struct err *err);

#endif
