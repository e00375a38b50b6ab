/* SPDX-License-Identifier: Apache-2.0
 *
 * The Kafka link against librdkafka's mock cluster: what arrives, what each failure becomes, and that a producer which is
 * given up loses nothing.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "connectors/kafka/connection.h"
#include "connectors/kafka/kafka.h"
#include "connectors/kafka/link.h"
#include "runtime/log.h"
#include "tests/conformance/fake_host.h"
#include "tests/conformance/kafka_tools.h"
#include "tests/unit/tap.h"

#define TOPIC "readings"

struct scene {
	struct kafka_mock *mock;
	struct kafka_reader *reader;
	struct fake_host *fake;
	struct kafka_settings settings;
	struct config_text broker, properties[8];
	size_t wanted; /* records, or messages handed over */
};

static void scene_property(struct scene *scene, char *name, char *value)
{
	scene->properties[scene->settings.properties.n++] = (struct config_text){.name = name, .value = value};
}

static struct scene *scene_new(int n_partitions)
{
	struct scene *scene = calloc(1, sizeof *scene);
	scene->mock = kafka_mock_new(1);
	kafka_mock_topic(scene->mock, TOPIC, n_partitions);
	scene->reader = kafka_reader_new(scene->mock->brokers, TOPIC, n_partitions);
	scene->broker.value = scene->mock->brokers;
	scene->settings = (struct kafka_settings){
		.brokers = {&scene->broker, 1},
		.client_id = (char *)(uintptr_t) "test",
		.linger_ms = 5,
		.max_in_flight = 10000,
		.tls = {.verify = true},
		.properties = {scene->properties, 0},
	};
	scene_property(scene, (char *)(uintptr_t) "topic.metadata.propagation.max.ms", (char *)(uintptr_t) "100");
	scene_property(scene, (char *)(uintptr_t) "reconnect.backoff.max.ms", (char *)(uintptr_t) "100");
	return scene;
}

static void scene_start(struct scene *scene)
{
	scene->fake = fake_host_new(&kafka_connector, &scene->settings, true, NULL, 0);
	fake_host_start(scene->fake);
}

static void scene_end(struct scene *scene)
{
	CU_ASSERT_TRUE(fake_host_stop(scene->fake));
	CU_ASSERT_EQUAL(scene->fake->breaches, 0);
	fake_host_free(scene->fake);
	kafka_reader_free(scene->reader);
	kafka_mock_free(scene->mock);
	free(scene);
}

static struct message_view reading(const char *payload)
{
	return (struct message_view){
		.topic = slice_str(TOPIC),
		.payload = slice_str(payload),
		.order_key = slice_str("k"),
		.origin_ms = 1700000000123,
	};
}

/* Queues n messages with their numbers from `first` as payload, all with one key. */
static void deliver_numbers(struct scene *scene, unsigned first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char text[16];
		snprintf(text, sizeof text, "%u", first + i);
		struct message_view view = reading(text);
		view.key = slice_str("k");
		fake_host_deliver(scene->fake, &view);
	}
}

/* Our TCP sockets that take no more than so many bytes that they cannot send yet. */
static unsigned count_sockets(int unsent)
{
	unsigned n = 0;
	for (int fd = 0; fd < 1024; fd++) {
		int bytes = 0, protocol = 0;
		socklen_t size = sizeof protocol;
		if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0 || protocol != IPPROTO_TCP)
			continue;
		size = sizeof bytes;
		n += getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, &size) == 0 && bytes == unsent;
	}
	return n;
}

static bool has_records(void *arg)
{
	struct scene *scene = arg;
	kafka_reader_poll(scene->reader);
	return scene->reader->n_records >= scene->wanted;
}

static bool read_records(struct scene *scene, size_t n)
{
	scene->wanted = n;
	return fake_host_run_until(scene->fake, has_records, scene);
}

