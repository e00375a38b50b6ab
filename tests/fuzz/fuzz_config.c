/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration file: any bytes give a configuration or mistakes with their places, and no secret is ever printed.
 * Loading reads files, so each process has one of its own in memory, in a folder of its own.
 */
#define _GNU_SOURCE /* memmem */
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "tests/fuzz/fuzz.h"

/* In ${env:LINKSPAN_FUZZ} and ${file:secret}. */
static const char secret[] = "q7XkV9zW2mPd";
static char folder[64], main_file[96], secret_file[96];

static void write_file(const char *name, const void *data, size_t size)
{
	FILE *file = fopen(name, "wb");
	fuzz_require(file != NULL);
	fuzz_require(fwrite(data, 1, size, file) == size);
	fuzz_require(fclose(file) == 0);
}

static void remove_folder(void)
{
	(void)unlink(main_file);
	(void)unlink(secret_file);
	(void)rmdir(folder);
}

static void make_folder(void)
{
	snprintf(folder, sizeof folder, "%s/linkspan-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	fuzz_require(mkdtemp(folder) != NULL);
	snprintf(main_file, sizeof main_file, "%s/linkspan.yaml", folder);
	snprintf(secret_file, sizeof secret_file, "%s/secret", folder);
	write_file(secret_file, secret, sizeof secret - 1);
	fuzz_require(setenv("LINKSPAN_FUZZ", secret, 1) == 0);
	fuzz_require(setenv("LINKSPAN_MAPPINGS", folder, 1) == 0);
	atexit(remove_folder);
}

static void check_outcome(int err, size_t mistakes, const char *printed, struct config *config)
{
	if (err) {
		fuzz_require(mistakes > 0 && !config);
		fuzz_require(strstr(printed, "linkspan.yaml"));
		return;
	}
	fuzz_require(mistakes == 0 && config && config->data_dir);
	for (size_t i = 0; i < config->n_mappings; i++) {
		const struct mapping_config *map = &config->mappings[i];
		fuzz_require(map->from_connection < config->n_connections && map->n_targets > 0);
		for (size_t j = 0; j < map->n_targets; j++)
			fuzz_require(map->targets[j].connection < config->n_connections);
	}
	config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!folder[0])
		make_folder();
	write_file(main_file, data, size);
	char *printed = NULL;
	size_t len = 0, mistakes = 0;
	struct config *config = NULL;
	FILE *errors = open_memstream(&printed, &len);
	fuzz_require(errors != NULL);
	int err = config_load(main_file, errors, &config, &mistakes);
	fuzz_require(fclose(errors) == 0);
	check_outcome(err, mistakes, printed, config);
	/* A part of it may stand in the file itself, and what stands there may be shown. */
	if (size == 0 || !memmem(data, size, secret, 4))
		fuzz_require(!memmem(printed, len, secret, sizeof secret - 1));
	free(printed);
	return 0;
}
