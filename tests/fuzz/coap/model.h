/* SPDX-License-Identifier: Apache-2.0
 *
 * The host of a CoAP listener for its fuzz target, and what must hold whatever peers send. It plays the journal (receipts come
 * when they are told to, keys become known with them) and the last values. What must hold is checked where it could break
 * (fuzz_require):
 *   - no 2.01, 2.02 or 2.04 to a write before its receipt has said durable;
 *   - of the same datagram, one message, unless its message id has had other bytes since or its time is over;
 *   - an address that has not answered anything gets at most three times what it has sent, repetitions and notifications included;
 *   - never more sessions' worth of anything than the limits say;
 *   - 4.29 and 5.03 say when to come again; every confirmable request gets some answer.
 *
 * One link at a time; the thread that calls.
 */
#ifndef LINKSPAN_TESTS_FUZZ_COAP_MODEL_H
#define LINKSPAN_TESTS_FUZZ_COAP_MODEL_H

#include "connectors/coap/settings.h"
#include "connectors/connector.h"
#include "tests/fuzz/coap/play.h"

#define MODEL_SENT     200u
#define MODEL_RECEIPTS 256u
#define MODEL_KEYS     256u
#define MODEL_VALUES   3u
#define MODEL_MARK_LEN 4u

enum model_mood { MODEL_TAKES, MODEL_BUSY, MODEL_REFUSES, MODEL_MOODS };

/* A datagram that a peer has sent, to be sent again. With `marked`, a write whose token, and whose payload's first bytes, name it
 * (or, of a block, the body's first datagram). */
struct model_sent {
	size_t peer;
	uint16_t mid;
	bool is_con, is_answered;
	bool is_whole; /* alone, or with what came before it */
	bool is_confirmed; /* a DELETE that was answered with 2.02 */
	bool is_replaced; /* its message id has had other bytes since */
	uint64_t at_ms;
	size_t body; /* which one it is a block of; itself, if it is none */
	bool is_marked;
	uint16_t len;
	uint8_t data[PLAY_MAX_DATAGRAM];
};

/* What became of a marked write, by the number of its first datagram. */
struct model_write {
	unsigned allowed, offered, durable; /* messages */
	bool is_anybodys; /* its blocks may have been joined with others than its own: nothing is required of it */
};

struct model_key {
	uint8_t key[LINK_KEY_LEN];
	uint64_t hash, until_ms;
	bool is_known; /* durable */
};

struct model_receipt {
	uint64_t cookie;
	struct model_write *write; /* NULL: nobody's in particular */
	size_t key; /* MODEL_KEYS: none */
};

struct model_peer {
	uint64_t sent, received; /* bytes */
	bool answers_pings, acknowledges, is_validated;
	uint16_t last_con; /* message id of the last confirmable message that came */
};

struct model {
	struct link_host host; /* first */
	const struct coap_settings *settings;
	struct loop *loop;
	struct link *link;
	enum model_mood mood;
	bool keys_full;
	bool is_up, is_paused, is_stopped;
	struct model_sent sent[MODEL_SENT];
	size_t n_sent;
	struct model_write writes[MODEL_SENT];
	struct model_write deletes; /* all together: their messages have no payload that could name them */
	unsigned n_confirmed;
	struct model_receipt receipts[MODEL_RECEIPTS];
	size_t n_receipts;
	struct model_key keys[MODEL_KEYS];
	size_t n_keys;
	struct message *values[MODEL_VALUES];
	uint64_t last_seq;
	struct message *in_flight; /* the delivery that has no outcome yet */
	struct model_peer peers[PLAY_PEERS];
};

extern const char *const model_paths[MODEL_VALUES]; /* of the values */

/* Creates the listener and starts it. */
void model_begin(struct model *model, const struct coap_settings *settings,
	const struct link_subscription *subscriptions, size_t n);
/* Ends it: all that was taken gets a receipt, everybody an answer. */
void model_end(struct model *model);

/* The mark of a datagram: its token and the beginning of its payload. */
void model_mark(size_t number, uint8_t out[MODEL_MARK_LEN]);
/* A peer sends it: body is its own number unless it is a block. Returns its number, or MODEL_SENT: there are too many, and nothing was sent. */
size_t model_send(
	struct model *model, size_t peer, const struct play_datagram *d, bool is_marked, size_t body, bool is_whole);
void model_send_again(struct model *model, size_t number);
/* Bytes of any kind. */
void model_send_raw(struct model *model, size_t peer, const uint8_t *data, size_t len);
/* Lets all run, reads what has come to the peers, and lets them answer as they do. */
void model_settle(struct model *model);
void model_advance(struct model *model, uint64_t ms);
/* Journal: the next n receipts. */
void model_give_receipts(struct model *model, size_t n, enum receipt receipt);
void model_resume(struct model *model);
/* A mapping writes a value; NULL removes it. */
void model_set_value(struct model *model, size_t which, const uint8_t *data, size_t len);

#endif
