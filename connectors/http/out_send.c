/* SPDX-License-Identifier: Apache-2.0
 *
 * Deliveries on their way: taken, gathered if they are a batch, sent, and judged when the answer is there. An outcome may
 * bring the next delivery from inside, so a flight is only given back behind it, and there is one more than may be
 * under way.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/http/out.h"
#include "connectors/http/out_impl.h"
#include "connectors/http/out_reply.h"
#include "connectors/http/out_verdict.h"
#include "message/utf8.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"

#define MOST_REDIRECTS 5
#define MOST_EXCERPT   160 /* bytes of what the receiver says, in a reason */

/* What the end of a request comes to. */
struct judgement {
	enum http_verdict verdict;
	uint64_t wait_ms; /* that the receiver asks for; 0: none */
	bool failure; /* of the destination */
	bool unreached; /* nothing of the request has gone out */
	char reason[400];
};

/* --- flights ------------------------------------------------------------------------------------------------------ */

static struct http_flight *take_flight(struct http_out *out)
{
	struct http_flight *flight = out->idle;
	if (!flight)
		return NULL;
	out->idle = flight->next;
	flight->next = NULL;
	flight->n = 0;
	flight->batch_first = flight->batch_last = 0;
	flight->redirects = 0;
	out->n_under_way++;
	return flight;
}

static void land(struct http_flight *flight)
{
	struct http_out *out = flight->out;
	for (size_t i = 0; i < flight->n; i++)
		message_unref(flight->members[i].msg);
	flight->n = 0;
	if (flight->call)
		http_client_give_back(flight->call);
	flight->call = NULL;
	buffer_clear(&flight->body);
	if (flight->body.capacity > 1024 * 1024)
		buffer_free(&flight->body);
	flight->next = out->idle;
	out->idle = flight;
	out->n_under_way--;
}

static bool board(struct http_flight *flight, const struct delivery *delivery)
{
	if (flight->n == flight->capacity) {
		size_t capacity = flight->capacity ? flight->capacity * 2 : 1;
		struct http_member *members = realloc(flight->members, capacity * sizeof *members);
		if (!members)
			return false;
		flight->members = members;
		flight->capacity = capacity;
	}
	flight->members[flight->n++] =
		(struct http_member){delivery->seq, message_ref(delivery->msg), delivery->shift_ms};
	flight->batch_first = delivery->batch_first;
	flight->batch_last = delivery->batch_last;
	return true;
}

/* The same for all that it carries. */
static void end_all(struct http_flight *flight, const struct outcome *outcome)
{
	struct http_out *out = flight->out;
	for (size_t i = 0; i < flight->n && !out->stopping; i++)
		out->host->ops->outcome(out->host, flight->members[i].seq, outcome);
}

