/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of topics: what a filter takes in, what a mapping makes of it, and what of that another filter takes in. For
 * looking at mappings without a message. Where a set cannot be said exactly a larger one stands for it, and is marked.
 *
 * Texts are in an arena, or borrowed from filters and templates. Pure functions, any thread.
 */
#ifndef LINKSPAN_ROUTING_TOPIC_SHAPE_H
#define LINKSPAN_ROUTING_TOPIC_SHAPE_H

#include <stdbool.h>

#include "message/slice.h"
#include "routing/arena.h"
#include "routing/template.h"

#define TOPIC_SHAPE_MAX_LEVELS 24

/* One level: `prefix` alone, or anything between prefix and suffix. */
struct topic_shape_level {
	struct slice prefix, suffix;
	bool wild;
};

struct topic_shape {
	struct topic_shape_level levels[TOPIC_SHAPE_MAX_LEVELS];
	size_t n;
	bool deep; /* and any number of levels behind */
	bool loose; /* not every topic of it need occur */
};

/* Of a filter as written, without $share. Borrows from it. */
void topic_shape_of_filter(const char *filter, struct topic_shape *ret_shape);

/* What is in the shape and matches the filter as written (without $share); false if nothing is. */
bool topic_shape_meet(const struct topic_shape *shape, const char *filter, struct topic_shape *ret_shape);

/* How what is inserted into a target is written there. A level is taken to hold no separator of the other side. */
struct topic_shape_notation {
	char separator; /* of the target's levels; in shapes and filters it is '/' */
	struct slice joint; /* what stands between two levels of an inserted topic, as it is inserted */
	int (*insert)(const void *insert_with, struct slice text, struct arena *arena, struct slice *ret_text);
	const void *insert_with; /* NULL insert: texts are inserted as they are */
};
extern const struct topic_shape_notation topic_shape_plain; /* '/' on both sides */

/* The targets of a template for what has come by this filter and is in the shape; false if there are none, since the
 * template cannot be rendered. tpl: NULL for the topic unchanged. captures: the names that tpl was compiled with. Without
 * memory the result is all topics. */
bool topic_shape_render(const struct topic_shape *shape, const char *filter, const struct template *tpl,
	const char *const *captures, const struct topic_shape_notation *notation, struct arena *arena,
	struct topic_shape *ret_shape);

#endif
