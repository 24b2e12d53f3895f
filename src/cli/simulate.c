/* simulate: makes this process see the simulated driver where --sim, --mock, the environment or
 * `sim start` say so. */
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cli/cli.h"
#include "sim/sim.h"

/* 1, true, yes, on; 0, false, no, off and "" are no. */
static bool read_flag(const char *name, bool *out, struct err *err)
{
    static const char *const yes[] = {"1", "true", "yes", "on"}, *const no[] = {"", "0", "false",
                                                                                "no", "off"};
    const char *text = getenv(name);
    *out = false;
    for (size_t i = 0; text && i < sizeof(yes) / sizeof(yes[0]); i++)
        *out = *out || str_eq_fold(text, yes[i]);
    for (size_t i = 0; text && i < sizeof(no) / sizeof(no[0]); i++)
        if (str_eq_fold(text, no[i]))
            return true;
    if (!text || *out)
        return true;
    err_set(err, ERR_9002, "%s cannot be \"%s\"", name, text);
    return err_fix(err, NULL, "1 or 0");
}

/* The scenario that was asked for, NULL where none was. */
static bool find_wish(const struct cli *c, const char **scenario, struct err *err)
{
    bool mock, mock_telemetry;
    const char *named = getenv("DUALGPUOPT_SIM_SCENARIO");
    *scenario = NULL;
    if (!read_flag("DUALGPUOPT_MOCK_GPU", &mock, err) ||
        !read_flag("DUALGPUOPT_MOCK_TELEMETRY", &mock_telemetry, err))
        return false;
    if (given(c, OPTION_SIM) && given(c, OPTION_MOCK)) {
        err_set(err, ERR_2113, "--sim and --mock (the scenario dual-basic) contradict each other");
        return err_fix(err, NULL, "give one of them");
    }
    *scenario = given(c, OPTION_SIM)                              ? c->words.value[OPTION_SIM]
                : named && *named && !given(c, OPTION_MOCK)       ? named
                : given(c, OPTION_MOCK) || mock || mock_telemetry ? "dual-basic"
                                                                  : NULL;
    return true;
}

bool cli_simulate(const struct cli *c, struct err *err)
{
    char library[WORLD_PATH_MAX];
    const char *scenario, *named = getenv("DUALGPUOPT_NVML_PATH");
    own(own_world) struct world *world = NULL;
    struct err ignored = {0};
    if (!find_wish(c, &scenario, err))
        return false;
    if (!scenario && ((named && *named) || !sim_started() || !sim_present(&world, &ignored)))
        return true;
    if (scenario) {
        struct world_wish wish = {.scenario = scenario, .scale = 1, .seed = 1};
        if (!world_open(&wish, &world, err))
            return false;
        setenv("DUALGPUOPT_SIM_SCENARIO", scenario, 1);
    }
    if (!sim_library(library, err))
        return false;
    setenv("DUALGPUOPT_NVML_PATH", library, 1);
    return true;
}
