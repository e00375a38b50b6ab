/* SPDX-License-Identifier: Apache-2.0
 *
 * See model.h.
 */
#include "tests/fuzz/coap/model.h"

#include <string.h>

#include "connectors/coap/coap.h"
#include "connectors/coap/in_link.h"
#include "message/message.h"
#include "message/utf8.h"
#include "tests/fuzz/fuzz.h"

#define AMPLIFICATION 3u
#define LIFETIME_MS   145000u /* the shorter one: NON_LIFETIME */
#define MAX_ROUNDS    100
#define CODE(c, d)    ((c) << 5 | (d))
#define CODE_DELETE   4u

const char *const model_paths[MODEL_VALUES] = {"/state/a", "/state/b/c", "/state/large"};

/* --- marks ------------------------------------------------------------------------------------------------------------- */

void model_mark(size_t number, uint8_t out[MODEL_MARK_LEN])
{
	out[0] = 0xfb;
	out[1] = 0xfe;
	out[2] = (uint8_t)(number >> 8);
	out[3] = (uint8_t)number;
}

/* MODEL_SENT: it has none. */
static size_t marked(const struct model *model, const uint8_t *data, size_t len)
{
	size_t number = len >= MODEL_MARK_LEN && data[0] == 0xfb && data[1] == 0xfe ? (size_t)data[2] << 8 | data[3]
										    : MODEL_SENT;
	return number < MODEL_SENT && number < model->n_sent && model->sent[number].is_marked ? number : MODEL_SENT;
}

/* --- smaller tables ---------------------------------------------------------------------------------------------------- */

#define MAX_IDS   200u /* more than there are datagrams in a play, by the share that one may have of them */
#define MAX_RATED 8u

/* The linker puts these before the real ones: tables of the size that a listener has cost more than all the rest, and are
 * never full. */
int __real_dedupe_new(size_t max_entries, struct dedupe **ret_dedupe);
int __wrap_dedupe_new(size_t max_entries, struct dedupe **ret_dedupe);
int __real_rate_new(uint32_t per_second, uint32_t burst, size_t max_peers, struct rate **ret_rate);
int __wrap_rate_new(uint32_t per_second, uint32_t burst, size_t max_peers, struct rate **ret_rate);

int __wrap_dedupe_new(size_t max_entries, struct dedupe **ret_dedupe)
{
	(void)max_entries;
	return __real_dedupe_new(MAX_IDS, ret_dedupe);
}

int __wrap_rate_new(uint32_t per_second, uint32_t burst, size_t max_peers, struct rate **ret_rate)
{
	(void)max_peers;
	return __real_rate_new(per_second, burst, MAX_RATED, ret_rate);
}

/* --- the host ---------------------------------------------------------------------------------------------------------- */

static struct model_key *find_key(struct model *model, const uint8_t *key)
{
	for (size_t i = 0; i < model->n_keys; i++)
		if (memcmp(model->keys[i].key, key, LINK_KEY_LEN) == 0)
			return &model->keys[i];
	return NULL;
}

static bool key_lives(const struct model *model, const struct model_key *key)
{
	return key && key->until_ms > loop_wall_ms(model->loop);
}

/* Returns its index. The same key with the same bytes is not to be offered again. */
static size_t take_key(struct model *model, const struct state_change *change)
{
	fuzz_require(change->type == CHANGE_KEY && change->blob.len == LINK_KEY_LEN);
	fuzz_require(change->position > loop_wall_ms(model->loop));
	struct model_key *key = find_key(model, change->blob.data);
	fuzz_require(!key_lives(model, key) || key->hash != change->hash);
	fuzz_require(!model->keys_full && (key || model->n_keys < MODEL_KEYS));
	if (!key)
		key = &model->keys[model->n_keys++];
	memcpy(key->key, change->blob.data, LINK_KEY_LEN);
	key->hash = change->hash;
	key->until_ms = change->position;
	key->is_known = false;
	return (size_t)(key - model->keys);
}

