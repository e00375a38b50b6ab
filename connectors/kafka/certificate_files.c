/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL reads the files; its errors are not shown, since "no start line" helps nobody.
 */
#include "connectors/kafka/certificate_files.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#define SOON_DAYS 30

/* Of one certificate in a file. */
static void warn_of_end(const X509 *cert, const char *item, struct config_scope *scope)
{
	int days, seconds;
	char name[128] = "";
	X509_NAME_oneline(X509_get_subject_name(cert), name, sizeof name);
	if (!ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)))
		return;
	if (days < 0 || seconds < 0)
		config_warn(scope, "tls", item, "the certificate of %s has expired. Renew it.", name);
	else if (days < SOON_DAYS && strcmp(item, "cert") == 0)
		config_warn(
			scope, "tls", item, "the certificate of %s expires in %d days. Renew it in time.", name, days);
	if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notBefore(cert)) && (days > 0 || seconds > 0))
		config_warn(scope, "tls", item,
			"the certificate of %s is not valid before %d days from now. Is this machine's clock right?",
			name, days + 1);
}

/* The first certificate of the file, NULL if there is none; the caller's. Warns of all in it. */
static X509 *read_certificates(const char *path, const char *item, struct config_scope *scope)
{
	BIO *in = BIO_new_file(path, "r");
	X509 *first = NULL, *cert;
	while (in && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
		warn_of_end(cert, item, scope);
		if (first)
			X509_free(cert);
		else
			first = cert;
	}
	BIO_free(in);
	return first;
}

/* Instead of OpenSSL's own, which asks on the terminal. */
static int on_password(char *buf, int size, int writing, void *arg)
{
	const char *password = arg;
	(void)writing;
	if (!password || strlen(password) > (size_t)size)
		return -1;
	memcpy(buf, password, strlen(password));
	return (int)strlen(password);
}

static bool check_key(const struct kafka_tls *tls, const X509 *cert, struct config_scope *scope)
{
	BIO *in = BIO_new_file(tls->key, "r");
	EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, on_password, tls->key_password) : NULL;
	BIO_free(in);
	bool good = false;
	if (!key)
		config_complain(scope, "tls", "key", "%s",
			tls->key_password
				? "the file holds no private key that opens with tls.key_password. It must be "
				  "PEM; correct the password."
				: "the file holds no private key, or one with a password. It must be PEM; set "
				  "tls.key_password if there is one.");
	else if (X509_check_private_key(cert, key) != 1)
		config_complain(scope, "tls", "key",
			"this is not the private key of the first certificate in tls.cert. Give the one that belongs "
			"to it.");
	else
		good = true;
	EVP_PKEY_free(key);
	return good;
}

bool certificate_files_check(const struct kafka_tls *tls, struct config_scope *scope)
{
	bool good = true;
	if (tls->ca) {
		X509 *ca = read_certificates(tls->ca, "ca", scope);
		if (!ca)
			config_complain(scope, "tls", "ca", "the file holds no certificate. It must be PEM.");
		good &= ca != NULL;
		X509_free(ca);
	}
	if (tls->cert && tls->key) {
		X509 *cert = read_certificates(tls->cert, "cert", scope);
		if (!cert)
			config_complain(scope, "tls", "cert",
				"the file holds no certificate. It must be PEM: our own one, then those that signed "
				"it.");
		good &= cert && check_key(tls, cert, scope);
		X509_free(cert);
	}
	ERR_clear_error();
	return good;
}
