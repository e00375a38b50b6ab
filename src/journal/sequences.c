/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear probing, at most seven places of eight in use.
 */
#include "journal/sequences.h"

#include <errno.h>
#include <stdlib.h>

#include "message/endian.h"

#define FEWEST_PLACES 64u

void sequences_clear(struct sequences *sequences)
{
	free(sequences->v);
	*sequences = (struct sequences){.v = NULL};
}

/* Where the stream is, or belongs. There is always a free place. */
static struct sequence *sequences_place(const struct sequences *sequences, const uint64_t stream[2])
{
	size_t mask = sequences->places - 1, i = (size_t)(stream[0] ^ stream[1]) & mask;
	while (sequences->v[i].last &&
		(sequences->v[i].stream[0] != stream[0] || sequences->v[i].stream[1] != stream[1]))
		i = (i + 1) & mask;
	return &sequences->v[i];
}

int sequences_reserve(struct sequences *sequences, size_t more)
{
	size_t needed = sequences->n + more, places = sequences->places ? sequences->places : FEWEST_PLACES;
	while (places - places / 8 < needed)
		places *= 2;
	if (places == sequences->places)
		return 0;
	struct sequences bigger = {calloc(places, sizeof *bigger.v), sequences->n, places};
	if (!bigger.v)
		return -ENOMEM;
	for (size_t i = 0; i < sequences->places; i++)
		if (sequences->v[i].last)
			*sequences_place(&bigger, sequences->v[i].stream) = sequences->v[i];
	free(sequences->v);
	*sequences = bigger;
	return 0;
}

uint64_t sequences_last(const struct sequences *sequences, const uint8_t *stream)
{
	uint64_t words[2] = {get_u64(stream), get_u64(stream + 8)};
	return sequences->n ? sequences_place(sequences, words)->last : 0;
}

int sequences_set(struct sequences *sequences, const uint8_t *stream, uint64_t last)
{
	int r = sequences_reserve(sequences, 1);
	if (r < 0)
		return r;
	struct sequence wanted = {{get_u64(stream), get_u64(stream + 8)}, last};
	struct sequence *place = sequences_place(sequences, wanted.stream);
	sequences->n += !place->last && last;
	if (last > place->last)
		*place = wanted;
	return 0;
}

void sequences_skip(struct sequences *sequences, uint64_t count)
{
	for (size_t i = 0; i < sequences->places; i++)
		if (sequences->v[i].last)
			sequences->v[i].last += count;
}

void sequences_encode(const struct sequences *sequences, uint8_t *out)
{
	for (size_t i = 0; i < sequences->places; i++) {
		const struct sequence *entry = &sequences->v[i];
		if (!entry->last)
			continue;
		put_u64(out, entry->stream[0]);
		put_u64(out + 8, entry->stream[1]);
		put_u64(out + 16, entry->last);
		out += SEQUENCES_ENTRY_LEN;
	}
}

int sequences_decode(struct sequences *sequences, struct slice body)
{
	if (body.len % SEQUENCES_ENTRY_LEN)
		return -EBADMSG;
	int r = sequences_reserve(sequences, body.len / SEQUENCES_ENTRY_LEN);
	for (size_t at = 0; r == 0 && at < body.len; at += SEQUENCES_ENTRY_LEN)
		r = sequences_set(sequences, body.data + at, get_u64(body.data + at + 16));
	return r;
}
