/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of a message that stands for several is one line of numbers in a param; the values of a list are its payload, one
 * to a line with its seq before it.
 */
#include "connectors/aggregate/partial.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE_BYTES  (256u + SUM_PARTS * 32u)
#define NUMBER_BYTES 32u

struct partial *partial_new(struct slice key, uint64_t hash)
{
	struct partial *partial = calloc(1, sizeof *partial);
	if (!partial)
		return NULL;
	partial->key = malloc(key.len + 1);
	if (!partial->key) {
		free(partial);
		return NULL;
	}
	if (key.len)
		memcpy(partial->key, key.data, key.len);
	partial->key_len = key.len;
	partial->hash = hash;
	partial->bytes = sizeof *partial + key.len;
	return partial;
}

void partial_free(struct partial *partial)
{
	if (!partial)
		return;
	for (size_t i = 0; i < partial->n_items; i++)
		free(partial->items[i].text);
	free(partial->items);
	free(partial->seqs);
	free(partial->key);
	message_unref(partial->last);
	free(partial);
}

/* --- what comes --------------------------------------------------------------------------------------------------- */

/* One message, or several. */
struct addition {
	uint64_t count, last_seq;
	double min, max;
	struct sum sum;
	uint8_t qos;
	struct partial_frame frame;
};

static bool read_number(const char **at, double *ret_number)
{
	char *end;
	*ret_number = strtod(*at, &end);
	bool good = end != *at && isfinite(*ret_number);
	*at = end;
	return good;
}

static bool read_u64(const char **at, uint64_t *ret_value)
{
	char *end;
	errno = 0;
	*ret_value = strtoull(*at, &end, 10);
	bool good = end != *at && errno == 0;
	*at = end;
	return good;
}

/* The file may ask for other results now. */
static bool knows_all(unsigned bits, unsigned written_for)
{
	bool same_payload = (bits & 1u << AGGREGATE_LIST) == (written_for & 1u << AGGREGATE_LIST);
	return same_payload && (!(bits & AGGREGATE_OF_NUMBERS) || written_for & AGGREGATE_OF_NUMBERS);
}

static bool read_state(unsigned bits, struct slice state, struct addition *ret)
{
	char text[STATE_BYTES];
	uint64_t qos = 0, n_parts = 0, written_for = 0;
	double shift = 0;
	const char *at = text;
	if (state.len == 0 || state.len >= sizeof text)
		return false;
	memcpy(text, state.data, state.len);
	text[state.len] = '\0';
	*ret = (struct addition){.count = 0};
	bool good = read_u64(&at, &written_for) && knows_all(bits, (unsigned)written_for) &&
		    read_u64(&at, &ret->frame.end_ms) && read_number(&at, &shift) && read_u64(&at, &ret->count) &&
		    read_u64(&at, &ret->last_seq) && read_u64(&at, &qos) && read_number(&at, &ret->min) &&
		    read_number(&at, &ret->max) && read_u64(&at, &n_parts) && n_parts <= SUM_PARTS;
	for (unsigned i = 0; good && i < n_parts; i++)
		good = read_number(&at, &ret->sum.parts[i]);
	ret->sum.n = good ? (unsigned)n_parts : 0;
	ret->sum.too_large = good && *at == '!';
	ret->frame.shift_ms = good ? (int64_t)shift : 0;
	ret->qos = qos <= 2 ? (uint8_t)qos : 2;
	return good && ret->count > 0;
}

bool partial_read_frame(unsigned bits, struct slice state, struct partial_frame *ret_frame)
{
	struct addition addition;
	if (!read_state(bits, state, &addition))
		return false;
	*ret_frame = addition.frame;
	return true;
}

static bool read_value(struct slice payload, double *ret_number)
{
	char text[512];
	const char *at = text;
	if (payload.len == 0 || payload.len >= sizeof text)
		return false;
	memcpy(text, payload.data, payload.len);
	text[payload.len] = '\0';
	return read_number(&at, ret_number) && !*at;
}

static int reserve(void **items, size_t *capacity, size_t n, size_t size)
{
	if (n <= *capacity)
		return 0;
	size_t wanted = *capacity ? *capacity : 4;
	while (wanted < n)
		wanted *= 2;
	void *grown = realloc(*items, wanted * size);
	if (!grown)
		return -ENOMEM;
	*items = grown;
	*capacity = wanted;
	return 0;
}

static int add_item(struct partial *partial, uint64_t seq, struct slice text)
{
	void *items = partial->items;
	int r = reserve(&items, &partial->items_capacity, partial->n_items + 1, sizeof *partial->items);
	partial->items = items;
	char *copy = r == 0 ? malloc(text.len + 1) : NULL;
	if (!copy)
		return -ENOMEM;
	if (text.len)
		memcpy(copy, text.data, text.len);
	partial->items[partial->n_items++] = (struct partial_item){seq, text.len, copy};
	partial->bytes += text.len + sizeof *partial->items;
	return 0;
}

