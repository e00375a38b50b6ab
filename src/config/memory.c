/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocation while a configuration is read: never NULL.
 */
#define _GNU_SOURCE
#include "config/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void memory_out(void)
{
	fputs("linkspan: out of memory while reading the configuration\n", stderr);
	abort();
}

static void *memory_checked(void *memory)
{
	if (!memory)
		memory_out();
	return memory;
}

void *memory_zero(size_t size)
{
	return memory_checked(calloc(1, size ? size : 1));
}

void *memory_grow(void *items, size_t n, size_t size)
{
	if (n && (n & (n - 1)) != 0)
		return items; /* within the power of two allocated last */
	size_t room = n ? n * 2 : 1;
	if (room > SIZE_MAX / 2 / size)
		return memory_checked(NULL);
	return memory_checked(realloc(items, room * size));
}

char *memory_text(const char *text)
{
	return memory_bytes(text, strlen(text));
}

char *memory_bytes(const char *text, size_t len)
{
	char *copy = memory_checked(malloc(len + 1));
	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

char *memory_format(const char *format, ...)
{
	char *text;
	va_list args;
	va_start(args, format);
	int len = vasprintf(&text, format, args);
	va_end(args);
	return memory_checked(len < 0 ? NULL : text);
}
