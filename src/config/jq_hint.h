/* SPDX-License-Identifier: Apache-2.0
 *
 * What was probably meant by a jq program: people write it as they write other languages. libjq says where its grammar
 * ended; this looks for what makes it end there. Pure.
 */
#ifndef LINKSPAN_CONFIG_JQ_HINT_H
#define LINKSPAN_CONFIG_JQ_HINT_H

#include <stdbool.h>
#include <stddef.h>

/* Of a program that does not compile: one sentence of what would be right, static or in a buffer of this thread until the
 * next call; NULL: nothing comes to mind. complaint: libjq's. *ret_offset: the byte of the program that it is about,
 * untouched when it is about all of it. */
const char *jq_hint(
	const char *program, const char *complaint, const char *const *captures, size_t n_captures, size_t *ret_offset);

/* Of one that compiles and yet does hardly what is meant; as above. is_condition: `when`, whose result is true or false. */
const char *jq_doubt(
	const char *program, bool is_condition, const char *const *captures, size_t n_captures, size_t *ret_offset);

#endif
