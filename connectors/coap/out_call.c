/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of calls, and the messages that they send. Each message of a request has a token of its own (RFC 9175 §4.2): the number of a slot,
 * and chance. What an earlier process or an ended call has asked for finds no slot.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/coap/out_peer_impl.h"
#include "connectors/common/guard.h"
#include "runtime/failpoint.h"

#define FIRST_SLOTS  64u
#define MOST_SLOTS   (1u << 24)
#define MOST_OPTIONS 8192u /* bytes, of all options of a request */
#define MARKER       1u /* byte before a payload */
#define KEPT_BYTES   (64u * 1024)
#define QUIET_MS     60000u

/* --- the owner's part ---------------------------------------------------------------------------------------------------- */

void coap_call_init(struct coap_call *call)
{
	*call = (struct coap_call){.confirmable = true};
	buffer_init(&call->options, MOST_OPTIONS);
}

void coap_call_free(struct coap_call *call)
{
	buffer_free(&call->options);
	buffer_free(&call->down.body);
}

void coap_call_clear(struct coap_call *call)
{
	buffer_clear(&call->options);
	call->payload = slice_of(NULL, 0);
	call->last_option = 0;
}

int coap_call_option(struct coap_call *call, uint16_t number, struct slice value)
{
	uint8_t head[4];
	uint16_t len = (uint16_t)value.len;
	if (number < call->last_option || value.len > MOST_OPTIONS)
		return -EINVAL;
	memcpy(head, &number, 2);
	memcpy(head + 2, &len, 2);
	int err = buffer_reserve(&call->options, sizeof head + value.len);
	if (!err)
		err = buffer_append(&call->options, slice_of(head, sizeof head));
	if (!err)
		err = buffer_append(&call->options, value);
	call->last_option = number;
	return err == -ENOBUFS ? -EINVAL : err;
}

int coap_call_option_uint(struct coap_call *call, uint16_t number, uint32_t value)
{
	uint8_t bytes[4];
	size_t len = coap_message_uint(value, bytes);
	return coap_call_option(call, number, slice_of(bytes, len));
}

/* --- tokens -------------------------------------------------------------------------------------------------------------- */

static bool grow_slots(struct coap_peers *peers)
{
	uint32_t n = peers->n_slots ? peers->n_slots * 2 : FIRST_SLOTS;
	struct coap_slot *slots = n <= MOST_SLOTS ? realloc(peers->slots, n * sizeof *slots) : NULL;
	if (!slots)
		return false;
	for (uint32_t i = peers->n_slots; i < n; i++)
		slots[i] = (struct coap_slot){.next = i + 1 < n ? i + 2 : 0};
	peers->slots = slots;
	peers->free_slot = peers->n_slots + 1;
	peers->n_slots = n;
	return true;
}

static uint32_t take_slot(struct coap_call *call, bool fetches)
{
	struct coap_peers *peers = call->peers;
	if (!peers->free_slot && !grow_slots(peers))
		return 0;
	uint32_t number = peers->free_slot;
	struct coap_slot *slot = &peers->slots[number - 1];
	peers->free_slot = slot->next;
	slot->call = call;
	slot->fetches = fetches;
	return number;
}

void coap_call_drop_slot(struct coap_call *call, uint32_t *number)
{
	struct coap_peers *peers = call->peers;
	if (!*number)
		return;
	struct coap_slot *slot = &peers->slots[*number - 1];
	slot->call = NULL;
	slot->next = peers->free_slot;
	peers->free_slot = *number;
	*number = 0;
}

static void write_token(const struct coap_peers *peers, uint32_t number, uint8_t out[COAP_TOKEN_LEN])
{
	uint32_t index = number - 1;
	out[0] = (uint8_t)index;
	out[1] = (uint8_t)(index >> 8);
	out[2] = (uint8_t)(index >> 16);
	memcpy(out + 3, peers->slots[index].random, 5);
}

struct coap_slot *coap_call_find_slot(struct coap_peers *peers, const coap_pdu_t *pdu)
{
	coap_bin_const_t token = coap_pdu_get_token(pdu);
	if (token.length != COAP_TOKEN_LEN)
		return NULL;
	uint32_t index = token.s[0] | (uint32_t)token.s[1] << 8 | (uint32_t)token.s[2] << 16;
	if (index >= peers->n_slots || !peers->slots[index].call ||
		memcmp(peers->slots[index].random, token.s + 3, 5) != 0)
		return NULL;
	return &peers->slots[index];
}

