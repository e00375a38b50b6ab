/* SPDX-License-Identifier: Apache-2.0
 *
 * A row of the table writes a field as a header and reads it back; a value that it does not read is no header of the table.
 */
#include "connectors/kafka/headers.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "message/markers.h"
#include "message/utf8.h"
#include "routing/arena.h"
#include "routing/header_text.h"
#include "routing/topic_filter.h"

#define USER_PREFIX     "mqtt-user-" /* of a header that a user property has given */
#define USER_PREFIX_LEN (sizeof USER_PREFIX - 1)
#define NUMBER_SIZE     24

/* What a row writes from and reads into. */
struct writing {
	const struct message_view *view;
	uint64_t timestamp_ms;
	char number[NUMBER_SIZE];
};

struct row {
	const char *header, *property, *to_kafka, *from_kafka; /* the last three for people */
	int needs; /* enum kafka_mqtt_headers */
	struct slice (*write)(struct writing *writing); /* absent: not there */
	bool (*read)(struct slice value, uint64_t timestamp_ms, struct message_view *view); /* false: does not fit */
};

/* --- the rows ------------------------------------------------------------------------------------------------------- */

static bool is_text(struct slice value)
{
	return value.data && utf8_valid(value) && (value.len == 0 || !memchr(value.data, 0, value.len));
}

/* The first one counts. */
static bool take(struct slice *field, struct slice value)
{
	if (field->data)
		return false;
	*field = value;
	return true;
}

static struct slice write_content_type(struct writing *writing)
{
	return writing->view->content_type;
}

static bool read_content_type(struct slice value, uint64_t timestamp_ms, struct message_view *view)
{
	(void)timestamp_ms;
	return is_text(value) && take(&view->content_type, value);
}

static struct slice write_response_topic(struct writing *writing)
{
	return writing->view->response_topic;
}

static bool read_response_topic(struct slice value, uint64_t timestamp_ms, struct message_view *view)
{
	(void)timestamp_ms;
	return value.data && !topic_name_check(value) && take(&view->response_topic, value);
}

static struct slice write_correlation(struct writing *writing)
{
	return writing->view->correlation;
}

static bool read_correlation(struct slice value, uint64_t timestamp_ms, struct message_view *view)
{
	(void)timestamp_ms;
	return value.data && take(&view->correlation, value);
}

static struct slice write_flag(bool flag)
{
	return flag ? slice_str("1") : (struct slice){NULL, 0};
}

static bool read_flag(struct slice value, bool *flag)
{
	if (*flag || !slice_equal(value, slice_str("1")))
		return false;
	*flag = true;
	return true;
}

static struct slice write_format(struct writing *writing)
{
	return write_flag(writing->view->utf8_payload);
}

static bool read_format(struct slice value, uint64_t timestamp_ms, struct message_view *view)
{
	(void)timestamp_ms;
	return read_flag(value, &view->utf8_payload);
}

/* Whole seconds, as in MQTT; what is left of one counts as one. */
static struct slice write_expiry(struct writing *writing)
{
	uint64_t end_ms = writing->view->expires_ms, seconds = 0;
	if (end_ms == 0)
		return (struct slice){NULL, 0};
	if (end_ms > writing->timestamp_ms)
		seconds = (end_ms - writing->timestamp_ms + 999) / 1000;
	if (seconds > UINT32_MAX)
		seconds = UINT32_MAX;
	int len = snprintf(writing->number, sizeof writing->number, "%llu", (unsigned long long)seconds);
	return slice_of(writing->number, (size_t)len);
}

static bool read_expiry(struct slice value, uint64_t timestamp_ms, struct message_view *view)
{
	uint64_t seconds = 0;
	if (view->expires_ms || value.len == 0 || value.len > 10)
		return false;
	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return false;
		seconds = seconds * 10 + (uint64_t)(value.data[i] - '0');
	}
	if (seconds > UINT32_MAX || (value.data[0] == '0' && value.len > 1))
		return false;
	view->expires_ms = timestamp_ms + seconds * 1000;
	if (view->expires_ms == 0)
		view->expires_ms = 1; /* 0 is never */
	return true;
}

static struct slice write_retain(struct writing *writing)
{
	return write_flag(writing->view->retain);
}

static bool read_retain(struct slice value, uint64_t timestamp_ms, struct message_view *view)
{
	(void)timestamp_ms;
	return read_flag(value, &view->retain);
}

