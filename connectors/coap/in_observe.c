/* SPDX-License-Identifier: Apache-2.0
 *
 * Observations (RFC 7641). libcoap can observe nothing but a resource of its own, walks over all of them for each
 * acknowledgement, and notifies everybody in one go; so they are kept here, by peer and token, and it only carries the
 * messages.
 *
 * A notification says what the value is when it is sent, never what it was. One to a client that registered with a
 * confirmable request is confirmable; libcoap sends the next when the one before is acknowledged (NSTART). It does not say
 * that it was: after some, a ping follows them, and until its answer comes the peer gets no more; then it is told the newest
 * value, if that is another one by then. Its queue of what is not acknowledged is a list that is walked for each message: so
 * they go out in batches, and the next one waits until one of the last has answered a ping. A client that registered with a non-confirmable request gets such notifications,
 * and a confirmable one now and then, so that one that is gone is noticed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/coap/content_format.h"
#include "connectors/coap/in_link.h"
#include "message/siphash.h"

#define MAX_UNSETTLED     8u /* confirmable notifications to one peer without a sign of life */
#define MAX_UNSETTLED_NON 64u /* all, also over TCP, where they wait in memory for one that does not read */
#define MAX_UNREAD_BYTES  (64u * 1024) /* over TCP */
#define SETTLED_AFTER_MS  95000u /* MAX_TRANSMIT_WAIT: what was sent before has come to an end */
#define MAX_A_PEER        1024u
#define CON_EVERY         5u
#define NEXT_BATCH_MS     100u
#define AGAIN_MS          50u
#define A_TURN            200u
#define SEQUENCE_MASK     0xffffffu

struct resource {
	struct resource *next; /* in its bucket */
	struct resource *next_dirty;
	bool is_dirty;
	bool has_failed; /* one of its observers could not be told */
	bool again; /* it has changed while its observers were told */
	uint64_t hash;
	uint32_t sequence; /* RFC 7641 §4.4: 24 bits that rise */
	uint64_t version; /* of its value */
	struct coap_in_observer *first, *last, *cursor; /* cursor: the next one to be told */
	size_t path_len;
	uint8_t path[];
};

struct coap_in_observer {
	struct coap_in_observer *prev, *next; /* of its resource */
	struct coap_in_observer *prev_of_peer, *next_of_peer;
	struct coap_in_observer *next_hashed;
	struct resource *resource;
	struct coap_in_peer *peer;
	uint64_t told; /* which version */
	uint8_t token[COAP_IN_TOKEN_MAX];
	uint8_t token_len;
	bool is_con;
	bool wants_block;
	uint8_t block_szx;
	unsigned n_non;
	int format; /* of what it was answered with at first: RFC 7641 §4.2 */
};

struct coap_in_observe {
	struct coap_in_link *link;
	uint8_t key[SIPHASH_KEY_LEN];
	struct resource **resources; /* by path */
	struct coap_in_observer **observers; /* by peer and token */
	size_t n_buckets; /* of both; a power of two */
	size_t n_resources, n_observers;
	struct resource *first_dirty, *last_dirty;
	bool has_failed; /* some resource */
	bool some_gone; /* values; whose is not known */
	uint32_t told; /* no sequence number of a resource that is gone is higher, nor was the clock at the last tick */
	struct loop_job job;
	struct loop_timer *timer; /* the job, later */
	uint64_t probed; /* number of the peer whose answer the next batch waits for */
	struct coap_in_peer *last_told; /* in this batch, confirmably */
};

/* --- finding ----------------------------------------------------------------------------------------------------------- */

static uint64_t hash_bytes(const struct coap_in_observe *observe, struct slice bytes)
{
	uint8_t hash[SIPHASH_LEN];
	uint64_t result;
	siphash(observe->key, bytes, hash);
	memcpy(&result, hash, sizeof result);
	return result;
}

static struct resource **resource_at(struct coap_in_observe *observe, struct slice path, uint64_t hash)
{
	struct resource **at = &observe->resources[hash & (observe->n_buckets - 1)];
	while (*at && ((*at)->hash != hash || !slice_equal(slice_of((*at)->path, (*at)->path_len), path)))
		at = &(*at)->next;
	return at;
}

