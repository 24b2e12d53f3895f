/* fault: words into faults; the same words stand in scenario files and behind `sim inject`. */
#include "sim/fault.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sim/scenario.h"

static const struct {
    const char *name, *unit;
} kinds[] = {
    {"", ""},
#define X(id, name, unit, help) {name, unit},
    SIM_FAULTS(X)
#undef X
};

static const char *const fields[] = {
    "",
#define X(name, member) name,
    SIM_FIELDS(X)
#undef X
};

const char *fault_name(enum sim_fault_kind kind)
{
    return kind > SIM_FAULT_NONE && kind < SIM_FAULT_KINDS ? kinds[kind].name : "none";
}

enum sim_field fault_field(const char *name)
{
    for (int i = 1; i < SIM_FIELD_COUNT; i++)
        if (strcmp(fields[i], name) == 0)
            return (enum sim_field)i;
    return SIM_FIELD_NONE;
}

bool fault_number(const char *text, enum sim_field field, uint64_t *out)
{
    bool bytes = field >= SIM_FIELD_total_bytes && field <= SIM_FIELD_reserved_bytes;
    size_t len = strlen(text);
    char *end;
    if (len == 0 || len > 40)
        return false;
    double plain = strtod(text, &end);
    if (*end == 0 && end != text && plain >= 0 && plain <= 1.8446744073709551e19)
        *out = plain >= 1.8446744073709551e19 ? UINT64_MAX : (uint64_t)plain;
    else if (bytes)
        return str_parse_size(text, out);
    else if (strcmp(end, "W") == 0 && plain >= 0 && plain < 1e9)
        *out = (uint64_t)llround(plain * 1000);
    else
        return false;
    return true;
}

static enum sim_fault_kind kind_of(const char *word)
{
    for (int i = 1; i < SIM_FAULT_KINDS; i++)
        if (strcmp(kinds[i].name, word) == 0)
            return (enum sim_fault_kind)i;
    return SIM_FAULT_NONE;
}

static bool no_kind(const char *word, struct err *err)
{
    const char *names[SIM_FAULT_KINDS];
    for (int i = 1; i < SIM_FAULT_KINDS; i++)
        names[i - 1] = kinds[i].name;
    const char *near = str_nearest(word, names, SIM_FAULT_KINDS - 1);
    err_set(err, ERR_1501, "no fault is called \"%.40s\"", word);
    return near ? err_fix(err, NULL, "did you mean \"%s\"?", near)
                : err_fix(err, NULL, "lost, hang, slow, error, xid, link-width, set ...");
}

static bool bad_value(const char *key, const char *value, struct err *err)
{
    return err_set(err, ERR_1501, "\"%.40s\" is no value for %.40s", value, key);
}

static bool take_kind(struct sim_fault *f, enum sim_fault_kind kind, const char *value, struct err *err)
{
    int64_t ns = 0;
    if (f->kind != SIM_FAULT_NONE)
        return err_set(err, ERR_1501, "a fault is one thing: %s or %s", kinds[f->kind].name, kinds[kind].name);
    bool wants = *kinds[kind].unit != 0;
    if (wants != (*value != 0))
        return wants ? err_set(err, ERR_1501, "%s needs a number (%s)", kinds[kind].name, kinds[kind].unit)
                     : bad_value(kinds[kind].name, value, err);
    if (kind == SIM_FAULT_SLOW && (!scenario_time(value, &ns) || ns > (int64_t)60000000000))
        return bad_value("slow", value, err);
    if (kind == SIM_FAULT_SLOW)
        f->value = (uint64_t)ns;
    else if (wants && !fault_number(value, kind == SIM_FAULT_SET ? SIM_FIELD_power_mw : SIM_FIELD_NONE, &f->value) &&
             !(kind == SIM_FAULT_SET && str_parse_size(value, &f->value)))
        return bad_value(kinds[kind].name, value, err);
    f->kind = kind;
    return true;
}

bool fault_word(struct sim_fault *f, const char *key, const char *value, struct err *err)
{
    int64_t number;
    enum sim_fault_kind kind = kind_of(key);
    if (kind != SIM_FAULT_NONE)
        return take_kind(f, kind, value, err);
    if (strcmp(key, "gpu") == 0) {
        if (!str_parse_i64(value, 0, SIM_GPUS_MAX - 1, false, &number))
            return bad_value(key, value, err);
        f->gpu = (int32_t)number + 1; /* 0 until fault_check: not said */
    } else if (strcmp(key, "at") == 0) {
        if (!scenario_time(value, &f->at_ns))
            return bad_value(key, value, err);
    } else if (strcmp(key, "for") == 0) {
        if (!scenario_time(value, &f->until_ns) || f->until_ns == 0)
            return bad_value(key, value, err);
    } else if (strcmp(key, "field") == 0) {
        f->field = fault_field(value);
        if (f->field == SIM_FIELD_NONE)
            return bad_value(key, value, err);
    } else if (strcmp(key, "call") == 0) {
        if (strlen(value) >= SIM_CALL_MAX || !str_starts(value, "nvml"))
            return bad_value(key, value, err);
        memcpy(f->call, value, strlen(value) + 1);
    } else {
        return no_kind(key, err);
    }
    return true;
}

bool fault_check(struct sim_fault *f, struct err *err)
{
    if (f->kind == SIM_FAULT_NONE)
        return err_set(err, ERR_1501, "a fault without saying which");
    if (f->kind == SIM_FAULT_SET && f->field == SIM_FIELD_NONE)
        return err_set(err, ERR_1501, "set needs the field it sets");
    if (f->kind == SIM_FAULT_HIDE && !f->call[0])
        return err_set(err, ERR_1501, "hide needs the call it hides");
    f->gpu = f->gpu - 1; /* not said: SIM_ALL_GPUS */
    f->until_ns = f->until_ns ? f->at_ns + f->until_ns : SIM_NEVER;
    return true;
}

bool fault_parse(const char *text, struct sim_fault *out, struct err *err)
{
    struct sim_fault f = {0};
    char copy[256], *save = NULL;
    if (strlen(text) >= sizeof(copy))
        return err_set(err, ERR_1501, "a fault of more than %zu characters", sizeof(copy) - 1);
    memcpy(copy, text, strlen(text) + 1);
    for (char *word = strtok_r(copy, " ,", &save); word; word = strtok_r(NULL, " ,", &save)) {
        char *value = strchr(word, '=');
        if (value)
            *value++ = 0;
        if (!fault_word(&f, word, value ? value : "", err))
            return false;
    }
    if (!fault_check(&f, err))
        return false;
    *out = f;
    return true;
}
