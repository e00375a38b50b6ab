/* SPDX-License-Identifier: Apache-2.0
 *
 * By the tables of keys, so that a new key counts without a word here.
 */
#include "config/difference.h"

#include <string.h>

#include "config/memory.h"
#include "config/sections.h"
#include "config/table.h"
#include "connectors/connector.h"

static const struct config_key *top_key(const char *name)
{
	const struct config_key *key = section_top_keys;
	while (key->name && strcmp(key->name, name) != 0)
		key++;
	return key->name ? key : NULL;
}

char *config_fixed_difference(const struct config *before, const struct config *after)
{
	static const char *const fixed[] = {"data_dir", "journal", "admin", NULL};
	for (const char *const *name = fixed; *name; name++) {
		const struct config_key *key = top_key(*name);
		const struct config_key alone[] = {*key, {0}};
		if (!table_difference(alone, before, after))
			continue;
		if (!key->children)
			return memory_format("%s", *name);
		return memory_format("%s.%s", *name,
			table_difference(
				key->children, (const char *)before + key->offset, (const char *)after + key->offset));
	}
	return NULL;
}

const char *connection_difference(const struct connection_config *before, const struct connection_config *after)
{
	if (before->connector != after->connector)
		return "type";
	const char *key = table_difference(section_connection_keys, before, after);
	return key ? key : table_difference(before->connector->connection_keys, before->settings, after->settings);
}

bool from_settings_equal(const struct connector *connector, const void *before, const void *after)
{
	return !connector->from_keys || !table_difference(connector->from_keys, before, after);
}
