/* SPDX-License-Identifier: Apache-2.0
 *
 * Resources that are watched, with a device, a host and a clock that are played: what becomes of each answer, and of silence.
 */
#include <coap3/coap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/coap/watch_impl.h"
#include "message/message.h"
#include "tests/unit/tap.h"

/* --- the device, in the place of out_call.c and client.c ---------------------------------------------------------------- */

#define N_RESOURCES 3

static struct coap_call *calls[N_RESOURCES]; /* in the order in which they are begun first */
static struct {
	unsigned begun, renewed, cancelled;
	bool under_way;
	char options[200]; /* "4:00ff 11:a 15:x=1" */
} device[N_RESOURCES];
static size_t n_calls;
static unsigned n_refused, n_welcome;
static struct coap_client client;

static size_t index_of(const struct coap_call *call)
{
	size_t i = 0;
	while (i < n_calls && calls[i] != call)
		i++;
	return i;
}

void coap_call_init(struct coap_call *call)
{
	*call = (struct coap_call){.confirmable = true};
	buffer_init(&call->options, sizeof device[0].options);
}

void coap_call_free(struct coap_call *call)
{
	buffer_free(&call->options);
}

void coap_call_clear(struct coap_call *call)
{
	buffer_clear(&call->options);
	call->last_option = 0;
}

int coap_call_option(struct coap_call *call, uint16_t number, struct slice value)
{
	char text[16];
	CU_ASSERT(number >= call->last_option);
	call->last_option = number;
	snprintf(text, sizeof text, "%s%u:", call->options.len ? " " : "", number);
	if (buffer_append(&call->options, slice_str(text)) < 0)
		return -EINVAL;
	for (size_t i = 0; number == COAP_OPTION_ETAG && i < value.len; i++) {
		snprintf(text, sizeof text, "%02x", value.data[i]);
		CU_ASSERT_EQUAL(buffer_append(&call->options, slice_str(text)), 0);
	}
	return number == COAP_OPTION_ETAG ? 0 : buffer_append(&call->options, value);
}

int coap_call_option_uint(struct coap_call *call, uint16_t number, uint32_t value)
{
	char text[16];
	snprintf(text, sizeof text, "%u", value);
	return coap_call_option(call, number, slice_str(text));
}

void coap_call_begin(struct coap_call *call, struct coap_peers *peers, const struct coap_url *url)
{
	size_t i = index_of(call);
	(void)peers;
	CU_ASSERT_PTR_EQUAL(url, &client.own);
	if (i == n_calls)
		calls[n_calls++] = call;
	CU_ASSERT(!device[i].under_way);
	device[i].under_way = true;
	device[i].begun++;
	memcpy(device[i].options, call->options.data, call->options.len);
	device[i].options[call->options.len] = '\0';
}

void coap_call_renew(struct coap_call *call)
{
	CU_ASSERT(device[index_of(call)].under_way);
	device[index_of(call)].renewed++;
}

void coap_call_cancel(struct coap_call *call)
{
	size_t i = index_of(call);
	if (i == n_calls || !device[i].under_way)
		return;
	device[i].under_way = false;
	device[i].cancelled++;
}

void coap_client_refused(struct coap_client *one, const char *reason)
{
	(void)reason;
	n_refused++;
	coap_watch_end(one->watch);
}

void coap_client_welcome(struct coap_client *one)
{
	(void)one;
	n_welcome++;
}

/* --- the host ------------------------------------------------------------------------------------------------------------ */

static struct {
	unsigned n, alarms;
	char payload[40], topic[40], type[40], headers[80];
	int subscription;
	uint8_t qos;
	enum offer_result result;
} host_side;
static struct coap_watch *watch;

static enum offer_result on_offer(struct link_host *host, const struct offer *offer)
{
	const struct message_view *view = offer->view;
	size_t len = 0;
	(void)host;
	CU_ASSERT(offer->no_receipt && offer->n_more == 0 && offer->change.type == CHANGE_NONE);
	if (host_side.result == OFFER_BUSY) {
		coap_watch_pause(watch);
		return OFFER_BUSY;
	}
	host_side.n++;
	snprintf(host_side.payload, sizeof host_side.payload, "%.*s", (int)view->payload.len, view->payload.data);
	snprintf(host_side.topic, sizeof host_side.topic, "%.*s", (int)view->topic.len, view->topic.data);
	snprintf(host_side.type, sizeof host_side.type, "%.*s", (int)view->content_type.len, view->content_type.data);
	host_side.headers[0] = '\0';
	for (size_t i = 0; i < view->n_headers; i++)
		len += (size_t)snprintf(host_side.headers + len, sizeof host_side.headers - len, "%.*s=%.*s ",
			(int)view->headers[i].name.len, view->headers[i].name.data, (int)view->headers[i].value.len,
			view->headers[i].value.data);
	host_side.subscription = offer->subscription;
	host_side.qos = view->qos;
	return host_side.result;
}

