/* SPDX-License-Identifier: Apache-2.0
 *
 * The CoAP client that writes, in what the suite does not know: lost and repeated datagrams, RST, separate and late responses,
 * devices that are busy, blocks both ways, replies, several devices of which one is dead.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/coap/coap.h"
#include "connectors/coap/settings.h"
#include "tests/conformance/coap_device.h"
#include "tests/conformance/fake_host.h"
#include "tests/unit/tap.h"

static struct coap_device *device;
static struct coap_settings settings;
static char url[80];
static struct link_host_ops ops; /* the fake host's, but for outcome */
static const struct link_host_ops *fake_ops;
static uint64_t last_retry_after_ms;

static void note_outcome(struct link_host *host, uint64_t seq, const struct outcome *outcome)
{
	if (outcome->kind == OUTCOME_RETRY)
		last_retry_after_ms = outcome->retry_after_ms;
	fake_ops->outcome(host, seq, outcome);
}

static struct fake_host *begin(void)
{
	device = coap_device_new();
	snprintf(url, sizeof url, "coap://127.0.0.1:%d", coap_device_port(device));
	settings = (struct coap_settings){
		.url = url,
		.out =
			{
				.timeout_ms = 20000,
				.concurrency = 8,
				.block_size = 6,
				.transmission = {.ack_timeout_ms = 1000, .max_retransmit = 4, .nstart = 4},
				.max_response = 65536,
				.max_peers = 4,
				.allow_private = true,
			},
	};
	struct fake_host *fake = fake_host_new(&coap_connector, &settings, true, NULL, 0);
	fake_ops = fake->base.ops;
	ops = *fake_ops;
	ops.outcome = note_outcome;
	fake->base.ops = &ops;
	fake->resend_retries = true;
	return fake;
}

static void finish(struct fake_host *fake)
{
	CU_ASSERT_TRUE(fake_host_stop(fake));
	CU_ASSERT_EQUAL(fake->breaches, 0);
	if (fake->breaches)
		printf("# %s\n", fake->first_breach);
	fake_host_free(fake);
	coap_device_free(device);
}

static struct message_view message(const char *path, struct slice payload)
{
	return (struct message_view){
		.topic = slice_str(path), .payload = payload, .order_key = slice_str("k"), .qos = 1};
}

static uint64_t deliver(struct fake_host *fake, const char *path, const char *payload)
{
	struct message_view view = message(path, slice_str(payload));
	return fake_host_deliver(fake, &view);
}

static uint64_t deliver_with(struct fake_host *fake, const char *path, const char *name, const char *value, uint8_t qos)
{
	struct message_field param = {slice_str(name), slice_str(value)};
	struct message_view view = message(path, slice_str("x"));
	view.params = &param;
	view.n_params = 1;
	view.qos = qos;
	return fake_host_deliver(fake, &view);
}

static bool reason_has(struct fake_host *fake, uint64_t seq, const char *word)
{
	const char *reason = fake_host_delivery(fake, seq)->reason;
	if (!reason || !strstr(reason, word))
		printf("# reason: %s\n", reason ? reason : "none");
	return reason && strstr(reason, word);
}

static size_t n_arrived(void)
{
	return coap_device_arrived(device)->n;
}

/* --- what is sent ------------------------------------------------------------------------------------------------------------- */

