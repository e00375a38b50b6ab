/* SPDX-License-Identifier: Apache-2.0
 *
 * What a changed file changes, by two loads of it.
 */
#include "config/difference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/config/files.h"
#include "tests/unit/tap.h"

static const char before_text[] =
	"data_dir: state\n"
	"journal: {linger: 20ms}\n"
	"connections:\n"
	"  in: {type: mqtt, url: mqtt://b, username: edge, outbox: {window: 5, max_rate: {bytes: 1MiB}}}\n"
	"  out: {type: kafka, brokers: [k1:9092, k2:9092], properties: {linger.ms: 5}}\n"
	"mappings:\n"
	"  - {name: m, from: {connection: in, topic: a}, to: {connection: out, topic: t}}\n";

static const char *folder;
static struct loaded before;

/* The text with the first `from` in it replaced. */
static struct loaded load_changed(const char *from, const char *to)
{
	char text[2 * sizeof before_text];
	const char *at = strstr(before_text, from);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	int len = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - before_text), before_text, to, at + strlen(from));
	struct loaded loaded = files_load_text(folder, "after.yaml", text, (size_t)len);
	if (loaded.result < 0)
		printf("# %s\n", loaded.errors);
	CU_ASSERT_EQUAL_FATAL(loaded.result, 0);
	return loaded;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void test_connections(void)
{
	static const struct {
		const char *from, *to, *in, *out; /* keys that differ */
	} changes[] = {
		{"linger: 20ms", "linger: 20ms", NULL, NULL},
		{"edge", "\"edge\"", NULL, NULL},
		{"1MiB", "1024KiB", NULL, NULL},
		{"topic: a", "topic: b", NULL, NULL},
		{"edge", "other", "username", NULL},
		{"username: edge, ", "", "username", NULL},
		{"window: 5", "window: 6", "outbox", NULL},
		{"1MiB", "2MiB", "outbox", NULL},
		{"window: 5,", "window: 5, ttl: 1h,", "outbox", NULL},
		{"url: mqtt://b", "url: mqtt://c", "url", NULL},
		{"type: kafka", "delivery: at-most-once, type: kafka", NULL, "delivery"},
		{"k2:9092", "k3:9092", NULL, "brokers"},
		{"linger.ms: 5", "linger.ms: 6", NULL, "properties"},
	};
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		struct loaded after = load_changed(changes[i].from, changes[i].to);
		const struct connection_config *a = before.config->connections, *b = after.config->connections;
		const char *in = connection_difference(&a[0], &b[0]), *out = connection_difference(&a[1], &b[1]);
		if (!same_text(in, changes[i].in) || !same_text(out, changes[i].out))
			printf("# '%s' to '%s': %s, %s\n", changes[i].from, changes[i].to, in ? in : "-",
				out ? out : "-");
		CU_ASSERT(same_text(in, changes[i].in));
		CU_ASSERT(same_text(out, changes[i].out));
		files_unload(&after);
	}
	CU_ASSERT_STRING_EQUAL(
		connection_difference(&before.config->connections[0], &before.config->connections[1]), "type");
}

static void test_fixed(void)
{
	static const struct {
		const char *from, *to, *key;
	} changes[] = {
		{"topic: a", "topic: b", NULL},
		{"data_dir: state\n", "data_dir: state\nlog: {level: debug}\nshutdown_timeout: 1s\n", NULL},
		{"linger: 20ms", "linger: 20ms, max_keys: 1000000", NULL},
		{"data_dir: state", "data_dir: other", "data_dir"},
		{"20ms", "30ms", "journal.linger"},
		{"linger: 20ms", "linger: 20ms, segment_size: 8MiB", "journal.segment_size"},
		{"data_dir: state\n", "data_dir: state\nadmin: {listen: \"127.0.0.1:1\"}\n", "admin.listen"},
	};
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		struct loaded after = load_changed(changes[i].from, changes[i].to);
		char *key = config_fixed_difference(before.config, after.config);
		if (!same_text(key, changes[i].key))
			printf("# '%s' to '%s': %s\n", changes[i].from, changes[i].to, key ? key : "-");
		CU_ASSERT(same_text(key, changes[i].key));
		free(key);
		files_unload(&after);
	}
}

static void test_data_dir(void)
{
	char path[600], *found;
	snprintf(path, sizeof path, "%s/broken.yaml", folder);
	FILE *out = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	fputs("data_dir: state\nnonsense: 1\nconnections: {a: {type: nothing}}\n", out);
	fclose(out);
	found = config_data_dir(path);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	CU_ASSERT_EQUAL(strncmp(found, folder, strlen(folder)), 0);
	CU_ASSERT_STRING_EQUAL(found + strlen(folder), "/state");
	free(found);
	out = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	fputs("data_dir: [\n", out);
	fclose(out);
	CU_ASSERT_PTR_NULL(config_data_dir(path));
	remove(path);
	CU_ASSERT_PTR_NULL(config_data_dir(path));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"a connection is another one by its keys alone, however they are written", test_connections},
		{"what is only read at the start", test_fixed},
		{"the data folder of a file with mistakes", test_data_dir},
		{NULL, NULL},
	};
	folder = tap_tempdir();
	before = files_load_text(folder, "before.yaml", before_text, sizeof before_text - 1);
	int status = before.config ? tap_main("differences of configurations", tests) : 1;
	files_unload(&before);
	return status;
}
