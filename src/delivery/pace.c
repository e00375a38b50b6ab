/* SPDX-License-Identifier: Apache-2.0
 *
 * Levels are kept in thousandths of a token, which a bucket gets in whole numbers with each millisecond.
 */
#include "delivery/pace.h"

#define TOKEN         1000 /* thousandths */
#define BURSTS        10 /* in a second */
#define GATHER_MS     10
#define MOST_A_SECOND (INT64_C(1) << 50)

static void bucket_init(struct pace_bucket *bucket, uint64_t rate)
{
	bucket->rate = rate < MOST_A_SECOND ? (int64_t)rate : MOST_A_SECOND;
	bucket->burst = bucket->rate / BURSTS * TOKEN;
	if (bucket->burst < TOKEN)
		bucket->burst = TOKEN;
	bucket->burst += TOKEN - 1; /* the fraction of a token that is there is not lost to the bound */
	bucket->level = bucket->burst;
}

void pace_init(struct pace *pace, uint64_t messages, uint64_t bytes, uint64_t now_ms)
{
	*pace = (struct pace){.at_ms = now_ms, .limited = messages > 0 || bytes > 0};
	bucket_init(&pace->messages, messages);
	bucket_init(&pace->bytes, bytes);
}

/* Until the bucket holds that much; more than 0. */
static uint64_t wait_ms(const struct pace_bucket *bucket, int64_t level)
{
	return (uint64_t)((level - bucket->level + bucket->rate - 1) / bucket->rate);
}

static void fill(struct pace_bucket *bucket, uint64_t elapsed_ms)
{
	if (bucket->level >= bucket->burst || bucket->rate == 0)
		return;
	if (elapsed_ms >= wait_ms(bucket, bucket->burst))
		bucket->level = bucket->burst;
	else
		bucket->level += bucket->rate * (int64_t)elapsed_ms; /* less than burst - level */
}

static bool is_empty(const struct pace_bucket *bucket)
{
	return bucket->rate > 0 && bucket->level < TOKEN;
}

bool pace_allows(struct pace *pace, uint64_t now_ms)
{
	if (!pace->limited)
		return true;
	if (now_ms > pace->at_ms) {
		fill(&pace->messages, now_ms - pace->at_ms);
		fill(&pace->bytes, now_ms - pace->at_ms);
		pace->at_ms = now_ms;
	}
	return !is_empty(&pace->messages) && !is_empty(&pace->bytes);
}

void pace_take(struct pace *pace, uint64_t bytes)
{
	if (pace->messages.rate)
		pace->messages.level -= TOKEN;
	if (pace->bytes.rate)
		pace->bytes.level -= (int64_t)bytes * TOKEN;
}

static uint64_t bucket_wait_ms(const struct pace_bucket *bucket)
{
	if (!is_empty(bucket))
		return 0;
	int64_t wanted = bucket->rate * GATHER_MS;
	if (wanted > bucket->burst)
		wanted = bucket->burst;
	return wait_ms(bucket, wanted > TOKEN ? wanted : TOKEN);
}

uint64_t pace_due_ms(const struct pace *pace, uint64_t now_ms)
{
	uint64_t messages_ms = bucket_wait_ms(&pace->messages), bytes_ms = bucket_wait_ms(&pace->bytes);
	return now_ms + (messages_ms > bytes_ms ? messages_ms : bytes_ms);
}
