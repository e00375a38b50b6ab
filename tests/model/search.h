/* SPDX-License-Identifier: Apache-2.0
 *
 * Exhaustive search: every state that a model can reach, breadth first, each visited once and compared byte by byte. The
 * first state that breaks the model's rules is reported with the shortest way to it. Knows nothing of what it searches.
 *
 * A state is a plain struct of at most MODEL_STATE_BYTES without pointers or padding, zeroed where it is not in use.
 */
#ifndef LINKSPAN_TESTS_MODEL_SEARCH_H
#define LINKSPAN_TESTS_MODEL_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_STATE_BYTES 160

struct search;

struct model {
	const char *name;
	size_t size; /* of a state */
	void (*init)(void *state, const void *options);
	/* Calls search_emit for each state that can follow. */
	void (*next)(struct search *search, const void *state, const void *options);
	/* NULL, or the rule that this state breaks. */
	const char *(*check)(const void *state, const void *options);
	/* The same for a state that nothing can follow. */
	const char *(*final)(const void *state, const void *options);
};

/* format: what has happened, for the way that is reported. */
void search_emit(struct search *search, const void *state, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

struct search_result {
	uint64_t states, moves, finals;
	char broken[128]; /* the rule; empty: none is broken */
};

/* The way to a broken rule is printed as comments if `loud`. Ends the program when memory is out. */
struct search_result search_run(const struct model *model, const void *options, bool loud);

#endif