static void on_alarm(struct link_host *host, const char *what)
{
	(void)host, (void)what;
	host_side.alarms++;
}

static const struct link_host_ops host_ops = {.offer = on_offer, .alarm = on_alarm};
static struct link_host host = {&host_ops};

/* --- the scene ----------------------------------------------------------------------------------------------------------- */

static struct coap_settings settings;
static struct coap_from_settings from[N_RESOURCES];
static struct link_subscription subscriptions[N_RESOURCES];

static void set_up(const char *url, size_t n)
{
	static const char *const topics[N_RESOURCES] = {"/temp", "/a b/c", "/"};
	memset(device, 0, sizeof device);
	memset(&host_side, 0, sizeof host_side);
	n_calls = n_refused = n_welcome = 0;
	settings = (struct coap_settings){.out.timeout_ms = 30000};
	client = (struct coap_client){.host = &host,
		.loop = loop_new_simulated(1000000),
		.name = "device",
		.settings = &settings,
		.state = COAP_CLIENT_UP};
	CU_ASSERT_PTR_NULL(coap_url_parse(slice_str(url), &client.own));
	for (size_t i = 0; i < n; i++) {
		if (!subscriptions[i].from_settings)
			from[i] = (struct coap_from_settings){.mode = COAP_WATCH_OBSERVE, .every_ms = 30000};
		subscriptions[i] = (struct link_subscription){.filter = topics[i], .qos = 1, .from_settings = &from[i]};
	}
	struct link_spec spec = {.subscriptions = subscriptions, .n_subscriptions = n, .loop = client.loop};
	watch = client.watch = coap_watch_new(&client, &spec);
	CU_ASSERT_PTR_NOT_NULL_FATAL(watch);
	coap_watch_begin(watch);
}

/* The next set_up begins with these, not with the usual ones. */
static void prepare(size_t i, struct coap_from_settings settings_of)
{
	from[i] = settings_of;
	subscriptions[i].from_settings = &from[i];
}

static void tear_down(void)
{
	coap_watch_free(watch);
	loop_free(client.loop);
	memset(subscriptions, 0, sizeof subscriptions);
}

static void respond(size_t i, const struct coap_call_response *response)
{
	struct coap_call *call = calls[i];
	CU_ASSERT_FATAL(device[i].under_way);
	bool goes_on = response->observed && response->code >> 5 == 2;
	device[i].under_way = goes_on;
	call->on_response(call, response);
	if (!goes_on)
		call->on_end(call, COAP_CALL_ANSWERED, "", 0);
}

static void notify(size_t i, uint32_t sequence, const char *text)
{
	respond(i, &(struct coap_call_response){.code = 69,
			   .observed = true,
			   .sequence = sequence,
			   .format = -1,
			   .max_age_s = 60,
			   .payload = slice_str(text)});
}

static void answer(size_t i, uint8_t code, const char *text)
{
	respond(i,
		&(struct coap_call_response){.code = code, .format = -1, .max_age_s = 60, .payload = slice_str(text)});
}

static void end(size_t i, enum coap_call_end how, uint64_t retry_after_ms)
{
	device[i].under_way = false;
	calls[i]->on_end(calls[i], how, "gone", retry_after_ms);
}

static uint64_t counter_value;
static const char *counter_name;

static void on_counter(const char *name, uint64_t value, void *arg)
{
	(void)arg;
	if (strcmp(name, counter_name) == 0)
		counter_value = value;
}

static uint64_t counter(const char *name)
{
	counter_name = name;
	counter_value = UINT64_MAX;
	coap_watch_counters(watch, on_counter, NULL);
	return counter_value;
}

/* --- tests --------------------------------------------------------------------------------------------------------------- */

