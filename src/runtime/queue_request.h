/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client of the control socket asks for (doc/control-protocol.md): one line of JSON, checked. And the filter by
 * which it picks messages.
 *
 * Pure functions, any thread.
 */
#ifndef LINKSPAN_RUNTIME_QUEUE_REQUEST_H
#define LINKSPAN_RUNTIME_QUEUE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "message/message.h"

#define QUEUE_REQUEST_MAX (256u * 1024) /* bytes of a request line */

enum queue_op {
	QUEUE_LS,
	QUEUE_PEEK,
	QUEUE_EXPORT,
	QUEUE_IMPORT,
	QUEUE_REQUEUE,
	QUEUE_PURGE,
	QUEUE_PAUSE,
	QUEUE_RESUME,
	QUEUE_WATCH,
	QUEUE_RELOAD,
	QUEUE_N_OPS
};

/* All of what is given must fit. */
struct queue_filter {
	uint64_t first_seq, last_seq; /* 0 and UINT64_MAX: any */
	char *topic; /* filter in wire form; NULL: any */
	struct slice key; /* equal bytes; absent: any */
	struct slice reason; /* is in the reason of a dead letter; absent: any */
};

struct queue_request {
	enum queue_op op;
	char *destination; /* NULL: none given */
	bool dead; /* the dead letters, not what waits */
	uint64_t limit; /* messages; UINT64_MAX: all */
	struct queue_filter filter;
	uint8_t *bytes; /* behind the slices above */
	char **drop, **drain; /* of QUEUE_RELOAD: names, NULL-terminated; NULL: none */
};

/* 0, or a negative errno: -EINVAL with one sentence in *ret_wrong (static), -ENOMEM. */
int queue_request_parse(struct slice line, struct queue_request *ret_request, const char **ret_wrong)
	__attribute__((warn_unused_result));
void queue_request_free(struct queue_request *request);

bool queue_filter_is_empty(const struct queue_filter *filter);
/* reason: of a dead letter, NULL for what waits. */
bool queue_filter_matches(
	const struct queue_filter *filter, uint64_t seq, const struct message_view *view, const char *reason);

#endif
