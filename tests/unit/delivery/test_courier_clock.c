/* SPDX-License-Identifier: Apache-2.0
 *
 * Expiry on the real journal while the wall clock is set to 1970, back, and a year ahead: while the process runs, over its
 * restarts, and over reboots. The test knows the truth and says by how much the wall clock errs.
 */
#include <stdlib.h>
#include <string.h>

#include "delivery/courier.h"
#include "tests/unit/journal/rig.h"

#define MINUTE   UINT64_C(60000)
#define HOUR     (60 * MINUTE)
#define DAY      (24 * HOUR)
#define YEAR     (int64_t)(365 * DAY)
#define TRUTH    UINT64_C(1790000000000) /* when it begins: 2026 */
#define RIGHT    INT64_C(0)
#define WAY_BACK (-(int64_t)TRUTH) /* 1970 */

struct link { /* a sink of the one destination */
	int64_t shift_ms;
	uint64_t sends;
};

struct world {
	struct rig rig;
	struct link link;
	struct courier *courier;
	struct connector connector;
	struct outbox_config outbox;
	uint64_t truth_ms, booted_ms; /* the truth, and what it was when the machine was started */
	uint64_t expired; /* by earlier processes */
	uint8_t boot[LOOP_BOOT_LEN];
};

static void sink_send(struct link *link, const struct delivery *delivery)
{
	link->sends++;
	link->shift_ms = delivery->shift_ms;
}

static void sink_send_end(struct link *link)
{
	(void)link;
}

static void reboot(struct world *w)
{
	w->booted_ms = w->truth_ms - 10000;
	w->boot[0]++;
}

/* Some boot, and a destination that is away, with a ttl. */
static void begin_world(struct world *w, uint64_t ttl_ms)
{
	memset(w, 0, sizeof *w);
	rig_init(&w->rig);
	w->truth_ms = TRUTH;
	w->outbox = (struct outbox_config){.max_bytes = 1u << 30,
		.backoff_min_ms = 10,
		.backoff_max_ms = 100,
		.lookahead = 1000,
		.ttl_ms = ttl_ms};
	w->connector = (struct connector){.pipelined_order = true, .send = sink_send, .send_end = sink_send_end};
	reboot(w);
}

/* A process starts; the wall clock is off by that much. */
static void start(struct world *w, int64_t error_ms)
{
	loop_free(w->rig.loop);
	w->rig.loop = loop_new_simulated(w->truth_ms + (uint64_t)error_ms);
	loop_sim_boot(w->rig.loop, w->boot, w->truth_ms - w->booted_ms);
	rig_open(&w->rig);
	struct courier_options options = {
		.name = "lake",
		.loop = w->rig.loop,
		.journal = w->rig.j,
		.dest = (uint32_t)w->rig.dest,
		.outbox = &w->outbox,
		.connector = &w->connector,
		.link = &w->link,
	};
	w->courier = courier_new(&options);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w->courier);
}

static void turn(struct world *w)
{
	rig_run(&w->rig);
	courier_durable(w->courier, journal_durable_lsn(w->rig.j));
	rig_run(&w->rig);
}

static void pass(struct world *w, uint64_t ms)
{
	turn(w);
	loop_sim_advance(w->rig.loop, ms);
	w->truth_ms += ms;
	turn(w);
}

static void set_clock(struct world *w, int64_t error_ms)
{
	loop_sim_set_clock(w->rig.loop, w->truth_ms + (uint64_t)error_ms);
}

static void append_view(struct world *w, const struct message_view *view)
{
	struct journal_entry entry = {.dest = (uint32_t)w->rig.dest, .view = view};
	uint64_t lsn;
	CU_ASSERT_EQUAL_FATAL(journal_append(w->rig.j, &entry, 1, NULL, 0, &lsn), 0);
	courier_appended(w->courier, &entry, lsn);
	turn(w);
}