static unsigned count_outcomes(const struct scene *scene, enum outcome_kind kind)
{
	unsigned n = 0;
	for (uint64_t seq = 1; seq <= scene->fake->n_deliveries; seq++) {
		const struct fake_delivery *item = fake_host_delivery(scene->fake, seq);
		n += item->state == FAKE_ENDED && item->outcome == kind;
	}
	return n;
}

static unsigned number_of(const struct message *msg)
{
	char text[16] = "";
	struct slice payload = message_view(msg)->payload;
	memcpy(text, payload.data, payload.len < 15 ? payload.len : 15);
	return (unsigned)strtoul(text, NULL, 10);
}

/* Every number below n is among the records, and the last time each comes, it comes in order. */
static void check_numbers(struct scene *scene, unsigned n)
{
	size_t *last = calloc(n, sizeof *last);
	for (size_t i = 0; i < scene->reader->n_records; i++) {
		unsigned number = number_of(scene->reader->records[i]);
		CU_ASSERT_TRUE_FATAL(number < n);
		last[number] = i + 1;
	}
	unsigned missing = 0, disordered = 0;
	for (unsigned i = 0; i < n; i++) {
		missing += last[i] == 0;
		disordered += i > 0 && last[i] < last[i - 1];
	}
	CU_ASSERT_EQUAL(missing, 0);
	CU_ASSERT_EQUAL(disordered, 0);
	free(last);
}

static struct kafka_link *kafka_link_in(struct scene *scene)
{
	return (struct kafka_link *)(void *)kafka_connection_sink(scene->fake->link);
}

/* --- what arrives --------------------------------------------------------------------------------------------- */

static bool equals(struct slice slice, const char *text)
{
	return slice.data && slice_equal(slice, slice_str(text));
}

/* Kafka deletes by the timestamp: what was stamped before the clock was set goes without its own. */
static void test_stamped_at_1970(void)
{
	struct scene *scene = scene_new(1);
	scene_start(scene);
	struct message_view view = reading("21.5");
	view.origin_ms = 60000;
	fake_host_deliver(scene->fake, &view);
	CU_ASSERT_TRUE_FATAL(read_records(scene, 1));
	CU_ASSERT(message_view(scene->reader->records[0])->origin_ms > 1700000000123);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	scene_end(scene);
}

static void test_whole_message(void)
{
	struct scene *scene = scene_new(1);
	scene_start(scene);
	static const struct message_field headers[] = {
		{{(const uint8_t *)"unit", 4}, {(const uint8_t *)"\0C", 2}},
		{{(const uint8_t *)"null", 4}, {NULL, 0}},
	};
	struct message_view view = reading("21.5");
	view.key = slice_of("a\0b", 3);
	view.headers = headers;
	view.n_headers = 2;
	view.content_type = slice_str("application/json");
	fake_host_deliver(scene->fake, &view);
	CU_ASSERT_TRUE_FATAL(read_records(scene, 1));
	const struct message_view *got = message_view(scene->reader->records[0]);
	CU_ASSERT_TRUE(equals(got->payload, "21.5"));
	CU_ASSERT_TRUE(slice_equal(got->key, slice_of("a\0b", 3)));
	CU_ASSERT_EQUAL(got->origin_ms, 1700000000123);
	CU_ASSERT_EQUAL_FATAL(got->n_headers, 3);
	CU_ASSERT_TRUE(slice_equal(got->headers[0].value, slice_of("\0C", 2)));
	CU_ASSERT_TRUE(equals(got->headers[1].name, "null"));
	CU_ASSERT_PTR_NULL(got->headers[1].value.data);
	CU_ASSERT_TRUE(equals(got->headers[2].name, "content-type"));
	CU_ASSERT_TRUE(equals(got->headers[2].value, "application/json"));
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	scene_end(scene);
}

