/* SPDX-License-Identifier: Apache-2.0
 *
 * The table, along the way of a message (ARCHITECTURE.md).
 */
#include "admin/metric.h"

#include "admin/snapshot.h"

#define ONCE(member) .of = METRIC_ONCE, .offset = offsetof(struct snapshot, member)
#define EACH(member) .offset = offsetof(struct snapshot_connection, figures.member)
#define LINK(member) .of = METRIC_CONNECTION, EACH(member)
#define FROM(member) .of = METRIC_SOURCE, EACH(source.member)
#define TO(member)   .of = METRIC_DESTINATION, EACH(destination.member)

#define COUNTER   .type = METRIC_COUNTER, .value = METRIC_U64
#define GAUGE     .type = METRIC_GAUGE, .value = METRIC_U64
#define FLAG      .type = METRIC_GAUGE, .value = METRIC_BOOL
#define HISTOGRAM .type = METRIC_HISTOGRAM
#define SECONDS   .unit = "seconds"
#define BYTES     .unit = "bytes"

const struct metric metrics[] = {
	{"linkspan_build_info", "Version of the program; always 1", .type = METRIC_INFO, .of = METRIC_BUILD},
	{"linkspan_ready", "Is what is offered taken and made durable, as /readyz says", FLAG, ONCE(ready)},

	/* Links. */
	{"linkspan_link_up", "Is the connection to the peer up and logged in", FLAG, LINK(link_is_up)},
	{"linkspan_link_downs_total", "How often the connection has ended", COUNTER, LINK(link_downs)},
	{"linkspan_connector_events_total",
		"What the connector alone can count, such as lost sessions or dropped QoS 0", COUNTER,
		.of = METRIC_EVENT},

	/* Source to router. */
	{"linkspan_source_taken_total", "Messages taken in from the source", COUNTER, FROM(taken)},
	{"linkspan_source_unmatched_total", "Those of them that no mapping matched", COUNTER, FROM(unmatched)},
	{"linkspan_source_looped_total", "Messages that were not passed on because they had made too many hops",
		COUNTER, FROM(looped)},
	{"linkspan_source_dropped_total",
		"Messages thrown away for one destination because a program or template failed, by on_error: drop",
		COUNTER, FROM(dropped)},
	{"linkspan_source_rounded_total",
		"Messages of which a jq program has put out an integer above 2^53 as another number, once for each "
		"mapping",
		COUNTER, FROM(rounded)},
	{"linkspan_source_left_out_total",
		"Messages that a mapping left out by changes_only, sample or min_interval, once for each mapping",
		COUNTER, FROM(left_out)},
	{"linkspan_source_unlimited_total",
		"Messages that passed changes_only, sample or min_interval because there was no room for another key",
		COUNTER, FROM(unlimited)},
	{"linkspan_source_refused_total", "Messages that can never be taken, such as too large ones", COUNTER,
		FROM(refused)},
	{"linkspan_source_unnumbered_total", "Messages that should carry a sequence number and go without one", COUNTER,
		FROM(unnumbered)},
	{"linkspan_source_paused",
		"Is nothing taken from the source because a destination, the disk or memory has no room", FLAG,
		FROM(paused)},
	{"linkspan_source_pauses_total", "How often that began", COUNTER, FROM(pauses)},
	{"linkspan_source_unacknowledged_messages", "Messages taken and not yet acknowledged upstream",
		.type = METRIC_GAUGE, .value = METRIC_SIZE, FROM(unacknowledged)},
	{"linkspan_source_acknowledgement_seconds",
		"Time from a message being taken to its being durable, when it is acknowledged", HISTOGRAM, SECONDS,
		.value = METRIC_BUCKETS_AT, FROM(acknowledgement)},

	/* Router to journal to disk. */
	{"linkspan_journal_appended_messages_total", "Messages appended, one for each destination", COUNTER,
		ONCE(journal.stats.appended_messages)},
	{"linkspan_journal_appended_bytes_total", "Bytes of those, as they are on disk", COUNTER, BYTES,
		ONCE(journal.stats.appended_bytes)},
	{"linkspan_journal_frames_total", "Frames made durable: messages and changes of state", COUNTER,
		ONCE(journal.stats.frames)},
	{"linkspan_journal_groups_total", "Groups of frames made durable, each with one fdatasync", COUNTER,
		ONCE(journal.stats.groups)},
	{"linkspan_journal_written_bytes_total",
		"Bytes of the groups, with their padding, and of what was moved to overflow logs", COUNTER, BYTES,
		ONCE(journal.stats.bytes_written)},
	{"linkspan_journal_fdatasync_seconds", "Time that the disk took to make a group durable", HISTOGRAM, SECONDS,
		.value = METRIC_BUCKETS, ONCE(journal.stats.fdatasync_us)},
	{"linkspan_journal_group_frames", "Frames in a group", HISTOGRAM, .value = METRIC_BUCKETS,
		ONCE(journal.stats.group_frames)},
	{"linkspan_journal_group_bytes", "Size of a group", HISTOGRAM, BYTES, .value = METRIC_BUCKETS,
		ONCE(journal.stats.group_bytes)},
	{"linkspan_journal_not_durable_frames", "Frames appended and not yet durable", GAUGE, ONCE(not_durable)},
	{"linkspan_journal_segments", "Files of the journal that are in use", GAUGE, ONCE(journal.stats.segments)},
	{"linkspan_journal_spare_segments", "Files of the journal that are ready to be used", GAUGE,
		ONCE(journal.stats.segments_spare)},
	{"linkspan_journal_takes_messages",
		"Has the journal room for messages; 0 when the disk is full, or has less free than journal.min_free",
		FLAG, ONCE(journal.stats.takes_messages)},
	{"linkspan_journal_failed", "Has the journal failed for good: nothing more becomes durable", FLAG,
		ONCE(journal_failed)},
	{"linkspan_journal_overflow_messages_total", "Messages moved from the journal to overflow logs", COUNTER,
		ONCE(journal.stats.spilled_messages)},
	{"linkspan_journal_overflow_bytes_total", "Bytes of those", COUNTER, BYTES, ONCE(journal.stats.spilled_bytes)},
	{"linkspan_journal_damaged_frames_total", "Frames found damaged on disk", COUNTER,
		ONCE(journal.stats.damaged_frames)},
	{"linkspan_journal_damaged_messages_total", "Messages lost because they were damaged on disk", COUNTER,
		ONCE(journal.stats.damaged_messages)},
	{"linkspan_disk_free_bytes", "Bytes free for linkspan on the file system of data_dir", BYTES,
		.type = METRIC_GAUGE, .value = METRIC_DOUBLE, ONCE(disk_free)},
	{"linkspan_disk_size_bytes", "Size of that file system", BYTES, .type = METRIC_GAUGE, .value = METRIC_DOUBLE,
		ONCE(disk_size)},
	{"linkspan_disk_written_bytes_total", "Bytes written below data_dir, whatever for: what wears flash", COUNTER,
		BYTES, ONCE(disk_written)},
	{"linkspan_disk_written_last_day_bytes",
		"Those of the last 24 hours, to the hour; since the start when that is less", GAUGE, BYTES,
		ONCE(disk_written_last_day)},

	{"linkspan_journal_keys",
		"Keys that are known: of requests (Idempotency-Key) and of changes_only, sample and min_interval; "
		"expired ones that still have "
		"their place "
		"as well",
		GAUGE, ONCE(journal.keys)},
	{"linkspan_journal_limit_keys", "The most of them that there is room for, by journal.max_keys and segment_size",
		GAUGE, ONCE(journal.key_limit)},

	/* Journal to courier. */
	{"linkspan_destination_offered_total", "Messages for the destination since the start", COUNTER, TO(offered)},
	{"linkspan_destination_waiting_messages", "Messages that have no final outcome yet", GAUGE, TO(outbox.waiting)},
	{"linkspan_destination_waiting_bytes", "Bytes on disk of those", GAUGE, BYTES, TO(outbox.waiting_bytes)},
	{"linkspan_destination_limit_bytes", "The most that may wait, outbox.max_bytes", GAUGE, BYTES, TO(limit_bytes)},
	{"linkspan_destination_limit_messages", "The most messages that may wait, outbox.max_messages; 0 is no limit",
		GAUGE, TO(limit_messages)},
	{"linkspan_destination_overflow_bytes", "Size of the destination's overflow log on disk", GAUGE, BYTES,
		TO(overflow_bytes)},
	{"linkspan_destination_oldest_age_seconds",
		"Age of the oldest message that waits, since linkspan received it; left out for the moment in which it "
		"is read back from disk",
		SECONDS, .type = METRIC_GAUGE, .value = METRIC_DOUBLE, .of = METRIC_DESTINATION,
		.offset = offsetof(struct snapshot_connection, oldest_age_s)},
	{"linkspan_destination_held_messages", "Waiting messages that are in memory, not only on disk", GAUGE,
		TO(courier.held)},
	{"linkspan_destination_held_bytes", "Memory that they take", GAUGE, BYTES, TO(courier.held_bytes)},
	{"linkspan_destination_done_ranges",
		"Runs of finished messages behind the oldest unfinished one; at 4096 no more "
		"is taken for the destination",
		.type = METRIC_GAUGE, .value = METRIC_SIZE, TO(outbox.done_ranges)},

	{"linkspan_destination_last_values", "Topics of which the last value is kept", .type = METRIC_GAUGE,
		.value = METRIC_SIZE, TO(values.n)},
	{"linkspan_destination_last_values_bytes", "Bytes of those", BYTES, .type = METRIC_GAUGE, .value = METRIC_SIZE,
		TO(values.bytes)},
	{"linkspan_destination_last_values_evicted_total", "Last values that went because there were too many", COUNTER,
		TO(values.evicted)},
	{"linkspan_destination_last_values_too_large_total",
		"Messages that were too large to be kept as the last value", COUNTER, TO(values_too_large)},

	/* Courier to sink, and the outcomes. */
	{"linkspan_destination_sending", "Is the destination being sent to: its link is up and has not paused it", FLAG,
		TO(courier.link_is_up)},
	{"linkspan_destination_paused", "Has somebody paused it by hand (linkspan queue pause)", FLAG,
		TO(courier.paused)},
	{"linkspan_destination_in_flight_messages", "Messages sent and not yet answered", GAUGE, TO(courier.in_flight)},
	{"linkspan_destination_sent_total", "Messages handed to the connector, repetitions included", COUNTER,
		TO(courier.sent)},
	{"linkspan_destination_retried_total", "Attempts that the destination refused for now", COUNTER,
		TO(courier.retried)},
	{"linkspan_destination_rejected_total", "Messages that the destination refused for good", COUNTER,
		TO(courier.rejected)},
	{"linkspan_destination_replies_total", "Replies of the destination that were journalled for who asked", COUNTER,
		TO(replies)},
	{"linkspan_destination_replies_dropped_total",
		"Replies of the destination that had nowhere to go, or found no room there", COUNTER,
		TO(replies_dropped)},
	{"linkspan_destination_finished_total",
		"Messages that have their final outcome, by what it was, since the start", COUNTER,
		.of = METRIC_OUTCOME, EACH(destination.finished)},
	{"linkspan_destination_delivery_seconds",
		"Time from a message being durable to its being delivered; of one that was read back from disk, since "
		"it was received",
		HISTOGRAM, SECONDS, .value = METRIC_BUCKETS_AT, TO(delivery)},

	/* The process. */
	{"linkspan_loop_turn_seconds", "Time that a turn of the event loop took, waiting excluded", HISTOGRAM, SECONDS,
		.value = METRIC_BUCKETS_AT, ONCE(turns)},
	{"linkspan_loop_slow_turns_total", "Turns of more than 50 ms", COUNTER, ONCE(slow_turns)},
	{"process_cpu_seconds_total", "Processor time used, all threads", SECONDS, .type = METRIC_COUNTER,
		.value = METRIC_DOUBLE, ONCE(process.cpu_s)},
	{"process_resident_memory_bytes", "Memory in RAM, shared libraries included", BYTES, .type = METRIC_GAUGE,
		.value = METRIC_DOUBLE, ONCE(process.resident_bytes)},
	{"process_virtual_memory_bytes", "Address space in use", BYTES, .type = METRIC_GAUGE, .value = METRIC_DOUBLE,
		ONCE(process.virtual_bytes)},
	{"process_open_fds", "Open file descriptors", .type = METRIC_GAUGE, .value = METRIC_DOUBLE,
		ONCE(process.open_fds)},
	{"process_max_fds", "The most that there may be", .type = METRIC_GAUGE, .value = METRIC_DOUBLE,
		ONCE(process.max_fds)},
	{"process_start_time_seconds", "When the process started, since the epoch", SECONDS, .type = METRIC_GAUGE,
		.value = METRIC_DOUBLE, ONCE(process.started_s)},
	{0},
};

