/* sysfs: the forms in which drivers write values into /sys, parsed strictly. */
#ifndef AMDGPU_SYSFS_H
#define AMDGPU_SYSFS_H

#include <stdbool.h>

enum { SYSFS_TEXT_MAX = 1024 };

/* Each: false where the text is not of that form, holds nothing, or marks nothing as active. */
bool sysfs_number(const char *text, double *out); /* "42\n", "-3\n" */
bool sysfs_active_mhz(const char *text,
                      double *out); /* of "0: 500Mhz\n1: 2371Mhz *\n" the starred one */
bool sysfs_highest_mhz(const char *text, double *out);
bool sysfs_active_gen(const char *text,
                      double *out); /* of "1: 16.0GT/s, x16 619Mhz *\n" the PCIe generation */
bool sysfs_active_width(const char *text, double *out); /* and the lanes */
bool sysfs_highest_gen(const char *text, double *out);
bool sysfs_highest_width(const char *text, double *out);
bool sysfs_link_gen(const char *text, double *out);   /* "16.0 GT/s PCIe\n" */
bool sysfs_link_width(const char *text, double *out); /* "16\n"; 0 and 63 mean none */

#endif
