/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a partition begins, and whether what is there is what we left there.
 *
 * A position that is stored, or that one of us has committed to a group, is checked at no cost: the partition is fetched from the
 * record before it, whose fingerprint is stored too. That record again: all is well, it is passed over. Another one: the topic was made
 * anew. None, but later ones: it was compacted away, which tells nothing. Out of range, or the end comes before it: the watermarks say
 * what happened. An end that comes too early is given some time: a new leader may know less of its high watermark than the last one
 * (KIP-207), and a broker that had stood still takes itself for the leader for a moment.
 *
 * While a partition is read the same is done again whenever there is a doubt: the broker calls our offset out of range, the topic was
 * gone, or the high watermark went down. It cannot be seen that a topic was deleted, made again, and filled beyond where it was,
 * all between two looks at the watermark (a second).
 */
#include <stdio.h>
#include <string.h>

#include "connectors/kafka/consumer_impl.h"
#include "runtime/log.h"

#define ASK_MS    2000 /* how long the broker may take to say what offsets it has */
#define AGAIN_MS  1000u
#define LATER_MS  10000u /* the same while others wait for this thread, which waits for the answer */
#define TURN_MS   200u /* of asking one by one, then others have their turn */
#define SETTLE_MS 5000u /* an end that comes too early */

/* --- questions ------------------------------------------------------------------------------------------------- */

struct watermarks {
	struct kafka_partition *partition;
	int64_t low, high; /* high: with read_committed the last stable offset; -1: could not be had */
};

/* What all partitions of the list answer to one logical offset, into its elements. */
static bool ask_offsets(struct kafka_consumer *consumer, rd_kafka_topic_partition_list_t *list, int64_t which)
{
	for (int i = 0; i < list->cnt; i++)
		list->elems[i].offset = which;
	rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(consumer->rk, list, ASK_MS);
	if (err)
		log_debug("kafka_offsets", "connection=%s partitions=%d code=%s", consumer->options.name, list->cnt,
			rd_kafka_err2name(err));
	return !err;
}

static int64_t offset_in(const rd_kafka_topic_partition_list_t *list, const struct kafka_partition *partition)
{
	const rd_kafka_topic_partition_t *element = rd_kafka_topic_partition_list_find(
		(rd_kafka_topic_partition_list_t *)(uintptr_t)list, partition->topic, partition->number);
	return !element || element->err || element->offset < 0 ? -1 : element->offset;
}

static bool is_read(const struct kafka_consumer *consumer)
{
	bool any = false;
	for (size_t i = 0; i < consumer->partitions->n && !any; i++)
		any = consumer->partitions->items[i]->state == KAFKA_PARTITION_READING;
	return any;
}

/* One that nobody answers for, asked alone or among n, is found out, and the others go first. One without a leader is not
 * asked at all, which the metadata says. */
static void no_answer(
	struct kafka_consumer *consumer, struct kafka_asking *asking, struct kafka_partition *first, size_t n)
{
	if (n == 1)
		first->due_ms =
			kafka_consumer_now_ms() + (asking->one_by_one || is_read(consumer) ? LATER_MS : AGAIN_MS);
	else
		asking->one_by_one = true;
	consumer->next_refresh_ms = 0;
}

/* False: nobody could be asked. */
static bool ask_watermarks(
	struct kafka_consumer *consumer, struct kafka_asking *asking, struct watermarks *marks, size_t n)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
	for (size_t i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(list, marks[i].partition->topic, marks[i].partition->number);
	bool good = ask_offsets(consumer, list, RD_KAFKA_OFFSET_BEGINNING);
	for (size_t i = 0; i < n && good; i++)
		marks[i].low = offset_in(list, marks[i].partition);
	good = good && ask_offsets(consumer, list, RD_KAFKA_OFFSET_END);
	for (size_t i = 0; i < n && good; i++)
		marks[i].high = offset_in(list, marks[i].partition);
	rd_kafka_topic_partition_list_destroy(list);
	if (!good)
		no_answer(consumer, asking, marks[0].partition, n);
	return good;
}

