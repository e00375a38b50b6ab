/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates are parsed once by OpenSSL and given to each handshake in libcoap's hook for it, which comes after libcoap has
 * set the leaf alone. Sessions are never resumed: whoever is let in is so by what the files say now.
 */
#include "connectors/coap/in_security.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/coap/psk_file.h"
#include "connectors/common/pem_files.h"

#define MAX_DEPTH    5
#define MAX_CONTEXTS 2u
#define MAX_NAME     256

struct certificate {
	struct buffer cert_pem, key_pem; /* for libcoap */
	STACK_OF(X509) * chain; /* behind the first */
	X509_STORE *clients; /* NULL: clients show none */
	STACK_OF(X509_NAME) * client_names;
};

struct coap_in_security {
	const struct coap_settings *settings;
	struct psk_file *psk; /* NULL: none */
	struct certificate *certificate; /* NULL: none */
	coap_bin_const_t found; /* for libcoap, until it asks again */
	coap_context_t *contexts[MAX_CONTEXTS];
	size_t n_contexts;
};

/* --- files ------------------------------------------------------------------------------------------------------------- */

/* With a NUL behind it, which is not counted. */
static int read_pem(const char *path, struct buffer *pem)
{
	int r = pem_file_read(path, pem);
	if (r < 0 || (r = buffer_append(pem, slice_of("", 1))) < 0)
		return r;
	pem->len--;
	return 0;
}

static void wipe(struct buffer *pem)
{
	if (pem->data)
		OPENSSL_cleanse(pem->data, pem->capacity);
	buffer_free(pem);
}

static void certificate_free(struct certificate *certificate)
{
	if (!certificate)
		return;
	buffer_free(&certificate->cert_pem);
	wipe(&certificate->key_pem);
	sk_X509_pop_free(certificate->chain, X509_free);
	X509_STORE_free(certificate->clients);
	sk_X509_NAME_pop_free(certificate->client_names, X509_NAME_free);
	free(certificate);
}

static int explain(char *why, size_t size, const char *path, int error, const char *what)
{
	ERR_clear_error();
	snprintf(why, size, "%s: %s", path, error == -EINVAL ? what : strerror(-error));
	return error;
}