static struct slice write_qos(struct writing *writing)
{
	int len = snprintf(writing->number, sizeof writing->number, "%d", writing->view->qos);
	return slice_of(writing->number, (size_t)len);
}

/* A record must not be sent with less than its mapping says, whatever it says of itself. */
static bool read_qos(struct slice value, uint64_t timestamp_ms, struct message_view *view)
{
	(void)timestamp_ms, (void)view;
	return value.len == 1 && value.data[0] >= '0' && value.data[0] <= '2';
}

static const struct row rows[] = {
	{.header = "content-type",
		.property = "Content Type",
		.to_kafka = "as it is",
		.from_kafka = "if it is UTF-8",
		.needs = KAFKA_MQTT_HEADERS_NONE,
		.write = write_content_type,
		.read = read_content_type},
	{.header = "mqtt-response-topic",
		.property = "Response Topic",
		.to_kafka = "as it is",
		.from_kafka = "if it is a topic",
		.needs = KAFKA_MQTT_HEADERS_PROPERTIES,
		.write = write_response_topic,
		.read = read_response_topic},
	{.header = "mqtt-correlation-data",
		.property = "Correlation Data",
		.to_kafka = "the bytes",
		.from_kafka = "any bytes",
		.needs = KAFKA_MQTT_HEADERS_PROPERTIES,
		.write = write_correlation,
		.read = read_correlation},
	{.header = "mqtt-payload-format",
		.property = "Payload Format Indicator",
		.to_kafka = "`1` for UTF-8, else no header",
		.from_kafka = "`1`",
		.needs = KAFKA_MQTT_HEADERS_PROPERTIES,
		.write = write_format,
		.read = read_format},
	{.header = "mqtt-message-expiry-interval",
		.property = "Message Expiry Interval",
		.to_kafka = "seconds from the record's timestamp on, so it says the same however long the record lies "
			    "there",
		.from_kafka = "0 to 4294967295 seconds from the record's timestamp on; sent reduced by what has passed",
		.needs = KAFKA_MQTT_HEADERS_PROPERTIES,
		.write = write_expiry,
		.read = read_expiry},
	{.header = "mqtt-retain",
		.property = "the RETAIN flag",
		.to_kafka = "`1` if it is set, else no header",
		.from_kafka = "`1`",
		.needs = KAFKA_MQTT_HEADERS_PROPERTIES,
		.write = write_retain,
		.read = read_retain},
	{.header = "mqtt-qos",
		.property = "the QoS",
		.to_kafka = "`0`, `1` or `2`",
		.from_kafka = "taken out and not used: the mapping says with which QoS is sent",
		.needs = KAFKA_MQTT_HEADERS_ALL,
		.write = write_qos,
		.read = read_qos},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static const char *const needs_names[] = {"always", "`properties`, `all`", "`all`"};

/* In any case: `Content-Type` is what many write. */
static bool is_name(const char *header, struct slice name)
{
	return strlen(header) == name.len && strncasecmp(header, (const char *)name.data, name.len) == 0;
}

static const struct row *find_row(int mqtt_headers, struct slice name)
{
	if (name.len == 0 || !strchr("mMcC", name.data[0]))
		return NULL;
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].needs <= mqtt_headers && is_name(rows[i].header, name))
			return &rows[i];
	return NULL;
}

/* --- names that only look like the table's --------------------------------------------------------------------------- */

static bool has_prefix(struct slice name)
{
	return name.len >= USER_PREFIX_LEN && memcmp(name.data, USER_PREFIX, USER_PREFIX_LEN) == 0;
}

static struct slice without_prefix(struct slice name)
{
	return slice_of(name.data + USER_PREFIX_LEN, name.len - USER_PREFIX_LEN);
}

/* Has it a name of the table, but for prefixes that it has already? Those stand for as many user properties of user
 * properties, so one more can always be told. Whatever its value is: a header of such a name in what is sent can then only be
 * one that the mapping has set. */
static bool looks_like_field(int mqtt_headers, struct slice name)
{
	while (has_prefix(name))
		name = without_prefix(name);
	return find_row(mqtt_headers, name) != NULL;
}

