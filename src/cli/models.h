/* models: the models of this machine, for commands that need some. */
#ifndef CLI_MODELS_H
#define CLI_MODELS_H

#include "cli/cli.h"
#include "model/model.h"

/* In the folders where programs keep what they downloaded. */
bool models_find(struct cli *c, struct model_list *all, struct err *err);

#endif
