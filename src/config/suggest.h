/* SPDX-License-Identifier: Apache-2.0
 *
 * "Did you mean": the candidate nearest to a word that nobody knows, at most two slips away (a slip is a letter added,
 * left out, replaced, or two neighbours swapped: Damerau and Levenshtein). Pure functions, no memory.
 */
#ifndef LINKSPAN_CONFIG_SUGGEST_H
#define LINKSPAN_CONFIG_SUGGEST_H

#include <stddef.h>

#define SUGGEST_MAX_SLIPS 2

/* Slips between two words, letters compared without case; more than SUGGEST_MAX_SLIPS is returned as
 * SUGGEST_MAX_SLIPS + 1. */
unsigned suggest_distance(const char *a, const char *b);

/* Start with {.word = …}, offer candidates, read `best` (NULL: nothing is near). The first of equally near ones wins.
 * A word of two or three letters takes one slip only, one of a single letter none, else everything would be near. Borrows both. */
struct suggestion {
	const char *word;
	const char *best;
	unsigned distance;
};
void suggest_offer(struct suggestion *suggestion, const char *candidate);

#endif