static void check_message(const struct model *model, const struct message_view *view)
{
	fuzz_require(view->topic.len > 0 && view->topic.data[0] == '/');
	fuzz_require(utf8_valid(view->topic));
	fuzz_require(memchr(view->topic.data, '\0', view->topic.len) == NULL);
	fuzz_require(view->payload.len <= model->settings->in.limits.max_body);
	fuzz_require(view->qos <= 1 && view->n_headers <= MESSAGE_MAX_FIELDS);
	fuzz_require(message_encoded_size(view) > 0);
}

static struct model_write *write_of(struct model *model, struct slice payload)
{
	if (!payload.data)
		return &model->deletes;
	size_t number = marked(model, payload.data, payload.len);
	return number < MODEL_SENT ? &model->writes[number] : NULL;
}

static enum offer_result on_offer(struct link_host *host, const struct offer *offer)
{
	struct model *model = (struct model *)(void *)host;
	struct model_receipt receipt = {.cookie = offer->cookie, .key = MODEL_KEYS};
	fuzz_require(offer->view && offer->n_more == 0 && !model->is_stopped);
	check_message(model, offer->view);
	if (model->mood == MODEL_REFUSES)
		return OFFER_REFUSED;
	if (model->mood == MODEL_BUSY || model->n_receipts == MODEL_RECEIPTS) {
		model->is_paused = true;
		coap_connector.pause(model->link);
		return OFFER_BUSY;
	}
	if (offer->change.type != CHANGE_NONE)
		receipt.key = take_key(model, &offer->change);
	receipt.write = write_of(model, offer->view->payload);
	if (receipt.write)
		fuzz_require(++receipt.write->offered <= receipt.write->allowed || receipt.write->is_anybodys);
	if (!offer->no_receipt)
		model->receipts[model->n_receipts++] = receipt;
	return OFFER_TAKEN;
}

static enum key_state on_key(struct link_host *host, const uint8_t *key, uint64_t *ret_hash)
{
	struct model *model = (struct model *)(void *)host;
	const struct model_key *found = find_key(model, key);
	if (!key_lives(model, found))
		return KEY_UNKNOWN;
	*ret_hash = found->hash;
	return found->is_known ? KEY_KNOWN : KEY_NOT_YET;
}

static uint64_t on_key_room(struct link_host *host)
{
	const struct model *model = (struct model *)(void *)host;
	return model->keys_full ? 0 : MODEL_KEYS - model->n_keys;
}

static void on_link_up(struct link_host *host, const struct sink_traits *traits)
{
	(void)traits;
	((struct model *)(void *)host)->is_up = true;
}

static void on_link_down(struct link_host *host, const char *reason)
{
	fuzz_require(reason && *reason);
	((struct model *)(void *)host)->is_up = false;
}

static void on_window(struct link_host *host, uint32_t max_in_flight)
{
	(void)host;
	fuzz_require(max_in_flight > 0);
}

static void on_alarm(struct link_host *host, const char *what)
{
	(void)host, (void)what;
	fuzz_require(!"no alarm is due to what peers send");
}

static void on_outcome(struct link_host *host, uint64_t seq, const struct outcome *outcome)
{
	struct model *model = (struct model *)(void *)host;
	fuzz_require(model->in_flight && seq == model->last_seq && outcome->kind == OUTCOME_DELIVERED &&
		     outcome->keep_value);
	struct slice topic = message_view(model->in_flight)->topic;
	for (size_t i = 0; i < MODEL_VALUES; i++) {
		if (!slice_equal(topic, slice_str(model_paths[i])))
			continue;
		message_unref(model->values[i]);
		model->values[i] = message_view(model->in_flight)->payload.data ? message_ref(model->in_flight) : NULL;
	}
	struct message *msg = model->in_flight;
	model->in_flight = NULL;
	coap_connector.value_changed(model->link, message_view(msg)->topic);
	message_unref(msg);
}

