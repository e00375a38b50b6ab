/* SPDX-License-Identifier: Apache-2.0
 *
 * The CoAP listener over real datagrams on the loopback, written byte by byte: when it answers, what becomes of repetitions,
 * of requests that find no room, of bodies in blocks; values and who observes them; what an address that nobody has
 * validated gets; and the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/coap/coap.h"
#include "connectors/coap/dedupe.h"
#include "connectors/coap/settings.h"
#include "tests/conformance/fake_host.h"
#include "tests/unit/tap.h"

enum { CON, NON, ACK, RST };
#define GET         0x01
#define POST        0x02
#define PUT         0x03
#define DELETE      0x04
#define DELETED     0x42
#define CHANGED     0x44
#define CONTENT     0x45
#define CONTINUE    0x5f
#define VALID       0x43
#define NOT_FOUND   0x84
#define TOO_LARGE   0x8d
#define NOT_ALLOWED 0x85
#define UNAVAILABLE 0xa3
#define MAX         1500

struct client {
	int fd;
	uint8_t in[MAX];
	size_t len; /* of the last datagram; 0: none yet */
	size_t bytes; /* of all since client_forget */
};

static struct coap_settings settings;
static struct config_text address;
static char address_text[48];
static struct coap_from_settings from;
static struct link_subscription subscription = {.filter = "/in/+", .qos = 1, .from_settings = &from};
static uint16_t port;
static struct link_host_ops ops; /* the fake host's, but for offer */
static enum offer_result (*plain_offer)(struct link_host *host, const struct offer *offer);
static uint64_t taken_cookie;
static size_t table_room; /* of refusals, and of ids that are known in memory; 0: as always */
static int64_t lifetime_ms;

static void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- both ends --------------------------------------------------------------------------------------------------------- */

static struct sockaddr_in loopback(uint16_t at)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(at), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* The linker puts this before the real one, so that tables can be full. */
int __real_dedupe_new(size_t max_entries, struct dedupe **ret_dedupe);
int __wrap_dedupe_new(size_t max_entries, struct dedupe **ret_dedupe);

int __wrap_dedupe_new(size_t max_entries, struct dedupe **ret_dedupe)
{
	return __real_dedupe_new(table_room ? table_room : max_entries, ret_dedupe);
}

static struct fake_host *begin_with(size_t max_keys, size_t busy_after, bool hold_receipts)
{
	port = (uint16_t)tap_free_port();
	snprintf(address_text, sizeof address_text, "coap://127.0.0.1:%u", port);
	address.value = address_text;
	settings = (struct coap_settings){
		.listen = {.items = &address, .n = 1},
		.in =
			{
				.max_age_ms = 60000,
				.limits =
					{
						.max_body = 65536,
						.max_buffered = 1048576,
						.max_waiting = 64,
						.max_sessions = 100,
						.max_handshakes = 10,
						.session_timeout_ms = 300000,
						.max_observers = 10,
						.max_resources = 10,
						.busy_timeout_ms = 60000,
						.max_list = 65536,
					},
			},
	};
	struct fake_host *fake = fake_host_new(&coap_connector, &settings, true, &subscription, 1);
	fake->max_keys = max_keys;
	fake->busy_after = busy_after;
	fake->hold_receipts = hold_receipts;
	fake_host_start(fake);
	CU_ASSERT_TRUE_FATAL(fake_host_run_until_up(fake));
	return fake;
}

static struct fake_host *begin(void)
{
	return begin_with(0, 0, false);
}

static void finish(struct fake_host *fake)
{
	CU_ASSERT_TRUE(fake_host_stop(fake));
	CU_ASSERT_EQUAL(fake->breaches, 0);
	if (fake->breaches)
		printf("# %s\n", fake->first_breach);
	fake_host_free(fake);
}

