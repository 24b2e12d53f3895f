/* test_scenario: mistakes in scenarios are told by line and column; those that come with the
 * program are right. */
#include "nv.h"

static void mistakes_have_a_place(void **unused)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"gpus:\n  - card: RTX 4090\n    totl: 24GiB\n",
         "t.yaml:3:5: \"totl\" is not known here; did you mean total?"                                                          },
        {"gpus:\n  - {card: RTX 9999}\n",                         "t.yaml:2:5: no card \"RTX 9999\" in the catalogue"           },
        {"gpus:\n  - {card: RTX 4090, total: many}\n",            "t.yaml:2:29: total cannot be \"many\""                       },
        {"gpus:\n  - {card: RTX 4090\n",                          "t.yaml:3:1: did not find expected ',' or '}'"                },
        {"gpus: [{card: RTX 4090, card: RTX 4090}]\n",            "t.yaml:1:25: \"card\" stands here twice"                     },
        {"noise: 11\n",                                           "t.yaml:1:8: noise cannot be \"11\": a number from 0 to 10"   },
        {"noise: nan\n",                                          "t.yaml:1:8: noise cannot be \"nan\""                         },
        {"gpus: 3\n",                                             "t.yaml:1:7: gpus must be a list"                             },
        {"- a\n",                                                 "t.yaml:1:1: a scenario must be written as `key: value` lines"},
        {"name: \"a\\0b\"\n",                                     "t.yaml:1:7: name has a NUL byte inside"                      },
        {"name: \"a\\x1b[31m\"\n",                                "t.yaml:1:7: name has the control character 1b"               },
        {"processes:\n  - {name: a, on: [{gpu: 0}]}\n",           "t.yaml:1:1: process a uses GPU 0 of 0"                       },
        {"processes:\n  - {name: a, on: [{gpu: 0, load: 0s}]}\n",
         "t.yaml:2:20: load, kv-over, saw-every"                                                                                },
        {"processes:\n  - {name: a, life: 9s, again: 3s}\n",
         "t.yaml:2:5: again must not be shorter than life"                                                                      },
        {"gpus: [{card: H200, mig: [{profile: 1g}]}]\n",
         "t.yaml:1:27: a MIG device needs profile and memory"                                                                   },
        {"faults:\n  - {lots: \"\"}\n",                           "t.yaml:2:6: no fault is called \"lots\""                     },
        {"faults:\n  - {xid: \"\"}\n",                            "t.yaml:2:6: xid needs a number"                              },
        {"faults:\n  - {at: 3s}\n",                               "t.yaml:2:5: a fault without saying which"                    },
        {"faults:\n  - {lost: \"\", gpu: 3}\n",                   "t.yaml:1:1: fault 1 names GPU 3 of 0"                        },
        {"",                                                      "t.yaml:1:1: nothing stands here"                             },
        {"a: &a [*a]\ngpus: *a\n",                                "t.yaml:1:1: \"a\" is not known here"                         },
    };
    static struct sim_scenario s;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = {0};
        assert_false(scenario_parse("t.yaml", cases[i].text, strlen(cases[i].text), &s, &err));
        assert_int_equal(err.code, ERR_1501);
        if (strncmp(err.title, cases[i].wanted, strlen(cases[i].wanted)) != 0)
            fail_msg("\"%s\" instead of \"%s\"", err.title, cases[i].wanted);
    }
}

static void bounds_are_kept(void **unused)
{
    static struct sim_scenario s;
    struct err err = {0};
    char *text = malloc(SIM_TEXT_MAX + 2);
    memset(text, '#', SIM_TEXT_MAX + 1);
    assert_false(scenario_parse("t.yaml", text, SIM_TEXT_MAX + 1, &s, &err));
    strcpy(text, "gpus:\n");
    for (int i = 0; i < 17; i++)
        strcat(text, "  - {card: RTX 4090}\n");
    assert_false(scenario_parse("t.yaml", text, strlen(text), &s, &err));
    assert_string_equal(err.title, "t.yaml:2:3: gpus has 17 entries, at most 16 are read");
    free(text);
}

static void shipped_ones_are_right(void **unused)
{
    static struct sim_scenario s;
    struct err err = {0};
    size_t n = 0;
    bool octo = false;
    while (sim_shipped(n, &s, &err)) {
        assert_true(s.about[0] != 0);
        if (strcmp(s.name, "octo") == 0) {
            octo = true;
            assert_int_equal(s.n_gpus, 8);
            assert_int_equal(s.n_processes, 16);
        }
        n++;
    }
    assert_string_equal(err.title, "");
    assert_int_equal(n, 11);
    assert_true(octo);
}

static void names_are_looked_up(void **unused)
{
    struct err err = {0};
    struct sim_options o = {.scenario = "dou"};
    nv_scratch();
    assert_false(sim_start(&o, &err));
    assert_int_equal(err.code, ERR_1501);
    assert_string_equal(err.fix[0].text, "did you mean \"duo\"?");
    assert_false(sim_stop(NULL, &err));
    assert_int_equal(err.code, ERR_1503);
    o.scenario = "/nowhere/x.yaml";
    assert_false(sim_start(&o, &err));
}

/* A state file that is none of ours is not touched by those who only look, and replaced by those
 * who start. */
static void strange_state_files_are_refused(void **unused)
{
    struct err err = {0};
    struct world_wish look = {0};
    nv_scratch();
    FILE *f = fopen(state, "w");
    assert_non_null(f);
    for (size_t i = 0; i < 600000; i++)
        fputc((int)(i * 7 & 0xff), f);
    fclose(f);
    assert_false(world_open(&look, &world, &err));
    assert_int_equal(err.code, ERR_1503);
    nv_begin("duo", 0);
    nv_card(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_have_a_place),
        cmocka_unit_test(bounds_are_kept),
        cmocka_unit_test(shipped_ones_are_right),
        cmocka_unit_test(names_are_looked_up),
        cmocka_unit_test_teardown(strange_state_files_are_refused, nv_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