/* --- lists --------------------------------------------------------------------------------------------------------------- */

void coap_call_set_deadline(struct coap_call *call)
{
	struct coap_peers *peers = call->peers;
	coap_call_drop_deadline(call);
	call->deadline_ms = loop_now_ms(peers->options.loop) + peers->settings->timeout_ms;
	call->next_deadline = NULL;
	call->deadline_at = peers->deadlines_end;
	*peers->deadlines_end = call;
	peers->deadlines_end = &call->next_deadline;
	coap_peers_due(peers, call->deadline_ms);
}

void coap_call_drop_deadline(struct coap_call *call)
{
	if (!call->deadline_at)
		return;
	*call->deadline_at = call->next_deadline;
	if (call->next_deadline)
		call->next_deadline->deadline_at = call->deadline_at;
	else
		call->peers->deadlines_end = call->deadline_at;
	call->deadline_at = NULL;
}

/* Out of the list that it is in: of those that have ended, that are under way, or that wait. */
static void leave_list(struct coap_call *call)
{
	if (!call->at)
		return;
	*call->at = call->next;
	if (call->next)
		call->next->at = call->at;
	else if (call->has_ended)
		call->peers->ended_end = call->at;
	else if (!call->session)
		call->peer->waiting_end = call->at;
	if (!call->has_ended && !call->session)
		call->peer->n_waiting--;
	call->at = NULL;
	call->next = NULL;
}

static void enter_session(struct coap_call *call, struct coap_peer_session *session)
{
	leave_list(call);
	call->session = session;
	call->next = session->calls;
	call->at = &session->calls;
	if (call->next)
		call->next->at = &call->next;
	session->calls = call;
}

/* Nothing of the peers knows it any more. */
void coap_call_leave(struct coap_call *call)
{
	struct coap_peer *peer = call->peer;
	struct coap_peer_session *session = call->session;
	if (!call->at)
		return;
	leave_list(call);
	call->has_ended = false;
	coap_call_drop_deadline(call);
	coap_call_drop_slot(call, &call->slot);
	coap_call_drop_slot(call, &call->fetch_slot);
	call->session = NULL;
	call->peer = NULL;
	call->is_registered = call->is_renewing = false;
	if (!peer)
		return;
	coap_peer_deactivate(peer, call);
	if (--peer->n_calls == 0)
		call->peers->n_busy--;
	if (session && session->is_retired && !session->calls)
		coap_peers_note(call->peers);
}

void coap_call_note_end(struct coap_call *call, enum coap_call_end end, uint64_t retry_after_ms, const char *why)
{
	struct coap_peers *peers = call->peers;
	char text[sizeof call->why];
	call->is_half_answered = coap_call_has_first(call);
	snprintf(text, sizeof text, "%s", why); /* it may be the peer's, which is not touched below; or this call's */
	memcpy(call->why, text, sizeof text);
	coap_call_leave(call);
	call->has_ended = true;
	call->end = end;
	call->retry_after_ms = retry_after_ms;
	call->next = NULL;
	call->at = peers->ended_end;
	*peers->ended_end = call;
	peers->ended_end = &call->next;
	coap_peers_note(peers);
}

/* Those that end meanwhile are the next turn's: a device that rests ends calls as fast as they begin. */
void coap_calls_tell(struct coap_peers *peers)
{
	struct coap_call *last = NULL;
	for (struct coap_call *call = peers->ended; call; call = call->next)
		last = call;
	for (bool more = last != NULL; more && peers->ended;) {
		struct coap_call *call = peers->ended;
		more = call != last;
		leave_list(call);
		call->has_ended = false;
		if (call->is_half_answered)
			coap_call_tell_cut(call);
		else
			call->on_end(call, call->end, call->why, call->retry_after_ms);
	}
	if (peers->ended)
		coap_peers_note(peers);
}

/* --- messages ------------------------------------------------------------------------------------------------------------ */

static size_t block_bytes(uint8_t szx)
{
	return (size_t)1 << (szx + 4);
}

static bool is_datagram(const struct coap_call *call)
{
	return coap_url_is_datagram(&call->peer->url);
}

