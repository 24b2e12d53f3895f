/* test_errors: whatever is wrong on the command line or with the file: one clear error, the right
 * exit code, nothing on stdout, nothing written. */
#include "run.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define GOOD "plan llama-3.1-8b --gpus 24GiB"

static const struct {
    const char *line;
    int code, dgo;
    const char *part;
} rows[] = {
  /* words */
    {"plann llama-3.1-8b",                                 2, 9001, "did you mean \"plan\"?"        },
    {"gpu",                                                2, 9003, "known: ls"                     },
    {"gpu sl",                                             2, 9001, "gpu sl"                        },
    {"model",                                              2, 9003, "show"                          },
    {"model shw x",                                        2, 9001, "did you mean \"show\"?"        },
    {"pl",                                                 2, 9001, "there is no command \"pl\""    }, /* no guessing of abbreviations */
    {"frobnicate",                                         2, 9001, "frobnicate"                    },
    {"plan",                                               2, 9003, "plan needs a model"            },
    {"model show",                                         2, 9003, "MODEL"                         },
    {"completion",                                         2, 9003, "bash|zsh|fish"                 },
    {"completion tcsh",                                    2, 9002, "tcsh"                          },
    {"plan a.gguf b.gguf",                                 2, 9001, "b.gguf"                        },
    {"gpu ls x",                                           2, 9001, "\"x\""                         },
    {"help nonsense",                                      4, 9004, "nonsense"                      },
    {"help DGO9999",                                       4, 9004, "DGO9999"                       },
    {"help exit-code",                                     4, 9004, "exit-codes"                    },
    {"version -- llama-server",                            2, 9001, "only plan"                     },
 /* options */
    {GOOD " --ctz 8k",                                     2, 9001, "did you mean --ctx?"           },
    {GOOD " --allow_cpu",                                  2, 9001, "--allow-cpu"                   },
    {GOOD " --yees",                                       2, 9001, "--yees"                        },
    {"doctor --gpus 24GiB",                                2, 9001, "--gpus"                        },
    {"--nonsense",                                         2, 9001, "--nonsense"                    },
    {GOOD " --port 8080",                                  2, 9001, "--port"                        },
    {"plan llama-3.1-8b --gpus",                           2, 9002, "--gpus lacks its value"        },
    {"plan llama-3.1-8b --gpus --plain",                   2, 9002, "--gpus lacks its value"        },
    {GOOD " -c",                                           2, 9002, "-c lacks its value"            },
    {GOOD " --spread=yes",                                 2, 9002, "--spread"                      },
    {GOOD " --color red",                                  2, 9002, "red"                           },
    {GOOD " -o jsn",                                       2, 9002, "did you mean json?"            },
    {GOOD " --max-gpus 0",                                 2, 9002, "--max-gpus"                    },
    {GOOD " --max-gpus 17",                                2, 9002, "17"                            },
 /* sizes and numbers */
    {GOOD " --ctx abc",                                    2, 9002, "--ctx cannot be \"abc\""       },
    {GOOD " --ctx -5",                                     2, 9002, "-5"                            },
    {GOOD " --ctx 99999999999",                            2, 9002, NULL                            },
    {GOOD " -ub 0",                                        2, 9002, "-ub"                           },
    {GOOD " -b 1e3",                                       2, 9002, "1e3"                           },
    {GOOD " -np 0",                                        2, 9002, "slot"                          },
    {GOOD " --keep-free much",                             2, 2102, "--keep-free"                   },
    {GOOD " --keep-free -1GiB",                            2, 2102, "-1GiB"                         },
    {GOOD " --host-memory 5XB",                            2, 2102, "5XB"                           },
    {GOOD " --kv q9_0",                                    2, 9002, "--kv cannot be \"q9_0\""       },
    {GOOD " -ctk nonsense",                                2, 9002, "-ctk"                          },
    {GOOD " -fa maybe",                                    2, 9002, "maybe"                         },
    {GOOD " -ngl some",                                    2, 9002, "some"                          },
    {GOOD " -sm diagonal",                                 2, 9002, "diagonal"                      },
    {GOOD " -ts 1,x",                                      2, 9002, "1,x"                           },
    {GOOD " -ot nonsense",                                 2, 9002, "PATTERN"                       },
    {GOOD " --split sideways",                             2, 9002, "sideways"                      },
    {GOOD " --host-memory 0",                              2, 2102, "--host-memory 1GiB"            },
    {GOOD " --goal sped",                                  2, 9002, "did you mean speed?"           },
    {GOOD " -np 300",                                      2, 2114, "-np 256"                       },
    {"suggest llama-3.1-8b --min-tps 0",                   2, 9002, "0.01"                          },
    {"suggest llama-3.1-8b --min-tps nan",                 2, 9002, "nan"                           },
    {"suggest llama-3.1-8b --max-cards 9",                 2, 9002, "1 to 8"                        },
 /* contradictions */
    {GOOD " --json --plain",                               2, 2113, "--plain"                       },
    {GOOD " -o args --json",                               2, 2113, "-o args"                       },
    {GOOD " -q -v",                                        2, 2113, "-q and -v"                     },
    {GOOD " --spread --split one",                         2, 2113, "--spread"                      },
    {GOOD " --spread --max-gpus 1",                        2, 2113, "--max-gpus"                    },
    {GOOD " --split even -ts 1,1",                         2, 2113, "-ts"                           },
    {GOOD " --split 20,12",                                2, 2113, "2 cards"                       },
    {"plan llama-3.1-8b --gpus 24GiB,24GiB --split 20,20", 2, 2113, "40 layers"                     },
    {GOOD " -m other.gguf",                                2, 2113, "twice"                         },
    {GOOD " --keep-free 30GiB",                            2, 2113, "--keep-free 1GiB"              },
    {GOOD " --goal context -c 8k",                         2, 2113, "--ctx gives one"               },
    {GOOD " --goal speed -c max",                          2, 2113, "--goal context"                },
    {GOOD " --goal throughput -np 1",                      2, 2113, "--goal speed"                  },
    {"plan --goal speed -- llama-server -m x.gguf",        2, 2113, "--goal stands before --"       },
    {"plan phi-2 --gpus 24GiB,24GiB -sm tensor -fa off",   2, 2110, "-sm layer"                     },
    {GOOD " -ctv q8_0 -fa off",                            2, 2110, "flash attention"               },
    {"plan -c 8192 -- llama-server -m x.gguf",             2, 2113, "-c stands before --"           },
    {"plan --kv q8_0 -- llama-server -m x.gguf",           2, 2113, "--kv"                          },
    {"plan x.gguf -- llama-server -m x.gguf",              2, 2113, "x.gguf"                        },
 /* cards */
    {"plan llama-3.1-8b --gpus rtx9999",                   2, 2101, "rtx9999"                       },
    {"plan llama-3.1-8b --gpus rtx4091",                   2, 2101, "\"RTX 4090\"?"                 },
    {"plan llama-3.1-8b --gpus 0GiB",                      2, 2102, "--gpus none"                   },
    {"plan llama-3.1-8b --gpus 1MiB",                      2, 2102, "--gpus 64MiB"                  },
    {"plan llama-3.1-8b --gpus 999999GiB",                 2, 2102, "--gpus 16TiB"                  },
    {"plan llama-3.1-8b --gpus rtx4090:total=0",           2, 2102, "total"                         },
    {"plan llama-3.1-8b --gpus rtx4090:count=0",           2, 2102, "count is 1 to 16"              },
    {"plan llama-3.1-8b --gpus rtx4090,,rtx3090",          2, 2101, NULL                            },
    {"plan llama-3.1-8b --gpus rtx4090,",                  2, 2101, NULL                            },
    {"plan llama-3.1-8b --gpus 0",                         2, 2101, "no GPU 0"                      },
    {"plan llama-3.1-8b --gpus 24QiB",                     2, 2101, "24QiB"                         },
    {"plan llama-3.1-8b --gpus rtx4090:total=lots",        2, 2102, "lots"                          },
    {"plan llama-3.1-8b --gpus rtx4090:colour=red",        2, 2101, "colour"                        },
    {"plan llama-3.1-8b --gpus 8GiB:free=9GiB",            2, 2102, NULL                            },
    {"plan llama-3.1-8b --gpus 8GiB:count=99",             2, 2102, "99"                            },
    {"plan llama-3.1-8b --gpus rpc://nohost",              2, 2101, "rpc"                           },
 /* models */
    {"plan nosuchfile.gguf --gpus 24GiB",                  4, 2001, "nosuchfile.gguf"               },
    {"plan llama-3.1-8c --gpus 24GiB",                     4, 2001, "llama-3.1-8b"                  },
    {"plan qwen3-8 --gpus 24GiB",                          4, 2001, "dualgpuopt plan qwen3-8b"      },
    {"plan phi-4 --gpus 24GiB",                            4, 2001, "phi-4-14b, phi-4-mini"         },
    {"plan llama-3.1-8b:Q9_X --gpus 24GiB",                2, 9002, "Q9_X"                          },
    {"plan llama-3.1-8b:Q4_K_XL --gpus 24GiB",             2, 9002, "llama-3.1-8b:Q4_K_M"           },
    {"plan text.gguf --gpus 24GiB",                        1, 2002, "GGUF"                          },
    {"plan cut.gguf --gpus 24GiB",                         1, 2002, "cut.gguf"                      },
    {"plan empty.gguf --gpus 24GiB",                       1, 2002, "empty.gguf"                    },
    {"plan empty --gpus 24GiB",                            4, 2001, "empty"                         },
    {"plan /dev/null --gpus 24GiB",                        1, 2008, "/dev/null"                     },
    {"plan bad.yaml --gpus 24GiB",                         2, 2007, "bad.yaml"                      },
    {"model show nosuchfile.gguf",                         4, 2001, "nosuchfile.gguf"               },
    {"model scan nosuchfolder",                            4, 2001, "nosuchfolder"                  },
    {GOOD " --mmproj nosuchfile.gguf",                     4, 2001, "--mmproj"                      },
    {GOOD " --lora nosuchfile.gguf",                       4, 2001, "--lora"                        },
    {GOOD " -md nosuchfile.gguf",                          4, 2001, "--model-draft"                 },
 /* commands */
    {"plan -- nosuchprogram -m x",                         2, 9001, "nosuchprogram"                 },
    {"plan -- llama-sever -m x",                           2, 9001, "llama-server"                  },
    {"plan -- llama-server",                               2, 9003, "names no model"                },
    {"plan --",                                            2, 9003, NULL                            },
    {"plan -- llama-server -m nosuchfile.gguf",            4, 2001, "nosuchfile.gguf"               },
    {"plan -- llama-server -m llama-3.1-8b -c eight",      2, 9002, "eight"                         },
    {"plan -- llama-server -m llama-3.1-8b -c",            2, 9002, "-c"                            },
 /* variables */
    {"DUALGPUOPT_SAFETY_MARGIN=2 " GOOD,                   2, 9002, "DUALGPUOPT_SAFETY_MARGIN"      },
    {"DUALGPUOPT_SAFETY_MARGIN=abc " GOOD,                 2, 9002, "unset DUALGPUOPT_SAFETY_MARGIN"},
    {"DUALGPUOPT_SYSTEM_OVERHEAD=-3 " GOOD,                2, 9002, "DUALGPUOPT_SYSTEM_OVERHEAD"    },
    {"DUALGPUOPT_KV_CACHE_FACTOR=0 " GOOD,                 2, 9002, "DUALGPUOPT_KV_CACHE_FACTOR"    },
    {"DUALGPUOPT_MIN_CONTEXT=0 " GOOD,                     2, 9002, "DUALGPUOPT_MIN_CONTEXT"        },
    {"DUALGPUOPT_GPU_COUNT=many " GOOD,                    2, 9002, "DUALGPUOPT_GPU_COUNT"          },
    {"DUALGPUOPT_PROFILE_CACHE=-1 " GOOD,                  2, 9002, "DUALGPUOPT_PROFILE_CACHE"      },
    {"DUALGPUOPT_OPT_CACHE_TIMEOUT=soon " GOOD,            2, 9002, "DUALGPUOPT_OPT_CACHE_TIMEOUT"  },
 /* files to write */
    {GOOD " --export nosuchfolder/plan.env",               1, 1202, "nosuchfolder"                  },
    {GOOD " --export /dev/null",                           1, 1202, "/dev/null"                     },
 /* elsewhere */
    {"gpu ls",                                             4, 1101, NULL                            },
    {"engine probe",                                       4, 3001, "llama-server"                  },
    {"engine probe nosuchprogram",                         4, 3001, "nosuchprogram"                 },
};

