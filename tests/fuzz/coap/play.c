/* SPDX-License-Identifier: Apache-2.0
 *
 * See play.h. coap_ticks is libcoap's only clock and is called through its table of imports, so the one below is what it gets.
 */
#include "tests/fuzz/coap/play.h"

#include <arpa/inet.h>
#include <coap3/coap.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "tests/fuzz/fuzz.h"

#define MAX_CONTEXTS 4u
#define STEP_MS      500u
#define WALL_MS      UINT64_C(1764115200000)
#define PAYLOAD_MARK 0xffu
#define MIN_PORT     12000
#define N_PORTS      20000
#define MAX_TRIES    1000

static uv_loop_t uv;
static struct loop *loop;
static coap_tick_t ticks;
static coap_context_t *contexts[MAX_CONTEXTS];
static size_t n_contexts;
static int peers[PLAY_PEERS];
static uint16_t port;

/* --- what the linker puts in place ------------------------------------------------------------------------------------- */

void coap_ticks(coap_tick_t *t)
{
	*t = ticks;
}

struct uv_loop_s *__wrap_loop_uv(struct loop *of);
coap_context_t *__real_coap_new_context(const coap_address_t *at);
coap_context_t *__wrap_coap_new_context(const coap_address_t *at);
void __real_coap_free_context(coap_context_t *context);
void __wrap_coap_free_context(coap_context_t *context);

struct uv_loop_s *__wrap_loop_uv(struct loop *of)
{
	(void)of;
	return &uv;
}

coap_context_t *__wrap_coap_new_context(const coap_address_t *at)
{
	coap_context_t *context = __real_coap_new_context(at);
	fuzz_require(context && n_contexts < MAX_CONTEXTS);
	contexts[n_contexts++] = context;
	return context;
}

void __wrap_coap_free_context(coap_context_t *context)
{
	for (size_t i = 0; i < n_contexts; i++)
		if (contexts[i] == context)
			contexts[i] = contexts[--n_contexts];
	__real_coap_free_context(context);
}

/* --- the stage --------------------------------------------------------------------------------------------------------- */

/* libcoap's random numbers, the same in each run. */
static int numbers(void *out, size_t len)
{
	static uint32_t state;
	for (uint8_t *at = out; len > 0; len--) {
		state = state * 1103515245u + 12345u;
		*at++ = (uint8_t)(state >> 16);
	}
	return 1;
}

