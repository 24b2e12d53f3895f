/* call: what every call of the simulated driver begins and ends with: state, faults, delays, the
 * record. */
#ifndef SIM_DRIVER_CALL_H
#define SIM_DRIVER_CALL_H

#include <stdbool.h>
#include <stddef.h>

#include "sim/driver/abi.h"
#include "sim/world.h"

#define API __attribute__((visibility("default")))

struct call {
    const char *name;
    int code; /* not 0: the answer, at once */
    struct world *world;
    const struct sim_scenario *scenario;
    const struct sim_gpu *gpu; /* of calls on a card */
    uint32_t index;
    int32_t mig;  /* MIG device, or -1 */
    int64_t t_ns; /* simulated */
    uint64_t begun_ns;
    int64_t list_count; /* what lists are to say they hold, or -1 */
    bool endless;       /* texts without an end */
};

/* A call on no card. `any` calls work before init too. */
struct call call_begin(const char *name);
/* A call on a card or a MIG device; others are bad handles. */
struct call call_begin_on(const char *name, const void *device);
/* The whole card only: MIG devices answer NOT_SUPPORTED. */
struct call call_begin_whole(const char *name, const void *device);
int call_end(const struct call *c, int code);

struct reading call_read(const struct call *c);
struct sim_fault;
/* Sum of the values of such faults on the card that have begun. */
uint64_t call_count(const struct call *c, enum sim_fault_kind kind);
bool call_version(const struct call *c, uint32_t said, uint32_t expected);
int call_text(const struct call *c, const char *text, char *out, uint32_t room);
/* Whether the card answers at all: 0, 15, 999 or 4. */
int call_trouble(struct world *w, uint32_t index, int64_t t_ns);

int driver_init(const char *name);
int driver_shutdown(const char *name);
/* The world of this process, joined when it is first asked for; NULL: none. */
struct world *driver_world(void);
/* Around what uses the world outside of a call: it stays mapped between them. */
void driver_enter(void);
void driver_leave(void);

void *handle_of(uint32_t gpu, int32_t mig);
bool handle_read(const void *handle, uint32_t *gpu, int32_t *mig);

/* Begin, or be done. */
#define BEGIN                             \
    struct call c = call_begin(__func__); \
    if (c.code)                           \
    return call_end(&c, c.code)
#define BEGIN_ON(device)                             \
    struct call c = call_begin_on(__func__, device); \
    if (c.code)                                      \
    return call_end(&c, c.code)
#define BEGIN_WHOLE(device)                             \
    struct call c = call_begin_whole(__func__, device); \
    if (c.code)                                         \
    return call_end(&c, c.code)
#define END(code) return call_end(&c, code)
#define NEED(condition)                               \
    do {                                              \
        if (!(condition))                             \
            return call_end(&c, NV_INVALID_ARGUMENT); \
    } while (0)
#define SUPPORT(condition)                         \
    do {                                           \
        if (!(condition))                          \
            return call_end(&c, NV_NOT_SUPPORTED); \
    } while (0)

#endif
