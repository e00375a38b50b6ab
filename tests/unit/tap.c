/* SPDX-License-Identifier: Apache-2.0
 *
 * TAP output for CUnit, and temporary folders for tests.
 */
#define _GNU_SOURCE
#include "tests/unit/tap.h"

#include <CUnit/TestRun.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned number;
static char *tempdirs[64];
static size_t n_tempdirs;

static void on_test_complete(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failures)
{
	printf("%sok %u - %s: %s\n", failures ? "not " : "", ++number, suite->pName, test->pName);
	for (CU_pFailureRecord f = failures; f; f = f->pNext)
		printf("# %s:%u: %s\n", f->strFileName ? f->strFileName : "?", f->uiLineNumber,
			f->strCondition ? f->strCondition : "?");
	fflush(stdout);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void remove_tempdirs(void)
{
	for (size_t i = 0; i < n_tempdirs; i++) {
		nftw(tempdirs[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
		free(tempdirs[i]);
	}
}

const char *tap_tempdir(void)
{
	const char *base = getenv("TMPDIR");
	char *path;
	if (n_tempdirs == sizeof tempdirs / sizeof tempdirs[0] ||
		asprintf(&path, "%s/linkspan-test-XXXXXX", base ? base : "/tmp") < 0 || !mkdtemp(path)) {
		printf("Bail out! no temporary folder\n");
		exit(1);
	}
	if (n_tempdirs == 0)
		atexit(remove_tempdirs);
	return tempdirs[n_tempdirs++] = path;
}

int tap_main(const char *suite, const struct tap_test *tests)
{
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	CU_pSuite added = CU_add_suite(suite, NULL, NULL);
	for (const struct tap_test *test = tests; test->name; test++)
		CU_add_test(added, test->name, test->run);
	CU_set_test_complete_handler(on_test_complete);
	CU_run_all_tests();
	printf("1..%u\n", number);
	CU_cleanup_registry();
	return 0;
}