static void test_tombstone_and_empty(void)
{
	struct scene *scene = scene_new(1);
	scene_start(scene);
	struct message_view view = reading("");
	view.key = slice_str("gone");
	view.payload = (struct slice){NULL, 0};
	fake_host_deliver(scene->fake, &view);
	view.payload = slice_of("", 0);
	view.key = slice_of("", 0);
	fake_host_deliver(scene->fake, &view);
	view.key = (struct slice){NULL, 0};
	fake_host_deliver(scene->fake, &view);
	CU_ASSERT_TRUE_FATAL(read_records(scene, 3));
	CU_ASSERT_PTR_NULL(message_view(scene->reader->records[0])->payload.data);
	CU_ASSERT_EQUAL(message_view(scene->reader->records[1])->payload.len, 0);
	CU_ASSERT_PTR_NOT_NULL(message_view(scene->reader->records[1])->payload.data);
	CU_ASSERT_PTR_NOT_NULL(message_view(scene->reader->records[1])->key.data);
	CU_ASSERT_PTR_NULL(message_view(scene->reader->records[2])->key.data);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	scene_end(scene);
}

static void test_partition(void)
{
	struct scene *scene = scene_new(4);
	scene_start(scene);
	static const char *const partitions[] = {"2", "x", "", "-1", "99", "99999999999"};
	for (size_t i = 0; i < 6; i++) {
		struct message_field param = {slice_str("partition"), slice_str(partitions[i])};
		struct message_view view = reading("1");
		view.params = &param;
		view.n_params = 1;
		fake_host_deliver(scene->fake, &view);
		CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake)); /* the topic is known from the second on */
	}
	CU_ASSERT_EQUAL(fake_host_delivery(scene->fake, 1)->outcome, OUTCOME_DELIVERED);
	for (uint64_t seq = 2; seq <= 6; seq++)
		CU_ASSERT_EQUAL(
			fake_host_delivery(scene->fake, seq)->outcome, seq == 5 ? OUTCOME_RETRY : OUTCOME_REJECTED);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_host_delivery(scene->fake, 2)->reason, "the partition is no number"));
	CU_ASSERT_TRUE(read_records(scene, 1));
	CU_ASSERT_TRUE(equals(message_view(scene->reader->records[0])->topic, "2"));
	scene_end(scene);
}

static void test_many(void)
{
	struct scene *scene = scene_new(4);
	scene_start(scene);
	deliver_numbers(scene, 0, 25000);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_DELIVERED), 25000);
	CU_ASSERT_TRUE(read_records(scene, 25000));
	CU_ASSERT_EQUAL(scene->reader->n_records, 25000);
	check_numbers(scene, 25000);
	scene_end(scene);
}

static void test_many_topics(void)
{
	struct scene *scene = scene_new(1);
	scene_start(scene);
	for (unsigned i = 0; i < 50; i++) {
		char topic[32];
		snprintf(topic, sizeof topic, "%s-%u", TOPIC, i);
		struct message_view view = reading("1");
		view.topic = slice_str(topic);
		fake_host_deliver(scene->fake, &view);
	}
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_DELIVERED), 50);
	scene_end(scene);
}

static void test_library_queue_full(void)
{
	struct scene *scene = scene_new(1);
	scene_property(scene, (char *)(uintptr_t) "queue.buffering.max.messages", (char *)(uintptr_t) "7");
	scene_start(scene);
	deliver_numbers(scene, 0, 200);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_DELIVERED), 200);
	CU_ASSERT_TRUE(read_records(scene, 200));
	check_numbers(scene, 200);
	scene_end(scene);
}

/* --- failures of one message ---------------------------------------------------------------------------------- */

static void test_unknown_topic(void)
{
	struct scene *scene = scene_new(1);
	rd_kafka_mock_topic_set_error(scene->mock->cluster, TOPIC, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	scene_start(scene);
	deliver_numbers(scene, 0, 3);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_RETRY), 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_host_delivery(scene->fake, 1)->reason, "topic readings does not exist"));
	rd_kafka_mock_topic_set_error(scene->mock->cluster, TOPIC, RD_KAFKA_RESP_ERR_NO_ERROR);
	scene->fake->resend_retries = true; /* until the operator's new topic is noticed */
	deliver_numbers(scene, 3, 3);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_DELIVERED), 3);
	CU_ASSERT_EQUAL(scene->fake->downs, 0);
	scene_end(scene);
}

