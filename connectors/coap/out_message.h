/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of a call for libcoap: options in the order of their numbers, whoever adds them, and what a response says in its
 * options.
 *
 * Threads: the loop's.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_OUT_MESSAGE_H
#define LINKSPAN_CONNECTORS_COAP_OUT_MESSAGE_H

#include <coap3/coap.h>

#include "message/slice.h"

#define COAP_REQUEST_TAG_OPTION 292 /* RFC 9175; libcoap has no name for it */
#define COAP_MESSAGE_EXTRAS     8u

/* What is added to the options of a request. */
struct coap_message_extra {
	uint16_t number;
	struct slice value;
	uint8_t bytes[4]; /* of a number */
};
struct coap_message_extras {
	struct coap_message_extra items[COAP_MESSAGE_EXTRAS];
	size_t n;
};
/* In ascending order of the numbers. */
void coap_message_add(struct coap_message_extras *extras, uint16_t number, struct slice value);
void coap_message_add_uint(struct coap_message_extras *extras, uint16_t number, uint32_t value);

/* A number as an option has it, without leading zeros; returns its length. */
size_t coap_message_uint(uint32_t value, uint8_t out[4]);
/* Of a Block1 or Block2 option (RFC 7959 §2.2). */
uint32_t coap_message_block(uint32_t num, bool more, uint8_t szx);

/* The encoded options of a call (coap_call_option): number, length, bytes. False: it is the end. */
bool coap_message_next(struct slice *options, uint16_t *ret_number, struct slice *ret_value);
/* Bytes that all of them take in a message. */
size_t coap_message_size(struct slice options, const struct coap_message_extras *extras);
/* They fit, and the payload too. NULL: memory is out. */
coap_pdu_t *coap_message_new(uint8_t type, uint8_t code, uint16_t id, struct slice token, struct slice options,
	const struct coap_message_extras *extras, struct slice payload, size_t max_size)
	__attribute__((warn_unused_result));

struct coap_message_block_option {
	bool present, more;
	uint8_t szx; /* 0 to 6; 7 is taken for 6 */
	uint32_t num;
};

/* Slices lie in the PDU. */
struct coap_message_view {
	uint8_t code;
	struct coap_message_block_option block1, block2;
	bool observed, has_max_age;
	uint32_t sequence, max_age_s;
	int32_t format; /* -1: none */
	struct slice etag, echo; /* absent: none */
	struct slice payload; /* never absent */
};
void coap_message_read(const coap_pdu_t *pdu, struct coap_message_view *ret_view);

#endif
