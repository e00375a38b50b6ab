/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a listener listens, as it is written: coap://127.0.0.1:5683, coaps://[::1], coap://[fe80::1%eth0], coap+tcp://… and coaps+tcp://…; numbers,
 * not names. And groups: 224.0.1.187, [ff02::fd%eth0].
 *
 * Pure; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_IN_ADDRESS_H
#define LINKSPAN_CONNECTORS_COAP_IN_ADDRESS_H

#include "config/listen.h"
#include "connectors/coap/scheme.h"

struct coap_in_address {
	struct listen_address at;
	enum coap_scheme scheme;
};

/* NULL; or what is wrong and what would be right, one static sentence. Without a port: 5683, or 5684 where it is secured. */
const char *coap_in_address_parse(const char *text, struct coap_in_address *ret_address)
	__attribute__((warn_unused_result));

#define COAP_IN_GROUP_SIZE 64u

/* The group and the interface, which is "" if none is named. NULL; or what is wrong, as above. */
const char *coap_in_group_parse(const char *text, char group[COAP_IN_GROUP_SIZE], char interface[COAP_IN_GROUP_SIZE])
	__attribute__((warn_unused_result));

#endif