static struct message *on_last_value(struct link_host *host, struct slice topic)
{
	const struct model *model = (struct model *)(void *)host;
	for (size_t i = 0; i < MODEL_VALUES; i++)
		if (slice_equal(topic, slice_str(model_paths[i])))
			return model->values[i];
	return NULL;
}

static void on_last_values(struct link_host *host, void (*fn)(struct message *msg, void *arg), void *arg)
{
	const struct model *model = (struct model *)(void *)host;
	for (size_t i = 0; i < MODEL_VALUES; i++)
		if (model->values[i])
			fn(model->values[i], arg);
}

static void on_stopped(struct link_host *host)
{
	((struct model *)(void *)host)->is_stopped = true;
}

static const struct link_host_ops ops = {
	.offer = on_offer,
	.link_up = on_link_up,
	.link_down = on_link_down,
	.window = on_window,
	.alarm = on_alarm,
	.outcome = on_outcome,
	.key = on_key,
	.key_room = on_key_room,
	.last_value = on_last_value,
	.last_values = on_last_values,
	.stopped = on_stopped,
};

void model_give_receipts(struct model *model, size_t n, enum receipt receipt)
{
	for (; n > 0 && model->n_receipts > 0; n--) {
		struct model_receipt first = model->receipts[0];
		memmove(model->receipts, model->receipts + 1, --model->n_receipts * sizeof first);
		if (receipt == RECEIPT_DURABLE && first.write)
			first.write->durable++;
		if (receipt == RECEIPT_DURABLE && first.key < MODEL_KEYS)
			model->keys[first.key].is_known = true;
		coap_connector.receipt(model->link, first.cookie, receipt);
	}
	if (coap_connector.receipts_end)
		coap_connector.receipts_end(model->link);
}

void model_resume(struct model *model)
{
	if (!model->is_paused)
		return;
	model->is_paused = false;
	coap_connector.resume(model->link);
}

void model_set_value(struct model *model, size_t which, const uint8_t *data, size_t len)
{
	const struct message_view view = {.topic = slice_str(model_paths[which]),
		.payload = slice_of(data, len),
		.order_key = slice_str("x"),
		.origin_ms = loop_wall_ms(model->loop),
		.qos = 1};
	struct delivery delivery = {.destination_uuid = (const uint8_t *)"0123456789abcdef", .attempt = 1};
	if (!model->is_up || model->in_flight)
		return;
	model->in_flight = message_new(&view);
	fuzz_require(model->in_flight != NULL);
	delivery.seq = ++model->last_seq;
	delivery.msg = model->in_flight;
	coap_connector.send(model->link, &delivery);
	if (coap_connector.send_end)
		coap_connector.send_end(model->link);
}

/* --- what must hold ---------------------------------------------------------------------------------------------------- */

static void check_limits(const struct model *model)
{
	const struct coap_in_link *link = (const struct coap_in_link *)(const void *)model->link;
	const struct coap_limits *limits = &model->settings->in.limits;
	size_t n_paths, n_observers = coap_in_observe_count(link, &n_paths);
	fuzz_require(link->held.n + link->offered.n <= (size_t)limits->max_waiting);
	fuzz_require(link->waiting_bytes <= limits->max_buffered);
	fuzz_require(n_observers <= (size_t)limits->max_observers && n_paths <= (size_t)limits->max_resources);
	fuzz_require(link->n_peers <= PLAY_PEERS);
}

/* The write that an answer is about, by its token: never before it is durable. */
static void check_success(struct model *model, size_t peer, const struct play_message *msg)
{
	size_t number = msg->token_len == MODEL_MARK_LEN ? marked(model, msg->token, msg->token_len) : MODEL_SENT;
	struct model_sent *sent = &model->sent[number];
	if (number == MODEL_SENT || (msg->code != CODE(2, 1) && msg->code != CODE(2, 2) && msg->code != CODE(2, 4)))
		return;
	fuzz_require(sent->peer == peer);
	if (msg->code != CODE(2, 2)) {
		fuzz_require(model->writes[number].durable > 0 || model->writes[number].is_anybodys);
	} else if (!sent->is_confirmed) {
		sent->is_confirmed = true;
		fuzz_require(++model->n_confirmed <= model->deletes.durable);
	}
}

