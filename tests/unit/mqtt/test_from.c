/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of `from` with an MQTT connection: what they become on the wire, and what is refused.
 */
#include "connectors/mqtt/from.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"
#include "tests/unit/tap.h"

/* Loads a configuration with one connection and mappings m0, m1 … with these `from` keys, NULL-terminated. What was
 * written about its mistakes, to be freed. */
static char *load(const char *version, const char *const *from, const char *more, struct config **ret_config)
{
	char path[300], *errors = NULL;
	size_t size;
	snprintf(path, sizeof path, "%s/linkspan.yaml", tap_tempdir());
	FILE *file = fopen(path, "w");
	fprintf(file,
		"data_dir: /tmp\nconnections:\n  near: {type: mqtt, url: 'mqtt://h', client_id: me, version: %s}\n"
		"  far: {type: mqtt, url: 'mqtt://g', client_id: me}\nmappings:\n",
		version);
	for (int i = 0; from[i]; i++)
		fprintf(file,
			"  - name: m%d\n    from: {connection: near, %s}\n    to: {connection: far, topic: x}\n%s", i,
			from[i], more);
	fclose(file);
	file = open_memstream(&errors, &size);
	*ret_config = NULL;
	int r = config_load(path, file, ret_config, NULL);
	(void)r;
	fclose(file);
	return errors;
}

static void refused(const char *version, const char *from, const char *complaint)
{
	const char *const all[] = {from, NULL};
	struct config *config;
	char *errors = load(version, all, "", &config);
	CU_ASSERT(!config);
	CU_ASSERT(strstr(errors, complaint) != NULL);
	if (!strstr(errors, complaint))
		printf("# %s\n", errors);
	free(errors);
	config_free(config);
}

static void test_options(void)
{
	static const char *const from[] = {
		"topic: a",
		"topic: ['b/{x}', c], group: team",
		"topic: d, no_local: true, retain_as_published: false, retain_handling: never",
		"topic: e, retain_handling: always",
		NULL,
	};
	struct config *config;
	char *errors = load("5", from, "", &config);
	CU_ASSERT_STRING_EQUAL(errors, "");
	CU_ASSERT_FATAL(config != NULL);
	static const uint8_t options[] = {0x18, 0x18, 0x24, 0x08};
	for (size_t i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(mqtt_from_options(config->mappings[i].from_settings, MQTT_5_0), options[i]);
		CU_ASSERT_EQUAL(mqtt_from_options(config->mappings[i].from_settings, MQTT_3_1_1), 0);
	}
	CU_ASSERT_EQUAL(mqtt_from_options(NULL, MQTT_5_0), options[0]);
	CU_ASSERT_STRING_EQUAL(config->mappings[0].filters.items[0].value, "a");
	CU_ASSERT_STRING_EQUAL(config->mappings[1].filters.items[0].value, "$share/team/b/{x}");
	CU_ASSERT_STRING_EQUAL(config->mappings[1].filters.items[1].value, "$share/team/c");
	config_free(config);
	free(errors);
}

static void test_refused(void)
{
	refused("5", "topic: a, group: ''", "group");
	refused("5", "topic: a, group: a/b", ":7:47: group: this is no name for a group");
	refused("5", "topic: a, group: '+'", "group: this is no name");
	refused("5", "topic: a, group: '{x}'", "group: this is no name");
	refused("5", "topic: [a, $share/g/b], group: g", ":7:41: topic.1: the filter has a $share group already");
	refused("5", "topic: a, group: g, no_local: true", "no_local: MQTT forbids it for a shared subscription");
	refused("5", "topic: $share/g/a, no_local: true", "no_local: MQTT forbids it for a shared subscription");
	refused("5", "topic: a, retain_handling: 1", "retain_handling");
	refused("3.1.1", "topic: a, group: g", "group: MQTT 3.1.1 has no shared subscriptions");
	refused("3.1.1", "topic: a, no_local: true", "no_local: MQTT 3.1.1 does not have it");
	refused("3.1.1", "topic: a, retain_as_published: true", "retain_as_published: MQTT 3.1.1 does not have it");
	refused("3.1.1", "topic: a, retain_handling: new", "retain_handling: MQTT 3.1.1 does not have it");
}

static void test_one_filter_two_ways(void)
{
	static const char *const from[] = {
		"topic: [z, 'a/{x}']", "topic: a/+, qos: 0", "topic: 'a/{y}', no_local: true", NULL};
	struct config *config;
	char *errors = load("5", from, "", &config);
	CU_ASSERT(!config);
	CU_ASSERT(strstr(errors, ":13:37: mapping 'm0' (line 6) reads this filter with another 'no_local'") != NULL);
	CU_ASSERT(strstr(errors, ":10:") == NULL);
	free(errors);
	static const char *const shared[] = {"topic: a, group: g", "topic: a, group: h", "topic: a", NULL};
	errors = load("5", shared, "", &config);
	CU_ASSERT_STRING_EQUAL(errors, "");
	free(errors);
	config_free(config);
}

static void test_overlap(void)
{
	static const char *const from[] = {"topic: a/+, qos: 1", "topic: a/#, qos: 0", NULL};
	static const char declared[] = "    delivery: exactly-once\n", reason[] = "an MQTT 3.1.1 broker may send";
	struct config *config;
	char *errors = load("3.1.1", from, declared, &config);
	CU_ASSERT(!config && strstr(errors, "the filters 'a/#' and 'a/+' overlap") && strstr(errors, reason));
	free(errors);
	errors = load("5", from, declared, &config);
	CU_ASSERT(!strstr(errors, reason)); /* identifiers tell */
	free(errors);
	config_free(config);
	errors = load("3.1.1", from, "", &config);
	CU_ASSERT(config && !strstr(errors, reason)); /* that both write the same is another matter */
	free(errors);
	config_free(config);
}

static const struct tap_test tests[] = {
	{"the options byte and the group", test_options},
	{"what is refused", test_refused},
	{"one filter, two ways", test_one_filter_two_ways},
	{"exactly-once and filters that overlap", test_overlap},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt from", tests);
}
