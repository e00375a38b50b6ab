/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of `from`, and what is wrong with their values.
 */
#include "connectors/mqtt/from.h"

#include <stdio.h>
#include <string.h>

#include "connectors/mqtt/settings.h"

#define KEY(member) offsetof(struct mqtt_from, member)

static const char *const handling_choices[] = {"always", "new", "never", NULL};

const struct config_key mqtt_from_keys[] = {
	{.name = "group",
		.others = "share shared shared_subscription share_name share_group",
		.type = CONFIG_STRING,
		.offset = KEY(group),
		.help = "Shared subscription: the broker gives each message to one of the clients of this group. The "
			"same as $share/<group>/ before each filter (version 5)."},
	{.name = "no_local",
		.type = CONFIG_BOOL,
		.offset = KEY(no_local),
		.fallback = "false",
		.help = "Do not receive what linkspan itself has published over this connection (version 5). A mirror "
			"in both directions needs it on both sides."},
	{.name = "retain_as_published",
		.type = CONFIG_BOOL,
		.offset = KEY(retain_as_published),
		.fallback = "true",
		.help = "Whether messages keep the retain flag that they were published with (version 5). Otherwise "
			"it says that a message was already there when the subscription was made, as in 3.1.1."},
	{.name = "retain_handling",
		.type = CONFIG_ENUM,
		.offset = KEY(retain_handling),
		.fallback = "new",
		.choices = handling_choices,
		.help = "Whether the broker sends its retained messages whenever linkspan subscribes, when the "
			"subscription is new, or never (version 5). A reconnect to a kept session does not subscribe "
			"again."},
	{0},
};

static bool is_shared(const char *filter)
{
	return strncmp(filter, "$share/", 7) == 0;
}

/* MQTT 5 §4.8.2. Braces would be taken for a capture. */
static void check_group(const struct mqtt_from *from, const struct config_list *filters, struct config_scope *scope)
{
	size_t len = strlen(from->group);
	if (len == 0 || strpbrk(from->group, "/+#{}") || !mqtt_text_valid(slice_str(from->group))) {
		config_complain(scope, "group", NULL,
			"this is no name for a group; write UTF-8 of at least one character without / + # { and }");
		return;
	}
	for (size_t i = 0; i < filters->n; i++) {
		const char *filter = filters->items[i].value;
		char item[24];
		snprintf(item, sizeof item, "%zu", i);
		if (is_shared(filter))
			config_complain(scope, "topic", item,
				"the filter has a $share group already; leave out one of the two");
		else if (strlen(filter) + len + strlen("$share//") > UINT16_MAX)
			config_complain(
				scope, "topic", item, "with its group longer than the 65535 bytes that MQTT allows");
	}
}

static void check_no_local(const struct mqtt_from *from, const struct config_list *filters, struct config_scope *scope)
{
	bool shared = from->group != NULL;
	for (size_t i = 0; i < filters->n; i++)
		shared = shared || is_shared(filters->items[i].value);
	if (shared)
		config_complain(scope, "no_local", NULL,
			"MQTT forbids it for a shared subscription [MQTT-3.8.3-4]; leave out one of the two");
}

static void refuse_in_3_1_1(struct config_scope *scope)
{
	static const char *const keys[][2] = {
		{"group", "MQTT 3.1.1 has no shared subscriptions; use version 5 (for a broker that has them all the "
			  "same, write $share/<group>/<filter> as the topic)"},
		{"no_local", "MQTT 3.1.1 does not have it; use version 5 or leave it out"},
		{"retain_as_published", "MQTT 3.1.1 does not have it; use version 5 or leave it out"},
		{"retain_handling", "MQTT 3.1.1 does not have it; use version 5 or leave it out"},
	};
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (config_given(scope, keys[i][0], NULL))
			config_complain(scope, keys[i][0], NULL, "%s", keys[i][1]);
}

void mqtt_from_check(
	const void *settings, const void *from_settings, const struct config_list *filters, struct config_scope *scope)
{
	const struct mqtt_from *from = from_settings;
	if (mqtt_settings_version(settings) == MQTT_3_1_1)
		refuse_in_3_1_1(scope);
	if (from->group)
		check_group(from, filters, scope);
	if (from->no_local)
		check_no_local(from, filters, scope);
}

const char *mqtt_from_group(const void *from_settings)
{
	return ((const struct mqtt_from *)from_settings)->group;
}

bool mqtt_from_ignores_own(const void *settings, const void *from_settings)
{
	(void)settings;
	return ((const struct mqtt_from *)from_settings)->no_local;
}

/* In version 5 subscription identifiers tell. */
const char *mqtt_from_check_overlap(const void *settings)
{
	return mqtt_settings_version(settings) == MQTT_3_1_1
		       ? "an MQTT 3.1.1 broker may send a message once for each of them and does not say for which; "
			 "use version 5, or filters of one QoS that do not overlap"
		       : NULL;
}

uint8_t mqtt_from_options(const struct mqtt_from *from, enum mqtt_version version)
{
	if (version == MQTT_3_1_1)
		return 0;
	if (!from)
		return 1 << 3 | 1 << 4;
	return (uint8_t)(from->no_local << 2 | from->retain_as_published << 3 | from->retain_handling << 4);
}