static void end_and_land(struct http_flight *flight, const struct outcome *outcome)
{
	struct http_out *out = flight->out;
	end_all(flight, outcome);
	land(flight);
	http_out_landed(out);
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

/* False: there is nothing to show who we are, and the delivery has ended so. */
static bool find_authorization(struct http_flight *flight, const char **ret_value)
{
	struct http_out *out = flight->out;
	*ret_value = NULL;
	enum auth_out_state state = auth_out_header(out->auth, ret_value);
	if (state == AUTH_OUT_NONE)
		*ret_value = NULL;
	if (state == AUTH_OUT_NONE || state == AUTH_OUT_READY)
		return true;
	char why[300];
	snprintf(why, sizeof why, "%s", state == AUTH_OUT_FAILED ? *ret_value : "there is no token yet");
	if (state == AUTH_OUT_FAILED && out->state == HTTP_OUT_UP)
		out->host->ops->alarm(out->host, why);
	out->for_token = true;
	http_out_drain(out, false, "%s", why);
	end_and_land(flight, &(struct outcome){.kind = OUTCOME_LINK_DOWN, .reason = why, .not_taken = true});
	return false;
}

static void end_unmade(struct http_flight *flight, int err, const char *reason)
{
	struct outcome outcome = {.kind = OUTCOME_REJECTED, .reason = reason};
	if (err != -EINVAL)
		outcome = (struct outcome){.kind = OUTCOME_RETRY, .reason = "out of memory"};
	end_and_land(flight, &outcome);
}

/* A part of a batch must not go out under the id of the whole: who has taken it takes the whole for a repetition. */
static bool is_whole(const struct http_flight *flight)
{
	return !flight->batch_first || flight->n == flight->batch_last - flight->batch_first + 1;
}

static void depart(struct http_flight *flight)
{
	struct http_out *out = flight->out;
	const char *reason = NULL;
	struct http_attempt attempt = {.wall_ms = loop_wall_ms(out->loop), .clock_ms = loop_clock_ms(out->loop)};
	struct http_load load = {out->uuid, flight->members, flight->n, flight->batch_first, flight->batch_last};
	if (!is_whole(flight)) { /* the others have been refused */
		end_unmade(flight, -ENOMEM, NULL);
		return;
	}
	if (!find_authorization(flight, &attempt.authorization))
		return;
	flight->call = http_client_take(out->client);
	flight->call->owner = flight;
	const struct message_view *view = message_view(flight->members[0].msg);
	flight->elsewhere = http_request_is_elsewhere(view);
	flight->call->wants_reply = !flight->batch_first && http_reply_is_wanted(view);
	arena_reset(&out->arena);
	int err = http_request_make(&out->maker, &load, &attempt, &flight->body, flight->call, &reason);
	if (!err) {
		FAILPOINT("http.before_send");
		err = http_client_begin(flight->call);
		reason = flight->call->error;
	}
	if (err) {
		char text[sizeof flight->call->error];
		snprintf(text, sizeof text, "%s", reason ? reason : "it cannot be sent");
		end_unmade(flight, err, text);
		return;
	}
	out->counters.requests++;
	out->counters.batches += flight->batch_first != 0;
}

static void refuse(struct http_out *out, const struct delivery *delivery, const char *reason)
{
	struct outcome outcome = {.kind = OUTCOME_LINK_DOWN, .reason = reason, .not_taken = true};
	if (out->state == HTTP_OUT_UP)
		outcome.kind = OUTCOME_RETRY;
	out->host->ops->outcome(out->host, delivery->seq, &outcome);
}

void http_out_send(struct link *link, const struct delivery *delivery)
{
	struct http_out *out = (struct http_out *)(void *)link;
	struct http_flight *flight = out->gathering;
	if (out->state != HTTP_OUT_UP) {
		refuse(out, delivery, out->why); /* on its way when the window closed */
		return;
	}
	out->uuid = delivery->destination_uuid;
	if (flight && flight->batch_first != delivery->batch_first) {
		out->gathering = NULL;
		depart(flight);
		flight = NULL;
	}
	if (!flight)
		flight = take_flight(out);
	if (!flight || !board(flight, delivery)) {
		if (flight && flight->n == 0)
			land(flight);
		refuse(out, delivery, "there is no memory for it");
		return;
	}
	if (delivery->batch_first)
		out->gathering = flight;
	else
		depart(flight);
}

void http_out_send_end(struct link *link)
{
	struct http_out *out = (struct http_out *)(void *)link;
	struct http_flight *flight = out->gathering;
	out->gathering = NULL;
	if (flight)
		depart(flight);
	http_client_run(out->client);
}

static void forget_call(struct http_call *call, void *arg)
{
	(void)arg;
	land(call->owner);
}

void http_out_forget(struct http_out *out)
{
	if (out->gathering)
		land(out->gathering);
	out->gathering = NULL;
	http_client_abort(out->client, forget_call, out);
}

/* --- judging ------------------------------------------------------------------------------------------------------ */

/* What the receiver says for itself, on one line of printable text. */
static void append_excerpt(const struct http_call *call, char *text, size_t size)
{
	struct slice body = buffer_slice(&call->reply);
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

static void judge_answer(const struct http_flight *flight, struct judgement *ret)
{
	const struct http_call *call = flight->call;
	ret->verdict = http_verdict_of(call->status, false);
	if (ret->verdict == HTTP_TAKEN)
		return;
	int64_t now_s = (int64_t)(loop_clock_ms(flight->out->loop) / 1000);
	uint64_t wait_ms = 0;
	bool asked = http_retry_after(
		http_call_header(call, "retry-after"), http_call_header(call, "date"), now_s, &wait_ms);
	ret->wait_ms = asked ? wait_ms : 0;
	ret->verdict = http_verdict_of(call->status, ret->wait_ms > 0);
	ret->failure = http_verdict_is_failure(call->status);
	snprintf(ret->reason, sizeof ret->reason, "the receiver answered %ld", call->status);
	const char *url = http_verdict_is_redirect(call->status) ? http_call_redirect(call) : NULL;
	struct slice scheme = slice_of(NULL, 0), place = url ? http_url_place(url, &scheme) : scheme;
	if (place.len > 0)
		snprintf(ret->reason, sizeof ret->reason, "the receiver answered %ld, a redirect to %.*s%.*s%s",
			call->status, (int)scheme.len, (const char *)scheme.data,
			(int)(place.len < 200 ? place.len : 200), (const char *)place.data,
			flight->out->settings->out.redirects == HTTP_REDIRECTS_NONE
				? ", which redirects: none does not follow"
				: "");
	else
		append_excerpt(call, ret->reason, sizeof ret->reason);
}

/* Whether anything of it has arrived cannot be known. */
static void judge_failure(const struct http_call *call, struct judgement *ret)
{
	const char *text = call->error[0] ? call->error : curl_easy_strerror(call->code);
	ret->verdict = HTTP_AGAIN;
	ret->failure = true;
	ret->unreached = !call->sent;
	if (call->status)
		snprintf(ret->reason, sizeof ret->reason, "the answer (%ld) broke off: %s", call->status, text);
	else
		snprintf(ret->reason, sizeof ret->reason, "no answer: %s", text);
}

/* What concerns another place than the connection's says nothing of the destination. */
static void judge_elsewhere(struct judgement *judgement)
{
	judgement->failure = false;
	if (judgement->verdict == HTTP_NO_ACCESS || judgement->verdict == HTTP_GONE)
		judgement->verdict = HTTP_REFUSED;
	else if (judgement->verdict == HTTP_HOLD)
		judgement->verdict = HTTP_AGAIN;
}

static struct judgement judge(const struct http_flight *flight)
{
	const struct http_call *call = flight->call;
	struct judgement judgement;
	judgement.verdict = HTTP_AGAIN;
	judgement.wait_ms = 0;
	judgement.failure = judgement.unreached = false;
	judgement.reason[0] = '\0';
	if (call->code != CURLE_OK && call->refused[0]) {
		judgement.verdict = HTTP_REFUSED;
		snprintf(judgement.reason, sizeof judgement.reason,
			"%.150s, and the URL is not the configuration's; allow_private: true lets requests go there",
			call->refused);
	} else if (call->status && (call->complete || call->capped)) {
		judge_answer(flight, &judgement);
	} else {
		judge_failure(call, &judgement);
	}
	if (flight->elsewhere)
		judge_elsewhere(&judgement);
	return judgement;
}

/* --- what follows ------------------------------------------------------------------------------------------------- */

static void count(struct http_out *out, const struct http_call *call)
{
	out->counters.failed += call->status == 0;
	out->counters.refused_4xx += call->status >= 400 && call->status < 500;
	out->counters.refused_5xx += call->status >= 500;
}

static void end_delivered(struct http_flight *flight)
{
	struct http_out *out = flight->out;
	struct outcome outcome = {.kind = OUTCOME_DELIVERED};
	struct message_view reply;
	arena_reset(&out->arena);
	if (flight->call->wants_reply) {
		if (http_reply_make(flight->call, loop_wall_ms(out->loop), &out->arena, &reply) == 0)
			outcome.reply = &reply;
		else
			log_error("reply_dropped", "connection=%s seq=%" PRIu64 " reason=\"out of memory\"", out->name,
				flight->members[0].seq);
	}
	end_all(flight, &outcome);
}

static void note_success(struct http_flight *flight)
{
	struct http_out *out = flight->out;
	if (!flight->elsewhere && http_breaker_succeeded(&out->breaker) && out->state == HTTP_OUT_UP)
		out->host->ops->window(out->host, http_out_window(out));
}

static void note_failure(struct http_flight *flight, const char *reason)
{
	struct http_out *out = flight->out;
	if (!http_breaker_failed(&out->breaker, loop_now_ms(out->loop)))
		return;
	out->counters.breaker_opened++;
	http_out_drain(out, true, "the receiver is left in peace for a while: %s", reason);
}

static void note_refused(struct http_flight *flight, const char *reason)
{
	struct http_out *out = flight->out;
	/* Others were on their way with the token that is refused: it is not the next one that they speak of. */
	bool renews = flight->call->status == 401 && (out->renewing || auth_out_refused(out->auth));
	out->renewing |= renews;
	http_breaker_refused(&out->breaker, loop_now_ms(out->loop));
	out->refused = true;
	if (!renews || out->breaker.refusals > 1) {
		char text[500];
		snprintf(text, sizeof text,
			"%s; check auth, and what we may do there. It is asked again from time to time", reason);
		out->host->ops->alarm(out->host, text);
	}
	http_out_drain(out, false, "%s", reason);
}

/* The link's state changes before the outcome is told, from inside of which the next delivery may come. */
static void conclude(struct http_flight *flight, const struct judgement *judgement)
{
	struct http_out *out = flight->out;
	struct outcome down = {.kind = OUTCOME_LINK_DOWN, .reason = judgement->reason, .not_taken = true};
	struct outcome later = {
		.kind = OUTCOME_RETRY, .reason = judgement->reason, .retry_after_ms = judgement->wait_ms};
	bool probing = out->breaker.state == HTTP_BREAKER_PROBING;
	if (judgement->failure && judgement->verdict != HTTP_HOLD)
		note_failure(flight, judgement->reason);
	switch (judgement->verdict) {
	case HTTP_TAKEN:
		note_success(flight);
		end_delivered(flight);
		break;
	case HTTP_REFUSED:
		note_success(flight);
		end_all(flight, &(struct outcome){.kind = OUTCOME_REJECTED, .reason = judgement->reason});
		break;
	case HTTP_AGAIN:
		if (!judgement->failure)
			note_success(flight);
		/* Who only finds out that the receiver is still away has not failed itself. */
		end_all(flight, probing && judgement->failure && judgement->unreached ? &down : &later);
		break;
	case HTTP_HOLD:
		http_breaker_hold(&out->breaker, loop_now_ms(out->loop), judgement->wait_ms);
		http_out_drain(out, false, "%s", judgement->reason);
		end_all(flight, &down);
		break;
	case HTTP_NO_ACCESS:
		note_refused(flight, judgement->reason);
		end_all(flight, &down);
		break;
	case HTTP_GONE:
		if (!out->gone)
			http_out_note_gone(out);
		http_out_drain(out, false, "%s", judgement->reason);
		end_all(flight, &down);
		break;
	}
}

/* True: the request is on its way to another place. */
static bool follow(struct http_flight *flight, struct judgement *judgement)
{
	struct http_out *out = flight->out;
	const char *url = http_call_redirect(flight->call), *wrong = "the redirects do not end.";
	if (out->settings->out.redirects == HTTP_REDIRECTS_NONE || !http_verdict_is_redirect(flight->call->status) ||
		judgement->verdict != HTTP_REFUSED || !url)
		return false;
	int err = flight->redirects < MOST_REDIRECTS
			  ? http_request_redirect(&out->maker, url, flight->call->status, flight->call, &wrong)
			  : -EINVAL;
	if (!err)
		err = http_client_begin(flight->call);
	if (!err) {
		flight->redirects++;
		out->counters.redirects++;
		return true;
	}
	snprintf(judgement->reason, sizeof judgement->reason, "%s", wrong);
	if (err != -EINVAL)
		judgement->verdict = HTTP_AGAIN;
	return false;
}

void http_out_on_done(struct http_call *call, void *arg)
{
	struct http_out *out = arg;
	struct http_flight *flight = call->owner;
	if (call->status)
		FAILPOINT("http.after_response");
	count(out, call);
	if (out->stopping) {
		land(flight);
		return;
	}
	struct judgement judgement = judge(flight);
	if (follow(flight, &judgement))
		return;
	log_debug("http_answer", "connection=%s status=%ld seq=%" PRIu64 " members=%zu reason=\"%s\"", out->name,
		call->status, flight->members[0].seq, flight->n, judgement.reason);
	conclude(flight, &judgement);
	land(flight);
	http_out_landed(out);
}