/* The partitions for which `wanted` holds, at most `max`; one when they are to be asked one by one. */
static size_t collect(struct kafka_consumer *consumer, struct kafka_asking *asking,
	bool (*wanted)(const struct kafka_consumer *consumer, const struct kafka_partition *partition),
	struct kafka_partition **ret_partitions, size_t max)
{
	const struct kafka_partitions *all = consumer->partitions;
	size_t n = 0;
	if (asking->one_by_one) {
		max = 1;
		asking->turn++;
	}
	for (size_t i = 0; i < all->n && n < max; i++) {
		struct kafka_partition *partition = all->items[(asking->turn + i) % all->n];
		if (wanted(consumer, partition)) {
			ret_partitions[n++] = partition;
			if (asking->one_by_one)
				asking->turn = (asking->turn + i) % all->n;
		}
	}
	if (n == 0)
		asking->one_by_one = false;
	return n;
}

#define MAX_ASKED 500

/* --- fetching --------------------------------------------------------------------------------------------------- */

static void is_there(struct kafka_partition *partition)
{
	partition->state = KAFKA_PARTITION_READING;
	partition->due_ms = 0;
	partition->other.next = -1;
	partition->there = true;
}

uint64_t kafka_start_offset(struct kafka_partition *partition)
{
	partition->due_ms = 0;
	partition->high = -1;
	if (partition->state == KAFKA_PARTITION_CHECKING)
		return partition->checked; /* as somebody has set it */
	if (partition->state != KAFKA_PARTITION_READING && partition->last_fingerprint && partition->next) {
		partition->state = KAFKA_PARTITION_CHECKING;
		partition->checked = partition->next - 1;
		partition->checked_fingerprint = partition->last_fingerprint;
		return partition->checked;
	}
	is_there(partition);
	return partition->next;
}

void kafka_fetch_end(struct kafka_consumer *consumer, struct kafka_partition *partition)
{
	consumer->last_partition = NULL; /* who reads may meet another handle at the same address */
	if (!partition->handle)
		return;
	rd_kafka_consume_stop(partition->handle, partition->number);
	rd_kafka_topic_destroy(partition->handle);
	partition->handle = NULL;
}

void kafka_fetch_begin(struct kafka_consumer *consumer, struct kafka_partition *partition)
{
	if (consumer->group) {
		consumer->reassign = true;
		return;
	}
	kafka_fetch_end(consumer, partition);
	uint64_t offset = kafka_start_offset(partition);
	log_debug("kafka_fetch", "connection=%s partition=%s offset=%llu check=%s", consumer->options.name,
		partition->name, (unsigned long long)offset,
		partition->state == KAFKA_PARTITION_CHECKING ? "yes" : "no");
	partition->handle = rd_kafka_topic_new(consumer->rk, partition->topic, NULL);
	if (partition->handle && rd_kafka_consume_start_queue(
					 partition->handle, partition->number, (int64_t)offset, consumer->records) == 0)
		return;
	log_warn("kafka_read_error", "connection=%s partition=%s code=%s text=\"cannot begin to read\"",
		consumer->options.name, partition->name, rd_kafka_err2name(rd_kafka_last_error()));
	if (partition->handle)
		rd_kafka_topic_destroy(partition->handle);
	partition->handle = NULL;
	partition->state = KAFKA_PARTITION_DUE;
	consumer->next_begin_ms = kafka_consumer_now_ms() + AGAIN_MS;
}

static void halt(struct kafka_consumer *consumer, struct kafka_partition *partition)
{
	partition->state = KAFKA_PARTITION_HALTED;
	partition->there = false;
	if (consumer->group)
		consumer->reassign = true;
	else
		kafka_fetch_end(consumer, partition);
}

/* --- beginning ---------------------------------------------------------------------------------------------------- */

static bool is_due(const struct kafka_consumer *consumer, const struct kafka_partition *partition)
{
	bool begins = consumer->group && partition->placed && partition->known; /* with the next assignment */
	return partition->state == KAFKA_PARTITION_DUE && !begins && kafka_consumer_now_ms() >= partition->due_ms;
}

