/* SPDX-License-Identifier: Apache-2.0
 *
 * The partitions that a Kafka source knows of, and where it stands in each. Lives as long as the source; consumers come
 * and go.
 *
 * A partition's name is "topic/number", by which the journal keeps its position: the offset of the next record, like
 * offsets that groups commit. (Not of the last one: a partition may begin at 0, or be put back to it.)
 *
 * Threads: the table is the consumer's thread's while that runs, else the loop's. Of a partition each member says whose it is.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_PARTITIONS_H
#define LINKSPAN_CONNECTORS_KAFKA_PARTITIONS_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>

#include "message/slice.h"
#include "connectors/kafka/topic_names.h"

#define KAFKA_PARTITION_NAME (KAFKA_MAX_TOPIC + 12u) /* with NUL */

enum kafka_partition_state {
	KAFKA_PARTITION_IDLE, /* not ours, or not there */
	KAFKA_PARTITION_DUE, /* to be begun: where is not known yet */
	KAFKA_PARTITION_CHECKING, /* fetched from the record before its position, which is to be the one that was taken */
	KAFKA_PARTITION_READING,
	KAFKA_PARTITION_ASKING, /* the broker has not what we ask for: what has it? */
	KAFKA_PARTITION_HALTED, /* not read until a person has decided: on_offset_reset: stop, from: stored */
};

/* Why it is not sure that a partition has what we want of it. */
enum kafka_doubt {
	KAFKA_DOUBT_RANGE, /* the broker says that the offset is out of range */
	KAFKA_DOUBT_END, /* it ends before the record that we took last */
	KAFKA_DOUBT_OTHER, /* at that offset there is another record */
	KAFKA_DOUBT_DAMAGED, /* what the broker sent is damaged: once more */
	KAFKA_DOUBT_GONE, /* no such topic, for now */
};

/* A place in a partition, as it is also committed to a group. */
struct kafka_place {
	int64_t next; /* the offset of the next record; -1: none */
	uint64_t fingerprint; /* of the record before it; 0: not known */
	unsigned puts; /* how often the partition had been put elsewhere by then; not committed */
};

struct kafka_partition {
	char name[KAFKA_PARTITION_NAME];
	char topic[KAFKA_MAX_TOPIC + 1];
	size_t topic_len;
	int32_t number;

	/* Loop. Read by a thread before it starts, and when no chunk is in the loop's hands. */
	bool has_position; /* journalled, or about to be */
	uint64_t position; /* of all that was offered: the next offset */
	uint64_t fingerprint; /* of the record before it; 0: not known */
	unsigned position_puts;
	struct kafka_place marked; /* position when the last mark was offered */
	bool listed; /* among those of which more was offered since */

	pthread_mutex_t mutex; /* guards `durable` */
	struct kafka_place durable; /* below it all is on disk, as the loop has said */

	/* Thread. */
	enum kafka_partition_state state;
	enum kafka_doubt doubt; /* while ASKING */
	bool seen; /* it was there before */
	bool late; /* it came while we read: from its beginning */
	bool assigned; /* by the group */
	/* Since the group has given it to us: */
	bool placed; /* what the group has committed is known, and `next` takes account of it */
	bool there; /* what stands before `next` was seen, or nobody can tell: so what is durable may be committed */
	uint8_t qos;
	bool known; /* next is one that was stored, or is about to be */
	uint64_t next; /* the next offset to hand over */
	uint64_t last_fingerprint; /* of the record before it, 0: not known */
	uint64_t checked, checked_fingerprint; /* while CHECKING: the record that is looked for */
	uint64_t due_ms; /* while CHECKING: when it is given up, 0: not yet; while ASKING and DUE: when to ask */
	uint64_t short_ms; /* while ASKING: since when it is said to end before `next`; 0: it is not */
	int64_t high; /* high watermark as last seen; -1: not yet */
	uint64_t anchor, anchor_fingerprint; /* the record that was handed over last when it was seen; 0: none */
	struct kafka_place committed; /* in the group, as last seen */
	struct kafka_place other; /* of the group's place and ours the one that was not chosen; -1: none */
	bool put_back; /* to a place before what was committed: then that goes back as well */
	unsigned puts; /* how often it was read on from elsewhere: what was durable before that is of no use */
	rd_kafka_topic_t *handle; /* static assignment: while it is fetched */
};

struct kafka_partitions {
	struct kafka_partition **items; /* in the order in which they were found */
	size_t n, capacity;
	uint32_t *slots; /* open addressing: index + 1; 0 empty */
	size_t n_slots; /* a power of two, or 0 */
	bool surveyed; /* all that match were there once: what comes now is new */
};

/* Finds or makes it; NULL when memory is out, or the name is no topic's. */
struct kafka_partition *kafka_partitions_get(struct kafka_partitions *partitions, const char *topic, int32_t number)
	__attribute__((warn_unused_result));
/* The one whose name the journal has kept; NULL also when that is not a partition's. */
struct kafka_partition *kafka_partitions_named(struct kafka_partitions *partitions, struct slice name)
	__attribute__((warn_unused_result));
/* Any thread. */
void kafka_partition_set_durable(struct kafka_partition *partition, struct kafka_place place);
struct kafka_place kafka_partition_durable(struct kafka_partition *partition);
/* A place as a group keeps it: the offset, and in its metadata the fingerprint, which says what topic the offset is of: one of the
 * same name that is made later has other records. Metadata that is not ours is none. */
void kafka_place_write(struct kafka_place place, rd_kafka_topic_partition_t *element);
struct kafka_place kafka_place_read(const rd_kafka_topic_partition_t *element);
/* To be called by who may read both halves: the thread's view begins anew with what was offered. */
void kafka_partitions_rewind(struct kafka_partitions *partitions);
void kafka_partitions_fini(struct kafka_partitions *partitions);

#endif
