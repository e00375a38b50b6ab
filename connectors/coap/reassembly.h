/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies of requests that come block by block (Block1, RFC 7959 §2; Request-Tag, RFC 9175 §3). Blocks come in order, block 0
 * begins anew, one that has been taken already changes nothing. Memory is taken for bytes that have come, never for a size
 * that was announced, and is bounded per body and for all of them.
 *
 * One thread at a time; the clock is the caller's, any that does not go back.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_REASSEMBLY_H
#define LINKSPAN_CONNECTORS_COAP_REASSEMBLY_H

#include "message/buffer.h"

/* MAX_TRANSMIT_WAIT (RFC 7252 §4.8.2): for so long a client may take to send the next block. */
#define REASSEMBLY_WAIT_MS 93000u

struct reassembly;

struct reassembly_limits {
	size_t max_body; /* bytes */
	size_t max_bytes; /* of all bodies together */
	size_t max_bodies; /* that are not complete */
	/* When there is no room, the body that has been without a block for longest goes, if that is at least so long. Else who
	 * holds most gives one up to who holds less; and for a body that is under way, one that was begun after it goes, so
	 * that bodies which fill the room together do not wait for each other. Its client is told 4.08 and begins again. */
	uint64_t yield_ms;
};

/* Which body a block is of. The token does not matter (RFC 7959 §2.5). */
struct reassembly_key {
	struct slice peer; /* address and port, or a session's number */
	struct slice holder; /* whose share of the room it takes: may change from block to block */
	uint8_t method; /* code */
	uint64_t options_hash; /* of path, query and what else must agree */
	struct slice request_tag; /* absent: none, which differs from an empty one */
};

struct reassembly_block {
	uint32_t num;
	bool more;
	uint8_t szx; /* 0 to 6; 7 is BERT (RFC 8323 §6), over TCP and TLS */
	struct slice payload;
	uint64_t size1; /* the Size1 option; 0: none */
};

enum reassembly_result {
	REASSEMBLY_WHOLE, /* the only block: its payload is the body. ret_body is left alone */
	REASSEMBLY_CONTINUE, /* 2.31 */
	REASSEMBLY_COMPLETE, /* ret_body holds the body, and is the caller's */
	REASSEMBLY_INCOMPLETE, /* 4.08: what comes before it is not there, or is something else now */
	REASSEMBLY_TOO_LARGE, /* 4.13, with Size1 = max_body */
	REASSEMBLY_MALFORMED, /* 4.00: its payload is not as long as its option says */
	REASSEMBLY_NO_ROOM, /* 5.03 */
};

/* 0 or -ENOMEM. */
int reassembly_new(const struct reassembly_limits *limits, struct reassembly **ret_reassembly)
	__attribute__((warn_unused_result));
void reassembly_free(struct reassembly *reassembly); /* NULL is allowed */

/* Takes one block. With WHOLE, COMPLETE, INCOMPLETE and TOO_LARGE nothing is kept of the body; with MALFORMED, and with
 * NO_ROOM for a later block than the first, it stays as it was. ret_body: a buffer_init()ed one, the memory of which is freed
 * when it is filled in. */
enum reassembly_result reassembly_add(struct reassembly *reassembly, const struct reassembly_key *key,
	const struct reassembly_block *block, uint64_t now_ms, struct buffer *ret_body);

/* Lets go bodies that have been without a block for REASSEMBLY_WAIT_MS; reassembly_add does so too. */
void reassembly_expire(struct reassembly *reassembly, uint64_t now_ms);
/* Is half of the room taken? */
bool reassembly_is_crowded(const struct reassembly *reassembly);
/* How many bodies are not complete, and the bytes that they hold. */
size_t reassembly_count(const struct reassembly *reassembly, size_t *ret_bytes);

#endif