static void test_request(void)
{
	struct fake_host *fake = begin();
	char base[120];
	struct message_field params[] = {
		{slice_str("method"), slice_str("ipatch")}, {slice_str("accept"), slice_str("application/cbor")}};
	struct message_view view = message("/a%2Fb/c?x=%26", slice_str("{}"));
	view.content_type = slice_str("application/json");
	view.params = params;
	view.n_params = 2;
	fake_host_free(fake); /* it has read the URL */
	snprintf(base, sizeof base, "%s/base/?all=1", url);
	settings.url = base;
	fake = fake_host_new(&coap_connector, &settings, true, NULL, 0);
	fake_host_deliver(fake, &view);
	deliver(fake, "", "y");
	fake_host_start(fake);
	CU_ASSERT_TRUE_FATAL(fake_host_run_until_ended(fake));
	struct coap_request_seen seen;
	CU_ASSERT_TRUE_FATAL(coap_device_request(device, 0, &seen));
	CU_ASSERT_EQUAL(seen.code, 7);
	CU_ASSERT_EQUAL(seen.type, 0);
	CU_ASSERT_STRING_EQUAL(seen.target, "/base/a/b/c?all=1&x=&");
	CU_ASSERT_EQUAL(seen.format, 50);
	CU_ASSERT_EQUAL(seen.accept, 60);
	CU_ASSERT_FALSE(seen.has_host);
	struct coap_request_seen second;
	CU_ASSERT_TRUE_FATAL(coap_device_request(device, 1, &second));
	CU_ASSERT_EQUAL(second.code, 3);
	CU_ASSERT_STRING_EQUAL(second.target, "/base/?all=1");
	CU_ASSERT_NOT_EQUAL(second.id, seen.id);
	CU_ASSERT_NOT_EQUAL(memcmp(second.token, seen.token, 8), 0);
	finish(fake);
}

static void test_unconfirmed(void)
{
	struct fake_host *fake = begin();
	struct coap_manners manners = coap_device_well();
	manners.code = 4 << 5 | 4; /* nobody wants to know */
	coap_device_set(device, &manners);
	for (int i = 0; i < 20; i++)
		deliver_with(fake, "/a", "method", "POST", 0);
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	for (uint64_t seq = 1; seq <= 20; seq++)
		CU_ASSERT_EQUAL(fake_host_delivery(fake, seq)->outcome, OUTCOME_DELIVERED);
	deliver(fake, "/last", "x");
	fake_host_run_until_ended(fake);
	struct coap_request_seen seen;
	CU_ASSERT_TRUE_FATAL(coap_device_request(device, 0, &seen));
	CU_ASSERT_EQUAL(seen.type, 1);
	CU_ASSERT_EQUAL(coap_device_n_requests(device), 21);
	CU_ASSERT_EQUAL(coap_device_n_datagrams(device), 21);
	finish(fake);
}

/* --- what comes back ------------------------------------------------------------------------------------------------------------ */

static void test_rejected(void)
{
	struct fake_host *fake = begin();
	struct coap_manners manners = coap_device_well();
	manners.code = 4 << 5 | 4;
	manners.body = 10;
	coap_device_set(device, &manners);
	deliver(fake, "/nowhere", "x");
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(fake_host_delivery(fake, 1)->outcome, OUTCOME_REJECTED);
	CU_ASSERT_TRUE(reason_has(fake, 1, "4.04 Not Found"));
	finish(fake);
}

static bool has_retried(void *arg)
{
	return fake_host_delivery(arg, 1)->retries > 0;
}

static bool second_has_retried(void *arg)
{
	return fake_host_delivery(arg, 2)->retries > 0;
}

/* A device that has let us in, and not this one request. */
static void test_forbidden(void)
{
	struct fake_host *fake = begin();
	deliver(fake, "/a", "x");
	deliver(fake, "/b?key=wrong", "x");
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until(fake, second_has_retried, fake));
	CU_ASSERT_EQUAL(fake_host_delivery(fake, 1)->outcome, OUTCOME_DELIVERED);
	CU_ASSERT_TRUE(reason_has(fake, 2, "4.03 Forbidden"));
	CU_ASSERT_EQUAL(fake->downs, 0);
	CU_ASSERT_EQUAL(fake->alarms, 1);
	CU_ASSERT_EQUAL(last_retry_after_ms, 60000);
	finish(fake);
}

