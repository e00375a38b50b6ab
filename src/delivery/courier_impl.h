/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the courier share; private to src/delivery:
 *   - courier.c: its life, what the link and the journal tell it, the order of work
 *   - outbox.c: what is held, and reading back from the journal
 *   - dispatch.c: what goes out next
 *   - outcome.c: what came back: done, retry, replies
 *   - batch.c: what goes out as one
 *   - late.c: what has ended and is journalled later; together.c: what ends in the set of what it became
 *   - live.c: what overtakes (drain: live_first)
 *   - settle.c: when a cursor may move; letters.c: dead letters; stages.c: stages; expiry.c: what is too old; packet_id.c: a rule of QoS 2
 *   - stuck.c: that one message holds up all others
 *   - room.c: what happens when the outbox is full; surplus.c: what found no room and becomes a dead letter
 *
 * No recursion: every way into the courier is bracketed by courier_enter and courier_leave. The outermost
 * leave does the work that has become possible; inner ones (a sink that answers from inside send) only note
 * that there is some. Pointers to held messages and keys must not be kept over a call out of the courier: new
 * messages may move them.
 */
#ifndef LINKSPAN_DELIVERY_COURIER_IMPL_H
#define LINKSPAN_DELIVERY_COURIER_IMPL_H

#include "delivery/backoff.h"
#include "delivery/courier.h"
#include "delivery/key_table.h"
#include "delivery/lane.h"
#include "delivery/pace.h"
#include "delivery/retry_heap.h"
#include "delivery/window.h"

#define COURIER_HELD_BYTES        (4u * 1024 * 1024) /* of message memory; one message is always held */
#define COURIER_BURST             4096u /* sent in one turn of the loop at most */
#define COURIER_DEFAULT_LOOKAHEAD 10000u
#define COURIER_MAX_LOOKAHEAD     (1u << 20)
#define SURPLUS_BYTES             (4u * 1024 * 1024) /* of message memory */
#define COURIER_LATE_MS           500u /* between sweeps for what has ended and is not journalled */
#define COURIER_REPEAT_MS         1000u /* between sweeps for expired ones, lines of the log, tries of what must not fail */

/* Dropped or dead messages, gathered into one line a second. */
struct drop_log {
	uint64_t first, last, count;
	uint64_t due_ms; /* when to write it */
	char reason[128]; /* of the last one */
};

struct surplus;
struct surplus_slot {
	uint64_t seq;
	struct surplus *surplus; /* NULL: it has ended */
};
struct surplus_list {
	struct surplus_slot *v; /* [begin, end) by seq */
	size_t begin, submitted, end, capacity; /* what is below submitted was handed to the journal */
	size_t n, underway, memory;
	size_t runs; /* of seqs without gaps, at most */
	uint32_t failures; /* since the last that could be stored */
	uint64_t retry_ms; /* UINT64_MAX: nothing has failed */
};

struct stage_asked {
	uint64_t lsn; /* 0 = not appended yet */
	uint64_t seq;
	uint64_t epoch; /* of the link */
	uint8_t stage;
};
struct stage_known {
	uint64_t seq;
	uint8_t stage;
};

/* batch.c */
enum batch_state { BATCH_NONE, BATCH_NOTED, BATCH_IN_FLIGHT, BATCH_DYING };
struct batch_bounds {
	uint64_t first, last;
};
struct batch {
	struct batching limits; /* max_messages 0 or 1: there are none */
	enum batch_state state;
	uint64_t first, last; /* of the one there is; all of its messages are undone */
	uint64_t lsn; /* of its bounds; 0: not appended yet */
	bool is_durable; /* the bounds are */
	bool sending; /* it is being handed to the sink, up to sent_end */
	uint64_t sent_end;
	enum outcome_kind kind; /* of the members that have one, the gravest */
	uint64_t retry_after_ms;
	char reason[512];
	/* What could be the next one: [forming_first, forming_end) is looked at and fits. forming_end 0: nothing. */
	uint64_t forming_first, forming_end, forming_bytes;
	size_t forming_memory;
	uint64_t waits_since; /* seq: since it is the oldest one, until wait_until_ms for more */
	uint64_t wait_until_ms;
	uint64_t due_ms; /* UINT64_MAX: it does not wait */
	bool flush_due; /* what voids bounds may not be in the journal yet */
	struct batch_bounds *recovered; /* from recovered_next on: of earlier processes, in order */
	size_t n_recovered, recovered_next;
};

