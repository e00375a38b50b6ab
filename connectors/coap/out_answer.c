/* SPDX-License-Identifier: Apache-2.0
 *
 * Responses: to blocks of a request, to the request, to what fetches further blocks of a response, and notifications. All are
 * told apart by their tokens. libcoap acknowledges what the handler takes, and rejects (RST) what it does not: a notification that
 * nobody wants is ended so (RFC 7641 §3.6).
 */
#include "connectors/coap/out_peer_impl.h"
#include "connectors/coap/out_repeats.h"
#include "runtime/failpoint.h"

#define SUCCESS_CLASS 2
#define VALID         67u /* 2.03 */
#define CONTENT       69u /* 2.05 */
#define CONTINUE      95u /* 2.31 */
#define UNAUTHORIZED  129u /* 4.01 */
#define TOO_LARGE     141u /* 4.13 */
#define MOST_ECHOES   2
#define MOST_RESTARTS 3

static bool is_success(uint8_t code)
{
	return code >> 5 == SUCCESS_CLASS;
}

/* --- what the owner is told ---------------------------------------------------------------------------------------------- */

static struct coap_call_response response_of(
	const struct coap_call *call, const struct coap_message_view *view, const coap_pdu_t *pdu)
{
	const struct coap_call_download *down = &call->down;
	bool assembled = down->body.len > 0;
	size_t most = (size_t)call->peers->settings->max_response;
	size_t len = view->payload.len < most ? view->payload.len : most;
	return (struct coap_call_response){
		.code = down->code,
		.observed = down->observed,
		.cut = down->cut,
		.sequence = down->sequence,
		.format = down->format,
		.has_max_age = down->has_max_age,
		.max_age_s = down->max_age_s,
		.etag = down->etag_len ? slice_of(down->etag, down->etag_len) : slice_of(NULL, 0),
		.payload = assembled ? buffer_slice(&down->body) : slice_of(view->payload.data, len),
		.pdu = pdu,
	};
}

/* It has answered: other calls have room before the owner begins the next. */
static void end_answered(struct coap_call *call, const struct coap_call_response *response)
{
	struct coap_peers *peers = call->peers;
	coap_call_leave(call);
	call->is_cancelled = false;
	FAILPOINT("coap.after_response");
	if (call->on_response)
		call->on_response(call, response);
	if (!call->is_cancelled)
		call->on_end(call, COAP_CALL_ANSWERED, "", 0);
	coap_peers_pump(peers);
}

/* An observation goes on as long as its responses say so. */
static void tell_observer(struct coap_call *call, const struct coap_call_response *response)
{
	struct coap_peers *peers = call->peers;
	if (!response->observed || (response->code != CONTENT && response->code != VALID)) {
		end_answered(call, response);
		return;
	}
	call->is_registered = true;
	call->is_renewing = false;
	coap_call_drop_deadline(call);
	coap_peer_deactivate(call->peer, call);
	coap_call_drop_slot(call, &call->fetch_slot);
	call->up.restarts = 0;
	if (call->on_response)
		call->on_response(call, response);
	coap_peers_pump(peers);
}

static void deliver(struct coap_call *call, const struct coap_message_view *view, const coap_pdu_t *pdu)
{
	struct coap_call_response response = response_of(call, view, pdu);
	call->down.fetching = false;
	if (call->observe)
		tell_observer(call, &response);
	else
		end_answered(call, &response);
}

static void break_off(struct coap_call *call, const char *why)
{
	coap_call_note_end(call, COAP_CALL_BROKEN, 0, why);
}

/* --- blocks of the request ------------------------------------------------------------------------------------------------ */

static size_t block_bytes(uint8_t szx)
{
	return (size_t)1 << (szx + 4);
}

