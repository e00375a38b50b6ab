/* SPDX-License-Identifier: Apache-2.0
 *
 * One socket, one thread, everything else under one mutex.
 */
#include "tests/conformance/coap_device.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "message/buffer.h"

#define MOST_BYTES   2048u
#define MOST_KNOWN   512u
#define MOST_SEEN    65536u
#define MOST_PENDING 32u
#define REPEAT_MS    200
#define MOST_BODY    (4u * 1024 * 1024)

enum { CON, NON, ACK, RST };
enum { ETAG = 4, URI_HOST = 3, OBSERVE = 6, URI_PATH = 11, FORMAT = 12, MAX_AGE = 14, URI_QUERY = 15, ACCEPT = 17 };
enum { BLOCK2 = 23, BLOCK1 = 27, SIZE1 = 60, ECHO = 252 };

struct datagram {
	uint8_t bytes[MOST_BYTES];
	size_t len;
};

struct known {
	unsigned port;
	uint16_t id;
	struct datagram answer; /* len 0: none yet */
};

struct pending { /* a separate response that is repeated until it is acknowledged */
	struct datagram datagram;
	struct sockaddr_in to;
	uint16_t id;
	bool held;
};

struct request {
	struct coap_request_seen seen;
	uint8_t token_len;
	bool has_block1, has_block2, has_echo;
	uint32_t block1, block2;
	const uint8_t *payload;
	size_t payload_len;
	struct sockaddr_in from;
};

struct coap_device {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t took;
	int socket, port, wake[2];
	bool ends, done_open;
	struct coap_manners manners;
	uint32_t chance;
	unsigned busy; /* times that it was */
	unsigned tag; /* of the body */
	struct known known[MOST_KNOWN];
	size_t n_known;
	struct coap_request_seen *seen;
	size_t n_seen, n_datagrams, n_resets;
	struct pending pending[MOST_PENDING];
	size_t n_pending;
	uint16_t next_id;
	struct sockaddr_in last_from;
	struct buffer body; /* that is being received */
	char body_target[600];
	struct arrivals arrived, copy;
};

static void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

struct coap_manners coap_device_well(void)
{
	return (struct coap_manners){.szx = 6, .format = -1, .busy_max_age = -1};
}

/* --- the codec --------------------------------------------------------------------------------------------------------------- */

static uint32_t number_of(const uint8_t *bytes, size_t len)
{
	uint32_t number = 0;
	for (size_t i = 0; i < len; i++)
		number = number << 8 | bytes[i];
	return number;
}

static void append_text(char *text, size_t size, char first, const uint8_t *bytes, size_t len)
{
	size_t at = strlen(text);
	if (at + len + 2 > size)
		return;
	text[at++] = first;
	memcpy(text + at, bytes, len);
	text[at + len] = '\0';
}

static void take_option(struct request *request, unsigned number, const uint8_t *bytes, size_t len)
{
	struct coap_request_seen *seen = &request->seen;
	switch (number) {
	case URI_HOST:
		seen->has_host = true;
		break;
	case URI_PATH:
		append_text(seen->target, sizeof seen->target, '/', bytes, len);
		break;
	case URI_QUERY:
		append_text(seen->target, sizeof seen->target, strchr(seen->target, '?') ? '&' : '?', bytes, len);
		break;
	case FORMAT:
		seen->format = (int)number_of(bytes, len);
		break;
	case ACCEPT:
		seen->accept = (int)number_of(bytes, len);
		break;
	case BLOCK1:
		request->has_block1 = true;
		request->block1 = number_of(bytes, len);
		break;
	case BLOCK2:
		request->has_block2 = true;
		request->block2 = number_of(bytes, len);
		break;
	case ECHO:
		request->has_echo = true;
		break;
	default:
		break;
	}
}

static bool extended(const uint8_t **at, const uint8_t *end, unsigned *value)
{
	if (*value < 13)
		return true;
	size_t n = *value - 12;
	if (*value == 15 || (size_t)(end - *at) < n)
		return false;
	*value = n == 1 ? 13u + (*at)[0] : 269u + ((unsigned)(*at)[0] << 8 | (*at)[1]);
	*at += n;
	return true;
}