struct courier {
	struct courier_options options;
	struct window window;
	struct key_table keys;
	struct retry_heap retries;
	struct backoff backoff;
	struct loop_timer *timer;
	struct loop_job go_on; /* after a burst */
	uint64_t timer_due_ms; /* UINT64_MAX = not running */
	uint64_t poke_due_ms; /* something could not be done: work again then; UINT64_MAX = nothing */
	unsigned depth;
	bool again; /* something has changed while working */

	/* outbox.c. Live: end == appended_end, nothing is on disk only. */
	uint64_t lookahead;
	bool can_be_wide; /* while the link is */
	uint64_t appended_end; /* one past the newest seq that the journal gave */
	uint64_t recovered_end; /* the same at the start */
	uint64_t durable; /* lsn */
	uint64_t maybe_sent_end; /* what is recovered below this may have been sent by an earlier process */
	uint64_t sent_end; /* one past the highest seq that was handed to the sink, by this process */
	uint64_t hash_seed;
	struct journal_reader *reader; /* only while not live */
	uint64_t read_seq; /* where the reader goes on */
	uint64_t read_durable; /* `durable` at the last request */
	bool reading, read_at_end, in_read;
	uint64_t read_wall_ms; /* when the answer came */
	size_t read_needs; /* bytes: so large is what did not fit when it was read */

	/* dispatch.c: seqs below sift_next were looked at for what is never sent, those below send_next for
	 * sending. */
	uint64_t sift_next, send_next;
	uint64_t cursor_through; /* the destination has everything up to here */
	uint32_t link_window;
	size_t link_held_bytes;
	uint32_t range_budget; /* so many may be finished before the done ranges must be counted again */
	uint64_t letters_ranges; /* of letters that were handed to the journal */
	uint64_t n_late; /* HELD_LATE */
	uint64_t late_due_ms; /* the next sweep; UINT64_MAX = none */
	bool up, draining;
	bool unflushed; /* sent since the last send_end */
	uint64_t epoch; /* of the link: a new one with each up and down */

	uint64_t settle_seq; /* settle.c: what the sink waits for; 0: nothing */
	bool settle_due; /* something has left the window since it was looked at */

	/* letters.c, stages.c */
	struct letter *letters;
	uint64_t n_letters, letters_underway;
	struct stage_asked *stages; /* in the order of asking, so of lsn */
	size_t n_stages, stages_capacity;
	struct stage_known *known_stages; /* recovered, sorted by seq */
	size_t n_known_stages;
	uint64_t
		session_lost_end; /* what may have been sent below this was so in a lost session, until it is sent again */
	bool void_due; /* stages are void, which could not be appended yet: nothing is sent */

	/* expiry.c */
	uint64_t newest_ms; /* in the journal at the start: nothing of an earlier boot expires before the wall clock
			       has passed it */
	uint64_t sweep_due_ms; /* UINT64_MAX = no sweep */
	struct drop_log expired_log, dead_log;

	/* stuck.c: the head as it was when it was seen to be full; stuck_due_ms UINT64_MAX: it is not */
	uint64_t stuck_due_ms, stuck_first, stuck_end;

	/* packet_id.c: seqs below done_floor have a durable DONE; below flushed_floor once flush_lsn is durable. */
	uint64_t done_floor, flushed_floor, flush_lsn; /* flush_lsn 0: none under way */

	struct loop_job room_job;
	bool was_full;
	size_t wanted_messages, wanted_bytes; /* the largest that found no room */
	void (*on_idle)(void *ctx);
	void *idle_ctx;
	uint64_t in_flight; /* HELD_IN_FLIGHT */
	uint64_t n_replies; /* HELD_REPLY; they fill the window too, which bounds them */
	uint64_t n_values; /* of them: last values */
	struct courier_stats stats;

	/* room.c */
	bool overflows; /* when_full: dead_letter, and the outbox was full when last asked */
	bool dropping; /* when_full: drop_oldest, until the outbox is a little below its limits */
	uint64_t drop_next; /* what is held below it may not be dropped */
	struct journal_reader *drop_reader; /* reads what is not held, only to drop it */
	uint64_t drop_read_seq, drop_durable; /* where it goes on; `durable` at its last request */
	bool drop_reading, drop_at_end;
	struct drop_log oldest_log, newest_log;

