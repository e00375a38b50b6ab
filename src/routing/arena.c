/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks in a list, the newest is filled from its start. A block that is full is never looked at again before
 * the reset.
 */
#include "routing/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "message/utf8.h"

#define FIRST_BYTES  4096u
#define MAX_SENTENCE 500u
#define ALIGN        alignof(max_align_t)

struct arena_block {
	struct arena_block *next;
	size_t size_bytes;
	alignas(max_align_t) uint8_t bytes[];
};

static struct arena_block *arena_block_new(size_t size_bytes)
{
	struct arena_block *block = malloc(sizeof *block + size_bytes);
	if (block)
		*block = (struct arena_block){.size_bytes = size_bytes};
	return block;
}

static int arena_grow(struct arena *arena, size_t len)
{
	size_t wanted = arena->total_bytes > FIRST_BYTES ? arena->total_bytes : FIRST_BYTES;
	struct arena_block *block = arena_block_new(len > wanted ? len : wanted);
	if (!block)
		return -1;
	block->next = arena->blocks;
	arena->blocks = block;
	arena->used = 0;
	arena->total_bytes += block->size_bytes;
	return 0;
}

void *arena_alloc(struct arena *arena, size_t len)
{
	if (len > SIZE_MAX / 4)
		return NULL;
	len = (len + ALIGN - 1) / ALIGN * ALIGN;
	if (len == 0)
		len = ALIGN;
	if ((!arena->blocks || arena->blocks->size_bytes - arena->used < len) && arena_grow(arena, len) != 0)
		return NULL;
	void *result = arena->blocks->bytes + arena->used;
	arena->used += len;
	return result;
}

struct slice arena_copy(struct arena *arena, struct slice bytes)
{
	uint8_t *copy = arena_alloc(arena, bytes.len);
	if (!copy)
		return (struct slice){NULL, 0};
	if (bytes.len)
		memcpy(copy, bytes.data, bytes.len);
	return slice_of(copy, bytes.len);
}

const char *arena_printf(struct arena *arena, const char *format, ...)
{
	char *text = arena_alloc(arena, MAX_SENTENCE + 1);
	if (!text)
		return "memory is out";
	va_list args;
	va_start(args, format);
	int wanted = vsnprintf(text, MAX_SENTENCE + 1, format, args);
	va_end(args);
	size_t len = wanted < 0 ? 0 : (size_t)wanted;
	if (len > MAX_SENTENCE) { /* half a character may stand at the end: take the last one away */
		for (len = MAX_SENTENCE; len > 0 && ((uint8_t)text[len - 1] & 0xC0) == 0x80;)
			len--;
		if (len > 0 && ((uint8_t)text[len - 1] & 0x80))
			len--;
		text[len] = '\0';
	}
	return text;
}

static void arena_blocks_free(struct arena_block *block)
{
	while (block) {
		struct arena_block *next = block->next;
		free(block);
		block = next;
	}
}

void arena_reset(struct arena *arena)
{
	arena->used = 0;
	if (arena->total_bytes <= ARENA_KEEP_BYTES && (!arena->blocks || !arena->blocks->next))
		return;
	size_t keep = arena->total_bytes < ARENA_KEEP_BYTES ? arena->total_bytes : ARENA_KEEP_BYTES;
	arena_blocks_free(arena->blocks);
	*arena = (struct arena){.blocks = arena_block_new(keep)};
	if (arena->blocks)
		arena->total_bytes = keep;
}

void arena_free(struct arena *arena)
{
	arena_blocks_free(arena->blocks);
	*arena = (struct arena){0};
}