static void check_retried(struct fake_host *fake, const struct coap_manners *manners, const char *word)
{
	struct coap_manners well = coap_device_well();
	coap_device_set(device, manners);
	deliver(fake, "/a", "x");
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until(fake, has_retried, fake));
	CU_ASSERT_TRUE(reason_has(fake, 1, word));
	coap_device_set(device, &well);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(fake_host_delivery(fake, 1)->outcome, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(fake->downs, 0);
}

static void test_reset(void)
{
	struct fake_host *fake = begin();
	struct coap_manners manners = coap_device_well();
	manners.resets = true;
	check_retried(fake, &manners, "RST");
	CU_ASSERT_EQUAL(n_arrived(), 1);
	finish(fake);
}

static void test_gone(void)
{
	struct fake_host *fake = begin();
	struct coap_manners manners = coap_device_well();
	manners.gone = true;
	check_retried(fake, &manners, "nobody listens");
	finish(fake);
}

static void check_busy(int max_age, uint64_t expected_ms)
{
	struct fake_host *fake = begin();
	struct coap_manners manners = coap_device_well();
	manners.busy_times = 1;
	manners.busy_code = 5 << 5 | 3;
	manners.busy_max_age = max_age;
	check_retried(fake, &manners, "5.03 Service Unavailable");
	CU_ASSERT_EQUAL(last_retry_after_ms, expected_ms);
	finish(fake);
}

static void test_busy(void)
{
	check_busy(7, 7000);
	check_busy(-1, 60000);
}

/* --- time ----------------------------------------------------------------------------------------------------------------------- */

static bool device_has_one(void *arg)
{
	return coap_device_n_requests(arg) > 0;
}

static void check_separate(bool without_ack)
{
	struct fake_host *fake = begin();
	struct coap_manners manners = coap_device_well();
	manners.separate = manners.holds_separate = true;
	manners.without_ack = without_ack;
	coap_device_set(device, &manners);
	deliver(fake, "/a", "x");
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until(fake, device_has_one, device));
	CU_ASSERT_EQUAL(fake->n_ended, 0);
	coap_device_release(device);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(fake_host_delivery(fake, 1)->outcome, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(fake_host_delivery(fake, 1)->sends, 1);
	finish(fake);
}

static void test_separate(void)
{
	check_separate(false);
	check_separate(true);
}

/* The response to what was given up is nobody's; what follows is not taken for it. */
static void test_late(void)
{
	struct fake_host *fake = begin();
	struct coap_manners manners = coap_device_well();
	settings.out.timeout_ms = 300;
	manners.separate = manners.holds_separate = true;
	coap_device_set(device, &manners);
	deliver(fake, "/a", "x");
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until(fake, has_retried, fake));
	CU_ASSERT_TRUE(reason_has(fake, 1, "no answer in time"));
	CU_ASSERT_EQUAL(fake->n_ended, 0);
	coap_device_release(device);
	manners = coap_device_well();
	coap_device_set(device, &manners);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	CU_ASSERT_TRUE(fake_host_delivery(fake, 1)->sends >= 2);
	finish(fake);
}

static void test_losses(void)
{
	struct fake_host *fake = begin();
	struct coap_manners manners = coap_device_well();
	settings.out.order = COAP_ORDER_NONE;
	settings.out.timeout_ms = 60000;
	settings.out.concurrency = 100;
	settings.out.transmission.nstart = 100;
	manners.lose_percent = 10;
	manners.duplicate_percent = 20;
	coap_device_set(device, &manners);
	for (int i = 0; i < 60; i++)
		deliver(fake, "/a", "x");
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	unsigned sends = 0;
	for (uint64_t seq = 1; seq <= 60; seq++) {
		CU_ASSERT_EQUAL(fake_host_delivery(fake, seq)->outcome, OUTCOME_DELIVERED);
		sends += fake_host_delivery(fake, seq)->sends;
	}
	CU_ASSERT_TRUE(coap_device_n_datagrams(device) > 60);
	CU_ASSERT_TRUE(n_arrived() >= 60 && n_arrived() <= sends); /* what libcoap repeats is known by its id */
	finish(fake);
}

