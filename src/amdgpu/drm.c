/* drm: keeps the files of one card open and reads them by the rows of its driver. */
#include "amdgpu/drm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "amdgpu/gpu_metrics.h"
#include "amdgpu/rows.h"
#include "amdgpu/sysfs.h"
#include "base/file.h"
#include "base/str.h"

enum { PATH_TEXT_MAX = 512, SENSORS_MAX = 12, FOLDER_MAX = 4096 };

static const char *const driver_names[] = {
    [DRM_AMDGPU] = "amdgpu", [DRM_I915] = "i915", [DRM_XE] = "xe"};

struct drm_gpu {
    struct drm_card card;
    const struct drm_row *rows;
    uint32_t n_rows;
    int fd[DRM_ROWS_MAX]; /* -1: not there, may not be read, or of DRM_ONCE */
    int metrics_fd;
    uint32_t opened, denied;
    bool integrated;
    unsigned sensor[3]; /* numbers of the edge, junction and memory sensors; 0: none */
    char folder[PATH_TEXT_MAX], hwmon[PATH_TEXT_MAX]; /* cardN; its hwmon folder or "" */
};

const char *drm_driver_name(enum drm_driver driver)
{
    return driver_names[driver];
}

static void folder_of(const char *root, uint32_t number, char out[PATH_TEXT_MAX])
{
    snprintf(out, PATH_TEXT_MAX, "%.400s/sys/class/drm/card%" PRIu32, root ? root : "", number);
}

/* folder/name, or false where it is too long. */
static bool join(const char *folder, const char *name, char *out, size_t cap)
{
    int n = snprintf(out, cap, "%s/%s", folder, name);
    return n > 0 && (size_t)n < cap;
}

static ssize_t read_in(const char *folder, const char *name, char out[SYSFS_TEXT_MAX])
{
    char path[PATH_TEXT_MAX];
    out[0] = 0;
    return join(folder, name, path, sizeof(path)) ? file_read_text(path, out, SYSFS_TEXT_MAX) : -1;
}

/* ---- finding ---- */

/* The value of KEY= in a uevent file, cut at its line's end. */
static bool uevent_value(const char *text, const char *key, char *out, size_t cap)
{
    size_t n = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (strncmp(line, key, n) != 0 || line[n] != '=')
            continue;
        size_t len = strcspn(line + n + 1, "\n");
        if (len == 0 || len >= cap)
            return false;
        memcpy(out, line + n + 1, len);
        out[len] = 0;
        return true;
    }
    return false;
}

static bool plain_text(const char *s)
{
    for (; *s; s++)
        if (*s <= ' ' || *s > '~')
            return false;
    return true;
}

static bool read_card(const char *root, uint32_t number, struct drm_card *out)
{
    char folder[PATH_TEXT_MAX], text[SYSFS_TEXT_MAX], driver[16], id[16];
    struct drm_card c = {.number = number};
    unsigned vendor, device;
    int kind = -1;
    folder_of(root, number, folder);
    if (read_in(folder, "device/uevent", text) <= 0 ||
        !uevent_value(text, "DRIVER", driver, sizeof(driver)) ||
        !uevent_value(text, "PCI_SLOT_NAME", c.pci, sizeof(c.pci)) || !plain_text(c.pci))
        return false;
    for (int i = 0; i < (int)(sizeof(driver_names) / sizeof(driver_names[0])); i++)
        if (strcmp(driver, driver_names[i]) == 0)
            kind = i;
    if (kind < 0)
        return false;
    c.driver = (enum drm_driver)kind;
    if (uevent_value(text, "PCI_ID", id, sizeof(id)) &&
        sscanf(id, "%4x:%4x", &vendor, &device) == 2) {
        c.vendor = (uint16_t)vendor;
        c.device = (uint16_t)device;
    }
    *out = c;
    return true;
}