static bool parse(const struct datagram *in, struct request *request)
{
	const uint8_t *at = in->bytes + 4, *end = in->bytes + in->len;
	if (in->len < 4 || in->bytes[0] >> 6 != 1 || (in->bytes[0] & 15) > 8)
		return false;
	request->token_len = in->bytes[0] & 15;
	request->seen.format = request->seen.accept = -1;
	request->seen.type = in->bytes[0] >> 4 & 3;
	request->seen.code = in->bytes[1];
	request->seen.id = (uint16_t)(in->bytes[2] << 8 | in->bytes[3]);
	if ((size_t)(end - at) < request->token_len)
		return false;
	memcpy(request->seen.token, at, request->token_len);
	at += request->token_len;
	for (unsigned number = 0; at < end && *at != 0xff;) {
		unsigned delta = *at >> 4, len = *at & 15;
		at++;
		if (!extended(&at, end, &delta) || !extended(&at, end, &len) || (size_t)(end - at) < len)
			return false;
		number += delta;
		take_option(request, number, at, len);
		at += len;
	}
	request->payload = at < end ? at + 1 : at;
	request->payload_len = at < end ? (size_t)(end - at) - 1 : 0;
	return true;
}

static void put(struct datagram *out, const void *bytes, size_t len)
{
	memcpy(out->bytes + out->len, bytes, len);
	out->len += len;
}

static void put_option(struct datagram *out, unsigned *last, unsigned number, const void *bytes, size_t len)
{
	unsigned delta = number - *last;
	uint8_t head[2] = {(uint8_t)((delta < 13 ? delta : 13) << 4 | len), (uint8_t)(delta - 13)};
	put(out, head, delta < 13 ? 1 : 2);
	put(out, bytes, len);
	*last = number;
}

static void put_number(struct datagram *out, unsigned *last, unsigned option, uint32_t number)
{
	uint8_t bytes[4];
	size_t len = 0;
	for (int shift = 24; shift >= 0; shift -= 8)
		if (len > 0 || number >> shift)
			bytes[len++] = (uint8_t)(number >> shift);
	put_option(out, last, option, bytes, len);
}

static void put_head(struct datagram *out, unsigned type, uint8_t code, uint16_t id, const struct request *request)
{
	uint8_t token_len = code ? request->token_len : 0;
	uint8_t head[4] = {(uint8_t)(0x40 | type << 4 | token_len), code, (uint8_t)(id >> 8), (uint8_t)id};
	out->len = 0;
	put(out, head, sizeof head);
	put(out, request->seen.token, token_len);
}

/* --- answers ----------------------------------------------------------------------------------------------------------------- */

static unsigned percent(struct coap_device *device)
{
	device->chance = device->chance * 1664525u + 1013904223u;
	return (device->chance >> 16) % 100;
}

static void send_to(struct coap_device *device, const struct datagram *datagram, const struct sockaddr_in *to)
{
	unsigned times = percent(device) < device->manners.duplicate_percent ? 2 : 1;
	for (unsigned i = 0; i < times; i++)
		if (percent(device) >= device->manners.lose_percent)
			sendto(device->socket, datagram->bytes, datagram->len, 0, (const struct sockaddr *)to,
				sizeof *to);
}

static void put_body(struct coap_device *device, const struct request *request, struct datagram *out, unsigned *last)
{
	const struct coap_manners *manners = &device->manners;
	uint8_t szx = manners->szx;
	if (request->has_block2 && (request->block2 & 7) < szx)
		szx = request->block2 & 7;
	size_t size = (size_t)16 << szx;
	uint32_t num = request->has_block2 ? request->block2 >> 4 : 0;
	size_t from = num * size, len = manners->body > from ? manners->body - from : 0;
	bool more = len > size;
	uint8_t etag = (uint8_t)(1 + device->tag);
	if (manners->body)
		put_option(out, last, ETAG, &etag, 1);
	if (manners->format >= 0)
		put_number(out, last, FORMAT, (uint32_t)manners->format);
	if (more || num > 0)
		put_number(out, last, BLOCK2, num << 4 | (more ? 8u : 0u) | szx);
	len = more ? size : len;
	if (len == 0)
		return;
	out->bytes[out->len++] = 0xff;
	for (size_t i = 0; i < len; i++)
		out->bytes[out->len++] = (uint8_t)('a' + (from + i + device->tag) % 26);
	if (manners->changes && num == 0)
		device->tag = 1;
}

