/* test_redact: what says whose machine it is goes, what helps to understand it stays. */
#include "../base/check.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "doctor/redact.h"

static const struct redact_names names = {
    .n_users = 2, .user = {"ada", "bob.k"},
         .host = "lovelace", .home = "/srv/people/ada"
};

static void each_text(void **unused)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"run by ada on Lovelace",               "run by [user] on [host]"                 },
        {"lovelace.example.org",                 "[host].example.org"                      },
        {"adapter, nada, ada_lib, \"ada\"",      "adapter, nada, ada_lib, \"[user]\""      },
        {"bob.k:bob.kurt",                       "[user]:bob.kurt"                         },
        {"/home/carol/models/x.gguf",            "~/models/x.gguf"                         },
        {"/Users/dave: no",                      "~: no"                                   },
        {"/srv/people/ada/bin:/srv/people/adam", "~/bin:/srv/people/adam"                  },
        {"HF_TOKEN=hf_abcdefgh",                 "HF_TOKEN=[removed]"                      },
        {"pull with hf_abcdefghij now",          "pull with [removed] now"                 },
        {"Authorization: Bearer abc.def-ghi",    "Authorization: [removed]"                },
        {"header Bearer abc.def-ghi_jkl",        "header [removed]"                        },
        {"\"password\": \"let me\"",             "\"password\": \"[removed]\""             },
        {"secret = 'its two words' end",         "secret = '[removed]' end"                },
        {"token: \"no end",                      "token: \"[removed]"                      },
        {"https://x.example/?api_key=123&y=2",   "https://x.example/?api_key=[removed]&y=2"},
        {"\"serial\": \"0324718012345\"",        "\"serial\": \"[removed]\""               },
        {"sk-learn is a library",                "sk-learn is a library"                   },
        {"GPU-5090 runs",                        "GPU-5090 runs"                           },
        {"512 tokens per second",                "512 tokens per second"                   },
        {"0000:41:00.0 x4 of x16",               "0000:41:00.0 x4 of x16"                  },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        own(own_str) struct str out = {0};
        redact_add(&out, rows[i].text, strlen(rows[i].text), &names);
        assert_string_equal(out.data, rows[i].wanted);
    }
}

static void a_card_is_the_same_card_everywhere(void **unused)
{
    static const char text[] =
        "GPU-5090aaaa-0000-0000-0000-000000000001 GPU-4090bbbb-0000-0000-0000-000000000002 "
        "GPU-5090aaaa-0000-0000-0000-000000000001";
    own(own_str) struct str out = {0};
    redact_add(&out, text, strlen(text), &names);
    char first[16], second[16], third[16];
    assert_int_equal(sscanf(out.data, "%15s %15s %15s", first, second, third), 3);
    assert_string_equal(first, third);
    assert_string_not_equal(first, second);
    assert_null(strstr(out.data, "5090aaaa"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_text),
        cmocka_unit_test(a_card_is_the_same_card_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
