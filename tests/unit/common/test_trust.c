/* SPDX-License-Identifier: Apache-2.0
 *
 * Authorities: how often their files are parsed, and what a connection finds in its store.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "connectors/common/trust.h"
#include "tests/unit/mqtt/certificates.h"
#include "tests/unit/tap.h"

static const char *folder;
static struct certificate ca, other, server;

static void make_certificates(void)
{
	folder = tap_tempdir();
	certificate_authority(folder, "ca", &ca);
	certificate_authority(folder, "other", &other);
	certificate_issue(folder, "server", &ca, "DNS:localhost", 2, &server);
}

static X509_STORE *store_with(const char *path)
{
	X509_STORE *store = X509_STORE_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(store);
	CU_ASSERT_EQUAL(trust_add(path, store), 0);
	return store;
}

static int size_of(X509_STORE *store)
{
	return sk_X509_OBJECT_num(X509_STORE_get0_objects(store));
}

/* The only certificate that is there; borrowed. */
static X509 *only_one(X509_STORE *store)
{
	CU_ASSERT_EQUAL_FATAL(size_of(store), 1);
	return X509_OBJECT_get0_X509(sk_X509_OBJECT_value(X509_STORE_get0_objects(store), 0));
}

static bool trusts(X509_STORE *store, const char *path)
{
	FILE *file = fopen(path, "r");
	X509 *cert = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	CU_ASSERT_FATAL(cert && ctx && X509_STORE_CTX_init(ctx, store, cert, NULL) == 1);
	bool good = X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	X509_free(cert);
	fclose(file);
	ERR_clear_error();
	return good;
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs(text, file);
	fclose(file);
}

/* In place, as cp does: the inode stays. */
static void copy_file(const char *from, const char *to)
{
	char text[8192];
	FILE *file = fopen(from, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	write_text(to, text);
}

static void test_parsed_once(void)
{
	uint64_t before = trust_parses();
	X509_STORE *first = store_with(ca.cert), *second = store_with(ca.cert);
	CU_ASSERT_EQUAL(trust_parses(), before + 1);
	CU_ASSERT_PTR_NOT_EQUAL(first, second);
	CU_ASSERT_PTR_EQUAL(only_one(first), only_one(second));
	CU_ASSERT(trusts(first, server.cert));
	X509_STORE_free(first);
	CU_ASSERT(trusts(second, server.cert));
	X509_STORE_free(second);
}

/* libcurl does so with the stores of its connections. */
static void test_flags_are_not_shared(void)
{
	X509_STORE *first = store_with(ca.cert);
	X509_STORE_set_flags(first, X509_V_FLAG_PARTIAL_CHAIN);
	X509_STORE *second = store_with(ca.cert);
	CU_ASSERT_EQUAL(X509_VERIFY_PARAM_get_flags(X509_STORE_get0_param(second)) & X509_V_FLAG_PARTIAL_CHAIN, 0);
	X509_STORE_free(first);
	X509_STORE_free(second);
}

static void test_a_file_that_changes(void)
{
	char path[300], beside[300];
	snprintf(path, sizeof path, "%s/renewed.pem", folder);
	snprintf(beside, sizeof beside, "%s/renewed.new", folder);
	copy_file(other.cert, path);
	X509_STORE *before = store_with(path);
	CU_ASSERT(!trusts(before, server.cert));
	copy_file(ca.cert, beside);
	CU_ASSERT_EQUAL(rename(beside, path), 0);
	X509_STORE *after = store_with(path);
	CU_ASSERT(trusts(after, server.cert));
	CU_ASSERT(!trusts(before, server.cert));
	X509_STORE_free(before);
	X509_STORE_free(after);
	copy_file(other.cert, path);
	after = store_with(path);
	CU_ASSERT(!trusts(after, server.cert));
	X509_STORE_free(after);
}

static void refused(const char *path)
{
	X509_STORE *store = X509_STORE_new();
	ERR_clear_error();
	CU_ASSERT(trust_add(path, store) < 0);
	CU_ASSERT(ERR_peek_error() != 0);
	CU_ASSERT_EQUAL(size_of(store), 0);
	ERR_clear_error();
	X509_STORE_free(store);
}

static void test_files_that_are_no_good(void)
{
	char path[300], away[300];
	snprintf(path, sizeof path, "%s/garbage.pem", folder);
	snprintf(away, sizeof away, "%s/away.pem", folder);
	X509_STORE *store = X509_STORE_new();
	ERR_clear_error();
	CU_ASSERT(trust_add(path, store) < 0);
	CU_ASSERT(ERR_SYSTEM_ERROR(ERR_peek_error()) && ERR_GET_REASON(ERR_peek_error()) == ENOENT);
	X509_STORE_free(store);
	write_text(path, "this is no certificate\n");
	uint64_t before = trust_parses();
	refused(path);
	refused(path);
	CU_ASSERT_EQUAL(trust_parses(), before + 2);
	copy_file(ca.cert, path);
	X509_STORE_free(store_with(path));
	/* One that was good is no more, and comes back. */
	CU_ASSERT_EQUAL(rename(path, away), 0);
	refused(path);
	CU_ASSERT_EQUAL(rename(away, path), 0);
	before = trust_parses();
	X509_STORE_free(store_with(path));
	CU_ASSERT_EQUAL(trust_parses(), before + 1);
}

static void test_many_files(void)
{
	char path[300];
	enum { MANY = 40 };
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof path, "%s/many%d.pem", folder, i);
		copy_file(ca.cert, path);
		X509_STORE_free(store_with(path));
		X509_STORE_free(store_with(ca.cert));
	}
	uint64_t before = trust_parses();
	X509_STORE_free(store_with(path));
	X509_STORE_free(store_with(ca.cert));
	CU_ASSERT_EQUAL(trust_parses(), before);
	snprintf(path, sizeof path, "%s/many0.pem", folder);
	X509_STORE_free(store_with(path));
	CU_ASSERT_EQUAL(trust_parses(), before + 1);
}