static int add_lines(struct partial *partial, struct slice lines)
{
	int r = 0;
	while (r == 0 && lines.len) {
		const uint8_t *end = memchr(lines.data, '\n', lines.len), *blank = memchr(lines.data, ' ', lines.len);
		if (!end || !blank || blank > end || blank == lines.data)
			return -EINVAL;
		uint64_t seq = 0;
		for (const uint8_t *digit = lines.data; digit < blank; digit++)
			seq = seq * 10 + (uint64_t)(*digit - '0');
		r = add_item(partial, seq, slice_of(blank + 1, (size_t)(end - blank - 1)));
		lines = slice_of(end + 1, lines.len - (size_t)(end + 1 - lines.data));
	}
	return r;
}

static void drop_items(struct partial *partial, size_t n)
{
	while (partial->n_items > n) {
		struct partial_item *item = &partial->items[--partial->n_items];
		partial->bytes -= item->len + sizeof *item;
		free(item->text);
	}
}

static int add_values(
	struct partial *partial, unsigned bits, const struct addition *addition, bool several, struct slice payload)
{
	size_t before = partial->n_items;
	int r = 0;
	if (bits & 1u << AGGREGATE_LIST)
		r = several ? add_lines(partial, payload) : add_item(partial, addition->last_seq, payload);
	if (r < 0)
		drop_items(partial, before);
	return r;
}

static void merge(struct partial *partial, const struct addition *addition)
{
	if (partial->count == 0 || addition->min < partial->min)
		partial->min = addition->min;
	if (partial->count == 0 || addition->max > partial->max)
		partial->max = addition->max;
	for (unsigned i = 0; i < addition->sum.n; i++)
		sum_add(&partial->sum, addition->sum.parts[i]);
	partial->sum.too_large |= addition->sum.too_large;
	partial->count += addition->count;
	if (addition->qos > partial->qos)
		partial->qos = addition->qos;
}

int partial_add(struct partial *partial, unsigned bits, uint64_t seq, struct message *msg, struct slice state)
{
	const struct message_view *view = message_view(msg);
	struct addition addition = {.count = 1, .last_seq = seq, .qos = view->qos};
	if (state.data && !read_state(bits, state, &addition))
		return -EINVAL;
	if (!state.data && bits & AGGREGATE_OF_NUMBERS) {
		if (!read_value(view->payload, &addition.min))
			return -EINVAL;
		addition.max = addition.min;
		sum_add(&addition.sum, addition.min);
	}
	void *seqs = partial->seqs;
	int r = reserve(&seqs, &partial->seqs_capacity, partial->n_seqs + 1, sizeof *partial->seqs);
	partial->seqs = seqs;
	bool newest = !partial->last || addition.last_seq > partial->last_seq;
	struct message *last = r == 0 && newest ? message_keep(msg) : NULL;
	if (r < 0 || (newest && !last))
		return -ENOMEM;
	r = add_values(partial, bits, &addition, state.data != NULL, view->payload);
	if (r < 0) {
		message_unref(last);
		return r;
	}
	merge(partial, &addition);
	partial->seqs[partial->n_seqs++] = seq;
	partial->raw |= !state.data;
	partial->held += message_memory(msg);
	if (newest) {
		partial->bytes -= partial->last ? message_memory(partial->last) : 0;
		message_unref(partial->last);
		partial->last = last;
		partial->last_seq = addition.last_seq;
		partial->bytes += message_memory(last);
	}
	return 0;
}

/* --- what goes ---------------------------------------------------------------------------------------------------- */

