/* SPDX-License-Identifier: Apache-2.0
 *
 * Templates: text in which {name} is a capture, {topic}, {topic[i]}, {key}, {header.x} and {.json.path} stand for parts
 * of the message; {{ and }} are literal braces. Compiled once, rendered per message without allocation.
 */
#ifndef LINKSPAN_ROUTING_TEMPLATE_H
#define LINKSPAN_ROUTING_TEMPLATE_H

#include <stddef.h>

/* NULL if well formed, else one sentence of what is wrong; *ret_offset (may be NULL) is the byte where. captures: the
 * names that the mapping's filters bind, n of them. The sentence may lie in a thread-local buffer: valid until the next
 * call in this thread. */
const char *template_check(const char *text, const char *const *captures, size_t n_captures, size_t *ret_offset);

#endif
