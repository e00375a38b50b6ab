/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages as JSON lines: what is written is read back as the same bytes, and what is not a message is refused with what is
 * wrong.
 */
#include "cli/message_json.h"

#include <errno.h>
#include <stdlib.h>

#include "routing/json.h"
#include "tests/unit/tap.h"

static uint64_t seed = 88172645463325252u;

static uint64_t random_number(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

/* Text, control characters, bytes that are no UTF-8, lengths around those at which base64 pads. */
static struct slice random_bytes(uint8_t *room, size_t most)
{
	static const char *const pieces[] = {"plant/", "\"", "\\", "\n", "\x01", "\x7f", "\xc3\xa4", "\xe2\x82\xac",
		"\xf0\x9f\x98\x80", "\xff", "\xc3", "{", "\\u0000", " "};
	size_t len = 0, n = random_number(12);
	for (size_t i = 0; i < n; i++) {
		const char *piece = pieces[random_number(sizeof pieces / sizeof pieces[0])];
		if (len + strlen(piece) < most) {
			memcpy(room + len, piece, strlen(piece));
			len += strlen(piece);
		}
		if (random_number(9) == 0 && len < most)
			room[len++] = 0;
	}
	return slice_of(room, len);
}

static struct slice maybe(uint8_t *room, size_t most)
{
	return random_number(3) ? random_bytes(room, most) : (struct slice){NULL, 0};
}

struct random_message {
	uint8_t room[40][128];
	struct message_field fields[10];
	struct message_view view;
};

static void fill(struct random_message *random)
{
	size_t r = 0;
	for (size_t i = 0; i < 10; i++) {
		random->fields[i].name = random_bytes(random->room[r++], 100);
		random->fields[i].value = maybe(random->room[r++], 100);
	}
	random->view = (struct message_view){
		.topic = random_bytes(random->room[r], 100),
		.payload = maybe(random->room[r + 1], 100),
		.content_type = maybe(random->room[r + 2], 100),
		.key = maybe(random->room[r + 3], 100),
		.order_key = random_bytes(random->room[r + 4], 100),
		.response_topic = maybe(random->room[r + 5], 100),
		.correlation = maybe(random->room[r + 6], 100),
		.reject_reason = maybe(random->room[r + 7], 100),
		.headers = random->fields,
		.n_headers = random_number(6),
		.params = random->fields + 5,
		.n_params = random_number(5),
		.origin_ms = random_number(2) ? random_number(UINT64_MAX) : UINT64_MAX - random_number(2),
		.expires_ms = random_number(2) * random_number(UINT64_MAX),
		.qos = (uint8_t)random_number(3),
		.retain = random_number(2),
		.utf8_payload = random_number(2),
		.waits = random_number(2),
		.priority = (int8_t)((int)random_number(MESSAGE_MAX_PRIORITY + 1) - MESSAGE_DEFAULT_PRIORITY),
	};
}

static char *write_line(const struct message_view *view, const struct message_json *about, size_t *ret_len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);
	message_json_write(out, view, about);
	fclose(out);
	return text;
}

static bool same_bytes(const struct message_view *a, const struct message_view *b)
{
	size_t len = message_encoded_size(a);
	uint8_t *one = malloc(len), *two = malloc(len);
	bool same = message_encoded_size(b) == len;
	if (same) {
		message_encode(a, one);
		message_encode(b, two);
		same = memcmp(one, two, len) == 0;
	}
	free(one);
	free(two);
	return same;
}

static bool comes_back(const struct message_view *view)
{
	size_t len = 0;
	char wrong[200] = "";
	struct message_json about = {.destination = "lake", .seq = 7}, got;
	char *line = write_line(view, &about, &len);
	struct message *msg = NULL;
	bool good = len > 0 && line[len - 1] == '\n' && memchr(line, '\n', len) == line + len - 1;
	good = good && message_json_read(slice_of(line, len - 1), 1, &msg, &got, wrong, sizeof wrong) == 0;
	good = good && same_bytes(view, message_view(msg)) && strcmp(got.destination, "lake") == 0 && got.seq == 7 &&
	       !got.dead;
	if (!good)
		printf("# %s: %s", wrong, line);
	message_unref(msg);
	free(line);
	return good;
}

