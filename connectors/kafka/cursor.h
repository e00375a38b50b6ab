/* SPDX-License-Identifier: Apache-2.0
 *
 * The cursor of an exactly-once destination: a record in a compacted topic of the cluster, written in the same transaction as
 * the messages up to it. Key: the destination's uuid as 32 hex digits. Value: "v1 seq=<decimal> writer=<16 hex digits>",
 * `writer` being a random number of each process.
 *
 * Threads: that of the exactly-once worker; everything that asks the cluster blocks.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_CURSOR_H
#define LINKSPAN_CONNECTORS_KAFKA_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/kafka/settings.h"

#define KAFKA_CURSOR_VALUE_SIZE 64

struct kafka_cursor {
	uint64_t seq; /* everything up to it is in the cluster; 0: nothing is known */
	uint64_t writer; /* of the record; 0 with seq 0 */
	int32_t partition; /* where to write the next one */
};

/* Text, NUL-terminated. Returns its length. */
size_t kafka_cursor_format(const struct kafka_cursor *cursor, char value[KAFKA_CURSOR_VALUE_SIZE]);
/* False: that is no cursor's value. */
bool kafka_cursor_parse(const void *value, size_t len, struct kafka_cursor *ret_cursor);

struct kafka_cursor_request {
	const struct kafka_settings *settings;
	const char *name; /* of the connection */
	const char *key;
	bool (*give_up)(void *arg); /* asked several times a second */
	void (*waits)(void *arg, int32_t partition); /* a transaction is open there; -1: that is over */
	void *arg;
};

/* Makes the topic if it is not there, and reads the cursor as readers see it who read what is committed: it waits until no
 * transaction is open before the end of the topic as it is now. 0, -ECANCELED (give_up), -EAGAIN (the cluster does not answer), -EPERM
 * (somebody has to do something); errstr then says what. */
int kafka_cursor_read(const struct kafka_cursor_request *request, struct kafka_cursor *ret_cursor, char *errstr,
	size_t errstr_size) __attribute__((warn_unused_result));

#endif