static struct coap_in_observer **observer_at(
	struct coap_in_observe *observe, const struct coap_in_peer *peer, struct slice token)
{
	uint8_t bytes[8 + COAP_IN_TOKEN_MAX];
	memcpy(bytes, &peer->number, 8);
	if (token.len)
		memcpy(bytes + 8, token.data, token.len);
	uint64_t hash = hash_bytes(observe, slice_of(bytes, 8 + token.len));
	struct coap_in_observer **at = &observe->observers[hash & (observe->n_buckets - 1)];
	while (*at && ((*at)->peer != peer || !slice_equal(slice_of((*at)->token, (*at)->token_len), token)))
		at = &(*at)->next_hashed;
	return at;
}

/* --- registering ------------------------------------------------------------------------------------------------------- */

static uint32_t clock_sequence(const struct coap_in_link *link)
{
	return (uint32_t)loop_now_ms(link->spec.loop) & SEQUENCE_MASK;
}

static uint32_t later_of(uint32_t a, uint32_t b)
{
	return ((a - b) & SEQUENCE_MASK) < SEQUENCE_MASK / 2 ? a : b;
}

/* Rises with the clock, so that one who registers again is told higher ones than before, and at least by one. */
static void next_sequence(const struct coap_in_link *link, struct resource *resource)
{
	resource->sequence = later_of(clock_sequence(link), (resource->sequence + 1) & SEQUENCE_MASK);
}

static struct resource *resource_get(struct coap_in_link *link, struct slice path)
{
	struct coap_in_observe *observe = link->observe;
	uint64_t hash = hash_bytes(observe, path);
	struct resource **at = resource_at(observe, path, hash), *resource = *at;
	if (resource || observe->n_resources >= (size_t)link->settings->in.limits.max_resources)
		return resource;
	resource = calloc(1, sizeof *resource + path.len);
	if (!resource)
		return NULL;
	resource->hash = hash;
	resource->sequence = later_of(clock_sequence(link), observe->told); /* it may be there again */
	resource->version = 1;
	resource->path_len = path.len;
	memcpy(resource->path, path.data, path.len);
	*at = resource;
	observe->n_resources++;
	return resource;
}

static void resource_free(struct coap_in_observe *observe, struct resource *resource)
{
	*resource_at(observe, slice_of(resource->path, resource->path_len), resource->hash) = resource->next;
	observe->n_resources--;
	observe->told = later_of(resource->sequence, observe->told);
	free(resource);
}

static void resource_release(struct coap_in_observe *observe, struct resource *resource)
{
	if (!resource->first && !resource->is_dirty)
		resource_free(observe, resource);
}

static void link_observer(struct coap_in_observer *observer)
{
	struct resource *resource = observer->resource;
	struct coap_in_peer *peer = observer->peer;
	observer->prev = resource->last;
	if (resource->last)
		resource->last->next = observer;
	else
		resource->first = observer;
	resource->last = observer;
	observer->next_of_peer = peer->observers;
	if (peer->observers)
		peer->observers->prev_of_peer = observer;
	peer->observers = observer;
	peer->n_observers++;
}

static void unlink_observer(struct coap_in_observer *observer)
{
	struct resource *resource = observer->resource;
	struct coap_in_peer *peer = observer->peer;
	if (resource->cursor == observer)
		resource->cursor = observer->next;
	if (observer->prev)
		observer->prev->next = observer->next;
	else
		resource->first = observer->next;
	if (observer->next)
		observer->next->prev = observer->prev;
	else
		resource->last = observer->prev;
	if (observer->prev_of_peer)
		observer->prev_of_peer->next_of_peer = observer->next_of_peer;
	else
		peer->observers = observer->next_of_peer;
	if (observer->next_of_peer)
		observer->next_of_peer->prev_of_peer = observer->prev_of_peer;
	peer->n_observers--;
}

static void observer_free(struct coap_in_observe *observe, struct coap_in_observer *observer)
{
	struct resource *resource = observer->resource;
	coap_session_t *session = observer->peer->session;
	struct slice token = slice_of(observer->token, observer->token_len);
	*observer_at(observe, observer->peer, token) = observer->next_hashed;
	unlink_observer(observer);
	observe->n_observers--;
	free(observer);
	resource_release(observe, resource);
	coap_session_release(session);
}

bool coap_in_observe_is_full(const struct coap_in_link *link)
{
	return link->observe->n_observers >= (size_t)link->settings->in.limits.max_observers;
}

