/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of subscriptions. A sorted array: found by bisection, since a gateway may have ten thousand filters.
 */
#include "connectors/mqtt/filter_set.h"

#include <errno.h>
#include <stdlib.h>

#define BLOB_VERSION   2
#define QOS_MASK       3
#define FLAG_CONFIRMED 4

void filter_set_free(struct filter_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		free(set->items[i].filter);
	free(set->items);
	*set = (struct filter_set){0};
}

/* The place of the filter, or where it would go. */
static size_t filter_set_place(const struct filter_set *set, const char *filter)
{
	size_t low = 0, high = set->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(set->items[middle].filter, filter) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct filter_entry *filter_set_find(const struct filter_set *set, const char *filter)
{
	size_t at = filter_set_place(set, filter);
	return at < set->n && strcmp(set->items[at].filter, filter) == 0 ? &set->items[at] : NULL;
}

static int filter_set_grow(struct filter_set *set)
{
	if (set->n < set->capacity)
		return 0;
	size_t capacity = set->capacity ? set->capacity * 2 : 8;
	struct filter_entry *items = realloc(set->items, capacity * sizeof *items);
	if (!items)
		return -ENOMEM;
	set->items = items;
	set->capacity = capacity;
	return 0;
}

int filter_set_put(struct filter_set *set, const struct filter_entry *entry)
{
	struct filter_entry *sub = filter_set_find(set, entry->filter);
	if (sub) {
		char *filter = sub->filter;
		*sub = *entry;
		sub->filter = filter;
		return 0;
	}
	char *copy = strdup(entry->filter);
	if (!copy || filter_set_grow(set) < 0) {
		free(copy);
		return -ENOMEM;
	}
	size_t at = filter_set_place(set, copy);
	memmove(&set->items[at + 1], &set->items[at], (set->n - at) * sizeof set->items[0]);
	set->items[at] = *entry;
	set->items[at].filter = copy;
	set->n++;
	return 0;
}

int filter_set_copy(const struct filter_set *from, struct filter_set *to)
{
	for (size_t i = 0; i < from->n; i++)
		if (filter_set_put(to, &from->items[i]) < 0) {
			filter_set_free(to);
			return -ENOMEM;
		}
	to->last_identifier = from->last_identifier;
	return 0;
}

uint32_t filter_set_next_identifier(struct filter_set *set)
{
	return set->last_identifier < FILTER_SET_MAX_IDENTIFIER ? ++set->last_identifier : 0;
}

static void filter_set_remove_at(struct filter_set *set, size_t at)
{
	free(set->items[at].filter);
	set->n--;
	memmove(&set->items[at], &set->items[at + 1], (set->n - at) * sizeof set->items[0]);
}

void filter_set_remove(struct filter_set *set, const char *filter)
{
	struct filter_entry *sub = filter_set_find(set, filter);
	if (sub)
		filter_set_remove_at(set, (size_t)(sub - set->items));
}

/* --- the blob ------------------------------------------------------------------------------------------------------ */

static int put_string(struct buffer *out, const char *text)
{
	size_t len = strlen(text);
	if (len > UINT16_MAX)
		return -ENOBUFS;
	uint8_t head[2] = {(uint8_t)(len >> 8), (uint8_t)len};
	int r = buffer_append(out, slice_of(head, sizeof head));
	return r < 0 ? r : buffer_append(out, slice_of(text, len));
}

static int put_number(struct buffer *out, uint32_t number)
{
	uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
	return buffer_append(out, slice_of(bytes, sizeof bytes));
}

static int put_entry(struct buffer *out, const struct filter_entry *entry)
{
	uint8_t head[2] = {(uint8_t)(entry->qos | (entry->confirmed ? FLAG_CONFIRMED : 0)), entry->options};
	int r = buffer_append(out, slice_of(head, sizeof head));
	if (r == 0)
		r = put_number(out, entry->identifier);
	return r == 0 ? put_string(out, entry->filter) : r;
}

int filter_set_encode(const struct filter_set *set, const struct filter_set_owner *owner, struct buffer *out)
{
	uint8_t byte = BLOB_VERSION;
	int r = buffer_append(out, slice_of(&byte, 1));
	if (r == 0)
		r = put_string(out, owner->client_id);
	if (r == 0)
		r = put_string(out, owner->url);
	if (r == 0)
		r = put_number(out, set->last_identifier);
	for (size_t i = 0; r == 0 && i < set->n; i++)
		r = put_entry(out, &set->items[i]);
	return r;
}

static bool take_string(struct slice *in, struct slice *ret_text)
{
	if (in->len < 2)
		return false;
	size_t len = (size_t)in->data[0] << 8 | in->data[1];
	if (in->len - 2 < len)
		return false;
	*ret_text = slice_of(in->data + 2, len);
	*in = slice_of(in->data + 2 + len, in->len - 2 - len);
	return true;
}

static bool take_number(struct slice *in, uint32_t *ret_number)
{
	if (in->len < 4)
		return false;
	const uint8_t *p = in->data;
	*ret_number = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	*in = slice_of(in->data + 4, in->len - 4);
	return true;
}

static int take_entry(struct slice *in, uint8_t version, struct filter_set *set)
{
	struct filter_entry entry = {0};
	struct slice text;
	size_t head = version == 1 ? 1 : 2;
	if (in->len < head || in->data[0] > (FLAG_CONFIRMED | QOS_MASK))
		return -EBADMSG;
	entry.qos = in->data[0] & QOS_MASK;
	entry.confirmed = in->data[0] & FLAG_CONFIRMED;
	entry.options = version == 1 ? 0 : in->data[1];
	*in = slice_of(in->data + head, in->len - head);
	if ((version > 1 && !take_number(in, &entry.identifier)) || entry.identifier > set->last_identifier ||
		!take_string(in, &text) || text.len == 0 || memchr(text.data, '\0', text.len))
		return -EBADMSG;
	entry.filter = strndup((const char *)text.data, text.len);
	int r = entry.filter ? filter_set_put(set, &entry) : -ENOMEM;
	free(entry.filter);
	return r;
}

int filter_set_decode(struct slice blob, const struct filter_set_owner *owner, struct filter_set *set)
{
	struct slice client_id, url;
	if (!blob.data || blob.len == 0 || blob.data[0] == 0 || blob.data[0] > BLOB_VERSION)
		return -ENOENT;
	uint8_t version = blob.data[0];
	blob = slice_of(blob.data + 1, blob.len - 1);
	if (!take_string(&blob, &client_id) || !take_string(&blob, &url))
		return -EBADMSG;
	if (!slice_equal(client_id, slice_str(owner->client_id)) || !slice_equal(url, slice_str(owner->url)))
		return -ENOENT;
	if (version > 1 && !take_number(&blob, &set->last_identifier))
		return -EBADMSG;
	int r = 0;
	while (r == 0 && blob.len > 0)
		r = take_entry(&blob, version, set);
	if (r < 0)
		filter_set_free(set);
	return r;
}
