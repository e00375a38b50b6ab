/* SPDX-License-Identifier: Apache-2.0
 *
 * broken/NN-name.yaml: each is refused with exactly the messages of broken/NN-name.expect. To see what a file gives
 * today, run this program with its path; to accept it, write the output to the .expect file and read it.
 */
#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/config/files.h"
#include "tests/unit/tap.h"

#define MIN_FILES 40
#define MAX_FILES 200

static char *names[MAX_FILES];
static size_t n_names, at;

static void test_file(void)
{
	char yaml[300], expect[300];
	snprintf(yaml, sizeof yaml, "broken/%s.yaml", names[at]);
	snprintf(expect, sizeof expect, "broken/%s.expect", names[at++]);
	struct loaded loaded = files_load(yaml);
	char *wanted = files_read(expect);
	CU_ASSERT_PTR_NOT_NULL(wanted);
	CU_ASSERT(loaded.result != 0 && loaded.mistakes > 0 && !loaded.config);
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
	return fnmatch("[0-9][0-9]-*.yaml", entry->d_name, 0) == 0;
}

static void test_enough(void)
{
	CU_ASSERT(n_names >= MIN_FILES);
}

static int show(const char *path)
{
	struct loaded loaded = files_load(path);
	fputs(loaded.errors, stdout);
	files_unload(&loaded);
	return 0;
}

int main(int argc, char **argv)
{
	static struct tap_test tests[MAX_FILES + 2];
	struct dirent **entries;
	files_enter();
	if (argc > 1)
		return show(argv[1]);
	int n = scandir("broken", &entries, is_yaml, alphasort);
	for (int i = 0; i < n && i < MAX_FILES; i++) {
		names[i] = strdup(entries[i]->d_name);
		names[i][strlen(names[i]) - strlen(".yaml")] = '\0';
		tests[n_names++] = (struct tap_test){names[i], test_file};
		free(entries[i]);
	}
	tests[n_names] = (struct tap_test){"there are enough of them", test_enough};
	int status = tap_main("broken configuration", tests);
	for (size_t i = 0; i < n_names; i++)
		free(names[i]);
	if (n >= 0)
		free(entries);
	return status;
}
