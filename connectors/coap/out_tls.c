/* SPDX-License-Identifier: Apache-2.0
 *
 * libcoap copies the struct that it is given but not what that points at, and looks at both again for each new session, over TCP
 * not before the connection is there. So the name of the server lies in a buffer whose content changes.
 *
 * Our certificate's chain is handed over as authorities: OpenSSL completes the chain that it shows from those. They are not
 * trusted thereby, as a chain has to end in a self-signed certificate; such ones are left out.
 */
#include "connectors/coap/out_tls.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "connectors/common/pem_files.h"

#define MOST_BYTES (PEM_MAX_FILE_BYTES * 2)
#define MOST_DEPTH 8

struct coap_tls_setup {
	coap_dtls_pki_t pki;
	struct buffer cert, key, chain;
	char name[COAP_URL_HOST_SIZE];
};

/* --- files ------------------------------------------------------------------------------------------------------------- */

/* NULL, or what is wrong. */
static const char *read_file(const char *path, struct buffer *bytes)
{
	int r = path ? pem_file_read(path, bytes) : 0;
	return r < 0 ? strerror(-r) : NULL;
}

/* Instead of OpenSSL's own, which asks on the terminal. */
static int no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

static X509 *next_certificate(BIO *in)
{
	X509 *cert = in ? PEM_read_bio_X509(in, NULL, no_password, NULL) : NULL;
	ERR_clear_error();
	return cert;
}

static BIO *open_memory(const struct buffer *pem)
{
	return BIO_new_mem_buf(pem->len ? (const void *)pem->data : "", (int)pem->len);
}

const char *coap_tls_files_read(const struct coap_tls *tls, struct coap_tls_files *files)
{
	struct coap_tls_files now = {{0}, {0}, {0}};
	const char *wrong = read_file(tls->ca, &now.ca);
	if (!wrong)
		wrong = read_file(tls->cert, &now.cert);
	if (!wrong)
		wrong = read_file(tls->key, &now.key);
	if (!wrong && tls->ca)
		wrong = pem_ca_check(buffer_slice(&now.ca));
	if (!wrong && tls->cert)
		wrong = pem_pair_check(buffer_slice(&now.cert), buffer_slice(&now.key));
	coap_tls_files_free(wrong ? &now : files);
	if (!wrong)
		*files = now;
	return wrong;
}

static void wipe(struct buffer *bytes)
{
	if (bytes->data)
		OPENSSL_cleanse(bytes->data, bytes->capacity);
	buffer_free(bytes);
}

void coap_tls_files_free(struct coap_tls_files *files)
{
	buffer_free(&files->ca);
	buffer_free(&files->cert);
	wipe(&files->key);
}

/* --- what libcoap is told ------------------------------------------------------------------------------------------------ */

static bool copy(struct buffer *to, const struct buffer *from)
{
	buffer_init(to, MOST_BYTES + 1);
	return from->len == 0 ||
	       (buffer_append(to, buffer_slice(from)) == 0 && buffer_append(to, slice_of("", 1)) == 0);
}

static bool append_certificate(X509 *cert, BIO *out)
{
	return X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0 ||
	       PEM_write_bio_X509(out, cert) == 1;
}

/* All but the first, and those that are signed by themselves. */
static bool copy_chain(struct buffer *to, const struct buffer *certs)
{
	BIO *in = open_memory(certs), *out = BIO_new(BIO_s_mem());
	X509 *cert = next_certificate(in);
	bool good = in && out;
	buffer_init(to, MOST_BYTES);
	X509_free(cert);
	for (cert = next_certificate(in); good && cert; cert = next_certificate(in)) {
		good = append_certificate(cert, out);
		X509_free(cert);
	}
	X509_free(cert);
	char *data = NULL;
	long len = out ? BIO_get_mem_data(out, &data) : 0;
	good = good && (len <= 0 || buffer_append(to, slice_of(data, (size_t)len)) == 0);
	BIO_free(in);
	BIO_free(out);
	return good;
}

static void set_files(struct coap_tls_setup *setup)
{
	coap_dtls_key_t *key = &setup->pki.pki_key;
	key->key_type = COAP_PKI_KEY_PEM; /* without any file: the other kinds need a certificate */
	if (setup->cert.len == 0)
		return;
	key->key_type = COAP_PKI_KEY_PEM_BUF;
	key->key.pem_buf = (coap_pki_key_pem_buf_t){
		.public_cert = setup->cert.data,
		.public_cert_len = setup->cert.len,
		.private_key = setup->key.data,
		.private_key_len = setup->key.len,
		.ca_cert = setup->chain.len ? setup->chain.data : NULL,
		.ca_cert_len = setup->chain.len,
	};
}

struct coap_tls_setup *coap_tls_setup_new(
	const struct coap_tls_files *files, bool with_cert, coap_dtls_cn_callback_t validate)
{
	static const struct buffer none = {0};
	struct coap_tls_setup *setup = calloc(1, sizeof *setup);
	if (!setup)
		return NULL;
	if (!copy(&setup->cert, with_cert ? &files->cert : &none) ||
		!copy(&setup->key, with_cert ? &files->key : &none) ||
		!copy_chain(&setup->chain, with_cert ? &files->cert : &none)) {
		coap_tls_setup_free(setup);
		return NULL;
	}
	setup->pki = (coap_dtls_pki_t){
		.version = COAP_DTLS_PKI_SETUP_VERSION,
		.verify_peer_cert = 1,
		.check_common_ca = 1,
		.cert_chain_validation = 1,
		.cert_chain_verify_depth = MOST_DEPTH,
		.validate_cn_call_back = validate,
		.client_sni = setup->name,
	};
	set_files(setup);
	return setup;
}

void coap_tls_setup_free(struct coap_tls_setup *setup)
{
	if (!setup)
		return;
	buffer_free(&setup->cert);
	buffer_free(&setup->chain);
	wipe(&setup->key);
	free(setup);
}

coap_dtls_pki_t *coap_tls_setup_pki(struct coap_tls_setup *setup)
{
	return &setup->pki;
}

/* Empty: OpenSSL refuses it as a name, and none is sent. */
void coap_tls_setup_name(struct coap_tls_setup *setup, const struct coap_url *url)
{
	memcpy(setup->name, url->is_literal ? "" : url->host, url->is_literal ? 1 : strlen(url->host) + 1);
}

bool coap_tls_trust(coap_context_t *context, const char *ca_path)
{
	if (ca_path)
		return coap_context_set_pki_root_cas(context, ca_path, NULL) == 1;
	/* Which is a folder of hashed names: looked up when one is needed. */
	return coap_context_set_pki_root_cas(context, NULL, X509_get_default_cert_dir()) == 1;
}

bool coap_tls_is_for(const uint8_t *der, size_t len, const struct coap_url *url)
{
	const uint8_t *at = der;
	X509 *cert = d2i_X509(NULL, &at, (long)len);
	char address[COAP_URL_HOST_SIZE];
	size_t n = strcspn(url->host, "%"); /* no zone */
	memcpy(address, url->host, n);
	address[n] = '\0';
	bool good = cert && (url->is_literal ? X509_check_ip_asc(cert, address, 0) == 1
					     : X509_check_host(cert, url->host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
						       NULL) == 1);
	X509_free(cert);
	ERR_clear_error();
	return good;
}
