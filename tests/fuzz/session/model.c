/* SPDX-License-Identifier: Apache-2.0
 *
 * Journal, courier and life of the link.
 */
#include "tests/fuzz/session/model.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/mqtt/mqtt.h"
#include "connectors/mqtt/qos2_out.h"
#include "tests/fuzz/fuzz.h"

struct model model;

/* By QoS 2 identifier: all false between two runs. */
static struct {
	bool is_open;
	uint64_t hash;
} ids[65536];

static const uint8_t uuid[16] = "session machine";

/* --- source -------------------------------------------------------------------------------------------------------- */

uint16_t model_packet_id(uint64_t seq)
{
	return (uint16_t)(1 + seq % MQTT_SESSION_LAST_ID);
}

uint64_t model_hash(const struct slice *topic, const struct slice *payload)
{
	uint64_t hash = 14695981039346656037u;
	for (size_t i = 0; i < topic->len; i++)
		hash = (hash ^ topic->data[i]) * 1099511628211u;
	hash = (hash ^ 256) * 1099511628211u;
	for (size_t i = 0; i < payload->len; i++)
		hash = (hash ^ payload->data[i]) * 1099511628211u;
	return hash;
}

/* What was held comes later, and in its order; what is left at the broker came behind all that is held. */
static struct incoming *model_held(const struct offer *offer)
{
	for (size_t i = 0; i < model.n_incoming; i++) {
		struct incoming *in = &model.incoming[i];
		if (in->state != INCOMING_NEW)
			continue;
		if (offer->change.type == CHANGE_OPEN_ID && in->qos == 2 && in->id == offer->change.id &&
			in->hash == offer->change.hash)
			return in;
		if (offer->change.type == CHANGE_RELEASE_ID && in->qos == 0 && in->id == offer->change.id)
			return in;
		if (offer->change.type == CHANGE_NONE && offer->view && in->qos == 1 &&
			in->hash == model_hash(&offer->view->topic, &offer->view->payload))
			return in;
	}
	return NULL;
}

static void model_open_id(uint16_t id, uint64_t hash)
{
	fuzz_require(!ids[id].is_open || ids[id].hash != hash); /* the same message twice */
	if (!ids[id].is_open)
		model.opened[model.n_opened++] = id;
	fuzz_require(model.n_opened < MODEL_RECEIPTS);
	ids[id].is_open = true;
	ids[id].hash = hash;
}

static void model_close_id(uint16_t id)
{
	ids[id].is_open = false;
	for (size_t i = 0; i < model.n_opened; i++)
		if (model.opened[i] == id)
			model.opened[i] = model.opened[--model.n_opened];
}

/* Then a release that waited behind the message has nothing to close. */
static bool model_was_refused(uint16_t id)
{
	for (size_t i = 0; i < model.n_incoming; i++)
		if (model.incoming[i].qos == 2 && model.incoming[i].id == id &&
			model.incoming[i].state == INCOMING_REFUSED)
			return true;
	return false;
}

static void model_close_all_ids(void)
{
	while (model.n_opened > 0)
		model_close_id(model.opened[0]);
}

static void model_journal(const struct state_change *change)
{
	switch (change->type) {
	case CHANGE_OPEN_ID:
		model_open_id(change->id, change->hash);
		break;
	case CHANGE_RELEASE_ID:
		fuzz_require(ids[change->id].is_open || model_was_refused(change->id));
		model_close_id(change->id);
		break;
	case CHANGE_SESSION_RESET:
		model_close_all_ids();
		break;
	case CHANGE_SUBSCRIPTIONS:
		fuzz_require(change->blob.len > 0 && change->blob.len <= sizeof model.blob);
		memcpy(model.blob, change->blob.data, change->blob.len);
		model.blob_len = change->blob.len;
		break;
	default:
		fuzz_require(change->type == CHANGE_NONE);
	}
}