/* The device wants smaller blocks (RFC 7959 §2.9.3). */
static bool begin_smaller(struct coap_call *call, const struct coap_message_view *view)
{
	struct coap_call_upload *up = &call->up;
	if (view->code != TOO_LARGE || !view->block1.present || up->restarts >= MOST_RESTARTS ||
		(up->in_blocks ? view->block1.szx >= up->szx : call->payload.len <= block_bytes(view->block1.szx)))
		return false;
	up->restarts++;
	up->szx = view->block1.szx;
	up->in_blocks = true;
	up->done = up->sending = 0;
	arc4random_buf(up->tag, sizeof up->tag);
	coap_call_send_message(call, false);
	return true;
}

/* True: the response was to a block, and the request goes on, or has broken off. */
static bool continues(struct coap_call *call, const struct coap_message_view *view)
{
	struct coap_call_upload *up = &call->up;
	bool is_last = up->done + up->sending >= call->payload.len;
	if (begin_smaller(call, view))
		return true;
	if (is_last && view->code == CONTINUE) {
		break_off(call, "the device has answered 2.31 to the last block");
		return true;
	}
	if (is_last || !is_success(view->code))
		return false;
	/* Without the option it has not understood that more is to come; what it has done is done with a part. */
	if (!view->block1.present || view->block1.num != up->done >> (up->szx + 4)) {
		break_off(call, "the device has answered before it had the whole body");
		return true;
	}
	up->done += up->sending;
	if (view->block1.szx < up->szx)
		up->szx = view->block1.szx;
	coap_call_send_message(call, false);
	return true;
}

/* --- blocks of the response ----------------------------------------------------------------------------------------------- */

static void note_first(struct coap_call *call, const struct coap_message_view *view)
{
	struct coap_call_download *down = &call->down;
	coap_call_forget_download(call);
	down->code = view->code;
	down->observed = view->observed;
	down->sequence = view->sequence;
	down->format = view->format;
	down->has_max_age = view->has_max_age;
	down->max_age_s = view->max_age_s;
	down->etag_len = (uint8_t)view->etag.len;
	if (view->etag.len)
		memcpy(down->etag, view->etag.data, view->etag.len);
}

static bool is_safe(const struct coap_call *call)
{
	return call->code == 1 || call->code == 5;
}

/* The resource has changed while it was read. True: it is read again. */
static bool begin_again(struct coap_call *call)
{
	if (!is_safe(call) || call->up.restarts >= MOST_RESTARTS)
		return false;
	call->up.restarts++;
	coap_call_forget_download(call);
	if (call->is_registered)
		coap_call_renew(call);
	else
		coap_call_send_message(call, false);
	return true;
}

/* Does this block go on where the last has ended? */
static bool fits(const struct coap_call *call, const struct coap_message_view *view)
{
	const struct coap_call_download *down = &call->down;
	const struct coap_message_block_option *block = &view->block2;
	return view->code == down->code && block->present &&
	       (uint64_t)block->num << (block->szx + 4) == down->body.len &&
	       (view->etag.len == 0 || down->etag_len == 0 || /* some give it with the first alone */
		       slice_equal(view->etag, slice_of(down->etag, down->etag_len)));
}

/* False: no more of it is fetched. */
static bool keep_block(struct coap_call *call, const struct coap_message_view *view)
{
	const struct coap_message_block_option *block = &view->block2;
	if (buffer_append(&call->down.body, view->payload) < 0)
		call->down.cut = true;
	else if (block->more && view->payload.len != block_bytes(block->szx))
		call->down.cut = true;
	return !call->down.cut && block->more;
}

static void fetch(struct coap_call *call, uint8_t szx)
{
	call->down.fetching = true;
	call->down.szx = szx;
	coap_call_send_message(call, true);
}

static void take_first(struct coap_call *call, const struct coap_message_view *view, const coap_pdu_t *pdu)
{
	const struct coap_message_block_option *block = &view->block2;
	note_first(call, view);
	call->down.cut = view->payload.len > call->peers->settings->max_response;
	if (!block->present || (block->num == 0 && !block->more)) {
		deliver(call, view, pdu);
		return;
	}
	if (!call->wants_body || !is_success(view->code) || block->num != 0) {
		call->down.cut = true;
		deliver(call, view, pdu);
		return;
	}
	if (keep_block(call, view))
		fetch(call, block->szx);
	else
		deliver(call, view, pdu);
}