static int by_pci(const void *a, const void *b)
{
    const struct drm_card *x = a, *y = b;
    int order = strcmp(x->pci, y->pci);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

uint32_t drm_list(const char *sysfs_root, struct drm_card out[DRM_MAX_CARDS])
{
    char path[PATH_TEXT_MAX];
    const struct dirent *entry;
    uint32_t n = 0;
    snprintf(path, sizeof(path), "%.400s/sys/class/drm", sysfs_root ? sysfs_root : "");
    DIR *dir = opendir(path);
    for (int i = 0; dir && n < DRM_MAX_CARDS && i < FOLDER_MAX && (entry = readdir(dir)); i++) {
        int64_t number;
        struct drm_card c;
        bool again = false;
        if (!str_starts(entry->d_name, "card") ||
            !str_parse_i64(entry->d_name + 4, 0, 65535, false, &number) ||
            !read_card(sysfs_root, (uint32_t)number, &c))
            continue;
        for (uint32_t k = 0; k < n; k++) /* partitions of one card are cards of their own to DRM */
            again = again || strcmp(out[k].pci, c.pci) == 0;
        if (!again)
            out[n++] = c;
    }
    if (dir)
        closedir(dir);
    qsort(out, n, sizeof(out[0]), by_pci);
    return n;
}

enum drm_power_state drm_power_state(const char *sysfs_root, const struct drm_card *card)
{
    char folder[PATH_TEXT_MAX], path[PATH_TEXT_MAX], text[SYSFS_TEXT_MAX];
    folder_of(sysfs_root, card->number, folder);
    if (read_in(folder, "device/power/runtime_status", text) > 0)
        return str_starts(text, "suspend") ? DRM_SUSPENDED : DRM_ACTIVE;
    return join(folder, "device", path, sizeof(path)) && access(path, F_OK) == 0 ? DRM_ACTIVE
                                                                                 : DRM_ABSENT;
}

/* ---- opening ---- */

/* The lowest hwmon folder that the card's own driver made. */
static void find_hwmon(struct drm_gpu *g)
{
    char path[PATH_TEXT_MAX], one[PATH_TEXT_MAX], name[SYSFS_TEXT_MAX];
    const struct dirent *entry;
    int64_t number, best = INT64_MAX;
    DIR *dir = join(g->folder, "device/hwmon", path, sizeof(path)) ? opendir(path) : NULL;
    for (int i = 0; dir && i < FOLDER_MAX && (entry = readdir(dir)); i++) {
        if (!str_starts(entry->d_name, "hwmon") ||
            !str_parse_i64(entry->d_name + 5, 0, 1 << 20, false, &number) || number >= best)
            continue;
        if (!join(path, entry->d_name, one, sizeof(one)) || read_in(one, "name", name) <= 0)
            continue;
        name[strcspn(name, "\n")] = 0;
        if (strcmp(name, driver_names[g->card.driver]) != 0)
            continue;
        memcpy(g->hwmon, one, sizeof(one));
        best = number;
    }
    if (dir)
        closedir(dir);
}

/* Sensors go by their labels: their numbers differ between chips. */
static void find_sensors(struct drm_gpu *g)
{
    static const char *const labels[] = {"edge", "junction", "mem"};
    char name[32], text[SYSFS_TEXT_MAX];
    for (unsigned i = 1; g->hwmon[0] && i <= SENSORS_MAX; i++) {
        snprintf(name, sizeof(name), "temp%u_label", i);
        if (read_in(g->hwmon, name, text) <= 0)
            continue;
        text[strcspn(text, "\n")] = 0;
        for (int k = 0; k < 3; k++)
            if (strcmp(text, labels[k]) == 0 && !g->sensor[k])
                g->sensor[k] = i;
    }
}

static bool path_of(const struct drm_gpu *g, const struct drm_row *row, char *out, size_t cap)
{
    int n = -1;
    switch (row->place) {
    case IN_CARD: n = snprintf(out, cap, "%s/%s", g->folder, row->path); break;
    case IN_DEVICE: n = snprintf(out, cap, "%s/device/%s", g->folder, row->path); break;
    case IN_HWMON:
        if (g->hwmon[0])
            n = snprintf(out, cap, "%s/%s", g->hwmon, row->path);
        break;
    case AT_EDGE:
    case AT_JUNCTION:
    case AT_MEMORY: {
        unsigned sensor = g->sensor[row->place - AT_EDGE];
        if (sensor)
            n = snprintf(out, cap, "%s/temp%u_%s", g->hwmon, sensor, row->path);
        break;
    }
    }
    return n > 0 && (size_t)n < cap;
}

static int open_file(struct drm_gpu *g, const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    g->opened += fd >= 0;
    g->denied += fd < 0 && (errno == EACCES || errno == EPERM);
    return fd;
}

struct drm_gpu *drm_open(const char *sysfs_root, const struct drm_card *card)
{
    char path[PATH_TEXT_MAX];
    struct drm_gpu *g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    g->card = *card;
    g->integrated = card->driver != DRM_AMDGPU && strcmp(card->pci, "0000:00:02.0") == 0;
    folder_of(sysfs_root, card->number, g->folder);
    find_hwmon(g);
    find_sensors(g);
    g->rows = drm_rows(card->driver, &g->n_rows);
    for (uint32_t i = 0; i < g->n_rows; i++)
        g->fd[i] = g->rows[i].pace != DRM_ONCE && path_of(g, &g->rows[i], path, sizeof(path))
                       ? open_file(g, path)
                       : -1;
    g->metrics_fd =
        card->driver == DRM_AMDGPU && join(g->folder, "device/gpu_metrics", path, sizeof(path))
            ? open_file(g, path)
            : -1;
    return g;
}

void drm_close(struct drm_gpu *gpu)
{
    if (!gpu)
        return;
    for (uint32_t i = 0; i < gpu->n_rows; i++)
        if (gpu->fd[i] >= 0)
            close(gpu->fd[i]);
    if (gpu->metrics_fd >= 0)
        close(gpu->metrics_fd);
    free(gpu);
}

/* ---- reading ---- */

/* A whole small file from its start, by path where it is not kept open. */
static ssize_t read_row(const struct drm_gpu *g, uint32_t i, char text[SYSFS_TEXT_MAX])
{
    char path[PATH_TEXT_MAX];
    if (g->rows[i].pace == DRM_ONCE)
        return path_of(g, &g->rows[i], path, sizeof(path))
                   ? file_read_text(path, text, SYSFS_TEXT_MAX)
                   : -1;
    if (g->fd[i] < 0)
        return -1;
    ssize_t n = pread(g->fd[i], text, SYSFS_TEXT_MAX - 1, 0);
    if (n >= 0)
        text[n] = 0;
    return n;
}

/* Numbers of the kernel that no card has: all but temperatures are never negative, and shares end
 * at 100. */
static bool believable(enum drm_value v, double value)
{
    if (v == DRM_TEMPERATURE || v == DRM_MEMORY_TEMPERATURE)
        return value > -100 && value < 300;
    if (v == DRM_BUSY || v == DRM_MEMORY_BUSY)
        return value >= 0 && value <= 100;
    return value >= 0;
}

static void take(const struct drm_row *row, const char *text, struct drm_reading *out)
{
    double value;
    if (!row->parse(text, &value))
        return;
    if (row->scale == 0) {
        unsigned before = drm_has(out, row->value) ? (unsigned)out->value[row->value] : 0;
        drm_set(out, row->value, value > 0 ? before | row->bit : before);
    } else if (believable(row->value, value * row->scale)) {
        drm_set(out, row->value, value * row->scale);
    }
}

static void read_metrics(struct drm_gpu *g, struct drm_reading *out)
{
    uint8_t data[GPU_METRICS_MAX];
    ssize_t n = g->metrics_fd >= 0 ? pread(g->metrics_fd, data, sizeof(data), 0) : -1;
    bool integrated;
    if (n > 0 && gpu_metrics_parse(data, (size_t)n, out, &integrated))
        g->integrated = integrated;
}

enum drm_answer drm_read(struct drm_gpu *gpu, enum drm_pace pace, struct drm_reading *out)
{
    struct drm_reading r = {0};
    char text[SYSFS_TEXT_MAX];
    for (uint32_t i = 0; i < gpu->n_rows; i++) {
        const struct drm_row *row = &gpu->rows[i];
        if (row->pace > pace || (row->scale != 0 && drm_has(&r, row->value)))
            continue;
        ssize_t n = read_row(gpu, i, text);
        if (n > 0)
            take(row, text, &r);
        else if (n < 0 && gpu->fd[i] >= 0 && errno == ENODEV)
            return DRM_GONE;
        else if (n < 0 && gpu->fd[i] >= 0)
            r.failed |= UINT32_C(1) << row->value;
    }
    if (pace >= DRM_SLOW)
        read_metrics(gpu, &r);
    r.failed &= ~r.known;
    if (!r.known && gpu->denied && !gpu->opened)
        return DRM_DENIED;
    *out = r;
    return DRM_READ;
}

/* ---- identity ---- */

void drm_plain_name(const struct drm_card *card, char out[DRM_TEXT_MAX])
{
    snprintf(out, DRM_TEXT_MAX, "%s GPU %04x:%04x", card->driver == DRM_AMDGPU ? "AMD" : "Intel",
             card->vendor, card->device);
}

static const char *table_name(const struct drm_card *card, int revision)
{
    static const struct {
        uint16_t vendor, device;
        int revision;
        const char *name;
    } names[] = {
#define NAME(vendor_, device_, revision_, name_) \
    {.vendor = vendor_, .device = device_, .revision = revision_, .name = name_},
#include "amdgpu/names.def"
#undef NAME
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].vendor == card->vendor && names[i].device == card->device &&
            (names[i].revision < 0 || names[i].revision == revision))
            return names[i].name;
    return NULL;
}

