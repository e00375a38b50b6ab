/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of MQTT subscriptions: what the mappings want, and what a session at the broker has, which outlives the process
 * as an opaque blob in the journal. Subscribing goes by the difference of the two. No I/O; any thread.
 *
 * The blob, version 1, big endian: u8 version, string client id, string url, then per entry u8 flags (bits 0-1 qos, bit
 * 2 confirmed), string filter; a string is u16 length and bytes. A blob of another version, client or broker says nothing
 * about this session and counts as absent.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_SUBSCRIPTIONS_H
#define LINKSPAN_CONNECTORS_MQTT_SUBSCRIPTIONS_H

#include "message/buffer.h"

struct subscription {
	char *filter; /* wire form, $share prefix kept */
	uint8_t qos;
	bool confirmed; /* the broker has granted it */
};

struct subscriptions { /* zero-initialised is empty */
	struct subscription *items;
	size_t n, capacity;
};

void subscriptions_free(struct subscriptions *set);

/* NULL if there is none with exactly that filter; until the next add or remove. */
struct subscription *subscriptions_find(const struct subscriptions *set, const char *filter);
/* Adds it, or sets qos and confirmed of the one that is there. -ENOMEM. */
int subscriptions_put(struct subscriptions *set, const char *filter, uint8_t qos, bool confirmed)
	__attribute__((warn_unused_result));
void subscriptions_remove(struct subscriptions *set, const char *filter);

/* Removes every filter whose topics another one of the same qos brings already, so that a message comes once. Shared
 * subscriptions stay: each is a queue of its own. */
void subscriptions_reduce(struct subscriptions *set);

/* Which session a blob is about. */
struct subscriptions_owner {
	const char *client_id, *url;
};

int subscriptions_encode(const struct subscriptions *set, const struct subscriptions_owner *owner, struct buffer *out)
	__attribute__((warn_unused_result)); /* appends; -ENOMEM, -ENOBUFS */
/* 0, -ENOENT (absent, or about another session), -EBADMSG (damaged), -ENOMEM. The set must be empty before and is so
 * after an error. */
int subscriptions_decode(struct slice blob, const struct subscriptions_owner *owner, struct subscriptions *set)
	__attribute__((warn_unused_result));

#endif
