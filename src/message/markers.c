/* SPDX-License-Identifier: Apache-2.0
 *
 * Text only. What is received under a marker's name is never taken for one of ours, but for a time of the right form.
 */
#include "message/markers.h"

#include <stdio.h>

static const char *const names[MARKERS_MOST] = {
	MARKER_ORIGIN_TIME, MARKER_SOURCE, MARKER_STREAM, MARKER_SEQUENCE, MARKER_WAITED};

static bool is_marker(struct slice name)
{
	for (size_t i = 0; i < MARKERS_MOST; i++)
		if (slice_equal(name, slice_str(names[i])))
			return true;
	return false;
}

static void put_digits(char *out, unsigned n, uint64_t value)
{
	for (; n; n--, value /= 10)
		out[n - 1] = (char)('0' + value % 10);
}

/* Of a day since 1970: years begin in March here, so that a leap day is the last one, and an era of 400 of them has
 * 146,097 days (Howard Hinnant, chrono-Compatible Low-Level Date Algorithms). gmtime would do, more slowly. */
static void put_date(char *out, uint64_t days)
{
	uint64_t shifted = days + 719468, era = shifted / 146097, day = shifted % 146097;
	uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	uint64_t day_of_year = day - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * day_of_year + 2) / 153;
	put_digits(out, 4, year + era * 400 + (month >= 10));
	put_digits(out + 5, 2, month < 10 ? month + 3 : month - 9);
	put_digits(out + 8, 2, day_of_year - (153 * month + 2) / 5 + 1);
}

void markers_time(uint64_t wall_ms, char ret_text[MARKERS_TIME_LEN + 1])
{
	static const uint64_t last_ms = 253402300799999; /* of the year 9999 */
	uint64_t ms = wall_ms < last_ms ? wall_ms : last_ms, seconds = ms / 1000 % 86400;
	memcpy(ret_text, "0000-00-00T00:00:00.000Z", MARKERS_TIME_LEN + 1);
	put_date(ret_text, ms / 86400000);
	put_digits(ret_text + 11, 2, seconds / 3600);
	put_digits(ret_text + 14, 2, seconds / 60 % 60);
	put_digits(ret_text + 17, 2, seconds % 60);
	put_digits(ret_text + 20, 3, ms % 1000);
}

static bool is_time(struct slice text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
	if (text.len != MARKERS_TIME_LEN)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (form[i] == 'd' ? text.data[i] < '0' || text.data[i] > '9' : text.data[i] != (uint8_t)form[i])
			return false;
	return true;
}

struct slice markers_received_time(const struct message_view *view)
{
	struct slice name = slice_str(MARKER_ORIGIN_TIME);
	for (size_t i = 0; i < view->n_headers; i++)
		if (slice_equal(view->headers[i].name, name) && is_time(view->headers[i].value))
			return view->headers[i].value;
	return (struct slice){NULL, 0};
}

bool markers_write(struct message_view *view, const struct markers *markers, struct message_field *headers)
{
	struct message_view marked = *view;
	size_t n = 0;
	if (view->n_headers + MARKERS_MOST > MESSAGE_MAX_FIELDS)
		return false;
	for (size_t i = 0; i < view->n_headers; i++)
		if (!is_marker(view->headers[i].name))
			headers[n++] = view->headers[i];
	headers[n++] = (struct message_field){slice_str(MARKER_ORIGIN_TIME), markers->origin_time};
	headers[n++] = (struct message_field){slice_str(MARKER_SOURCE), markers->source};
	if (markers->sequence.data) {
		headers[n++] = (struct message_field){slice_str(MARKER_STREAM), markers->stream};
		headers[n++] = (struct message_field){slice_str(MARKER_SEQUENCE), markers->sequence};
	}
	marked.headers = headers;
	marked.n_headers = n;
	marked.waits = true;
	if (message_encoded_size(&marked) == 0)
		return false;
	*view = marked;
	return true;
}

struct message_field markers_waited(const struct message_view *view, uint64_t wall_ms, char text[MARKERS_WAITED_SIZE])
{
	uint64_t waited_ms = wall_ms > view->origin_ms ? wall_ms - view->origin_ms : 0;
	snprintf(text, MARKERS_WAITED_SIZE, "%llu", (unsigned long long)waited_ms);
	return (struct message_field){slice_str(MARKER_WAITED), slice_str(text)};
}