static void arrive(struct coap_device *device, const struct request *request, struct slice payload)
{
	struct message_view view = {.topic = slice_str(request->seen.target), .payload = payload};
	struct message **items = realloc(device->arrived.items, (device->arrived.n + 1) * sizeof(struct message *));
	struct message *msg = message_new(&view);
	if (!items || !msg)
		bail("memory");
	device->arrived.items = items;
	items[device->arrived.n++] = msg;
}

/* The code; 0: the body is whole, and so is the request. */
static uint8_t take_block(struct coap_device *device, const struct request *request)
{
	uint32_t num = request->block1 >> 4;
	size_t size = (size_t)16 << (request->block1 & 7);
	if ((request->block1 & 7) > device->manners.szx && num == 0 && device->manners.szx < 3)
		return 4 << 5 | 13;
	if (num == 0) {
		buffer_clear(&device->body);
		snprintf(device->body_target, sizeof device->body_target, "%s", request->seen.target);
	}
	if (device->body.len != num * size || strcmp(device->body_target, request->seen.target) != 0)
		return 4 << 5 | 8;
	if (buffer_append(&device->body, slice_of(request->payload, request->payload_len)) < 0)
		bail("memory");
	return request->block1 & 8 ? 2 << 5 | 31 : 0;
}

/* Cuts a block that is larger than it likes to the size that it takes (RFC 7959 §2.3, late negotiation). */
static void negotiate(struct coap_device *device, struct request *request, struct datagram *out, unsigned *last)
{
	uint8_t szx = request->block1 & 7;
	(void)device;
	put_number(
		out, last, BLOCK1, (request->block1 & ~7u) | (szx < device->manners.szx ? szx : device->manners.szx));
}

static uint8_t judge(struct coap_device *device, const struct request *request)
{
	struct coap_manners *manners = &device->manners;
	if (manners->echoes && !request->has_echo)
		return 4 << 5 | 1;
	if (strstr(request->seen.target, "key=wrong"))
		return 4 << 5 | 3;
	if (device->busy < manners->busy_times) {
		device->busy++;
		return manners->busy_code;
	}
	if (request->has_block1 && !manners->ignores_block1) {
		uint8_t code = take_block(device, request);
		if (code)
			return code;
		arrive(device, request, device->body.len ? buffer_slice(&device->body) : slice_of("", 0));
	} else if (!request->has_block2 || request->block2 >> 4 == 0) {
		arrive(device, request,
			slice_of(request->payload_len ? request->payload : (const uint8_t *)"", request->payload_len));
	}
	return manners->code ? manners->code : 2 << 5 | 4;
}

static void make_answer(
	struct coap_device *device, struct request *request, unsigned type, uint16_t id, struct datagram *out)
{
	unsigned last = 0;
	unsigned busy = device->busy;
	uint8_t code = judge(device, request);
	put_head(out, type, code, id, request);
	if (busy != device->busy) {
		if (device->manners.busy_max_age >= 0)
			put_number(out, &last, MAX_AGE, (uint32_t)device->manners.busy_max_age);
		return;
	}
	if (code == (4 << 5 | 13)) {
		put_number(out, &last, BLOCK1, device->manners.szx);
		return;
	}
	if (code == (4 << 5 | 1) && device->manners.echoes) {
		put_option(out, &last, ECHO, "fresh", 5);
		return;
	}
	if (code >> 5 == 2 && code != (2 << 5 | 31))
		put_body(device, request, out, &last);
	else if (code == (2 << 5 | 31) && !device->manners.ignores_block1)
		negotiate(device, request, out, &last);
}

static struct known *find_known(struct coap_device *device, const struct request *request)
{
	size_t n = device->n_known < MOST_KNOWN ? device->n_known : MOST_KNOWN;
	for (size_t i = 0; i < n; i++)
		if (device->known[i].port == request->seen.port && device->known[i].id == request->seen.id)
			return &device->known[i];
	return NULL;
}

static struct known *new_known(struct coap_device *device, const struct request *request)
{
	struct known *known = &device->known[device->n_known++ % MOST_KNOWN];
	known->port = request->seen.port;
	known->id = request->seen.id;
	known->answer.len = 0;
	return known;
}