/* --- blocks ---------------------------------------------------------------------------------------------------------------------- */

static void check_upload(size_t size, uint8_t szx, uint8_t qos)
{
	struct fake_host *fake = begin();
	struct coap_manners manners = coap_device_well();
	char *bytes = malloc(size);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 7 + i / 251);
	manners.szx = szx;
	coap_device_set(device, &manners);
	struct message_view view = message("/blocks", slice_of(bytes, size));
	view.qos = qos;
	fake_host_deliver(fake, &view);
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(fake_host_delivery(fake, 1)->outcome, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL_FATAL(n_arrived(), 1);
	CU_ASSERT_TRUE(
		slice_equal(message_view(coap_device_arrived(device)->items[0])->payload, slice_of(bytes, size)));
	free(bytes);
	finish(fake);
}

/* In one; blocks of 1024; a device that wants smaller ones, at once (4.13) or from the second on. */
static void test_uploads(void)
{
	check_upload(1024, 6, 1);
	check_upload(1025, 6, 1);
	check_upload(20000, 6, 1);
	check_upload(5000, 4, 1);
	check_upload(5000, 2, 1);
	check_upload(5000, 6, 0);
}

static void test_part_is_no_delivery(void)
{
	struct fake_host *fake = begin();
	struct coap_manners manners = coap_device_well();
	char bytes[3000] = {0};
	manners.ignores_block1 = true;
	coap_device_set(device, &manners);
	struct message_view view = message("/a", slice_of(bytes, sizeof bytes));
	fake_host_deliver(fake, &view);
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until(fake, has_retried, fake));
	CU_ASSERT_TRUE(reason_has(fake, 1, "before it had the whole body"));
	finish(fake);
}

static void check_reply(const struct coap_manners *manners, size_t expected, bool cut)
{
	struct fake_host *fake = begin();
	coap_device_set(device, manners);
	settings.out.max_response = 5000;
	deliver_with(fake, "/ask", MESSAGE_REPLY, "somewhere", 1);
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	const struct message *reply = fake_host_delivery(fake, 1)->reply;
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	const struct message_view *view = message_view(reply);
	CU_ASSERT_EQUAL(view->payload.len, expected);
	for (size_t i = 0; i < view->payload.len; i++)
		if (view->payload.data[i] != 'a' + (i + manners->changes) % 26) {
			CU_FAIL("the payload");
			break;
		}
	CU_ASSERT_TRUE(slice_equal(message_header(view, "coap-code"), slice_str("2.05")));
	CU_ASSERT_EQUAL(message_header(view, "coap-body-cut").data != NULL, cut);
	CU_ASSERT_TRUE(slice_equal(view->content_type, slice_str("application/cbor")));
	finish(fake);
}

static void test_replies(void)
{
	struct coap_manners manners = coap_device_well();
	manners.code = 2 << 5 | 5;
	manners.format = 60;
	check_reply(&manners, 0, false);
	manners.body = 17;
	check_reply(&manners, 17, false);
	manners.body = 4500;
	check_reply(&manners, 4500, false);
	manners.szx = 2;
	check_reply(&manners, 4500, false);
	manners.szx = 6;
	manners.body = 9000; /* more than max_response */
	check_reply(&manners, 4096, true);
}

/* A GET is read again when it changes meanwhile. */
static void test_changing_reply(void)
{
	struct fake_host *fake = begin();
	struct coap_manners manners = coap_device_well();
	manners.code = 2 << 5 | 5;
	manners.body = 3000;
	manners.changes = true;
	coap_device_set(device, &manners);
	struct message_field params[] = {
		{slice_str("method"), slice_str("GET")}, {slice_str(MESSAGE_REPLY), slice_str("somewhere")}};
	struct message_view view = message("/ask", slice_str("x"));
	view.params = params;
	view.n_params = 2;
	fake_host_deliver(fake, &view);
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	const struct message *reply = fake_host_delivery(fake, 1)->reply;
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(message_view(reply)->payload.len, 3000);
	for (size_t i = 0; i < message_view(reply)->payload.len; i++)
		CU_ASSERT_EQUAL_FATAL(message_view(reply)->payload.data[i], 'a' + (i + 1) % 26);
	finish(fake);
}