static void test_not_authorised(void)
{
	struct scene *scene = scene_new(1);
	scene_start(scene);
	CU_ASSERT_TRUE(fake_host_run_until_up(scene->fake));
	rd_kafka_mock_push_request_errors(
		scene->mock->cluster, KAFKA_PRODUCE_KEY, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	deliver_numbers(scene, 0, 3);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_RETRY), 3);
	scene->fake->resend_retries = true; /* the right is given: noticed with the next look at the cluster */
	deliver_numbers(scene, 3, 3);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_DELIVERED), 3);
	CU_ASSERT_EQUAL(scene->fake->alarms, 1);
	CU_ASSERT_STRING_EQUAL(scene->fake->last_alarm, "not authorised to write to topic readings");
	scene_end(scene);
}

static void test_illegal_topic(void)
{
	struct scene *scene = scene_new(1);
	scene_start(scene);
	struct message_view view = reading("1");
	view.topic = slice_str("a/b");
	fake_host_deliver(scene->fake, &view);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_REJECTED), 1);
	scene_end(scene);
}

static void test_too_large_for_us(void)
{
	struct scene *scene = scene_new(1);
	scene_start(scene);
	struct message_view view = reading("");
	view.payload.len = 2000000;
	uint8_t *large = calloc(1, view.payload.len);
	view.payload.data = large;
	fake_host_deliver(scene->fake, &view);
	deliver_numbers(scene, 0, 1);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(fake_host_delivery(scene->fake, 1)->outcome, OUTCOME_REJECTED);
	CU_ASSERT_EQUAL(fake_host_delivery(scene->fake, 2)->outcome, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(scene->fake->downs, 0);
	free(large);
	scene_end(scene);
}

/* --- refused batches ------------------------------------------------------------------------------------------ */

/* One bad batch of a hundred: none of its messages is rejected for the others' sake. */
static void test_batch_too_large(void)
{
	struct scene *scene = scene_new(1);
	scene_start(scene);
	CU_ASSERT_TRUE(fake_host_run_until_up(scene->fake));
	rd_kafka_mock_push_request_errors(
		scene->mock->cluster, KAFKA_PRODUCE_KEY, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	deliver_numbers(scene, 0, 100);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_DELIVERED), 100);
	CU_ASSERT_EQUAL(scene->fake->downs, 1);
	CU_ASSERT_EQUAL(kafka_link_in(scene)->limits.batch_bytes, 250000);
	CU_ASSERT_TRUE(read_records(scene, 100));
	check_numbers(scene, 100);
	scene_end(scene);
}

/* A message that no batch size helps is rejected once it was alone: 1,000,000 → 250,000 → 62,500 → 15,625 < 20,000. */
static void test_message_too_large_for_topic(void)
{
	struct scene *scene = scene_new(1);
	scene_start(scene);
	CU_ASSERT_TRUE(fake_host_run_until_up(scene->fake));
	rd_kafka_mock_push_request_errors(scene->mock->cluster, KAFKA_PRODUCE_KEY, 4,
		RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
		RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	struct message_view view = reading("");
	view.payload.len = 20000;
	uint8_t *large = calloc(1, view.payload.len);
	view.payload.data = large;
	fake_host_deliver(scene->fake, &view);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(fake_host_delivery(scene->fake, 1)->outcome, OUTCOME_REJECTED);
	CU_ASSERT_EQUAL(scene->fake->downs, 3);
	deliver_numbers(scene, 0, 100);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_DELIVERED), 100);
	free(large);
	scene_end(scene);
}

/* A batch refused for what is in it is sent again message by message; only the culprit is rejected, and then batches
 * are made again without another LINK_DOWN. */
