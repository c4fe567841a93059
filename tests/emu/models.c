/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of models. */
#include "model.h"

extern const struct model model_sas2108, model_sas3108, model_ame_6262, model_ame_626f, model_virtio;

const struct model *const models[] = {
	&model_sas2108,
	&model_sas3108,
	&model_ame_6262,
	&model_ame_626f,
	&model_virtio,
	NULL,
};
