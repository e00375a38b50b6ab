/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices, and whose turn it is.
 *
 * A call is counted twice: by its device while it is not answered (NSTART), and among all as long as the device is not
 * suspected to be away (`concurrency`). At a device that is suspected, or that is tried after it has rested, only few may
 * wait; others end at once and come again. So messages for dead devices do not fill the room that the host gives us.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/coap/descriptors.h"
#include "connectors/coap/out_peer_impl.h"
#include "runtime/log.h"

#define REST_MIN_MS     250u
#define REST_MAX_MS     60000u
#define MOST_DOUBLINGS  16u
#define MOST_WAITING    1024u /* at a device that answers */
#define MOST_DOUBTFUL   16u /* at one that does not, or not yet */
#define CROWDED_MS      1000u
#define SWEEP_MS        30000u
#define MOST_BUCKETS    4096u
#define FIRST_BUCKETS   64u
#define SUSPECT_PERCENT 160u /* of ACK_TIMEOUT; ACK_RANDOM_FACTOR is 1.5 */

static uint64_t now_of(const struct coap_peers *peers)
{
	return loop_now_ms(peers->options.loop);
}

/* --- time ---------------------------------------------------------------------------------------------------------------- */

void coap_peers_due(struct coap_peers *peers, uint64_t at_ms)
{
	if (peers->timer_ms && peers->timer_ms <= at_ms)
		return;
	uint64_t now_ms = now_of(peers);
	peers->timer_ms = at_ms;
	loop_timer_start(peers->timer, at_ms > now_ms ? at_ms - now_ms : 0);
}

void coap_peers_note(struct coap_peers *peers)
{
	if (!peers->is_ending)
		loop_post(peers->options.loop, &peers->job);
}

static uint64_t suspicion_ms(const struct coap_peers *peers)
{
	return peers->settings->transmission.ack_timeout_ms * SUSPECT_PERCENT / 100;
}

/* --- who is silent --------------------------------------------------------------------------------------------------------- */

static void unwait(struct coap_peer *peer)
{
	struct coap_peers *peers = peer->peers;
	if (!peer->silent_at)
		return;
	*peer->silent_at = peer->next_silent;
	if (peer->next_silent)
		peer->next_silent->silent_at = peer->silent_at;
	else
		peers->silent_end = peer->silent_at;
	peer->silent_at = NULL;
}

static void await(struct coap_peer *peer)
{
	struct coap_peers *peers = peer->peers;
	unwait(peer);
	if (peer->is_suspect)
		return;
	peer->silent_ms = now_of(peers);
	peer->next_silent = NULL;
	peer->silent_at = peers->silent_end;
	*peers->silent_end = peer;
	peers->silent_end = &peer->next_silent;
	coap_peers_due(peers, peer->silent_ms + suspicion_ms(peers));
}

static void count_calls(struct coap_peer *peer, bool counts)
{
	struct coap_peers *peers = peer->peers;
	for (struct coap_peer_session *session = peers->sessions; session; session = session->next) {
		if (session->peer != peer)
			continue;
		for (struct coap_call *call = session->calls; call; call = call->next) {
			if (!call->is_active || call->is_counted == counts)
				continue;
			call->is_counted = counts;
			peers->n_active += counts ? 1 : (size_t)-1;
		}
	}
}

/* A single device may have all the room. */
static bool is_crowded(const struct coap_peer *peer)
{
	bool doubtful = peer->is_suspect || peer->failures || peer->state != COAP_PEER_READY;
	return peer->peers->n_busy > 1 && peer->n_waiting > (doubtful ? MOST_DOUBTFUL : MOST_WAITING);
}

/* From the front: they have been tried for longest. */
static void end_crowd(struct coap_peer *peer)
{
	while (is_crowded(peer))
		coap_call_note_end(peer->waiting, COAP_CALL_UNREACHED, CROWDED_MS, "the device has not answered yet");
}