static struct client client_new(void)
{
	struct sockaddr_in to = loopback(port);
	struct client client = {.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
	if (client.fd < 0 || connect(client.fd, (struct sockaddr *)&to, sizeof to) != 0)
		bail("socket");
	return client;
}

/* --- messages ---------------------------------------------------------------------------------------------------------- */

struct writer {
	uint8_t out[MAX];
	size_t len;
	unsigned last;
};

static struct writer message(unsigned type, unsigned code, unsigned mid)
{
	struct writer w = {.len = 6};
	uint8_t head[] = {
		(uint8_t)(0x42u | type << 4), (uint8_t)code, (uint8_t)(mid >> 8), (uint8_t)mid, 't', (uint8_t)mid};
	memcpy(w.out, head, sizeof head);
	return w;
}

static void option(struct writer *w, unsigned number, const void *value, size_t len)
{
	unsigned delta = number - w->last;
	w->out[w->len++] = (uint8_t)((delta < 13 ? delta : 13u) << 4 | len);
	if (delta >= 13)
		w->out[w->len++] = (uint8_t)(delta - 13);
	memcpy(w->out + w->len, value, len);
	w->len += len;
	w->last = number;
}

static void path(struct writer *w, const char *first, const char *second)
{
	option(w, 11, first, strlen(first));
	option(w, 11, second, strlen(second));
}

static void payload(struct writer *w, const void *data, size_t len)
{
	w->out[w->len++] = 0xff;
	memcpy(w->out + w->len, data, len);
	w->len += len;
}

static struct writer put(unsigned type, unsigned mid, const char *text)
{
	struct writer w = message(type, PUT, mid);
	path(&w, "in", "a");
	payload(&w, text, strlen(text));
	return w;
}

static void client_send(struct client *client, const struct writer *w)
{
	client->len = 0;
	if (send(client->fd, w->out, w->len, 0) < 0)
		bail("send");
}

static void client_reply(struct client *client, unsigned type)
{
	uint8_t out[] = {(uint8_t)(0x40u | type << 4), 0, client->in[2], client->in[3]};
	client->len = 0;
	if (send(client->fd, out, sizeof out, 0) < 0)
		bail("send");
}

static bool has_come(void *arg)
{
	struct client *client = arg;
	ssize_t len = recv(client->fd, client->in, sizeof client->in, 0);
	if (len > 0) {
		client->len = (size_t)len;
		client->bytes += client->len;
	}
	return len > 0;
}

static unsigned type_of(const struct client *client)
{
	return client->in[0] >> 4 & 3u;
}

static unsigned mid_of(const struct client *client)
{
	return (unsigned)client->in[2] << 8 | client->in[3];
}

/* A value option of up to four bytes; -1: it is not there. */
static int64_t option_of(const struct client *client, unsigned wanted)
{
	size_t at = 4u + (client->in[0] & 15u);
	unsigned number = 0;
	while (at < client->len && client->in[at] != 0xff) {
		unsigned delta = client->in[at] >> 4, len = client->in[at] & 15u;
		at++;
		if (delta == 13)
			delta = client->in[at++] + 13u;
		if (len == 13)
			len = client->in[at++] + 13u;
		number += delta;
		int64_t value = 0;
		for (unsigned i = 0; i < len; i++)
			value = value << 8 | client->in[at + i];
		if (number == wanted)
			return value;
		at += len;
	}
	return -1;
}

static bool ends_with(const struct client *client, const char *text)
{
	size_t len = strlen(text);
	return client->len > len && memcmp(client->in + client->len - len, text, len) == 0;
}

static void await(struct fake_host *fake, struct client *client, unsigned type, unsigned code)
{
	CU_ASSERT_TRUE_FATAL(fake_host_run_until(fake, has_come, client));
	CU_ASSERT_EQUAL(type_of(client), type);
	CU_ASSERT_EQUAL(client->in[1], code);
}

/* What has been sent by now is not answered: a ping is, which is sent after it. */
static void expect_nothing(struct fake_host *fake, struct client *client)
{
	struct writer w = {.out = {0x40, 0, 0xff, 0xff}, .len = 4};
	client_send(client, &w);
	await(fake, client, RST, 0);
	CU_ASSERT_EQUAL(mid_of(client), 0xffff);
}

/* Past the ping with which its address is validated, if there is one. */
static void await_past_ping(struct fake_host *fake, struct client *client, unsigned type, unsigned code)
{
	CU_ASSERT_TRUE_FATAL(fake_host_run_until(fake, has_come, client));
	while (type_of(client) == CON && client->in[1] == 0) {
		client_reply(client, RST);
		CU_ASSERT_TRUE_FATAL(fake_host_run_until(fake, has_come, client));
	}
	CU_ASSERT_EQUAL(type_of(client), type);
	CU_ASSERT_EQUAL(client->in[1], code);
}

/* --- requests ---------------------------------------------------------------------------------------------------------- */

static void test_piggybacked(void)
{
	struct fake_host *fake = begin();
	struct client client = client_new();
	struct writer w = put(CON, 7, "hello");
	client_send(&client, &w);
	await(fake, &client, ACK, CHANGED);
	CU_ASSERT_EQUAL(mid_of(&client), 7);
	CU_ASSERT_EQUAL(client.in[4], 't');
	CU_ASSERT_EQUAL_FATAL(fake->n_offers, 1);
	const struct message_view *view = message_view(fake->offers[0]);
	CU_ASSERT_TRUE(slice_equal(view->topic, slice_str("/in/a")));
	CU_ASSERT_TRUE(slice_equal(view->payload, slice_str("hello")));
	CU_ASSERT_EQUAL(view->qos, 1);
	w = put(NON, 8, "maybe");
	client_send(&client, &w);
	await(fake, &client, NON, CHANGED);
	CU_ASSERT_EQUAL(message_view(fake->offers[1])->qos, 0);
	close(client.fd);
	finish(fake);
}

static void test_query_and_delete(void)
{
	struct fake_host *fake = begin();
	struct client client = client_new();
	struct writer w = message(CON, PUT, 7);
	path(&w, "in", "a");
	option(&w, 15, "unit=C", 6);
	option(&w, 15, "n", 1);
	client_send(&client, &w);
	await(fake, &client, ACK, CHANGED);
	w = message(CON, DELETE, 8);
	path(&w, "in", "a");
	client_send(&client, &w);
	await(fake, &client, ACK, NOT_ALLOWED); /* no mapping says that it may */
	from.delete = true;
	w = message(CON, DELETE, 9);
	path(&w, "in", "a");
	client_send(&client, &w);
	await(fake, &client, ACK, DELETED);
	from.delete = false;
	CU_ASSERT_EQUAL_FATAL(fake->n_offers, 2);
	const struct message_view *put = message_view(fake->offers[0]), *removed = message_view(fake->offers[1]);
	CU_ASSERT_EQUAL_FATAL(put->n_headers, 1);
	CU_ASSERT_TRUE(slice_equal(put->headers[0].name, slice_str("coap-query")));
	CU_ASSERT_TRUE(slice_equal(put->headers[0].value, slice_str("unit=C&n")));
	CU_ASSERT_FALSE(put->retain);
	CU_ASSERT_TRUE(removed->retain); /* so that it removes the value */
	CU_ASSERT_EQUAL(removed->payload.len, 0);
	close(client.fd);
	finish(fake);
}

static void test_separate(void)
{
	struct fake_host *fake = begin_with(0, 0, true);
	struct client client = client_new();
	struct writer w = put(CON, 7, "hello");
	client_send(&client, &w);
	await(fake, &client, ACK, 0); /* not before the receipt: it is empty */
	CU_ASSERT_EQUAL(mid_of(&client), 7);
	CU_ASSERT_EQUAL(client.len, 4);
	await(fake, &client, CON, 0); /* whether it is there, as its answer will be repeated */
	client_reply(&client, RST);
	client_send(&client, &w);
	await(fake, &client, ACK, 0); /* so that has come in */
	fake_host_give_receipts(fake);
	await(fake, &client, CON, CHANGED);
	CU_ASSERT_EQUAL(client.in[4], 't');
	client_reply(&client, ACK);
	close(client.fd);
	finish(fake);
}

static void test_late_to_non(void)
{
	struct fake_host *fake = begin_with(0, 0, true);
	struct client client = client_new();
	struct writer w = put(NON, 7, "hello");
	client_send(&client, &w);
	CU_ASSERT_TRUE_FATAL(fake_host_run_until_offers(fake, 1));
	expect_nothing(fake, &client); /* no ACK, and no response before the receipt */
	fake_host_give_receipts(fake);
	await(fake, &client, NON, CHANGED);
	CU_ASSERT_NOT_EQUAL(mid_of(&client), 7);
	CU_ASSERT_EQUAL(client.in[4], 't');
	CU_ASSERT_EQUAL(client.in[5], 7);
	close(client.fd);
	finish(fake);
}

static void test_repetitions(void)
{
	struct fake_host *fake = begin();
	struct client client = client_new(), other = client_new();
	struct writer w = put(CON, 7, "hello");
	for (int i = 0; i < 3; i++) {
		client_send(&client, &w);
		await(fake, &client, ACK, CHANGED);
	}
	CU_ASSERT_EQUAL(fake->n_offers, 1);
	client_send(&other, &w); /* somebody else's: another port */
	await(fake, &other, ACK, CHANGED);
	CU_ASSERT_EQUAL(fake->n_offers, 2);
	struct writer again = put(CON, 7, "a device that has rebooted");
	client_send(&client, &again);
	await(fake, &client, ACK, CHANGED);
	CU_ASSERT_EQUAL(fake->n_offers, 3);
	close(client.fd);
	close(other.fd);
	finish(fake);
}

static enum offer_result note_lifetime(struct link_host *host, const struct offer *offer)
{
	lifetime_ms = (int64_t)(offer->change.position - loop_wall_ms(((struct fake_host *)host)->loop));
	return plain_offer(host, offer);
}

/* How long its id is known, as far as the clock goes on meanwhile. */
static void expect_lifetime(struct fake_host *fake, struct client *client, unsigned type, unsigned mid, int64_t ms)
{
	struct writer w = put(type, mid, "hello");
	client_send(client, &w);
	await(fake, client, type == CON ? ACK : NON, CHANGED);
	CU_ASSERT_TRUE(lifetime_ms <= ms && lifetime_ms > ms - 30000);
}

static void test_lifetimes(void)
{
	struct fake_host *fake = begin();
	struct client client = client_new();
	ops = *fake->base.ops;
	plain_offer = ops.offer;
	ops.offer = note_lifetime;
	fake->base.ops = &ops;
	expect_lifetime(fake, &client, CON, 7, 247000); /* EXCHANGE_LIFETIME, NON_LIFETIME: RFC 7252, section 4.8.2 */
	expect_lifetime(fake, &client, NON, 8, 145000);
	close(client.fd);
	finish(fake);
}

static bool is_acked(void *arg)
{
	struct client *client = arg;
	return has_come(client) && type_of(client) == ACK && client->in[1] == 0;
}

static void test_repetition_of_pending(void)
{
	struct fake_host *fake = begin_with(0, 0, true);
	struct client client = client_new();
	struct writer w = put(CON, 7, "hello");
	client_send(&client, &w);
	CU_ASSERT_TRUE(fake_host_run_until(fake, is_acked, &client));
	client_send(&client, &w);
	CU_ASSERT_TRUE(fake_host_run_until(fake, is_acked, &client));
	CU_ASSERT_EQUAL(fake->n_offers, 1);
	close(client.fd);
	finish(fake);
}

static bool is_busy(void *arg)
{
	return ((struct fake_host *)arg)->n_busy > 0;
}

static void test_no_room(void)
{
	struct fake_host *fake = begin_with(0, 1, false);
	struct client client = client_new(), second = client_new();
	struct writer w = put(CON, 7, "first");
	bool is_answered;
	client_send(&client, &w);
	await(fake, &client, ACK, CHANGED);
	w = put(CON, 8, "second");
	client_send(&second, &w);
	CU_ASSERT_TRUE(fake_host_run_until(fake, is_acked, &second)); /* it is held */
	CU_ASSERT_EQUAL(fake->n_offers, 1);
	fake_host_resume(fake, 0);
	do { /* its address may be asked for before, and what is confirmable wants to be confirmed */
		CU_ASSERT_TRUE_FATAL(fake_host_run_until(fake, has_come, &second));
		is_answered = second.in[1] == CHANGED;
		if (type_of(&second) == CON)
			client_reply(&second, is_answered ? ACK : RST);
	} while (!is_answered);
	CU_ASSERT_EQUAL_FATAL(fake->n_offers, 2);
	CU_ASSERT_TRUE(slice_equal(message_view(fake->offers[1])->payload, slice_str("second")));
	close(client.fd);
	close(second.fd);
	finish(fake);
}

/* Who has got an empty acknowledgement does not send the datagram again: it is told, whether that can be remembered or not. Who
 * has not gets silence, sends it again, and is served then. */
static void test_no_more_refusals(void)
{
	table_room = 1;
	struct fake_host *fake = begin_with(0, 1, false);
	table_room = 0;
	settings.in.limits.max_body = 6;
	settings.in.limits.busy_timeout_ms = 2000;
	struct client client = client_new(), second = client_new();
	struct writer w = put(CON, 7, "first"), silent = put(CON, 10, "too large as well");
	bool is_answered;
	client_send(&client, &w);
	await(fake, &client, ACK, CHANGED);
	w = put(CON, 8, "second");
	client_send(&second, &w);
	CU_ASSERT_TRUE(fake_host_run_until(fake, is_acked, &second));
	w = put(CON, 9, "too large");
	client_send(&client, &w);
	await_past_ping(fake, &client, ACK, TOO_LARGE);
	client_send(&client, &silent);
	expect_nothing(fake, &client);
	do {
		CU_ASSERT_TRUE_FATAL(fake_host_run_until(fake, has_come, &second));
		is_answered = second.in[1] == UNAVAILABLE;
		if (type_of(&second) == CON)
			client_reply(&second, is_answered ? ACK : RST);
	} while (!is_answered);
	settings.in.limits.max_body = 65536;
	fake->busy_after = 0;
	fake_host_resume(fake, 0);
	client_send(&client, &silent);
	await_past_ping(fake, &client, ACK, CHANGED);
	close(client.fd);
	close(second.fd);
	finish(fake);
}

static void test_no_more_keys(void)
{
	struct fake_host *fake = begin_with(1, 0, false);
	struct client client = client_new();
	struct writer w = put(CON, 7, "first");
	client_send(&client, &w);
	await_past_ping(fake, &client, ACK, CHANGED);
	struct writer more = put(CON, 8, "second");
	client_send(&client, &more);
	await_past_ping(fake, &client, ACK, UNAVAILABLE);
	CU_ASSERT_TRUE(option_of(&client, 14) > 0);
	client_send(&client, &w); /* what is known stays so */
	await_past_ping(fake, &client, ACK, CHANGED);
	CU_ASSERT_EQUAL(fake->n_offers, 1);
	/* A refusal stays one, also when there is room: the client has another id by now, and both would be there. */
	fake->max_keys = 0;
	for (int i = 0; i < 2; i++) {
		client_send(&client, &more);
		await_past_ping(fake, &client, ACK, UNAVAILABLE);
		CU_ASSERT_TRUE(option_of(&client, 14) > 0);
	}
	CU_ASSERT_EQUAL(fake->n_offers, 1);
	w = put(CON, 9, "second");
	client_send(&client, &w);
	await_past_ping(fake, &client, ACK, CHANGED);
	w = put(CON, 8, "a device that has rebooted"); /* other bytes: another message */
	client_send(&client, &w);
	await_past_ping(fake, &client, ACK, CHANGED);
	client_send(&client, &more);
	await_past_ping(fake, &client, ACK, UNAVAILABLE);
	CU_ASSERT_EQUAL(fake->n_offers, 3);
	close(client.fd);
	finish(fake);
}

static enum offer_result take_and_say_nothing(struct link_host *host, const struct offer *offer)
{
	(void)host;
	taken_cookie = offer->cookie;
	return OFFER_TAKEN;
}

static bool is_taken(void *arg)
{
	(void)arg;
	return taken_cookie != 0;
}

static void test_failed_receipt(void)
{
	struct fake_host *fake = begin();
	struct client client = client_new();
	struct writer w = put(CON, 7, "hello");
	ops = *fake->base.ops;
	ops.offer = take_and_say_nothing;
	fake->base.ops = &ops;
	taken_cookie = 0;
	client_send(&client, &w);
	CU_ASSERT_TRUE_FATAL(fake_host_run_until(fake, is_taken, NULL));
	coap_connector.receipt(fake->link, taken_cookie, RECEIPT_FAILED);
	expect_nothing(fake, &client); /* it may be there, as the next process may know */
	close(client.fd);
	finish(fake);
}

static void test_repetitions_while_stopping(void)
{
	struct fake_host *fake = begin_with(0, 1, false);
	struct client client = client_new(), held = client_new();
	struct writer w = put(CON, 7, "first");
	client_send(&client, &w);
	await(fake, &client, ACK, CHANGED);
	struct writer waits = put(CON, 8, "waits");
	client_send(&held, &waits);
	CU_ASSERT_TRUE(fake_host_run_until(fake, is_busy, fake));
	coap_connector.stop_intake(fake->link);
	expect_nothing(fake, &held); /* the next process takes it, when it comes again */
	struct writer more = put(CON, 8, "second");
	client_send(&client, &more);
	expect_nothing(fake, &client);
	client_send(&client, &w);
	await(fake, &client, ACK, CHANGED);
	w = put(NON, 9, "will not come again");
	client_send(&client, &w);
	await(fake, &client, NON, UNAVAILABLE);
	CU_ASSERT_EQUAL(fake->n_offers, 1);
	close(client.fd);
	close(held.fd);
	finish(fake);
}

/* --- bodies ------------------------------------------------------------------------------------------------------------ */

static struct writer block(unsigned mid, unsigned num, bool more, const uint8_t *data, size_t len)
{
	struct writer w = message(CON, PUT, mid);
	uint8_t value = (uint8_t)(num << 4 | (more ? 8u : 0u) | 0u); /* of 16 bytes */
	path(&w, "in", "a");
	option(&w, 27, &value, 1);
	payload(&w, data, len);
	return w;
}

static void test_blocks(void)
{
	static const uint8_t body[] = "0123456789abcdefFEDCBA9876543210and the rest";
	struct fake_host *fake = begin();
	struct client client = client_new();
	struct writer other = block(6, 0, true, (const uint8_t *)"of another body!", 16);
	struct writer w = block(7, 0, true, body, 16);
	client_send(&client, &other);
	await(fake, &client, ACK, CONTINUE);
	client_send(&client, &w);
	await(fake, &client, ACK, CONTINUE);
	client_send(&client, &other); /* late, and it begins nothing */
	await(fake, &client, ACK, CONTINUE);
	client_send(&client, &w);
	await(fake, &client, ACK, CONTINUE);
	w = block(8, 1, true, body + 16, 16);
	client_send(&client, &w);
	await(fake, &client, ACK, CONTINUE);
	CU_ASSERT_EQUAL(fake->n_offers, 0);
	w = block(9, 2, false, body + 32, sizeof body - 1 - 32);
	for (int i = 0; i < 2; i++) {
		client_send(&client, &w);
		await(fake, &client, ACK, CHANGED);
		CU_ASSERT_EQUAL(option_of(&client, 27), 0x20);
	}
	CU_ASSERT_EQUAL_FATAL(fake->n_offers, 1);
	CU_ASSERT_TRUE(slice_equal(message_view(fake->offers[0])->payload, slice_str((const char *)body)));
	close(client.fd);
	finish(fake);
}

/* One block of two, of a body that is told apart from others by these alone: there is no Request-Tag. */
static struct writer half(unsigned mid, unsigned num, unsigned method, int format, const char *query)
{
	struct writer w = message(CON, method, mid);
	uint8_t value = (uint8_t)(num << 4 | (num == 0 ? 8u : 0u)), number = (uint8_t)format;
	path(&w, "in", "a");
	if (format >= 0)
		option(&w, 12, &number, 1);
	if (query)
		option(&w, 15, query, strlen(query));
	option(&w, 27, &value, 1);
	payload(&w,
		num == 0 ? "0123456789abcdef"
		: query  ? query
			 : "the rest",
		num == 0 ? 16
		: query  ? strlen(query)
			 : 8);
	return w;
}

static void test_bodies_apart(void)
{
	static const struct {
		unsigned method;
		int format;
		const char *query;
	} bodies[] = {{PUT, -1, NULL}, {POST, -1, NULL}, {PUT, 50, NULL}, {PUT, -1, "a=1"}, {PUT, -1, "a=2"}};
	enum { N = sizeof bodies / sizeof bodies[0] };
	struct fake_host *fake = begin();
	struct client client = client_new();
	for (unsigned i = 0; i < 2 * N; i++) {
		unsigned n = i % N, num = i / N;
		struct writer w = half(10 + i, num, bodies[n].method, bodies[n].format, bodies[n].query);
		client_send(&client, &w);
		await(fake, &client, ACK, num == 0 ? CONTINUE : CHANGED);
	}
	CU_ASSERT_EQUAL(fake->n_offers, N);
	close(client.fd);
	finish(fake);
}

/* --- values ------------------------------------------------------------------------------------------------------------ */

static void set_value_as(struct fake_host *fake, const char *text, size_t len, const char *type)
{
	struct message_view view = {.topic = slice_str("/state/x"), .payload = slice_of(text, text ? len : 0)};
	if (type)
		view.content_type = slice_str(type);
	fake_host_deliver(fake, &view);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
}

static void set_value(struct fake_host *fake, const char *text, size_t len)
{
	set_value_as(fake, text, len, NULL);
}

static struct writer get(unsigned mid, int observe)
{
	struct writer w = message(CON, GET, mid);
	uint8_t value = (uint8_t)observe;
	if (observe >= 0)
		option(&w, 6, &value, observe ? 1 : 0);
	path(&w, "state", "x");
	return w;
}

static void test_values(void)
{
	struct fake_host *fake = begin();
	struct client client = client_new();
	struct writer w = get(1, -1);
	client_send(&client, &w);
	await(fake, &client, ACK, NOT_FOUND);
	set_value(fake, "21.5", 4);
	w = get(2, -1);
	client_send(&client, &w);
	await_past_ping(fake, &client, ACK, CONTENT);
	CU_ASSERT_TRUE(ends_with(&client, "21.5"));
	uint8_t etag[8];
	CU_ASSERT_EQUAL_FATAL(client.in[6], 0x48);
	memcpy(etag, client.in + 7, sizeof etag);
	w = message(CON, GET, 3);
	option(&w, 4, etag, sizeof etag);
	path(&w, "state", "x");
	client_send(&client, &w);
	await(fake, &client, ACK, VALID);
	set_value_as(fake, "21.5", 4, "text/plain"); /* the same bytes, of another kind */
	w.out[3] = 5;
	client_send(&client, &w);
	await(fake, &client, ACK, CONTENT);
	CU_ASSERT_NOT_EQUAL(memcmp(client.in + 7, etag, sizeof etag), 0);
	memcpy(w.out + 7, client.in + 7, sizeof etag);
	set_value_as(fake, "22.5", 4, "text/plain");
	w.out[3] = 6;
	client_send(&client, &w);
	await(fake, &client, ACK, CONTENT);
	CU_ASSERT_TRUE(ends_with(&client, "22.5"));
	CU_ASSERT_NOT_EQUAL(memcmp(client.in + 7, w.out + 7, sizeof etag), 0);
	set_value(fake, NULL, 0);
	w = get(4, -1);
	client_send(&client, &w);
	await(fake, &client, ACK, NOT_FOUND);
	close(client.fd);
	finish(fake);
}

static void test_observe(void)
{
	struct fake_host *fake = begin();
	struct client client = client_new();
	set_value(fake, "first", 5);
	struct writer w = get(1, 0);
	client_send(&client, &w);
	await_past_ping(fake, &client, ACK, CONTENT);
	int64_t before = option_of(&client, 6);
	CU_ASSERT_TRUE(before >= 0);
	for (uint8_t mid = 2; mid < 6;
		mid++) { /* again, with the same token: in place of the first one (RFC 7641, section 4.4) */
		w.out[3] = mid;
		client_send(&client, &w);
		await(fake, &client, ACK, CONTENT);
		CU_ASSERT_TRUE(((option_of(&client, 6) - before) & 0xffffff) - 1 < 1 << 22);
		before = option_of(&client, 6);
	}
	set_value(fake, "second", 6);
	await(fake, &client, CON, CONTENT);
	CU_ASSERT_TRUE(ends_with(&client, "second"));
	CU_ASSERT_TRUE((option_of(&client, 6) - before) % (1 << 24) > 0);
	client_reply(&client, ACK);
	expect_nothing(fake, &client); /* it observes once */
	set_value(fake, NULL, 0);
	await(fake, &client, CON, NOT_FOUND); /* and that was the last one */
	CU_ASSERT_EQUAL(option_of(&client, 6), -1);
	client_reply(&client, ACK);
	close(client.fd);
	finish(fake);
}

static void test_not_validated(void)
{
	static char large[1000];
	struct fake_host *fake = begin();
	struct client client = client_new();
	memset(large, 'x', sizeof large);
	set_value(fake, large, sizeof large);
	struct writer w = get(1, -1);
	client_send(&client, &w);
	await(fake, &client, CON, 0); /* a ping, and nothing else */
	CU_ASSERT_TRUE(client.bytes <= 3 * w.len);
	client_reply(&client, RST);
	await(fake, &client, ACK, CONTENT);
	CU_ASSERT_TRUE(client.len > sizeof large);
	close(client.fd);
	finish(fake);
}

/* --- the end ----------------------------------------------------------------------------------------------------------- */

static void test_stop(void)
{
	struct fake_host *fake = begin_with(0, 1, true);
	struct client client = client_new(), held = client_new();
	struct writer w = put(CON, 7, "is it taken?");
	client_send(&client, &w);
	CU_ASSERT_TRUE(fake_host_run_until_offers(fake, 1));
	w = put(CON, 8, "it is not");
	client_send(&held, &w);
	CU_ASSERT_TRUE(fake_host_run_until(fake, is_acked, &held));
	CU_ASSERT_TRUE(fake_host_stop(fake));
	bool was_told = false;
	while (has_come(&held))
		was_told |= held.in[1] == UNAVAILABLE;
	CU_ASSERT_TRUE(was_told);
	while (has_come(&client)) /* nobody knows, so nobody says: it asks again, and the next process knows */
		CU_ASSERT_EQUAL(client.in[1], 0);
	fake_host_give_receipts(fake); /* the disk may take longer */
	CU_ASSERT_EQUAL(fake->breaches, 0);
	close(client.fd);
	close(held.fd);
	fake_host_free(fake);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"an answer rides on the acknowledgement, once it is durable", test_piggybacked},
		{"a query is a header, DELETE removes the value where it may", test_query_and_delete},
		{"a receipt that takes long: an empty acknowledgement, and a response of its own", test_separate},
		{"TD_COAP_CORE_17: a late response to what is not confirmable, and no acknowledgement",
			test_late_to_non},
		{"a repetition gets the same answer, other bytes under its id are another message", test_repetitions},
		{"an id is known for as long as copies can come, less long without confirmation", test_lifetimes},
		{"a repetition of one that waits is acknowledged, and nothing else", test_repetition_of_pending},
		{"what finds no room is held until there is some", test_no_room},
		{"without room for its id a request is told when to come again, and its copies too", test_no_more_keys},
		{"where no refusal can be remembered it is said all the same to who has been acknowledged",
			test_no_more_refusals},
		{"a failed journal acknowledges nothing", test_failed_receipt},
		{"while it stops over UDP: copies of what was taken are answered, the rest is left to come again",
			test_repetitions_while_stopping},
		{"a body in blocks becomes one message, late blocks of another change nothing", test_blocks},
		{"bodies of another method, content format or query are others", test_bodies_apart},
		{"GET: values, their ETag, and none", test_values},
		{"Observe: a new value, and 4.04 when there is none any more", test_observe},
		{"an address that has not answered gets no more than three times what it sent", test_not_validated},
		{"stop: what was not taken is told so, what is not known is left open", test_stop},
		{NULL, NULL},
	};
	return tap_main("the CoAP listener", tests);
}
