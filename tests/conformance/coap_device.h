/* SPDX-License-Identifier: Apache-2.0
 *
 * A CoAP device over UDP on a loopback port of its own, with manners that a test chooses: it loses and repeats datagrams, is
 * silent or gone, rejects, answers late, in blocks, or that it is busy. Its own codec, so that what it understands
 * was written by nobody who wrote the client. It knows a repeated message by its port and id, as RFC 7252 §4.5 asks.
 * Ends the program if it cannot be had.
 *
 * Threads: one of its own; each function returns when it has taken effect.
 */
#ifndef LINKSPAN_TESTS_CONFORMANCE_COAP_DEVICE_H
#define LINKSPAN_TESTS_CONFORMANCE_COAP_DEVICE_H

#include "message/message.h"
#include "tests/conformance/peer.h"

struct coap_device;

struct coap_manners {
	unsigned lose_percent, duplicate_percent; /* of the datagrams of both directions */
	bool silent; /* takes nothing in */
	bool gone; /* nobody listens at the port */
	bool resets; /* rejects what must be confirmed */
	bool separate; /* acknowledges, and answers by a message of its own, which it repeats until that is acknowledged */
	bool without_ack; /* with separate: the acknowledgement is lost each time */
	bool holds_separate; /* with separate: not until coap_device_release */
	unsigned busy_times; /* so many requests are answered with busy_code */
	uint8_t busy_code;
	int busy_max_age; /* -1: no option */
	uint8_t code; /* of other answers; 0: 2.04 */
	size_t body; /* bytes of their payload: 'a' + offset % 26; in blocks if it is more than one */
	int format; /* of it; -1: no option */
	uint8_t szx; /* largest blocks, both ways */
	bool silent_blocks; /* gives the first block of a body, and no other */
	bool echoes; /* demands the Echo option first */
	bool changes; /* the body becomes another one while it is first read */
	bool ignores_block1; /* takes each block for a request, and does not say otherwise */
};
/* Answers with 2.04, in time. */
struct coap_manners coap_device_well(void);

struct coap_request_seen {
	uint8_t type, code; /* 0 CON, 1 NON */
	char target[600]; /* "/a/b?x=1", options as they are */
	int format, accept; /* -1: none */
	bool has_host;
	uint16_t id;
	uint8_t token[8];
	unsigned port;
};

struct coap_device *coap_device_new(void);
void coap_device_free(struct coap_device *device);
int coap_device_port(const struct coap_device *device);
void coap_device_set(struct coap_device *device, const struct coap_manners *manners);
/* The answer to what it holds: it goes out. */
void coap_device_release(struct coap_device *device);

/* Requests without repetitions, each block one. The i-th; false: there are not so many. */
bool coap_device_request(struct coap_device *device, size_t i, struct coap_request_seen *ret_seen);
size_t coap_device_n_requests(struct coap_device *device);
size_t coap_device_n_datagrams(struct coap_device *device); /* requests with repetitions */
size_t coap_device_n_resets(struct coap_device *device); /* RST that have come */
/* Whole bodies; as struct peer. Messages with the target as their topic. */
const struct arrivals *coap_device_arrived(struct coap_device *device);
/* Sends a datagram to whom the last request came from. */
void coap_device_send(struct coap_device *device, const uint8_t *bytes, size_t len);

#endif
