/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of `tests:`, and the names of what they may say. Nothing else.
 */
#include "config/sections.h"

#define TEST(member)     offsetof(struct section_test, member)
#define STEP(member)     offsetof(struct section_step, member)
#define GIVEN(member)    offsetof(struct test_given, member)
#define EXPECTED(member) offsetof(struct test_expected, member)

const char *const test_answer_names[] = {"delivered", "retry", "rejected", "unanswered", NULL}; /* enum test_answer */
const char *const test_link_names[] = {"down", "up", NULL};
const char *const test_outcome_names[] = {
	"delivered", "dead_letter", "expired", "dropped", NULL}; /* enum test_outcome */

#define LINK_HELP                                                                                                      \
	"Connection: up or down. All are up at the beginning. A source that is down holds what is given until it is "  \
	"up; a "                                                                                                       \
	"destination that is down gets nothing, and what waits for it stays in its outbox."

const struct config_key section_test_keys[] = {
	{.name = "name", .type = CONFIG_STRING, .offset = TEST(name), .required = true, .help = "Name of the test."},
	{.name = "mapping",
		.type = CONFIG_STRING,
		.offset = TEST(mapping),
		.help = "Name of the only mapping that takes part. Left out: all do."},
	{.name = "link", .type = CONFIG_MAP, .offset = TEST(link), .choices = test_link_names, .help = LINK_HELP},
	{0},
};

const struct config_key section_step_keys[] = {
	{.name = "link", .type = CONFIG_MAP, .offset = STEP(link), .choices = test_link_names, .help = LINK_HELP},
	{.name = "wait",
		.type = CONFIG_DURATION,
		.offset = STEP(wait_ms),
		.min = 1,
		.max = INT64_C(366) * 24 * 3600 * 1000,
		.help = "So much time passes. It is simulated; every test begins at 2026-01-01 00:00:00 UTC."},
	{.name = "restart",
		.type = CONFIG_BOOL,
		.offset = STEP(restart),
		.help = "true: linkspan dies without a word and starts again on the same disk."},
	{0},
};

const struct config_key section_given_keys[] = {
	{.name = "connection",
		.type = CONFIG_STRING,
		.offset = GIVEN(connection),
		.help = "Name of the connection that it comes from. Left out: the one that is read from there, or the "
			"only "
			"one whose mappings take that topic."},
	{.name = "topic",
		.type = CONFIG_STRING,
		.offset = GIVEN(topic),
		.required = true,
		.help = "Topic or path, as it is received."},
	{.name = "payload",
		.type = CONFIG_STRING,
		.offset = GIVEN(payload),
		.help = "Text. Left out: an empty payload."},
	{.name = "payload_base64",
		.type = CONFIG_STRING,
		.offset = GIVEN(payload_base64),
		.help = "The payload's bytes in base64, instead of payload."},
	{.name = "null_payload",
		.type = CONFIG_BOOL,
		.offset = GIVEN(null_payload),
		.fallback = "false",
		.help = "It has none: a tombstone of Kafka."},
	{.name = "key", .type = CONFIG_STRING, .offset = GIVEN(key), .help = "Key of a Kafka record."},
	{.name = "content_type", .type = CONFIG_STRING, .offset = GIVEN(content_type), .help = "Its content type."},
	{.name = "headers",
		.type = CONFIG_MAP,
		.offset = GIVEN(headers),
		.help = "Headers (in MQTT user properties), name: text."},
	{.name = "qos",
		.type = CONFIG_INT,
		.offset = GIVEN(qos),
		.fallback = "1",
		.min = 0,
		.max = 2,
		.help = "Quality of service that it is published with; what is subscribed to lowers it, as a broker "
			"does."},
	{.name = "retain",
		.type = CONFIG_BOOL,
		.offset = GIVEN(retain),
		.fallback = "false",
		.help = "It has the retain flag."},
	{.name = "expires_in",
		.type = CONFIG_DURATION,
		.offset = GIVEN(expires_in_ms),
		.fallback = "0",
		.max = INT64_MAX,
		.help = "Message expiry interval of MQTT 5, from when it comes in; 0: never."},
	{0},
};

const struct config_key section_expected_keys[] = {
	{.name = "connection",
		.type = CONFIG_STRING,
		.offset = EXPECTED(connection),
		.help = "Name of the destination. Left out: the only one there is."},
	{.name = "payload",
		.type = CONFIG_STRING,
		.offset = EXPECTED(payload),
		.help = "Text. When this and what arrives are both JSON they are compared as JSON: spaces, and the "
			"order of "
			"keys in an object, make no difference; else as bytes."},
	{.name = "payload_base64",
		.type = CONFIG_STRING,
		.offset = EXPECTED(payload_base64),
		.help = "The payload's bytes in base64."},
	{.name = "null_payload",
		.type = CONFIG_BOOL,
		.offset = EXPECTED(null_payload),
		.help = "true: a null payload (a tombstone of Kafka, a value that is removed); false: none."},
	{.name = "key",
		.type = CONFIG_STRING,
		.offset = EXPECTED(key),
		.nullable = true,
		.help = "Its key; null: it has none."},
	{.name = "content_type",
		.type = CONFIG_STRING,
		.offset = EXPECTED(content_type),
		.nullable = true,
		.help = "Its content type; null: it has none."},
	{.name = "headers",
		.type = CONFIG_MAP,
		.offset = EXPECTED(headers),
		.nullable = true,
		.help = "Headers that it has, name: text, or has not, name: null; others are not looked at."},
	{.name = "qos",
		.type = CONFIG_INT,
		.offset = EXPECTED(qos),
		.min = 0,
		.max = 2,
		.help = "Quality of service that it is sent with."},
	{.name = "retain", .type = CONFIG_BOOL, .offset = EXPECTED(retain), .help = "Is it sent with the retain flag?"},
	{.name = "outcome",
		.type = CONFIG_ENUM,
		.offset = EXPECTED(outcome),
		.fallback = "delivered",
		.choices = test_outcome_names,
		.help = "What has become of it there: delivered; dead_letter: it stands among the dead letters, with a "
			"reason; expired, by a ttl or its own wish; dropped, by when_full. Each kind has an order of "
			"its "
			"own."},
	{.name = "reason",
		.type = CONFIG_STRING,
		.offset = EXPECTED(reason),
		.help = "Words of the reason that a dead letter has."},
	{0},
};

const char *const section_test_elsewhere[] = {"answer", "given", "expect", "steps", NULL};
const char *const section_step_elsewhere[] = {"answer", "given", "expect", NULL};