/* Calls `take` with each certificate, which it then owns if it returns true. The number of them, or a negative errno. */
static int read_all(const struct buffer *pem, bool (*take)(struct certificate *certificate, X509 *cert),
	struct certificate *certificate)
{
	int n = 0;
	BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
	if (!bio)
		return -ENOMEM;
	for (X509 *cert; (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL; n++)
		if (!take(certificate, cert)) {
			X509_free(cert);
			n = -ENOMEM;
			break;
		}
	ERR_clear_error();
	BIO_free(bio);
	return n;
}

/* The first one is known to be there, and for libcoap. */
static bool take_own(struct certificate *certificate, X509 *cert)
{
	if (certificate->chain)
		return sk_X509_push(certificate->chain, cert) > 0;
	certificate->chain = sk_X509_new_null();
	if (!certificate->chain)
		return false;
	X509_free(cert);
	return true;
}

static bool take_authority(struct certificate *certificate, X509 *cert)
{
	X509_NAME *name = X509_NAME_dup(X509_get_subject_name(cert));
	if (!name)
		return false;
	if (sk_X509_NAME_push(certificate->client_names, name) <= 0) {
		X509_NAME_free(name);
		return false;
	}
	if (X509_STORE_add_cert(certificate->clients, cert) != 1)
		return false;
	X509_free(cert); /* the store has its own reference */
	return true;
}

static int read_clients(struct certificate *certificate, const char *path)
{
	struct buffer pem = {0};
	int r = read_pem(path, &pem);
	if (r < 0)
		return r;
	certificate->clients = X509_STORE_new();
	certificate->client_names = sk_X509_NAME_new_null();
	int n = certificate->clients && certificate->client_names ? read_all(&pem, take_authority, certificate)
								  : -ENOMEM;
	buffer_free(&pem);
	return n > 0 ? 0 : n < 0 ? n : -EINVAL;
}

/* Both files, which belong together. */
static int read_own(struct certificate *certificate, const struct coap_tls *tls, char *why, size_t size)
{
	struct buffer *cert = &certificate->cert_pem, *key = &certificate->key_pem;
	int r = read_pem(tls->cert, cert);
	const char *wrong = r < 0 ? "" : pem_ca_check(buffer_slice(cert));
	if (wrong)
		return explain(why, size, tls->cert, r < 0 ? r : -EINVAL, wrong);
	r = read_pem(tls->key, key);
	wrong = r < 0 ? "" : pem_pair_check(buffer_slice(cert), buffer_slice(key));
	if (wrong)
		return explain(why, size, tls->key, r < 0 ? r : -EINVAL, wrong);
	r = read_all(cert, take_own, certificate);
	return r < 0 ? explain(why, size, tls->cert, r, "") : 0;
}

static int certificate_read(const struct coap_tls *tls, char *why, size_t size, struct certificate **ret_certificate)
{
	struct certificate *certificate = calloc(1, sizeof *certificate);
	if (!certificate)
		return explain(why, size, tls->cert, -ENOMEM, "");
	int r = read_own(certificate, tls, why, size);
	if (r == 0 && tls->client_ca) {
		r = read_clients(certificate, tls->client_ca);
		if (r < 0)
			explain(why, size, tls->client_ca, r, "the file holds no certificate. It must be PEM.");
	}
	if (r < 0)
		certificate_free(certificate);
	else
		*ret_certificate = certificate;
	return r;
}

/* --- handshakes -------------------------------------------------------------------------------------------------------- */

static const coap_bin_const_t *on_identity(coap_bin_const_t *identity, coap_session_t *session, void *arg)
{
	struct coap_in_security *security = arg;
	(void)session;
	struct slice key = security->psk ? psk_file_find(security->psk, slice_of(identity->s, identity->length))
					 : (struct slice){NULL, 0};
	if (!key.data)
		return NULL;
	security->found = (coap_bin_const_t){.length = key.len, .s = key.data};
	return &security->found;
}

/* Of each client's hello. Without a certificate set it goes on with a pre-shared key. */
static int on_hello(void *tls, coap_dtls_pki_t *setup)
{
	const struct coap_in_security *security = setup->cn_call_back_arg;
	const struct certificate *certificate = security->certificate;
	SSL *ssl = tls;
	SSL_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(SSL_get_SSL_CTX(ssl), SSL_SESS_CACHE_OFF);
	if (!SSL_is_dtls(ssl)) {
		SSL_set_num_tickets(ssl, 0);
		if (SSL_set_min_proto_version(ssl, TLS1_2_VERSION) != 1)
			return 0;
	}
	if (!certificate || !SSL_get_certificate(ssl))
		return 1;
	if (SSL_set1_chain(ssl, certificate->chain) != 1)
		return 0;
	if (!certificate->clients)
		return 1;
	STACK_OF(X509_NAME) *names = SSL_dup_CA_list(certificate->client_names);
	if (!names)
		return 0;
	SSL_set_client_CA_list(ssl, names);
	return SSL_set1_verify_cert_store(ssl, certificate->clients) == 1;
}

static bool set_psk(struct coap_in_security *security, coap_context_t *context)
{
	static const uint8_t never_used[] = "libcoap asks for a key of everybody before it looks for one";
	const char *hint = security->settings->psk.hint;
	coap_dtls_spsk_t setup = {
		.version = COAP_DTLS_SPSK_SETUP_VERSION,
		.validate_id_call_back = on_identity,
		.id_call_back_arg = security,
		.psk_info = {.hint = {.length = hint ? strlen(hint) : 0, .s = (const uint8_t *)hint},
			.key = {.length = 16, .s = never_used}},
	};
	return coap_context_set_psk2(context, &setup) == 1;
}

static bool set_certificate(struct coap_in_security *security, coap_context_t *context)
{
	const struct certificate *certificate = security->certificate;
	coap_dtls_pki_t setup = {
		.version = COAP_DTLS_PKI_SETUP_VERSION,
		.verify_peer_cert = certificate && certificate->clients,
		.cert_chain_validation = 1,
		.cert_chain_verify_depth = MAX_DEPTH,
		.cn_call_back_arg = security,
		.additional_tls_setup_call_back = on_hello,
		.pki_key = {.key_type = COAP_PKI_KEY_PEM_BUF},
	};
	if (certificate)
		setup.pki_key.key.pem_buf = (coap_pki_key_pem_buf_t){
			.public_cert = certificate->cert_pem.data,
			.public_cert_len = certificate->cert_pem.len,
			.private_key = certificate->key_pem.data,
			.private_key_len = certificate->key_pem.len,
		};
	return coap_context_set_pki(context, &setup) == 1;
}

int coap_in_security_use(struct coap_in_security *security, coap_context_t *context)
{
	if (security->n_contexts == MAX_CONTEXTS || (security->psk && !set_psk(security, context)) ||
		!set_certificate(security, context))
		return -EINVAL;
	security->contexts[security->n_contexts++] = context;
	return 0;
}

void coap_in_security_unuse(struct coap_in_security *security)
{
	security->n_contexts = 0;
}

/* --- making ------------------------------------------------------------------------------------------------------------ */

int coap_in_security_reload(struct coap_in_security *security, char *why, size_t size)
{
	const struct coap_settings *settings = security->settings;
	struct certificate *certificate = NULL;
	char error[PSK_ERROR_SIZE];
	int r = settings->tls.cert ? certificate_read(&settings->tls, why, size, &certificate) : 0;
	if (r < 0)
		return r;
	r = settings->psk.file ? psk_file_read(settings->psk.file, &security->psk, error) : 0;
	if (r < 0) {
		snprintf(why, size, "%s", error);
		certificate_free(certificate);
		return r;
	}
	struct certificate *before = security->certificate;
	security->certificate = certificate;
	for (size_t i = 0; i < security->n_contexts; i++)
		if (!set_certificate(security, security->contexts[i])) {
			snprintf(why, size, "libcoap does not take the certificate");
			r = -EINVAL;
		}
	certificate_free(before);
	return r;
}

int coap_in_security_new(
	const struct coap_settings *settings, char *why, size_t size, struct coap_in_security **ret_security)
{
	*ret_security = NULL;
	if (!settings->tls.cert && !settings->psk.file)
		return 0;
	struct coap_in_security *security = calloc(1, sizeof *security);
	if (!security)
		return explain(why, size, "keys", -ENOMEM, "");
	security->settings = settings;
	int r = coap_in_security_reload(security, why, size);
	if (r < 0)
		coap_in_security_free(security);
	else
		*ret_security = security;
	return r;
}

void coap_in_security_free(struct coap_in_security *security)
{
	if (!security)
		return;
	psk_file_free(security->psk);
	certificate_free(security->certificate);
	free(security);
}

bool coap_in_security_is_exposed(const struct coap_in_security *security)
{
	return security->psk && psk_file_is_exposed(security->psk);
}

/* --- who it is --------------------------------------------------------------------------------------------------------- */

static void add_name(struct coap_in_names *names, const void *text, size_t len)
{
	if (names->n == COAP_IN_MAX_NAMES || len == 0 || len > MAX_NAME || memchr(text, '\0', len))
		return; /* a NUL within: somebody's trick */
	char *name = strndup(text, len);
	if (name)
		names->names[names->n++] = name;
}

static void add_common_name(X509 *cert, struct coap_in_names *names)
{
	unsigned char *text = NULL;
	const X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (at < 0)
		return;
	int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len > 0)
		add_name(names, text, (size_t)len);
	OPENSSL_free(text);
}

