/* SPDX-License-Identifier: Apache-2.0
 *
 * The host and the wiring of the MQTT tests.
 */
#include "tests/unit/mqtt/rig.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define PATIENCE_MS 10000

static uint64_t wait_until_ms;

static struct rig *rig_of(struct link_host *host)
{
	return (struct rig *)host;
}

/* --- the host --------------------------------------------------------------------------------------------------------- */

static void copy_text(char *to, size_t size, struct slice text)
{
	snprintf(to, size, "%.*s", (int)text.len, text.len ? (const char *)text.data : "");
}

static void record_view(struct rig_offer *rec, const struct message_view *view)
{
	copy_text(rec->topic, sizeof rec->topic, view->topic);
	copy_text(rec->payload, sizeof rec->payload, view->payload);
	copy_text(rec->content_type, sizeof rec->content_type, view->content_type);
	copy_text(rec->response_topic, sizeof rec->response_topic, view->response_topic);
	copy_text(rec->correlation, sizeof rec->correlation, view->correlation);
	rec->payload_len = view->payload.len;
	rec->qos = view->qos;
	rec->retain = view->retain;
	rec->utf8 = view->utf8_payload;
	rec->origin_ms = view->origin_ms;
	rec->expires_ms = view->expires_ms;
	size_t len = 0;
	for (size_t i = 0; i < view->n_headers && len < sizeof rec->user; i++)
		len += (size_t)snprintf(rec->user + len, sizeof rec->user - len, "%.*s=%.*s;",
			(int)view->headers[i].name.len, (const char *)view->headers[i].name.data,
			(int)view->headers[i].value.len, (const char *)view->headers[i].value.data);
}

static enum offer_result host_offer(struct link_host *host, const struct offer *offer)
{
	struct rig *rig = rig_of(host);
	if (rig->stuck || (rig->busy && offer->view)) {
		rig->pauses++;
		mqtt_connector.pause(rig->link);
		return OFFER_BUSY;
	}
	if (rig->refuse && offer->view)
		return OFFER_REFUSED;
	rig->offers = realloc(rig->offers, (rig->n_offers + 1) * sizeof *rig->offers);
	assert(rig->offers);
	struct rig_offer *rec = &rig->offers[rig->n_offers++];
	*rec = (struct rig_offer){.cookie = offer->cookie,
		.subscription = offer->subscription,
		.no_receipt = offer->no_receipt,
		.change = offer->change.type,
		.has_message = offer->view != NULL,
		.id = offer->change.id,
		.hash = offer->change.hash};
	if (offer->view)
		record_view(rec, offer->view);
	rec->blob_len = offer->change.blob.len;
	if (rec->blob_len > 0 && rec->blob_len <= sizeof rec->blob)
		memcpy(rec->blob, offer->change.blob.data, rec->blob_len);
	return OFFER_TAKEN;
}

static void host_link_up(struct link_host *host, const struct sink_traits *traits)
{
	struct rig *rig = rig_of(host);
	rig->ups++;
	rig->window = traits->max_in_flight;
	rig->session_lost = traits->session_lost;
}

static void host_link_down(struct link_host *host, const char *reason)
{
	struct rig *rig = rig_of(host);
	rig->downs++;
	rig->n_receipts = rig->n_offers; /* none of them comes any more */
	snprintf(rig->down_reason, sizeof rig->down_reason, "%s", reason);
}

static void host_window(struct link_host *host, uint32_t max_in_flight)
{
	rig_of(host)->window = max_in_flight;
}

static void host_alarm(struct link_host *host, const char *what)
{
	struct rig *rig = rig_of(host);
	rig->alarms++;
	snprintf(rig->alarm, sizeof rig->alarm, "%s", what);
}

static void host_outcome(struct link_host *host, uint64_t seq, const struct outcome *outcome)
{
	struct rig *rig = rig_of(host);
	rig->outcomes = realloc(rig->outcomes, (rig->n_outcomes + 1) * sizeof *rig->outcomes);
	assert(rig->outcomes);
	struct rig_outcome *rec = &rig->outcomes[rig->n_outcomes++];
	*rec = (struct rig_outcome){.seq = seq, .kind = outcome->kind};
	snprintf(rec->reason, sizeof rec->reason, "%s", outcome->reason ? outcome->reason : "");
	if (rig->keep_sending && rig->next_seq <= rig->send_until) {
		rig_send(rig, "again", "x", 0);
		rig_send_end(rig);
	}
}

