/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL 3 over memory BIOs, and its errors in words that an operator can act on.
 */
#include "connectors/mqtt/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "connectors/common/trust.h"

struct tls {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out; /* owned by ssl */
	bool lasts;
	char error[512];
};

/* The first error is the cause, such as a file that is not there; the last one what it led to. */
static const char *tls_reason(void)
{
	unsigned long code = ERR_peek_error();
	if (ERR_SYSTEM_ERROR(code))
		return strerror(ERR_GET_REASON(code));
	code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	return reason ? reason : "unknown error";
}

static bool tls_is_address(const char *host)
{
	uint8_t address[16];
	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static int tls_load_files(SSL_CTX *ctx, const struct tls_options *options, char *error, size_t error_size)
{
	int trusted = trust_add(options->ca, SSL_CTX_get_cert_store(ctx));
	if (trusted < 0 && options->ca) {
		snprintf(error, error_size, "tls.ca: '%s' holds no usable certificate (%s); it must be a PEM file",
			options->ca, tls_reason());
		return -EINVAL;
	}
	if (trusted < 0) {
		snprintf(error, error_size, "the system's trusted certificates cannot be loaded (%s); set tls.ca",
			tls_reason());
		return -EINVAL;
	}
	if (options->cert && SSL_CTX_use_certificate_chain_file(ctx, options->cert) != 1) {
		snprintf(error, error_size, "tls.cert: '%s' holds no usable certificate (%s); it must be a PEM file",
			options->cert, tls_reason());
		return -EINVAL;
	}
	if (options->key && (SSL_CTX_use_PrivateKey_file(ctx, options->key, SSL_FILETYPE_PEM) != 1 ||
				    SSL_CTX_check_private_key(ctx) != 1)) {
		snprintf(error, error_size,
			"tls.key: '%s' is not the key of tls.cert (%s); it must be an unencrypted PEM file "
			"that belongs to "
			"the certificate",
			options->key, tls_reason());
		return -EINVAL;
	}
	return 0;
}

/* A key with a pass phrase must not make OpenSSL ask on the terminal. */
static int tls_no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf, (void)size, (void)rwflag, (void)arg;
	return -1;
}

static int tls_set_peer(struct tls *tls, const struct tls_options *options)
{
	bool address = tls_is_address(options->host);
	SSL_set_verify(tls->ssl, options->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	/* SSL_set_tlsext_host_name without the macro's cast. */
	if (!address && SSL_ctrl(tls->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
				(void *)(uintptr_t)options->host) != 1)
		return -EINVAL;
	if (options->insecure)
		return 0;
	int ok = address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), options->host)
			 : SSL_set1_host(tls->ssl, options->host);
	return ok == 1 ? 0 : -EINVAL;
}

/* --- ALPN ------------------------------------------------------------------------------------------------------------ */

#define MOST_ALPN_BYTES 65535u /* of the list on the wire */

static bool tls_has_alpn(const struct config_list *alpn)
{
	return alpn && alpn->n > 0;
}

const char *tls_alpn_check(const struct config_list *alpn)
{
	size_t sum = 0;
	for (size_t i = 0; alpn && i < alpn->n; i++) {
		size_t len = strlen(alpn->items[i].value);
		if (len == 0 || len > 255)
			return "the name of a protocol has 1 to 255 bytes";
		sum += 1 + len;
	}
	return sum > MOST_ALPN_BYTES ? "the names have more than 65535 bytes together" : NULL;
}