static void model_owe_receipt(const struct offer *offer)
{
	struct incoming *in = model.reading ? model.reading : model_held(offer);
	/* A receipt is for something that came. */
	fuzz_require(in != NULL && in->state == INCOMING_NEW);
	fuzz_require(model.n_receipts < MODEL_RECEIPTS);
	in->state = INCOMING_OFFERED;
	model.receipts[model.n_receipts++] = (struct model_receipt){offer->cookie, in};
}

static enum offer_result model_offer(struct link_host *host, const struct offer *offer)
{
	(void)host;
	bool alone = !offer->view;
	fuzz_require(!model.stopped);
	fuzz_require(!offer->view || !model.intake_stopped);
	fuzz_require(!offer->view || (offer->view->topic.data && offer->view->origin_ms && model.active));
	fuzz_require(offer->change.type != CHANGE_OPEN_ID || (offer->view && offer->view->qos == 2));
	if ((model.busy || model.n_receipts + MODEL_INCOMING > MODEL_RECEIPTS) && !alone) {
		mqtt_connector.pause(model.link);
		return OFFER_BUSY;
	}
	if (model.refuses && offer->view) {
		struct incoming *in = offer->no_receipt ? NULL : model.reading ? model.reading : model_held(offer);
		fuzz_require(offer->no_receipt || in);
		if (in)
			in->state = INCOMING_REFUSED;
		return OFFER_REFUSED;
	}
	model_journal(&offer->change);
	if (!offer->no_receipt)
		model_owe_receipt(offer);
	return OFFER_TAKEN;
}

void model_receipts(size_t n, enum receipt receipt)
{
	if (n > model.n_receipts)
		n = model.n_receipts;
	struct model_receipt given[MODEL_RECEIPTS];
	memcpy(given, model.receipts, n * sizeof *given);
	model.n_receipts -= n;
	memmove(model.receipts, model.receipts + n, model.n_receipts * sizeof *given);
	for (size_t i = 0; i < n && !model.stopped; i++) {
		if (receipt == RECEIPT_DURABLE)
			given[i].incoming->state = INCOMING_DURABLE;
		mqtt_connector.receipt(model.link, given[i].cookie, receipt);
	}
	if (!model.stopped)
		mqtt_connector.receipts_end(model.link);
}

void model_resume(void)
{
	if (!model.stopped)
		mqtt_connector.resume(model.link);
}

void model_stop_intake(void)
{
	model.intake_stopped = true;
	if (!model.stopped)
		mqtt_connector.stop_intake(model.link);
}

/* --- sink ---------------------------------------------------------------------------------------------------------- */

struct model_delivery *model_delivery(uint64_t seq)
{
	bool there = seq >= model.first_seq && seq - model.first_seq < model.n_deliveries;
	return there ? &model.deliveries[seq - model.first_seq] : NULL;
}

static void model_check_delivered(uint64_t seq, const struct model_delivery *item)
{
	uint8_t qos = message_view(item->msg)->qos;
	if (qos == 0)
		return;
	fuzz_require(model.acking == model_packet_id(seq));
	fuzz_require(item->published || item->durable_stage != QOS2_STAGE_PUBLISH);
	if (qos == 1 || model.acking_type != MQTT_PUBCOMP)
		fuzz_require(qos == 1 && model.acking_type == MQTT_PUBACK && model.acking_reason < 0x80);
	else
		fuzz_require(item->durable_stage == QOS2_STAGE_RECEIVED);
}

static void model_outcome(struct link_host *host, uint64_t seq, const struct outcome *outcome)
{
	(void)host;
	struct model_delivery *item = model_delivery(seq);
	fuzz_require(model.up && !model.stopped);
	fuzz_require(!model.sending || outcome->kind == OUTCOME_REJECTED); /* parked at once */
	fuzz_require(item && item->state == DELIVERY_IN_FLIGHT); /* one outcome for one send */
	fuzz_require(outcome->kind == OUTCOME_DELIVERED || outcome->reason);
	model.n_in_flight--;
	switch (outcome->kind) {
	case OUTCOME_DELIVERED:
		model_check_delivered(seq, item);
		item->state = DELIVERY_ENDED;
		break;
	case OUTCOME_REJECTED:
		fuzz_require(model.acking_type != MQTT_PUBCOMP || model.acking != model_packet_id(seq) ||
			     item->durable_stage == QOS2_STAGE_GIVEN_UP);
		item->state = DELIVERY_ENDED;
		break;
	case OUTCOME_RETRY:
		item->attempt++;
		item->state = DELIVERY_WAITING;
		break;
	case OUTCOME_LINK_DOWN:
		model.barred = true; /* until link_up */
		item->maybe_sent = true;
		item->state = DELIVERY_WAITING;
		break;
	}
	item->published = false;
}

