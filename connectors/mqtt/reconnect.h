/* SPDX-License-Identifier: Apache-2.0
 *
 * How long to wait before the next connection: exponential with full jitter, so that a thousand gateways do not return
 * to a restarted broker at once. It never gives up. No clock and no I/O; the session tells it what happened.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_RECONNECT_H
#define LINKSPAN_CONNECTORS_MQTT_RECONNECT_H

#include <stdbool.h>
#include <stdint.h>

struct reconnect {
	uint64_t min_ms, max_ms;
	uint32_t (*random)(uint32_t bound); /* evenly below bound; arc4random_uniform */
	unsigned failures; /* in a row */
};

/* A link that was up for as long is taken for a sound one: the next wait begins at the shortest bound again. */
#define RECONNECT_SOUND_MS 1000

/* A connection has ended. up_ms: how long it had been accepted (0: never was). progress: messages or acknowledgements
 * came, so that a link which flaps fast does not wait longer and longer while it does its work. */
void reconnect_ended(struct reconnect *rec, uint64_t up_ms, bool progress);

/* The wait before the next attempt. slow: the failure needs a person (refused credentials), so between half of and the
 * whole of max_ms. */
uint64_t reconnect_delay_ms(const struct reconnect *rec, bool slow);

#endif