	struct surplus_list surplus; /* surplus.c */
	bool unordered; /* each message is a unit of order of its own */
	/* dispatch.c */
	struct batch batch;
	struct pace pace;
	uint64_t pace_due_ms; /* when the next one may go; UINT64_MAX = it does not wait for that */

	struct live *live; /* live.c; NULL but with drain: live_first */
	struct histogram delivery; /* us */
	bool paused; /* by hand: nothing new is sent */
};

void courier_enter(struct courier *courier);
void courier_leave(struct courier *courier);
uint64_t courier_now_ms(const struct courier *courier);
void courier_poke_in(struct courier *courier, uint64_t delay_ms);

/* outbox.c */
int outbox_start(struct courier *courier); /* 0 or -ENOMEM */
void outbox_read_back(struct courier *courier); /* asks the reader for more if there is room */
/* A message was appended that is never to be held. */
void outbox_pass(struct courier *courier, uint64_t seq);
/* Fills in what follows from the message. */
void outbox_complete(struct courier *courier, struct held *held, uint64_t seq);
/* Of its unit of order: its key's, or one of its own where nothing keeps its order. */
uint64_t outbox_key_hash(const struct courier *courier, const struct message_view *view, uint64_t seq);

/* Does the head reach as far past the oldest one as it may, in seqs or in memory? */
bool outbox_head_is_full(const struct courier *courier);

/* stuck.c */
void stuck_watch(struct courier *courier); /* after any work */
void stuck_tell(struct courier *courier, uint64_t now_ms); /* if due */

/* dispatch.c */
void dispatch_sift(struct courier *courier);
/* A held message that is durable. False: it cannot be dealt with now. It may have ended. */
bool dispatch_sift_one(struct courier *courier, uint64_t seq, const struct held *held);
void dispatch_hand_over(struct courier *courier, uint64_t seq, struct held *held); /* to the sink */
void dispatch_reset(struct held *held); /* the link is another one */
/* Sends what may be sent, *burst at most, and takes it off. */
void dispatch_send(struct courier *courier, size_t *burst);
/* May one more message be finished out of order? Takes it off the budget. */
bool dispatch_take_range(struct courier *courier, uint64_t seq);
/* The same for one that was sent and has ended. */
bool dispatch_take_range_at_end(struct courier *courier, uint64_t seq);
/* All that was in flight waits again, from the oldest on. */
void dispatch_restart(struct courier *courier);

/* late.c */
/* It has ended, and there is no done range for it: holds it until it is the oldest. */
void late_hold(struct courier *courier, uint64_t seq, enum journal_total why);
/* The same for one of the head that is in no list, nor in the retry heap. */
void late_put(struct courier *courier, struct held *held, enum journal_total why);
void late_bring(struct courier *courier); /* journals those whose turn has come */
/* Journals those that were there at the last sweep, or all, wherever they stand. */
void late_sweep(struct courier *courier, bool all);

/* outcome.c */
/* Journals what has become of it and lets go of it. A done range was taken for it. */
void outcome_finish(struct courier *courier, uint64_t seq, enum journal_total why);
/* Takes one; if there is none, later. */
void outcome_end(struct courier *courier, uint64_t seq, enum journal_total why);
/* As delivered. */
void outcome_done(struct courier *courier, uint64_t seq);
/* Lets go of a message that the journal knows to be final. */
void outcome_release(struct courier *courier, uint64_t seq);
/* Takes it out of the order of its key and out of the retry heap. */
void outcome_detach(struct courier *courier, uint64_t seq);
/* The time of a held message has come. */
void outcome_due(struct courier *courier, uint64_t seq);

/* The link is not up any more, by the word of an outcome. */
void outcome_link_down(struct courier *courier, const struct outcome *outcome);
bool outcome_attempts_used_up(const struct courier *courier, const struct held *held);
void outcome_used_up_text(const struct held *held, const char *reason, char *ret_text, size_t size);
uint64_t outcome_delay_ms(struct courier *courier, const struct held *held, uint64_t wish_ms);

/* batch.c: whether there are batches, set by batch_init. Then batch_send sends, and batch_outcome is told what came back. */
void batch_init(struct courier *courier);
int batch_recover(struct courier *courier); /* 0 or -ENOMEM */
void batch_fini(struct courier *courier);
bool batch_applies(const struct courier *courier);
bool batch_has(const struct courier *courier, uint64_t seq); /* is it in one whose bounds are noted? */
uint64_t batch_last_to_hold(const struct courier *courier); /* all up to it is needed at once; 0: nothing */
bool batch_send(struct courier *courier, size_t *burst); /* one at most */
void batch_outcome(struct courier *courier, uint64_t seq, const struct outcome *outcome);
void batch_released(struct courier *courier, uint64_t seq); /* it is held no more */
void batch_bury(struct courier *courier); /* those that go to the dead letters and are not on their way yet */
void batch_restart(struct courier *courier); /* the link is another one */

