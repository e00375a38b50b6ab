/* SPDX-License-Identifier: Apache-2.0
 *
 * A sorted array, found by bisection.
 */
#include "connectors/mqtt/subscription_map.h"

#include <stdlib.h>

struct subscription_place {
	uint32_t identifier;
	int subscription;
};

static int compare_places(const void *a, const void *b)
{
	const struct subscription_place *x = a, *y = b;
	return x->identifier < y->identifier ? -1 : x->identifier > y->identifier;
}

void subscription_map_free(struct subscription_map *map)
{
	free(map->items);
	*map = (struct subscription_map){0};
}

void subscription_map_fill(
	struct subscription_map *map, const struct filter_set *known, const struct filter_set *wanted)
{
	subscription_map_free(map);
	map->items = calloc(known->n ? known->n : 1, sizeof *map->items);
	for (size_t i = 0; map->items && i < known->n; i++) {
		const struct filter_entry *sub = &known->items[i];
		const struct filter_entry *want = sub->identifier ? filter_set_find(wanted, sub->filter) : NULL;
		if (want && want->qos == sub->qos && want->options == sub->options)
			map->items[map->n++] = (struct subscription_place){sub->identifier, want->subscription};
	}
	if (map->n)
		qsort(map->items, map->n, sizeof *map->items, compare_places);
}

int subscription_map_find(const struct subscription_map *map, const struct mqtt_properties *props)
{
	if (props->n_subscription_identifiers != 1 || map->n == 0)
		return -1;
	struct subscription_place key = {.identifier = props->subscription_identifiers[0]};
	const struct subscription_place *found = bsearch(&key, map->items, map->n, sizeof key, compare_places);
	return found ? found->subscription : -1;
}
