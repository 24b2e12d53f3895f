/* recipe_walk: what recipe.c and recipe_attention.c share while a graph is built. */
#ifndef LAW_RECIPE_WALK_H
#define LAW_RECIPE_WALK_H

#include "law/recipe.h"

/* What one walk over the layers keeps at hand. */
struct walk {
    struct builder *b;
    const struct recipe *r;
    int n_layers; /* NextN blocks do not count */
    int rope_mode;
    enum norm_kind norm;
    struct g_tensor *layer_input;
    bool outputs_only; /* in the last layer what follows attention is done for the outputs only */
};

/* From the layer's norm to attention's projected result. */
struct g_tensor *recipe_attention(struct walk *w, int layer, struct g_tensor *x);

#endif
