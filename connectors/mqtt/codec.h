/* SPDX-License-Identifier: Apache-2.0
 *
 * The wire format of MQTT 3.1.1 and MQTT 5.0, both directions, for clients and servers (the tests play
 * brokers). No I/O, no clock, no state but the arrays of a decoder. Strict: whatever the specification
 * forbids in one packet is refused with the MQTT 5 reason code to disconnect with and a sentence; what needs
 * the knowledge of several packets (is this packet identifier in use, was this asked for) is the session's.
 * Capped: a packet's size is checked from its fixed header, and no field makes the codec allocate.
 *
 * Decoding is zero-copy: slices point into the caller's bytes, lists into the decoder. Encoding refuses what
 * decoding would refuse, so that one bad message cannot cost a connection. Any thread, one at a time per
 * decoder and buffer.
 *
 * Sections and [MQTT-x.x.x-x] are those of MQTT 5.0 unless 3.1.1 is named.
 */
#ifndef LINKSPAN_MQTT_CODEC_H
#define LINKSPAN_MQTT_CODEC_H

#include "message/buffer.h"
#include "message/message.h"

enum mqtt_version { MQTT_3_1_1 = 4, MQTT_5_0 = 5 }; /* protocol levels, §3.1.2.2 */
enum mqtt_role { MQTT_CLIENT, MQTT_SERVER };

enum mqtt_type { /* §2.1.2 */
	MQTT_CONNECT = 1,
	MQTT_CONNACK,
	MQTT_PUBLISH,
	MQTT_PUBACK,
	MQTT_PUBREC,
	MQTT_PUBREL,
	MQTT_PUBCOMP,
	MQTT_SUBSCRIBE,
	MQTT_SUBACK,
	MQTT_UNSUBSCRIBE,
	MQTT_UNSUBACK,
	MQTT_PINGREQ,
	MQTT_PINGRESP,
	MQTT_DISCONNECT,
	MQTT_AUTH, /* 5.0 only */
};

enum mqtt_reason { /* §2.4; 0x80 and above is failure */
	MQTT_SUCCESS = 0x00, /* also: normal disconnection, granted QoS 0 */
	MQTT_DISCONNECT_WITH_WILL = 0x04,
	MQTT_NO_MATCHING_SUBSCRIBERS = 0x10,
	MQTT_NO_SUBSCRIPTION_EXISTED = 0x11,
	MQTT_CONTINUE_AUTHENTICATION = 0x18,
	MQTT_REAUTHENTICATE = 0x19,
	MQTT_UNSPECIFIED_ERROR = 0x80,
	MQTT_MALFORMED_PACKET = 0x81,
	MQTT_PROTOCOL_ERROR = 0x82,
	MQTT_IMPLEMENTATION_SPECIFIC_ERROR = 0x83,
	MQTT_UNSUPPORTED_PROTOCOL_VERSION = 0x84,
	MQTT_CLIENT_IDENTIFIER_NOT_VALID = 0x85,
	MQTT_BAD_USER_NAME_OR_PASSWORD = 0x86,
	MQTT_NOT_AUTHORIZED = 0x87,
	MQTT_SERVER_UNAVAILABLE = 0x88,
	MQTT_SERVER_BUSY = 0x89,
	MQTT_BANNED = 0x8a,
	MQTT_SERVER_SHUTTING_DOWN = 0x8b,
	MQTT_BAD_AUTHENTICATION_METHOD = 0x8c,
	MQTT_KEEP_ALIVE_TIMEOUT = 0x8d,
	MQTT_SESSION_TAKEN_OVER = 0x8e,
	MQTT_TOPIC_FILTER_INVALID = 0x8f,
	MQTT_TOPIC_NAME_INVALID = 0x90,
	MQTT_PACKET_IDENTIFIER_IN_USE = 0x91,
	MQTT_PACKET_IDENTIFIER_NOT_FOUND = 0x92,
	MQTT_RECEIVE_MAXIMUM_EXCEEDED = 0x93,
	MQTT_TOPIC_ALIAS_INVALID = 0x94,
	MQTT_PACKET_TOO_LARGE = 0x95,
	MQTT_MESSAGE_RATE_TOO_HIGH = 0x96,
	MQTT_QUOTA_EXCEEDED = 0x97,
	MQTT_ADMINISTRATIVE_ACTION = 0x98,
	MQTT_PAYLOAD_FORMAT_INVALID = 0x99,
	MQTT_RETAIN_NOT_SUPPORTED = 0x9a,
	MQTT_QOS_NOT_SUPPORTED = 0x9b,
	MQTT_USE_ANOTHER_SERVER = 0x9c,
	MQTT_SERVER_MOVED = 0x9d,
	MQTT_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9e,
	MQTT_CONNECTION_RATE_EXCEEDED = 0x9f,
	MQTT_MAXIMUM_CONNECT_TIME = 0xa0,
	MQTT_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xa1,
	MQTT_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xa2,
};