static void notifications_become_messages(void)
{
	prepare(1, (struct coap_from_settings){.query = "u=C&x", .accept = "application/json", .every_ms = 1000});
	set_up("coap://host/base/?k=1", 3);
	CU_ASSERT_EQUAL(n_calls, 3);
	CU_ASSERT_STRING_EQUAL(device[0].options, "11:base 11:temp 15:k=1");
	CU_ASSERT_STRING_EQUAL(device[1].options, "11:base 11:a b 11:c 15:k=1 15:u=C 15:x 17:50");
	CU_ASSERT_STRING_EQUAL(device[2].options, "11:base 15:k=1");
	CU_ASSERT(calls[0]->observe && calls[0]->confirmable && calls[0]->code == 1 && calls[0]->wants_body);
	respond(1, &(struct coap_call_response){.code = 69,
			   .observed = true,
			   .sequence = 7,
			   .format = 50,
			   .has_max_age = true,
			   .max_age_s = 90,
			   .etag = slice_of("\x01\xfe", 2),
			   .payload = slice_str("{}")});
	CU_ASSERT_EQUAL(host_side.n, 1);
	CU_ASSERT_STRING_EQUAL(host_side.topic, "/a b/c");
	CU_ASSERT_STRING_EQUAL(host_side.payload, "{}");
	CU_ASSERT_STRING_EQUAL(host_side.type, "application/json");
	CU_ASSERT_STRING_EQUAL(host_side.headers, "coap-etag=01fe coap-max-age=90 ");
	CU_ASSERT_EQUAL(host_side.subscription, 1);
	CU_ASSERT_EQUAL(host_side.qos, 1);
	notify(0, 1, "20");
	CU_ASSERT_EQUAL(host_side.subscription, 0);
	CU_ASSERT_STRING_EQUAL(host_side.type, "");
	CU_ASSERT_STRING_EQUAL(host_side.headers, "");
	notify(0, 2, "20"); /* said by itself: a reading like any other */
	CU_ASSERT_EQUAL(host_side.n, 3);
	CU_ASSERT_EQUAL(counter("observed"), 2);
	CU_ASSERT_EQUAL(counter("notifications"), 1);
	CU_ASSERT_EQUAL(counter("registrations"), 3);
	tear_down();
}

static void older_ones_are_left_out(void)
{
	set_up("coap://host", 1);
	notify(0, 5, "five");
	notify(0, 4, "four");
	CU_ASSERT_STRING_EQUAL(host_side.payload, "five");
	notify(0, 5, "five again");
	CU_ASSERT_STRING_EQUAL(host_side.payload, "five");
	notify(0, 6, "six");
	CU_ASSERT_STRING_EQUAL(host_side.payload, "six");
	CU_ASSERT_EQUAL(counter("reordered"), 2);
	loop_sim_advance(client.loop, 30000);
	/* An acknowledgement answers a request of ours, and is the state now. */
	coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_ACK, COAP_RESPONSE_CODE_CONTENT, 1, 100);
	respond(0, &(struct coap_call_response){
			   .code = 69, .observed = true, .sequence = 2, .payload = slice_str("two"), .pdu = pdu});
	coap_delete_pdu(pdu);
	CU_ASSERT_STRING_EQUAL(host_side.payload, "two");
	notify(0, 3, "three");
	CU_ASSERT_STRING_EQUAL(host_side.payload, "three");
	tear_down();
	/* Over TCP nothing overtakes, and the number means nothing (RFC 8323 §7.1). */
	set_up("coap+tcp://host", 1);
	notify(0, 5, "five");
	notify(0, 0, "six");
	notify(0, 0, "seven");
	CU_ASSERT_EQUAL(host_side.n, 3);
	tear_down();
}

static void silence_makes_register_again(void)
{
	set_up("coap://host", 1);
	notify(0, 500, "a");
	loop_sim_advance(client.loop, 64900);
	CU_ASSERT_EQUAL(device[0].renewed, 0);
	loop_sim_advance(client.loop, 10200);
	CU_ASSERT_EQUAL(device[0].renewed, 1);
	notify(0, 501, "a"); /* the answer: nothing new */
	CU_ASSERT_EQUAL(host_side.n, 1);
	CU_ASSERT_EQUAL(counter("unchanged"), 1);
	loop_sim_advance(client.loop, 60000);
	notify(0, 502, "a");
	CU_ASSERT_EQUAL(host_side.n, 2);
	/* Each notification puts it off. */
	loop_sim_advance(client.loop, 60000);
	CU_ASSERT_EQUAL(device[0].renewed, 1);
	loop_sim_advance(client.loop, 15100);
	CU_ASSERT_EQUAL(device[0].renewed, 2);
	/* A device that has rebooted counts from the start. */
	notify(0, 1, "b");
	CU_ASSERT_STRING_EQUAL(host_side.payload, "b");
	notify(0, 0, "older");
	CU_ASSERT_STRING_EQUAL(host_side.payload, "b");
	CU_ASSERT_EQUAL(device[0].begun, 1);
	tear_down();
}

