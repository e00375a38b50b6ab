/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole MQTT link (engine, source, sink) in any order of events: the bytes are a script of what broker, network,
 * journal, courier and clock do. The first three choose the settings; then each step is an opcode and its arguments.
 * Packets are whole and legal, or any bytes, and reach the link cut anywhere. session/model.h says what must hold.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/mqtt/mqtt.h"
#include "connectors/mqtt/qos2_out.h"
#include "runtime/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/session/model.h"
#include "tests/fuzz/session/wire.h"

#define MAX_STEPS   400
#define MAX_PENDING 8192 /* bytes on their way to the link */

/* The same script does the same. */
uint32_t arc4random(void)
{
	return 4;
}

uint32_t arc4random_uniform(uint32_t bound)
{
	return bound / 2;
}

/* --- the script ----------------------------------------------------------------------------------------------------- */

static struct slice script;

static uint8_t take(void)
{
	if (script.len == 0)
		return 0;
	script.len--;
	return *script.data++;
}

static struct slice take_bytes(size_t n)
{
	struct slice bytes = slice_of(script.data, n < script.len ? n : script.len);
	script.data += bytes.len;
	script.len -= bytes.len;
	return bytes;
}

static uint64_t take_of(const uint64_t *choices, size_t n)
{
	return choices[take() % n];
}
#define TAKE_OF(...)                                                                                                   \
	take_of((const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static const char *take_topic(void)
{
	static const char *const topics[] = {"in/a", "in/b/x", "t", "$SYS/x", "in/+", ""};
	return topics[take() % (sizeof topics / sizeof topics[0])];
}

static struct slice take_payload(void)
{
	static uint8_t zeroes[600];
	uint8_t choice = take();
	if (choice == 0xff)
		return slice_of(zeroes, sizeof zeroes);
	return take_bytes(choice % 4);
}

/* --- what comes from the broker ------------------------------------------------------------------------------------- */

static struct buffer pending;

static void deliver(size_t n)
{
	if (n > pending.len)
		n = pending.len;
	uint8_t *bytes = malloc(n ? n : 1);
	fuzz_require(bytes != NULL);
	if (n > 0)
		memcpy(bytes, pending.data, n);
	buffer_consume(&pending, n);
	wire_feed(slice_of(bytes, n));
	free(bytes);
}

static void say(const struct mqtt_packet *packet)
{
	int r = mqtt_encode(&pending, model.version, MQTT_MAX_PACKET, packet);
	(void)r; /* what cannot be said is left to step_bytes */
	if (!(take() & 1))
		deliver(SIZE_MAX);
}

static void step_connack(void)
{
	uint8_t flags = take();
	struct mqtt_packet packet = {.type = MQTT_CONNACK};
	packet.connack.session_present = flags & 1;
	if (flags & 2)
		packet.connack.reason = take();
	if (flags & 4)
		mqtt_set_number(&packet.props, MQTT_RECEIVE_MAXIMUM, (uint32_t)TAKE_OF(1, 2, 5, 65535));
	if (flags & 8)
		mqtt_set_number(&packet.props, MQTT_MAXIMUM_QOS, take() & 1);
	if (flags & 16)
		mqtt_set_number(&packet.props, MQTT_RETAIN_AVAILABLE, 0);
	if (flags & 32)
		mqtt_set_number(&packet.props, MQTT_MAXIMUM_PACKET_SIZE, (uint32_t)TAKE_OF(2, 20, 100));
	if (flags & 64)
		mqtt_set_number(&packet.props, MQTT_SERVER_KEEP_ALIVE, (uint32_t)TAKE_OF(0, 1, 60));
	if (flags & 128)
		mqtt_set_number(&packet.props, MQTT_SESSION_EXPIRY_INTERVAL, (uint32_t)TAKE_OF(0, 1000000));
	say(&packet);
}

static void step_publish(void)
{
	uint8_t flags = take();
	struct mqtt_packet packet = {.type = MQTT_PUBLISH};
	packet.publish.qos = flags & 3;
	packet.publish.dup = packet.publish.qos > 0 && flags & 4;
	packet.publish.retain = flags & 8;
	packet.publish.packet_id = packet.publish.qos > 0 ? (uint16_t)(1 + take() % 6) : 0;
	packet.publish.topic = slice_str(take_topic());
	packet.publish.payload = take_payload();
	if (flags & 16)
		mqtt_set_number(&packet.props, MQTT_MESSAGE_EXPIRY_INTERVAL, take());
	if (flags & 32)
		mqtt_set_number(&packet.props, MQTT_TOPIC_ALIAS, take());
	if (flags & 64)
		packet.props.response_topic = slice_str(take_topic());
	say(&packet);
}

/* Of one of our deliveries, or one of the broker's identifiers, or any. */
static uint16_t take_id(void)
{
	uint8_t choice = take();
	if (choice & 1)
		return model_packet_id(model.first_seq + choice / 2 % MODEL_DELIVERIES);
	return choice & 2 ? (uint16_t)(MQTT_SESSION_LAST_ID + choice / 4 % 4) : (uint16_t)(1 + choice / 4 % 6);
}

static void step_ack(void)
{
	static const enum mqtt_type types[] = {MQTT_PUBACK, MQTT_PUBREC, MQTT_PUBREL, MQTT_PUBCOMP};
	uint8_t flags = take();
	struct mqtt_packet packet = {.type = types[flags & 3]};
	packet.ack.packet_id = take_id();
	if (flags & 4)
		packet.ack.reason = (uint8_t)TAKE_OF(MQTT_NO_MATCHING_SUBSCRIBERS, MQTT_UNSPECIFIED_ERROR,
			MQTT_NOT_AUTHORIZED, MQTT_PACKET_IDENTIFIER_IN_USE, MQTT_PACKET_IDENTIFIER_NOT_FOUND,
			MQTT_QUOTA_EXCEEDED, MQTT_PAYLOAD_FORMAT_INVALID, MQTT_TOPIC_NAME_INVALID);
	if (flags & 8)
		packet.props.reason_string = slice_str("because");
	say(&packet);
}

static void step_suback(void)
{
	uint8_t flags = take(), reasons[8];
	struct mqtt_packet packet = {.type = model.unsubscribe != (bool)(flags & 1) ? MQTT_UNSUBACK : MQTT_SUBACK};
	size_t n = flags & 2 ? 1u + flags / 16 % 3 : model.n_filters;
	for (size_t i = 0; i < n && i < sizeof reasons; i++)
		reasons[i] = flags & 8 ? (uint8_t)TAKE_OF(0, 1, 2, 0x80, 0x87) : 0;
	packet.suback.packet_id = model.subscribe_id && !(flags & 4) ? model.subscribe_id : take_id();
	packet.suback.reasons = slice_of(reasons, n < sizeof reasons ? n : sizeof reasons);
	if (packet.type == MQTT_UNSUBACK && model.version == MQTT_3_1_1)
		packet.suback.reasons = slice_of(reasons, 0);
	say(&packet);
}

static void step_other_packet(void)
{
	static const enum mqtt_type types[] = {MQTT_PINGRESP, MQTT_DISCONNECT, MQTT_AUTH, MQTT_PINGREQ};
	struct mqtt_packet packet = {.type = types[take() & 3]};
	if (packet.type == MQTT_DISCONNECT && model.version == MQTT_5_0)
		packet.reason = (uint8_t)TAKE_OF(0, MQTT_SERVER_SHUTTING_DOWN, MQTT_SESSION_TAKEN_OVER,
			MQTT_SERVER_MOVED, MQTT_RECEIVE_MAXIMUM_EXCEEDED);
	say(&packet);
}

static void step_bytes(void)
{
	int r = buffer_append(&pending, take_bytes(take() % 64));
	(void)r; /* no room: they are lost on the way */
}

static void step_deliver(void)
{
	deliver(take());
}

/* A broker as it should be, up to the point where the script is to begin. */
static void step_connect_well(void)
{
	uint8_t flags = take();
	wire_connect();
	struct mqtt_packet packet = {.type = MQTT_CONNACK, .connack.session_present = flags & 1};
	int r = mqtt_encode(&pending, model.version, MQTT_MAX_PACKET, &packet);
	(void)r; /* no room */
	deliver(SIZE_MAX);
}

/* --- what network, clock, courier and journal do -------------------------------------------------------------------- */

static void step_open(void)
{
	wire_connect();
}

static void step_fail(void)
{
	buffer_clear(&pending);
	wire_fail(take() == 1);
}

static void step_kernel(void)
{
	wire_let(TAKE_OF(UINT64_MAX, 0, 1, 10, 100));
}

static void step_time(void)
{
	model_turn(TAKE_OF(1, 60, 200, 1000, 10000, 31000, 120000));
}

static void step_send(void)
{
	uint8_t flags = take();
	struct message_view view = {
		.topic = slice_str(take_topic()),
		.payload = take_payload(),
		.order_key = slice_str("k"),
		.qos = (flags & 3) % 3,
		.retain = flags & 4,
		.origin_ms = 1700000000000,
		.expires_ms = flags & 8 ? 1700000060000 : 0,
	};
	for (unsigned n = flags >> 4; n + 1 > 0; n--) {
		model_deliver(&view);
		if (n == 0)
			break;
	}
}

static void step_receipts(void)
{
	uint8_t choice = take();
	model_receipts(choice & 0x7f, choice & 0x80 ? RECEIPT_FAILED : RECEIPT_DURABLE);
}

static void step_stages(void)
{
	model_stages(take());
}

static void step_mood(void)
{
	uint8_t choice = take();
	model.busy = choice & 1;
	model.refuses = choice & 2;
	if (!model.busy)
		model_resume();
}

static void step_stop_intake(void)
{
	model_stop_intake();
}

/* A clean end of the process; what the journal was asked last is durable or not. */
static void step_restart(void)
{
	model_stop_link(take() & 1);
	buffer_clear(&pending);
	model_start_link();
}

static void (*const steps[])(void) = {step_open, step_connack, step_publish, step_ack, step_suback, step_other_packet,
	step_bytes, step_deliver, step_connect_well, step_fail, step_kernel, step_time, step_send, step_receipts,
	step_stages, step_mood, step_stop_intake, step_restart};

/* --- settings ------------------------------------------------------------------------------------------------------- */

static char address[] = "mqtt://127.0.0.1:1883", client_id[] = "fuzz", will_topic[] = "state", online[] = "online";

static struct config_text urls[] = {{.value = address}, {.value = address}};

static struct mqtt_settings take_settings(void)
{
	uint8_t flags = take();
	struct mqtt_settings settings = {
		.urls = {urls, flags & 2 ? 2 : 1},
		.client_id = client_id,
		.version = flags & 1,
		.clean_start = (flags & 6) == 6, /* rarely: little happens then */
		.session_expiry_ms = 1000000,
		.keep_alive_ms = flags & 8 ? 0 : 30000,
		.connect_timeout_ms = 10000,
		.ack_timeout_ms = 30000,
		.reconnect_min_ms = 100,
		.reconnect_max_ms = 60000,
		.receive_maximum = (int64_t)TAKE_OF(65535, 1, 3),
		.max_in_flight = (int64_t)TAKE_OF(0, 1, 3),
		.topic_alias_maximum = 4,
		.topic_aliases = 2,
		.max_packet_size = flags & 32 ? 200 : 0,
		.on_session_loss = flags & 16 ? MQTT_SESSION_LOSS_PARK : MQTT_SESSION_LOSS_RESEND,
		.hold_bytes = flags & 32 ? 1000 : 100000,
		.tls.verify = true,
	};
	if (flags & 64)
		settings.will =
			(struct mqtt_own_message){.topic = will_topic, .payload = online, .qos = 1, .retain = true};
	if (flags & 128)
		settings.birth =
			(struct mqtt_own_message){.topic = will_topic, .payload = online, .qos = 1, .retain = true};
	return settings;
}

static void no_log(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	script = slice_of(data, size);
	log_set_sink(no_log, NULL);
	buffer_init(&pending, MAX_PENDING);
	wire_init(model_sent);
	struct mqtt_settings settings = take_settings();
	uint8_t flags = take();
	/* Packet identifiers that begin again, or as usual. */
	model_begin(&settings, !(flags & 1), flags & 2 ? MQTT_SESSION_LAST_ID - 2 : 1);
	model_start_link();
	for (unsigned n = 0; n < MAX_STEPS && script.len > 0; n++) {
		steps[take() % (sizeof steps / sizeof steps[0])]();
		model_turn(0);
	}
	model_stop_link(false);
	fuzz_require(wire_left() == 0);
	model_end();
	buffer_free(&pending);
	return 0;
}
