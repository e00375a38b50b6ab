/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of addresses.
 */
#include "connectors/mqtt/addresses.h"

#include <errno.h>
#include <stdlib.h>

int addresses_init(struct addresses *list, const struct mqtt_settings *settings, const char **ret_wrong)
{
	*ret_wrong = settings->urls.n > 0 ? NULL : "the connection has no url";
	if (*ret_wrong)
		return -EINVAL;
	struct mqtt_url *items = calloc(settings->urls.n, sizeof *items);
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < settings->urls.n && !*ret_wrong; i++)
		*ret_wrong = mqtt_url_parse(settings->urls.items[i].value, &items[i]);
	if (*ret_wrong) {
		free(items);
		return -EINVAL;
	}
	*list = (struct addresses){.items = items, .n = settings->urls.n};
	return 0;
}

void addresses_free(struct addresses *list)
{
	free(list->items);
	*list = (struct addresses){0};
}

const struct mqtt_url *addresses_current(const struct addresses *list)
{
	return &list->items[list->current];
}

bool addresses_failed(struct addresses *list, bool sound, bool slow, bool *ret_slow)
{
	list->round_slow = slow && (sound || !list->failed || list->round_slow);
	list->failed = true;
	if (!sound && list->current + 1 < list->n) {
		list->current++;
		return false;
	}
	*ret_slow = list->round_slow;
	list->current = 0;
	list->failed = false;
	return true;
}