/* A socket at that port, 0: any; or -1. */
static int bound(uint16_t at_port)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(at_port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	fuzz_require(fd >= 0);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool is_free(uint16_t wanted)
{
	int fd = bound(wanted);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Below those that the system gives away: between two listeners nobody holds it. */
static void find_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	if (!port) {
		coap_startup();
		coap_set_prng(numbers);
		port = (uint16_t)(MIN_PORT + getpid() % N_PORTS);
		for (size_t i = 0; i < PLAY_PEERS; i++)
			fuzz_require((peers[i] = bound(0)) >= 0);
	} else if (is_free(port)) {
		return;
	}
	for (int i = 0; i < MAX_TRIES && !is_free(port); i++)
		port = (uint16_t)(MIN_PORT + (port - MIN_PORT + 7919) % N_PORTS);
	at.sin_port = htons(port);
	for (size_t i = 0; i < PLAY_PEERS; i++)
		fuzz_require(connect(peers[i], (struct sockaddr *)&at, sizeof at) == 0);
}

struct loop *play_begin(void)
{
	struct play_message msg;
	fuzz_require(n_contexts == 0 && uv_loop_init(&uv) == 0);
	loop = loop_new_simulated(WALL_MS);
	fuzz_require(loop != NULL);
	for (size_t i = 0; i < PLAY_PEERS; i++)
		while (play_receive(i, &msg))
			;
	return loop;
}

uint16_t play_port(void)
{
	find_port();
	return port;
}

uint64_t play_now_ms(void)
{
	return loop_now_ms(loop);
}

void play_run(void)
{
	uv_run(&uv, UV_RUN_NOWAIT);
	loop_sim_advance(loop, 0);
}

void play_advance(uint64_t ms)
{
	while (ms > 0) {
		uint64_t step = ms < STEP_MS ? ms : STEP_MS;
		ms -= step;
		ticks += step * COAP_TICKS_PER_SECOND / 1000;
		loop_sim_advance(loop, step);
		for (size_t i = 0; i < n_contexts; i++)
			fuzz_require(coap_io_process(contexts[i], COAP_IO_NO_WAIT) >= 0);
		play_run();
	}
}

void play_end(void)
{
	uv_run(&uv, UV_RUN_DEFAULT);
	loop_free(loop);
	loop = NULL;
	fuzz_require(n_contexts == 0 && uv_loop_close(&uv) == 0);
}

/* --- peers ------------------------------------------------------------------------------------------------------------- */

void play_send(size_t peer, const uint8_t *data, size_t len)
{
	/* Refused: of an earlier datagram, when no one listened. */
	ssize_t n = send(peers[peer], data, len, 0);
	if (n < 0 && errno == ECONNREFUSED)
		n = send(peers[peer], data, len, 0);
	fuzz_require(n == (ssize_t)len);
}

static size_t extended(const uint8_t **at, const uint8_t *end, unsigned nibble)
{
	size_t more = nibble == 13 ? 1 : nibble == 14 ? 2 : 0;
	fuzz_require(nibble != 15 && (size_t)(end - *at) >= more);
	size_t value = more == 0 ? nibble : more == 1 ? 13u + (*at)[0] : 269u + ((size_t)(*at)[0] << 8 | (*at)[1]);
	*at += more;
	return value;
}

static void note_option(struct play_message *msg, size_t number, const uint8_t *value, size_t len)
{
	msg->has_max_age = msg->has_max_age || number == PLAY_MAX_AGE;
	msg->has_observe = msg->has_observe || number == PLAY_OBSERVE;
	msg->has_block1 = msg->has_block1 || number == PLAY_BLOCK1;
	msg->has_block2 = msg->has_block2 || number == PLAY_BLOCK2;
	uint32_t *wanted = number == PLAY_SIZE1    ? &msg->size1
			   : number == PLAY_BLOCK1 ? &msg->block1
			   : number == PLAY_BLOCK2 ? &msg->block2
						   : NULL;
	if (!wanted)
		return;
	fuzz_require(len <= (number == PLAY_SIZE1 ? 4 : 3));
	msg->has_size1 = msg->has_size1 || number == PLAY_SIZE1;
	*wanted = 0;
	for (size_t i = 0; i < len; i++)
		*wanted = *wanted << 8 | value[i];
}

void play_parse(const uint8_t *data, size_t len, struct play_message *msg)
{
	const uint8_t *at = data + 4, *end = data + len;
	size_t number = 0;
	*msg = (struct play_message){.len = len};
	fuzz_require(len >= 4 && data[0] >> 6 == 1);
	msg->type = (enum play_type)(data[0] >> 4 & 3);
	msg->token_len = data[0] & 15;
	msg->code = data[1];
	msg->mid = (uint16_t)(data[2] << 8 | data[3]);
	fuzz_require(msg->token_len <= PLAY_TOKEN_MAX && len >= 4u + msg->token_len);
	fuzz_require(msg->code != 0 || len == 4);
	fuzz_require(msg->type != PLAY_RST || msg->code == 0);
	memcpy(msg->token, at, msg->token_len);
	at += msg->token_len;
	while (at < end && *at != PAYLOAD_MARK) {
		unsigned head = *at++;
		number += extended(&at, end, head >> 4);
		size_t value_len = extended(&at, end, head & 15);
		fuzz_require((size_t)(end - at) >= value_len);
		note_option(msg, number, at, value_len);
		at += value_len;
	}
	fuzz_require(at == end || end - at > 1);
	msg->payload = at < end ? at + 1 : NULL;
	msg->payload_len = at < end ? (size_t)(end - at) - 1 : 0;
}

bool play_receive(size_t peer, struct play_message *ret_msg)
{
	static uint8_t in[4096];
	ssize_t n = recv(peers[peer], in, sizeof in, 0);
	if (n < 0 && errno == ECONNREFUSED)
		n = recv(peers[peer], in, sizeof in, 0);
	if (n < 0)
		return false;
	play_parse(in, (size_t)n, ret_msg);
	return true;
}

/* --- building ---------------------------------------------------------------------------------------------------------- */

static void put(struct play_datagram *d, const void *data, size_t len)
{
	if (len == 0 || len > sizeof d->data - d->len)
		return;
	memcpy(d->data + d->len, data, len);
	d->len += len;
}

void play_head(
	struct play_datagram *d, enum play_type type, uint8_t code, uint16_t mid, const void *token, size_t token_len)
{
	uint8_t head[] = {(uint8_t)(0x40 | type << 4 | token_len), code, (uint8_t)(mid >> 8), (uint8_t)mid};
	*d = (struct play_datagram){.len = 0};
	put(d, head, sizeof head);
	put(d, token, token_len);
}

static unsigned nibble_of(size_t value, uint8_t *out, size_t *n)
{
	if (value < 13)
		return (unsigned)value;
	if (value < 269) {
		out[(*n)++] = (uint8_t)(value - 13);
		return 13;
	}
	out[(*n)++] = (uint8_t)((value - 269) >> 8);
	out[(*n)++] = (uint8_t)(value - 269);
	return 14;
}

void play_option(struct play_datagram *d, unsigned number, const void *value, size_t len)
{
	uint8_t head[5];
	size_t n = 1;
	if (number < d->last || len + sizeof head > sizeof d->data - d->len)
		return;
	unsigned delta = nibble_of(number - d->last, head, &n);
	head[0] = (uint8_t)(delta << 4 | nibble_of(len, head, &n));
	d->last = number;
	put(d, head, n);
	put(d, value, len);
}

void play_number(struct play_datagram *d, unsigned number, uint32_t value)
{
	uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
	size_t skip = value == 0 ? 4 : value < 256 ? 3 : value < 65536 ? 2 : value < (1u << 24) ? 1 : 0;
	play_option(d, number, bytes + skip, 4 - skip);
}

void play_path(struct play_datagram *d, const char *path)
{
	while (*path == '/') {
		size_t len = strcspn(++path, "/");
		play_option(d, PLAY_URI_PATH, path, len);
		path += len;
	}
}

void play_payload(struct play_datagram *d, const void *data, size_t len)
{
	uint8_t mark = PAYLOAD_MARK;
	if (len == 0 || len + 1 > sizeof d->data - d->len)
		return;
	put(d, &mark, 1);
	put(d, data, len);
}
