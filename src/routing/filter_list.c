/* SPDX-License-Identifier: Apache-2.0
 *
 * Distinct filters in the order they came, and an index that answers which of them cover one. Covering is a partial
 * order, so among the filters that cover one there is always one that nothing covers.
 */
#include "routing/filter_list.h"

#include <errno.h>
#include <stdlib.h>

#include "config/table.h"
#include "connectors/connector.h"
#include "routing/topic_filter.h"
#include "routing/topic_index.h"

struct wanted {
	char *text; /* owned; filter.filter */
	struct router_filter filter;
	bool covered;
	size_t position; /* in the list */
};

struct filter_list {
	struct topic_index *index; /* numbers are those of `wanted` */
	struct wanted *wanted;
	size_t n_wanted, wanted_size;
	struct router_filter *list; /* NULL until finished */
	size_t n_list;
	const struct config_key *from_keys;
};

struct filter_list *filter_list_new(const struct connector *connector)
{
	struct filter_list *subs = calloc(1, sizeof *subs);
	if (!subs)
		return NULL;
	subs->from_keys = connector ? connector->from_keys : NULL;
	subs->index = topic_index_new();
	if (subs->index)
		return subs;
	free(subs);
	return NULL;
}

void filter_list_free(struct filter_list *subs)
{
	if (!subs)
		return;
	for (size_t i = 0; i < subs->n_wanted; i++)
		free(subs->wanted[i].text);
	free(subs->wanted);
	free(subs->list);
	topic_index_free(subs->index);
	free(subs);
}

static bool same_settings(const struct filter_list *subs, const void *a, const void *b)
{
	return !table_difference(subs->from_keys, a, b);
}

static struct wanted *find_equal(struct filter_list *subs, const char *wire, const void *from_settings)
{
	const uint32_t *covering;
	size_t n = topic_index_covering(subs->index, topic_filter_without_share(wire), &covering);
	for (size_t i = 0; i < n; i++) {
		struct wanted *other = &subs->wanted[covering[i]];
		if (strcmp(other->filter.filter, wire) == 0 &&
			same_settings(subs, other->filter.from_settings, from_settings))
			return other;
	}
	return NULL;
}

static int reserve(struct filter_list *subs)
{
	if (subs->n_wanted < subs->wanted_size)
		return 0;
	size_t size = subs->wanted_size ? 2 * subs->wanted_size : 16;
	struct wanted *grown = realloc(subs->wanted, size * sizeof *grown);
	if (!grown)
		return -ENOMEM;
	subs->wanted = grown;
	subs->wanted_size = size;
	return 0;
}

int filter_list_add(
	struct filter_list *subs, const char *wire, uint8_t qos, const void *from_settings, size_t *ret_number)
{
	struct wanted *equal = find_equal(subs, wire, from_settings);
	if (equal) {
		if (equal->filter.qos < qos)
			equal->filter.qos = qos;
		*ret_number = (size_t)(equal - subs->wanted);
		return 0;
	}
	char *copy = strdup(wire);
	if (!copy || reserve(subs) != 0 || topic_index_add(subs->index, topic_filter_without_share(wire)) != 0) {
		free(copy);
		return -ENOMEM;
	}
	subs->wanted[subs->n_wanted] = (struct wanted){.text = copy, .filter = {copy, qos, from_settings}};
	*ret_number = subs->n_wanted++;
	return 0;
}

static bool same_group(const char *a, const char *b)
{
	size_t len = (size_t)(topic_filter_without_share(a) - a);
	return len == (size_t)(topic_filter_without_share(b) - b) && memcmp(a, b, len) == 0;
}

/* Of another QoS it would bring the inner one's messages at the wrong one, so both are asked for. */
static bool may_stand_for(const struct filter_list *subs, const struct wanted *outer, const struct wanted *inner)
{
	return outer != inner && outer->filter.qos == inner->filter.qos &&
	       same_group(outer->filter.filter, inner->filter.filter) &&
	       same_settings(subs, outer->filter.from_settings, inner->filter.from_settings);
}

/* The first filter that covers this one and, if asked for, is covered by none itself; NULL if there is none. */
static struct wanted *find_cover(struct filter_list *subs, const struct wanted *inner, bool uncovered)
{
	const uint32_t *covering;
	size_t n = topic_index_covering(subs->index, topic_filter_without_share(inner->filter.filter), &covering);
	for (size_t i = 0; i < n; i++) {
		struct wanted *outer = &subs->wanted[covering[i]];
		if (may_stand_for(subs, outer, inner) && !(uncovered && outer->covered))
			return outer;
	}
	return NULL;
}

int filter_list_finish(struct filter_list *subs, char separator)
{
	subs->list = calloc(subs->n_wanted + 1, sizeof *subs->list);
	if (!subs->list)
		return -ENOMEM;
	for (size_t i = 0; i < subs->n_wanted; i++)
		subs->wanted[i].covered = find_cover(subs, &subs->wanted[i], false) != NULL;
	for (size_t i = 0; i < subs->n_wanted; i++)
		if (!subs->wanted[i].covered)
			subs->wanted[i].position = subs->n_list++;
	for (size_t i = 0; i < subs->n_wanted; i++) {
		struct wanted *inner = &subs->wanted[i];
		if (inner->covered)
			inner->position = find_cover(subs, inner, true)->position;
		else
			subs->list[inner->position] = inner->filter;
	}
	for (size_t i = 0; i < subs->n_wanted; i++)
		topic_separate(subs->wanted[i].text, strlen(subs->wanted[i].text), '/', separator);
	return 0;
}

size_t filter_list_get(const struct filter_list *subs, const struct router_filter **ret_filters)
{
	*ret_filters = subs->list;
	return subs->n_list;
}

size_t filter_list_index(const struct filter_list *subs, size_t number)
{
	return subs->wanted[number].position;
}
