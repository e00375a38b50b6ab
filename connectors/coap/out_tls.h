/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates of a client, for libcoap: the files of `tls` in memory, what libcoap is told of them, and whether a device's
 * certificate is for the host that was asked for. libcoap's own idea of that name, the first DNS name or else the common name,
 * knows no addresses and no wildcards.
 *
 * Threads: the loop's. Reading blocks for as long as the files take.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_OUT_TLS_H
#define LINKSPAN_CONNECTORS_COAP_OUT_TLS_H

#include <coap3/coap.h>

#include "connectors/coap/out_url.h"
#include "connectors/coap/settings.h"
#include "message/buffer.h"

struct coap_tls_files {
	struct buffer ca, cert, key; /* PEM; empty: not named */
};

/* In place of what it holds. NULL; else what is wrong, and it is as before. */
const char *coap_tls_files_read(const struct coap_tls *tls, struct coap_tls_files *files)
	__attribute__((warn_unused_result));
void coap_tls_files_free(struct coap_tls_files *files); /* wipes the key */

/* What libcoap keeps pointers to as long as its context lives. */
struct coap_tls_setup;
/* Copies the files' bytes; with_cert: ours is shown. NULL: memory is out. */
struct coap_tls_setup *coap_tls_setup_new(const struct coap_tls_files *files, bool with_cert,
	coap_dtls_cn_callback_t validate) __attribute__((warn_unused_result));
void coap_tls_setup_free(struct coap_tls_setup *setup); /* NULL is allowed */
coap_dtls_pki_t *coap_tls_setup_pki(struct coap_tls_setup *setup);
/* The next ClientHello is for that host: of its name, if it has one (RFC 6066 §3). */
void coap_tls_setup_name(struct coap_tls_setup *setup, const struct coap_url *url);
/* Whom the context trusts: the authorities of the file, or of the system for NULL. */
bool coap_tls_trust(coap_context_t *context, const char *ca_path);

/* Is that certificate (DER) for the host? */
bool coap_tls_is_for(const uint8_t *der, size_t len, const struct coap_url *url);

#endif
