/* SPDX-License-Identifier: Apache-2.0
 *
 * What the mappings of one source ask for together: filters that are named twice in different ways, and filters that
 * overlap where each message must come once. What a mapping asks for alone is checked where it is read.
 */
#include <stdlib.h>
#include <string.h>

#include "config/guarantee.h"
#include "config/loader.h"
#include "config/memory.h"
#include "routing/filter_list.h"
#include "routing/topic_filter.h"

/* One filter of one mapping. */
struct asked {
	char *wire; /* owned */
	size_t mapping;
	const struct config_text *text;
};

struct asking {
	struct asked *items;
	size_t n;
};

static int compare_asked(const void *a, const void *b)
{
	const struct asked *x = a, *y = b;
	int order = strcmp(x->wire, y->wire);
	return order ? order : x->mapping < y->mapping ? -1 : x->mapping > y->mapping;
}

static const struct mapping_config *mapping_of(const struct loader *loader, const struct asked *asked)
{
	return &loader->own->config.mappings[asked->mapping];
}

static struct asking collect(const struct loader *loader, size_t connection)
{
	const struct config *config = &loader->own->config;
	struct asking asking = {0};
	size_t most = 0;
	for (size_t m = 0; m < config->n_mappings; m++)
		most += config->mappings[m].filters.n;
	asking.items = memory_zero((most + 1) * sizeof *asking.items);
	for (size_t m = 0; m < config->n_mappings; m++) {
		const struct mapping_config *map = &config->mappings[m];
		if (!loader->mappings.items[m].sound || map->from_connection != connection)
			continue;
		for (size_t i = 0; i < map->filters.n; i++) {
			char *wire = topic_filter_wire(map->filters.items[i].value, false);
			if (wire)
				asking.items[asking.n++] = (struct asked){wire, m, &map->filters.items[i]};
		}
	}
	if (asking.n)
		qsort(asking.items, asking.n, sizeof *asking.items, compare_asked);
	return asking;
}

static void asking_free(struct asking *asking)
{
	for (size_t i = 0; i < asking->n; i++)
		free(asking->items[i].wire);
	free(asking->items);
}

/* --- one filter, two ways ---------------------------------------------------------------------------------------------- */

static void refuse_differences(struct loader *loader, const struct connector *connector, const struct asking *asking)
{
	for (size_t i = 1, first = 0; i < asking->n; i++) {
		const struct asked *one = &asking->items[first], *other = &asking->items[i];
		if (strcmp(one->wire, other->wire) != 0) {
			first = i;
			continue;
		}
		const struct mapping_config *map = mapping_of(loader, one);
		const char *key = table_difference(
			connector->from_keys, map->from_settings, mapping_of(loader, other)->from_settings);
		if (key)
			report_mistake(loader->report, loader->mappings.items[other->mapping].value->source,
				other->text->line, other->text->column,
				"mapping '%s' (line %d) reads this filter with another '%s', and there is one "
				"subscription for both; write the same in both",
				map->name, map->line, key);
	}
}

/* --- overlaps ------------------------------------------------------------------------------------------------------------ */

/* What will be subscribed to. NULL when memory is out: then the start will say so. */
static struct filter_list *reduced(
	const struct loader *loader, const struct connector *connector, const struct asking *asking)
{
	struct filter_list *list = filter_list_new(connector);
	size_t number;
	int err = list ? 0 : -1;
	for (size_t i = 0; i < asking->n && !err; i++) {
		const struct mapping_config *map = mapping_of(loader, &asking->items[i]);
		err = filter_list_add(list, asking->items[i].wire, (uint8_t)map->from_qos, map->from_settings, &number);
	}
	if (!err)
		err = filter_list_finish(list, '/');
	if (!err)
		return list;
	filter_list_free(list);
	return NULL;
}

static bool overlap(const char *a, const char *b)
{
	return topic_filter_overlaps(topic_filter_without_share(a), topic_filter_without_share(b));
}

/* Two subscriptions that bring a message of this filter each. Three filters have a topic in common when each two of
 * them have. */
static bool find_pair(const struct filter_list *list, const char *wire, const char **ret_one, const char **ret_other)
{
	const struct router_filter *filters;
	size_t n = filter_list_get(list, &filters);
	for (size_t i = 0; i < n; i++) {
		if (!overlap(filters[i].filter, wire))
			continue;
		for (size_t k = i + 1; k < n; k++)
			if (overlap(filters[k].filter, wire) && overlap(filters[k].filter, filters[i].filter)) {
				*ret_one = filters[i].filter;
				*ret_other = filters[k].filter;
				return true;
			}
	}
	return false;
}

static bool exactly_once(const struct config *config, const struct mapping_config *map)
{
	for (size_t i = 0; i < map->n_targets; i++)
		if (mapping_declared_guarantee(config, map, &map->targets[i]) == EXACTLY_ONCE)
			return true;
	return false;
}

static void refuse_overlaps(
	struct loader *loader, const struct connector *connector, const struct asking *asking, const char *why)
{
	struct filter_list *list = NULL;
	const char *one, *other;
	for (size_t i = 0; i < asking->n; i++) {
		const struct asked *asked = &asking->items[i];
		if (!exactly_once(&loader->own->config, mapping_of(loader, asked)))
			continue;
		if (!list)
			list = reduced(loader, connector, asking);
		if (list && find_pair(list, asked->wire, &one, &other))
			report_mistake(loader->report, loader->mappings.items[asked->mapping].value->source,
				asked->text->line, asked->text->column,
				"delivery: exactly-once cannot be kept, since the filters '%s' and '%s' overlap: %s",
				one, other, why);
	}
	filter_list_free(list);
}

void loader_check_subscriptions(struct loader *loader)
{
	const struct config *config = &loader->own->config;
	for (size_t c = 0; c < config->n_connections; c++) {
		const struct connector *connector = config->connections[c].connector;
		if (!loader->connections.items[c].sound || !connector->can_source)
			continue;
		const char *why =
			connector->check_overlap ? connector->check_overlap(config->connections[c].settings) : NULL;
		if (!connector->one_per_filter && !why)
			continue;
		struct asking asking = collect(loader, c);
		if (connector->one_per_filter)
			refuse_differences(loader, connector, &asking);
		if (why)
			refuse_overlaps(loader, connector, &asking, why);
		asking_free(&asking);
	}
}
