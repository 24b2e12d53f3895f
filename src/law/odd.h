/* odd: builders of ordinary transformers that no row of recipes.c describes. */
#ifndef LAW_ODD_H
#define LAW_ODD_H

#include "law/build.h"

void graph_deci(struct builder *b);
void graph_arctic(struct builder *b);
void graph_talkie(struct builder *b);
void graph_bert(struct builder *b);

#endif