static void model_stage(struct link_host *host, uint64_t seq, uint8_t stage)
{
	(void)host;
	const struct model_delivery *item = model_delivery(seq);
	fuzz_require(item && item->state == DELIVERY_IN_FLIGHT && message_view(item->msg)->qos == 2);
	fuzz_require(model.n_stages < MODEL_STAGES);
	model.stages[model.n_stages].seq = seq;
	model.stages[model.n_stages].answered = true;
	model.stages[model.n_stages++].stage = stage;
}

void model_stages(size_t n)
{
	for (; n > 0 && model.n_stages > 0; n--) {
		uint64_t seq = model.stages[0].seq;
		uint8_t stage = model.stages[0].stage;
		bool answered = model.stages[0].answered;
		memmove(model.stages, model.stages + 1, --model.n_stages * sizeof model.stages[0]);
		model_delivery(seq)->durable_stage = stage;
		if (answered && !model.stopped)
			mqtt_connector.stage_durable(model.link, seq, stage);
	}
}

static void model_pump(void)
{
	bool any = false;
	for (size_t i = 0; i < model.n_deliveries; i++) {
		struct model_delivery *item = &model.deliveries[i];
		if (!model.up || model.barred || model.stop_asked || model.n_in_flight >= model.window)
			break;
		if (item->state != DELIVERY_WAITING || model.n_stages + 4 * MODEL_DELIVERIES > MODEL_STAGES)
			continue;
		item->state = DELIVERY_IN_FLIGHT;
		model.n_in_flight++;
		struct delivery delivery = {
			.destination_uuid = uuid,
			.seq = model.first_seq + i,
			.attempt = item->attempt,
			.stage = item->durable_stage,
			.maybe_sent = item->maybe_sent,
			.session_lost = item->session_lost,
			.msg = item->msg,
		};
		item->session_lost = false; /* from now on it may be known in the new one */
		model.sending = any = true;
		mqtt_connector.send(model.link, &delivery);
		model.sending = false;
	}
	model.sending = true;
	if (any && model.up)
		mqtt_connector.send_end(model.link);
	model.sending = false;
}

void model_deliver(const struct message_view *view)
{
	if (model.n_deliveries == MODEL_DELIVERIES)
		return;
	struct message *msg = message_new(view);
	fuzz_require(msg != NULL);
	model.deliveries[model.n_deliveries++] = (struct model_delivery){.msg = msg, .attempt = 1};
}

/* --- connections --------------------------------------------------------------------------------------------------- */

/* No stage holds in the new one. */
static void model_lose_session(void)
{
	model.n_stages = 0;
	for (size_t i = 0; i < model.n_deliveries; i++) {
		struct model_delivery *item = &model.deliveries[i];
		item->session_lost |= item->maybe_sent;
		item->durable_stage = 0;
	}
}

static void model_link_up(struct link_host *host, const struct sink_traits *traits)
{
	(void)host;
	fuzz_require(!model.stopped && !model.stop_asked);
	fuzz_require(!model.up || model.barred);
	fuzz_require(traits->max_in_flight > 0);
	fuzz_require(!model.terms.receive_maximum || traits->max_in_flight <= model.terms.receive_maximum);
	if (traits->session_lost)
		model_lose_session();
	model.up = true;
	model.barred = false;
	model.window = traits->max_in_flight;
}