static void host_stage(struct link_host *host, uint64_t seq, uint8_t stage)
{
	struct rig *rig = rig_of(host);
	rig->stages = realloc(rig->stages, (rig->n_stages + 1) * sizeof *rig->stages);
	assert(rig->stages);
	rig->stages[rig->n_stages++] = (struct rig_stage){seq, stage};
}

static void host_stopped(struct link_host *host)
{
	rig_of(host)->stopped = true;
}

static const struct link_host_ops host_ops = {
	.offer = host_offer,
	.link_up = host_link_up,
	.link_down = host_link_down,
	.window = host_window,
	.alarm = host_alarm,
	.outcome = host_outcome,
	.stage = host_stage,
	.stopped = host_stopped,
};

size_t rig_changes(const struct rig *rig, enum state_change_type type)
{
	size_t count = 0;
	for (size_t i = 0; i < rig->n_offers; i++)
		count += rig->offers[i].change == type;
	return count;
}

size_t rig_messages(const struct rig *rig)
{
	size_t count = 0;
	for (size_t i = 0; i < rig->n_offers; i++)
		count += rig->offers[i].has_message;
	return count;
}

const struct rig_offer *rig_offer(const struct rig *rig, enum state_change_type type, size_t n)
{
	for (size_t i = 0; i < rig->n_offers; i++)
		if (rig->offers[i].change == type && n-- == 0)
			return &rig->offers[i];
	return NULL;
}

/* --- driving ------------------------------------------------------------------------------------------------------------ */

void rig_receipts(struct rig *rig, size_t count)
{
	for (; count > 0 && rig->n_receipts < rig->n_offers; rig->n_receipts++) {
		if (rig->offers[rig->n_receipts].no_receipt)
			continue;
		mqtt_connector.receipt(rig->link, rig->offers[rig->n_receipts].cookie, RECEIPT_DURABLE);
		count--;
	}
	mqtt_connector.receipts_end(rig->link);
}

void rig_resume(struct rig *rig)
{
	rig->busy = false;
	mqtt_connector.resume(rig->link);
}

static void rig_deliver(struct rig *rig, struct delivery *delivery, const struct message_view *view)
{
	rig->messages = realloc(rig->messages, (rig->n_messages + 1) * sizeof *rig->messages);
	struct message *msg = message_new(view);
	assert(rig->messages && msg);
	rig->messages[rig->n_messages++] = msg;
	delivery->destination_uuid = (const uint8_t *)"0123456789abcdef";
	delivery->attempt = 1;
	delivery->msg = msg;
	mqtt_connector.send(rig->link, delivery);
}

void rig_send_again(struct rig *rig, uint64_t seq, const struct message_view *view, bool maybe_sent, uint8_t stage)
{
	rig_deliver(rig, &(struct delivery){.seq = seq, .stage = stage, .maybe_sent = maybe_sent}, view);
}

void rig_send_lost(struct rig *rig, uint64_t seq, const struct message_view *view)
{
	rig_deliver(rig, &(struct delivery){.seq = seq, .maybe_sent = true, .session_lost = true}, view);
}

uint64_t rig_send_view(struct rig *rig, const struct message_view *view, bool maybe_sent)
{
	uint64_t seq = rig->next_seq++;
	rig_send_again(rig, seq, view, maybe_sent, 0);
	return seq;
}

uint64_t rig_send(struct rig *rig, const char *topic, const char *payload, uint8_t qos)
{
	struct message_view view = {.topic = slice_str(topic), .payload = slice_str(payload), .qos = qos};
	return rig_send_view(rig, &view, false);
}

void rig_send_end(struct rig *rig)
{
	mqtt_connector.send_end(rig->link);
}

void rig_stage_durable(struct rig *rig, size_t n)
{
	CU_ASSERT_FATAL(n < rig->n_stages);
	mqtt_connector.stage_durable(rig->link, rig->stages[n].seq, rig->stages[n].stage);
	mqtt_connector.send_end(rig->link);
}