static struct message_view stamped(uint64_t origin_ms, uint64_t expiry_ms)
{
	return (struct message_view){.topic = slice_str("plant/a"),
		.order_key = slice_str("plant/a"),
		.payload = slice_str("x"),
		.origin_ms = origin_ms,
		.expires_ms = expiry_ms ? origin_ms + expiry_ms : 0,
		.qos = 1};
}

static void append(struct world *w, uint64_t origin_ms, uint64_t expiry_ms, size_t size)
{
	static uint8_t payload[10000];
	struct message_view view = stamped(origin_ms, expiry_ms);
	view.payload = slice_of(payload, size);
	append_view(w, &view);
}

/* By hand, as requeue and import do it. */
static void queue_again(struct world *w, uint64_t origin_ms, uint64_t expiry_ms)
{
	struct message_view view = stamped(origin_ms, expiry_ms);
	view.queued_ms = loop_wall_ms(w->rig.loop);
	append_view(w, &view);
}

static void publish(struct world *w, uint64_t expiry_ms)
{
	append(w, loop_wall_ms(w->rig.loop), expiry_ms, 1);
}

static uint64_t waiting(const struct world *w)
{
	return journal_outbox(w->rig.j, (uint32_t)w->rig.dest).waiting;
}

static void stop(struct world *w)
{
	turn(w);
	courier_free(w->courier);
	rig_close(&w->rig);
}

static void power_cut(struct world *w)
{
	turn(w);
	courier_free(w->courier);
	rig_crash(&w->rig);
}

static void end_world(struct world *w)
{
	stop(w);
	rig_fini(&w->rig);
}

/* The clock that the loop goes by does not follow. */
static void test_set_while_it_runs(void)
{
	struct world w;
	begin_world(&w, HOUR);
	start(&w, RIGHT);
	publish(&w, 0);
	set_clock(&w, WAY_BACK);
	pass(&w, 10 * MINUTE);
	set_clock(&w, YEAR);
	pass(&w, 10 * MINUTE);
	set_clock(&w, RIGHT);
	pass(&w, 39 * MINUTE);
	CU_ASSERT_EQUAL(waiting(&w), 1);
	pass(&w, 2 * MINUTE);
	CU_ASSERT_EQUAL(waiting(&w), 0);
	end_world(&w);
}

/* Restarts with any clock do not matter within a boot: exactly what is too old goes. */
static void restarts(int64_t first, int64_t second, int64_t third, uint64_t ttl_ms, uint64_t expiry_ms)
{
	struct world w;
	begin_world(&w, ttl_ms);
	start(&w, first);
	publish(&w, expiry_ms);
	pass(&w, 10 * MINUTE);
	stop(&w);
	w.truth_ms += 10 * MINUTE;
	start(&w, second);
	pass(&w, 10 * MINUTE);
	publish(&w, expiry_ms); /* at 30 minutes */
	power_cut(&w);
	w.truth_ms += 10 * MINUTE;
	start(&w, third);
	pass(&w, 19 * MINUTE);
	CU_ASSERT_EQUAL(waiting(&w), 2);
	pass(&w, 2 * MINUTE);
	CU_ASSERT_EQUAL(waiting(&w), 1);
	pass(&w, 28 * MINUTE);
	CU_ASSERT_EQUAL(waiting(&w), 1);
	pass(&w, 2 * MINUTE);
	CU_ASSERT_EQUAL(waiting(&w), 0);
	end_world(&w);
}

static void test_restarts(void)
{
	static const int64_t errors[] = {RIGHT, WAY_BACK, YEAR, -YEAR, 500};
	for (size_t i = 0; i < 125; i++) {
		restarts(errors[i % 5], errors[i / 5 % 5], errors[i / 25], HOUR, 0);
		restarts(errors[i % 5], errors[i / 5 % 5], errors[i / 25], 0, HOUR);
	}
}

