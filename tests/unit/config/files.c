/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading for tests.
 */
#define _GNU_SOURCE
#include "tests/unit/config/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/loader.h"
#include "connectors/connector.h"
#include "tests/unit/config/connectors.h"

void files_enter(void)
{
	const char *srcdir = getenv("srcdir");
	char *path;
	if (asprintf(&path, "%s/tests/unit/config", srcdir ? srcdir : ".") < 0 || chdir(path) < 0) {
		printf("Bail out! no folder tests/unit/config below $srcdir\n");
		exit(1);
	}
	free(path);
	setenv("LINKSPAN_TEST_SITE", "Emden", 1);
	setenv("LINKSPAN_TEST_SECRET", "hunter2", 1);
	setenv("LINKSPAN_TEST_NUMBER", "12", 1);
	unsetenv("LINKSPAN_TEST_UNSET");
}

static struct loaded load_with(const char *path, const struct connector *const *registry)
{
	struct config_options options = {.connectors = registry, .mappings_dir = "mappings"};
	struct loaded loaded = {0};
	size_t size;
	FILE *errors = open_memstream(&loaded.errors, &size);
	loaded.result = config_load_with(&options, path, errors, &loaded.config, &loaded.mistakes);
	fclose(errors);
	return loaded;
}

struct loaded files_load(const char *path)
{
	return load_with(path, file_connectors);
}

struct loaded files_load_real(const char *path)
{
	return load_with(path, connectors);
}

struct loaded files_load_text(const char *folder, const char *name, const char *text, size_t len)
{
	char *path;
	if (asprintf(&path, "%s/%s", folder, name) < 0)
		abort();
	FILE *file = fopen(path, "w");
	if (!file || fwrite(text, 1, len, file) != len || fclose(file) != 0)
		abort();
	struct loaded loaded = files_load(path);
	free(path);
	return loaded;
}

void files_unload(struct loaded *loaded)
{
	config_free(loaded->config);
	free(loaded->errors);
}

char *files_read(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;
	if (!file)
		return NULL;
	if (getdelim(&text, &size, EOF, file) < 0) {
		free(text);
		text = calloc(1, 1);
	}
	fclose(file);
	return text;
}
