/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of subscriptions. A sorted array: found by bisection, since a gateway may have ten thousand filters.
 */
#include "connectors/mqtt/filter_set.h"

#include <errno.h>
#include <stdlib.h>

#include "routing/topic_filter.h"

#define BLOB_VERSION   1
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

int filter_set_put(struct filter_set *set, const char *filter, uint8_t qos, bool confirmed)
{
	struct filter_entry *sub = filter_set_find(set, filter);
	if (sub) {
		sub->qos = qos;
		sub->confirmed = confirmed;
		return 0;
	}
	char *copy = strdup(filter);
	if (!copy || filter_set_grow(set) < 0) {
		free(copy);
		return -ENOMEM;
	}
	size_t at = filter_set_place(set, filter);
	memmove(&set->items[at + 1], &set->items[at], (set->n - at) * sizeof set->items[0]);
	set->items[at] = (struct filter_entry){.filter = copy, .qos = qos, .confirmed = confirmed};
	set->n++;
	return 0;
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

static bool is_shared(const char *filter)
{
	return strncmp(filter, "$share/", 7) == 0;
}

static bool is_wild(const char *filter)
{
	return strpbrk(filter, "+#") != NULL;
}

static bool filter_set_has_cover(const struct filter_set *set, const size_t *wild, size_t n_wild, size_t i)
{
	const struct filter_entry *inner = &set->items[i];
	for (size_t k = 0; k < n_wild; k++) {
		const struct filter_entry *outer = &set->items[wild[k]];
		if (wild[k] == i || outer->qos != inner->qos || !topic_filter_covers(outer->filter, inner->filter))
			continue;
		/* Two spellings of the same, such as # and +/#: the first one stays. */
		if (wild[k] < i || !topic_filter_covers(inner->filter, outer->filter))
			return true;
	}
	return false;
}

void filter_set_reduce(struct filter_set *set)
{
	/* Only a filter with a wildcard covers another one: usually few. */
	size_t *wild = calloc(set->n ? set->n : 1, sizeof *wild);
	size_t n_wild = 0;
	bool *covered = calloc(set->n ? set->n : 1, sizeof *covered);
	for (size_t i = 0; wild && covered && i < set->n; i++)
		if (!is_shared(set->items[i].filter) && is_wild(set->items[i].filter))
			wild[n_wild++] = i;
	for (size_t i = 0; wild && covered && i < set->n; i++)
		covered[i] = !is_shared(set->items[i].filter) && filter_set_has_cover(set, wild, n_wild, i);
	/* A filter that covers a removed one may itself be removed: then a third one covers both. Without memory nothing is
	 * removed, which is only wasteful. */
	for (size_t i = set->n; covered && i-- > 0;)
		if (covered[i])
			filter_set_remove_at(set, i);
	free(wild);
	free(covered);
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

int filter_set_encode(const struct filter_set *set, const struct filter_set_owner *owner, struct buffer *out)
{
	uint8_t byte = BLOB_VERSION;
	int r = buffer_append(out, slice_of(&byte, 1));
	if (r == 0)
		r = put_string(out, owner->client_id);
	if (r == 0)
		r = put_string(out, owner->url);
	for (size_t i = 0; r == 0 && i < set->n; i++) {
		byte = (uint8_t)(set->items[i].qos | (set->items[i].confirmed ? FLAG_CONFIRMED : 0));
		r = buffer_append(out, slice_of(&byte, 1));
		if (r == 0)
			r = put_string(out, set->items[i].filter);
	}
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

static int take_entry(struct slice *in, struct filter_set *set)
{
	uint8_t flags = in->data[0];
	struct slice text;
	*in = slice_of(in->data + 1, in->len - 1);
	if (!take_string(in, &text) || text.len == 0 || memchr(text.data, '\0', text.len) ||
		flags > (FLAG_CONFIRMED | QOS_MASK))
		return -EBADMSG;
	char *filter = strndup((const char *)text.data, text.len);
	int r = filter ? filter_set_put(set, filter, flags & QOS_MASK, flags & FLAG_CONFIRMED) : -ENOMEM;
	free(filter);
	return r;
}

int filter_set_decode(struct slice blob, const struct filter_set_owner *owner, struct filter_set *set)
{
	struct slice client_id, url;
	if (!blob.data || blob.len == 0 || blob.data[0] != BLOB_VERSION)
		return -ENOENT;
	blob = slice_of(blob.data + 1, blob.len - 1);
	if (!take_string(&blob, &client_id) || !take_string(&blob, &url))
		return -EBADMSG;
	if (!slice_equal(client_id, slice_str(owner->client_id)) || !slice_equal(url, slice_str(owner->url)))
		return -ENOENT;
	int r = 0;
	while (r == 0 && blob.len > 0)
		r = take_entry(&blob, set);
	if (r < 0)
		filter_set_free(set);
	return r;
}