/* A POST was carried out; the rest of its response cannot be had. To send it again would do it twice. */
static void test_lost_rest(void)
{
	struct fake_host *fake = begin();
	struct coap_manners manners = coap_device_well();
	manners.code = 2 << 5 | 5;
	manners.body = 3000;
	manners.silent_blocks = true;
	settings.out.timeout_ms = 300;
	coap_device_set(device, &manners);
	deliver_with(fake, "/ask", MESSAGE_REPLY, "somewhere", 1);
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(n_arrived(), 1);
	CU_ASSERT_EQUAL(fake_host_delivery(fake, 1)->sends, 1);
	const struct message *reply = fake_host_delivery(fake, 1)->reply;
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	CU_ASSERT_EQUAL(message_view(reply)->payload.len, 1024);
	CU_ASSERT_TRUE(message_header(message_view(reply), "coap-body-cut").data != NULL);
	finish(fake);
}

static void test_echo(void)
{
	struct fake_host *fake = begin();
	struct coap_manners manners = coap_device_well();
	manners.echoes = true;
	coap_device_set(device, &manners);
	deliver(fake, "/a", "x");
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(fake_host_delivery(fake, 1)->sends, 1);
	CU_ASSERT_EQUAL(coap_device_n_requests(device), 2);
	CU_ASSERT_EQUAL(fake->alarms, 0);
	finish(fake);
}

/* --- devices ---------------------------------------------------------------------------------------------------------------------- */

struct wanted {
	struct fake_host *fake;
	size_t n;
};

static bool as_many_ended(void *arg)
{
	struct wanted *wanted = arg;
	return wanted->fake->n_ended >= wanted->n;
}

/* Twenty messages for a device that does not answer are in front of those for one that does. */
static void test_dead_device(void)
{
	struct fake_host *fake = begin();
	struct coap_device *dead = coap_device_new();
	struct coap_manners manners = coap_device_well();
	char dead_url[80];
	settings.out.order = COAP_ORDER_NONE;
	settings.out.concurrency = 2;
	settings.out.transmission.nstart = 2;
	manners.silent = true;
	coap_device_set(dead, &manners);
	snprintf(dead_url, sizeof dead_url, "coap://127.0.0.1:%d/x", coap_device_port(dead));
	for (int i = 0; i < 20; i++)
		deliver_with(fake, "", "url", dead_url, 1);
	for (int i = 0; i < 20; i++)
		deliver(fake, "/a", "x");
	fake_host_start(fake);
	struct wanted wanted = {fake, 20};
	CU_ASSERT_TRUE(fake_host_run_until(fake, as_many_ended, &wanted));
	CU_ASSERT_EQUAL(n_arrived(), 20);
	CU_ASSERT_EQUAL(fake->downs, 0);
	manners = coap_device_well();
	coap_device_set(dead, &manners);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(coap_device_arrived(dead)->n, 20);
	finish(fake);
	coap_device_free(dead);
}

