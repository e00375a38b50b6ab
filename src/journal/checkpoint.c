/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes the whole state as the body of a CHECKPOINT: a sequence of records in the frame encoding. Reading it
 * back is state_apply. One walk makes the records; it either adds their sizes up or encodes them.
 */
#include "journal/state.h"
#include "message/endian.h"

struct writer {
	uint8_t *out; /* NULL: only sizes are wanted */
	size_t size;
};

/* Returns where the body belongs, NULL when only sizes are wanted. */
static uint8_t *put(struct writer *writer, const struct frame *record)
{
	size_t size = frame_size(record);
	uint8_t *body = NULL;
	if (writer->out) {
		body = frame_encode(record, writer->out);
		writer->out += size;
	}
	writer->size += size;
	return body;
}

static void put_ranges(uint8_t *out, const struct range *v, size_t n)
{
	for (size_t i = 0; out && i < n; i++, out += 16) {
		put_u64(out, v[i].first);
		put_u64(out + 8, v[i].last);
	}
}

static void put_overflow(struct writer *writer, uint64_t number, const struct state_dest *dest)
{
	const struct state_overflow *overflow = &dest->overflow;
	if (overflow->n == 0)
		return;
	uint8_t *body = put(writer, &(struct frame){.type = FRAME_OVERFLOW,
					    .dest = number,
					    .seq = dest->overflow_end,
					    .body = {NULL, overflow->n * 24}});
	for (size_t i = 0; body && i < overflow->n; i++, body += 24) {
		put_u64(body, overflow->v[i].file);
		put_u64(body + 8, overflow->v[i].first_seq);
		put_u64(body + 16, overflow->v[i].bytes);
	}
}

static size_t values_size(uint64_t number, const struct state_dest *dest)
{
	return dest->values.n * frame_size(&(struct frame){.type = FRAME_VALUE, .dest = number}) + dest->values.bytes;
}

/* The oldest first. There may be many, so their size is not added up one by one. */
static void put_values(struct writer *writer, uint64_t number, const struct state_dest *dest)
{
	if (!writer->out) {
		writer->size += values_size(number, dest);
		return;
	}
	for (const struct last_value *value = dest->values.oldest; value; value = value->newer) {
		uint8_t *body =
			put(writer, &(struct frame){.type = FRAME_VALUE, .dest = number, .body = {NULL, value->bytes}});
		message_encode(message_view(value->msg), body);
	}
}

static void put_dest(struct writer *writer, uint64_t number, const struct state_dest *dest)
{
	put(writer, &(struct frame){.type = FRAME_REGISTER,
			    .dest = number,
			    .name = slice_str(dest->name),
			    .uuid = slice_of(dest->uuid, JOURNAL_UUID_LEN)});
	uint8_t *body = put(writer, &(struct frame){.type = FRAME_OUTBOX,
					    .dest = number,
					    .seq = dest->next_seq,
					    .last = dest->oldest_undone,
					    .count = dest->waiting,
					    .bytes = dest->waiting_bytes,
					    .body = {NULL, dest->done.n * 16}});
	put_ranges(body, dest->done.v, dest->done.n);
	body = put(writer, &(struct frame){.type = FRAME_TOTALS, .dest = number, .body = {NULL, JOURNAL_N_TOTALS * 8}});
	for (size_t i = 0; body && i < JOURNAL_N_TOTALS; i++, body += 8)
		put_u64(body, dest->totals[i]);
	if (dest->stages.n) {
		body = put(writer,
			&(struct frame){.type = FRAME_STAGES, .dest = number, .body = {NULL, dest->stages.n * 9}});
		for (size_t i = 0; body && i < dest->stages.n; i++, body += 9) {
			put_u64(body, dest->stages.v[i].seq);
			body[8] = dest->stages.v[i].stage;
		}
	}
	if (dest->batches.n) {
		body = put(writer,
			&(struct frame){.type = FRAME_BATCHES, .dest = number, .body = {NULL, dest->batches.n * 16}});
		put_ranges(body, dest->batches.v, dest->batches.n);
	}
	put_overflow(writer, number, dest);
	put_values(writer, number, dest);
	if (dest->paused)
		put(writer, &(struct frame){.type = FRAME_PAUSE, .dest = number, .count = 1});
}