static int n_files(void)
{
    int n = 0;
    DIR *d = opendir(".");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static int with_bad_files(void **state)
{
    if (run_setup(state) != 0)
        return -1;
    run_file("text.gguf", "not a model\n", false);
    run_file("cut.gguf", "GGUF\x03", false);
    run_file("empty.gguf", "", false);
    run_file("bad.yaml", "num_layers: many\n", false);
    return mkdir("empty", 0755);
}

static void every_mistake_is_one_clear_error(void **state)
{
    (void)state;
    int files = n_files();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("           dualgpuopt %s\n", rows[i].line);
        struct ran r = run("%s", rows[i].line);
        if (strstr(rows[i].line, "--json"))
            r.out = ""; /* holds the document, see below */
        expect_error(&r, rows[i].code, rows[i].dgo, rows[i].part);
        assert_int_equal(n_files(), files);
    }
}

static void the_same_errors_as_documents(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char line[1024], code[16];
        const char *dashes = strstr(rows[i].line, " --");
        bool command = dashes && (dashes[3] == ' ' || !dashes[3]);
        if (strstr(rows[i].line, "--plain") || strstr(rows[i].line, "-o "))
            continue;
        if (command)
            snprintf(line, sizeof(line), "%.*s --json%s", (int)(dashes - rows[i].line),
                     rows[i].line, dashes);
        else
            snprintf(line, sizeof(line), "--json %s", rows[i].line);
        if (strncmp(rows[i].line, "DUALGPUOPT", 10) == 0)
            snprintf(line, sizeof(line), "%s --json", rows[i].line);
        struct ran r = run("%s", line);
        if (r.code != rows[i].code)
            fail_msg("%s: exit code %d, not %d", line, r.code, rows[i].code);
        struct json_object *doc = run_json(&r, "error");
        snprintf(code, sizeof(code), "DGO%04d", rows[i].dgo);
        assert_string_equal(text_at(doc, "code"), code);
        json_object_put(doc);
    }
}

static void names_with_control_bytes_are_shown_safely(void **state)
{
    (void)state;
    struct ran r = run("plan 'x\x1b[31my.gguf' --gpus 24GiB");
    expect_error(&r, 4, 2001, "\\x1B");
    assert_null(strchr(r.err, '\x1b'));
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    struct ran r = run_program("sh -c '%s model ls --plain > /dev/full'", PROGRAM);
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.err, "error DGO1202"));
}

static void a_closed_pipe_is_none(void **state)
{
    (void)state;
    struct ran r = run_program(
        "sh -c '(%s model show llama-3.1-405b --tensors; echo $? >&2) | true'", PROGRAM);
    assert_string_equal(r.err, "0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_is_one_clear_error),
        cmocka_unit_test(the_same_errors_as_documents),
        cmocka_unit_test(names_with_control_bytes_are_shown_safely),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(a_closed_pipe_is_none),
    };
    return cmocka_run_group_tests(tests, with_bad_files, run_teardown);
}
