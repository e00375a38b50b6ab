/* SPDX-License-Identifier: Apache-2.0
 *
 * DTLS and TLS of a listener: the file of pre-shared keys, our certificate, the authorities that sign those of clients, and
 * who a client has turned out to be.
 *
 * libcoap 4.3.1 sends our certificate without its chain, reads files in each handshake, and never forgets an authority.
 * So each handshake is given what was read before by OpenSSL itself; what is read again serves the next one, and sessions
 * that are there stay.
 *
 * Threads: the loop's. Reads files, which may block for as long as that takes.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_IN_SECURITY_H
#define LINKSPAN_CONNECTORS_COAP_IN_SECURITY_H

#include <coap3/coap.h>
#include <openssl/types.h>

#include "connectors/coap/settings.h"

struct coap_in_security;

/* Reads what the settings name. 0 with NULL if they name nothing; a negative errno, and `why` says what is wrong. */
int coap_in_security_new(const struct coap_settings *settings, char *why, size_t size,
	struct coap_in_security **ret_security) __attribute__((warn_unused_result));
void coap_in_security_free(struct coap_in_security *security); /* NULL is allowed; the contexts must be gone */
/* Reads it again: 0, or as above, and what was read before stays. */
int coap_in_security_reload(struct coap_in_security *security, char *why, size_t size)
	__attribute__((warn_unused_result));
/* May others than owner and group read the file of keys? */
bool coap_in_security_is_exposed(const struct coap_in_security *security);
/* Before its endpoints are made. 0 or -EINVAL, see coap_loop_reason. */
int coap_in_security_use(struct coap_in_security *security, coap_context_t *context)
	__attribute__((warn_unused_result));

#define COAP_IN_MAX_NAMES 8u

struct coap_in_names { /* of one client */
	char *names[COAP_IN_MAX_NAMES];
	size_t n;
};

/* The contexts are gone. */
void coap_in_security_unuse(struct coap_in_security *security);

/* The identity of its key, or the names in its certificate, which is verified: common name, DNS names, URIs. */
void coap_in_security_names(coap_session_t *session, struct coap_in_names *ret_names);
/* Those of a certificate; one that holds a NUL is none. */
void coap_in_names_of(X509 *cert, struct coap_in_names *ret_names);
void coap_in_names_free(struct coap_in_names *names);

#endif