static void suspect(struct coap_peer *peer)
{
	unwait(peer);
	peer->is_suspect = true;
	count_calls(peer, false);
	end_crowd(peer);
}

void coap_peer_is_alive(struct coap_peer *peer)
{
	if (peer->is_suspect) {
		peer->is_suspect = false;
		count_calls(peer, true);
	}
	if (peer->failures)
		log_info("coap_device_back", "connection=%s device=%s", peer->peers->options.name, peer->url.host);
	peer->failures = 0;
	if (peer->state == COAP_PEER_RESTING)
		peer->state = COAP_PEER_IDLE;
	if (peer->n_active)
		await(peer);
}

/* --- whose turn it is ------------------------------------------------------------------------------------------------------ */

static void unready(struct coap_peer *peer)
{
	if (!peer->ready_at)
		return;
	*peer->ready_at = peer->next_ready;
	if (peer->next_ready)
		peer->next_ready->ready_at = peer->ready_at;
	else
		peer->peers->ready_end = peer->ready_at;
	peer->ready_at = NULL;
}

static void ready(struct coap_peer *peer)
{
	struct coap_peers *peers = peer->peers;
	if (peer->ready_at)
		return;
	peer->next_ready = NULL;
	peer->ready_at = peers->ready_end;
	*peers->ready_end = peer;
	peers->ready_end = &peer->next_ready;
}

/* --- counting -------------------------------------------------------------------------------------------------------------- */

void coap_peer_activate(struct coap_peer *peer, struct coap_call *call)
{
	call->is_active = true;
	call->is_counted = !peer->is_suspect;
	peer->peers->n_active += call->is_counted;
	if (peer->n_active++ == 0)
		await(peer);
}

void coap_peer_deactivate(struct coap_peer *peer, struct coap_call *call)
{
	if (!call->is_active)
		return;
	call->is_active = false;
	peer->peers->n_active -= call->is_counted;
	call->is_counted = false;
	if (--peer->n_active == 0) {
		unwait(peer);
		peer->is_suspect = false;
	}
	if (peer->waiting)
		ready(peer);
}

static bool has_room(const struct coap_peers *peers)
{
	return peers->n_active < (size_t)peers->settings->concurrency;
}

static bool may_send(const struct coap_peer *peer)
{
	if (!peer->waiting || peer->state != COAP_PEER_READY)
		return false;
	size_t most = peer->failures ? 1 : (size_t)peer->peers->settings->transmission.nstart;
	return peer->n_active < most;
}

void coap_peer_pump(struct coap_peer *peer)
{
	if (peer->state == COAP_PEER_IDLE && peer->waiting)
		coap_peer_connect(peer);
	while (may_send(peer)) {
		if (!has_room(peer->peers)) {
			ready(peer);
			return;
		}
		coap_call_send(peer->waiting, peer->session);
	}
}

/* One call of each, in turn. */
void coap_peers_pump(struct coap_peers *peers)
{
	while (peers->ready && has_room(peers)) {
		struct coap_peer *peer = peers->ready;
		unready(peer);
		if (may_send(peer))
			coap_call_send(peer->waiting, peer->session);
		if (may_send(peer))
			ready(peer);
	}
}

void coap_peer_wait(struct coap_peer *peer, struct coap_call *call)
{
	struct coap_peers *peers = peer->peers;
	uint64_t now_ms = now_of(peers);
	call->peer = peer;
	call->at = peer->waiting_end;
	call->next = NULL;
	*peer->waiting_end = call;
	peer->waiting_end = &call->next;
	peer->n_waiting++;
	if (peer->n_calls++ == 0)
		peers->n_busy++;
	if (peer->state == COAP_PEER_RESTING && peer->rest_until_ms > now_ms) {
		coap_call_note_end(call, COAP_CALL_UNREACHED, peer->rest_until_ms - now_ms, peer->why);
		return;
	}
	if (peer->state == COAP_PEER_RESTING)
		peer->state = COAP_PEER_IDLE;
	if (is_crowded(peer)) {
		coap_call_note_end(call, COAP_CALL_UNREACHED, CROWDED_MS, "others wait for the device already");
		return;
	}
	coap_peer_pump(peer);
}

