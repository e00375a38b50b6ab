/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of MQTT subscriptions: what the mappings want, and what a session at the broker has, which outlives the process
 * as an opaque blob in the journal. Subscribing goes by the difference of the two. No I/O; any thread.
 *
 * The blob, version 2, big endian: u8 version, string client id, string url, u32 last identifier, then per entry u8 flags
 * (bits 0-1 qos, bit 2 confirmed), u8 options, u32 identifier, string filter; a string is u16 length and bytes. Version 1
 * had no identifiers and no options, and is read as if both were 0. A blob of another version, client or broker says
 * nothing about this session and counts as absent.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_FILTER_SET_H
#define LINKSPAN_CONNECTORS_MQTT_FILTER_SET_H

#include "message/buffer.h"

#define FILTER_SET_MAX_IDENTIFIER 268435455u /* MQTT 5 §3.8.2.1.2 */

struct filter_entry {
	char *filter; /* wire form, $share prefix kept */
	uint8_t qos;
	uint8_t options; /* the byte of MQTT 5 §3.8.3.1 without the qos */
	bool confirmed; /* the broker has granted it */
	uint32_t identifier; /* Subscription Identifier, 0: none */
	int subscription; /* in a set of what is wanted: index of the link_subscription */
};

struct filter_set { /* zero-initialised is empty */
	struct filter_entry *items;
	size_t n, capacity;
	uint32_t last_identifier; /* none above it was ever used in this session */
};

void filter_set_free(struct filter_set *set);

/* NULL if there is none with exactly that filter; until the next add or remove. */
struct filter_entry *filter_set_find(const struct filter_set *set, const char *filter);
/* Adds it (the text is copied), or sets everything else of the one that is there. -ENOMEM. */
int filter_set_put(struct filter_set *set, const struct filter_entry *entry) __attribute__((warn_unused_result));
void filter_set_remove(struct filter_set *set, const char *filter);
/* The set `to` must be empty before, and is so after an error. -ENOMEM. */
int filter_set_copy(const struct filter_set *from, struct filter_set *to) __attribute__((warn_unused_result));

/* An identifier that this session has not had; 0 when all are used up. */
uint32_t filter_set_next_identifier(struct filter_set *set);

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