static void add_extras(struct coap_call *call, bool fetches, int observe, struct coap_message_extras *extras)
{
	const struct coap_url *url = &call->peer->url;
	const struct coap_call_upload *up = &call->up;
	bool more = up->done + up->sending < call->payload.len;
	extras->n = 0;
	if (!url->is_literal)
		coap_message_add(extras, COAP_OPTION_URI_HOST, slice_str(url->host));
	if (observe >= 0 && !fetches)
		coap_message_add_uint(extras, COAP_OPTION_OBSERVE, (uint32_t)observe);
	if (fetches)
		coap_message_add_uint(extras, COAP_OPTION_BLOCK2,
			coap_message_block(
				(uint32_t)(call->down.body.len >> (call->down.szx + 4)), false, call->down.szx));
	else if (call->wants_body && call->peers->settings->block_size < 6)
		coap_message_add_uint(extras, COAP_OPTION_BLOCK2,
			coap_message_block(0, false, (uint8_t)call->peers->settings->block_size));
	if (up->in_blocks && !fetches)
		coap_message_add_uint(extras, COAP_OPTION_BLOCK1,
			coap_message_block((uint32_t)(up->done >> (up->szx + 4)), more, up->szx));
	if (up->in_blocks && !fetches && up->done == 0 && call->payload.len <= UINT32_MAX)
		coap_message_add_uint(extras, COAP_OPTION_SIZE1, (uint32_t)call->payload.len);
	if (up->echo_len)
		coap_message_add(extras, COAP_OPTION_ECHO, slice_of(up->echo, up->echo_len));
	if (up->in_blocks && !fetches)
		coap_message_add(extras, COAP_REQUEST_TAG_OPTION, slice_of(up->tag, sizeof up->tag));
}

/* How much of the payload goes into the next message, with how many blocks. False: not even the options fit. */
static bool plan(struct coap_call *call, size_t max_size)
{
	struct coap_call_upload *up = &call->up;
	struct coap_message_extras extras;
	size_t left = call->payload.len - up->done;
	up->sending = left;
	add_extras(call, false, call->observe ? 0 : -1, &extras);
	size_t taken = COAP_TOKEN_LEN + coap_message_size(buffer_slice(&call->options), &extras);
	if (taken > max_size)
		return false;
	if (!up->in_blocks && (left == 0 || (taken + MARKER + left <= max_size &&
						    (!is_datagram(call) || left <= block_bytes(up->szx)))))
		return true;
	if (!up->in_blocks) {
		up->in_blocks = true;
		arc4random_buf(up->tag, sizeof up->tag);
		return plan(call, max_size);
	}
	while (up->szx > 0 && taken + MARKER + block_bytes(up->szx) > max_size)
		up->szx--;
	if (taken + MARKER + block_bytes(up->szx) > max_size)
		return false;
	up->sending = left < block_bytes(up->szx) ? left : block_bytes(up->szx);
	return true;
}

/* What is never confirmed shows nothing of a device that has forgotten its keys, or a name that has moved: from time to time
 * one is. */
static bool asks(const struct coap_call *call)
{
	struct coap_peer_session *session = call->session;
	uint64_t now_ms = loop_now_ms(call->peers->options.loop);
	if (call->confirmable || !is_datagram(call) || now_ms - session->heard_ms < QUIET_MS)
		return false;
	session->heard_ms = now_ms;
	return true;
}

static bool is_confirmable(const struct coap_call *call, bool fetches)
{
	return call->confirmable || call->is_asking || call->up.in_blocks || fetches || !is_datagram(call);
}

static uint32_t *slot_of(struct coap_call *call, bool fetches)
{
	return call->observe && fetches ? &call->fetch_slot : &call->slot;
}

/* 0; -ENOMEM; -EMSGSIZE; -EIO: libcoap cannot send. */
static int send_once(struct coap_call *call, bool fetches, int observe, uint32_t slot)
{
	coap_session_t *libs = call->session->session;
	const struct coap_call_upload *up = &call->up;
	struct coap_message_extras extras;
	uint8_t token[COAP_TOKEN_LEN];
	if (coap_session_get_state(libs) != COAP_SESSION_STATE_ESTABLISHED) { /* libcoap would begin anew by itself */
		call->session->is_lost = true;
		coap_peers_note(call->peers);
		return -EIO;
	}
	size_t max_size = coap_session_max_pdu_size(libs);
	struct slice payload =
		fetches || up->sending == 0 ? slice_of(NULL, 0) : slice_of(call->payload.data + up->done, up->sending);
	add_extras(call, fetches, observe, &extras);
	if (COAP_TOKEN_LEN + coap_message_size(buffer_slice(&call->options), &extras) > max_size)
		return -EMSGSIZE;
	write_token(call->peers, slot, token);
	coap_pdu_t *pdu = coap_message_new(is_confirmable(call, fetches) ? COAP_MESSAGE_CON : COAP_MESSAGE_NON,
		call->code, coap_new_message_id(libs), slice_of(token, sizeof token), buffer_slice(&call->options),
		&extras, payload, max_size);
	if (!pdu)
		return -ENOMEM;
	call->session->n_messages++;
	if (call->session->n_messages == COAP_SESSION_MESSAGES)
		coap_peers_note(call->peers);
	return coap_send(libs, pdu) == COAP_INVALID_MID ? -EIO : 0;
}

