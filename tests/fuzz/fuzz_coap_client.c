/* SPDX-License-Identifier: Apache-2.0
 *
 * What a CoAP client reads: responses, notifications and blocks, through libcoap and a real socket, from a device that says whatever the bytes
 * are. They are a play: messages are to be delivered, of all sizes and with replies or not; the device answers what was asked, or
 * something else, in blocks, again, late, garbled; two resources are watched; time passes.
 *
 * What must hold: each delivery has one outcome, and one in time when nobody answers; what is confirmable is delivered by a 2.xx to a
 * request that was sent since, and by nothing else; a value is offered for nothing less, is of a resource that is watched, and neither it nor a
 * reply is larger than max_response; all that the client sends is a message by the letter of RFC 7252 (coap/play.h).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "connectors/coap/coap.h"
#include "connectors/coap/settings.h"
#include "runtime/log.h"
#include "tests/fuzz/coap/play.h"
#include "tests/fuzz/fuzz.h"

#define MAX_STEPS     120
#define MAX_PASSED_MS 200000u
#define MOST_BODY     1500u
#define MOST_RESPONSE 600u
#define DELIVERIES    6u
#define REQUESTS      16u
#define TOKENS        512u
#define ENOUGH_MS     150000u /* for everything that has no answer to end */
#define STEP_MS       2000u
#define MAX_ROUNDS    20

enum step { DELIVER, ANSWER, ANSWER_BLOCK, GARBLED, AGAIN, RAW, PASS, PAUSE, RELOAD, STEPS };

struct request {
	struct sockaddr_in from;
	struct play_message msg;
};

struct flight {
	struct message *msg; /* NULL: none */
	uint64_t seq;
	unsigned twos; /* so many had been sent by then */
};

static struct play {
	struct link_host host; /* first */
	const uint8_t *at, *end;
	struct link *link;
	bool is_up, is_stopped, is_busy;
	struct flight flights[DELIVERIES];
	uint64_t last_seq;
	struct request requests[REQUESTS]; /* the last ones, a ring */
	size_t n_requests;
	struct {
		uint8_t data[PLAY_TOKEN_MAX];
		size_t len;
	} tokens[TOKENS]; /* of all requests, a ring */
	size_t n_tokens;
	unsigned twos; /* datagrams with 2.xx and the token of some request */
	struct play_datagram last;
	struct sockaddr_in last_to;
	uint16_t mid;
	uint64_t passed_ms;
} play;

static int device = -1;
static char url[40];

static unsigned take(unsigned below)
{
	return play.at < play.end ? *play.at++ % below : 0;
}

/* --- the host ---------------------------------------------------------------------------------------------------------- */

static const char *const watched[] = {"/sensors/temp", "/tank/level"};

static enum offer_result on_offer(struct link_host *host, const struct offer *offer)
{
	(void)host;
	const struct message_view *view = offer->view;
	fuzz_require(view && offer->no_receipt && offer->n_more == 0 && offer->change.type == CHANGE_NONE);
	fuzz_require(offer->subscription >= 0 && offer->subscription < 2);
	fuzz_require(slice_equal(view->topic, slice_str(watched[offer->subscription])));
	fuzz_require(view->payload.len <= MOST_RESPONSE && view->qos == 0);
	fuzz_require(play.twos > 0);
	if (play.is_busy) {
		coap_connector.pause(play.link);
		return OFFER_BUSY;
	}
	return OFFER_TAKEN;
}

static void let_go(struct flight *flight)
{
	message_unref(flight->msg);
	flight->msg = NULL;
}

static void on_link_up(struct link_host *host, const struct sink_traits *traits)
{
	(void)host;
	fuzz_require(traits->max_in_flight > 0);
	play.is_up = true;
}

static void on_link_down(struct link_host *host, const char *reason)
{
	(void)host;
	fuzz_require(reason != NULL);
	play.is_up = false;
	for (size_t i = 0; i < DELIVERIES; i++)
		let_go(&play.flights[i]);
}

static void on_alarm(struct link_host *host, const char *what)
{
	(void)host;
	fuzz_require(what != NULL);
}