int kafka_headers_fit(
	int mqtt_headers, const struct message_field *field, struct arena *arena, struct message_field *ret_field)
{
	int err = header_text_decode(field, arena, ret_field);
	if (err || !looks_like_field(mqtt_headers, ret_field->name))
		return err;
	struct slice name = ret_field->name;
	char *marked = arena_alloc(arena, USER_PREFIX_LEN + name.len);
	if (!marked)
		return -ENOMEM;
	memcpy(marked, USER_PREFIX, USER_PREFIX_LEN);
	memcpy(marked + USER_PREFIX_LEN, name.data, name.len);
	ret_field->name = slice_of(marked, USER_PREFIX_LEN + name.len);
	return 0;
}

/* --- there and back ---------------------------------------------------------------------------------------------------- */

static bool is_set(const struct message_view *view, const char *name)
{
	for (size_t i = 0; i < view->n_headers; i++)
		if (is_name(name, view->headers[i].name))
			return true;
	return false;
}

static void add(rd_kafka_headers_t **headers, const struct message_view *view, struct slice name, struct slice value)
{
	if (!*headers)
		*headers = rd_kafka_headers_new(view->n_headers + N_ROWS + 1);
	rd_kafka_header_add(*headers, (const char *)name.data, (ssize_t)name.len, value.data, (ssize_t)value.len);
}

/* A header that the mapping sets itself stands for the field. */
rd_kafka_headers_t *kafka_headers_make(
	int mqtt_headers, const struct message_view *view, uint64_t timestamp_ms, uint64_t wall_ms)
{
	rd_kafka_headers_t *headers = NULL;
	struct writing writing = {.view = view, .timestamp_ms = timestamp_ms};
	for (size_t i = 0; i < view->n_headers; i++)
		add(&headers, view, view->headers[i].name, view->headers[i].value);
	for (size_t i = 0; i < N_ROWS; i++) {
		struct slice value = rows[i].needs <= mqtt_headers ? rows[i].write(&writing) : (struct slice){NULL, 0};
		if (value.data && !is_set(view, rows[i].header))
			add(&headers, view, slice_str(rows[i].header), value);
	}
	if (view->waits) {
		char text[MARKERS_WAITED_SIZE];
		struct message_field waited = markers_waited(view, wall_ms, text);
		add(&headers, view, waited.name, waited.value);
	}
	return headers;
}

size_t kafka_headers_read(
	int mqtt_headers, struct message_field *headers, size_t n, uint64_t timestamp_ms, struct message_view *view)
{
	size_t left = 0;
	for (size_t i = 0; i < n; i++) {
		struct message_field field = headers[i];
		const struct row *row = find_row(mqtt_headers, field.name);
		if (row && row->read(field.value, timestamp_ms, view))
			continue;
		if (has_prefix(field.name) && looks_like_field(mqtt_headers, field.name))
			field.name = without_prefix(field.name);
		headers[left++] = field;
	}
	return left;
}

void kafka_headers_write_reference(FILE *out)
{
	fputs("\nFields of a message and headers of a record (`mqtt_headers` says which of them):\n\n"
	      "| header | in MQTT 5 | with | written | read |\n| --- | --- | --- | --- | --- |\n",
		out);
	for (size_t i = 0; i < N_ROWS; i++)
		fprintf(out, "| `%s` | %s | %s | %s | %s |\n", rows[i].header, rows[i].property,
			needs_names[rows[i].needs], rows[i].to_kafka, rows[i].from_kafka);
	fputs("| `" USER_PREFIX
	      "` and any of these names | a User Property of that name | as that name | the value | the value |\n"
	      "| any other | User Property | always | name and value, in order | name and value, in order; see "
	      "`" HEADER_TEXT_BASE64 "` and `" HEADER_TEXT_NULL "` below |\n"
	      "\n"
	      "Names of the table are read in any case. A header that is read but does not fit (a second one of a "
	      "name, or another value) is a User Property "
	      "like "
	      "any other.\n"
	      "MQTT carries text alone, so a header whose value is not UTF-8 becomes the User Property "
	      "`" HEADER_TEXT_BASE64 "` with its\n"
	      "name and the value in base64, and one whose value is null `" HEADER_TEXT_NULL
	      "` with its name and no value; written to\n"
	      "Kafka, such a User Property becomes the header that it stands for. A header whose name is not UTF-8 "
	      "makes "
	      "the\n"
	      "message a dead letter where it goes to MQTT.\n",
		out);
}
