/* SPDX-License-Identifier: Apache-2.0
 *
 * How long deliveries take, for the figures. A message is stamped when it is seen to be durable. One that is read back
 * from disk has been durable for longer, since about when it was received: by the clock of then, set right as for expiry.
 */
#include "delivery/courier_impl.h"

static uint64_t received_ms(const struct courier *courier, const struct held *held)
{
	int64_t ms = (int64_t)message_view(held->msg)->origin_ms + expiry_shift_ms(courier, held);
	return ms > 0 ? (uint64_t)ms : 1;
}

void times_durable(struct courier *courier, struct held *held)
{
	if (!held->durable_us)
		held->durable_us = loop_turn_us(courier->options.loop);
}

void times_read_back(struct courier *courier, struct held *held, uint64_t wall_ms)
{
	uint64_t then_ms = received_ms(courier, held);
	uint64_t age_us = wall_ms > then_ms ? (wall_ms - then_ms) * 1000 : 0;
	/* May wrap, and back again in the difference. */
	held->durable_us = loop_turn_us(courier->options.loop) - age_us;
}

void times_delivered(struct courier *courier, uint64_t seq)
{
	uint64_t since_us = window_slot(&courier->window, seq)->durable_us;
	histogram_add(&courier->delivery, loop_turn_us(courier->options.loop) - since_us, 1);
}

uint64_t times_oldest_ms(const struct courier *courier)
{
	struct journal_outbox box = journal_outbox(courier->options.journal, courier->options.dest);
	const struct held *oldest = window_find(&courier->window, box.oldest_undone);
	return oldest ? received_ms(courier, oldest) : 0;
}

const struct histogram *courier_delivery_times(const struct courier *courier)
{
	return &courier->delivery;
}