static void unanswered_it_begins_anew(void)
{
	set_up("coap://host", 1);
	notify(0, 500, "a");
	loop_sim_advance(client.loop, 75100);
	CU_ASSERT_EQUAL(device[0].renewed, 1);
	end(0, COAP_CALL_SILENT, 0);
	CU_ASSERT_EQUAL(counter("observed"), 0);
	loop_sim_advance(client.loop, 990);
	CU_ASSERT_EQUAL(device[0].begun, 1);
	loop_sim_advance(client.loop, 520);
	CU_ASSERT_EQUAL(device[0].begun, 2);
	notify(0, 1, "a"); /* as before: nothing new, whoever says it */
	CU_ASSERT_EQUAL(host_side.n, 1);
	notify(0, 2, "b");
	CU_ASSERT_EQUAL(host_side.n, 2);
	tear_down();
}

static void a_lost_answer_is_noticed(void)
{
	set_up("coap://host", 1);
	notify(0, 500, "a");
	loop_sim_advance(client.loop, 75100);
	CU_ASSERT_EQUAL(device[0].renewed, 1);
	loop_sim_advance(client.loop, 79000);
	CU_ASSERT_EQUAL(device[0].begun, 1);
	loop_sim_advance(client.loop, 12000);
	CU_ASSERT_EQUAL(device[0].cancelled, 1);
	CU_ASSERT_EQUAL(device[0].begun, 2);
	tear_down();
}

static void failures_wait_ever_longer(void)
{
	static const uint64_t least_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
	set_up("coap://host", 1);
	for (unsigned i = 0; i < sizeof least_ms / sizeof least_ms[0]; i++) {
		end(0, COAP_CALL_UNREACHED, 0);
		loop_sim_advance(client.loop, least_ms[i] - 10);
		CU_ASSERT_EQUAL(device[0].begun, i + 1);
		loop_sim_advance(client.loop, least_ms[i] / 2 + 20);
		CU_ASSERT_EQUAL(device[0].begun, i + 2);
	}
	end(0, COAP_CALL_UNREACHED, 500000);
	loop_sim_advance(client.loop, 499990);
	CU_ASSERT_EQUAL(device[0].begun, 9);
	loop_sim_advance(client.loop, 20);
	CU_ASSERT_EQUAL(device[0].begun, 10);
	notify(0, 1, "a");
	end(0, COAP_CALL_BROKEN, 0); /* it begins from the start */
	loop_sim_advance(client.loop, 1510);
	CU_ASSERT_EQUAL(device[0].begun, 11);
	CU_ASSERT_EQUAL(counter("watch_failures"), 10);
	tear_down();
}

static void errors_are_asked_again(void)
{
	set_up("coap://host", 1);
	answer(0, 132, "no"); /* 4.04 */
	CU_ASSERT_EQUAL(host_side.n, 0);
	loop_sim_advance(client.loop, 1510);
	CU_ASSERT_EQUAL(device[0].begun, 2);
	notify(0, 1, "a");
	respond(0, &(struct coap_call_response){.code = 132, .observed = true, .payload = slice_str("gone")});
	CU_ASSERT_EQUAL(host_side.n, 1);
	loop_sim_advance(client.loop, 1510);
	CU_ASSERT_EQUAL(device[0].begun, 3);
	/* 5.03 and 4.29 say for how long. */
	respond(0, &(struct coap_call_response){
			   .code = 163, .has_max_age = true, .max_age_s = 300, .payload = slice_str("")});
	loop_sim_advance(client.loop, 299990);
	CU_ASSERT_EQUAL(device[0].begun, 3);
	loop_sim_advance(client.loop, 20);
	CU_ASSERT_EQUAL(device[0].begun, 4);
	respond(0, &(struct coap_call_response){
			   .code = 157, .has_max_age = true, .max_age_s = UINT32_MAX, .payload = slice_str("")});
	loop_sim_advance(client.loop, 3600010);
	CU_ASSERT_EQUAL(device[0].begun, 5);
	CU_ASSERT_EQUAL(host_side.alarms, 0);
	answer(0, 129, "who are you"); /* 4.01 */
	CU_ASSERT_EQUAL(host_side.alarms, 1);
	loop_sim_advance(client.loop, 20000);
	CU_ASSERT_EQUAL(device[0].begun, 6);
	answer(0, 68, ""); /* 2.04 is no answer to a GET */
	CU_ASSERT_EQUAL(host_side.n, 1);
	CU_ASSERT_EQUAL(n_refused, 0);
	tear_down();
}