/* The names of §2.4 for the log: "not authorized"; "unknown reason code" for others. The same numbers mean
 * something else in a 3.1.1 CONNACK: mqtt_return_code_name. */
const char *mqtt_reason_name(uint8_t reason);
/* 3.1.1 §3.2.2.3: 0 to 5. */
const char *mqtt_return_code_name(uint8_t code);
/* "PUBLISH"; "reserved" for 0. */
const char *mqtt_type_name(enum mqtt_type type);

/* §1.5.5: the largest variable byte integer, and with it the largest packet: 1 + 4 + this. */
#define MQTT_MAX_REMAINING 268435455u
#define MQTT_MAX_PACKET    (MQTT_MAX_REMAINING + 5)

/* --- properties, §2.2.2.2 --- */

enum mqtt_property {
	MQTT_PAYLOAD_FORMAT_INDICATOR = 1,
	MQTT_MESSAGE_EXPIRY_INTERVAL = 2,
	MQTT_CONTENT_TYPE = 3,
	MQTT_RESPONSE_TOPIC = 8,
	MQTT_CORRELATION_DATA = 9,
	MQTT_SUBSCRIPTION_IDENTIFIER = 11,
	MQTT_SESSION_EXPIRY_INTERVAL = 17,
	MQTT_ASSIGNED_CLIENT_IDENTIFIER = 18,
	MQTT_SERVER_KEEP_ALIVE = 19,
	MQTT_AUTHENTICATION_METHOD = 21,
	MQTT_AUTHENTICATION_DATA = 22,
	MQTT_REQUEST_PROBLEM_INFORMATION = 23,
	MQTT_WILL_DELAY_INTERVAL = 24,
	MQTT_REQUEST_RESPONSE_INFORMATION = 25,
	MQTT_RESPONSE_INFORMATION = 26,
	MQTT_SERVER_REFERENCE = 28,
	MQTT_REASON_STRING = 31,
	MQTT_RECEIVE_MAXIMUM = 33,
	MQTT_TOPIC_ALIAS_MAXIMUM = 34,
	MQTT_TOPIC_ALIAS = 35,
	MQTT_MAXIMUM_QOS = 36,
	MQTT_RETAIN_AVAILABLE = 37,
	MQTT_USER_PROPERTY = 38,
	MQTT_MAXIMUM_PACKET_SIZE = 39,
	MQTT_WILDCARD_SUBSCRIPTION_AVAILABLE = 40,
	MQTT_SUBSCRIPTION_IDENTIFIERS_AVAILABLE = 41,
	MQTT_SHARED_SUBSCRIPTION_AVAILABLE = 42,
};

/* All zero is "no properties". Texts are present when their data is not NULL. Numbers are present when
 * mqtt_has(); set them with mqtt_set_number. A decoded packet holds for an absent number what the
 * specification gives for its absence (receive_maximum 65535, maximum_qos 2, …; maximum_packet_size 0 = none
 * was given); 3.1.1 likewise. */
struct mqtt_properties {
	uint64_t present; /* bit n: number n was there */

	struct slice content_type;
	struct slice response_topic; /* a topic name: no wildcards [MQTT-3.3.2-14] */
	struct slice correlation_data;
	struct slice assigned_client_identifier;
	struct slice authentication_method;
	struct slice authentication_data;
	struct slice response_information;
	struct slice server_reference;
	struct slice reason_string;

	uint32_t payload_format_indicator; /* 1: the payload is UTF-8 (claimed, not checked: §3.3.2.3.2) */
	uint32_t message_expiry_interval; /* seconds */
	uint32_t session_expiry_interval; /* seconds; UINT32_MAX: never */
	uint32_t server_keep_alive; /* seconds */
	uint32_t request_problem_information;
	uint32_t will_delay_interval; /* seconds */
	uint32_t request_response_information;
	uint32_t receive_maximum;
	uint32_t topic_alias_maximum;
	uint32_t topic_alias;
	uint32_t maximum_qos;
	uint32_t retain_available;
	uint32_t maximum_packet_size; /* bytes */
	uint32_t wildcard_subscription_available;
	uint32_t subscription_identifiers_available;
	uint32_t shared_subscription_available;