static void test_reboot_at_1970_then_right(void)
{
	struct world w;
	begin_world(&w, 3 * DAY);
	start(&w, RIGHT);
	publish(&w, 0);
	pass(&w, HOUR);
	power_cut(&w);
	reboot(&w);
	start(&w, WAY_BACK);
	pass(&w, DAY);
	publish(&w, 0);
	CU_ASSERT_EQUAL(waiting(&w), 2);
	stop(&w);
	start(&w, RIGHT);
	pass(&w, DAY);
	CU_ASSERT_EQUAL(waiting(&w), 2);
	pass(&w, DAY);
	CU_ASSERT_EQUAL(waiting(&w), 1);
	pass(&w, DAY - HOUR);
	CU_ASSERT_EQUAL(waiting(&w), 1);
	pass(&w, 2 * HOUR);
	CU_ASSERT_EQUAL(waiting(&w), 0);
	end_world(&w);
}

/* Stays at 1970 for ever: nobody knows, nothing of the earlier boot goes. */
static void test_reboot_at_1970(void)
{
	struct world w;
	begin_world(&w, 3 * DAY);
	start(&w, RIGHT);
	publish(&w, 0);
	pass(&w, HOUR);
	stop(&w);
	reboot(&w);
	start(&w, WAY_BACK);
	pass(&w, 30 * DAY);
	CU_ASSERT_EQUAL(waiting(&w), 1);
	end_world(&w);
}

/* The first boot has no time yet: what it stamps is of 1970. */
static void stamped_at_1970(bool set_later, bool restarted, bool cut)
{
	struct world w;
	begin_world(&w, 3 * DAY);
	start(&w, WAY_BACK);
	publish(&w, 0);
	pass(&w, HOUR);
	if (set_later)
		set_clock(&w, RIGHT);
	pass(&w, HOUR);
	if (restarted) {
		stop(&w);
		start(&w, RIGHT);
		pass(&w, HOUR);
	}
	(cut ? power_cut : stop)(&w);
	reboot(&w);
	start(&w, RIGHT);
	pass(&w, 2 * DAY);
	CU_ASSERT_EQUAL(waiting(&w), 1);
	pass(&w, DAY);
	CU_ASSERT_EQUAL(waiting(&w), set_later || restarted ? 0 : 1);
	struct sink_traits traits = {.max_in_flight = 10};
	courier_link_up(w.courier, &traits);
	turn(&w);
	CU_ASSERT_EQUAL(w.link.sends, set_later || restarted ? 0 : 1);
	if (w.link.sends) /* it counts as new, with all of its expiry before it */
		CU_ASSERT_EQUAL(w.link.shift_ms, (int64_t)w.truth_ms);
	end_world(&w);
}

static void test_stamped_at_1970(void)
{
	for (unsigned i = 0; i < 8; i++)
		stamped_at_1970(i & 1, i & 2, i & 4);
}

/* A machine without a clock of its own goes on from when it was switched off; a month later. */
static void clock_stood_still(bool set_later)
{
	struct world w;
	begin_world(&w, 7 * DAY);
	start(&w, RIGHT);
	publish(&w, 0);
	pass(&w, MINUTE);
	power_cut(&w);
	w.truth_ms += 30 * DAY;
	reboot(&w);
	start(&w, -(int64_t)(30 * DAY + 2 * MINUTE));
	publish(&w, 0);
	pass(&w, 2 * MINUTE);
	if (set_later) {
		set_clock(&w, RIGHT);
		pass(&w, 2 * MINUTE);
	}
	CU_ASSERT_EQUAL(waiting(&w), 2);
	power_cut(&w);
	reboot(&w);
	start(&w, RIGHT);
	pass(&w, MINUTE);
	CU_ASSERT_EQUAL(waiting(&w), 1);
	pass(&w, 6 * DAY);
	CU_ASSERT_EQUAL(waiting(&w), 1);
	pass(&w, DAY);
	CU_ASSERT_EQUAL(waiting(&w), set_later ? 0 : 1);
	end_world(&w);
}

static void test_clock_stood_still(void)
{
	clock_stood_still(false);
	clock_stood_still(true);
}

