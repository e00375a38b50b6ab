/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificate, key and the clients' authority of a listener, as GnuTLS wants them. Counted: a connection keeps those that it
 * began with, so that files can be read again at any time.
 *
 * Threads: the loop's. Reading blocks for as long as a file takes.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_IN_TLS_H
#define LINKSPAN_CONNECTORS_HTTP_IN_TLS_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "config/schema.h"

struct http_tls;
struct in_tls;

#define IN_TLS_MAX_NAMES 16 /* of one certificate, its CN included */

/* The names of a client's certificate: CN, then the DNS names. */
struct in_tls_names {
	char *names[IN_TLS_MAX_NAMES];
	size_t n;
};

/* 0 and an in_tls with one reference; a negative errno and one sentence in why. */
int in_tls_load(const struct http_tls *tls, char *why, size_t size, struct in_tls **ret_tls)
	__attribute__((warn_unused_result));
struct in_tls *in_tls_ref(struct in_tls *tls);
void in_tls_unref(struct in_tls *tls); /* NULL is allowed */

/* Complains of files that cannot be used. */
void in_tls_check(const struct http_tls *tls, struct config_scope *scope);

/* Makes a session of a server ask for a certificate, if there is a client_ca. */
void in_tls_ask(const struct in_tls *tls, gnutls_session_t session);
/* As gnutls_certificate_retrieve_function2: what it gives lives as long as `tls`. */
int in_tls_retrieve(struct in_tls *tls, gnutls_pcert_st **pcert, unsigned int *n_pcert, gnutls_privkey_t *key);
/* Who the client is: a certificate that is none, or is not signed by client_ca for clients, has no names. The names are the
 * caller's. */
void in_tls_client_names(const struct in_tls *tls, gnutls_session_t session, struct in_tls_names *ret_names);
void in_tls_names_free(struct in_tls_names *names);

#endif