static void a_refused_handshake_is_the_links_matter(void)
{
	set_up("coaps://host", 2);
	end(0, COAP_CALL_REFUSED, 0);
	CU_ASSERT_EQUAL(n_refused, 1);
	CU_ASSERT_EQUAL(device[1].cancelled, 1);
	loop_sim_advance(client.loop, 100000);
	CU_ASSERT_EQUAL(device[0].begun, 1);
	coap_watch_begin(watch);
	CU_ASSERT_EQUAL(device[0].begun, 2);
	CU_ASSERT_EQUAL(device[1].begun, 2);
	CU_ASSERT_EQUAL(n_welcome, 0);
	notify(0, 1, "a");
	CU_ASSERT(n_welcome > 0);
	tear_down();
}

static void who_is_not_observed_is_asked_again(void)
{
	set_up("coap://host", 1);
	answer(0, 69, "a");
	CU_ASSERT_EQUAL(host_side.n, 1);
	loop_sim_advance(client.loop, 29990);
	CU_ASSERT_EQUAL(device[0].begun, 1);
	loop_sim_advance(client.loop, 20);
	CU_ASSERT_EQUAL(device[0].begun, 2);
	answer(0, 69, "a");
	CU_ASSERT_EQUAL(host_side.n, 1);
	loop_sim_advance(client.loop, 30010);
	answer(0, 69, "b");
	CU_ASSERT_EQUAL(host_side.n, 2);
	/* At last it does. */
	loop_sim_advance(client.loop, 30010);
	notify(0, 1, "c");
	loop_sim_advance(client.loop, 30010);
	CU_ASSERT_EQUAL(device[0].begun, 4);
	CU_ASSERT_EQUAL(counter("observed"), 1);
	tear_down();
}

static void polls_ask_with_the_etag(void)
{
	prepare(0, (struct coap_from_settings){.mode = COAP_WATCH_POLL, .every_ms = 10000});
	set_up("coap://host", 1);
	CU_ASSERT(!calls[0]->observe);
	CU_ASSERT_STRING_EQUAL(device[0].options, "11:temp");
	loop_sim_advance(client.loop, 4000);
	respond(0, &(struct coap_call_response){
			   .code = 69, .format = -1, .etag = slice_of("\xab\x01", 2), .payload = slice_str("a")});
	CU_ASSERT_EQUAL(host_side.n, 1);
	loop_sim_advance(client.loop, 5990);
	CU_ASSERT_EQUAL(device[0].begun, 1);
	loop_sim_advance(client.loop, 20); /* ten seconds after it was asked before */
	CU_ASSERT_EQUAL(device[0].begun, 2);
	CU_ASSERT_STRING_EQUAL(device[0].options, "4:ab01 11:temp");
	answer(0, 67, ""); /* 2.03 */
	loop_sim_advance(client.loop, 10010);
	CU_ASSERT_STRING_EQUAL(device[0].options, "4:ab01 11:temp");
	answer(0, 69, "a"); /* it does not know ETags any more */
	CU_ASSERT_EQUAL(host_side.n, 1);
	CU_ASSERT_EQUAL(counter("unchanged"), 2);
	loop_sim_advance(client.loop, 10010);
	CU_ASSERT_STRING_EQUAL(device[0].options, "11:temp");
	answer(0, 69, "b");
	CU_ASSERT_EQUAL(host_side.n, 2);
	/* An answer that takes longer than the time between two. */
	loop_sim_advance(client.loop, 10010);
	loop_sim_advance(client.loop, 25000);
	CU_ASSERT_EQUAL(device[0].begun, 5);
	answer(0, 69, "c");
	loop_sim_advance(client.loop, 1);
	CU_ASSERT_EQUAL(device[0].begun, 6);
	CU_ASSERT_EQUAL(counter("polls"), 6);
	end(0, COAP_CALL_SILENT, 0);
	loop_sim_advance(client.loop, 1510);
	CU_ASSERT_EQUAL(device[0].begun, 7);
	tear_down();
}

