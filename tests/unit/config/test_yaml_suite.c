/* SPDX-License-Identifier: Apache-2.0
 *
 * Every document of the public YAML test suite as a configuration, alone and behind a good one: linkspan comes back, refuses
 * with a place what libyaml refuses, says that something is not YAML only where libyaml does, and never calls good what
 * libyaml does not read. libyaml is asked by a driver of its own, which looks at nothing but whether it comes to the end.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "config/memory.h"
#include "tests/unit/config/files.h"
#include "tests/unit/tap.h"

#define SUITE     "yaml-test-suite"
#define MIN_FILES 400

static const char good[] = "data_dir: d\n"
			   "connections:\n"
			   "  plant: {type: mqtt, url: \"mqtt://localhost\"}\n"
			   "mappings:\n"
			   "  - {name: m, from: {connection: plant, topic: a}, to: {connection: plant, topic: b}}\n";

static char folder[] = "/tmp/linkspan-yaml-XXXXXX";

static int is_yaml(const struct dirent *entry)
{
	return fnmatch("*.yaml", entry->d_name, 0) == 0;
}

/* Does libyaml read it to its end, as the UTF-8 that a configuration is? */
static bool libyaml_reads(const char *text, size_t len)
{
	yaml_parser_t parser;
	yaml_event_t event;
	bool end = false, good_so_far = true;
	if (!yaml_parser_initialize(&parser))
		abort();
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (!end && good_so_far) {
		good_so_far = yaml_parser_parse(&parser, &event);
		if (!good_so_far)
			break;
		end = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return good_so_far;
}

/* Begins with "…/name.yaml:LINE:COLUMN: "? */
static bool has_place(const char *errors, const char *name)
{
	const char *at = strstr(errors, name);
	if (!at || at[strlen(name)] != ':')
		return false;
	at += strlen(name) + 1;
	size_t line = strspn(at, "0123456789");
	if (line == 0 || at[line] != ':')
		return false;
	at += line + 1;
	size_t column = strspn(at, "0123456789");
	return column > 0 && at[column] == ':';
}

static void complain(const char *name, const char *what, const char *errors)
{
	CU_FAIL("a document of the suite");
	printf("# %s: %s\n# %s\n", name, what, errors);
}

/* Returns whether libyaml refuses it. */
static bool check(const char *name, const char *text, size_t len, bool may_be_good)
{
	struct loaded loaded = files_load_text(folder, name, text, len);
	bool reads = libyaml_reads(text, len), said = strstr(loaded.errors, "not valid YAML") != NULL;
	if (loaded.result != 0 && !has_place(loaded.errors, name))
		complain(name, "refused without a place", loaded.errors);
	if (loaded.result == 0 && (!reads || !may_be_good))
		complain(name, reads ? "accepted" : "accepted, which libyaml does not read", loaded.errors);
	if (said && reads)
		complain(name, "called no YAML, which libyaml reads", loaded.errors);
	files_unload(&loaded);
	return !reads;
}

static void each(bool behind)
{
	struct dirent **entries;
	int n = scandir(SUITE, &entries, is_yaml, alphasort);
	size_t refused = 0;
	CU_ASSERT(n >= MIN_FILES);
	for (int i = 0; i < n; i++) {
		char path[300];
		snprintf(path, sizeof path, SUITE "/%s", entries[i]->d_name);
		char *text = files_read(path), *whole = memory_format("%s%s", behind ? good : "", text);
		CU_ASSERT(strlen(text) > 0 || strcmp(entries[i]->d_name, "AVM7.yaml") == 0); /* the empty one */
		refused += check(entries[i]->d_name, whole, strlen(whole), behind);
		free(whole);
		free(text);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	printf("# %d documents, libyaml refuses %zu\n", n, refused);
	CU_ASSERT(refused > 50);
}

static void test_alone(void)
{
	each(false);
}

static void test_behind(void)
{
	each(true);
}

static void remove_folder(void)
{
	DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;)
		if (is_yaml(entry))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	(void)rmdir(folder);
}

int main(void)
{
	files_enter();
	if (!mkdtemp(folder))
		return 1;
	atexit(remove_folder);
	static const struct tap_test tests[] = {
		{"each document alone", test_alone},
		{"each document behind a good configuration", test_behind},
		{NULL, NULL},
	};
	return tap_main("YAML test suite", tests);
}