/* What an earlier datagram has met (a closed port) is said by the next: once more, if it was that. */
static int send_twice(struct coap_call *call, bool fetches, int observe, uint32_t slot)
{
	bool is_udp = call->peer->url.scheme == COAP_SCHEME_UDP;
	int err = send_once(call, fetches, observe, slot);
	if (err == -EIO && is_udp && !call->has_ended)
		err = send_once(call, fetches, observe, slot);
	return err;
}

static int send_message(struct coap_call *call, bool fetches)
{
	uint32_t *slot = slot_of(call, fetches);
	if (!*slot)
		*slot = take_slot(call, fetches);
	if (!*slot)
		return -ENOMEM;
	if (!(call->observe && call->is_renewing))
		arc4random_buf(call->peers->slots[*slot - 1].random, 5);
	if (!fetches && !plan(call, coap_session_max_pdu_size(call->session->session)))
		return -EMSGSIZE;
	call->sent_ms = call->session->used_ms = loop_now_ms(call->peers->options.loop);
	call->peers->counters.blocks += fetches || call->up.in_blocks;
	coap_loop_forget_reason();
	return send_twice(call, fetches, call->observe ? 0 : -1, *slot);
}

/* It ends if it cannot be sent. True: it is on its way. */
bool coap_call_send_message(struct coap_call *call, bool fetches)
{
	static const char too_long[] = "path and query do not fit into a message";
	int err = send_message(call, fetches);
	if (call->has_ended) /* from inside, by a session that broke */
		return false;
	call->was_sent = call->was_sent || err == 0;
	if (err == 0 && (call->is_active || fetches))
		coap_call_set_deadline(call);
	if (err == 0)
		return true;
	if (err == -EMSGSIZE) {
		coap_call_note_end(call, COAP_CALL_TOO_LONG, 0, too_long);
	} else if (err == -ENOMEM) {
		coap_call_note_end(call, COAP_CALL_NO_ROOM, 0, "there is no memory for it");
	} else {
		struct coap_peer *peer = call->peer;
		char why[160];
		const char *reason = coap_loop_reason();
		snprintf(why, sizeof why, "it cannot be sent: %s", *reason ? reason : "the connection is closed");
		coap_call_note_end(call, COAP_CALL_UNREACHED, 0, why);
		coap_peer_has_failed(peer, COAP_CALL_UNREACHED, why);
	}
	return false;
}

bool coap_call_is_guarded_off(struct coap_call *call, const struct sockaddr_storage *address)
{
	if (!call->guarded)
		return false;
	const char *what = guard_refusal((const struct sockaddr *)address, sizeof *address);
	char why[sizeof call->why];
	if (!what)
		return false;
	snprintf(why, sizeof why, "%.100s leads to %s", call->peer->url.host, what);
	coap_call_note_end(call, COAP_CALL_GUARDED, 0, why);
	return true;
}

void coap_call_send(struct coap_call *call, struct coap_peer_session *session)
{
	struct coap_peer *peer = call->peer;
	call->up = (struct coap_call_upload){.szx = (uint8_t)call->peers->settings->block_size};
	if (coap_call_is_guarded_off(call, &session->address))
		return;
	enter_session(call, session);
	call->is_asking = asks(call);
	bool waits = is_confirmable(call, false) || call->wants_answer || call->observe;
	if (waits)
		coap_peer_activate(peer, call);
	FAILPOINT("coap.before_send");
	if (!coap_call_send_message(call, false))
		return;
	FAILPOINT("coap.after_send");
	if (!waits && !is_confirmable(call, false)) {
		coap_call_note_end(call, COAP_CALL_SENT, 0, "");
		return;
	}
	if (!call->is_active) { /* it has become blocks, which are confirmed */
		coap_peer_activate(peer, call);
		coap_call_set_deadline(call);
	}
}