static bool text_in(const struct drm_gpu *g, const char *name, char out[DRM_TEXT_MAX])
{
    char text[SYSFS_TEXT_MAX];
    ssize_t n = read_in(g->folder, name, text);
    size_t len = strcspn(text, "\n");
    if (n <= 0 || len == 0)
        return false;
    str_printable(text, len, out, DRM_TEXT_MAX);
    return true;
}

static void find_nodes(const struct drm_gpu *g, struct drm_identity *out)
{
    char path[PATH_TEXT_MAX];
    const struct dirent *entry;
    DIR *dir = join(g->folder, "device/drm", path, sizeof(path)) ? opendir(path) : NULL;
    for (int i = 0; dir && out->n_nodes < DRM_NODES_MAX && i < FOLDER_MAX && (entry = readdir(dir));
         i++)
        if ((str_starts(entry->d_name, "card") || str_starts(entry->d_name, "renderD")) &&
            strlen(entry->d_name) < DRM_NODE_MAX)
            memcpy(out->nodes[out->n_nodes++], entry->d_name, strlen(entry->d_name) + 1);
    if (dir)
        closedir(dir);
}

void drm_identify(struct drm_gpu *gpu, struct drm_identity *out)
{
    struct drm_identity id = {.integrated = gpu->integrated};
    char text[DRM_TEXT_MAX];
    unsigned revision = 0;
    if (!text_in(gpu, "device/product_name", id.name)) {
        if (text_in(gpu, "device/revision", text))
            sscanf(text, "0x%2x", &revision);
        const char *name = table_name(&gpu->card, (int)revision);
        if (name)
            snprintf(id.name, sizeof(id.name), "%s", name);
        else
            drm_plain_name(&gpu->card, id.name);
    }
    if (text_in(gpu, "device/unique_id", id.unique_id) &&
        strspn(id.unique_id, "0123456789abcdefABCDEF") != strlen(id.unique_id))
        id.unique_id[0] = 0;
    find_nodes(gpu, &id);
    *out = id;
}