static void answer_separately(struct coap_device *device, struct request *request, struct known *known)
{
	put_head(&known->answer, ACK, 0, request->seen.id, request);
	if (device->manners.without_ack)
		known->answer.len = 0;
	else
		send_to(device, &known->answer, &request->from);
	if (device->n_pending == MOST_PENDING)
		return;
	struct pending *pending = &device->pending[device->n_pending++];
	pending->id = device->next_id++;
	pending->to = request->from;
	pending->held = device->manners.holds_separate;
	make_answer(device, request, CON, pending->id, &pending->datagram);
	if (!pending->held)
		send_to(device, &pending->datagram, &pending->to);
}

static void on_request(struct coap_device *device, struct request *request)
{
	struct known *known = find_known(device, request);
	if (device->manners.silent_blocks && request->has_block2 && request->block2 >> 4)
		return;
	device->n_datagrams++;
	if (known) {
		if (known->answer.len)
			send_to(device, &known->answer, &request->from);
		return;
	}
	if (device->n_seen < MOST_SEEN)
		device->seen[device->n_seen++] = request->seen;
	if (request->seen.target[0] == '\0')
		strcpy(request->seen.target, "/");
	known = new_known(device, request);
	if (device->manners.resets && request->seen.type == CON) {
		put_head(&known->answer, RST, 0, request->seen.id, request);
		send_to(device, &known->answer, &request->from);
	} else if (device->manners.separate) {
		answer_separately(device, request, known);
	} else {
		bool confirmed = request->seen.type == CON;
		make_answer(device, request, confirmed ? ACK : NON, confirmed ? request->seen.id : device->next_id++,
			&known->answer);
		send_to(device, &known->answer, &request->from);
	}
}

static void on_empty(struct coap_device *device, const struct request *request)
{
	device->n_resets += request->seen.type == RST;
	for (size_t i = 0; i < device->n_pending; i++)
		if (device->pending[i].id == request->seen.id)
			device->pending[i--] = device->pending[--device->n_pending];
}

/* --- the thread --------------------------------------------------------------------------------------------------------------- */

static void open_socket(struct coap_device *device)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)device->port)};
	socklen_t len = sizeof address;
	int bytes = 4 * 1024 * 1024;
	device->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (device->socket < 0 || bind(device->socket, (struct sockaddr *)&address, sizeof address) < 0 ||
		getsockname(device->socket, (struct sockaddr *)&address, &len) < 0)
		bail("a device's socket");
	setsockopt(device->socket, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	device->port = ntohs(address.sin_port);
}

static void take_manners(struct coap_device *device)
{
	if (device->manners.gone && device->socket >= 0) {
		close(device->socket);
		device->socket = -1;
	} else if (!device->manners.gone && device->socket < 0) {
		open_socket(device);
	}
	device->done_open = true;
	pthread_cond_broadcast(&device->took);
}

static void take_datagram(struct coap_device *device)
{
	struct datagram in;
	struct request request = {.token_len = 0};
	socklen_t len = sizeof request.from;
	ssize_t n = recvfrom(device->socket, in.bytes, sizeof in.bytes, 0, (struct sockaddr *)&request.from, &len);
	if (n < 0)
		return;
	in.len = (size_t)n;
	bool lost = percent(device) < device->manners.lose_percent;
	if (device->manners.silent || lost || !parse(&in, &request))
		return;
	request.seen.port = ntohs(request.from.sin_port);
	device->last_from = request.from;
	if (request.seen.code == 0)
		on_empty(device, &request);
	else
		on_request(device, &request);
}

static void repeat_pending(struct coap_device *device)
{
	for (size_t i = 0; i < device->n_pending && device->socket >= 0; i++)
		if (!device->pending[i].held)
			send_to(device, &device->pending[i].datagram, &device->pending[i].to);
}

static void *run(void *arg)
{
	struct coap_device *device = arg;
	pthread_mutex_lock(&device->mutex);
	while (!device->ends) {
		struct pollfd polls[2] = {
			{.fd = device->wake[0], .events = POLLIN}, {.fd = device->socket, .events = POLLIN}};
		int wait_ms = device->n_pending ? REPEAT_MS : -1;
		pthread_mutex_unlock(&device->mutex);
		int n = poll(polls, 2, wait_ms);
		pthread_mutex_lock(&device->mutex);
		char byte;
		if (polls[0].revents && read(device->wake[0], &byte, 1) == 1)
			take_manners(device);
		if (polls[1].revents && device->socket == polls[1].fd)
			take_datagram(device);
		if (n == 0)
			repeat_pending(device);
	}
	pthread_mutex_unlock(&device->mutex);
	return NULL;
}

