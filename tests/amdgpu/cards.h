/* cards: trees of /sys as the kernel shows different GPUs. */
#ifndef TESTS_AMDGPU_CARDS_H
#define TESTS_AMDGPU_CARDS_H

#include "../tree.h"

struct card_file {
    const char *path, *text;
};

/* One file of card `number`, path after "cardN/". */
static inline void card_put(const char *root, unsigned number, const char *path, const char *text)
{
    char full[256];
    snprintf(full, sizeof(full), "/sys/class/drm/card%u/%.200s", number, path);
    tree_put(root, full, text);
}

/* The card's device is a link into the PCI tree, below the two ports of its own switch, as on a
 * real machine. */
static inline void card_put_device(const char *root, unsigned number, const char *driver,
                                   const char *pci, const char *id)
{
    char path[256], text[256];
    snprintf(path, sizeof(path), "/sys/devices/pci0000:00/slot%u/upper/lower/%.32s/uevent", number,
             pci);
    snprintf(text, sizeof(text),
             "DRIVER=%s\nPCI_CLASS=30000\nPCI_ID=%s\nPCI_SLOT_NAME=%s\nMODALIAS=pci\n", driver, id,
             pci);
    tree_put(root, path, text);
    snprintf(text, sizeof(text), "../../../devices/pci0000:00/slot%u/upper/lower/%.32s", number,
             pci);
    snprintf(path, sizeof(path), "/sys/class/drm/card%u/device", number);
    tree_link(root, path, text);
    card_put(root, number, "device/power/runtime_status", "active\n");
    snprintf(path, sizeof(path), "device/drm/card%u/dev", number);
    card_put(root, number, path, "226:0\n");
    snprintf(path, sizeof(path), "device/drm/renderD%u/dev", 128 + number);
    card_put(root, number, path, "226:128\n");
}

static inline void card_put_files(const char *root, unsigned number, const struct card_file *files,
                                  size_t n)
{
    for (size_t i = 0; i < n; i++)
        card_put(root, number, files[i].path, files[i].text);
}

#define CARD_PUT_FILES(root, number, files) \
    card_put_files(root, number, files, sizeof(files) / sizeof((files)[0]))

/* A firmware table whose fields are unknown but for those that are put with card_field. */
static inline void card_blob(uint8_t *blob, uint16_t size, uint8_t format, uint8_t content)
{
    memset(blob, 0xff, size);
    blob[0] = (uint8_t)size;
    blob[1] = (uint8_t)(size >> 8);
    blob[2] = format;
    blob[3] = content;
}

static inline void card_field(uint8_t *blob, size_t at, int width, uint64_t value)
{
    for (int i = 0; i < width; i++)
        blob[at + (size_t)i] = (uint8_t)(value >> (8 * i));
}

static inline void card_put_blob(const char *root, unsigned number, const uint8_t *blob,
                                 size_t size)
{
    char full[256];
    snprintf(full, sizeof(full), "/sys/class/drm/card%u/device/gpu_metrics", number);
    tree_put_bytes(root, full, blob, size);
}