static void add_other_names(X509 *cert, struct coap_in_names *names)
{
	GENERAL_NAMES *others = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(others); i++) {
		int type;
		const ASN1_STRING *text = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(others, i), &type);
		if (type == GEN_DNS || type == GEN_URI)
			add_name(names, ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
	}
	GENERAL_NAMES_free(others);
}

void coap_in_names_of(X509 *cert, struct coap_in_names *ret_names)
{
	*ret_names = (struct coap_in_names){.n = 0};
	add_common_name(cert, ret_names);
	add_other_names(cert, ret_names);
}

/* Was a key proven? libcoap notes whatever identity it is asked for, before anything is verified; and with TLS 1.3 a handshake
 * goes on with our certificate alone when the key is not taken. Sessions are not resumed, so there a key is all that it
 * can have been. */
static bool has_proven_key(const SSL *ssl)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	if (SSL_version(ssl) == TLS1_3_VERSION)
		return SSL_session_reused(ssl) == 1;
	switch (cipher ? SSL_CIPHER_get_kx_nid(cipher) : NID_undef) {
	case NID_kx_psk:
	case NID_kx_dhe_psk:
	case NID_kx_ecdhe_psk:
	case NID_kx_rsa_psk:
		return true;
	default:
		return false;
	}
}

void coap_in_security_names(coap_session_t *session, struct coap_in_names *ret_names)
{
	coap_tls_library_t library;
	*ret_names = (struct coap_in_names){.n = 0};
	SSL *ssl = coap_session_get_tls(session, &library);
	if (!ssl || library != COAP_TLS_LIBRARY_OPENSSL)
		return;
	X509 *cert = SSL_get0_peer_certificate(ssl);
	if (cert && SSL_get_verify_result(ssl) == X509_V_OK) {
		coap_in_names_of(cert, ret_names);
		return;
	}
	const coap_bin_const_t *identity = has_proven_key(ssl) ? coap_session_get_psk_identity(session) : NULL;
	if (identity)
		add_name(ret_names, identity->s, identity->length);
}

void coap_in_names_free(struct coap_in_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->names[i]);
	names->n = 0;
}