bool coap_in_observe_add(
	const struct coap_in_exchange *exchange, const struct coap_in_head *head, int format, uint32_t *ret_sequence)
{
	struct coap_in_peer *peer = exchange->peer;
	struct coap_in_link *link = peer->link;
	struct coap_in_observe *observe = link->observe;
	coap_in_observe_remove(peer, head->token); /* RFC 7641 §4.1: the same token replaces it */
	if (coap_in_observe_is_full(link) || peer->n_observers >= MAX_A_PEER)
		return false;
	struct resource *resource = resource_get(link, head->topic);
	struct coap_in_observer *observer = resource ? calloc(1, sizeof *observer) : NULL;
	if (!observer) {
		if (resource)
			resource_release(observe, resource);
		return false;
	}
	*observer = (struct coap_in_observer){
		.resource = resource,
		.peer = peer,
		.told = resource->version,
		.token_len = exchange->token_len,
		.is_con = exchange->type == COAP_MESSAGE_CON && !COAP_PROTO_RELIABLE(peer->proto),
		.wants_block = head->block2.is_set,
		.block_szx = head->block2.szx,
		.format = format,
	};
	memcpy(observer->token, exchange->token, exchange->token_len);
	coap_session_reference(peer->session);
	*observer_at(observe, peer, head->token) = observer;
	link_observer(observer);
	observe->n_observers++;
	next_sequence(link, resource); /* RFC 7641 §4.4: higher than any before with this token */
	*ret_sequence = resource->sequence;
	return true;
}

void coap_in_observe_remove(struct coap_in_peer *peer, struct slice token)
{
	struct coap_in_observer *observer = *observer_at(peer->link->observe, peer, token);
	if (observer)
		observer_free(peer->link->observe, observer);
}

void coap_in_observe_remove_all(struct coap_in_peer *peer)
{
	while (peer->observers)
		observer_free(peer->link->observe, peer->observers);
}

/* --- telling ----------------------------------------------------------------------------------------------------------- */

/* May it be sent one more? Else it is asked whether it is there. */
static bool can_take(struct coap_in_link *link, struct coap_in_peer *peer, bool is_con)
{
	uint64_t now_ms = loop_now_ms(link->spec.loop);
	if (peer->unsettled && now_ms - peer->notified_ms >= SETTLED_AFTER_MS)
		peer->unsettled = 0;
	bool is_full = COAP_PROTO_RELIABLE(peer->proto) && peer->sent > MAX_UNREAD_BYTES;
	if (!is_full && peer->unsettled < (is_con ? MAX_UNSETTLED : MAX_UNSETTLED_NON))
		return true;
	(void)coap_in_peer_ping(peer);
	return false;
}

enum told { TOLD, NOT_NOW, NOT_IT }; /* NOT_NOW: nobody can be sent anything; NOT_IT: this one cannot */

static enum told send_to(struct coap_in_observer *observer, coap_pdu_t *pdu, bool is_con)
{
	struct coap_in_peer *peer = observer->peer;
	uint64_t now_ms = loop_now_ms(peer->link->spec.loop);
	size_t bytes = COAP_PROTO_RELIABLE(peer->proto) ? coap_in_answer_size(pdu) : 0;
	errno = 0;
	coap_pdu_set_type(pdu, is_con ? COAP_MESSAGE_CON : COAP_MESSAGE_NON);
	coap_pdu_set_mid(pdu, coap_new_message_id(peer->session));
	if (coap_send(peer->session, pdu) == COAP_INVALID_MID) {
		if (!peer->failing_ms)
			peer->failing_ms = now_ms;
		return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? NOT_NOW : NOT_IT;
	}
	peer->failing_ms = 0;
	peer->sent += bytes;
	peer->unsettled++;
	peer->notified_ms = now_ms;
	peer->link->counters.notifications++;
	return TOLD;
}

