/* SPDX-License-Identifier: Apache-2.0
 *
 * GnuTLS, of which libmicrohttpd knows only one certificate for its life: ours is given at each handshake, and clients'
 * certificates are verified by a list of our own.
 */
#include "connectors/http/in_tls.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/http/settings.h"

#define MAX_CHAIN 16

struct in_tls {
	unsigned refs;
	gnutls_pcert_st chain[MAX_CHAIN];
	unsigned n_chain;
	gnutls_privkey_t key;
	gnutls_x509_trust_list_t clients; /* NULL: nobody is asked */
};

static int load_file(const char *path, gnutls_datum_t *ret)
{
	errno = 0;
	if (gnutls_load_file(path, ret) == 0)
		return 0;
	return errno ? -errno : -EIO;
}

static void wipe(gnutls_datum_t *data)
{
	if (data->data)
		gnutls_memset(data->data, 0, data->size);
	gnutls_free(data->data);
}

static int load_chain(struct in_tls *tls, const char *path)
{
	gnutls_datum_t pem;
	int r = load_file(path, &pem);
	if (r < 0)
		return r;
	tls->n_chain = MAX_CHAIN;
	r = gnutls_pcert_list_import_x509_raw(tls->chain, &tls->n_chain, &pem, GNUTLS_X509_FMT_PEM, 0);
	gnutls_free(pem.data);
	if (r == 0 && tls->n_chain)
		return 0;
	tls->n_chain = 0;
	return -EINVAL;
}