/* live.c; all but live_start and live_stop with courier->live only */
int live_start(struct courier *courier); /* 0 or -ENOMEM */
void live_stop(struct courier *courier);
/* An appended message: does it overtake? If not, it is counted. has_place: it could be held in its place. */
bool live_takes(struct courier *courier, const struct journal_entry *entry, uint64_t lsn, bool has_place);
/* By an earlier process, besides what it had close to the oldest one? (QoS 2 messages do not get further.) */
bool live_may_have_been_sent(const struct courier *courier, const struct message_view *view, uint64_t seq);
void live_sift(struct courier *courier);
bool live_may_go(struct courier *courier, uint64_t seq); /* as far as done ranges go */
void live_sent(struct courier *courier);
void live_relist(struct courier *courier, uint64_t seq); /* dispatch_restart comes to it */
void live_listed(struct courier *courier, uint64_t seq, struct held *held); /* of the head, in the list of its key */
void live_released(struct courier *courier, uint64_t seq, const struct held *held); /* about to be */
void live_caught_up(struct courier *courier); /* the head has all that is undone and does not overtake */
void live_survey(struct courier *courier); /* brings it on */

/* settle.c */
void settle_work(struct courier *courier); /* tells the sink */

/* letters.c */
/* To the dead letters. The message must not be in flight. False when memory is out: nothing has happened. */
bool letters_send(struct courier *courier, uint64_t seq, struct slice reason) __attribute__((warn_unused_result));
void letters_retry(struct courier *courier, uint64_t seq);
void letters_orphan(struct courier *courier); /* the courier ends before they do */

/* stages.c */
int stages_recover(struct courier *courier); /* 0 or -ENOMEM */
uint8_t stages_known(const struct courier *courier, uint64_t seq);
void stages_work(struct courier *courier); /* tells the sink what is durable, appends what could not be */
/* The session that they were reached in is lost: they are void. */
void stages_void(struct courier *courier);

/* packet_id.c */
/* May this one be sent, as far as the packet identifiers of QoS 2 go? If not, courier_durable brings it on. */
bool packet_id_is_free(struct courier *courier, uint64_t seq, const struct held *held);
void packet_id_durable(struct courier *courier);

/* expiry.c */
bool expiry_applies(const struct courier *courier, const struct message_view *view);
/* What to add to its times for this process. */
int64_t expiry_shift_ms(const struct courier *courier, const struct held *held);
bool expiry_passed(const struct courier *courier, const struct held *held);
void expiry_drop(struct courier *courier, uint64_t seq);
void expiry_sweep(struct courier *courier, uint64_t now_ms); /* if due */
void drop_log_add(struct courier *courier, struct drop_log *log, uint64_t seq, const char *reason);
void drop_log_flush(struct courier *courier, uint64_t now_ms); /* those that are due */
uint64_t drop_log_due_ms(const struct courier *courier); /* UINT64_MAX: none is */

/* room.c */
/* After ROOM_WAIT: is asking again worth while? */
bool room_is_back(const struct courier *courier);
/* Drops the oldest ones if when_full says so and there are too many. */
void room_make(struct courier *courier);
void room_free(struct courier *courier);

/* surplus.c */
bool surplus_has(const struct courier *courier, uint64_t seq); /* not yet stored */
uint64_t surplus_oldest(const struct courier *courier); /* of those; UINT64_MAX: none */
bool surplus_has_room(const struct courier *courier, size_t limit_bytes);
void surplus_work(struct courier *courier); /* hands on what is durable or due again */
bool surplus_is_idle(const struct courier *courier); /* nothing is on its way */
void surplus_free(struct courier *courier);

/* times.c */
void times_durable(
	struct courier *courier, struct held *held); /* it is, and is looked at for the first time or again */
void times_read_back(struct courier *courier, struct held *held, uint64_t wall_ms); /* loop_wall_ms */
void times_delivered(struct courier *courier, uint64_t seq);
/* When the oldest undone message was received, by loop_wall_ms; 0: none waits, or it is not held. */
uint64_t times_oldest_ms(const struct courier *courier);

#endif
