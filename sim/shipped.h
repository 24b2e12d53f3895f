/* shipped: the scenarios that come with the program, embedded. */
#ifndef SIM_SHIPPED_H
#define SIM_SHIPPED_H

struct shipped {
    const char *name, *text;
};
extern const struct shipped shipped_scenarios[]; /* the last has no name */

#endif