/* Must its watermarks be known? Says what is to be said if it is not to be read at all. */
static bool needs_watermarks(struct kafka_consumer *consumer, struct kafka_partition *partition)
{
	if (partition->known)
		return false;
	if (partition->late || consumer->settings->from != KAFKA_FROM_STORED)
		return true;
	log_error("kafka_no_position",
		"connection=%s partition=%s what=\"no position is stored, and from: stored does not say where to "
		"begin\"",
		consumer->options.name, partition->name);
	kafka_consumer_alarm(consumer,
		"partition %s is not read: no position of it is stored, and from: stored does not say where to begin",
		partition->name);
	halt(consumer, partition);
	return false;
}

/* A first position is journalled at once: after a restart an end would be another one. */
static void begin_at(struct kafka_consumer *consumer, const struct watermarks *marks)
{
	struct kafka_partition *partition = marks->partition;
	bool at_end = !partition->late && consumer->settings->from == KAFKA_FROM_END;
	int64_t offset = at_end ? marks->high : marks->low;
	if (offset < 0)
		return; /* still due */
	partition->next = (uint64_t)offset;
	partition->last_fingerprint = 0;
	partition->known = true;
	log_info("kafka_partition_begins", "connection=%s partition=%s offset=%lld why=%s", consumer->options.name,
		partition->name, (long long)offset,
		at_end            ? "end"
		: partition->late ? "new"
				  : "beginning");
	kafka_consumer_hand_position(consumer, partition);
}

static bool is_placed(const struct kafka_consumer *consumer, const struct kafka_partition *partition)
{
	return partition->placed || !consumer->group;
}

/* Returns whether the next one of several can be asked at once. */
static bool begin_some(struct kafka_consumer *consumer)
{
	struct kafka_partition *due[MAX_ASKED];
	struct watermarks asked[MAX_ASKED];
	size_t n = collect(consumer, &consumer->begins, is_due, due, MAX_ASKED), n_asked = 0;
	bool answered = true;
	if (n == 0)
		return false;
	consumer->next_begin_ms = kafka_consumer_now_ms() + (consumer->begins.one_by_one ? 0 : AGAIN_MS);
	if (consumer->group && !kafka_group_committed(consumer, due, n))
		return false;
	for (size_t i = 0; i < n; i++)
		if (is_placed(consumer, due[i]) && needs_watermarks(consumer, due[i]))
			asked[n_asked++] = (struct watermarks){due[i], -1, -1};
	if (n_asked)
		answered = ask_watermarks(consumer, &consumer->begins, asked, n_asked);
	for (size_t i = 0; i < n_asked && answered; i++)
		begin_at(consumer, &asked[i]);
	for (size_t i = 0; i < n; i++)
		if (due[i]->state == KAFKA_PARTITION_DUE && due[i]->known && is_placed(consumer, due[i]))
			kafka_fetch_begin(consumer, due[i]);
	if (n == MAX_ASKED)
		consumer->next_begin_ms = 0; /* there are more */
	return answered && consumer->begins.one_by_one;
}

void kafka_begin_due(struct kafka_consumer *consumer)
{
	uint64_t until_ms = kafka_consumer_now_ms() + TURN_MS;
	while (begin_some(consumer) && kafka_consumer_now_ms() < until_ms)
		;
}

/* --- checking ----------------------------------------------------------------------------------------------------- */

bool kafka_check_record(
	struct kafka_consumer *consumer, struct kafka_partition *partition, uint64_t offset, uint64_t fingerprint)
{
	if (offset < partition->checked)
		return false;
	if (offset == partition->checked && fingerprint != partition->checked_fingerprint) {
		kafka_doubt(consumer, partition, KAFKA_DOUBT_OTHER);
		return false;
	}
	is_there(partition);
	return offset >= partition->next; /* between an anchor and the next there are those that were handed over */
}

void kafka_check_end(struct kafka_partition *partition, uint64_t offset)
{
	if (offset > partition->checked)
		is_there(partition); /* the record is gone, what follows it will come */
	else if (!partition->due_ms)
		partition->due_ms = kafka_consumer_now_ms() + SETTLE_MS;
}