static void on_outcome(struct link_host *host, uint64_t seq, const struct outcome *outcome)
{
	struct flight *flight = NULL;
	(void)host;
	for (size_t i = 0; i < DELIVERIES; i++)
		if (play.flights[i].msg && play.flights[i].seq == seq)
			flight = &play.flights[i];
	fuzz_require(flight != NULL);
	fuzz_require(outcome->kind == OUTCOME_DELIVERED || outcome->reason);
	if (outcome->kind == OUTCOME_DELIVERED && message_view(flight->msg)->qos > 0)
		fuzz_require(play.twos > flight->twos);
	if (outcome->reply) {
		fuzz_require(outcome->kind == OUTCOME_DELIVERED && play.twos > flight->twos);
		fuzz_require(outcome->reply->payload.len <= MOST_RESPONSE);
	}
	let_go(flight);
}

static void on_stopped(struct link_host *host)
{
	(void)host;
	play.is_stopped = true;
}

static const struct link_host_ops ops = {
	.offer = on_offer,
	.link_up = on_link_up,
	.link_down = on_link_down,
	.alarm = on_alarm,
	.outcome = on_outcome,
	.stopped = on_stopped,
};

/* --- the device -------------------------------------------------------------------------------------------------------- */

static void open_device(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof at;
	(void)play_port(); /* libcoap's numbers */
	device = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	fuzz_require(device >= 0 && bind(device, (struct sockaddr *)&at, sizeof at) == 0 &&
		     getsockname(device, (struct sockaddr *)&at, &len) == 0);
	snprintf(url, sizeof url, "coap://127.0.0.1:%u/v1", ntohs(at.sin_port));
}

static bool is_request(const struct play_message *msg)
{
	return msg->code >= 1 && msg->code <= 31;
}

/* Takes in what was sent to it. False: nothing. */
static bool listen_once(void)
{
	uint8_t in[4096];
	struct request request;
	socklen_t len = sizeof request.from;
	ssize_t n = recvfrom(device, in, sizeof in, 0, (struct sockaddr *)&request.from, &len);
	if (n < 0)
		return errno == ECONNREFUSED; /* of an answer to one that is gone */
	play_parse(in, (size_t)n, &request.msg);
	request.msg.payload = NULL;
	if (!is_request(&request.msg))
		return true;
	play.requests[play.n_requests++ % REQUESTS] = request;
	size_t at = play.n_tokens++ % TOKENS;
	memcpy(play.tokens[at].data, request.msg.token, PLAY_TOKEN_MAX);
	play.tokens[at].len = request.msg.token_len;
	return true;
}

static void settle(void)
{
	bool again = true;
	for (int round = 0; again && round < MAX_ROUNDS; round++) {
		play_run();
		for (again = false; listen_once();)
			again = true;
	}
}

static bool is_known(const uint8_t *token, size_t len)
{
	size_t n = play.n_tokens < TOKENS ? play.n_tokens : TOKENS;
	for (size_t i = 0; i < n; i++)
		if (play.tokens[i].len == len && memcmp(play.tokens[i].data, token, len) == 0)
			return true;
	return false;
}

static void transmit(const struct play_datagram *d, const struct sockaddr_in *to)
{
	size_t token_len = d->len >= 4 ? d->data[0] & 15u : 16;
	if (token_len <= PLAY_TOKEN_MAX && d->len >= 4 + token_len && d->data[1] >> 5 == 2 &&
		is_known(d->data + 4, token_len))
		play.twos++;
	if (sendto(device, d->data, d->len, 0, (const struct sockaddr *)to, sizeof *to) < 0)
		(void)sendto(device, d->data, d->len, 0, (const struct sockaddr *)to, sizeof *to);
	play.last = *d;
	play.last_to = *to;
}

static const struct request *some_request(void)
{
	size_t n = play.n_requests < REQUESTS ? play.n_requests : REQUESTS;
	return n ? &play.requests[(play.n_requests - 1 - take(8) % n) % REQUESTS] : NULL;
}

static const uint8_t codes[] = {0x44, 0x45, 0x41, 0x42, 0x43, 0x5f, 0x45, 0x44, 0x80, 0x81, 0x83, 0x84, 0x88, 0x8d,
	0x9d, 0xa0, 0xa3, 0x00, 0x01, 0xe1};