static void test_batch_invalid(void)
{
	struct scene *scene = scene_new(1);
	scene_start(scene);
	CU_ASSERT_TRUE(fake_host_run_until_up(scene->fake));
	rd_kafka_mock_push_request_errors(scene->mock->cluster, KAFKA_PRODUCE_KEY, 2, RD_KAFKA_RESP_ERR_INVALID_RECORD,
		RD_KAFKA_RESP_ERR_INVALID_RECORD);
	deliver_numbers(scene, 0, 100);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_DELIVERED), 99);
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_REJECTED), 1);
	CU_ASSERT_EQUAL(fake_host_delivery(scene->fake, 1)->outcome, OUTCOME_REJECTED);
	CU_ASSERT_EQUAL(scene->fake->downs, 1);
	deliver_numbers(scene, 100, 100);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_DELIVERED), 199);
	CU_ASSERT_EQUAL(scene->fake->downs, 1);
	CU_ASSERT_FALSE(kafka_link_in(scene)->limits.one_by_one);
	scene_end(scene);
}

/* --- the cluster ---------------------------------------------------------------------------------------------- */

static void test_retriable_errors_are_not_seen(void)
{
	struct scene *scene = scene_new(1);
	scene_start(scene);
	CU_ASSERT_TRUE(fake_host_run_until_up(scene->fake));
	rd_kafka_mock_push_request_errors(scene->mock->cluster, KAFKA_PRODUCE_KEY, 2,
		RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
	deliver_numbers(scene, 0, 100);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_DELIVERED), 100);
	CU_ASSERT_TRUE(read_records(scene, 100));
	CU_ASSERT_EQUAL(scene->reader->n_records, 100);
	check_numbers(scene, 100);
	scene_end(scene);
}

static bool brokers_seen_down(void *arg)
{
	return ((struct kafka_link *)arg)->brokers_down;
}

static void test_brokers_away(void)
{
	struct scene *scene = scene_new(1);
	scene_start(scene);
	CU_ASSERT_TRUE(fake_host_run_until_up(scene->fake));
	deliver_numbers(scene, 0, 10);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	kafka_mock_down(scene->mock);
	deliver_numbers(scene, 10, 500);
	CU_ASSERT_TRUE(fake_host_run_until(scene->fake, brokers_seen_down, kafka_link_in(scene)));
	CU_ASSERT_EQUAL(scene->fake->n_ended, 10);
	kafka_mock_up(scene->mock);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_DELIVERED), 510);
	CU_ASSERT_FALSE(kafka_link_in(scene)->brokers_down);
	CU_ASSERT_EQUAL(scene->fake->ups, 1);
	CU_ASSERT_EQUAL(scene->fake->downs, 0);
	CU_ASSERT_TRUE(read_records(scene, 510));
	check_numbers(scene, 510);
	scene_end(scene);
}

static bool some_in_flight(void *arg)
{
	return ((struct fake_host *)arg)->n_in_flight > 0;
}

static bool handed_over(void *arg)
{
	const struct scene *scene = arg;
	return scene->fake->n_in_flight + scene->fake->n_ended > scene->wanted;
}

/* Most of the time with messages in flight; where all have ended already, the next ones find out. */
static void test_fatal_error(void)
{
	struct scene *scene = scene_new(1);
	scene_start(scene);
	CU_ASSERT_TRUE(fake_host_run_until_up(scene->fake));
	for (unsigned i = 0; i < 3; i++) {
		deliver_numbers(scene, i * 2000, 2000);
		scene->wanted = i * 2000;
		CU_ASSERT_TRUE(fake_host_run_until(scene->fake, handed_over, scene));
		rd_kafka_test_fatal_error(kafka_producer_handle(kafka_link_in(scene)->producer),
			RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "by the test");
		CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	}
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_DELIVERED), 6000);
	CU_ASSERT_TRUE(scene->fake->downs >= 2 && scene->fake->downs <= 3);
	CU_ASSERT_EQUAL(scene->fake->ups, scene->fake->downs + 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->fake->last_down, "by the test"));
	CU_ASSERT_TRUE(read_records(scene, 6000));
	check_numbers(scene, 6000);
	scene_end(scene);
}