void kafka_doubt(struct kafka_consumer *consumer, struct kafka_partition *partition, enum kafka_doubt doubt)
{
	static const char *const names[] = {"out_of_range", "ends_early", "other_record", "damaged", "gone"};
	log_warn("kafka_offset_doubt", "connection=%s partition=%s offset=%llu reason=%s", consumer->options.name,
		partition->name, (unsigned long long)partition->next, names[doubt]);
	bool wait = doubt == KAFKA_DOUBT_DAMAGED || doubt == KAFKA_DOUBT_GONE;
	partition->state = KAFKA_PARTITION_ASKING;
	partition->there = false;
	partition->doubt = doubt;
	partition->short_ms = 0;
	partition->due_ms = kafka_consumer_now_ms() + (wait ? AGAIN_MS : 0);
	kafka_fetch_end(consumer, partition);
	if (doubt == KAFKA_DOUBT_GONE && !consumer->group) {
		partition->state = KAFKA_PARTITION_IDLE; /* until it is found again */
		if (consumer->next_refresh_ms > partition->due_ms)
			consumer->next_refresh_ms = partition->due_ms;
	}
}

void kafka_watch(struct kafka_consumer *consumer)
{
	for (size_t i = 0; i < consumer->partitions->n; i++) {
		struct kafka_partition *partition = consumer->partitions->items[i];
		int64_t low, high;
		if (partition->state != KAFKA_PARTITION_READING ||
			rd_kafka_get_watermark_offsets(
				consumer->rk, partition->topic, partition->number, &low, &high) ||
			high < 0)
			continue;
		if (high < partition->high && partition->anchor_fingerprint) {
			log_warn("kafka_offset_doubt",
				"connection=%s partition=%s offset=%llu reason=high_watermark_went_down from=%lld "
				"to=%lld",
				consumer->options.name, partition->name, (unsigned long long)partition->next,
				(long long)partition->high, (long long)high);
			partition->state = KAFKA_PARTITION_CHECKING;
			partition->there = false;
			partition->checked = partition->anchor;
			partition->checked_fingerprint = partition->anchor_fingerprint;
			kafka_fetch_begin(consumer, partition);
			continue;
		}
		partition->high = high;
		if (partition->last_fingerprint && partition->next) {
			partition->anchor = partition->next - 1;
			partition->anchor_fingerprint = partition->last_fingerprint;
		}
	}
}

/* --- doubts --------------------------------------------------------------------------------------------------------- */

static bool is_doubtful(const struct kafka_consumer *consumer, const struct kafka_partition *partition)
{
	(void)consumer;
	return partition->due_ms &&
	       (partition->state == KAFKA_PARTITION_ASKING || partition->state == KAFKA_PARTITION_CHECKING) &&
	       kafka_consumer_now_ms() >= partition->due_ms;
}

/* Reads it from there, whatever was known of it before. */
static void put(struct kafka_consumer *consumer, struct kafka_partition *partition, struct kafka_place place)
{
	partition->next = (uint64_t)place.next;
	partition->last_fingerprint = place.fingerprint;
	partition->anchor_fingerprint = 0;
	partition->other.next = -1;
	partition->put_back = partition->placed = true;
	partition->there = false;
	partition->puts++;
	partition->state = KAFKA_PARTITION_DUE;
	partition->due_ms = 0;
	kafka_consumer_hand_position(consumer, partition);
	kafka_fetch_begin(consumer, partition);
}

/* In a group: what we have chosen is of an earlier topic; the other place may be of this one, which is checked in its turn. */
static bool put_to_other(struct kafka_consumer *consumer, const struct watermarks *marks, const char *why)
{
	struct kafka_partition *partition = marks->partition;
	struct kafka_place other = partition->other;
	if (!other.fingerprint || other.next <= marks->low || other.next > marks->high)
		return false;
	log_warn("kafka_other_position", "connection=%s partition=%s refuted=%llu offset=%lld from=%s what=\"%s\"",
		consumer->options.name, partition->name, (unsigned long long)partition->next, (long long)other.next,
		other.next == partition->committed.next ? "group" : "journal", why);
	put(consumer, partition, other);
	return true;
}