/* --- failing --------------------------------------------------------------------------------------------------------------- */

/* Between half of the time and the whole, so that many do not come at once. */
static uint64_t rest_ms(unsigned failures)
{
	unsigned times = failures < MOST_DOUBLINGS ? failures : MOST_DOUBLINGS;
	uint64_t ms = (uint64_t)REST_MIN_MS << times;
	ms = ms < REST_MAX_MS ? ms : REST_MAX_MS;
	return ms / 2 + arc4random_uniform((uint32_t)(ms / 2) + 1);
}

void coap_peer_has_failed(struct coap_peer *peer, enum coap_call_end end, const char *why)
{
	struct coap_peers *peers = peer->peers;
	char place[COAP_URL_HOST_SIZE + 32];
	uint64_t ms = rest_ms(peer->failures);
	coap_url_print(&peer->url, place, sizeof place);
	if (peer->failures++ == 0)
		log_warn("coap_device_away", "connection=%s device=\"%s\" reason=\"%s\"", peers->options.name, place,
			why);
	snprintf(peer->why, sizeof peer->why, "%s", why);
	unready(peer);
	if (peer->session && !peer->session->has_answered)
		peer->last_has_failed = true;
	if (peer->session)
		coap_peer_session_retire(peer->session);
	coap_peer_stop_resolving(peer);
	peer->state = COAP_PEER_RESTING;
	peer->rest_until_ms = now_of(peers) + ms;
	peers->counters.unreached++;
	while (peer->waiting)
		coap_call_note_end(peer->waiting, end, ms, peer->why);
}

/* --- the table ------------------------------------------------------------------------------------------------------------- */

static void unlink_age(struct coap_peer *peer)
{
	struct coap_peers *peers = peer->peers;
	if (peer->newer)
		peer->newer->older = peer->older;
	else
		peers->newest = peer->older;
	if (peer->older)
		peer->older->newer = peer->newer;
	else
		peers->oldest = peer->newer;
}

static void link_newest(struct coap_peer *peer)
{
	struct coap_peers *peers = peer->peers;
	peer->newer = NULL;
	peer->older = peers->newest;
	if (peers->newest)
		peers->newest->newer = peer;
	else
		peers->oldest = peer;
	peers->newest = peer;
}

/* It has no calls. */
static void forget(struct coap_peer *peer)
{
	struct coap_peers *peers = peer->peers;
	struct coap_peer_session *session = peers->sessions, *next;
	for (; session; session = next) {
		next = session->next;
		if (session->peer == peer)
			coap_peer_session_end(session, COAP_CALL_BROKEN, "");
	}
	coap_peer_stop_resolving(peer);
	unwait(peer);
	unready(peer);
	unlink_age(peer);
	*peer->at = peer->next;
	if (peer->next)
		peer->next->at = peer->at;
	peers->n_peers--;
	free(peer);
}

/* Each has a descriptor, which others need as well. */
static size_t most_of(const struct coap_peers *peers)
{
	size_t most = (size_t)peers->settings->max_peers, share = coap_descriptors_share();
	return share < most ? share : most;
}

/* By the job alone: see out_peer_impl.h. */
static void trim(struct coap_peers *peers)
{
	struct coap_peer *peer = peers->oldest, *newer;
	size_t most = most_of(peers);
	for (; peer && peers->n_peers > most; peer = newer) {
		newer = peer->newer;
		if (peer->n_calls > 0)
			continue;
		peers->counters.evicted++;
		forget(peer);
	}
}

static struct coap_peer **bucket_of(struct coap_peers *peers, uint32_t hash)
{
	return &peers->buckets[hash & (peers->n_buckets - 1)];
}

static void link_hash(struct coap_peer *peer)
{
	struct coap_peer **bucket = bucket_of(peer->peers, peer->hash);
	peer->next = *bucket;
	peer->at = bucket;
	if (peer->next)
		peer->next->at = &peer->next;
	*bucket = peer;
}

