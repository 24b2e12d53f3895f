/* families: which builder makes the graph of which architecture. */
#include "law/nextn.h"
#include "law/odd.h"
#include "law/recipe.h"
#include "law/special.h"

#include <string.h>

/* Families whose graphs are code; all others are rows of recipes.c. */
static const struct {
    const char *architecture;
    graph_fn build;
} families[] = {
    {"deci",           graph_deci          },
    {"arctic",         graph_arctic        },
    {"talkie",         graph_talkie        },
    {"bert",           graph_bert          },
    {"nomic-bert",     graph_bert          },
    {"nomic-bert-moe", graph_bert          },
    {"jina-bert-v2",   graph_bert          },
    {"jina-bert-v3",   graph_bert          },
    {"deepseek2",      graph_deepseek2     },
    {"deepseek2-ocr",  graph_deepseek2     },
    {"mistral4",       graph_deepseek2     },
    {"deepseek32",     graph_deepseek32    },
    {"glm-dsa",        graph_deepseek32    },
    {"minicpm3",       graph_minicpm3      },
    {"plm",            graph_plm           },
    {"mamba",          graph_mamba         },
    {"mamba2",         graph_mamba         },
    {"jamba",          graph_jamba         },
    {"granitehybrid",  graph_granite_hybrid},
    {"nemotron_h",     graph_nemotron_h    },
    {"nemotron_h_moe", graph_nemotron_h    },
    {"falcon-h1",      graph_falcon_h1     },
    {"plamo2",         graph_plamo2        },
    {"lfm2",           graph_lfm2          },
    {"lfm2moe",        graph_lfm2          },
    {"qwen3next",      graph_qwen3next     },
    {"qwen35",         graph_qwen35        },
    {"qwen35moe",      graph_qwen35        },
    {"kimi-linear",    graph_kimi_linear   },
    {"gemma3n",        graph_gemma3n       },
    {"gemma4",         graph_gemma4        },
    {"rwkv6",          graph_rwkv          },
    {"rwkv6qwen2",     graph_rwkv          },
    {"rwkv7",          graph_rwkv          },
    {"arwkv7",         graph_rwkv          },
};

graph_fn graph_for(const struct model *m, const struct law_settings *s)
{
    if (s->context == CONTEXT_NEXTN)
        return nextn_graph_for(m);
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (strcmp(families[i].architecture, m->architecture) == 0)
            return families[i].build;
    }
    return recipe_find(m->architecture) ? graph_recipe : NULL;
}
