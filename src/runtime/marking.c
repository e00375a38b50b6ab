/* SPDX-License-Identifier: Apache-2.0
 *
 * The name of a stream is a hash keyed by the data folder's uuid: two linkspans never number the same stream, and a data
 * folder that is begun anew begins new ones.
 */
#include "runtime/marking.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "message/endian.h"
#include "message/markers.h"
#include "message/siphash.h"
#include "runtime/endpoint.h"
#include "runtime/log.h"

#define PARTS 5

/* The texts of one output, in the arena. */
struct texts {
	uint8_t stream[JOURNAL_STREAM_LEN];
	char stream_text[2 * JOURNAL_STREAM_LEN + 1];
	char sequence[21];
};

void marking_free(struct marking *marking)
{
	arena_free(&marking->arena);
	free(marking->changes);
	*marking = (struct marking){.n_changes = 0};
}

static int reserve_changes(struct marking *marking, size_t more)
{
	size_t capacity = marking->capacity ? marking->capacity : 8;
	while (capacity < marking->n_changes + more)
		capacity *= 2;
	if (capacity == marking->capacity)
		return 0;
	struct journal_change *changes = realloc(marking->changes, capacity * sizeof *changes);
	if (!changes)
		return -ENOMEM;
	marking->changes = changes;
	marking->capacity = capacity;
	return 0;
}

static void write_hex(const uint8_t stream[JOURNAL_STREAM_LEN], char ret_text[2 * JOURNAL_STREAM_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < JOURNAL_STREAM_LEN; i++) {
		*ret_text++ = digits[stream[i] >> 4];
		*ret_text++ = digits[stream[i] & 15];
	}
	*ret_text = '\0';
}

/* Each part with its length before it, so that no two lists of parts look the same. */
static int name_stream(
	struct marking *marking, const struct endpoint *end, const struct route_output *output, struct texts *texts)
{
	const struct config *config = end->bridge->config;
	const char *mapping = config->mappings[output->mapping].name;
	const struct slice parts[PARTS] = {slice_str(end->config->name), slice_str(mapping ? mapping : ""),
		slice_str(config->connections[output->connection].name), output->view.topic, output->view.order_key};
	size_t len = 0, at = 0;
	for (size_t i = 0; i < PARTS; i++)
		len += 4 + parts[i].len;
	uint8_t *bytes = arena_alloc(&marking->arena, len);
	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i < PARTS; at += 4 + parts[i].len, i++) {
		put_u32(bytes + at, (uint32_t)parts[i].len);
		if (parts[i].len)
			memcpy(bytes + at + 4, parts[i].data, parts[i].len);
	}
	siphash(journal_uuid(end->bridge->journal), slice_of(bytes, len), texts->stream);
	write_hex(texts->stream, texts->stream_text);
	return 0;
}

/* The change by which the offer numbers that stream already; the outputs of a transform come one after the other. */
static struct journal_change *find_change(const struct marking *marking, const uint8_t *stream)
{
	for (size_t i = marking->n_changes; i > 0; i--)
		if (memcmp(marking->changes[i - 1].blob.data, stream, JOURNAL_STREAM_LEN) == 0)
			return &marking->changes[i - 1];
	return NULL;
}

static bool last_number(
	const struct marking *marking, const struct endpoint *end, const uint8_t *stream, uint64_t *ret_last)
{
	const struct journal_change *change = find_change(marking, stream);
	if (!change)
		return journal_sequence(end->bridge->journal, stream, ret_last);
	*ret_last = change->position;
	return true;
}

static void give_number(struct marking *marking, const uint8_t *stream, uint64_t number)
{
	struct journal_change *change = find_change(marking, stream);
	if (!change) {
		change = &marking->changes[marking->n_changes++];
		*change =
			(struct journal_change){.type = JOURNAL_SEQUENCE, .blob = slice_of(stream, JOURNAL_STREAM_LEN)};
	}
	change->position = number;
}

static void go_unnumbered(struct marking *marking, const struct endpoint *end, const char *mapping, const char *why)
{
	marking->n_unnumbered++;
	if (!marking->told_unnumbered)
		log_warn("messages_unnumbered",
			"connection=%s mapping=\"%s\" streams=%zu reason=\"%s\" what=\"they go out without "
			"linkspan-sequence: who reads them cannot tell whether one is missing\"",
			end->config->name, mapping, journal_sequences(end->bridge->journal), why);
	marking->told_unnumbered = true;
}

static int mark(
	struct marking *marking, const struct endpoint *end, struct slice origin_time, struct route_output *output)
{
	struct message_view *view = &output->view;
	const char *mapping = end->bridge->config->mappings[output->mapping].name;
	struct texts *texts = arena_alloc(&marking->arena, sizeof *texts);
	struct message_field *headers =
		arena_alloc(&marking->arena, (view->n_headers + MARKERS_MOST) * sizeof *headers);
	int r = texts && headers ? reserve_changes(marking, 1) : -ENOMEM;
	if (r == 0)
		r = name_stream(marking, end, output, texts);
	if (r < 0)
		return r;
	uint64_t last;
	struct markers markers = {.origin_time = origin_time, .source = slice_str(end->config->name)};
	bool numbered = last_number(marking, end, texts->stream, &last);
	if (numbered) {
		snprintf(texts->sequence, sizeof texts->sequence, "%llu", (unsigned long long)last + 1);
		markers.stream = slice_str(texts->stream_text);
		markers.sequence = slice_str(texts->sequence);
	}
	if (!markers_write(view, &markers, headers))
		go_unnumbered(marking, end, mapping, "the message has no room for more headers");
	else if (!numbered)
		go_unnumbered(marking, end, mapping, "there are too many streams; raise journal.max_sequences");
	else
		give_number(marking, texts->stream, last + 1);
	return 0;
}

/* Of the message as it was received: the same for all that it becomes. */
static struct slice origin_time_of(struct marking *marking, const struct message_view *view)
{
	struct slice received = markers_received_time(view);
	char *text = received.data ? NULL : arena_alloc(&marking->arena, MARKERS_TIME_LEN + 1);
	if (!text)
		return received;
	markers_time(view->origin_ms, text);
	return slice_str(text);
}

int marking_run(struct marking *marking, const struct endpoint *end, const struct route_result *routed)
{
	marking->n_changes = marking->n_unnumbered = 0;
	if (routed->n_marked == 0)
		return 0;
	arena_reset(&marking->arena);
	int r = 0;
	struct slice origin_time = {NULL, 0};
	size_t input = 0; /* that it is of */
	for (size_t i = 0; r == 0 && i < routed->n_outputs; i++) {
		struct route_output *output = &routed->outputs[i];
		if (!output->marked)
			continue;
		if (!origin_time.data || output->input != input)
			origin_time = origin_time_of(marking, &output->view);
		input = output->input;
		r = origin_time.data ? mark(marking, end, origin_time, output) : -ENOMEM;
	}
	if (r < 0)
		marking->n_changes = 0;
	return r;
}

int marking_changes(struct marking *marking, const struct journal_change *others, size_t n_others,
	const struct journal_change **ret_changes, size_t *ret_n)
{
	*ret_n = marking->n_changes + n_others;
	*ret_changes = marking->n_changes ? marking->changes : others;
	if (marking->n_changes == 0 || n_others == 0)
		return 0;
	int r = reserve_changes(marking, n_others);
	if (r < 0)
		return r;
	memcpy(marking->changes + marking->n_changes, others, n_others * sizeof *others);
	*ret_changes = marking->changes;
	return 0;
}