static void put_source(struct writer *writer, uint64_t number, const struct state_source *source)
{
	put(writer, &(struct frame){.type = FRAME_REGISTER,
			    .flags = FRAME_IS_SOURCE,
			    .source = number,
			    .name = slice_str(source->name),
			    .uuid = slice_of(source->uuid, JOURNAL_UUID_LEN)});
	if (source->subscriptions)
		put(writer, &(struct frame){.type = FRAME_SUBSCRIPTIONS,
				    .source = number,
				    .body = slice_of(source->subscriptions, source->subscriptions_len)});
	for (size_t i = 0; i < source->positions.n; i++) {
		const struct state_position *entry = &source->positions.v[i];
		put(writer, &(struct frame){.type = FRAME_POSITION,
				    .source = number,
				    .position = entry->position,
				    .hash = entry->hash,
				    .body = slice_of(entry->partition, entry->partition_len)});
	}
	if (!source->open_ids.n)
		return;
	uint8_t *body = put(writer,
		&(struct frame){.type = FRAME_OPEN_IDS, .source = number, .body = {NULL, source->open_ids.n * 10}});
	for (size_t i = 0; body && i < source->open_ids.n; i++, body += 10) {
		put_u16(body, source->open_ids.v[i].id);
		put_u64(body + 2, source->open_ids.v[i].hash);
	}
}

static void put_clocks(struct writer *writer, const struct clocks *clocks)
{
	if (!clocks->n)
		return;
	uint8_t *body = put(writer, &(struct frame){.type = FRAME_CLOCK,
					    .time_ms = clocks_newest_of_boot_ms(clocks),
					    .body = {NULL, clocks->n * CLOCKS_ENTRY_LEN}});
	for (size_t i = 0; body && i < clocks->n; i++, body += CLOCKS_ENTRY_LEN)
		clocks_encode(&clocks->v[i], body);
}

static void put_sequences(struct writer *writer, const struct sequences *sequences)
{
	if (!sequences->n)
		return;
	uint8_t *body = put(
		writer, &(struct frame){.type = FRAME_SEQUENCES, .body = {NULL, sequences->n * SEQUENCES_ENTRY_LEN}});
	if (body)
		sequences_encode(sequences, body);
}

static void put_keys(struct writer *writer, const struct keys *keys)
{
	if (!keys->n)
		return;
	uint8_t *body = put(writer,
		&(struct frame){
			.type = FRAME_KEYS, .time_ms = keys->seen_ms, .body = {NULL, keys->n * KEYS_ENTRY_LEN}});
	if (body)
		keys_encode(keys, body);
}

static void put_state(struct writer *writer, const struct state *state)
{
	put(writer, &(struct frame){.type = FRAME_BASE,
			    .dest = state->n_dests,
			    .source = state->n_sources,
			    .time_ms = state->clocks.earlier_ms});
	put_clocks(writer, &state->clocks);
	for (size_t i = 0; i < state->n_dests; i++)
		if (state->dests[i].name)
			put_dest(writer, i, &state->dests[i]);
	for (size_t i = 0; i < state->n_sources; i++)
		if (state->sources[i].name)
			put_source(writer, i, &state->sources[i]);
	put_sequences(writer, &state->sequences);
	put_keys(writer, &state->keys);
}

size_t state_values_size(const struct state *state)
{
	size_t size = 0;
	for (size_t i = 0; i < state->n_dests; i++)
		size += state->dests[i].name ? values_size(i, &state->dests[i]) : 0;
	return size;
}

size_t state_checkpoint_size(const struct state *state)
{
	struct writer writer = {NULL, 0};
	put_state(&writer, state);
	return writer.size;
}

void state_checkpoint(const struct state *state, uint8_t *out)
{
	struct writer writer = {out, 0};
	put_state(&writer, state);
}
