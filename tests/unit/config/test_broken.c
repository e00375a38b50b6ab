/* SPDX-License-Identifier: Apache-2.0
 *
 * broken/NN-name.yaml: each is refused with exactly the messages of broken/NN-name.expect; warned/NN-name.yaml: each is
 * loaded with exactly those warnings. They are written for the connectors of connectors.c. real/broken and real/warned are for
 * those that linkspan has: mistakes that people make who know other bridges, jq or YAML, as they make them. To see what a file
 * gives today, run this program with its path; to accept it, write the output to the .expect file and read it.
 */
#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/config/files.h"
#include "tests/unit/tap.h"

#define MIN_FILES 125
#define MAX_FILES 300

static char *names[MAX_FILES];
static size_t n_names, at;

static size_t count_warnings(const char *errors)
{
	size_t n = 0;
	for (; (errors = strstr(errors, ": warning: ")); errors++)
		n++;
	return n;
}

static struct loaded load(const char *path)
{
	return strncmp(path, "real/", 5) == 0 ? files_load_real(path) : files_load(path);
}

static void test_file(void)
{
	char yaml[300], expect[300];
	snprintf(yaml, sizeof yaml, "%s.yaml", names[at]);
	snprintf(expect, sizeof expect, "%s.expect", names[at]);
	struct loaded loaded = load(yaml);
	char *wanted = files_read(expect);
	CU_ASSERT_PTR_NOT_NULL(wanted);
	bool broken = strstr(names[at++], "broken/") != NULL;
	CU_ASSERT((loaded.result != 0) == broken && (loaded.mistakes > 0) == broken && !loaded.config == broken);
	CU_ASSERT(broken || loaded.config->n_warnings == count_warnings(loaded.errors));
	CU_ASSERT_PTR_NULL(strstr(loaded.errors, "hunter2"));
	if (wanted && strcmp(loaded.errors, wanted) != 0) {
		CU_FAIL("the messages differ");
		char *rest = NULL;
		for (char *line = strtok_r(loaded.errors, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
			printf("# %s\n", line);
	}
	free(wanted);
	files_unload(&loaded);
}

static int is_yaml(const struct dirent *entry)
{
	return fnmatch("[0-9]*-*.yaml", entry->d_name, 0) == 0;
}

static void test_enough(void)
{
	CU_ASSERT(n_names >= MIN_FILES);
}

static int show(const char *path)
{
	struct loaded loaded = load(path);
	fputs(loaded.errors, stdout);
	files_unload(&loaded);
	return 0;
}

static struct tap_test tests[MAX_FILES + 2];

static void collect(const char *folder)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, is_yaml, alphasort);
	for (int i = 0; i < n; i++) {
		char name[300];
		const char *file = entries[i]->d_name;
		snprintf(name, sizeof name, "%s/%.*s", folder, (int)(strlen(file) - strlen(".yaml")), file);
		if (n_names < MAX_FILES) {
			names[n_names] = strdup(name);
			tests[n_names] = (struct tap_test){names[n_names], test_file};
			n_names++;
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

int main(int argc, char **argv)
{
	files_enter();
	if (argc > 1)
		return show(argv[1]);
	collect("broken");
	collect("warned");
	collect("real/broken");
	collect("real/warned");
	tests[n_names] = (struct tap_test){"there are enough of them", test_enough};
	int status = tap_main("broken configuration", tests);
	for (size_t i = 0; i < n_names; i++)
		free(names[i]);
	return status;
}