/* The position is not there. missing < 0: not known how many records were lost. */
static void reset(struct kafka_consumer *consumer, const struct watermarks *marks, const char *why, int64_t missing)
{
	struct kafka_partition *partition = marks->partition;
	if (put_to_other(consumer, marks, why))
		return;
	static const char *const actions[] = {"it is not read until on_offset_reset says where to go on",
		"it goes on at its beginning", "it goes on at its end"};
	int policy = consumer->settings->on_offset_reset;
	char lost[24] = "unknown";
	if (missing >= 0)
		snprintf(lost, sizeof lost, "%lld", (long long)missing);
	log_error("kafka_offset_reset",
		"connection=%s partition=%s stored=%llu low=%lld high=%lld missing=%s policy=%s what=\"%s; %s\"",
		consumer->options.name, partition->name, (unsigned long long)partition->next, (long long)marks->low,
		(long long)marks->high, lost, kafka_reset_choices[policy], why, actions[policy]);
	kafka_consumer_alarm(consumer,
		"partition %s: the stored position %llu is not there: %s (it has %lld to %lld); %s", partition->name,
		(unsigned long long)partition->next, why, (long long)marks->low, (long long)marks->high,
		actions[policy]);
	if (policy == KAFKA_RESET_STOP) {
		halt(consumer, partition);
		return;
	}
	int64_t next = policy == KAFKA_RESET_END ? marks->high : marks->low;
	put(consumer, partition, (struct kafka_place){.next = next});
}

/* Is it for long that it ends too early? Else it is asked again. */
static bool stays_short(struct kafka_partition *partition)
{
	uint64_t now_ms = kafka_consumer_now_ms();
	if (!partition->short_ms)
		partition->short_ms = now_ms;
	return partition->doubt == KAFKA_DOUBT_END || now_ms - partition->short_ms >= SETTLE_MS;
}

static void decide(struct kafka_consumer *consumer, const struct watermarks *marks)
{
	struct kafka_partition *partition = marks->partition;
	int64_t next = (int64_t)partition->next;
	if (partition->doubt == KAFKA_DOUBT_OTHER) {
		reset(consumer, marks, "another record stands before it, the topic was made anew", -1);
	} else if (marks->low > next) {
		reset(consumer, marks, "records were deleted that had not been read", marks->low - next);
	} else if (marks->high < next && partition->doubt != KAFKA_DOUBT_DAMAGED) {
		if (stays_short(partition))
			reset(consumer, marks, "the partition ends before it, the topic was made anew or cut off", -1);
	} else {
		if (marks->low == next)
			partition->last_fingerprint = 0; /* only the record before it is gone */
		partition->state = KAFKA_PARTITION_DUE;
		partition->due_ms = 0;
		kafka_fetch_begin(consumer, partition);
	}
}

void kafka_ask_doubtful(struct kafka_consumer *consumer)
{
	struct kafka_partition *doubtful[MAX_ASKED];
	struct watermarks marks[MAX_ASKED];
	size_t n = collect(consumer, &consumer->doubts, is_doubtful, doubtful, MAX_ASKED);
	for (size_t i = 0; i < n; i++) {
		marks[i] = (struct watermarks){doubtful[i], -1, -1};
		if (doubtful[i]->state == KAFKA_PARTITION_CHECKING) {
			doubtful[i]->state = KAFKA_PARTITION_ASKING;
			doubtful[i]->doubt = KAFKA_DOUBT_END;
			kafka_fetch_end(consumer, doubtful[i]);
		}
		doubtful[i]->due_ms = kafka_consumer_now_ms() + AGAIN_MS; /* unless the answer comes */
	}
	if (n == 0 || !ask_watermarks(consumer, &consumer->doubts, marks, n))
		return;
	for (size_t i = 0; i < n; i++)
		if (marks[i].low >= 0 && marks[i].high >= 0)
			decide(consumer, &marks[i]);
}