static inline void card_put_7900xtx(const char *root, unsigned number, const char *pci)
{
    static const struct card_file files[] = {
        {"device/vendor",                          "0x1002\n"                               },
        {"device/device",                          "0x744c\n"                               },
        {"device/revision",                        "0xc8\n"                                 },
        {"device/unique_id",                       "2a5c3d1e00f4b7a9\n"                     },
        {"device/gpu_busy_percent",                "97\n"                                   },
        {"device/mem_busy_percent",                "41\n"                                   },
        {"device/mem_info_vram_total",             "25753026560\n"                          },
        {"device/mem_info_vram_used",              "21474836480\n"                          },
        {"device/mem_info_gtt_total",              "33554432000\n"                          },
        {"device/mem_info_gtt_used",               "104857600\n"                            },
        {"device/pp_dpm_sclk",                     "0: 500Mhz \n1: 2371Mhz *\n2: 2526Mhz \n"},
        {"device/pp_dpm_mclk",                     "0: 96Mhz \n1: 456Mhz \n2: 1249Mhz *\n"  },
        {"device/pp_dpm_pcie",
         "0: 2.5GT/s, x1 619Mhz \n1: 16.0GT/s, x8 619Mhz *\n2: 16.0GT/s, x16 619Mhz \n"     },
        {"device/current_link_speed",              "16.0 GT/s PCIe\n"                       },
        {"device/current_link_width",              "16\n"                                   },
        {"device/pcie_bw",                         "never read\n"                           },
        {"device/hwmon/hwmon3/name",               "amdgpu\n"                               },
        {"device/hwmon/hwmon3/temp1_label",        "edge\n"                                 },
        {"device/hwmon/hwmon3/temp1_input",        "54000\n"                                },
        {"device/hwmon/hwmon3/temp1_crit",         "100000\n"                               },
        {"device/hwmon/hwmon3/temp1_emergency",    "105000\n"                               },
        {"device/hwmon/hwmon3/temp2_label",        "junction\n"                             },
        {"device/hwmon/hwmon3/temp2_input",        "71000\n"                                },
        {"device/hwmon/hwmon3/temp2_crit",         "110000\n"                               },
        {"device/hwmon/hwmon3/temp3_label",        "mem\n"                                  },
        {"device/hwmon/hwmon3/temp3_input",        "66000\n"                                },
        {"device/hwmon/hwmon3/power1_average",     "311000000\n"                            },
        {"device/hwmon/hwmon3/power1_cap",         "339000000\n"                            },
        {"device/hwmon/hwmon3/power1_cap_min",     "0\n"                                    },
        {"device/hwmon/hwmon3/power1_cap_max",     "390000000\n"                            },
        {"device/hwmon/hwmon3/power1_cap_default", "339000000\n"                            },
        {"device/hwmon/hwmon3/freq1_input",        "2480000000\n"                           },
        {"device/hwmon/hwmon3/freq2_input",        "1249000000\n"                           },
        {"device/hwmon/hwmon3/fan1_input",         "1400\n"                                 },
        {"device/hwmon/hwmon3/pwm1",               "102\n"                                  },
        {"device/hwmon/hwmon3/pwm1_max",           "255\n"                                  },
    };
    uint8_t blob[120];
    card_put_device(root, number, "amdgpu", pci, "1002:744C");
    CARD_PUT_FILES(root, number, files);
    card_blob(blob, sizeof(blob), 1, 3);
    card_field(blob, 22, 2, 300);
    card_field(blob, 112, 8, UINT64_C(1));
    card_put_blob(root, number, blob, sizeof(blob));
}

/* No fan, no edge sensor, an energy counter in the table. */
static inline void card_put_mi300x(const char *root, unsigned number, const char *pci)
{
    static const struct card_file files[] = {
        {"device/product_name",             "AMD Instinct MI300X OAM\n"},
        {"device/gpu_busy_percent",         "88\n"                     },
        {"device/mem_info_vram_total",      "206141652992\n"           },
        {"device/mem_info_vram_used",       "1073741824\n"             },
        {"device/current_link_speed",       "32.0 GT/s PCIe\n"         },
        {"device/current_link_width",       "16\n"                     },
        {"device/max_link_speed",           "32.0 GT/s PCIe\n"         },
        {"device/max_link_width",           "16\n"                     },
        {"device/hwmon/hwmon7/name",        "amdgpu\n"                 },
        {"device/hwmon/hwmon7/temp2_label", "junction\n"               },
        {"device/hwmon/hwmon7/temp2_input", "63000\n"                  },
        {"device/hwmon/hwmon7/temp2_crit",  "100000\n"                 },
        {"device/hwmon/hwmon7/temp3_label", "mem\n"                    },
        {"device/hwmon/hwmon7/temp3_input", "50000\n"                  },
        {"device/hwmon/hwmon7/power1_cap",  "750000000\n"              },
    };
    uint8_t blob[288];
    card_put_device(root, number, "amdgpu", pci, "1002:74A1");
    CARD_PUT_FILES(root, number, files);
    card_blob(blob, sizeof(blob), 1, 4);
    card_field(blob, 10, 2, 540);
    card_field(blob, 14, 2, 35);
    card_field(blob, 24, 8, UINT64_C(65536) * 7200);
    card_field(blob, 240, 2, 1900);
    card_field(blob, 280, 2, 1300);
    card_put_blob(root, number, blob, sizeof(blob));
}

