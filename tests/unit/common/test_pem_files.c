/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of certificates and keys: those that are good, and what is complained of at which key.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "connectors/common/pem_files.h"
#include "tests/unit/kafka/complaints.h"
#include "tests/unit/mqtt/certificates.h"
#include "tests/unit/tap.h"

static struct certificate ca, own, other, expired, soon;
static char junk[300];
static struct config_scope scope;

static void make_all(void)
{
	const char *folder = tap_tempdir();
	certificate_authority(folder, "ca", &ca);
	certificate_issue(folder, "own", &ca, "DNS:localhost", 365, &own);
	certificate_issue(folder, "other", &ca, "DNS:localhost", 365, &other);
	certificate_issue(folder, "expired", &ca, "DNS:localhost", -1, &expired);
	certificate_issue(folder, "soon", &ca, "DNS:localhost", 7, &soon);
	snprintf(junk, sizeof junk, "%s/junk", folder);
	FILE *file = fopen(junk, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n", file);
	fclose(file);
}

static unsigned check(const char *authority, const char *cert, const char *key)
{
	struct pem_files files = {.ca_key = "client_ca", .ca = authority, .cert = cert, .key = key};
	memset(&scope, 0, sizeof scope);
	pem_files_check(&files, &scope);
	return scope.n;
}

static bool complains(const char *item)
{
	return scope.n == 1 && strcmp(scope.complaints[0].key, "tls") == 0 &&
	       strcmp(scope.complaints[0].item, item) == 0;
}

static void test_good(void)
{
	make_all();
	CU_ASSERT_EQUAL(check(ca.cert, own.cert, own.key), 0);
	CU_ASSERT_EQUAL(check(ca.cert, NULL, NULL), 0);
	CU_ASSERT_EQUAL(check(NULL, own.cert, own.key), 0);
	CU_ASSERT_EQUAL(check(NULL, NULL, NULL), 0);
	CU_ASSERT_EQUAL(scope.n_warnings, 0);
}

static void test_wrong(void)
{
	check(junk, own.cert, own.key);
	CU_ASSERT(complains("client_ca"));
	check(ca.cert, junk, own.key);
	CU_ASSERT(complains("cert"));
	check(ca.cert, own.cert, own.cert);
	CU_ASSERT(complains("key"));
	check(ca.cert, own.cert, other.key);
	CU_ASSERT(complains("key"));
	CU_ASSERT(scope.n == 1 && strstr(scope.complaints[0].text, "belongs"));
	check(ca.cert, own.cert, "/no/such/file");
	CU_ASSERT(complains("key"));
}

static void test_ends(void)
{
	CU_ASSERT_EQUAL(check(NULL, expired.cert, expired.key), 0);
	CU_ASSERT(scope.n_warnings == 1 && strstr(scope.warning, "expired"));
	CU_ASSERT_EQUAL(check(NULL, soon.cert, soon.key), 0);
	CU_ASSERT(scope.n_warnings == 1 && strstr(scope.warning, "days"));
	CU_ASSERT_EQUAL(check(soon.cert, NULL, NULL), 0);
	CU_ASSERT_EQUAL(scope.n_warnings, 0);
}

static void test_read(void)
{
	struct buffer bytes, key;
	buffer_init(&bytes, 0);
	buffer_init(&key, 0);
	CU_ASSERT_EQUAL(pem_file_read("/no/such/file", &bytes), -ENOENT);
	CU_ASSERT_EQUAL(pem_file_read("/dev/zero", &bytes), -EFBIG);
	CU_ASSERT_EQUAL(bytes.len, 0);
	CU_ASSERT_EQUAL_FATAL(pem_file_read(own.cert, &bytes), 0);
	CU_ASSERT_EQUAL_FATAL(pem_file_read(own.key, &key), 0);
	CU_ASSERT_PTR_NULL(pem_pair_check(buffer_slice(&bytes), buffer_slice(&key)));
	CU_ASSERT_PTR_NULL(pem_ca_check(buffer_slice(&bytes)));
	CU_ASSERT_PTR_NOT_NULL(pem_ca_check(buffer_slice(&key)));
	CU_ASSERT_EQUAL_FATAL(pem_file_read(other.key, &key), 0);
	CU_ASSERT_PTR_NOT_NULL(pem_pair_check(buffer_slice(&bytes), buffer_slice(&key)));
	CU_ASSERT_PTR_NOT_NULL(pem_pair_check((struct slice){NULL, 0}, buffer_slice(&key)));
	buffer_free(&bytes);
	buffer_free(&key);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"what is good is not complained of", test_good},
		{"what is wrong, at its key", test_wrong},
		{"what has expired, or will soon", test_ends},
		{"reading, and pairs", test_read},
		{NULL, NULL},
	};
	return tap_main("files of certificates", tests);
}