/* A clock that stood a year ahead for a while makes nothing wait a year, if it was put back in the same boot. */
static void ahead(bool restarted)
{
	struct world w;
	begin_world(&w, 3 * DAY);
	start(&w, RIGHT);
	publish(&w, 0);
	pass(&w, HOUR);
	stop(&w);
	reboot(&w);
	w.outbox.ttl_ms = 0; /* else the first goes here: nobody can tell yet that the clock is wrong */
	start(&w, YEAR);
	publish(&w, 0);
	pass(&w, HOUR);
	if (restarted) {
		stop(&w);
		start(&w, RIGHT);
	} else {
		set_clock(&w, RIGHT);
	}
	pass(&w, HOUR);
	stop(&w);
	reboot(&w);
	w.outbox.ttl_ms = 3 * DAY;
	start(&w, RIGHT);
	CU_ASSERT(journal_newest_ms(w.rig.j) < w.truth_ms);
	pass(&w, 2 * DAY);
	CU_ASSERT_EQUAL(waiting(&w), 2);
	pass(&w, DAY);
	CU_ASSERT_EQUAL(waiting(&w), 1); /* the second may be a year younger than it is */
	end_world(&w);
}

static void test_ahead(void)
{
	ahead(false);
	ahead(true);
}

/* The machine comes up a year ahead and is put right soon. What expires until then nobody can help. */
static void test_ahead_for_a_while(void)
{
	struct world w;
	begin_world(&w, 0);
	start(&w, RIGHT);
	publish(&w, 0);
	pass(&w, HOUR);
	stop(&w);
	reboot(&w);
	start(&w, YEAR);
	set_clock(&w, RIGHT);
	w.outbox.ttl_ms = 3 * DAY;
	publish(&w, 0);
	pass(&w, DAY);
	struct sink_traits traits = {.max_in_flight = 1};
	courier_link_up(w.courier, &traits);
	turn(&w);
	CU_ASSERT_EQUAL(w.link.sends, 1);
	CU_ASSERT_EQUAL(w.link.shift_ms, YEAR);
	CU_ASSERT_EQUAL(loop_wall_ms(w.rig.loop) - courier_stats(w.courier).oldest_ms, DAY + HOUR);
	CU_ASSERT_EQUAL(waiting(&w), 2);
	courier_link_down(w.courier, "gone");
	pass(&w, 2 * DAY - MINUTE);
	CU_ASSERT_EQUAL(waiting(&w), 1);
	pass(&w, HOUR);
	CU_ASSERT_EQUAL(waiting(&w), 0);
	end_world(&w);
}

/* Of whatever time: what they were stamped by is not known. */
static void test_from_elsewhere(void)
{
	struct world w;
	begin_world(&w, 3 * DAY);
	start(&w, RIGHT);
	append(&w, 5 * MINUTE, 0, 1);
	append(&w, TRUTH + (uint64_t)YEAR, 0, 1);
	append(&w, TRUTH - DAY, 0, 1);
	pass(&w, 2 * DAY - HOUR);
	CU_ASSERT_EQUAL(waiting(&w), 3);
	pass(&w, 2 * HOUR);
	CU_ASSERT_EQUAL(waiting(&w), 2);
	pass(&w, 30 * DAY);
	CU_ASSERT_EQUAL(waiting(&w), 2);
	end_world(&w);
}

/* What was queued by hand waits for all of the ttl, however old it is and whatever the clock does; its sender's wish holds. */
static void queued_again(uint64_t origin_ms, int64_t error_ms, bool rebooted)
{
	struct world w;
	begin_world(&w, 3 * DAY);
	w.truth_ms += 10 * DAY;
	start(&w, error_ms);
	queue_again(&w, origin_ms, 0);
	pass(&w, DAY);
	stop(&w);
	if (rebooted)
		reboot(&w);
	start(&w, RIGHT);
	pass(&w, 2 * DAY - HOUR);
	CU_ASSERT_EQUAL(waiting(&w), 1);
	pass(&w, 2 * HOUR);
	CU_ASSERT_EQUAL(waiting(&w), 0);
	end_world(&w);
}