/* A small carve-out and much of the host's memory; power1_input only; no fan, no limit. */
static inline void card_put_apu(const char *root, unsigned number, const char *pci)
{
    static const struct card_file files[] = {
        {"device/revision",                  "0xc7\n"       },
        {"device/gpu_busy_percent",          "12\n"         },
        {"device/mem_info_vram_total",       "536870912\n"  },
        {"device/mem_info_vram_used",        "500000000\n"  },
        {"device/mem_info_gtt_total",        "15000000000\n"},
        {"device/mem_info_gtt_used",         "2000000000\n" },
        {"device/hwmon/hwmon2/name",         "amdgpu\n"     },
        {"device/hwmon/hwmon2/temp1_label",  "edge\n"       },
        {"device/hwmon/hwmon2/temp1_input",  "-2000\n"      },
        {"device/hwmon/hwmon2/power1_input", "15200000\n"   },
        {"device/hwmon/hwmon2/freq1_input",  "800000000\n"  },
    };
    uint8_t blob[128];
    card_put_device(root, number, "amdgpu", pci, "1002:15BF");
    CARD_PUT_FILES(root, number, files);
    card_blob(blob, sizeof(blob), 2, 2);
    card_field(blob, 80, 2, 1600);
    card_field(blob, 120, 8, 0);
    card_put_blob(root, number, blob, sizeof(blob));
}

static inline void card_put_a770(const char *root, unsigned number, const char *pci)
{
    static const struct card_file files[] = {
        {"lmem_total_bytes",                  "17179869184\n"   },
        {"gt_cur_freq_mhz",                   "2100\n"          },
        {"gt_act_freq_mhz",                   "2050\n"          },
        {"gt_max_freq_mhz",                   "2400\n"          },
        {"gt/gt0/throttle_reason_pl1",        "1\n"             },
        {"gt/gt0/throttle_reason_thermal",    "0\n"             },
        {"device/current_link_speed",         "2.5 GT/s PCIe\n" },
        {"device/current_link_width",         "1\n"             },
        {"device/../../current_link_speed",   "16.0 GT/s PCIe\n"},
        {"device/../../current_link_width",   "16\n"            },
        {"device/../../max_link_speed",       "16.0 GT/s PCIe\n"},
        {"device/../../max_link_width",       "16\n"            },
        {"device/hwmon/hwmon4/name",          "i915\n"          },
        {"device/hwmon/hwmon4/temp1_input",   "58000\n"         },
        {"device/hwmon/hwmon4/energy1_input", "1000000000\n"    },
        {"device/hwmon/hwmon4/power1_max",    "190000000\n"     },
        {"device/hwmon/hwmon4/fan1_input",    "1250\n"          },
    };
    card_put_device(root, number, "i915", pci, "8086:56A0");
    CARD_PUT_FILES(root, number, files);
}

static inline void card_put_b580(const char *root, unsigned number, const char *pci)
{
    static const struct card_file files[] = {
        {"device/tile0/gt0/freq0/cur_freq",                "2800\n"     },
        {"device/tile0/gt0/freq0/act_freq",                "2750\n"     },
        {"device/tile0/gt0/freq0/max_freq",                "2850\n"     },
        {"device/tile0/gt0/freq0/throttle/reason_thermal", "1\n"        },
        {"device/hwmon/hwmon5/name",                       "xe\n"       },
        {"device/hwmon/hwmon5/temp2_input",                "61000\n"    },
        {"device/hwmon/hwmon5/temp3_input",                "64000\n"    },
        {"device/hwmon/hwmon5/energy1_input",              "5000000\n"  },
        {"device/hwmon/hwmon5/power1_max",                 "190000000\n"},
    };
    card_put_device(root, number, "xe", pci, "8086:E20B");
    CARD_PUT_FILES(root, number, files);
}

#endif