static void test_round_trip(void)
{
	struct random_message random;
	for (unsigned i = 0; i < 20000; i++) {
		fill(&random);
		if (!comes_back(&random.view)) {
			CU_FAIL("a message is another one when it comes back");
			return;
		}
	}
	CU_PASS("all came back");
}

/* A payload of control characters is not blown up six times, and a large one comes back. */
static void test_large(void)
{
	size_t len = 5u << 20, line_len = 0;
	uint8_t *bytes = malloc(len);
	memset(bytes, 1, len);
	struct message_view view = {
		.topic = slice_str("t"), .order_key = slice_str("t"), .payload = slice_of(bytes, len), .origin_ms = 5};
	char *line = write_line(&view, &(struct message_json){.seq = 0}, &line_len);
	CU_ASSERT(line_len < len / 3 * 4 + 200);
	free(line);
	CU_ASSERT(comes_back(&view));
	memset(bytes, 'x', len);
	bytes[17] = 0xff;
	CU_ASSERT(comes_back(&view));
	free(bytes);
}

static void test_letter(void)
{
	struct message_json about = {.dead = true, .reason = "no \"luck\"", .died_ms = 12, .attempts = 3}, got;
	struct message_view view = {.topic = slice_str("t"), .order_key = slice_str("t")};
	size_t len = 0;
	char wrong[200];
	char *line = write_line(&view, &about, &len);
	struct message *msg = NULL;
	CU_ASSERT_EQUAL_FATAL(message_json_read(slice_of(line, len), 1, &msg, &got, wrong, sizeof wrong), 0);
	CU_ASSERT(got.dead && got.died_ms == 12 && got.attempts == 3 && got.destination[0] == '\0');
	CU_ASSERT_STRING_EQUAL(got.reason, "no \"luck\"");
	message_unref(msg);
	free(line);
}

/* What a person leaves out. */
static void test_defaults(void)
{
	struct message_json got;
	char wrong[200];
	struct message *msg = NULL;
	CU_ASSERT_EQUAL_FATAL(
		message_json_read(slice_str(" {\"topic\": \"a/b\"} "), 77, &msg, &got, wrong, sizeof wrong), 0);
	const struct message_view *view = message_view(msg);
	CU_ASSERT(slice_equal(view->topic, slice_str("a/b")) && slice_equal(view->order_key, slice_str("a/b")));
	CU_ASSERT(!view->payload.data && !view->key.data && view->n_headers == 0 && view->qos == 0);
	CU_ASSERT_EQUAL(view->origin_ms, 77);
	message_unref(msg);
}

