/* SPDX-License-Identifier: Apache-2.0
 *
 * See coap_wire.h.
 */
#include "tests/bench/coap_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OPTION_OBSERVE  6u
#define OPTION_URI_PATH 11u
#define PAYLOAD_MARKER  0xffu
#define MAX_SAMPLES     (8u << 20)
#define RECEIVE_BYTES   (1 << 20)

void coap_wire_die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

uint64_t coap_wire_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int coap_wire_connect(uint16_t port)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int bytes = RECEIVE_BYTES;
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	return fd;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

struct writer {
	uint8_t *out;
	size_t len;
	unsigned last; /* option number */
	bool failed;
};

static void put(struct writer *w, const void *data, size_t len)
{
	if (w->failed || len > COAP_WIRE_MAX - w->len) {
		w->failed = true;
		return;
	}
	if (len)
		memcpy(w->out + w->len, data, len);
	w->len += len;
}

/* RFC 7252 §3.1; numbers below 13 + 12 apart, values below 269 bytes. */
static void put_option(struct writer *w, unsigned number, const void *value, size_t len)
{
	uint8_t head[2] = {(uint8_t)((number - w->last) << 4 | (len < 13 ? len : 13)), (uint8_t)(len - 13)};
	if (number - w->last > 12 || len > 268) {
		w->failed = true;
		return;
	}
	w->last = number;
	put(w, head, len < 13 ? 1 : 2);
	put(w, value, len);
}

static void put_path(struct writer *w, const char *path)
{
	while (path && *path == '/') {
		const char *segment = path + 1;
		size_t len = strcspn(segment, "/");
		put_option(w, OPTION_URI_PATH, segment, len);
		path = segment + len;
	}
}

size_t coap_wire_write(const struct coap_wire *msg, uint8_t *out)
{
	struct writer w = {.out = out};
	uint8_t head[] = {(uint8_t)(0x40 | msg->type << 4 | msg->token_len), msg->code, (uint8_t)(msg->id >> 8),
		(uint8_t)msg->id};
	uint8_t marker = PAYLOAD_MARKER, observe = (uint8_t)msg->observe;
	put(&w, head, sizeof head);
	put(&w, &msg->token, msg->token_len);
	if (msg->has_observe)
		put_option(&w, OPTION_OBSERVE, &observe, observe ? 1 : 0);
	put_path(&w, msg->path);
	if (msg->payload_len) {
		put(&w, &marker, 1);
		put(&w, msg->payload, msg->payload_len);
	}
	return w.failed ? 0 : w.len;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* The four bits of an option's head, and what they announce (RFC 7252 §3.1). */
static bool read_extended(const uint8_t **at, const uint8_t *end, unsigned nibble, unsigned *ret_value)
{
	size_t more = nibble == 13 ? 1 : nibble == 14 ? 2 : 0;
	if (nibble == 15 || (size_t)(end - *at) < more)
		return false;
	*ret_value = more == 0 ? nibble : more == 1 ? 13u + (*at)[0] : 269u + ((unsigned)(*at)[0] << 8 | (*at)[1]);
	*at += more;
	return true;
}

static bool read_options(const uint8_t *at, const uint8_t *end, struct coap_wire *msg)
{
	unsigned number = 0;
	while (at < end && *at != PAYLOAD_MARKER) {
		unsigned head = *at++, delta = 0, len = 0;
		if (!read_extended(&at, end, head >> 4, &delta) || !read_extended(&at, end, head & 15, &len) ||
			(size_t)(end - at) < len)
			return false;
		number += delta;
		if (number == OPTION_OBSERVE && len <= 3) {
			msg->has_observe = true;
			for (unsigned i = 0; i < len; i++)
				msg->observe = msg->observe << 8 | at[i];
		}
		at += len;
	}
	if (at < end) {
		msg->payload = at + 1;
		msg->payload_len = (size_t)(end - at) - 1;
	}
	return true;
}

bool coap_wire_read(const uint8_t *data, size_t len, struct coap_wire *ret_msg)
{
	struct coap_wire msg = {0};
	if (len < 4 || data[0] >> 6 != 1)
		return false;
	msg.type = (enum coap_wire_type)(data[0] >> 4 & 3);
	msg.token_len = data[0] & 15;
	msg.code = data[1];
	msg.id = (uint16_t)(data[2] << 8 | data[3]);
	if (msg.token_len > sizeof msg.token || len < 4u + msg.token_len)
		return false;
	memcpy(&msg.token, data + 4, msg.token_len);
	if (!read_options(data + 4 + msg.token_len, data + len, &msg))
		return false;
	*ret_msg = msg;
	return true;
}

/* --- samples ------------------------------------------------------------------------------------------------------ */

void coap_samples_add(struct coap_samples *samples, uint64_t took_us)
{
	if (!samples->values)
		samples->values = malloc(MAX_SAMPLES * sizeof *samples->values);
	if (!samples->values)
		coap_wire_die("memory");
	if (samples->n < MAX_SAMPLES)
		samples->values[samples->n++] = (uint32_t)took_us;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

uint32_t coap_samples_percentile(struct coap_samples *samples, unsigned percent)
{
	if (samples->n == 0)
		return 0;
	qsort(samples->values, samples->n, sizeof *samples->values, compare);
	return samples->values[(samples->n - 1) * percent / 100];
}