/* Each name with its length before it. */
static int tls_set_alpn(struct tls *tls, const struct config_list *alpn)
{
	if (!tls_has_alpn(alpn) || tls_alpn_check(alpn))
		return tls_has_alpn(alpn) ? -EINVAL : 0;
	size_t len = 0;
	for (size_t i = 0; i < alpn->n; i++)
		len += 1 + strlen(alpn->items[i].value);
	uint8_t *wire = malloc(len + 1), *at = wire; /* stpcpy ends with a zero */
	if (!wire)
		return -ENOMEM;
	for (size_t i = 0; i < alpn->n; i++) {
		*at++ = (uint8_t)strlen(alpn->items[i].value);
		at = (uint8_t *)stpcpy((char *)at, alpn->items[i].value);
	}
	int r = SSL_set_alpn_protos(tls->ssl, wire, (unsigned)len) == 0 ? 0 : -ENOMEM;
	free(wire);
	return r;
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

static int tls_make_ssl(struct tls *tls)
{
	tls->ssl = SSL_new(tls->ctx);
	tls->in = BIO_new(BIO_s_mem());
	tls->out = BIO_new(BIO_s_mem());
	if (!tls->ssl || !tls->in || !tls->out) {
		BIO_free(tls->in);
		BIO_free(tls->out);
		return -ENOMEM;
	}
	BIO_set_mem_eof_return(tls->in, -1); /* empty means "later" */
	SSL_set_bio(tls->ssl, tls->in, tls->out);
	SSL_set_connect_state(tls->ssl);
	return 0;
}

int tls_new(const struct tls_options *options, struct tls **ret_tls, char *error, size_t error_size)
{
	snprintf(error, error_size, "out of memory");
	struct tls *tls = calloc(1, sizeof *tls);
	if (!tls)
		return -ENOMEM;
	int r = -ENOMEM;
	ERR_clear_error();
	tls->ctx = SSL_CTX_new(TLS_client_method());
	if (!tls->ctx)
		goto fail;
	SSL_CTX_set_min_proto_version(tls->ctx, options->only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_mode(tls->ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_default_passwd_cb(tls->ctx, tls_no_passphrase);
	r = tls_load_files(tls->ctx, options, error, error_size);
	if (r < 0)
		goto fail;
	r = tls_make_ssl(tls);
	if (r < 0)
		goto fail;
	r = tls_set_peer(tls, options);
	if (r < 0) {
		snprintf(error, error_size,
			"\"%s\" is no host name that a certificate could be for; correct the url, or tls.server_name",
			options->host);
		goto fail;
	}
	r = tls_set_alpn(tls, options->alpn);
	if (r < 0) {
		snprintf(error, error_size, "tls.alpn: %s",
			r == -EINVAL ? tls_alpn_check(options->alpn) : "out of memory");
		goto fail;
	}
	*ret_tls = tls;
	return 0;
fail:
	tls_free(tls);
	ERR_clear_error();
	return r;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	SSL_CTX_free(tls->ctx);
	free(tls);
}

int tls_feed(struct tls *tls, const void *data, size_t len)
{
	if (len == 0)
		return 0;
	return len <= INT_MAX && BIO_write(tls->in, data, (int)len) == (int)len ? 0 : -ENOMEM;
}

static void tls_describe_verify(struct tls *tls, long verify)
{
	const char *what = X509_verify_cert_error_string(verify);
	const char *advice = "set tls.ca to the certificate of the authority that signed it";
	if (verify == X509_V_ERR_CERT_HAS_EXPIRED || verify == X509_V_ERR_CERT_NOT_YET_VALID)
		advice = "renew it, or correct this machine's clock";
	else if (verify == X509_V_ERR_HOSTNAME_MISMATCH || verify == X509_V_ERR_IP_ADDRESS_MISMATCH)
		advice = "use the name that the certificate is for in the url, or set tls.server_name to it";
	snprintf(tls->error, sizeof tls->error, "the broker's certificate does not verify: %s; %s", what, advice);
	tls->lasts = true;
}

/* What to do about a fatal alert. */
static const char *tls_alert_advice(int alert)
{
	switch (alert) {
	case SSL_AD_NO_APPLICATION_PROTOCOL:
		return "correct tls.alpn";
	case SSL_AD_PROTOCOL_VERSION:
		return "it has none of the versions from tls.min_version on";
	case SSL_AD_UNRECOGNIZED_NAME:
		return "it does not serve this name; correct the url, or tls.server_name";
	default:
		return "check tls.cert and tls.key, and what the broker demands";
	}
}

static void tls_describe(struct tls *tls)
{
	long verify = SSL_get_verify_result(tls->ssl);
	unsigned long code = ERR_peek_last_error();
	int reason = ERR_GET_REASON(code);
	if (verify != X509_V_OK && reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		tls_describe_verify(tls, verify);
	} else if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
		snprintf(tls->error, sizeof tls->error, "the broker refused the TLS connection: %s; %s", tls_reason(),
			tls_alert_advice(reason - SSL_AD_REASON_OFFSET));
		tls->lasts = true;
	} else if (reason == SSL_R_WRONG_VERSION_NUMBER) {
		snprintf(tls->error, sizeof tls->error,
			"the broker does not speak TLS on this port; use mqtt://, or the broker's TLS port");
		tls->lasts = true;
	} else {
		snprintf(tls->error, sizeof tls->error, "TLS failed: %s", tls_reason());
	}
	ERR_clear_error();
}

static int tls_result(struct tls *tls, int n)
{
	switch (SSL_get_error(tls->ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return -EPIPE;
	default:
		tls_describe(tls);
		return -EPROTO;
	}
}

int tls_handshake(struct tls *tls)
{
	ERR_clear_error();
	int n = SSL_do_handshake(tls->ssl);
	if (n == 1)
		return 0;
	int r = tls_result(tls, n);
	if (r != -EPIPE)
		return r;
	snprintf(tls->error, sizeof tls->error, "the broker ended the TLS handshake");
	return -EPROTO;
}

int tls_write(struct tls *tls, const void *data, size_t len)
{
	const uint8_t *at = data;
	ERR_clear_error();
	while (len > 0) {
		int n = SSL_write(tls->ssl, at, len > INT_MAX ? INT_MAX : (int)len);
		if (n <= 0) {
			/* Memory takes everything, so "later" would be a state that this engine cannot leave.
			 */
			if (tls_result(tls, n) != -EPROTO)
				snprintf(tls->error, sizeof tls->error, "the broker has ended the TLS connection");
			return -EPROTO;
		}
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int tls_read(struct tls *tls, struct buffer *buf)
{
	int total = 0;
	ERR_clear_error();
	while (buf->len < buf->capacity && total < INT_MAX / 2) {
		size_t room = buf->capacity - buf->len;
		int n = SSL_read(tls->ssl, buf->data + buf->len, room > INT_MAX / 2 ? INT_MAX / 2 : (int)room);
		if (n <= 0) {
			int r = tls_result(tls, n);
			return r == -EAGAIN || total > 0 ? total : r;
		}
		buf->len += (size_t)n;
		total += n;
	}
	return total;
}

int tls_take_output(struct tls *tls, struct buffer *buf)
{
	size_t pending = BIO_ctrl_pending(tls->out);
	if (pending == 0)
		return 0;
	if (pending > INT_MAX)
		return -ENOBUFS;
	int r = buffer_reserve(buf, pending);
	if (r < 0)
		return r;
	int n = BIO_read(tls->out, buf->data + buf->len, (int)pending);
	if (n > 0)
		buf->len += (size_t)n;
	return 0;
}

void tls_shutdown(struct tls *tls)
{
	ERR_clear_error();
	SSL_shutdown(tls->ssl);
	ERR_clear_error();
}

const char *tls_error(const struct tls *tls)
{
	return tls->error;
}

bool tls_error_lasts(const struct tls *tls)
{
	return tls->lasts;
}
