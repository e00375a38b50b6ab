/* SPDX-License-Identifier: Apache-2.0
 *
 * Deliveries on their way. An outcome may bring the next delivery from inside, so a flight is only given back behind it. Flights
 * are made when they are first needed and used again.
 *
 * `concurrency` is kept by out_peer.c, which knows which device does not answer: the window is wider by what may wait there.
 */
#include "connectors/coap/out.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/coap/client_impl.h"
#include "connectors/coap/out_reply.h"
#include "connectors/coap/out_request.h"
#include "connectors/coap/out_verdict.h"
#include "message/utf8.h"
#include "runtime/log.h"

#define MOST_WAITING 4096u
#define REFUSED_MS   60000u
#define MOST_EXCERPT 160 /* bytes of what the device says, in a reason */

/* One request, and the delivery that it carries. */
struct coap_flight {
	struct coap_call call;
	struct coap_out *out;
	struct message *msg;
	uint64_t seq;
	bool elsewhere; /* not the device of the connection */
	bool wants_reply;
	uint8_t qos;
	struct coap_flight *next, **at; /* at NULL: idle */
};

struct coap_out {
	struct coap_client *client;
	struct coap_flight *busy, *idle;
	struct arena arena; /* for one call */
	struct {
		uint64_t requests, answers_4xx, answers_5xx, no_answer, unconfirmed;
	} counters;
};

/* --- flights -------------------------------------------------------------------------------------------------------------- */

static void on_response(struct coap_call *call, const struct coap_call_response *response);
static void on_end(struct coap_call *call, enum coap_call_end end, const char *reason, uint64_t retry_after_ms);

static struct coap_flight *flight_new(struct coap_out *out)
{
	struct coap_flight *flight = calloc(1, sizeof *flight);
	if (!flight)
		return NULL;
	coap_call_init(&flight->call);
	flight->call.owner = flight;
	flight->call.on_response = on_response;
	flight->call.on_end = on_end;
	flight->out = out;
	return flight;
}

static struct coap_flight *take_flight(struct coap_out *out, const struct delivery *delivery)
{
	struct coap_flight *flight = out->idle;
	if (flight)
		out->idle = flight->next;
	else
		flight = flight_new(out);
	if (!flight)
		return NULL;
	flight->next = out->busy;
	flight->at = &out->busy;
	if (flight->next)
		flight->next->at = &flight->next;
	out->busy = flight;
	flight->msg = message_ref(delivery->msg);
	flight->seq = delivery->seq;
	flight->qos = message_view(delivery->msg)->qos;
	return flight;
}

static void land(struct coap_flight *flight)
{
	struct coap_out *out = flight->out;
	*flight->at = flight->next;
	if (flight->next)
		flight->next->at = flight->at;
	flight->at = NULL;
	message_unref(flight->msg);
	flight->msg = NULL;
	flight->next = out->idle;
	out->idle = flight;
}

static void tell(struct coap_flight *flight, const struct outcome *outcome)
{
	struct coap_client *client = flight->out->client;
	if (!client->stopping)
		client->host->ops->outcome(client->host, flight->seq, outcome);
}

void coap_out_forget(struct coap_out *out)
{
	while (out->busy) {
		coap_call_cancel(&out->busy->call);
		land(out->busy);
	}
}

/* --- sending -------------------------------------------------------------------------------------------------------------- */

static void refuse(struct coap_out *out, const struct delivery *delivery, enum outcome_kind kind, const char *reason)
{
	struct outcome outcome = {.kind = kind, .reason = reason, .not_taken = kind == OUTCOME_LINK_DOWN};
	out->client->host->ops->outcome(out->client->host, delivery->seq, &outcome);
}

void coap_out_send(struct coap_out *out, const struct delivery *delivery)
{
	struct coap_client *client = out->client;
	const struct coap_url *url;
	const char *reason;
	if (client->state != COAP_CLIENT_UP) { /* on its way when the link went down */
		refuse(out, delivery, OUTCOME_LINK_DOWN, "the device does not let us in");
		return;
	}
	struct coap_flight *flight = take_flight(out, delivery);
	if (!flight) {
		refuse(out, delivery, OUTCOME_RETRY, "there is no memory for it");
		return;
	}
	arena_reset(&out->arena);
	int err = coap_request_make(client->settings, &client->own, message_view(flight->msg), &out->arena,
		&flight->call, &url, &flight->elsewhere, &reason);
	if (err) {
		bool never = err == -EINVAL;
		tell(flight, &(struct outcome){.kind = never ? OUTCOME_REJECTED : OUTCOME_RETRY,
				     .reason = never ? reason : "there is no memory for it"});
		land(flight);
		return;
	}
	flight->wants_reply = flight->call.wants_answer;
	out->counters.requests++;
	coap_call_begin(&flight->call, client->peers, url);
}

/* --- responses ------------------------------------------------------------------------------------------------------------ */

/* What the device says for itself (RFC 7252 §5.5.2), on one line of printable text. */
static void append_excerpt(struct slice body, char *text, size_t size)
{
	size_t len = strlen(text), most = len + MOST_EXCERPT;
	if (body.len == 0 || len + 3 >= size)
		return;
	text[len++] = ':';
	text[len++] = ' ';
	for (size_t i = 0; i < body.len && len < most;) {
		size_t n = utf8_char_len(slice_of(body.data + i, body.len - i));
		if (n == 0 || len + n >= size)
			break;
		bool blank = body.data[i] <= ' ' || body.data[i] == 0x7f || body.data[i] == '"';
		if (blank && text[len - 1] != ' ')
			text[len++] = ' ';
		else if (!blank) {
			memcpy(text + len, body.data + i, n);
			len += n;
		}
		i += n;
	}
	text[len] = '\0';
}