static void begin_answer(struct play_datagram *d, const struct request *request, uint8_t code)
{
	unsigned how = take(16);
	enum play_type type = how < 8 ? PLAY_ACK : (enum play_type)(how % 4);
	bool is_its_own = type == PLAY_CON || type == PLAY_NON;
	play_head(d, type, code, is_its_own ? ++play.mid : request->msg.mid, request->msg.token,
		code ? request->msg.token_len : 0);
}

/* Options that the bits of a byte choose. */
static void add_options(struct play_datagram *d, const struct request *request, unsigned bits)
{
	if (bits & 1)
		play_number(d, PLAY_ETAG, take(4) + 1);
	if (bits & 2)
		play_number(d, PLAY_OBSERVE, take(256) << (take(3) * 8));
	if (bits & 4)
		play_option(d, PLAY_LOCATION_PATH, "new", 3);
	if (bits & 8)
		play_number(d, PLAY_CONTENT_FORMAT, take(2) ? 50 : take(256) * 257);
	if (bits & 16)
		play_number(d, PLAY_MAX_AGE, take(2) ? take(100) : take(256) << 24);
	if (bits & 32)
		play_number(d, PLAY_BLOCK2, take(256) << (take(2) * 8));
	if (bits & 64)
		play_number(d, PLAY_BLOCK1, take(2) ? request->msg.block1 : take(256));
	if (bits & 128)
		play_option(d, take(2) ? PLAY_ECHO : take(256) * 5 + 29, "some", take(5));
}

static void add_payload(struct play_datagram *d, size_t len)
{
	uint8_t payload[1100];
	memset(payload, 'a' + (int)take(3), sizeof payload);
	play_payload(d, payload, len < sizeof payload ? len : sizeof payload);
}

static void answer(void)
{
	struct play_datagram d;
	const struct request *request = some_request();
	if (!request)
		return;
	begin_answer(&d, request, codes[take(sizeof codes)]);
	if (d.data[1]) {
		add_options(&d, request, take(256));
		add_payload(&d, take(2) ? take(256) * 4 : 0);
	}
	transmit(&d, &request->from);
}

/* As a device does it that gives a value in blocks, or takes one. */
static void answer_block(void)
{
	struct play_datagram d;
	const struct request *request = some_request();
	if (!request)
		return;
	bool gives = take(2);
	uint32_t szx = gives && request->msg.has_block2 ? request->msg.block2 & 7 : take(6);
	uint32_t more = take(3) ? 8 : 0;
	begin_answer(&d, request, gives ? 0x45 : request->msg.block1 & 8 ? 0x5f : 0x44);
	play_number(&d, PLAY_ETAG, 1);
	if (request->msg.has_block2 == false && take(2))
		play_number(&d, PLAY_OBSERVE, take(256));
	if (gives)
		play_number(&d, PLAY_BLOCK2, (request->msg.block2 & ~15u) | more | szx);
	else
		play_number(&d, PLAY_BLOCK1, request->msg.block1);
	if (gives)
		add_payload(&d, more ? (size_t)16 << szx : take(16u << szx) + 1);
	transmit(&d, &request->from);
}

static void garble(void)
{
	struct play_datagram d = play.last;
	for (unsigned n = take(4) + 1; n > 0 && d.len > 0; n--)
		d.data[(take(256) | take(256) << 8) % d.len] = (uint8_t)take(256);
	if (take(4) == 3)
		d.len = d.len * take(256) / 256;
	if (d.len)
		transmit(&d, &play.last_to);
}

static void raw(void)
{
	struct play_datagram d = {.len = 0};
	const struct request *request = some_request();
	d.len = take(100);
	size_t left = (size_t)(play.end - play.at);
	d.len = d.len < left ? d.len : left;
	memcpy(d.data, play.at, d.len);
	play.at += d.len;
	if (request && d.len)
		transmit(&d, &request->from);
}

/* --- the play ---------------------------------------------------------------------------------------------------------- */

