/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a CoAP connection. One with `listen` takes requests, one with `url` sends them and watches resources; each has
 * keys of its own, and what both have means the same.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_SETTINGS_H
#define LINKSPAN_CONNECTORS_COAP_SETTINGS_H

#include "config/schema.h"
#include "message/slice.h"

enum coap_order { COAP_ORDER_KEY, COAP_ORDER_NONE };
enum coap_dedupe { COAP_DEDUPE_DURABLE, COAP_DEDUPE_MEMORY };
enum coap_success { COAP_SUCCESS_CHANGED, COAP_SUCCESS_CREATED };
enum coap_watch_mode { COAP_WATCH_OBSERVE, COAP_WATCH_POLL };

struct coap_limits { /* a section `limits` */
	uint64_t max_body; /* bytes */
	uint64_t max_buffered; /* bytes of all bodies that are being received or wait */
	int64_t max_waiting; /* requests without an answer */
	int64_t max_sessions, max_handshakes;
	uint64_t session_timeout_ms;
	int64_t max_observers, max_resources; /* max_resources: paths that are observed */
	int64_t rate, rate_burst; /* requests a second of one peer; 0: no limit */
	uint64_t busy_timeout_ms;
	uint64_t max_list; /* bytes of /.well-known/core */
};

struct coap_in_settings {
	bool public;
	struct config_list multicast; /* groups to join */
	struct config_list allow; /* identity: filters, connectors/common/allowed_paths.h */
	int dedupe; /* enum coap_dedupe */
	uint64_t max_age_ms; /* of values that do not expire */
	struct coap_limits limits;
};

struct coap_transmission { /* RFC 7252 §4.8 */
	uint64_t ack_timeout_ms;
	int64_t max_retransmit;
	int64_t nstart;
};

struct coap_out_settings {
	int method; /* index into coap_methods */
	uint64_t timeout_ms; /* of a request, with its separate response */
	int64_t concurrency;
	int order; /* enum coap_order */
	int block_size; /* index into coap_block_sizes: 2^(index + 4) */
	struct coap_transmission transmission;
	uint64_t max_response; /* bytes */
	int64_t max_peers;
	bool allow_private;
};

struct coap_psk {
	char *file; /* listener: identities and keys */
	char *hint; /* listener */
	char *identity; /* client */
	char *key; /* client */
};

struct coap_tls {
	char *ca, *cert, *key, *client_ca;
};

struct coap_settings {
	/* Client. */
	char *url;
	struct coap_out_settings out;
	/* Listener. */
	struct config_list listen;
	struct coap_in_settings in;
	/* Both. */
	struct coap_psk psk;
	struct coap_tls tls;
};

struct coap_from_settings {
	/* Of a listener. */
	int success; /* enum coap_success */
	bool delete;
	/* Of a client. */
	int mode; /* enum coap_watch_mode */
	uint64_t every_ms;
	char *query;
	char *accept; /* a media type */
};

extern const struct config_key coap_connection_keys[];
extern const struct config_key coap_from_keys[];
extern const struct config_key coap_to_keys[];
extern const char *const coap_methods[]; /* NULL-terminated */

static inline bool coap_settings_listens(const struct coap_settings *settings)
{
	return settings->listen.n > 0;
}

/* Members of struct connector. */
void coap_settings_check(const void *settings, struct config_scope *scope);

#endif
