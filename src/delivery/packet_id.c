/* SPDX-License-Identifier: Apache-2.0
 *
 * QoS 2 outwards: MQTT sends seq with the packet identifier 1 + (seq mod 61440) (ARCHITECTURE.md, Delivery), so that a resend
 * after a restart has the same one. That holds only while at most one undone seq can have an identifier, after a
 * restart too: seq + 61440 is not sent before the DONE of seq is durable. DONEs are written within a second by
 * themselves, which is too late for a fast link: they are asked for when half of the identifiers have been used. Connectors that
 * have no such identifiers need not wait for that.
 */
#include <string.h>

#include "delivery/courier_impl.h"
#include "runtime/log.h"

#define PACKET_IDS 61440u

/* What is below is done, but perhaps not durably. */
static uint64_t floor_of(const struct courier *courier)
{
	uint64_t surplus = surplus_oldest(courier), held = window_oldest(&courier->window);
	return surplus < held ? surplus : held;
}

static void flush(struct courier *courier)
{
	if (courier->flush_lsn || floor_of(courier) == courier->done_floor)
		return;
	uint64_t lsn;
	int error = journal_flush_done(courier->options.journal, &lsn);
	if (error) {
		log_error("flush_failed", "destination=%s error=\"%s\"", courier->options.name, strerror(-error));
		courier_poke_in(courier, COURIER_REPEAT_MS);
		return;
	}
	courier->flush_lsn = lsn;
	courier->flushed_floor = floor_of(courier);
	packet_id_durable(courier);
}

bool packet_id_is_free(struct courier *courier, uint64_t seq, const struct held *held)
{
	if (!courier->options.connector->packet_ids || seq < courier->done_floor + PACKET_IDS / 2 ||
		message_view(held->msg)->qos != 2)
		return true;
	flush(courier);
	return seq < courier->done_floor + PACKET_IDS;
}

void packet_id_durable(struct courier *courier)
{
	if (courier->flush_lsn == 0 || courier->flush_lsn > courier->durable)
		return;
	courier->flush_lsn = 0;
	courier->done_floor = courier->flushed_floor;
}
