/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request says, read in one walk over its options. Slices point into the datagram, the topic into the buffer given.
 *
 * Pure, but for libcoap's option walk; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_IN_HEAD_H
#define LINKSPAN_CONNECTORS_COAP_IN_HEAD_H

#include <coap3/coap.h>

#include "message/buffer.h"

#define COAP_IN_MAX_ETAGS   8u
#define COAP_IN_MAX_QUERIES 32u
#define COAP_IN_NO_OBSERVE  UINT32_MAX

struct coap_in_block {
	bool is_set;
	uint32_t num;
	bool more;
	uint8_t szx;
	uint32_t raw;
};

struct coap_in_head {
	uint8_t code, type;
	uint16_t mid;
	struct slice token;
	struct slice topic;
	struct slice queries[COAP_IN_MAX_QUERIES];
	size_t n_queries;
	int content_format, accept; /* CONTENT_FORMAT_NONE: absent */
	uint32_t observe; /* 0 registers, 1 ends it; COAP_IN_NO_OBSERVE: absent */
	struct coap_in_block block1, block2;
	struct slice etags[COAP_IN_MAX_ETAGS];
	size_t n_etags;
	struct slice if_match[COAP_IN_MAX_ETAGS];
	size_t n_if_match;
	bool if_none_match;
	uint64_t size1;
	struct slice request_tag; /* absent: none */
	uint8_t no_response;
	struct slice payload; /* never absent */
	struct slice bytes; /* from the token to the end of the payload: what tells it from another one */
};

/* 0; else the code to answer with, and why: one static sentence or NULL. token, type and mid are then right as well. */
uint8_t coap_in_head_read(const coap_pdu_t *pdu, bool is_stream, struct buffer *topic, struct coap_in_head *ret_head,
	const char **ret_wrong);

#endif
