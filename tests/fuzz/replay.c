/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz target once over each file of its corpus and prints TAP: what fuzzing once found stays found, with any
 * compiler. The program's name, replay_NAME, names the folder; automake gives the source folder as $srcdir.
 *
 *     replay_NAME [FILE]...      default: all of $srcdir/tests/fuzz/corpus/NAME
 */
#include <dirent.h>
#include <limits.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

/* Memory of exactly the file's size, so that a sanitizer sees every step outside. */
static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file)
		return -1;
	uint8_t *data = NULL;
	long size = -1;
	if (fseek(file, 0, SEEK_END) == 0)
		size = ftell(file);
	if (size >= 0 && fseek(file, 0, SEEK_SET) == 0)
		data = malloc(size ? (size_t)size : 1);
	int err = data && fread(data, 1, (size_t)size, file) == (size_t)size ? 0 : -1;
	fclose(file);
	if (!err)
		LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	return err;
}

static void report(const char *path, int err, int number)
{
	printf("%s %d - %s\n", err ? "not ok" : "ok", number, path);
}

static int replay_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	int count = 0, failed = 0;
	for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
		char path[PATH_MAX];
		if (entry->d_name[0] == '.')
			continue;
		int len = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		failed += len >= (int)sizeof path || replay_file(path) != 0;
		count++;
	}
	if (dir)
		closedir(dir);
	fprintf(stderr, "# %d inputs\n", count);
	return count > 0 && !failed ? 0 : -1;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash ? slash + 1 : argv[0];
	const char *srcdir = getenv("srcdir");
	char folder[PATH_MAX];
	for (int i = 1; i < argc; i++)
		report(argv[i], replay_file(argv[i]), i);
	if (argc == 1 && strncmp(name, "replay_", 7) == 0) {
		int len = snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".", name + 7);
		report(folder, len < (int)sizeof folder ? replay_folder(folder) : -1, 1);
	}
	printf("1..%d\n", argc > 1 ? argc - 1 : 1);
	return 0;
}