static void test_the_system_s(void)
{
	char hashed[340], none[300];
	setenv("SSL_CERT_FILE", ca.cert, 1);
	snprintf(none, sizeof none, "%s/none", folder);
	setenv("SSL_CERT_DIR", none, 1);
	trust_prepare(NULL);
	uint64_t before = trust_parses();
	X509_STORE *store = store_with(NULL);
	CU_ASSERT_EQUAL(trust_parses(), before);
	CU_ASSERT(trusts(store, server.cert));
	X509_STORE_free(store);
	/* Neither there: nobody is trusted, and it is no error. */
	setenv("SSL_CERT_FILE", none, 1);
	ERR_clear_error();
	store = store_with(NULL);
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	CU_ASSERT(size_of(store) == 0 && !trusts(store, server.cert));
	X509_STORE_free(store);
	/* The folder alone. What changes there in place is seen as well. */
	FILE *file = fopen(ca.cert, "r");
	X509 *cert = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	CU_ASSERT_EQUAL(mkdir(none, 0700), 0);
	snprintf(hashed, sizeof hashed, "%s/%08lx.0", none, X509_subject_name_hash(cert));
	X509_free(cert);
	copy_file(ca.cert, hashed);
	store = store_with(NULL);
	CU_ASSERT(trusts(store, server.cert));
	X509_STORE_free(store);
	copy_file(other.cert, hashed);
	store = store_with(NULL);
	CU_ASSERT(!trusts(store, server.cert));
	X509_STORE_free(store);
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
}

/* What the loop and the check of a configuration do at the same time. */
static void *add_many_times(void *arg)
{
	char path[300];
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof path, "%s/many%d.pem", folder, i % 20);
		X509_STORE *store = X509_STORE_new();
		if (!store || trust_add(path, store) < 0 || !trusts(store, server.cert))
			*(bool *)arg = true;
		X509_STORE_free(store);
		if (i % 50 == 0)
			trust_prepare(NULL);
	}
	return NULL;
}

static void test_two_threads(void)
{
	bool failed[2] = {false, false};
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, add_many_times, &failed[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT(!failed[0] && !failed[1]);
}

static const struct tap_test tests[] = {
	{"two connections parse a file once", test_parsed_once},
	{"flags of a store are its own", test_flags_are_not_shared},
	{"a file that changes", test_a_file_that_changes},
	{"files that are no good", test_files_that_are_no_good},
	{"more files than are kept", test_many_files},
	{"the system's", test_the_system_s},
	{"two threads", test_two_threads},
	{NULL, NULL},
};

int main(void)
{
	make_certificates();
	return tap_main("trust", tests);
}