static int load_key(struct in_tls *tls, const char *path)
{
	gnutls_datum_t pem;
	int r = load_file(path, &pem);
	if (r < 0)
		return r;
	r = gnutls_privkey_init(&tls->key);
	if (r == 0)
		r = gnutls_privkey_import_x509_raw(tls->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	wipe(&pem);
	return r == 0 ? 0 : -EINVAL;
}

/* Is it the key of the certificate? */
static bool belong_together(const struct in_tls *tls)
{
	gnutls_pubkey_t pubkey;
	unsigned char a[64], b[64];
	size_t a_len = sizeof a, b_len = sizeof b;
	if (gnutls_pubkey_init(&pubkey) < 0)
		return false;
	bool same = gnutls_pubkey_import_privkey(pubkey, tls->key, 0, 0) == 0 &&
		    gnutls_pubkey_get_key_id(pubkey, GNUTLS_KEYID_USE_SHA256, a, &a_len) == 0 &&
		    gnutls_pubkey_get_key_id(tls->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, b, &b_len) == 0 &&
		    a_len == b_len && memcmp(a, b, a_len) == 0;
	gnutls_pubkey_deinit(pubkey);
	return same;
}

static int load_clients(struct in_tls *tls, const char *path)
{
	gnutls_datum_t pem;
	int r = load_file(path, &pem);
	if (r < 0)
		return r;
	int n = gnutls_x509_trust_list_init(&tls->clients, 0);
	if (n == 0)
		n = gnutls_x509_trust_list_add_trust_mem(tls->clients, &pem, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
	gnutls_free(pem.data);
	return n > 0 ? 0 : -EINVAL;
}

static int explain(char *why, size_t size, const char *path, int error, const char *what)
{
	snprintf(why, size, "%s: %s", path, error == -EINVAL ? what : strerror(-error));
	return error;
}

int in_tls_load(const struct http_tls *settings, char *why, size_t size, struct in_tls **ret_tls)
{
	struct in_tls *tls = calloc(1, sizeof *tls);
	if (!tls)
		return explain(why, size, settings->cert, -ENOMEM, "");
	tls->refs = 1;
	int r = load_chain(tls, settings->cert);
	if (r < 0) {
		explain(why, size, settings->cert, r, "this is no PEM file with a certificate and its chain");
		goto out;
	}
	r = load_key(tls, settings->key);
	if (r < 0) {
		explain(why, size, settings->key, r, "this is no PEM file with a private key without a password");
		goto out;
	}
	if (!belong_together(tls)) {
		r = explain(why, size, settings->key, -EINVAL, "this is not the key of the certificate in cert");
		goto out;
	}
	r = settings->client_ca ? load_clients(tls, settings->client_ca) : 0;
	if (r < 0)
		explain(why, size, settings->client_ca, r, "this is no PEM file with certificates");
out:
	if (r < 0)
		in_tls_unref(tls);
	else
		*ret_tls = tls;
	return r;
}

struct in_tls *in_tls_ref(struct in_tls *tls)
{
	tls->refs++;
	return tls;
}

void in_tls_unref(struct in_tls *tls)
{
	if (!tls || --tls->refs)
		return;
	for (unsigned i = 0; i < tls->n_chain; i++)
		gnutls_pcert_deinit(&tls->chain[i]);
	if (tls->key)
		gnutls_privkey_deinit(tls->key);
	if (tls->clients)
		gnutls_x509_trust_list_deinit(tls->clients, 1);
	free(tls);
}

void in_tls_check(const struct http_tls *settings, struct config_scope *scope)
{
	struct in_tls *tls;
	char why[512];
	if (config_failed(scope, "tls", "client_ca") || !settings->cert || !settings->key)
		return;
	if (in_tls_load(settings, why, sizeof why, &tls) < 0)
		config_complain(scope, "tls", NULL, "%s; name PEM files that belong together", why);
	else
		in_tls_unref(tls);
}

void in_tls_ask(const struct in_tls *tls, gnutls_session_t session)
{
	if (tls->clients)
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
}

int in_tls_retrieve(struct in_tls *tls, gnutls_pcert_st **pcert, unsigned int *n_pcert, gnutls_privkey_t *key)
{
	*pcert = tls->chain;
	*n_pcert = tls->n_chain;
	*key = tls->key;
	return 0;
}

/* --- clients --------------------------------------------------------------------------------------------------------- */

static void add_name(struct in_tls_names *names, const char *text, size_t len)
{
	if (names->n == IN_TLS_MAX_NAMES || len == 0 || memchr(text, '\0', len))
		return; /* a NUL within: somebody's trick */
	char *name = strndup(text, len);
	if (name)
		names->names[names->n++] = name;
}

static void read_names(gnutls_x509_crt_t cert, struct in_tls_names *names)
{
	char text[256];
	size_t len = sizeof text;
	if (gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, text, &len) == 0)
		add_name(names, text, len);
	for (unsigned i = 0; i < IN_TLS_MAX_NAMES; i++) {
		len = sizeof text;
		int type = gnutls_x509_crt_get_subject_alt_name(cert, i, text, &len, NULL);
		if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		if (type == GNUTLS_SAN_DNSNAME)
			add_name(names, text, len);
	}
}

static bool is_trusted(const struct in_tls *tls, gnutls_x509_crt_t *chain, unsigned n)
{
	gnutls_typed_vdata_st purpose = {
		.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
	unsigned status = ~0u;
	return gnutls_x509_trust_list_verify_crt2(tls->clients, chain, n, &purpose, 1, 0, &status, NULL) == 0 &&
	       status == 0;
}

void in_tls_client_names(const struct in_tls *tls, gnutls_session_t session, struct in_tls_names *ret_names)
{
	unsigned n = 0, n_read = 0;
	gnutls_x509_crt_t chain[MAX_CHAIN];
	*ret_names = (struct in_tls_names){.n = 0};
	const gnutls_datum_t *raw = tls->clients ? gnutls_certificate_get_peers(session, &n) : NULL;
	if (!raw || n == 0 || n > MAX_CHAIN)
		return;
	for (; n_read < n; n_read++) {
		if (gnutls_x509_crt_init(&chain[n_read]) < 0)
			break;
		if (gnutls_x509_crt_import(chain[n_read], &raw[n_read], GNUTLS_X509_FMT_DER) < 0) {
			gnutls_x509_crt_deinit(chain[n_read]);
			break;
		}
	}
	if (n_read == n && is_trusted(tls, chain, n))
		read_names(chain[0], ret_names);
	for (unsigned i = 0; i < n_read; i++)
		gnutls_x509_crt_deinit(chain[i]);
}

void in_tls_names_free(struct in_tls_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->names[i]);
	names->n = 0;
}
