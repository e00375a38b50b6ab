/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the fuzz targets of CoAP play: clocks that stand still until they are told to go on, and a few peers with real sockets.
 * The linker puts play.c between the connector and libuv's loop (all else of the loop is the simulated one), and libcoap takes its time from here.
 * Datagrams go over the loopback interface, through libcoap as it is. What a peer receives is parsed strictly: a message that is none is a finding.
 *
 * One listener at a time; the thread that calls.
 */
#ifndef LINKSPAN_TESTS_FUZZ_COAP_PLAY_H
#define LINKSPAN_TESTS_FUZZ_COAP_PLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/loop.h"

#define PLAY_PEERS        3u
#define PLAY_MAX_DATAGRAM 1500u
#define PLAY_TOKEN_MAX    8u

enum play_type { PLAY_CON, PLAY_NON, PLAY_ACK, PLAY_RST };

/* Options of RFC 7252 §5.10, 7641, 7959, 9175 that are built or looked at. */
enum {
	PLAY_IF_MATCH = 1,
	PLAY_ETAG = 4,
	PLAY_IF_NONE_MATCH = 5,
	PLAY_OBSERVE = 6,
	PLAY_LOCATION_PATH = 8,
	PLAY_URI_PATH = 11,
	PLAY_CONTENT_FORMAT = 12,
	PLAY_MAX_AGE = 14,
	PLAY_URI_QUERY = 15,
	PLAY_ACCEPT = 17,
	PLAY_BLOCK2 = 23,
	PLAY_BLOCK1 = 27,
	PLAY_SIZE2 = 28,
	PLAY_SIZE1 = 60,
	PLAY_ECHO = 252,
	PLAY_NO_RESPONSE = 258,
	PLAY_REQUEST_TAG = 292,
};

/* A message that a peer has received. */
struct play_message {
	enum play_type type;
	uint8_t code;
	uint16_t mid;
	uint8_t token_len;
	uint8_t token[PLAY_TOKEN_MAX];
	bool has_max_age, has_observe, has_block1, has_block2, has_size1;
	uint32_t size1, block1, block2;
	const uint8_t *payload;
	size_t payload_len;
	size_t len; /* of the datagram */
};

/* To the letter of RFC 7252 §3; the payload lies in the data. */
void play_parse(const uint8_t *data, size_t len, struct play_message *ret_msg);

/* --- the stage -------------------------------------------------------------------------------------------------------- */

/* A loop whose time begins anew. */
struct loop *play_begin(void);
/* The port that the next listener may have. To be asked for before play_begin. */
uint16_t play_port(void);
uint64_t play_now_ms(void);
/* Lets what is there run: sockets and posted jobs. */
void play_run(void);
/* Time passes; timers, of libcoap too, are run as it does. */
void play_advance(uint64_t ms);
/* After the last handle has been closed. */
void play_end(void);

/* --- peers ------------------------------------------------------------------------------------------------------------- */

void play_send(size_t peer, const uint8_t *data, size_t len);
/* The next one that has come to that peer; its payload lives until the next call. False: none. */
bool play_receive(size_t peer, struct play_message *ret_msg);

/* A datagram under construction. Options in any order are written as they come: a smaller number than before is left out. */
struct play_datagram {
	uint8_t data[PLAY_MAX_DATAGRAM];
	size_t len;
	unsigned last;
};
void play_head(
	struct play_datagram *d, enum play_type type, uint8_t code, uint16_t mid, const void *token, size_t token_len);
void play_option(struct play_datagram *d, unsigned number, const void *value, size_t len);
void play_number(struct play_datagram *d, unsigned number, uint32_t value);
void play_path(struct play_datagram *d, const char *path);
void play_payload(struct play_datagram *d, const void *data, size_t len);

#endif
