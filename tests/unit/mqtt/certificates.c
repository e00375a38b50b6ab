/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates over the API of OpenSSL: P-256 keys, SHA-256.
 */
#include "tests/unit/mqtt/certificates.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define DAY 86400L

static void must(int ok)
{
	if (ok)
		return;
	printf("Bail out! cannot make certificates\n");
	exit(1);
}

static FILE *open_file(const char *path, const char *mode)
{
	FILE *file = fopen(path, mode);
	must(file != NULL);
	return file;
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	must(extension != NULL);
	must(X509_add_ext(cert, extension, -1));
	X509_EXTENSION_free(extension);
}

static X509 *make(const char *name, EVP_PKEY *key, long from_s, long until_s)
{
	static long serial;
	X509 *cert = X509_new();
	must(cert != NULL);
	must(X509_set_version(cert, X509_VERSION_3));
	must(ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial));
	must(X509_gmtime_adj(X509_getm_notBefore(cert), from_s) != NULL);
	must(X509_gmtime_adj(X509_getm_notAfter(cert), until_s) != NULL);
	must(X509_NAME_add_entry_by_txt(
		X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0));
	must(X509_set_pubkey(cert, key));
	return cert;
}

static void write_files(const char *folder, const char *name, X509 *cert, EVP_PKEY *key, struct certificate *ret)
{
	snprintf(ret->cert, sizeof ret->cert, "%s/%s.pem", folder, name);
	snprintf(ret->key, sizeof ret->key, "%s/%s.key", folder, name);
	FILE *file = open_file(ret->cert, "w");
	must(PEM_write_X509(file, cert));
	fclose(file);
	file = open_file(ret->key, "w");
	must(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
	fclose(file);
	X509_free(cert);
	EVP_PKEY_free(key);
}

void certificate_authority(const char *folder, const char *name, struct certificate *ret)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	must(key != NULL);
	X509 *cert = make(name, key, -DAY, DAY);
	must(X509_set_issuer_name(cert, X509_get_subject_name(cert)));
	add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
	must(X509_sign(cert, key, EVP_sha256()));
	write_files(folder, name, cert, key, ret);
}

void certificate_issue(const char *folder, const char *name, const struct certificate *ca, const char *names, int days,
	struct certificate *ret)
{
	FILE *file = open_file(ca->cert, "r");
	X509 *issuer = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	file = open_file(ca->key, "r");
	EVP_PKEY *issuer_key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	must(issuer && issuer_key && key);
	X509 *cert = make(name, key, -10 * DAY, days * DAY);
	must(X509_set_issuer_name(cert, X509_get_subject_name(issuer)));
	add_extension(cert, issuer, NID_subject_alt_name, names);
	must(X509_sign(cert, issuer_key, EVP_sha256()));
	X509_free(issuer);
	EVP_PKEY_free(issuer_key);
	write_files(folder, name, cert, key, ret);
}