	/* SUBSCRIBE has at most one; a PUBLISH from a server one per matching subscription (§3.3.2.3.8). */
	const uint32_t *subscription_identifiers;
	size_t n_subscription_identifiers;
	/* User properties, in order; names may repeat. Fits message_view.headers. */
	const struct message_field *user;
	size_t n_user;
};

/* Was that number there? Not for texts, subscription identifiers and user properties. */
static inline bool mqtt_has(const struct mqtt_properties *props, enum mqtt_property id)
{
	return props->present >> id & 1;
}

/* Sets a number and its bit. `id` must be that of a number. */
void mqtt_set_number(struct mqtt_properties *props, enum mqtt_property id, uint32_t value);

/* --- packets --- */

struct mqtt_will { /* §3.1.3.2 to §3.1.3.4 */
	struct slice topic; /* absent: no will */
	struct slice payload;
	uint8_t qos;
	bool retain;
	struct mqtt_properties props;
};

struct mqtt_connect { /* §3.1 */
	enum mqtt_version version; /* what the packet asks for; decoding ignores the decoder's */
	bool clean_start; /* 3.1.1: clean session */
	uint16_t keep_alive; /* seconds, 0 = off */
	struct slice client_id; /* may be empty; never absent */
	struct slice user_name; /* absent: none */
	struct slice password; /* absent: none; any bytes. Never log it. */
	struct mqtt_will will;
};

struct mqtt_connack { /* §3.2 */
	bool session_present;
	uint8_t reason; /* 3.1.1: the return code, 0 to 5 */
};

struct mqtt_publish { /* §3.3 */
	bool dup;
	uint8_t qos;
	bool retain;
	uint16_t packet_id; /* 0 with QoS 0, else not 0 */
	struct slice topic; /* a topic name; empty only in 5.0 with a topic alias */
	struct slice payload; /* present, may be empty */
};

struct mqtt_ack { /* PUBACK, PUBREC, PUBREL, PUBCOMP: §3.4 to §3.7; 3.1.1: reason 0 */
	uint16_t packet_id;
	uint8_t reason;
};

struct mqtt_subscription { /* §3.8.3 */
	struct slice filter;
	uint8_t qos;
	bool no_local; /* 5.0, as the next two */
	bool retain_as_published;
	uint8_t retain_handling; /* 0: send retained; 1: if the subscription is new; 2: do not */
};

struct mqtt_subscribe { /* SUBSCRIBE, and UNSUBSCRIBE, where only the filters count: §3.8, §3.10 */
	uint16_t packet_id;
	const struct mqtt_subscription *entries;
	size_t n_entries; /* at least 1 [MQTT-3.8.3-2] [MQTT-3.10.3-2] */
};

struct mqtt_suback { /* SUBACK, UNSUBACK: §3.9, §3.11 */
	uint16_t packet_id;
	struct slice reasons; /* one byte per entry, in order; 3.1.1 UNSUBACK: none */
};

struct mqtt_packet {
	enum mqtt_type type;
	union { /* nothing for PINGREQ and PINGRESP */
		struct mqtt_connect connect;
		struct mqtt_connack connack;
		struct mqtt_publish publish;
		struct mqtt_ack ack;
		struct mqtt_subscribe subscribe;
		struct mqtt_suback suback;
		uint8_t reason; /* DISCONNECT, AUTH: §3.14, §3.15; 3.1.1: 0 */
	};
	struct mqtt_properties props; /* 3.1.1: none; the will's are in the will */
};

/* --- decoding --- */

/* Why bytes were refused. */
struct mqtt_error {
	uint8_t reason; /* enum mqtt_reason, for the DISCONNECT (a CONNECT's: for the CONNACK) */
	const char *text; /* one static sentence, with its section */

	/* Not 0: a PUBLISH that is whole, but its content is not legal: text that is no UTF-8, wildcards in a
	 * name, more properties than a decoder holds. The specification wants the connection closed; a broker
	 * that let the message in would then send it again at every reconnect, for ever. So the session may
	 * instead count it, drop it and acknowledge packet_id with this reason (0x83, 0x90 or 0x97). Of the packet
	 * that was decoded its topic, unchecked, and its numbers then hold, since it may have set a topic alias. */
	uint8_t refusal;
	uint8_t qos; /* with refusal: of the PUBLISH, as the next */
	uint16_t packet_id;
};

enum mqtt_frame_state {
	MQTT_FRAME_BAD, /* close; *ret_error is set */
	MQTT_FRAME_MORE, /* not whole yet */
	MQTT_FRAME_WHOLE, /* the first *ret_len bytes are one packet */
};

