/* SPDX-License-Identifier: Apache-2.0
 *
 * Reason codes: their names (§2.4), and which packet may carry which (the tables of §3.2.2.2, §3.4.2.1,
 * §3.5.2.1, §3.6.2.1, §3.7.2.1, §3.9.3, §3.11.3, §3.14.2.1 and §3.15.2.1; 3.1.1 §3.2.2.3 and §3.9.3).
 */
#include "connectors/mqtt/codec_internal.h"

static const char *const failure_names[] = {
	"unspecified error",
	"malformed packet",
	"protocol error",
	"implementation specific error",
	"unsupported protocol version",
	"client identifier not valid",
	"bad user name or password",
	"not authorized",
	"server unavailable",
	"server busy",
	"banned",
	"server shutting down",
	"bad authentication method",
	"keep alive timeout",
	"session taken over",
	"topic filter invalid",
	"topic name invalid",
	"packet identifier in use",
	"packet identifier not found",
	"receive maximum exceeded",
	"topic alias invalid",
	"packet too large",
	"message rate too high",
	"quota exceeded",
	"administrative action",
	"payload format invalid",
	"retain not supported",
	"QoS not supported",
	"use another server",
	"server moved",
	"shared subscriptions not supported",
	"connection rate exceeded",
	"maximum connect time",
	"subscription identifiers not supported",
	"wildcard subscriptions not supported",
};
#define N_FAILURES (sizeof failure_names / sizeof failure_names[0])

const char *mqtt_reason_name(uint8_t reason)
{
	switch (reason) {
	case MQTT_SUCCESS:
		return "success";
	case 0x01:
		return "granted QoS 1";
	case 0x02:
		return "granted QoS 2";
	case MQTT_DISCONNECT_WITH_WILL:
		return "disconnect with will message";
	case MQTT_NO_MATCHING_SUBSCRIBERS:
		return "no matching subscribers";
	case MQTT_NO_SUBSCRIPTION_EXISTED:
		return "no subscription existed";
	case MQTT_CONTINUE_AUTHENTICATION:
		return "continue authentication";
	case MQTT_REAUTHENTICATE:
		return "re-authenticate";
	default:
		break;
	}
	if (reason < MQTT_UNSPECIFIED_ERROR || reason - MQTT_UNSPECIFIED_ERROR >= (int)N_FAILURES)
		return "unknown reason code";
	return failure_names[reason - MQTT_UNSPECIFIED_ERROR];
}

const char *mqtt_return_code_name(uint8_t code)
{
	static const char *const names[] = {
		"accepted",
		"unacceptable protocol version",
		"identifier rejected",
		"server unavailable",
		"bad user name or password",
		"not authorized",
	};
	return code < sizeof names / sizeof names[0] ? names[code] : "unknown return code";
}

const char *mqtt_type_name(enum mqtt_type type)
{
	static const char *const names[] = {
		"reserved",
		"CONNECT",
		"CONNACK",
		"PUBLISH",
		"PUBACK",
		"PUBREC",
		"PUBREL",
		"PUBCOMP",
		"SUBSCRIBE",
		"SUBACK",
		"UNSUBSCRIBE",
		"UNSUBACK",
		"PINGREQ",
		"PINGRESP",
		"DISCONNECT",
		"AUTH",
	};
	return names[(unsigned)type & 15];
}

/* Bits of the reasons from 0x80 on: all legal ones lie below 0x80 + 64. */
#define FAIL(reason) (1ull << ((reason)-0x80))

static const uint64_t connack_failures = FAIL(0x80) | FAIL(0x81) | FAIL(0x82) | FAIL(0x83) | FAIL(0x84) | FAIL(0x85) |
					 FAIL(0x86) | FAIL(0x87) | FAIL(0x88) | FAIL(0x89) | FAIL(0x8a) | FAIL(0x8c) |
					 FAIL(0x90) | FAIL(0x95) | FAIL(0x97) | FAIL(0x99) | FAIL(0x9a) | FAIL(0x9b) |
					 FAIL(0x9c) | FAIL(0x9d) | FAIL(0x9f);
