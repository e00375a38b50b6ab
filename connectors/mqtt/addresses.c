/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of addresses. Owns the parsed urls and which of them is next; never resolves a name, connects, or waits: the
 * session does, and tells it what came of it. A server reference is text from a broker: what cannot be understood as an
 * address is passed over, and so many in a row and no more are followed. Loop thread only; no I/O, no clock.
 */
#include "connectors/mqtt/addresses.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int addresses_init(struct addresses *list, const struct mqtt_settings *settings, const char **ret_wrong)
{
	*ret_wrong = settings->urls.n > 0 ? NULL : "the connection has no url";
	if (*ret_wrong)
		return -EINVAL;
	struct mqtt_url *items = calloc(settings->urls.n + 1, sizeof *items);
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < settings->urls.n && !*ret_wrong; i++)
		*ret_wrong = mqtt_url_parse(settings->urls.items[i].value, &items[i + 1]);
	if (*ret_wrong) {
		free(items);
		return -EINVAL;
	}
	*list = (struct addresses){.items = items, .n = settings->urls.n, .current = 1, .first = 1};
	return 0;
}

void addresses_free(struct addresses *list)
{
	free(list->items);
	*list = (struct addresses){0};
}

const struct mqtt_url *addresses_current(const struct addresses *list)
{
	return list->at_other ? &list->other : &list->items[list->current];
}

bool addresses_failed(struct addresses *list, bool sound, bool slow, bool *ret_slow)
{
	if (sound)
		list->references = 0;
	list->round_slow = slow && (sound || !list->failed || list->round_slow);
	list->failed = true;
	if (!sound && !list->at_other && list->current < list->n) {
		list->current++;
		return false;
	}
	*ret_slow = list->round_slow;
	list->current = list->first;
	list->at_other = false;
	list->failed = false;
	return true;
}

/* --- server references ------------------------------------------------------------------------------------------------ */

/* One word of a reference. Some brokers write a scheme, or an IPv6 address without brackets. */
static bool addresses_read_reference(struct slice word, bool tls, struct mqtt_url *ret_url)
{
	char text[300], url[320];
	snprintf(text, sizeof text, "%.*s", (int)word.len, (const char *)word.data);
	if (word.len >= sizeof text || strlen(text) != word.len)
		return false;
	const char *host = strstr(text, "://") ? strstr(text, "://") + 3 : text;
	text[strlen(text) - (text[word.len - 1] == '/')] = '\0';
	const char *colon = strchr(host, ':');
	bool bare = *host != '[' && colon && strchr(colon + 1, ':');
	snprintf(url, sizeof url, "%s://%s%s%s", tls ? "mqtts" : "mqtt", bare ? "[" : "", host, bare ? "]" : "");
	return mqtt_url_parse(url, ret_url) == NULL;
}

static bool addresses_find_reference(struct slice reference, bool tls, struct mqtt_url *ret_url)
{
	const uint8_t *at = reference.data, *end = at + reference.len;
	while (at < end) {
		const uint8_t *blank = memchr(at, ' ', (size_t)(end - at));
		const uint8_t *stop = blank ? blank : end;
		if (stop > at && addresses_read_reference(slice_of(at, (size_t)(stop - at)), tls, ret_url))
			return true;
		at = stop + 1;
	}
	return false;
}

int addresses_follow(struct addresses *list, struct slice reference, bool moved, bool sound)
{
	struct mqtt_url url;
	if (sound)
		list->references = 0;
	if (!reference.data || !addresses_find_reference(reference, addresses_current(list)->tls, &url))
		return -EINVAL;
	if (list->references == ADDRESSES_MOST_REFERENCES) {
		list->references = 0;
		return -ELOOP;
	}
	list->references++;
	list->failed = false;
	list->at_other = !moved;
	if (moved) {
		list->items[0] = url;
		list->first = list->current = 0;
	} else {
		list->other = url;
	}
	return 0;
}
