/* SPDX-License-Identifier: Apache-2.0
 *
 * Deliveries are answered by a job of the loop, all that have come until then, in their order: as a peer does that answers
 * soon, and never from inside send.
 */
#include "simulation/peer.h"

#include <errno.h>
#include <stdlib.h>

#include "routing/topic_filter.h"

#define IN_FLIGHT 1024u

struct held {
	struct held *next;
	struct message *msg;
};

/* A delivery that has no outcome. */
struct sent {
	uint64_t seq, batch_last;
	struct message *msg;
	bool unanswered; /* and will be */
};

struct peer {
	struct peers *peers;
	size_t index;
	const void *settings; /* of the connection: how a link finds its peer */
	struct connector connector; /* the real one, but for its links */
	struct link *link; /* NULL: none now */
	bool up;
	struct held *held, **held_end; /* messages not taken yet */
	enum test_answer *answers;
	size_t n_answers, answered;
};

struct peers {
	struct peers_options options;
	struct peer *items;
	size_t n;
	bool away;
};

struct link {
	struct peer *peer;
	struct link_host *host;
	struct loop *loop;
	const struct link_subscription *subscriptions;
	size_t n_subscriptions;
	struct loop_job job;
	struct sent *sent;
	size_t n_sent, sent_capacity;
	bool started, told_up, paused, intake_stopped;
};

static struct peers *current; /* see peer.h */

/* --- the way in ---------------------------------------------------------------------------------------------------- */

/* What a broker lowers a message's QoS to: the highest that matching filters were subscribed with. */
static uint8_t subscribed_qos(const struct link *link, const struct message_view *view)
{
	char separator = connector_separator(&link->peer->connector);
	uint8_t qos = 0;
	bool any = false;
	char *topic = malloc(view->topic.len + 1);
	if (!topic)
		return view->qos;
	memcpy(topic, view->topic.data, view->topic.len);
	topic_separate(topic, view->topic.len, separator, '/');
	for (size_t i = 0; i < link->n_subscriptions; i++) {
		char *filter = topic_filter_wire(link->subscriptions[i].filter, true);
		if (filter)
			topic_separate(filter, strlen(filter), separator, '/');
		if (filter && topic_filter_matches(filter, slice_of(topic, view->topic.len))) {
			any = true;
			qos = link->subscriptions[i].qos > qos ? link->subscriptions[i].qos : qos;
		}
		free(filter);
	}
	free(topic);
	return any && qos < view->qos ? qos : view->qos;
}

static bool offers(const struct link *link)
{
	return link && link->told_up && !link->paused && !link->intake_stopped && !link->peer->peers->away;
}

static void offer_held(struct peer *peer)
{
	while (peer->held && offers(peer->link)) {
		struct held *first = peer->held;
		struct message_view view = *message_view(first->msg);
		view.qos = subscribed_qos(peer->link, &view);
		view.origin_ms = loop_wall_ms(peer->link->loop);
		if (view.expires_ms) /* given as an interval */
			view.expires_ms += view.origin_ms;
		struct offer offer = {.view = &view, .subscription = -1, .no_receipt = view.qos == 0};
		enum offer_result result = peer->link->host->ops->offer(peer->link->host, &offer);
		if (result == OFFER_BUSY)
			return;
		if (result == OFFER_REFUSED)
			peer->peers->options.on_refused(peer->peers->options.ctx, peer->index, &view);
		peer->held = first->next;
		if (!peer->held)
			peer->held_end = &peer->held;
		message_unref(first->msg);
		free(first);
	}
}

int peer_give(struct peers *peers, size_t connection, const struct message_view *view)
{
	struct peer *peer = &peers->items[connection];
	struct held *held = calloc(1, sizeof *held);
	if (held)
		held->msg = message_new(view);
	if (!held || !held->msg) {
		free(held);
		return -ENOMEM;
	}
	*peer->held_end = held;
	peer->held_end = &held->next;
	offer_held(peer);
	return 0;
}

size_t peer_holds(const struct peers *peers, size_t connection)
{
	size_t n = 0;
	for (const struct held *held = peers->items[connection].held; held; held = held->next)
		n++;
	return n;
}

/* --- the way out --------------------------------------------------------------------------------------------------- */

static struct sent *next_to_answer(struct link *link)
{
	for (size_t i = 0; i < link->n_sent; i++)
		if (!link->sent[i].unanswered)
			return &link->sent[i];
	return NULL;
}

static void forget(struct link *link, size_t i)
{
	message_unref(link->sent[i].msg);
	memmove(&link->sent[i], &link->sent[i + 1], (--link->n_sent - i) * sizeof *link->sent);
}