static void describe(const struct coap_call_response *response, char *text, size_t size)
{
	char code[COAP_CODE_SIZE];
	const char *name = coap_code_name(response->code);
	coap_code_print(response->code, code);
	snprintf(text, size, "the device answered %s%s%s", code, *name ? " " : "", name);
	append_excerpt(response->payload, text, size);
}

static void end_delivered(struct coap_flight *flight, const struct coap_call_response *response)
{
	struct coap_out *out = flight->out;
	struct outcome outcome = {.kind = OUTCOME_DELIVERED};
	struct message_view reply;
	arena_reset(&out->arena);
	if (flight->wants_reply && response) {
		if (coap_reply_make(response, loop_wall_ms(out->client->loop), &out->arena, &reply) == 0)
			outcome.reply = &reply;
		else
			log_error("reply_dropped", "connection=%s seq=%" PRIu64 " reason=\"out of memory\"",
				out->client->name, flight->seq);
	}
	tell(flight, &outcome);
}

static void end_refused(struct coap_flight *flight, const char *reason)
{
	if (flight->elsewhere)
		tell(flight, &(struct outcome){.kind = OUTCOME_RETRY, .reason = reason});
	else
		coap_client_refused(flight->out->client, reason);
}

static void on_response(struct coap_call *call, const struct coap_call_response *response)
{
	struct coap_flight *flight = call->owner;
	struct coap_out *out = flight->out;
	char reason[400] = "";
	enum coap_verdict verdict = coap_verdict_of(response->code);
	out->counters.answers_4xx += response->code >> 5 == 4;
	out->counters.answers_5xx += response->code >> 5 == 5;
	if (verdict != COAP_TAKEN)
		describe(response, reason, sizeof reason);
	log_debug("coap_answer", "connection=%s seq=%" PRIu64 " code=%u.%02u", out->client->name, flight->seq,
		(unsigned)(response->code >> 5), (unsigned)(response->code & 31));
	if (verdict != COAP_NO_ACCESS && !flight->elsewhere)
		coap_client_welcome(out->client);
	switch (verdict) {
	case COAP_TAKEN:
		end_delivered(flight, response);
		break;
	case COAP_REFUSED:
		tell(flight, &(struct outcome){.kind = OUTCOME_REJECTED, .reason = reason});
		break;
	case COAP_AGAIN:
		tell(flight, &(struct outcome){.kind = OUTCOME_RETRY,
				     .reason = reason,
				     .retry_after_ms = coap_verdict_wait_ms(
					     response->code, response->has_max_age, response->max_age_s)});
		break;
	case COAP_NO_ACCESS:
		if (!flight->elsewhere && coap_client_refuses_request(out->client, reason))
			tell(flight, &(struct outcome){
					     .kind = OUTCOME_RETRY, .reason = reason, .retry_after_ms = REFUSED_MS});
		else
			end_refused(flight, reason);
		break;
	}
}

/* --- ends ----------------------------------------------------------------------------------------------------------------- */

static void end_unanswered(struct coap_flight *flight, enum coap_call_end end, const char *reason, uint64_t wait_ms)
{
	struct outcome later = {.kind = OUTCOME_RETRY, .reason = reason, .retry_after_ms = wait_ms};
	flight->out->counters.no_answer += end == COAP_CALL_SILENT;
	if (flight->qos == 0 && flight->call.was_sent) { /* it went out once, and may not again */
		flight->out->counters.unconfirmed++;
		end_delivered(flight, NULL);
		return;
	}
	switch (end) {
	case COAP_CALL_GUARDED:
	case COAP_CALL_TOO_LONG:
		tell(flight, &(struct outcome){.kind = OUTCOME_REJECTED, .reason = reason});
		break;
	case COAP_CALL_REFUSED:
		end_refused(flight, reason);
		break;
	default:
		tell(flight, &later);
		break;
	}
}

static void on_end(struct coap_call *call, enum coap_call_end end, const char *reason, uint64_t retry_after_ms)
{
	struct coap_flight *flight = call->owner;
	if (end != COAP_CALL_ANSWERED)
		end_unanswered(flight, end, reason, retry_after_ms);
	if (flight->at) /* the link may have gone down by it */
		land(flight);
}

/* --- life ----------------------------------------------------------------------------------------------------------------- */

struct coap_out *coap_out_new(struct coap_client *client)
{
	struct coap_out *out = calloc(1, sizeof *out);
	if (out)
		out->client = client;
	return out;
}

void coap_out_free(struct coap_out *out)
{
	if (!out)
		return;
	coap_out_forget(out);
	while (out->idle) {
		struct coap_flight *flight = out->idle;
		out->idle = flight->next;
		coap_call_free(&flight->call);
		free(flight);
	}
	arena_free(&out->arena);
	free(out);
}

uint32_t coap_out_window(const struct coap_out *out)
{
	return (uint32_t)out->client->settings->out.concurrency + MOST_WAITING;
}

void coap_out_counters(const struct coap_out *out, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	fn("requests", out->counters.requests, arg);
	fn("answers_4xx", out->counters.answers_4xx, arg);
	fn("answers_5xx", out->counters.answers_5xx, arg);
	fn("no_answer", out->counters.no_answer, arg);
	fn("unconfirmed", out->counters.unconfirmed, arg);
}
