/* SPDX-License-Identifier: Apache-2.0
 *
 * A bump allocator for what lives exactly as long as one call of the router. After warm-up a call takes no
 * memory from malloc: a reset merges what the last call needed into one block, and gives it back when that
 * was unusually much.
 *
 * Threads: none of its own; belongs to its owner's thread.
 */
#ifndef LINKSPAN_ROUTING_ARENA_H
#define LINKSPAN_ROUTING_ARENA_H

#include <stddef.h>

#include "message/slice.h"

/* What a reset keeps at most, in bytes. */
#define ARENA_KEEP_BYTES (256u * 1024)

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	size_t used; /* of the newest */
	size_t total_bytes; /* of all blocks */
};

/* A zeroed struct arena is an empty one. Suitably aligned for any type; not zeroed; NULL when memory is out.
 * Never NULL for 0 bytes otherwise. */
void *arena_alloc(struct arena *arena, size_t len) __attribute__((warn_unused_result));
/* A copy of the bytes; an absent slice when memory is out. */
struct slice arena_copy(struct arena *arena, struct slice bytes) __attribute__((warn_unused_result));
/* A formatted C string, cut at 500 bytes on a character's boundary; a static sentence when memory is out. */
const char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Everything handed out is gone. */
void arena_reset(struct arena *arena);
void arena_free(struct arena *arena);

#endif