static coap_pdu_t *notification(struct coap_in_link *link, const struct coap_in_observer *observer)
{
	const struct resource *resource = observer->resource;
	struct message *msg = coap_in_values_find(link, slice_of(resource->path, resource->path_len));
	struct coap_in_part part = {
		.token = slice_of(observer->token, observer->token_len),
		.observe = true,
		.sequence = resource->sequence,
		.accept = CONTENT_FORMAT_NONE,
		.wants_block = observer->wants_block,
		.block_szx = observer->block_szx,
	};
	struct coap_in_exchange exchange = {.peer = observer->peer, .token_len = observer->token_len};
	memcpy(exchange.token, observer->token, observer->token_len);
	if (!msg)
		return coap_in_answer_begin(&exchange, COAP_RESPONSE_CODE_NOT_FOUND, 0);
	if (content_format_find(message_view(msg)->content_type) != observer->format)
		return coap_in_answer_begin(&exchange, COAP_RESPONSE_CODE_NOT_ACCEPTABLE, 0);
	return coap_in_values_answer(observer->peer, msg, &part);
}

/* Tells it, if it can be told; one that is gone, or has been told that there is nothing, ends. False: nothing can be sent just
 * now. One that cannot be sent anything for its own part is tried again every second, as long as a lost one would be. */
static bool tell(struct coap_in_link *link, struct coap_in_observer *observer)
{
	struct coap_in_peer *peer = observer->peer;
	bool is_con = observer->is_con;
	if (!is_con && !COAP_PROTO_RELIABLE(peer->proto))
		is_con = observer->n_non >= CON_EVERY;
	bool is_lost = peer->failing_ms && loop_now_ms(link->spec.loop) - peer->failing_ms >= SETTLED_AFTER_MS;
	if (is_lost || !coap_in_peer_is_up(peer)) {
		observer_free(link->observe, observer);
		return true;
	}
	if (!can_take(link, peer, is_con))
		return true;
	coap_pdu_t *pdu = notification(link, observer);
	bool ends = pdu && coap_pdu_get_code(pdu) >> 5 != 2;
	enum told told = pdu ? send_to(observer, pdu, is_con) : NOT_NOW;
	if (told == NOT_IT)
		observer->resource->has_failed = link->observe->has_failed = true;
	if (told != TOLD)
		return told == NOT_IT;
	observer->told = observer->resource->version;
	observer->n_non = is_con ? 0 : observer->n_non + 1;
	if (is_con)
		link->observe->last_told = peer;
	if (ends)
		observer_free(link->observe, observer);
	return true;
}

static void enqueue(struct coap_in_observe *observe, struct resource *resource)
{
	resource->is_dirty = true;
	resource->next_dirty = NULL;
	if (observe->last_dirty)
		observe->last_dirty->next_dirty = resource;
	else
		observe->first_dirty = resource;
	observe->last_dirty = resource;
}

static struct resource *dequeue(struct coap_in_observe *observe)
{
	struct resource *resource = observe->first_dirty;
	observe->first_dirty = resource->next_dirty;
	if (!observe->first_dirty)
		observe->last_dirty = NULL;
	resource->is_dirty = false;
	return resource;
}

/* False: nothing can be sent just now. */
static bool go_through(struct coap_in_link *link, struct resource *resource, unsigned *left)
{
	while (*left) {
		if (!resource->cursor && !resource->again)
			break;
		if (!resource->cursor) {
			resource->again = false;
			resource->cursor = resource->first;
			continue;
		}
		struct coap_in_observer *observer = resource->cursor;
		if (observer->told != resource->version) {
			(*left)--;
			if (!tell(link, observer))
				return false;
		}
		if (resource->cursor == observer) /* it is there yet */
			resource->cursor = observer->next;
	}
	return true;
}

/* Sends a batch. False: nothing can be sent just now. */
static bool tell_some(struct coap_in_observe *observe)
{
	unsigned left = A_TURN;
	while (left && observe->first_dirty) {
		struct resource *resource = observe->first_dirty;
		bool goes_on = go_through(observe->link, resource, &left);
		dequeue(observe);
		if (resource->cursor || resource->again)
			enqueue(observe, resource); /* behind the others */
		else
			resource_release(observe, resource);
		if (!goes_on)
			return false;
	}
	return true;
}

/* The next batch follows once one of this has answered, or after a while. */
static void on_job(void *arg)
{
	struct coap_in_observe *observe = arg;
	struct loop *loop = observe->link->spec.loop;
	observe->probed = 0;
	observe->last_told = NULL;
	bool goes_on = tell_some(observe);
	if (!observe->first_dirty)
		return;
	if (!goes_on) {
		loop_timer_start(observe->timer, AGAIN_MS);
	} else if (observe->last_told && coap_in_peer_ping(observe->last_told)) {
		observe->probed = observe->last_told->number;
		loop_timer_start(observe->timer, NEXT_BATCH_MS);
	} else {
		loop_post(loop, &observe->job);
	}
}