void coap_call_forget_download(struct coap_call *call)
{
	struct buffer body = call->down.body;
	if (body.capacity > KEPT_BYTES)
		buffer_free(&body);
	body.limit = (size_t)call->peers->settings->max_response;
	body.len = 0;
	call->down = (struct coap_call_download){.body = body};
}

/* --- ends ---------------------------------------------------------------------------------------------------------------- */

/* From the first sending to giving up (RFC 7252 §4.8.2, MAX_TRANSMIT_WAIT). */
static uint64_t transmit_wait_ms(const struct coap_transmission *transmission)
{
	return transmission->ack_timeout_ms * 3 / 2 * ((UINT64_C(2) << transmission->max_retransmit) - 1);
}

static void doom(struct coap_peer_session *session, const char *why)
{
	snprintf(session->why, sizeof session->why, "%s", why);
	session->is_doomed = true;
	coap_peers_note(session->peer->peers);
}

void coap_call_expire(struct coap_call *call)
{
	static const char why[] = "no answer in time",
			  others[] = "another request was not answered, and the session has ended";
	struct coap_peers *peers = call->peers;
	struct coap_peer *peer = call->peer;
	struct coap_peer_session *session = call->session;
	bool confirmable = is_confirmable(call, call->down.fetching);
	uint64_t waited_ms = loop_now_ms(peers->options.loop) - call->sent_ms;
	bool repeats =
		confirmable && is_datagram(call) && waited_ms <= transmit_wait_ms(&peers->settings->transmission);
	if (repeats || !is_datagram(call))
		doom(session, others);
	peers->counters.silent++;
	coap_call_note_end(call, COAP_CALL_SILENT, 0, why);
	if (confirmable)
		coap_peer_has_failed(peer, COAP_CALL_UNREACHED, why);
}

static void fail(struct coap_call *call, enum coap_call_end end, const char *why, bool ends_session)
{
	struct coap_peer *peer = call->peer;
	struct coap_peer_session *session = call->session;
	coap_call_note_end(call, end, 0, why);
	if (ends_session)
		doom(session, why);
	coap_peer_has_failed(peer, COAP_CALL_UNREACHED, why);
}

/* From inside libcoap, which walks over its messages. */
void coap_call_on_nack(
	coap_session_t *libs, const coap_pdu_t *sent, const coap_nack_reason_t reason, const coap_mid_t id)
{
	struct coap_peer_session *session = coap_session_get_app_data(libs);
	(void)id;
	if (!session || !sent)
		return;
	struct coap_peers *peers = session->peer->peers;
	struct coap_slot *slot = coap_call_find_slot(peers, sent);
	struct coap_call *call = slot ? slot->call : NULL;
	if (!call || call->session != session)
		return;
	switch (reason) {
	case COAP_NACK_RST:
		peers->counters.resets++;
		session->has_answered = true;
		session->heard_ms = loop_now_ms(peers->options.loop);
		coap_peer_is_alive(session->peer);
		coap_call_note_end(call, COAP_CALL_RESET, 0, "the device has rejected the message (RST)");
		break;
	case COAP_NACK_TOO_MANY_RETRIES:
		peers->counters.silent++;
		fail(call, COAP_CALL_SILENT, "no answer, and no acknowledgement",
			session->peer->url.scheme == COAP_SCHEME_DTLS);
		break;
	case COAP_NACK_ICMP_ISSUE:
		fail(call, COAP_CALL_UNREACHED, "nobody listens there, or the host cannot be reached", true);
		break;
	default:
		coap_call_note_end(call, COAP_CALL_BROKEN, 0, "the session has ended before the response was there");
		break;
	}
}

/* --- observations -------------------------------------------------------------------------------------------------------- */

void coap_call_renew(struct coap_call *call)
{
	if (!call->session || !call->is_registered)
		return;
	call->is_renewing = true;
	if (!call->is_active)
		coap_peer_activate(call->peer, call);
	coap_call_send_message(call, false);
}

void coap_call_cancel(struct coap_call *call)
{
	bool deregisters = call->at && call->session && call->observe && call->is_registered &&
			   !call->peers->is_ending && call->session->is_up && !call->session->is_lost;
	if (deregisters && send_once(call, false, 1, call->slot) < 0)
		coap_peers_note(call->peers); /* the next notification is answered with RST */
	coap_call_leave(call);
	call->is_cancelled = true;
}
