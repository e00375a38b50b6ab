/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast a destination is sent to: two token buckets, one of messages and one of bytes. A bucket holds a tenth of
 * what comes in a second (at least one token), so that is the most that goes out at once. A message may go while
 * neither bucket is empty. It may take more bytes than there are: the bucket is then in debt and has to make up for
 * it before anything else goes, so the rate is kept whatever the sizes. All integers: nothing is lost by rounding.
 *
 * Knows no clock: the caller says what time it is. The loop only.
 */
#ifndef LINKSPAN_DELIVERY_PACE_H
#define LINKSPAN_DELIVERY_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace_bucket {
	int64_t rate; /* tokens a second, so thousandths a millisecond; 0 = no limit */
	int64_t level, burst; /* thousandths of a token */
};

struct pace {
	struct pace_bucket messages, bytes;
	uint64_t at_ms; /* up to then the buckets have been filled */
	bool limited; /* at all */
};

/* Both a second, 0 = no limit. The buckets begin full. */
void pace_init(struct pace *pace, uint64_t messages, uint64_t bytes, uint64_t now_ms);
/* May a message be sent now? */
bool pace_allows(struct pace *pace, uint64_t now_ms);
/* One has been. */
void pace_take(struct pace *pace, uint64_t bytes);
/* After pace_allows has said no: when to ask again. That is not for each token: about ten milliseconds' worth are
 * gathered. */
uint64_t pace_due_ms(const struct pace *pace, uint64_t now_ms);

#endif