/* Looks at the fixed header (§2.1) of what has come so far. BAD as early as it can be known: at the first
 * byte for illegal types and flags, at the end of the length for packets above max_packet (0x95) bytes, at
 * the fourth length byte for an overlong one. MORE: *ret_len is the length of the packet once known, else 0.
 */
enum mqtt_frame_state mqtt_frame(struct slice bytes, uint32_t max_packet, size_t *ret_len, struct mqtt_error *ret_error)
	__attribute__((warn_unused_result));

/* Of each list of one packet, and all that a decoder holds; a packet with more is refused with 0x97. */
#define MQTT_MAX_LIST MESSAGE_MAX_FIELDS

/* Large (about 60 KiB, of which a page or two is ever touched): not for the stack of a small thread. */
struct mqtt_decoder {
	enum mqtt_version version; /* of the connection */
	enum mqtt_role sender; /* who wrote what is decoded here: MQTT_SERVER in a client */
	uint16_t topic_alias_maximum; /* what we announced: a PUBLISH with a larger one gets 0x94 */

	struct message_field user[MQTT_MAX_LIST];
	uint32_t subscription_identifiers[MQTT_MAX_LIST];
	struct mqtt_subscription entries[MQTT_MAX_LIST];
	size_t n_user;
};

/* No alias is allowed. Does not touch the lists. */
void mqtt_decoder_init(struct mqtt_decoder *decoder, enum mqtt_version version, enum mqtt_role sender);

/* Decodes exactly one whole packet, as mqtt_frame measured it. 0, or -EBADMSG with *ret_error; *ret_packet
 * then holds nothing of use, but for a refusal's topic. Slices in the packet live as long as the bytes; lists until the next call with
 * this decoder. Packets that this sender may not send are refused (0x82). */
int mqtt_decode(struct mqtt_decoder *decoder, struct slice bytes, struct mqtt_packet *ret_packet,
	struct mqtt_error *ret_error) __attribute__((warn_unused_result));

/* --- encoding --- */

/* All append to `out` whole or not at all and return 0 or one of
 * - -EMSGSIZE: the packet would be larger than max_packet (the peer's Maximum Packet Size, else
 * MQTT_MAX_PACKET), or a string or binary is longer than 65535 bytes;
 * - -EILSEQ: a text is not what §1.5.4 allows (UTF-8 without U+0000), or a topic name or filter is not legal;
 * - -EINVAL: another value that the specification forbids in this packet and version;
 * - -ENOBUFS: no room below the buffer's limit, try again when it has drained;
 * - -ENOMEM.
 * The first three are about this packet and for ever. Nothing is allocated while the buffer's capacity holds.
 */

/* Any packet. A CONNECT goes by its own version. 3.1.1: properties are left out, and the reasons of acks,
 * UNSUBACK and DISCONNECT too, as there is no place for them; AUTH, No Local, Retain As Published, Retain
 * Handling and codes that 3.1.1 does not know are -EINVAL. Not known here is who sends: a client must not put
 * subscription identifiers into a PUBLISH [MQTT-3.3.4-6]. Remaining lengths are the shortest (§3.4.2.2.1: an
 * ack without reason and properties is 4 bytes). */
int mqtt_encode(struct buffer *out, enum mqtt_version version, uint32_t max_packet, const struct mqtt_packet *packet)
	__attribute__((warn_unused_result));

/* A PUBLISH without its payload, whose length is counted in: the payload's bytes must follow on the wire. For
 * large payloads that go out by gathered writes. */
int mqtt_encode_publish_head(struct buffer *out, enum mqtt_version version, uint32_t max_packet,
	const struct mqtt_packet *packet) __attribute__((warn_unused_result));

/* The acks of a batch: PUBACK, PUBREC, PUBREL or PUBCOMP with reason 0, 4 bytes each, both versions. */
int mqtt_encode_acks(struct buffer *out, enum mqtt_type type, const uint16_t *packet_ids, size_t count)
	__attribute__((warn_unused_result));

/* --- text, §1.5.4 and §4.7 --- */

/* Well-formed UTF-8 (Unicode 15 table 3-7: no surrogates, nothing overlong) without U+0000, at most 65535
 * bytes. */
bool mqtt_text_valid(struct slice text);
/* Also at least one byte and no wildcards [MQTT-4.7.0-1] [MQTT-4.7.3-1]. */
bool mqtt_topic_name_valid(struct slice name);
/* Also wildcards only where §4.7.1 and §4.8.2 ($share/name/filter) have them. */
bool mqtt_topic_filter_valid(struct slice filter);

#endif
