/* SPDX-License-Identifier: Apache-2.0
 *
 * As much of CoAP over UDP (RFC 7252, 7641) as the clients and receivers of the benchmarks need: one request, one answer, no
 * blocks. Reads what a benchmark's own peers send, so it is no parser for strangers. Holds no state.
 */
#ifndef LINKSPAN_TESTS_BENCH_COAP_WIRE_H
#define LINKSPAN_TESTS_BENCH_COAP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COAP_WIRE_MAX 1280u

enum coap_wire_type { COAP_WIRE_CON, COAP_WIRE_NON, COAP_WIRE_ACK, COAP_WIRE_RST };

#define COAP_WIRE_CODE(class, detail) ((uint8_t)((class) << 5 | (detail)))
#define COAP_WIRE_EMPTY               0u
#define COAP_WIRE_GET                 1u
#define COAP_WIRE_POST                2u
#define COAP_WIRE_PUT                 3u

struct coap_wire {
	enum coap_wire_type type;
	uint8_t code;
	uint16_t id;
	uint64_t token; /* its bytes as they lie in memory */
	uint8_t token_len;
	bool has_observe;
	uint32_t observe;
	const char *path; /* "/a/b"; NULL: none. Only written */
	const uint8_t *payload; /* of a message that was read: within its bytes */
	size_t payload_len;
};

/* The length; 0: it does not fit in COAP_WIRE_MAX. */
size_t coap_wire_write(const struct coap_wire *msg, uint8_t *out);
/* False: not a CoAP message. */
bool coap_wire_read(const uint8_t *data, size_t len, struct coap_wire *ret_msg);

/* A socket that sends to and receives from 127.0.0.1:port alone, or -1. */
int coap_wire_connect(uint16_t port);
/* Microseconds of the monotonic clock. */
uint64_t coap_wire_now_us(void);
/* Prints "what: errno" and exits. */
void coap_wire_die(const char *what) __attribute__((noreturn));

/* How long things took, in microseconds; those beyond the first eight million are left out. */
struct coap_samples {
	uint32_t *values;
	size_t n;
};
void coap_samples_add(struct coap_samples *samples, uint64_t took_us);
/* Sorts; 0 when there are none. */
uint32_t coap_samples_percentile(struct coap_samples *samples, unsigned percent);

#endif