const char *metric_type_name(const struct metric *metric)
{
	static const char *const names[] = {"counter", "gauge", "histogram", "info"};
	return names[metric->type];
}

/* "connection", "destination, outcome"; "" for none. */
static const char *labels_of(const struct metric *metric)
{
	static const char *const labels[] = {
		[METRIC_ONCE] = "",
		[METRIC_CONNECTION] = "connection",
		[METRIC_SOURCE] = "connection",
		[METRIC_DESTINATION] = "destination",
		[METRIC_OUTCOME] = "destination, outcome",
		[METRIC_EVENT] = "connection, event",
		[METRIC_BUILD] = "version",
	};
	return labels[metric->of];
}

void metrics_write_reference(FILE *out)
{
	fputs("\n## Metrics\n\n"
	      "What `/metrics` of the listener [admin](#the-file) shows. A destination is called by the name of its "
	      "connection. All\ncounters begin at 0 when linkspan starts. `linkspan schema --metrics` prints this part "
	      "alone.\n\n"
	      "| metric | type | labels | |\n| --- | --- | --- | --- |\n",
		out);
	for (const struct metric *metric = metrics; metric->name; metric++)
		fprintf(out, "| `%s` | %s | %s | %s. |\n", metric->name, metric_type_name(metric), labels_of(metric),
			metric->help);
	fputs("\nOutcomes of `linkspan_destination_finished_total`:", out);
	for (int i = 0; i < JOURNAL_N_TOTALS; i++)
		fprintf(out, "%s `%s`", i ? "," : "", journal_total_name((enum journal_total)i));
	fputs(".\n", out);
}