void rig_wait_begin(struct rig *rig)
{
	wait_until_ms = loop_now_ms(rig->loop) + PATIENCE_MS;
}

static void rig_on_tick(uv_timer_t *timer)
{
	(void)timer; /* only wakes the loop */
}

bool rig_wait_turn(struct rig *rig)
{
	if (loop_now_ms(rig->loop) > wait_until_ms)
		return false;
	uv_timer_t tick;
	uv_timer_init(loop_uv(rig->loop), &tick);
	uv_timer_start(&tick, rig_on_tick, 100, 0);
	uv_run(loop_uv(rig->loop), UV_RUN_ONCE);
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(loop_uv(rig->loop), UV_RUN_NOWAIT);
	return true;
}

/* --- life ------------------------------------------------------------------------------------------------------------------ */

void rig_subscribe(struct rig *rig, const char *filter, uint8_t qos)
{
	rig->subscriptions[rig->n_subscriptions++] = (struct link_subscription){.filter = filter, .qos = qos};
}

static char empty_id[] = "tester";

void rig_open_tls(struct rig *rig, const char *cert, const char *key, const char *ca)
{
	*rig = (struct rig){.host.ops = &host_ops, .next_seq = 1};
	rig->loop = loop_new();
	assert(rig->loop);
	fake_broker_open(&rig->broker, rig->loop, cert, key, ca);
	snprintf(rig->url, sizeof rig->url, "%s://127.0.0.1:%u", cert ? "mqtts" : "mqtt", rig->broker.port);
	rig->urls[0].value = rig->url;
	rig->settings = (struct mqtt_settings){
		.urls = {rig->urls, 1},
		.client_id = empty_id,
		.session_expiry_ms = 3600 * 1000,
		.keep_alive_ms = 30000,
		.connect_timeout_ms = 10000,
		.ack_timeout_ms = 10000,
		.reconnect_min_ms = 1,
		.reconnect_max_ms = 5,
		.receive_maximum = 256,
		.hold_bytes = 1024 * 1024,
		.tls.verify = true,
	};
}

void rig_open(struct rig *rig)
{
	rig_open_tls(rig, NULL, NULL, NULL);
}

struct rig_recovery {
	struct link_recovery base; /* first */
	const struct rig *rig;
};

static void rig_open_ids(const struct link_recovery *recovery, void (*fn)(uint16_t, uint64_t, void *), void *arg)
{
	const struct rig *rig = ((const struct rig_recovery *)recovery)->rig;
	for (size_t i = 0; i < rig->n_open_ids; i++)
		fn(rig->open_ids[i].id, rig->open_ids[i].hash, arg);
}

void rig_start(struct rig *rig)
{
	rig->broker.version = mqtt_settings_version(&rig->settings);
	struct link_spec spec = {
		.name = "test",
		.settings = &rig->settings,
		.loop = rig->loop,
		.subscriptions = rig->subscriptions,
		.n_subscriptions = rig->n_subscriptions,
		.is_sink = true,
		.exactly_once = rig->exactly_once,
	};
	int r = mqtt_connector.create(&spec, &rig->host, &rig->link);
	assert(r == 0);
	struct rig_recovery recovery = {
		.base = {.subscriptions = rig->recovered, .open_ids = rig_open_ids}, .rig = rig};
	rig->stopped = false;
	mqtt_connector.start(rig->link, &recovery.base);
}

void rig_connect(struct rig *rig)
{
	unsigned ups = rig->ups;
	rig_start(rig);
	UNTIL(rig, rig->ups > ups);
}

void rig_stop_link(struct rig *rig)
{
	mqtt_connector.stop_intake(rig->link);
	mqtt_connector.stop(rig->link, 1000);
	UNTIL(rig, rig->stopped);
	mqtt_connector.destroy(rig->link);
	rig->link = NULL;
}

void rig_close(struct rig *rig)
{
	if (rig->link)
		rig_stop_link(rig);
	fake_broker_close(&rig->broker);
	loop_free(rig->loop);
	for (size_t i = 0; i < rig->n_messages; i++)
		message_unref(rig->messages[i]);
	free(rig->messages);
	free(rig->offers);
	free(rig->outcomes);
	free(rig->stages);
}