void coap_in_observe_changed(struct coap_in_link *link, struct slice path)
{
	struct coap_in_observe *observe = link->observe;
	struct resource *resource = *resource_at(observe, path, hash_bytes(observe, path));
	if (!resource || link->stopping)
		return;
	resource->version++;
	next_sequence(link, resource);
	resource->again = true;
	if (resource->is_dirty)
		return;
	enqueue(observe, resource);
	if (!loop_timer_running(observe->timer))
		loop_post(link->spec.loop, &observe->job);
}

void coap_in_observe_go_on(struct coap_in_peer *peer)
{
	struct coap_in_observe *observe = peer->link->observe;
	if (observe->probed == peer->number) {
		loop_timer_stop(observe->timer);
		loop_post(peer->link->spec.loop, &observe->job);
	}
	struct coap_in_observer *observer = peer->observers;
	for (struct coap_in_observer *next; observer; observer = next) {
		next = observer->next_of_peer;
		if (observer->told != observer->resource->version && !peer->link->stopping &&
			!tell(peer->link, observer))
			return;
		if (peer->is_pinged)
			return;
	}
}

void coap_in_observe_some_gone(struct coap_in_link *link)
{
	link->observe->some_gone = true;
}

static void look_again(struct coap_in_link *link, struct resource *resource)
{
	struct slice path = slice_of(resource->path, resource->path_len);
	if (resource->has_failed) {
		resource->has_failed = false;
		resource->again = true;
		if (!resource->is_dirty)
			enqueue(link->observe, resource);
	}
	if (link->observe->some_gone && !coap_in_values_find(link, path))
		coap_in_observe_changed(link, path);
}

void coap_in_observe_tick(struct coap_in_link *link)
{
	struct coap_in_observe *observe = link->observe;
	observe->told = later_of(clock_sequence(link), observe->told);
	if (!observe->has_failed && !observe->some_gone)
		return;
	for (size_t i = 0; i < observe->n_buckets; i++)
		for (struct resource *resource = observe->resources[i]; resource; resource = resource->next)
			look_again(link, resource);
	observe->has_failed = observe->some_gone = false;
	if (observe->first_dirty && !loop_timer_running(observe->timer))
		loop_post(link->spec.loop, &observe->job);
}

size_t coap_in_observe_count(const struct coap_in_link *link, size_t *ret_paths)
{
	*ret_paths = link->observe ? link->observe->n_resources : 0;
	return link->observe ? link->observe->n_observers : 0;
}

/* --- making ------------------------------------------------------------------------------------------------------------ */

int coap_in_observe_new(struct coap_in_link *link)
{
	struct coap_in_observe *observe = calloc(1, sizeof *observe);
	if (!observe)
		return -ENOMEM;
	link->observe = observe;
	observe->link = link;
	observe->told = clock_sequence(link);
	loop_job_init(&observe->job, on_job, observe);
	observe->timer = loop_timer_new(link->spec.loop, on_job, observe);
	coap_prng(observe->key, sizeof observe->key);
	observe->n_buckets = 64;
	while (observe->n_buckets < (size_t)link->settings->in.limits.max_observers && observe->n_buckets < 16384)
		observe->n_buckets *= 2;
	observe->resources = calloc(observe->n_buckets, sizeof(struct resource *));
	observe->observers = calloc(observe->n_buckets, sizeof(struct coap_in_observer *));
	return observe->timer && observe->resources && observe->observers ? 0 : -ENOMEM;
}

void coap_in_observe_free(struct coap_in_link *link)
{
	struct coap_in_observe *observe = link->observe;
	if (!observe)
		return;
	loop_cancel(link->spec.loop, &observe->job);
	loop_timer_free(observe->timer);
	while (observe->first_dirty) { /* whose observers are gone */
		struct resource *resource = observe->first_dirty;
		observe->first_dirty = resource->next_dirty;
		resource_free(observe, resource);
	}
	free(observe->resources);
	free(observe->observers);
	free(observe);
	link->observe = NULL;
}