/* Without memory the chains just grow longer. */
static void widen(struct coap_peers *peers)
{
	if (peers->n_peers <= peers->n_buckets || peers->n_buckets >= MOST_BUCKETS)
		return;
	struct coap_peer **buckets = calloc(peers->n_buckets * 2, sizeof(struct coap_peer *));
	if (!buckets)
		return;
	free(peers->buckets);
	peers->buckets = buckets;
	peers->n_buckets *= 2;
	for (struct coap_peer *peer = peers->newest; peer; peer = peer->older)
		link_hash(peer);
}

static struct coap_peer *peer_new(struct coap_peers *peers, const struct coap_url *url, uint32_t hash)
{
	size_t most = most_of(peers);
	if (peers->n_busy >= most || peers->n_peers >= most + most / 4) /* the job has not come round to trim them */
		return NULL;
	struct coap_peer *peer = calloc(1, sizeof *peer);
	if (!peer)
		return NULL;
	peer->peers = peers;
	peer->url = *url;
	peer->url.target = slice_of(NULL, 0);
	peer->hash = hash;
	peer->is_own = coap_url_same_place(url, peers->options.own);
	peer->waiting_end = &peer->waiting;
	link_hash(peer);
	link_newest(peer);
	if (++peers->n_peers > most)
		coap_peers_note(peers);
	widen(peers);
	return peer;
}

static struct coap_peer *peer_of(struct coap_peers *peers, const struct coap_url *url)
{
	uint32_t hash = coap_url_hash(url);
	struct coap_peer *peer = *bucket_of(peers, hash);
	while (peer && !(peer->hash == hash && coap_url_same_place(&peer->url, url)))
		peer = peer->next;
	if (!peer)
		return peer_new(peers, url, hash);
	if (peers->newest != peer) {
		unlink_age(peer);
		link_newest(peer);
	}
	return peer;
}

void coap_call_begin(struct coap_call *call, struct coap_peers *peers, const struct coap_url *url)
{
	call->peers = peers;
	call->was_sent = false;
	coap_call_forget_download(call); /* it may end before it is sent */
	struct coap_peer *peer = peer_of(peers, url);
	if (peer)
		coap_peer_wait(peer, call);
	else
		coap_call_note_end(call, COAP_CALL_NO_ROOM, CROWDED_MS, "as many devices are busy as may be at a time");
}

/* --- timers and the job ---------------------------------------------------------------------------------------------------- */

static void sweep(struct coap_peers *peers, uint64_t now_ms)
{
	uint64_t due_ms = coap_peer_sessions_sweep(peers);
	peers->swept_ms = due_ms < now_ms + SWEEP_MS ? due_ms : now_ms + SWEEP_MS;
}

static void on_timer(void *arg)
{
	struct coap_peers *peers = arg;
	uint64_t now_ms = now_of(peers), suspicion = suspicion_ms(peers);
	peers->timer_ms = 0;
	while (peers->deadlines && peers->deadlines->deadline_ms <= now_ms)
		coap_call_expire(peers->deadlines);
	while (peers->silent && peers->silent->silent_ms + suspicion <= now_ms)
		suspect(peers->silent);
	if (peers->swept_ms <= now_ms)
		sweep(peers, now_ms);
	if (peers->deadlines)
		coap_peers_due(peers, peers->deadlines->deadline_ms);
	if (peers->silent)
		coap_peers_due(peers, peers->silent->silent_ms + suspicion);
	if (peers->sessions)
		coap_peers_due(peers, peers->swept_ms);
	coap_peers_pump(peers);
}

static void on_job(void *arg)
{
	struct coap_peers *peers = arg;
	coap_peer_sessions_settle(peers);
	coap_calls_tell(peers);
	coap_peers_pump(peers);
	trim(peers);
}

/* --- life ------------------------------------------------------------------------------------------------------------------ */