static void the_newest_is_held(void)
{
	set_up("coap://host", 2);
	host_side.result = OFFER_BUSY;
	notify(0, 1, "a"); /* pauses from inside */
	notify(0, 2, "b");
	notify(0, 3, "c");
	notify(1, 1, "x");
	CU_ASSERT_EQUAL(host_side.n, 0);
	CU_ASSERT_EQUAL(counter("replaced"), 2);
	coap_watch_resume(watch); /* still no room */
	CU_ASSERT_EQUAL(host_side.n, 0);
	host_side.result = OFFER_TAKEN;
	notify(0, 4, "d"); /* not before it is asked for again */
	CU_ASSERT_EQUAL(host_side.n, 0);
	coap_watch_resume(watch);
	CU_ASSERT_EQUAL(host_side.n, 2);
	CU_ASSERT_STRING_EQUAL(host_side.payload, "x");
	coap_watch_resume(watch);
	CU_ASSERT_EQUAL(host_side.n, 2);
	notify(0, 5, "e");
	CU_ASSERT_EQUAL(host_side.n, 3);
	host_side.result = OFFER_REFUSED; /* is not held */
	notify(0, 6, "f");
	host_side.result = OFFER_TAKEN;
	coap_watch_resume(watch);
	CU_ASSERT_EQUAL(host_side.n, 4);
	host_side.result = OFFER_BUSY;
	notify(0, 7, "g"); /* freed with the rest */
	tear_down();
}

static void what_is_cut_is_asked_for(void)
{
	struct coap_call_response cut = {.code = 69,
		.observed = true,
		.cut = true,
		.sequence = 2,
		.max_age_s = 60,
		.payload = slice_str("a long")};
	set_up("coap://host", 1);
	notify(0, 1, "a");
	respond(0, &cut);
	CU_ASSERT_EQUAL(host_side.n, 1);
	loop_sim_advance(client.loop, 1510);
	CU_ASSERT_EQUAL(device[0].renewed, 1);
	cut.sequence = 3;
	respond(0, &cut);
	loop_sim_advance(client.loop, 1990); /* longer each time */
	CU_ASSERT_EQUAL(device[0].renewed, 1);
	loop_sim_advance(client.loop, 1020);
	CU_ASSERT_EQUAL(device[0].renewed, 2);
	notify(0, 4, "short");
	CU_ASSERT_EQUAL(host_side.n, 2);
	CU_ASSERT_EQUAL(counter("too_large"), 2);
	/* Asked for without an observation it is a failure like others. */
	end(0, COAP_CALL_BROKEN, 0);
	loop_sim_advance(client.loop, 1510);
	cut.observed = false;
	respond(0, &cut);
	CU_ASSERT_EQUAL(host_side.n, 2);
	loop_sim_advance(client.loop, 3010);
	CU_ASSERT_EQUAL(device[0].begun, 3);
	tear_down();
}

static void an_end_is_an_end(void)
{
	set_up("coap://host", 2);
	notify(0, 1, "a");
	end(1, COAP_CALL_SILENT, 0);
	coap_watch_stop_intake(watch);
	CU_ASSERT_EQUAL(device[0].cancelled, 1);
	loop_sim_advance(client.loop, 1000000);
	CU_ASSERT_EQUAL(device[0].renewed, 0);
	CU_ASSERT_EQUAL(device[1].begun, 1);
	coap_watch_begin(watch);
	coap_watch_resume(watch);
	CU_ASSERT_EQUAL(device[0].begun, 1);
	CU_ASSERT_EQUAL(host_side.n, 1);
	tear_down();
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"notifications become messages", notifications_become_messages},
		{"what has been overtaken is left out", older_ones_are_left_out},
		{"after silence it registers again", silence_makes_register_again},
		{"without an answer it begins anew", unanswered_it_begins_anew},
		{"an answer that never comes is noticed", a_lost_answer_is_noticed},
		{"failures wait ever longer", failures_wait_ever_longer},
		{"errors are asked again", errors_are_asked_again},
		{"a refused handshake is the link's matter", a_refused_handshake_is_the_links_matter},
		{"who is not observed is asked again", who_is_not_observed_is_asked_again},
		{"polls ask with the ETag", polls_ask_with_the_etag},
		{"the newest value is held while there is no room", the_newest_is_held},
		{"what is cut is asked for again", what_is_cut_is_asked_for},
		{"an end is an end", an_end_is_an_end},
		{NULL, NULL},
	};
	return tap_main("coap watch", tests);
}
