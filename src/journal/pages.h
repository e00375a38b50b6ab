/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing run of bytes on pages of its own: grows without copying (mremap) and gives its memory back to the
 * system at once, so that a burst leaves nothing behind in an idle daemon. malloc does neither for buffers of
 * this size.
 *
 * One thread at a time.
 */
#ifndef LINKSPAN_JOURNAL_PAGES_H
#define LINKSPAN_JOURNAL_PAGES_H

#include <stddef.h>
#include <stdint.h>

struct pages { /* zero-initialised is empty */
	uint8_t *data;
	size_t len, capacity;
};

/* Room for at least `extra` bytes behind len. 0 or -ENOMEM. Pointers into the buffer may move. */
int pages_reserve(struct pages *buf, size_t extra) __attribute__((warn_unused_result));
/* Empties the buffer and keeps at most `keep` bytes of capacity. */
void pages_reset(struct pages *buf, size_t keep);
void pages_free(struct pages *buf);

#endif
