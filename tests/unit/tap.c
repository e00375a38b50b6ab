/* SPDX-License-Identifier: Apache-2.0
 *
 * TAP output for CUnit, and temporary folders and ports for tests.
 */
#define _GNU_SOURCE
#include "tests/unit/tap.h"

#include <CUnit/TestRun.h>
#include <ftw.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static unsigned number;
static char *tempdirs[64];
static size_t n_tempdirs;
static int claims[256]; /* sockets, open as long as the program runs */
static size_t n_claims;

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

static bool is_free(int port, int type)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
	if (fd >= 0)
		close(fd);
	return bound;
}

/* By a name in the abstract namespace, as free_port() of tests/lib/rig/wait.py does. Held until the program ends. */
static bool claim(int port)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	size_t len = (size_t)snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "linkspan-test-port-%d", port);
	int fd = n_claims < sizeof claims / sizeof claims[0] ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
	if (fd < 0)
		return false;
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
	if (bind(fd, (struct sockaddr *)&name, size) != 0) {
		close(fd);
		return false;
	}
	claims[n_claims++] = fd;
	return true;
}

int tap_free_port(void)
{
	for (int tries = 0; tries < 1000; tries++) {
		uint16_t dice;
		if (getrandom(&dice, sizeof dice, 0) != (ssize_t)sizeof dice)
			break;
		int port = 12000 + dice % 20000;
		if (is_free(port, SOCK_STREAM) && is_free(port, SOCK_DGRAM) && claim(port))
			return port;
	}
	printf("Bail out! no free port\n");
	exit(1);
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
