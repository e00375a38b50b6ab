/* SPDX-License-Identifier: Apache-2.0
 *
 * The one confirmable POST that a load generator's device has under way (NSTART 1, RFC 7252 §4.7): its bytes, when it is due and when it
 * is sent again, and whether it has its answer. Sends and receives nothing itself.
 */
#ifndef LINKSPAN_TESTS_BENCH_COAP_REQUEST_H
#define LINKSPAN_TESTS_BENCH_COAP_REQUEST_H

#include "tests/bench/coap_wire.h"

struct coap_request {
	bool busy, acknowledged;
	uint16_t id;
	uint32_t token;
	uint64_t due_us, again_us, patience_us; /* again_us: when it is sent again */
	size_t len;
	uint8_t sent[COAP_WIRE_MAX];
};

/* An id and a token to begin with. */
void coap_request_init(struct coap_request *request);
/* Writes the next one, of `size` bytes that differ from all others, as a sensor's do: else it would be a repetition. Exits when
 * it is too large. */
void coap_request_write(struct coap_request *request, const char *path, size_t size, uint64_t due_us);
/* It goes out now: after 2 to 3 s it is to be sent again, then after twice that. */
void coap_request_goes_out(struct coap_request *request);
bool coap_request_is_to_be_sent_again(const struct coap_request *request, uint64_t now_us);
/* True when that is its answer, which is a sample; exits when the answer is no 2.xx. */
bool coap_request_take(struct coap_request *request, const struct coap_wire *msg, struct coap_samples *samples);
/* Ten times a second true, however often it is asked: time to look for what is to be sent again. */
bool coap_request_time_to_look(uint64_t *ret_now_us);

#endif