static void test_fatal_error_while_idle(void)
{
	struct scene *scene = scene_new(1);
	scene_start(scene);
	CU_ASSERT_TRUE(fake_host_run_until_up(scene->fake));
	rd_kafka_test_fatal_error(kafka_producer_handle(kafka_link_in(scene)->producer),
		RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, "by the test");
	deliver_numbers(scene, 0, 1);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count_outcomes(scene, OUTCOME_DELIVERED), 1);
	scene_end(scene);
}

static void test_stop_with_brokers_away(void)
{
	struct scene *scene = scene_new(1);
	scene_start(scene);
	CU_ASSERT_TRUE(fake_host_run_until_up(scene->fake));
	kafka_mock_down(scene->mock);
	deliver_numbers(scene, 0, 1000);
	CU_ASSERT_TRUE(fake_host_run_until(scene->fake, some_in_flight, scene->fake));
	scene_end(scene); /* does not wait for them */
}

static void test_tls_against_plain(void)
{
	struct scene *scene = scene_new(1);
	scene->settings.tls.enabled = true;
	scene_start(scene);
	CU_ASSERT_TRUE(fake_host_run_until_alarm(scene->fake));
	CU_ASSERT_EQUAL(scene->fake->ups, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->fake->last_alarm, "TLS handshake"));
	scene_end(scene);
}

/* What rd_kafka_new refuses is said, tried again, and can be stopped. */
static void test_cannot_open(void)
{
	struct scene *scene = scene_new(1);
	scene->settings.tls.ca = (char *)(uintptr_t) "/nonexistent/ca.pem";
	scene_start(scene);
	CU_ASSERT_TRUE(fake_host_run_until_alarm(scene->fake));
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->fake->last_alarm, "ssl.ca.location"));
	scene_end(scene);
}

/* The library's thread would poll without a pause while a megabyte that a socket has taken is on its way (client.c). */
static void test_sockets_take_little(void)
{
	struct scene *scene = scene_new(1);
	unsigned before = count_sockets(65536);
	scene_start(scene);
	deliver_numbers(scene, 0, 1);
	CU_ASSERT_TRUE(read_records(scene, 1));
	CU_ASSERT_TRUE(count_sockets(65536) > before);
	scene_end(scene);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"key, headers, content type, timestamp and payload arrive", test_whole_message},
		{"a message stamped at 1970 goes without a timestamp of its own", test_stamped_at_1970},
		{"sockets take little that they cannot send yet", test_sockets_take_little},
		{"null payload and empty payload differ", test_tombstone_and_empty},
		{"partition by number", test_partition},
		{"25,000 messages arrive once and in order", test_many},
		{"many topics", test_many_topics},
		{"a full queue of the library loses nothing", test_library_queue_full},
		{"an unknown topic is tried again until it is there", test_unknown_topic},
		{"not authorised: tried again, with an alarm", test_not_authorised},
		{"an illegal topic is rejected", test_illegal_topic},
		{"larger than message.max.bytes is rejected", test_too_large_for_us},
		{"a batch that is too large is made smaller", test_batch_too_large},
		{"a message too large for its topic is rejected alone", test_message_too_large_for_topic},
		{"a refused batch is taken apart", test_batch_invalid},
		{"what the library retries is delivered once", test_retriable_errors_are_not_seen},
		{"brokers away and back: the link stays up", test_brokers_away},
		{"a fatal error: a new producer, nothing lost", test_fatal_error},
		{"a fatal error while idle", test_fatal_error_while_idle},
		{"stop with messages in flight and brokers away", test_stop_with_brokers_away},
		{"TLS against a plain listener raises an alarm", test_tls_against_plain},
		{"settings that the library refuses raise an alarm", test_cannot_open},
		{NULL, NULL},
	};
	if (kafka_tools_unavailable()) {
		printf("1..0 # SKIP %s\n", kafka_tools_unavailable());
		return 0;
	}
	log_set_level(getenv("V") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	return tap_main("kafka link", tests);
}
