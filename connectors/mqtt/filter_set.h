/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of MQTT subscriptions: what the mappings want, and what a session at the broker has, which outlives the process
 * as an opaque blob in the journal. Subscribing goes by the difference of the two. No I/O; any thread.
 *
 * The blob, version 1, big endian: u8 version, string client id, string url, then per entry u8 flags (bits 0-1 qos, bit
 * 2 confirmed), string filter; a string is u16 length and bytes. A blob of another version, client or broker says nothing
 * about this session and counts as absent.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_FILTER_SET_H
#define LINKSPAN_CONNECTORS_MQTT_FILTER_SET_H

#include "message/buffer.h"

struct filter_entry {
	char *filter; /* wire form, $share prefix kept */
	uint8_t qos;
	bool confirmed; /* the broker has granted it */
};

struct filter_set { /* zero-initialised is empty */
	struct filter_entry *items;
	size_t n, capacity;
};

void filter_set_free(struct filter_set *set);

/* NULL if there is none with exactly that filter; until the next add or remove. */
struct filter_entry *filter_set_find(const struct filter_set *set, const char *filter);
/* Adds it, or sets qos and confirmed of the one that is there. -ENOMEM. */
int filter_set_put(struct filter_set *set, const char *filter, uint8_t qos, bool confirmed)
	__attribute__((warn_unused_result));
void filter_set_remove(struct filter_set *set, const char *filter);

/* Removes every filter whose topics another one of the same qos brings already, so that a message comes once. Shared
 * subscriptions stay: each is a queue of its own. */
void filter_set_reduce(struct filter_set *set);

/* Which session a blob is about. */
struct filter_set_owner {
	const char *client_id, *url;
};

int filter_set_encode(const struct filter_set *set, const struct filter_set_owner *owner, struct buffer *out)
	__attribute__((warn_unused_result)); /* appends; -ENOMEM, -ENOBUFS */
/* 0, -ENOENT (absent, or about another session), -EBADMSG (damaged), -ENOMEM. The set must be empty before and is so
 * after an error. */
int filter_set_decode(struct slice blob, const struct filter_set_owner *owner, struct filter_set *set)
	__attribute__((warn_unused_result));

#endif
