/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL reads what is PEM; its errors are not shown, since "no start line" helps nobody.
 */
#include "connectors/common/pem_files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <unistd.h>

#define SOON_DAYS 30

/* --- reading ------------------------------------------------------------------------------------------------------ */

static int read_all(int fd, struct buffer *bytes)
{
	for (;;) {
		if (buffer_reserve(bytes, 4096) < 0)
			return bytes->len + 4096 > PEM_MAX_FILE_BYTES ? -EFBIG : -ENOMEM;
		ssize_t n = read(fd, bytes->data + bytes->len, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		bytes->len += (size_t)n;
	}
}

int pem_file_read(const char *path, struct buffer *ret_bytes)
{
	struct buffer bytes;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	buffer_init(&bytes, PEM_MAX_FILE_BYTES);
	int r = read_all(fd, &bytes);
	close(fd);
	if (r < 0) {
		buffer_free(&bytes);
		return r;
	}
	buffer_free(ret_bytes);
	*ret_bytes = bytes;
	return 0;
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

/* Instead of OpenSSL's own, which asks on the terminal. */
static int no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

static BIO *open_memory(struct slice pem)
{
	return BIO_new_mem_buf(pem.len ? (const void *)pem.data : "", (int)pem.len);
}

static X509 *first_certificate(struct slice pem)
{
	BIO *in = open_memory(pem);
	X509 *cert = in ? PEM_read_bio_X509(in, NULL, no_password, NULL) : NULL;
	BIO_free(in);
	ERR_clear_error();
	return cert;
}

const char *pem_ca_check(struct slice ca)
{
	X509 *cert = first_certificate(ca);
	const char *wrong = cert ? NULL : "the file holds no certificate. It must be PEM.";
	X509_free(cert);
	return wrong;
}

static EVP_PKEY *private_key(struct slice pem)
{
	BIO *in = open_memory(pem);
	EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;
	BIO_free(in);
	ERR_clear_error();
	return key;
}

static const char *key_mistake(const X509 *cert, struct slice pem)
{
	EVP_PKEY *key = private_key(pem);
	const char *wrong = NULL;
	if (!key)
		wrong = "the file holds no private key, or one with a password. It must be PEM, without a password.";
	else if (X509_check_private_key(cert, key) != 1)
		wrong = "this is not the private key of the first certificate in tls.cert. Give the one that belongs "
			"to it.";
	EVP_PKEY_free(key);
	ERR_clear_error();
	return wrong;
}

const char *pem_pair_check(struct slice cert, struct slice key)
{
	X509 *first = first_certificate(cert);
	const char *wrong = first ? key_mistake(first, key) : "the file holds no certificate. It must be PEM.";
	X509_free(first);
	return wrong;
}

/* --- checking a configuration --------------------------------------------------------------------------------------- */

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
}

/* Its first certificate, the caller's; NULL: it has been complained of. */
static X509 *check_certificate(const char *path, const char *item, struct config_scope *scope)
{
	struct buffer pem = {0};
	int r = pem_file_read(path, &pem);
	X509 *cert = r == 0 ? first_certificate(buffer_slice(&pem)) : NULL;
	buffer_free(&pem);
	if (cert)
		warn_of_end(cert, item, scope);
	else
		config_complain(scope, "tls", item, "the file holds no certificate. It must be PEM.");
	return cert;
}

static void check_key(const X509 *cert, const char *path, struct config_scope *scope)
{
	struct buffer pem = {0};
	int r = pem_file_read(path, &pem);
	const char *wrong = r == 0 ? key_mistake(cert, buffer_slice(&pem)) : "the file cannot be read.";
	if (pem.data)
		OPENSSL_cleanse(pem.data, pem.len);
	buffer_free(&pem);
	if (wrong)
		config_complain(scope, "tls", "key", "%s", wrong);
}

void pem_files_check(const struct pem_files *files, struct config_scope *scope)
{
	X509 *ca = files->ca ? check_certificate(files->ca, files->ca_key, scope) : NULL;
	X509 *cert = files->cert ? check_certificate(files->cert, "cert", scope) : NULL;
	if (cert && files->key)
		check_key(cert, files->key, scope);
	X509_free(ca);
	X509_free(cert);
}