static void check_answer(struct model *model, size_t peer, const struct play_message *msg)
{
	fuzz_require(msg->code == 0 || (msg->code >> 5 >= 2 && msg->code >> 5 <= 5));
	if (msg->code == CODE(4, 29) || msg->code == CODE(5, 3))
		fuzz_require(msg->has_max_age);
	fuzz_require(!msg->has_observe || msg->code == CODE(2, 5) || msg->code == CODE(2, 3));
	fuzz_require(msg->code != CODE(2, 31) || msg->has_block1);
	check_success(model, peer, msg);
	for (size_t i = 0; i < model->n_sent; i++) {
		struct model_sent *sent = &model->sent[i];
		uint8_t mark[MODEL_MARK_LEN];
		model_mark(sent->body, mark);
		if (sent->peer == peer &&
			((msg->type != PLAY_CON && msg->mid == sent->mid) ||
				(msg->token_len == MODEL_MARK_LEN && memcmp(msg->token, mark, MODEL_MARK_LEN) == 0)))
			sent->is_answered = true;
	}
}

static void put(struct model *model, size_t peer, const uint8_t *data, size_t len)
{
	model->peers[peer].sent += len;
	play_send(peer, data, len);
}

/* True: it has sent something. */
static bool react(struct model *model, size_t number, const struct play_message *msg)
{
	struct model_peer *peer = &model->peers[number];
	struct play_datagram d;
	bool is_ping = msg->code == 0;
	if (msg->type != PLAY_CON)
		return false;
	peer->last_con = msg->mid;
	if (is_ping ? !peer->answers_pings : !peer->acknowledges)
		return false;
	play_head(&d, is_ping ? PLAY_RST : PLAY_ACK, 0, msg->mid, NULL, 0);
	peer->is_validated = true;
	put(model, number, d.data, d.len);
	return true;
}

static bool read_peer(struct model *model, size_t number)
{
	struct model_peer *peer = &model->peers[number];
	struct play_message msg;
	bool again = false;
	while (play_receive(number, &msg)) {
		peer->received += msg.len;
		fuzz_require(peer->is_validated || peer->received <= AMPLIFICATION * peer->sent);
		check_answer(model, number, &msg);
		again = react(model, number, &msg) || again;
	}
	return again;
}

void model_settle(struct model *model)
{
	bool again = true;
	for (int round = 0; again && round < MAX_ROUNDS; round++) {
		again = false;
		play_run();
		for (size_t i = 0; i < PLAY_PEERS; i++)
			again = read_peer(model, i) || again;
	}
	check_limits(model);
}

void model_advance(struct model *model, uint64_t ms)
{
	play_advance(ms);
	model_settle(model);
}

/* --- sending ----------------------------------------------------------------------------------------------------------- */

static void replace_id(struct model *model, size_t peer, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < model->n_sent && len >= 4; i++) {
		struct model_sent *sent = &model->sent[i];
		if (sent->peer == peer && sent->data[2] == data[2] && sent->data[3] == data[3])
			sent->is_replaced = true;
	}
}

/* Who knows whether it is a DELETE, or a block. */
void model_send_raw(struct model *model, size_t peer, const uint8_t *data, size_t len)
{
	model->deletes.allowed++;
	for (size_t i = 0; i < model->n_sent; i++)
		if (model->sent[i].peer == peer && (!model->sent[i].is_whole || model->sent[i].body != i))
			model->writes[model->sent[i].body].is_anybodys = true;
	replace_id(model, peer, data, len);
	put(model, peer, data, len);
}