/* Nothing of this connection will be acknowledged in either direction. */
static void model_forget_connection(void)
{
	model.up = model.barred = false;
	model.n_incoming = model.n_receipts = model.n_in_flight = 0;
	model.reading = NULL;
	for (size_t i = 0; i < model.n_stages; i++)
		model.stages[i].answered = false;
	for (size_t i = 0; i < model.n_deliveries; i++) {
		struct model_delivery *item = &model.deliveries[i];
		item->published = false;
		if (item->state != DELIVERY_IN_FLIGHT)
			continue;
		item->state = DELIVERY_WAITING;
		item->maybe_sent = true;
	}
}

static void model_link_down(struct link_host *host, const char *reason)
{
	(void)host;
	fuzz_require(reason && model.up && !model.stopped);
	model_forget_connection();
}

static void model_window(struct link_host *host, uint32_t max_in_flight)
{
	(void)host;
	fuzz_require(model.up);
	model.window = max_in_flight;
}

static void model_alarm(struct link_host *host, const char *what)
{
	(void)host;
	fuzz_require(what && !model.stopped);
}

static void model_stopped(struct link_host *host)
{
	(void)host;
	fuzz_require(model.stop_asked && !model.stopped);
	model.stopped = true;
}

static const struct link_host_ops model_ops = {
	.offer = model_offer,
	.link_up = model_link_up,
	.link_down = model_link_down,
	.window = model_window,
	.alarm = model_alarm,
	.outcome = model_outcome,
	.stage = model_stage,
	.stopped = model_stopped,
};

/* --- life ---------------------------------------------------------------------------------------------------------- */

static const struct link_subscription subscriptions[] = {
	{.filter = "in/#", .qos = 2}, {.filter = "in/+/x", .qos = 1}, {.filter = "$share/g/other", .qos = 0}};

void model_begin(const struct mqtt_settings *settings, bool active, uint64_t first_seq)
{
	model = (struct model){
		.host.ops = &model_ops,
		.settings = settings,
		.version = mqtt_settings_version(settings),
		.active = active,
		.first_seq = first_seq,
		.loop = loop_new_simulated(1700000000000),
	};
	fuzz_require(model.loop != NULL);
	buffer_init(&model.stream, SIZE_MAX / 2);
}

static void model_recover_ids(
	const struct link_recovery *recovery, void (*fn)(uint16_t id, uint64_t hash, void *arg), void *arg)
{
	(void)recovery;
	for (size_t i = 0; i < model.n_opened; i++)
		fn(model.opened[i], ids[model.opened[i]].hash, arg);
}

void model_start_link(void)
{
	struct link_spec spec = {
		.name = "fuzz",
		.settings = model.settings,
		.loop = model.loop,
		.subscriptions = subscriptions,
		.n_subscriptions = model.active ? sizeof subscriptions / sizeof subscriptions[0] : 0,
		.is_sink = true,
	};
	struct link_recovery recovery = {
		.destination_uuid = uuid,
		.subscriptions = slice_of(model.blob_len ? model.blob : NULL, model.blob_len),
		.open_ids = model_recover_ids,
	};
	model.intake_stopped = model.stop_asked = model.stopped = false;
	fuzz_require(mqtt_connector.create(&spec, &model.host, &model.link) == 0);
	mqtt_connector.start(model.link, &recovery);
}

void model_stop_link(bool stages_durable)
{
	model.stop_asked = true;
	mqtt_connector.stop(model.link, 1000);
	loop_sim_advance(model.loop, 0);
	fuzz_require(model.stopped);
	mqtt_connector.destroy(model.link);
	model.link = NULL;
	model_forget_connection();
	if (stages_durable)
		model_stages(MODEL_STAGES);
	model.n_stages = 0;
}

void model_turn(uint64_t ms)
{
	loop_sim_advance(model.loop, ms);
	model_pump();
	loop_sim_advance(model.loop, 0);
}

void model_end(void)
{
	loop_free(model.loop);
	for (size_t i = 0; i < model.n_deliveries; i++)
		message_unref(model.deliveries[i].msg);
	model_close_all_ids();
	buffer_free(&model.stream);
}
