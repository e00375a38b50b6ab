/* SPDX-License-Identifier: Apache-2.0
 *
 * Keep-alive, MQTT 5 §3.1.2.10: a PINGREQ after keep_alive without a byte sent or without a byte received, the end of
 * the connection half of that later unless something came. So a link that swallows everything is noticed, whatever we
 * send into it. A PINGREQ that stands behind a long queue has its time from when the kernel has taken it; a queue that
 * does not move has none.
 */
#include "connectors/mqtt/engine.h"

static void alive_arm(struct mqtt_engine *s, uint64_t now_ms)
{
	uint64_t due_ms;
	if (s->ping_end)
		due_ms = s->ping_ms + s->keep_alive_ms / 2;
	else
		due_ms = (s->received_ms < s->sent_ms ? s->received_ms : s->sent_ms) + s->keep_alive_ms;
	loop_timer_start(s->alive_timer, due_ms > now_ms ? due_ms - now_ms : 1);
}

void alive_begin(struct mqtt_engine *s)
{
	uint64_t now_ms = loop_now_ms(s->options.loop);
	s->received_ms = s->sent_ms = now_ms;
	s->ping_end = 0;
	s->ping_expired = false;
	if (s->keep_alive_ms > 0)
		alive_arm(s, now_ms);
}

void alive_end(struct mqtt_engine *s)
{
	loop_timer_stop(s->alive_timer);
}

void alive_received(struct mqtt_engine *s)
{
	s->received_ms = loop_now_ms(s->options.loop);
	s->ping_end = 0;
	s->ping_expired = false;
}

/* PING_TAKEN: the kernel has the PINGREQ, and later writes do not prolong its time. */
#define PING_TAKEN UINT64_MAX

void alive_written(struct mqtt_engine *s)
{
	if (s->ping_end == 0 || s->ping_end == PING_TAKEN)
		return;
	s->ping_ms = loop_now_ms(s->options.loop);
	if (transport_written(s->transport) >= s->ping_end)
		s->ping_end = PING_TAKEN;
}

static void alive_ping(struct mqtt_engine *s, uint64_t now_ms)
{
	struct mqtt_packet packet = {.type = MQTT_PINGREQ};
	if (engine_send(s, &packet) < 0)
		return;
	s->ping_end = transport_appended(s->transport);
	s->ping_ms = now_ms;
	engine_flush(s);
	alive_written(s);
}

/* Time alone is no proof: if this process has not run for a while, the answer may lie unread in the socket. So the end
 * comes with the turn after the one that finds the time over, and what is there is read in between. */
static void alive_expired(struct mqtt_engine *s)
{
	if (s->ping_expired) {
		engine_end(s, MQTT_AGAIN_BACKOFF, MQTT_UNSPECIFIED_ERROR,
			"the broker has been silent for one and a half times keep_alive");
		return;
	}
	s->ping_expired = true;
	loop_timer_start(s->alive_timer, 1);
}

void alive_on_timer(void *arg)
{
	struct mqtt_engine *s = arg;
	uint64_t now_ms = loop_now_ms(s->options.loop);
	if (s->ping_end && now_ms - s->ping_ms >= s->keep_alive_ms / 2) {
		alive_expired(s);
		return;
	}
	s->ping_expired = false;
	if (!s->ping_end && (now_ms - s->received_ms >= s->keep_alive_ms || now_ms - s->sent_ms >= s->keep_alive_ms))
		alive_ping(s, now_ms);
	alive_arm(s, now_ms);
}
