/* SPDX-License-Identifier: Apache-2.0
 *
 * A resource that is watched has one path, which is all there.
 */
#include "connectors/coap/watch_settings.h"

#include <stdio.h>
#include <string.h>

#include "connectors/coap/content_format.h"
#include "connectors/coap/path.h"

#define MOST_QUERY_BYTES 1000u

static const char *path_mistake(const char *topic)
{
	if (topic[0] != '/')
		return "a path begins with a slash. Write one before it";
	if (strchr(topic, '{'))
		return "a device is asked for one path, and a capture stands for any. Write the path out";
	const char *wrong = coap_path_check(slice_str(topic));
	if (wrong && strpbrk(topic, "+#"))
		return "a device is asked for one path, and a wildcard stands for any. Write the path out, in a "
		       "mapping for "
		       "each";
	return wrong;
}

static const char *query_mistake(const char *query)
{
	char target[MOST_QUERY_BYTES + 2];
	int len = snprintf(target, sizeof target, "?%s", query);
	if (len < 0 || (size_t)len >= sizeof target)
		return "a query has at most 1000 bytes. Ask for less";
	if (query[0] == '?')
		return "the ? before a query is not part of it. Leave it out.";
	return coap_target_check(slice_of(target, (size_t)len));
}

static void check_absent(struct config_scope *scope)
{
	static const char *const keys[] = {"success", "delete", NULL};
	for (int i = 0; keys[i]; i++)
		if (config_given(scope, keys[i], NULL))
			config_complain(scope, keys[i], NULL,
				"this is a key of connections with listen, and that one has a url. Leave it out");
}

void coap_watch_check_from(const struct coap_settings *settings, const struct coap_from_settings *from,
	const struct config_list *filters, struct config_scope *scope)
{
	char item[24];
	const char *wrong;
	(void)settings;
	check_absent(scope);
	for (size_t i = 0; i < filters->n; i++) {
		snprintf(item, sizeof item, "%zu", i);
		wrong = path_mistake(filters->items[i].value);
		if (wrong)
			config_complain(scope, "topic", item, "%s", wrong);
	}
	wrong = from->query ? query_mistake(from->query) : NULL;
	if (wrong)
		config_complain(scope, "query", NULL, "%s", wrong);
	if (from->accept && content_format_find(slice_str(from->accept)) < 0)
		config_complain(scope, "accept", NULL,
			"CoAP has no number for this content type. Write one of IANA's CoAP Content-Formats, as "
			"application/json, or coap/ and the number");
}