static enum test_answer take_answer(struct peer *peer)
{
	return peer->answered < peer->n_answers ? peer->answers[peer->answered++] : TEST_DELIVERED;
}

/* Ends one delivery. The courier may send from inside. */
static void answer_one(struct link *link, struct sent *sent, enum test_answer answer)
{
	static const struct outcome outcomes[] = {
		[TEST_DELIVERED] = {.kind = OUTCOME_DELIVERED},
		[TEST_RETRY] = {.kind = OUTCOME_RETRY, .reason = "the test says retry"},
		[TEST_REJECTED] = {.kind = OUTCOME_REJECTED, .reason = "the test says rejected"},
	};
	const struct peers_options *options = &link->peer->peers->options;
	uint64_t seq = sent->seq;
	if (answer == TEST_DELIVERED || answer == TEST_UNANSWERED)
		options->on_arrival(options->ctx, link->peer->index, sent->msg);
	if (answer == TEST_UNANSWERED) {
		sent->unanswered = true;
		return;
	}
	forget(link, (size_t)(sent - link->sent));
	link->host->ops->outcome(link->host, seq, &outcomes[answer]);
}

/* The real sink does not even try it. */
static bool reject_wrong(struct link *link, struct sent *sent)
{
	const struct peer *peer = link->peer;
	const char *wrong = connector_check_params(&peer->connector, peer->settings, message_view(sent->msg));
	if (!wrong)
		return false;
	struct outcome outcome = {.kind = OUTCOME_REJECTED, .reason = wrong};
	uint64_t seq = sent->seq;
	forget(link, (size_t)(sent - link->sent));
	link->host->ops->outcome(link->host, seq, &outcome);
	return true;
}

/* Those of a batch have one answer. */
static void answer_batch(struct link *link, uint64_t last, enum test_answer answer)
{
	for (struct sent *sent; (sent = next_to_answer(link)) && sent->batch_last == last;)
		answer_one(link, sent, answer);
}

static bool batch_is_complete(const struct link *link, uint64_t last)
{
	for (size_t i = 0; i < link->n_sent; i++)
		if (link->sent[i].seq == last)
			return true;
	return false;
}

static void answer_sent(struct link *link)
{
	for (struct sent *sent; link->told_up && (sent = next_to_answer(link));) {
		uint64_t last = sent->batch_last;
		if (last && !batch_is_complete(link, last))
			return; /* the rest comes, and with it the job */
		if (!last && reject_wrong(link, sent))
			continue;
		enum test_answer answer = take_answer(link->peer);
		if (last)
			answer_batch(link, last, answer);
		else
			answer_one(link, sent, answer);
	}
}

int peer_answer(struct peers *peers, size_t connection, const enum test_answer *answers, size_t n)
{
	struct peer *peer = &peers->items[connection];
	enum test_answer *all = realloc(peer->answers, (peer->n_answers + n + 1) * sizeof *all);
	if (!all)
		return -ENOMEM;
	peer->answers = all;
	if (n)
		memcpy(all + peer->n_answers, answers, n * sizeof *all);
	peer->n_answers += n;
	return 0;
}

size_t peer_unanswered(const struct peers *peers, size_t connection)
{
	const struct link *link = peers->items[connection].link;
	size_t n = 0;
	for (size_t i = 0; link && i < link->n_sent; i++)
		n += link->sent[i].unanswered;
	return n;
}

/* --- up and down --------------------------------------------------------------------------------------------------- */

static void go_down(struct link *link)
{
	link->told_up = link->paused = false;
	link->host->ops->link_down(link->host, "the test says down");
	while (link->n_sent)
		forget(link, link->n_sent - 1);
}

static void go_up(struct link *link)
{
	struct sink_traits traits = {.max_in_flight = IN_FLIGHT};
	link->told_up = true;
	link->host->ops->link_up(link->host, &traits);
}

static void on_job(void *arg)
{
	struct link *link = arg;
	if (link->peer->peers->away || !link->started)
		return;
	if (link->peer->up && !link->told_up)
		go_up(link);
	else if (!link->peer->up && link->told_up)
		go_down(link);
	answer_sent(link);
	offer_held(link->peer);
}

void peer_set_up(struct peers *peers, size_t connection, bool up)
{
	struct peer *peer = &peers->items[connection];
	peer->up = up;
	if (peer->link)
		loop_post(peer->link->loop, &peer->link->job);
}

bool peer_is_up(const struct peers *peers, size_t connection)
{
	return peers->items[connection].up;
}

void peers_leave(struct peers *peers)
{
	peers->away = true;
}