static void test_mistakes(void)
{
	static const struct {
		const char *line, *wrong;
	} rows[] = {
		{"", "it ends before its value does"},
		{"[]", "a message is a JSON object"},
		{"{\"topic\":\"a\"", ", or } was expected"},
		{"{\"topic\":\"a\"} {}", "something follows the JSON value"},
		{"{\"payload\":\"a\"}", "topic: a message has one"},
		{"{\"topic\":null}", "topic: a message has one"},
		{"{\"topic\":7}", "topic: is neither a string nor {\"base64\": \"…\"}"},
		{"{\"topic\":{\"base64\":\"AA\"}}", "topic: is not base64"},
		{"{\"topic\":{\"base64\":\"A===\"}}", "topic: is not base64"},
		{"{\"topic\":{\"base64\":\" AAA\"}}", "topic: is not base64"},
		{"{\"topic\":{\"base64\":\"=AAA\"}}", "topic: is not base64"},
		{"{\"topic\":{\"base64\":\"AAAA\",\"b\":1}}", "topic: has more than base64 in it"},
		{"{\"topic\":{\"hex\":\"AAAA\"}}", "topic: is neither a string nor {\"base64\": \"…\"}"},
		{"{\"topic\":\"\\ud800\"}", "topic: holds half a surrogate pair"},
		{"{\"topic\":\"a\",\"qos\":3}", "qos: is not a whole number in range"},
		{"{\"topic\":\"a\",\"qos\":-1}", "qos: is not a whole number in range"},
		{"{\"topic\":\"a\",\"qos\":\"1\"}", "qos: is not a whole number in range"},
		{"{\"topic\":\"a\",\"origin_ms\":18446744073709551616}", "origin_ms: is not a whole number in range"},
		{"{\"topic\":\"a\",\"priority\":10}", "priority: is not a whole number in range"},
		{"{\"topic\":\"a\",\"retain\":1}", "retain: is neither true nor false"},
		{"{\"topic\":\"a\",\"headers\":{}}", "headers: is not a list of [name, value]"},
		{"{\"topic\":\"a\",\"headers\":[[\"n\"]]}", "headers: is not a list of [name, value]"},
		{"{\"topic\":\"a\",\"headers\":[[null,\"v\"]]}", "headers: is not a list of [name, value]"},
		{"{\"topic\":\"a\",\"headers\":[[\"n\",\"v\",\"w\"]]}", "headers: is not a list of [name, value]"},
		{"{\"topic\":\"a\",\"headers\":[[\"n\",\"v\"]],\"headers\":[]}", "headers: is there twice"},
		{"{\"topic\":\"a\",\"params\":[],\"params\":[[\"n\",\"v\"]]}", "params: is there twice"},
		{"{\"topic\":\"a\",\"toppic\":\"b\"}", "toppic: is no member that a message has"},
		{"{\"topic\":\"a\",\"destination\":\"a\\u0000b\"}", "destination: is not the name of a destination"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct message *msg = NULL;
		struct message_json got;
		char wrong[200] = "";
		size_t len = strlen(rows[i].line);
		char *copy = malloc(len + 1); /* of the exact size: a sanitizer watches its end */
		memcpy(copy, rows[i].line, len);
		CU_ASSERT_EQUAL(message_json_read(slice_of(copy, len), 1, &msg, &got, wrong, sizeof wrong), -EINVAL);
		CU_ASSERT_STRING_EQUAL(wrong, rows[i].wrong);
		free(copy);
	}
}

static void test_walk(void)
{
	struct slice key, value;
	struct json_walk walk = json_walk(slice_str("{ \"a\" : [1, 2] , \"b\":{}}"));
	CU_ASSERT(json_walk_next(&walk, &key, &value) && slice_equal(key, slice_str("\"a\"")));
	CU_ASSERT(slice_equal(value, slice_str("[1, 2]")));
	struct json_walk inner = json_walk(value);
	CU_ASSERT(json_walk_next(&inner, &key, &value) && !key.data && slice_equal(value, slice_str("1")));
	CU_ASSERT(json_walk_next(&inner, &key, &value) && slice_equal(value, slice_str("2")));
	CU_ASSERT_FALSE(json_walk_next(&inner, &key, &value));
	CU_ASSERT(json_walk_next(&walk, &key, &value) && slice_equal(value, slice_str("{}")));
	inner = json_walk(value);
	CU_ASSERT_FALSE(json_walk_next(&inner, &key, &value));
	CU_ASSERT_FALSE(json_walk_next(&walk, &key, &value));
	CU_ASSERT_FALSE(json_walk_next(&walk, &key, &value));
}

static const struct tap_test tests[] = {
	{"random messages come back as the same bytes", test_round_trip},
	{"large payloads", test_large},
	{"a dead letter", test_letter},
	{"what may be left out", test_defaults},
	{"mistakes", test_mistakes},
	{"members and elements one by one", test_walk},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("message as JSON", tests);
}