/* --- the test's side ---------------------------------------------------------------------------------------------------------- */

struct coap_device *coap_device_new(void)
{
	struct coap_device *device = calloc(1, sizeof *device);
	if (!device || pipe(device->wake) < 0)
		bail("a device");
	device->seen = calloc(MOST_SEEN, sizeof *device->seen);
	if (!device->seen)
		bail("memory");
	buffer_init(&device->body, MOST_BODY);
	device->manners = coap_device_well();
	device->chance = 1;
	pthread_mutex_init(&device->mutex, NULL);
	pthread_cond_init(&device->took, NULL);
	open_socket(device);
	if (pthread_create(&device->thread, NULL, run, device) != 0)
		bail("a thread");
	return device;
}

static void wake(struct coap_device *device)
{
	if (write(device->wake[1], "", 1) != 1)
		bail("a pipe");
}

void coap_device_free(struct coap_device *device)
{
	pthread_mutex_lock(&device->mutex);
	device->ends = true;
	pthread_mutex_unlock(&device->mutex);
	wake(device);
	pthread_join(device->thread, NULL);
	for (size_t i = 0; i < device->arrived.n; i++)
		message_unref(device->arrived.items[i]);
	free(device->arrived.items);
	free(device->copy.items);
	free(device->seen);
	buffer_free(&device->body);
	if (device->socket >= 0)
		close(device->socket);
	close(device->wake[0]);
	close(device->wake[1]);
	free(device);
}

int coap_device_port(const struct coap_device *device)
{
	return device->port;
}

void coap_device_set(struct coap_device *device, const struct coap_manners *manners)
{
	pthread_mutex_lock(&device->mutex);
	device->manners = *manners;
	device->busy = 0;
	device->tag = 0;
	device->done_open = false;
	wake(device);
	while (!device->done_open)
		pthread_cond_wait(&device->took, &device->mutex);
	pthread_mutex_unlock(&device->mutex);
}

void coap_device_release(struct coap_device *device)
{
	pthread_mutex_lock(&device->mutex);
	for (size_t i = 0; i < device->n_pending; i++) {
		device->pending[i].held = false;
		send_to(device, &device->pending[i].datagram, &device->pending[i].to);
	}
	pthread_mutex_unlock(&device->mutex);
}

bool coap_device_request(struct coap_device *device, size_t i, struct coap_request_seen *ret_seen)
{
	pthread_mutex_lock(&device->mutex);
	bool there = i < device->n_seen;
	if (there)
		*ret_seen = device->seen[i];
	pthread_mutex_unlock(&device->mutex);
	return there;
}

static size_t read_count(struct coap_device *device, const size_t *count)
{
	pthread_mutex_lock(&device->mutex);
	size_t n = *count;
	pthread_mutex_unlock(&device->mutex);
	return n;
}

size_t coap_device_n_requests(struct coap_device *device)
{
	return read_count(device, &device->n_seen);
}

size_t coap_device_n_datagrams(struct coap_device *device)
{
	return read_count(device, &device->n_datagrams);
}

size_t coap_device_n_resets(struct coap_device *device)
{
	return read_count(device, &device->n_resets);
}

const struct arrivals *coap_device_arrived(struct coap_device *device)
{
	pthread_mutex_lock(&device->mutex);
	struct message **items = realloc(device->copy.items, (device->arrived.n + 1) * sizeof(struct message *));
	if (!items)
		bail("memory");
	if (device->arrived.n)
		memcpy(items, device->arrived.items, device->arrived.n * sizeof(struct message *));
	device->copy = (struct arrivals){items, device->arrived.n};
	pthread_mutex_unlock(&device->mutex);
	return &device->copy;
}

void coap_device_send(struct coap_device *device, const uint8_t *bytes, size_t len)
{
	pthread_mutex_lock(&device->mutex);
	sendto(device->socket, bytes, len, 0, (struct sockaddr *)&device->last_from, sizeof device->last_from);
	pthread_mutex_unlock(&device->mutex);
}
