/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens and ids count up. An answer that was repeated has another token, and is left alone.
 */
#include "tests/bench/coap_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACK_TIMEOUT_US 2000000u
#define LOOK_EVERY_US  100000u

void coap_request_init(struct coap_request *request)
{
	request->id = (uint16_t)random();
	request->token = (uint32_t)random();
}

void coap_request_write(struct coap_request *request, const char *path, size_t size, uint64_t due_us)
{
	static uint8_t payload[COAP_WIRE_MAX];
	static uint64_t number;
	number++;
	memset(payload, 'x', size);
	memcpy(payload, &number, sizeof number < size ? sizeof number : size);
	struct coap_wire msg = {.type = COAP_WIRE_CON,
		.code = COAP_WIRE_POST,
		.id = ++request->id,
		.token = ++request->token,
		.token_len = sizeof request->token,
		.path = path,
		.payload = payload,
		.payload_len = size};
	request->len = coap_wire_write(&msg, request->sent);
	if (request->len == 0)
		coap_wire_die("a request is too large");
	request->busy = true;
	request->acknowledged = false;
	request->due_us = due_us;
	request->patience_us = ACK_TIMEOUT_US + (uint64_t)random() % (ACK_TIMEOUT_US / 2);
}

void coap_request_goes_out(struct coap_request *request)
{
	request->again_us = coap_wire_now_us() + request->patience_us;
	request->patience_us *= 2;
}

bool coap_request_is_to_be_sent_again(const struct coap_request *request, uint64_t now_us)
{
	return request->busy && !request->acknowledged && request->again_us <= now_us;
}

bool coap_request_take(struct coap_request *request, const struct coap_wire *msg, struct coap_samples *samples)
{
	if (!request->busy || msg->type == COAP_WIRE_RST)
		return false;
	if (msg->code == COAP_WIRE_EMPTY) {
		request->acknowledged = request->acknowledged || (msg->type == COAP_WIRE_ACK && msg->id == request->id);
		return false;
	}
	if (msg->token != request->token)
		return false;
	if (msg->code >> 5 != 2) {
		fprintf(stderr, "a request was answered %d.%02u\n", msg->code >> 5, msg->code & 31u);
		exit(1);
	}
	coap_samples_add(samples, coap_wire_now_us() - request->due_us);
	request->busy = false;
	return true;
}

bool coap_request_time_to_look(uint64_t *ret_now_us)
{
	static uint64_t next_us;
	*ret_now_us = coap_wire_now_us();
	if (*ret_now_us < next_us)
		return false;
	next_us = *ret_now_us + LOOK_EVERY_US;
	return true;
}