static const uint64_t receipt_failures =
	FAIL(0x80) | FAIL(0x83) | FAIL(0x87) | FAIL(0x90) | FAIL(0x91) | FAIL(0x97) | FAIL(0x99);
/* mosquitto says it beyond its message_size_limit, though it does not stand in the tables of PUBACK and PUBREC. To refuse it
 * would be to send the message again for ever, on new connections. */
static const uint64_t server_receipt_failures = FAIL(0x95);
static const uint64_t suback_failures = FAIL(0x80) | FAIL(0x83) | FAIL(0x87) | FAIL(0x8f) | FAIL(0x91) | FAIL(0x97) |
					FAIL(0x9e) | FAIL(0xa1) | FAIL(0xa2);
static const uint64_t unsuback_failures = FAIL(0x80) | FAIL(0x83) | FAIL(0x87) | FAIL(0x8f) | FAIL(0x91);
static const uint64_t disconnect_failures = FAIL(0x80) | FAIL(0x81) | FAIL(0x82) | FAIL(0x83) | FAIL(0x90) |
					    FAIL(0x93) | FAIL(0x94) | FAIL(0x95) | FAIL(0x96) | FAIL(0x97) |
					    FAIL(0x98) | FAIL(0x99);
/* 0x8c stands in §2.4 and §4.12, though not in §3.14.2.1. */
static const uint64_t server_disconnect_failures =
	FAIL(0x87) | FAIL(0x89) | FAIL(0x8b) | FAIL(0x8c) | FAIL(0x8d) | FAIL(0x8e) | FAIL(0x8f) | FAIL(0x9a) |
	FAIL(0x9b) | FAIL(0x9c) | FAIL(0x9d) | FAIL(0x9e) | FAIL(0x9f) | FAIL(0xa0) | FAIL(0xa1) | FAIL(0xa2);

static bool failure_in(uint64_t failures, uint8_t reason)
{
	return reason >= 0x80 && reason < 0x80 + 64 && (failures >> (reason - 0x80) & 1);
}

static bool disconnect_legal(unsigned senders, uint8_t reason)
{
	if (reason == MQTT_DISCONNECT_WITH_WILL)
		return senders & MQTT_BY_CLIENT;
	return failure_in(disconnect_failures, reason) ||
	       ((senders & MQTT_BY_SERVER) && failure_in(server_disconnect_failures, reason));
}

static bool legal_5_0(enum mqtt_type type, unsigned senders, uint8_t reason)
{
	switch (type) {
	case MQTT_CONNACK:
		return failure_in(connack_failures, reason);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
		return failure_in(receipt_failures, reason) ||
		       ((senders & MQTT_BY_SERVER) &&
			       (reason == MQTT_NO_MATCHING_SUBSCRIBERS || failure_in(server_receipt_failures, reason)));
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return reason == MQTT_PACKET_IDENTIFIER_NOT_FOUND;
	case MQTT_SUBACK:
		return reason <= 2 || failure_in(suback_failures, reason);
	case MQTT_UNSUBACK:
		return reason == MQTT_NO_SUBSCRIPTION_EXISTED || failure_in(unsuback_failures, reason);
	case MQTT_DISCONNECT:
		return disconnect_legal(senders, reason);
	case MQTT_AUTH: /* success from the server, re-authenticate from the client */
		return reason == MQTT_CONTINUE_AUTHENTICATION ||
		       (reason == MQTT_REAUTHENTICATE && (senders & MQTT_BY_CLIENT));
	default:
		return false;
	}
}

bool mqtt_reason_legal(enum mqtt_version version, enum mqtt_type type, unsigned senders, uint8_t reason)
{
	if (reason == MQTT_SUCCESS)
		return type != MQTT_AUTH || (senders & MQTT_BY_SERVER);
	if (version == MQTT_5_0)
		return legal_5_0(type, senders, reason);
	return (type == MQTT_CONNACK && reason <= 5) || (type == MQTT_SUBACK && (reason <= 2 || reason == 0x80));
}