static void deliver(void)
{
	static uint8_t body[MOST_BODY];
	static const struct message_field reply = {
		{(const uint8_t *)MESSAGE_REPLY, sizeof MESSAGE_REPLY - 1}, {(const uint8_t *)"b", 1}};
	unsigned how = take(16);
	struct flight *flight = &play.flights[take(DELIVERIES)];
	if (flight->msg || !play.is_up)
		return;
	struct message_view view = {.topic = slice_str(how & 8 ? "/dev/a?x=1" : "/dev/a"),
		.payload = slice_of(body, take(4) ? take(200) : MOST_BODY - take(100)),
		.order_key = slice_str("k"),
		.content_type = how & 4 ? slice_str("application/json") : slice_str(""),
		.params = &reply,
		.n_params = how & 2 ? 1 : 0,
		.origin_ms = 1,
		.qos = how & 1};
	flight->msg = message_new(&view);
	fuzz_require(flight->msg != NULL);
	flight->seq = ++play.last_seq;
	flight->twos = play.twos;
	struct delivery delivery = {.destination_uuid = (const uint8_t *)"0123456789abcdef",
		.seq = flight->seq,
		.attempt = 1,
		.msg = message_ref(flight->msg)};
	coap_connector.send(play.link, &delivery);
	coap_connector.send_end(play.link);
	message_unref(delivery.msg);
}

static void pass(uint64_t ms)
{
	for (uint64_t step; ms > 0; ms -= step) {
		step = ms < STEP_MS ? ms : STEP_MS;
		play_advance(step);
		settle();
	}
}

static void step(void)
{
	static const unsigned ms[] = {100, 999, 2000, 5000, 20000, 60000};
	unsigned wanted;
	switch ((enum step)take(STEPS)) {
	case DELIVER:
		deliver();
		break;
	case ANSWER:
		answer();
		break;
	case ANSWER_BLOCK:
		answer_block();
		break;
	case GARBLED:
		garble();
		break;
	case AGAIN:
		if (play.last.len)
			transmit(&play.last, &play.last_to);
		break;
	case RAW:
		raw();
		break;
	case PASS:
		wanted = ms[take(6)];
		if (play.passed_ms + wanted <= MAX_PASSED_MS) {
			play.passed_ms += wanted;
			pass(wanted);
		}
		break;
	case PAUSE:
		play.is_busy = take(2);
		if (!play.is_busy)
			coap_connector.resume(play.link);
		break;
	case RELOAD:
		coap_connector.reload(play.link);
		break;
	case STEPS:
		break;
	}
	settle();
}

static void end(void)
{
	pass(ENOUGH_MS);
	for (size_t i = 0; i < DELIVERIES; i++)
		fuzz_require(!play.flights[i].msg);
	coap_connector.stop_intake(play.link);
	coap_connector.stop(play.link, 1000);
	for (int i = 0; i < 10 && !play.is_stopped; i++)
		pass(500);
	fuzz_require(play.is_stopped);
	coap_connector.destroy(play.link);
	play_end();
}

static void no_log(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct coap_from_settings observed = {.mode = COAP_WATCH_OBSERVE, .every_ms = 30000},
					       polled = {.mode = COAP_WATCH_POLL, .every_ms = 10000};
	static const struct link_subscription subscriptions[] = {
		{.filter = "/sensors/temp", .from_settings = &observed},
		{.filter = "/tank/level", .from_settings = &polled}};
	static const struct link_recovery recovery = {.destination_uuid = (const uint8_t *)"0123456789abcdef"};
	log_set_sink(no_log, NULL);
	if (device < 0)
		open_device();
	while (listen_once())
		;
	play = (struct play){.host = {.ops = &ops}, .at = data, .end = data + size};
	unsigned how = take(256);
	struct coap_settings settings = {.url = url,
		.out = {.timeout_ms = how & 1 ? 30000 : 5000,
			.concurrency = 4,
			.block_size = how & 2 ? 2 : 6,
			.transmission = {.ack_timeout_ms = 2000, .max_retransmit = 4, .nstart = how & 4 ? 1 : 4},
			.max_response = MOST_RESPONSE,
			.max_peers = 10,
			.allow_private = true}};
	struct link_spec spec = {.name = "device",
		.settings = &settings,
		.loop = play_begin(),
		.subscriptions = subscriptions,
		.n_subscriptions = how & 8 ? 0 : 2,
		.is_sink = true};
	fuzz_require(coap_connector.create(&spec, &play.host, &play.link) == 0);
	coap_connector.start(play.link, &recovery);
	settle();
	for (int i = 0; i < MAX_STEPS && play.at < play.end; i++)
		step();
	end();
	return 0;
}
