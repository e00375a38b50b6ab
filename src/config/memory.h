/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocation while a configuration is read. What is asked for is bounded by the limits of the YAML reader (yaml_tree.h),
 * so running out means that the machine has no memory left: the process ends with a line that says so, before it took
 * in a message, instead of carrying an error path through every string that is copied. Not for use anywhere else.
 *
 * Pointers are the caller's and are freed with free().
 */
#ifndef LINKSPAN_CONFIG_MEMORY_H
#define LINKSPAN_CONFIG_MEMORY_H

#include <stddef.h>

/* Ends the process, as the others do when there is none left. */
void memory_out(void) __attribute__((noreturn));
void *memory_zero(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
/* Room for n items of `size` bytes: grows in powers of two, so that appending one by one costs little. n counts the
 * items in use; call it before items[n] is written. */
void *memory_grow(void *items, size_t n, size_t size) __attribute__((returns_nonnull, warn_unused_result));
char *memory_text(const char *text) __attribute__((malloc, returns_nonnull, warn_unused_result));
char *memory_bytes(const char *text, size_t len) __attribute__((malloc, returns_nonnull, warn_unused_result));
char *memory_format(const char *format, ...)
	__attribute__((malloc, returns_nonnull, warn_unused_result, format(printf, 1, 2)));

#endif
