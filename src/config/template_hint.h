/* SPDX-License-Identifier: Apache-2.0
 *
 * What was probably meant by a template: other programs write what is to be inserted as {{ value }}, ${value} or
 * {payload.value}. Pure.
 */
#ifndef LINKSPAN_CONFIG_TEMPLATE_HINT_H
#define LINKSPAN_CONFIG_TEMPLATE_HINT_H

#include <stddef.h>

/* Of the {…} at `at` that names nothing that a message has: one sentence of what would be right, static or in a buffer of this
 * thread until the next call; NULL: nothing comes to mind. */
const char *template_hint(const char *at, const char *const *captures, size_t n_captures);

/* Of a template that is well formed and yet says hardly what is meant; as above, *ret_offset is where. */
const char *template_doubt(const char *text, const char *const *captures, size_t n_captures, size_t *ret_offset);

#endif