static bool needs_files(const struct coap_peers_options *options)
{
	return options->settings->tls.ca || options->settings->tls.cert;
}

static int read_files(struct coap_peers *peers)
{
	const char *wrong =
		needs_files(&peers->options) ? coap_tls_files_read(&peers->options.settings->tls, &peers->files) : NULL;
	if (wrong)
		log_error("coap_tls_files", "connection=%s what=\"the files of tls cannot be used: %s\"",
			peers->options.name, wrong);
	return wrong ? -EINVAL : 0;
}

static int set_up(struct coap_peers *peers)
{
	peers->n_buckets = FIRST_BUCKETS;
	peers->buckets = calloc(peers->n_buckets, sizeof(struct coap_peer *));
	peers->timer = loop_timer_new(peers->options.loop, on_timer, peers);
	if (!peers->buckets || !peers->timer)
		return -ENOMEM;
	return read_files(peers);
}

int coap_peers_new(const struct coap_peers_options *options, struct coap_peers **ret_peers)
{
	struct coap_peers *peers = calloc(1, sizeof *peers);
	if (!peers)
		return -ENOMEM;
	coap_descriptors_enter();
	peers->options = *options;
	peers->settings = &options->settings->out;
	peers->deadlines_end = &peers->deadlines;
	peers->silent_end = &peers->silent;
	peers->ready_end = &peers->ready;
	peers->ended_end = &peers->ended;
	loop_job_init(&peers->job, on_job, peers);
	coap_peers_read_psk(peers);
	int r = set_up(peers);
	if (r < 0) {
		coap_peers_free(peers);
		return r;
	}
	*ret_peers = peers;
	return 0;
}

static void free_contexts(struct coap_peers *peers)
{
	for (size_t i = 0; i < COAP_SECURITIES; i++)
		coap_peer_context_free(peers->contexts[i]);
}

void coap_peers_free(struct coap_peers *peers)
{
	if (!peers)
		return;
	peers->is_ending = true;
	loop_cancel(peers->options.loop, &peers->job);
	for (struct coap_peer *peer = peers->newest; peer; peer = peer->older)
		while (peer->waiting)
			coap_call_cancel(peer->waiting);
	while (peers->sessions) {
		while (peers->sessions->calls)
			coap_call_cancel(peers->sessions->calls);
		coap_peer_session_end(peers->sessions, COAP_CALL_BROKEN, "");
	}
	while (peers->ended)
		coap_call_cancel(peers->ended);
	while (peers->newest)
		forget(peers->newest);
	free_contexts(peers);
	coap_tls_files_free(&peers->files);
	OPENSSL_cleanse(peers->psk_key, sizeof peers->psk_key);
	coap_descriptors_leave();
	loop_timer_free(peers->timer);
	free(peers->buckets);
	free(peers->slots);
	free(peers);
}

/* Sessions that are there stay in their context until they end. */
static void retire_context(struct coap_peers *peers, enum coap_security security)
{
	struct coap_peer_context *context = peers->contexts[security];
	peers->contexts[security] = NULL;
	if (!context)
		return;
	context->retired = true;
	if (context->n_sessions == 0)
		coap_peer_context_free(context);
}

int coap_peers_reload(struct coap_peers *peers)
{
	int r = read_files(peers);
	if (r < 0)
		return r;
	if (needs_files(&peers->options))
		log_info("coap_tls_files_read", "connection=%s", peers->options.name);
	retire_context(peers, COAP_SECURITY_OWN_CERT);
	retire_context(peers, COAP_SECURITY_NO_CERT);
	return 0;
}

void coap_peers_wake(struct coap_peers *peers)
{
	for (struct coap_peer *peer = peers->newest; peer; peer = peer->older)
		peer->rest_until_ms = 0;
}

size_t coap_peers_count(const struct coap_peers *peers)
{
	return peers->n_peers;
}

const struct coap_peers_counters *coap_peers_counters(const struct coap_peers *peers)
{
	return &peers->counters;
}
