/* SPDX-License-Identifier: Apache-2.0
 *
 * Stages of deliveries (PUBREC seen): appended to the journal, and reported to the sink once they are
 * durable. With the session at the peer all of them become void. A report belongs to one epoch of the link; after that the stage is only noted, and given with the
 * next delivery.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/courier_impl.h"
#include "runtime/log.h"

/* --- recovered
 * ----------------------------------------------------------------------------------------------------- */

struct recovery {
	struct courier *courier;
	size_t capacity;
	int error;
};

static void on_recovered(uint64_t seq, uint8_t stage, void *arg)
{
	struct recovery *recovery = arg;
	struct courier *courier = recovery->courier;
	if (courier->n_known_stages == recovery->capacity) {
		size_t capacity = recovery->capacity ? 2 * recovery->capacity : 16;
		struct stage_known *stages = realloc(courier->known_stages, capacity * sizeof *stages);
		if (!stages) {
			recovery->error = -ENOMEM;
			return;
		}
		courier->known_stages = stages;
		recovery->capacity = capacity;
	}
	courier->known_stages[courier->n_known_stages++] = (struct stage_known){.seq = seq, .stage = stage};
}

static int compare(const void *a, const void *b)
{
	uint64_t left = ((const struct stage_known *)a)->seq, right = ((const struct stage_known *)b)->seq;
	return (left > right) - (left < right);
}

int stages_recover(struct courier *courier)
{
	struct recovery recovery = {.courier = courier};
	journal_stages(courier->options.journal, courier->options.dest, on_recovered, &recovery);
	if (recovery.error == 0 && courier->n_known_stages)
		qsort(courier->known_stages, courier->n_known_stages, sizeof *courier->known_stages, compare);
	return recovery.error;
}

uint8_t stages_known(const struct courier *courier, uint64_t seq)
{
	if (courier->n_known_stages == 0)
		return 0;
	struct stage_known wanted = {.seq = seq};
	const struct stage_known *found =
		bsearch(&wanted, courier->known_stages, courier->n_known_stages, sizeof wanted, compare);
	return found ? found->stage : 0;
}

/* --- new
 * -----------------------------------------------------------------------------------------------------------
 */

static int append(struct courier *courier, const struct stage_asked *asked, uint64_t *ret_lsn)
{
	struct journal_change change = {
		.type = JOURNAL_STAGE,
		.dest = courier->options.dest,
		.seq = asked->seq,
		.stage = asked->stage,
	};
	return journal_append(courier->options.journal, NULL, 0, &change, 1, ret_lsn);
}

static struct stage_asked *add(struct courier *courier)
{
	if (courier->n_stages == courier->stages_capacity) {
		size_t capacity = courier->stages_capacity ? 2 * courier->stages_capacity : 16;
		struct stage_asked *stages = realloc(courier->stages, capacity * sizeof *stages);
		if (!stages)
			return NULL;
		courier->stages = stages;
		courier->stages_capacity = capacity;
	}
	return &courier->stages[courier->n_stages++];
}

/* In the order of asking: none is appended before an earlier one. */
static bool append_waiting(struct courier *courier)
{
	for (size_t i = 0; i < courier->n_stages; i++) {
		struct stage_asked *asked = &courier->stages[i];
		int error = asked->lsn ? 0 : append(courier, asked, &asked->lsn);
		if (error) {
			log_error(
				"stage_failed", "destination=%s error=\"%s\"", courier->options.name, strerror(-error));
			return false;
		}
	}
	return true;
}

void courier_stage(struct courier *courier, uint64_t seq, uint8_t stage)
{
	struct held *held = window_find(&courier->window, seq);
	if (!held || held->state != HELD_IN_FLIGHT) {
		log_warn("stage_ignored", "destination=%s", courier->options.name);
		return;
	}
	if (held->stage_asked == stage && held->stage != stage)
		return; /* asked twice: one answer follows */
	courier_enter(courier);
	struct stage_asked *asked = add(courier);
	if (asked) {
		*asked = (struct stage_asked){.seq = seq, .epoch = courier->epoch, .stage = stage};
		held->stage_asked = stage;
		if (!append_waiting(courier))
			courier_poke_in(courier, COURIER_REPEAT_MS);
	} else {
		/* Without an answer the sink stays at its stage until the link's next epoch. */
		log_error("stage_failed", "destination=%s error=\"out of memory\"", courier->options.name);
	}
	courier_leave(courier);
}

static void tell(struct courier *courier, const struct stage_asked *asked)
{
	struct held *held = window_find(&courier->window, asked->seq);
	if (!held)
		return;
	held->stage = asked->stage;
	if (held->state != HELD_IN_FLIGHT || asked->epoch != courier->epoch)
		return;
	courier->unflushed = true;
	courier->options.connector->stage_durable(courier->options.link, asked->seq, asked->stage);
}

/* Seq 0: all of the destination. */
static void append_void(struct courier *courier)
{
	uint64_t lsn;
	int error = append(courier, &(struct stage_asked){0}, &lsn);
	courier->void_due = error != 0;
	if (error == 0)
		return;
	log_error("stage_failed", "destination=%s error=\"%s\"", courier->options.name, strerror(-error));
	courier_poke_in(courier, COURIER_REPEAT_MS);
}

static void note_stage(uint64_t seq, uint8_t stage, void *arg)
{
	(void)seq, (void)stage;
	*(bool *)arg = true;
}

static void void_one(struct held *held)
{
	held->stage = held->stage_asked = 0;
	held->session_lost |= held->maybe_sent;
}

void stages_void(struct courier *courier)
{
	struct window *window = &courier->window;
	bool any = courier->n_stages > 0;
	journal_stages(courier->options.journal, courier->options.dest, note_stage, &any);
	for (uint64_t seq = window->first; seq < window->end; seq++) {
		struct held *held = window_head_slot(window, seq);
		if (held->state != HELD_GONE)
			void_one(held);
	}
	if (window->lane)
		for (uint64_t seq = lane_first(window->lane); seq; seq = lane_next(window->lane, seq))
			void_one(lane_find(window->lane, seq));
	/* What is not held was not sent by this process. */
	courier->session_lost_end = courier->maybe_sent_end;
	courier->n_known_stages = 0;
	courier->n_stages = 0; /* what was appended of them comes before the void */
	if (any)
		append_void(courier);
}

void stages_work(struct courier *courier)
{
	if (courier->void_due)
		append_void(courier);
	if (courier->n_stages == 0)
		return;
	if (!append_waiting(courier))
		courier_poke_in(courier, COURIER_REPEAT_MS);
	size_t n = 0;
	/* tell() may ask for more: they are added behind. */
	while (n < courier->n_stages && courier->stages[n].lsn && courier->stages[n].lsn <= courier->durable) {
		struct stage_asked asked = courier->stages[n++];
		tell(courier, &asked);
	}
	courier->n_stages -= n;
	memmove(courier->stages, courier->stages + n, courier->n_stages * sizeof *courier->stages);
}