static void take_further(struct coap_call *call, const struct coap_message_view *view, const coap_pdu_t *pdu)
{
	if (!fits(call, view)) {
		if (begin_again(call))
			return;
		call->down.cut = true;
		deliver(call, view, pdu);
		return;
	}
	if (keep_block(call, view))
		fetch(call, view->block2.szx);
	else
		deliver(call, view, pdu);
}

bool coap_call_has_first(const struct coap_call *call)
{
	return call->down.fetching && !call->observe && !is_safe(call) && is_success(call->down.code);
}

void coap_call_tell_cut(struct coap_call *call)
{
	static const struct coap_message_view nothing = {.payload = {(const uint8_t *)"", 0}};
	call->is_half_answered = false;
	call->down.cut = true;
	struct coap_call_response response = response_of(call, &nothing, NULL);
	call->is_cancelled = false;
	if (call->on_response)
		call->on_response(call, &response);
	if (!call->is_cancelled)
		call->on_end(call, COAP_CALL_ANSWERED, "", 0);
}

/* --- all of them --------------------------------------------------------------------------------------------------------- */

/* The device wants to see that the request is fresh (RFC 9175 §2.3). True: it goes out again. */
static bool repeats_with_echo(struct coap_call *call, const struct coap_message_view *view, bool fetches)
{
	struct coap_call_upload *up = &call->up;
	if (view->code != UNAUTHORIZED || !view->echo.data || up->echoes >= MOST_ECHOES ||
		view->echo.len > sizeof up->echo)
		return false;
	up->echoes++;
	up->echo_len = (uint8_t)view->echo.len;
	memcpy(up->echo, view->echo.data, view->echo.len);
	coap_call_send_message(call, fetches);
	return true;
}

static void take(struct coap_call *call, bool fetches, const coap_pdu_t *pdu)
{
	struct coap_message_view view;
	coap_message_read(pdu, &view);
	if (repeats_with_echo(call, &view, fetches))
		return;
	if (fetches) {
		take_further(call, &view, pdu);
		return;
	}
	if (call->observe) /* a newer one takes the place of what is being fetched */
		coap_call_drop_slot(call, &call->fetch_slot);
	if (!call->is_registered && continues(call, &view))
		return;
	take_first(call, &view, pdu);
}

/* libcoap would reject an acknowledgement too, by the id of our own message. */
static coap_response_t reject(const coap_pdu_t *received)
{
	return coap_pdu_get_type(received) == COAP_MESSAGE_ACK ? COAP_RESPONSE_OK : COAP_RESPONSE_FAIL;
}

static coap_response_t on_response(coap_session_t *libs, const coap_pdu_t *sent, const coap_pdu_t *received)
{
	struct coap_peer_session *session = coap_session_get_app_data(libs);
	if (!session)
		return reject(received);
	struct coap_slot *slot = coap_call_find_slot(session->peer->peers, received);
	struct coap_call *call = slot ? slot->call : NULL;
	session->used_ms = session->heard_ms = loop_now_ms(session->peer->peers->options.loop);
	session->has_answered = true;
	if (!call || call->session != session)
		return reject(received);
	/* An acknowledgement with another message id is of something else (RFC 7252 §5.3.2). */
	if (coap_pdu_get_type(received) == COAP_MESSAGE_ACK && !sent)
		return COAP_RESPONSE_OK;
	coap_peer_is_alive(session->peer);
	take(call, call->observe ? slot->fetches : call->down.fetching, received);
	return COAP_RESPONSE_OK;
}

coap_response_t coap_call_on_response(
	coap_session_t *libs, const coap_pdu_t *sent, const coap_pdu_t *received, const coap_mid_t id)
{
	(void)id;
	if (coap_out_repeats_answer(libs, received))
		return COAP_RESPONSE_OK;
	coap_response_t response = on_response(libs, sent, received);
	coap_out_repeats_note(response);
	return response;
}