static void test_guard(void)
{
	struct fake_host *fake = begin();
	settings.out.allow_private = false;
	deliver_with(fake, "", "url", url, 1);
	deliver_with(fake, "", "url", "coap://", 1);
	deliver(fake, "/a", "x");
	deliver_with(fake, "", "url", "coap+tcp://127.0.0.1:9", 1); /* refused before it is connected to */
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(fake_host_delivery(fake, 1)->outcome, OUTCOME_REJECTED);
	CU_ASSERT_TRUE(reason_has(fake, 1, "loopback"));
	CU_ASSERT_EQUAL(fake_host_delivery(fake, 2)->outcome, OUTCOME_REJECTED);
	CU_ASSERT_EQUAL(fake_host_delivery(fake, 3)->outcome, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(fake_host_delivery(fake, 4)->outcome, OUTCOME_REJECTED);
	CU_ASSERT_EQUAL(n_arrived(), 1);
	finish(fake);
}

/* More devices than are kept: those that are idle make room. */
static void test_many_devices(void)
{
	struct fake_host *fake = begin();
	struct coap_device *others[10];
	char where[80];
	for (size_t i = 0; i < 10; i++) {
		others[i] = coap_device_new();
		snprintf(where, sizeof where, "coap://127.0.0.1:%d", coap_device_port(others[i]));
		deliver_with(fake, "/a", "url", where, 1);
		deliver_with(fake, "/b", "url", where, 1);
	}
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	for (size_t i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(coap_device_arrived(others[i])->n, 2);
	finish(fake);
	for (size_t i = 0; i < 10; i++)
		coap_device_free(others[i]);
}

/* A name that nobody knows. */
static void test_no_name(void)
{
	struct fake_host *fake = begin();
	deliver_with(fake, "/a", "url", "coap://there-is-no-such-host.invalid", 1);
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until(fake, has_retried, fake));
	CU_ASSERT_TRUE(reason_has(fake, 1, "leads to no address"));
	finish(fake);
}

static void test_name(void)
{
	struct fake_host *fake = begin();
	char where[80];
	snprintf(where, sizeof where, "coap://LocalHost:%d/n", coap_device_port(device));
	deliver_with(fake, "", "url", where, 1);
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	struct coap_request_seen seen;
	CU_ASSERT_TRUE_FATAL(coap_device_request(device, 0, &seen));
	CU_ASSERT_TRUE(seen.has_host);
	finish(fake);
}

/* Answers that were not asked for, and what is no message. */
static void test_rubbish(void)
{
	static const uint8_t stray[] = {0x68, 0x44, 0x12, 0x34, 0, 0, 0, 1, 2, 3, 4, 5}; /* ACK 2.04, a foreign token */
	static const uint8_t notification[] = {0x58, 0x45, 0x12, 0x35, 0, 0, 0, 1, 2, 3, 4, 5, 0x61, 0x07, 0xff, 'x'};
	static const uint8_t broken[] = {0x4f, 0x45};
	struct fake_host *fake = begin();
	deliver(fake, "/a", "x");
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	for (int i = 0; i < 3; i++) {
		coap_device_send(device, stray, sizeof stray);
		coap_device_send(device, notification, sizeof notification);
		coap_device_send(device, broken, sizeof broken);
		deliver(fake, "/a", "x");
		CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	}
	CU_ASSERT_EQUAL(n_arrived(), 4);
	CU_ASSERT_TRUE(coap_device_n_resets(device) >= 3); /* a notification that nobody wants */
	finish(fake);
}

static const struct tap_test tests[] = {
	{"method, path, query, formats", test_request},
	{"qos 0 is not confirmed, and sent once", test_unconfirmed},
	{"4.04 is final", test_rejected},
	{"4.03 for one request alone", test_forbidden},
	{"RST is a failed attempt", test_reset},
	{"a port where nobody listens", test_gone},
	{"5.03 says when to come again", test_busy},
	{"separate responses, with and without the ACK", test_separate},
	{"a late response is nobody's", test_late},
	{"10 % lost each way, 20 % doubled", test_losses},
	{"bodies in blocks", test_uploads},
	{"an answer to a part is no delivery", test_part_is_no_delivery},
	{"replies, in blocks and cut", test_replies},
	{"a reply that changes is read again", test_changing_reply},
	{"a reply whose rest is lost", test_lost_rest},
	{"Echo", test_echo},
	{"one dead device slows no other", test_dead_device},
	{"private addresses are not for the URLs of messages", test_guard},
	{"more devices than max_peers", test_many_devices},
	{"a name without an address", test_no_name},
	{"a name is said to the device", test_name},
	{"what was not asked for", test_rubbish},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("conformance coap out cases", tests);
}