static int compare_items(const void *a, const void *b)
{
	const struct partial_item *x = a, *y = b;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void sort_items(struct partial *partial)
{
	if (partial->n_items)
		qsort(partial->items, partial->n_items, sizeof *partial->items, compare_items);
}

static size_t put(char *out, struct slice text)
{
	if (text.len)
		memcpy(out, text.data, text.len);
	return text.len;
}

static int write_lines(struct partial *partial, struct arena *arena, struct slice *ret_text)
{
	size_t size = 1, len = 0;
	for (size_t i = 0; i < partial->n_items; i++)
		size += partial->items[i].len + NUMBER_BYTES;
	char *text = arena_alloc(arena, size);
	if (!text)
		return -ENOMEM;
	sort_items(partial);
	for (size_t i = 0; i < partial->n_items; i++) {
		const struct partial_item *item = &partial->items[i];
		len += (size_t)snprintf(text + len, size - len, "%" PRIu64 " ", item->seq);
		len += put(text + len, slice_of(item->text, item->len));
		text[len++] = '\n';
	}
	*ret_text = slice_of(text, len);
	return 0;
}

static struct slice write_state(
	const struct partial *partial, unsigned bits, const struct partial_frame *frame, struct arena *arena)
{
	char *text = arena_alloc(arena, STATE_BYTES);
	if (!text)
		return (struct slice){NULL, 0};
	size_t len = (size_t)snprintf(text, STATE_BYTES,
		"%u %" PRIu64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %u %a %a %u", bits, frame->end_ms, frame->shift_ms,
		partial->count, partial->last_seq, partial->qos, partial->min, partial->max, partial->sum.n);
	for (unsigned i = 0; i < partial->sum.n; i++)
		len += (size_t)snprintf(text + len, STATE_BYTES - len, " %a", partial->sum.parts[i]);
	if (partial->sum.too_large)
		text[len++] = '!';
	return slice_of(text, len);
}

int partial_write(struct partial *partial, unsigned bits, const struct partial_frame *frame, struct arena *arena,
	struct message_view *ret_view)
{
	struct message_view view = *message_view(partial->last);
	struct message_field *params = arena_alloc(arena, 2 * sizeof *params);
	struct slice state = write_state(partial, bits, frame, arena);
	if (!params || !state.data)
		return -ENOMEM;
	params[0] = (struct message_field){slice_str(MESSAGE_AGGREGATE), slice_of(partial->key, partial->key_len)};
	params[1] = (struct message_field){slice_str(MESSAGE_AGGREGATE_STATE), state};
	int r = bits & 1u << AGGREGATE_LIST ? write_lines(partial, arena, &view.payload) : 0;
	view.params = params;
	view.n_params = 2;
	*ret_view = view;
	return r;
}

/* The shortest that is read as the same number. */
static size_t put_number(char *out, double number)
{
	int len = 0;
	if (!isfinite(number))
		return put(out, slice_str("null"));
	for (int digits = 15; digits <= 17; digits++) {
		len = snprintf(out, NUMBER_BYTES, "%.*g", digits, number);
		if (strtod(out, NULL) == number)
			break;
	}
	return (size_t)len;
}

static size_t put_list(const struct partial *partial, char *out)
{
	size_t len = 0;
	out[len++] = '[';
	for (size_t i = 0; i < partial->n_items; i++) {
		if (i)
			out[len++] = ',';
		len += put(out + len, slice_of(partial->items[i].text, partial->items[i].len));
	}
	out[len++] = ']';
	return len;
}

/* Of a list the newest one is in it, since what stands for several has all of them as its payload. */
static struct slice last_value(const struct partial *partial, unsigned bits)
{
	const struct partial_item *newest = partial->items ? &partial->items[partial->n_items - 1] : NULL;
	if (bits & 1u << AGGREGATE_LIST && newest)
		return slice_of(newest->text, newest->len);
	return message_view(partial->last)->payload;
}

static size_t put_result(const struct partial *partial, unsigned bits, enum aggregate_result result, uint64_t start_ms,
	uint64_t end_ms, char *out)
{
	switch (result) {
	case AGGREGATE_LAST:
		return put(out, last_value(partial, bits));
	case AGGREGATE_MIN:
		return put_number(out, partial->min);
	case AGGREGATE_MAX:
		return put_number(out, partial->max);
	case AGGREGATE_MEAN:
		return put_number(out, sum_value(&partial->sum) / (double)partial->count);
	case AGGREGATE_LIST:
		return put_list(partial, out);
	case AGGREGATE_COUNT:
		return (size_t)snprintf(out, NUMBER_BYTES, "%" PRIu64, partial->count);
	case AGGREGATE_START:
		return (size_t)snprintf(out, NUMBER_BYTES, "%" PRIu64, start_ms);
	default:
		return (size_t)snprintf(out, NUMBER_BYTES, "%" PRIu64, end_ms);
	}
}

int partial_result(struct partial *partial, unsigned bits, uint64_t start_ms, uint64_t end_ms, struct arena *arena,
	struct message_view *ret_view)
{
	sort_items(partial);
	size_t size = AGGREGATE_RESULTS * 2 * NUMBER_BYTES + last_value(partial, bits).len, len = 0;
	for (size_t i = 0; i < partial->n_items; i++)
		size += partial->items[i].len + 1;
	char *text = arena_alloc(arena, size);
	if (!text)
		return -ENOMEM;
	bool object = bits & (bits - 1);
	for (unsigned i = 0; i < AGGREGATE_RESULTS; i++) {
		if (!(bits & 1u << i))
			continue;
		if (object)
			len += (size_t)snprintf(
				text + len, size - len, "%c\"%s\":", len ? ',' : '{', aggregate_results[i]);
		len += put_result(partial, bits, (enum aggregate_result)i, start_ms, end_ms, text + len);
	}
	if (object)
		text[len++] = '}';
	struct message_view view = *message_view(partial->last);
	view.payload = slice_of(text, len);
	view.content_type = slice_str("application/json");
	view.utf8_payload = true;
	view.qos = partial->qos;
	view.params = NULL;
	view.n_params = 0;
	*ret_view = view;
	return 0;
}
