/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages on their way to the dead letters. While one is under way it is out of the order of its key and
 * still undone; when it cannot be stored it is tried again with back-off, for ever: nothing that was taken in
 * is forgotten.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/courier_impl.h"
#include "runtime/log.h"

#define MAX_REASON 1024u

struct letter {
	struct courier *courier; /* NULL: it is gone */
	struct letter *next, *prev;
	uint64_t seq;
	uint32_t failures;
	bool underway;
	bool has_range;
	char reason[];
};

static void unlink_letter(struct courier *courier, struct letter *letter)
{
	if (letter->prev)
		letter->prev->next = letter->next;
	else
		courier->letters = letter->next;
	if (letter->next)
		letter->next->prev = letter->prev;
	courier->n_letters--;
	courier->letters_ranges -= letter->has_range;
}

static void stored(struct courier *courier, struct letter *letter)
{
	courier->stats.dead++;
	drop_log_add(courier, &courier->dead_log, letter->seq, letter->reason);
	outcome_release(courier, letter->seq);
	unlink_letter(courier, letter);
	free(letter);
}

static void on_stored(int error, void *arg)
{
	struct letter *letter = arg;
	struct courier *courier = letter->courier;
	if (!courier) {
		free(letter);
		return;
	}
	letter->underway = false;
	courier->letters_underway--;
	if (error == -ECANCELED)
		return; /* the journal is being closed: nothing can be done with it any more */
	courier_enter(courier);
	if (error == 0) {
		stored(courier, letter);
	} else {
		log_error("dead_letter_failed", "destination=%s error=\"%s\" reason=\"%s\"", courier->options.name,
			strerror(-error), letter->reason);
		retry_heap_push(&courier->retries, letter->seq,
			courier_now_ms(courier) + backoff_delay_ms(&courier->backoff, ++letter->failures));
	}
	courier_leave(courier);
}

/* Once stored it is done: not before there is a range for that. */
static bool take_range(struct courier *courier, struct letter *letter)
{
	if (!letter->has_range && dispatch_take_range_at_end(courier, letter->seq)) {
		letter->has_range = true;
		courier->letters_ranges++;
	}
	return letter->has_range;
}

static void submit(struct courier *courier, struct letter *letter)
{
	const struct held *held = window_slot(&courier->window, letter->seq);
	if (!take_range(courier, letter)) {
		retry_heap_push(&courier->retries, letter->seq, courier_now_ms(courier) + COURIER_REPEAT_MS);
		return;
	}
	letter->underway = true;
	courier->letters_underway++;
	struct journal_letter dead = {
		.dest = courier->options.dest,
		.seq = letter->seq,
		.bytes = held->bytes,
		.msg = held->msg,
		.reason = letter->reason,
		.attempts = held->attempts,
		.max_bytes = courier->options.outbox->dead_max_bytes,
	};
	journal_dead_letter(courier->options.journal, &dead, on_stored, letter);
}

bool letters_send(struct courier *courier, uint64_t seq, struct slice reason)
{
	size_t len = reason.len < MAX_REASON ? reason.len : MAX_REASON;
	struct letter *letter = calloc(1, sizeof *letter + len + 1);
	if (!letter)
		return false;
	if (len)
		memcpy(letter->reason, reason.data, len);
	letter->courier = courier;
	letter->seq = seq;
	letter->next = courier->letters;
	if (letter->next)
		letter->next->prev = letter;
	courier->letters = letter;
	courier->n_letters++;
	outcome_detach(courier, seq);
	struct held *held = window_slot(&courier->window, seq);
	held->state = HELD_DEAD;
	held->letter = letter;
	submit(courier, letter);
	return true;
}

void letters_retry(struct courier *courier, uint64_t seq)
{
	submit(courier, window_slot(&courier->window, seq)->letter);
}

void letters_orphan(struct courier *courier)
{
	for (struct letter *letter = courier->letters, *next; letter; letter = next) {
		next = letter->next;
		letter->courier = NULL;
		if (!letter->underway)
			free(letter);
	}
	courier->letters = NULL;
}