/* It may become a message, once. */
static void allow(struct model *model, const struct model_sent *sent)
{
	if (sent->data[1] == CODE_DELETE)
		model->deletes.allowed++;
	else if (sent->is_marked && sent->is_whole)
		model->writes[sent->body].allowed++;
}

static void transmit(struct model *model, const struct model_sent *sent)
{
	put(model, sent->peer, sent->data, sent->len);
}

size_t model_send(
	struct model *model, size_t peer, const struct play_datagram *d, bool is_marked, size_t body, bool is_whole)
{
	size_t number = model->n_sent;
	if (number == MODEL_SENT)
		return MODEL_SENT;
	struct model_sent *sent = &model->sent[number];
	replace_id(model, peer, d->data, d->len);
	model->n_sent++;
	*sent = (struct model_sent){.peer = peer,
		.mid = (uint16_t)(d->data[2] << 8 | d->data[3]),
		.is_con = (d->data[0] >> 4 & 3) == PLAY_CON,
		.is_whole = is_whole,
		.at_ms = play_now_ms(),
		.body = body,
		.is_marked = is_marked,
		.len = (uint16_t)d->len};
	memcpy(sent->data, d->data, d->len);
	model->writes[number] = (struct model_write){.allowed = 0};
	allow(model, sent);
	transmit(model, sent);
	return number;
}

/* What would make of a repetition a message of its own: another one has had its message id, or its time is over. */
void model_send_again(struct model *model, size_t number)
{
	struct model_sent *sent = &model->sent[number];
	bool is_new = sent->is_replaced || play_now_ms() - sent->at_ms >= LIFETIME_MS;
	replace_id(model, sent->peer, sent->data, sent->len);
	sent->is_replaced = false;
	if (is_new)
		allow(model, sent);
	transmit(model, sent);
}

/* --- from the beginning to the end -------------------------------------------------------------------------------------- */

void model_begin(struct model *model, const struct coap_settings *settings,
	const struct link_subscription *subscriptions, size_t n)
{
	*model = (struct model){.host = {.ops = &ops}, .settings = settings};
	model->loop = play_begin();
	for (size_t i = 0; i < PLAY_PEERS; i++)
		model->peers[i] = (struct model_peer){.answers_pings = i != 1, .acknowledges = i == 0};
	struct link_spec spec = {.name = "devices",
		.settings = settings,
		.loop = model->loop,
		.subscriptions = subscriptions,
		.n_subscriptions = n,
		.is_sink = true};
	static const struct link_recovery recovery = {.destination_uuid = (const uint8_t *)"0123456789abcdef"};
	fuzz_require(coap_connector.create(&spec, &model->host, &model->link) == 0);
	coap_connector.start(model->link, &recovery);
	play_run();
	fuzz_require(model->is_up);
}

/* Whoever asked by a confirmable message is told something. */
static void check_answered(const struct model *model)
{
	for (size_t i = 0; i < model->n_sent; i++)
		fuzz_require(model->sent[i].is_answered || !model->sent[i].is_con || !model->sent[i].is_marked);
}

void model_end(struct model *model)
{
	model->mood = MODEL_TAKES;
	model->keys_full = false;
	model_settle(model);
	model_resume(model);
	while (model->n_receipts > 0) {
		model_give_receipts(model, model->n_receipts, RECEIPT_DURABLE);
		model_settle(model);
	}
	model_advance(model, 2000);
	check_answered(model);
	coap_connector.stop_intake(model->link);
	model_settle(model);
	coap_connector.stop(model->link, 1000);
	for (int i = 0; i < 10 && !model->is_stopped; i++)
		model_advance(model, 500);
	fuzz_require(model->is_stopped);
	coap_connector.destroy(model->link);
	message_unref(model->in_flight);
	for (size_t i = 0; i < MODEL_VALUES; i++)
		message_unref(model->values[i]);
	play_end();
}