void peers_revive(struct peers *peers)
{
	peers->away = false;
}

/* --- the connector's functions -------------------------------------------------------------------------------------- */

static int peer_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	struct link *link = calloc(1, sizeof *link);
	struct peer *peer = current->items;
	if (!link)
		return -ENOMEM;
	while (peer->settings != spec->settings)
		peer++;
	*link = (struct link){.peer = peer,
		.host = host,
		.loop = spec->loop,
		.subscriptions = spec->subscriptions,
		.n_subscriptions = spec->n_subscriptions};
	loop_job_init(&link->job, on_job, link);
	peer->link = link;
	*ret_link = link;
	return 0;
}

static void peer_start(struct link *link, const struct link_recovery *recovery)
{
	(void)recovery; /* a peer remembers by itself what was not taken */
	link->started = true;
	loop_post(link->loop, &link->job);
}

static void peer_pause(struct link *link)
{
	link->paused = true;
}

static void peer_resume(struct link *link)
{
	link->paused = false;
	offer_held(link->peer);
}

static void peer_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	(void)link, (void)cookie, (void)receipt;
}

static void peer_nothing(struct link *link)
{
	(void)link;
}

static void peer_send(struct link *link, const struct delivery *delivery)
{
	if (link->n_sent == link->sent_capacity) {
		size_t capacity = link->sent_capacity ? 2 * link->sent_capacity : 16;
		struct sent *sent = realloc(link->sent, capacity * sizeof *sent);
		if (!sent) {
			static const struct outcome again = {.kind = OUTCOME_RETRY, .reason = "out of memory"};
			link->host->ops->outcome(link->host, delivery->seq, &again);
			return;
		}
		link->sent = sent;
		link->sent_capacity = capacity;
	}
	link->sent[link->n_sent++] = (struct sent){.seq = delivery->seq,
		.batch_last = delivery->batch_first ? delivery->batch_last : 0,
		.msg = message_ref(delivery->msg)};
	loop_post(link->loop, &link->job);
}

static void peer_stage_durable(struct link *link, uint64_t seq, uint8_t stage)
{
	(void)link, (void)seq, (void)stage;
}

static void peer_stop_intake(struct link *link)
{
	link->intake_stopped = true;
}

static void peer_stop(struct link *link, uint64_t linger_ms)
{
	(void)linger_ms;
	link->started = link->told_up = false;
	link->host->ops->stopped(link->host);
}

static void peer_destroy(struct link *link)
{
	loop_cancel(link->loop, &link->job);
	while (link->n_sent)
		forget(link, link->n_sent - 1);
	free(link->sent);
	if (link->peer->link == link)
		link->peer->link = NULL;
	free(link);
}

/* --- peers ----------------------------------------------------------------------------------------------------------- */

static struct connector connector_of(const struct connector *real)
{
	struct connector connector = *real;
	connector.create = peer_create;
	connector.start = peer_start;
	connector.pause = peer_pause;
	connector.resume = peer_resume;
	connector.receipt = peer_receipt;
	connector.receipts_end = peer_nothing;
	connector.send = peer_send;
	connector.send_end = peer_nothing;
	connector.stage_durable = peer_stage_durable;
	connector.settled = peer_nothing;
	connector.counters = NULL;
	connector.reload = NULL;
	connector.retarget = NULL;
	connector.stop_intake = peer_stop_intake;
	connector.stop = peer_stop;
	connector.destroy = peer_destroy;
	return connector;
}

struct peers *peers_new(struct connection_config *connections, size_t n, const struct peers_options *options)
{
	struct peers *peers = calloc(1, sizeof *peers);
	if (peers)
		peers->items = calloc(n + 1, sizeof *peers->items);
	if (!peers || !peers->items) {
		free(peers);
		return NULL;
	}
	peers->options = *options;
	peers->n = n;
	for (size_t i = 0; i < n; i++) {
		struct peer *peer = &peers->items[i];
		*peer = (struct peer){
			.peers = peers,
			.index = i,
			.settings = connections[i].settings,
			.connector = connector_of(connections[i].connector),
			.up = true,
		};
		peer->held_end = &peer->held;
		if (!connections[i].is_aggregator)
			connections[i].connector = &peer->connector;
	}
	current = peers;
	return peers;
}

void peers_free(struct peers *peers)
{
	if (!peers)
		return;
	for (size_t i = 0; i < peers->n; i++) {
		struct peer *peer = &peers->items[i];
		for (struct held *held; (held = peer->held);) {
			peer->held = held->next;
			message_unref(held->msg);
			free(held);
		}
		free(peer->answers);
	}
	free(peers->items);
	free(peers);
	current = NULL;
}