static void test_queued_again(void)
{
	const uint64_t origins[] = {5 * MINUTE, TRUTH, TRUTH + (uint64_t)YEAR};
	for (size_t i = 0; i < 3; i++) {
		queued_again(origins[i], RIGHT, false);
		queued_again(origins[i], RIGHT, true);
		queued_again(origins[i], YEAR, false);
		queued_again(origins[i], WAY_BACK, false);
	}
	struct world w;
	begin_world(&w, 0);
	w.truth_ms += 10 * DAY;
	start(&w, RIGHT);
	append(&w, TRUTH + 10 * DAY, 0, 1);
	pass(&w, MINUTE);
	queue_again(&w, TRUTH, 11 * DAY);
	pass(&w, DAY - HOUR);
	CU_ASSERT_EQUAL(waiting(&w), 2);
	pass(&w, 2 * HOUR);
	CU_ASSERT_EQUAL(waiting(&w), 1);
	end_world(&w);
}

/* More than the journal's segments hold: what was moved on disk still has the clock that stamped it. */
static void test_moved_on_disk(void)
{
	struct world w;
	begin_world(&w, HOUR);
	w.rig.max_bytes = 3u * RIG_SEGMENT;
	for (unsigned life = 0; life < 4; life++) {
		start(&w, life % 2 ? YEAR : WAY_BACK);
		for (unsigned i = 0; i < 400; i++)
			append(&w, loop_wall_ms(w.rig.loop), 0, 10000);
		pass(&w, 10 * MINUTE);
		CU_ASSERT_EQUAL(waiting(&w), 400 * (life + 1));
		stop(&w);
	}
	start(&w, RIGHT);
	turn(&w);
	char **names = sim_disk_names(w.rig.sim, "outbox/lake");
	CU_ASSERT_PTR_NOT_NULL(names[0]);
	sim_disk_free_names(names);
	for (unsigned quarter = 4; quarter > 0; quarter--) {
		pass(&w, quarter == 4 ? 19 * MINUTE : 8 * MINUTE);
		CU_ASSERT_EQUAL(waiting(&w), 400 * quarter);
		for (unsigned i = 0; i < 100; i++)
			pass(&w, 2 * MINUTE / 100);
		CU_ASSERT_EQUAL(waiting(&w), 400 * (quarter - 1));
	}
	end_world(&w);
}

/* Where boot_id cannot be read every process is another boot. */
static void test_unknown_boot(void)
{
	struct world w;
	begin_world(&w, HOUR);
	memset(w.boot, 0, sizeof w.boot);
	start(&w, RIGHT);
	publish(&w, 0);
	pass(&w, MINUTE);
	stop(&w);
	start(&w, WAY_BACK);
	publish(&w, 0);
	pass(&w, 59 * MINUTE + 30000);
	CU_ASSERT_EQUAL(waiting(&w), 2);
	pass(&w, MINUTE);
	CU_ASSERT_EQUAL(waiting(&w), 1); /* what it has stamped itself */
	stop(&w);
	start(&w, RIGHT);
	pass(&w, MINUTE);
	CU_ASSERT_EQUAL(waiting(&w), 0);
	end_world(&w);
}

static const struct tap_test tests[] = {
	{"the clock set to 1970, ahead and back while it runs", test_set_while_it_runs},
	{"restarts within a boot, the clock at 1970, right, a year ahead, a year behind, by turns", test_restarts},
	{"a reboot at 1970, then right", test_reboot_at_1970_then_right},
	{"a reboot at 1970 that stays there", test_reboot_at_1970},
	{"stamped at 1970, then a reboot with the right time", test_stamped_at_1970},
	{"a clock that goes on where it stood when the power was cut", test_clock_stood_still},
	{"a clock that stood a year ahead in an earlier boot", test_ahead},
	{"a clock that is ahead after a reboot and put right", test_ahead_for_a_while},
	{"times from elsewhere", test_from_elsewhere},
	{"queued by hand: the ttl counts anew", test_queued_again},
	{"moved on disk", test_moved_on_disk},
	{"a boot that is not known", test_unknown_boot},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("courier and clocks", tests);
}
