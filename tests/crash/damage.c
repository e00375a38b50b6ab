/* SPDX-License-Identifier: Apache-2.0
 *
 * Damaged journals: damage [STRIDE]
 *
 * A small journal on a simulated disk, one that has spilled to an overflow log, and one whose messages have become dead
 * letters, is cut at every byte of its last two groups, and every STRIDE-th bit of its used part is flipped (1: every single
 * bit; the default is a sample). After each: start-up succeeds, no wrong byte is handed out, and whatever durable message is
 * missing, with its key or its last value, a log line names where; of dead letters the reader says how many bytes are not readable, and one bit costs at
 * most one letter, but where it is one of a length.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "message/endian.h"
#include "runtime/log.h"
#include "journal/disk_simulated.h"

#define MESSAGES    24u
#define GROUP       4096u
#define TOPICS      5u /* of last values */
#define KEY_UNTIL   1800000000000u
#define MAX_VALUE   400u
#define DEAD_HEADER 16u /* of a file of dead letters */

struct reading {
	bool seen[MESSAGES + 1];
	bool wrong, at_end;
};

struct letters {
	bool seen[MESSAGES + 1];
	unsigned n_seen;
	uint64_t unreadable;
	struct journal_dead_cursor next;
	bool wrong, at_end;
};

static unsigned long states, failures, reported, missing_states;
static bool told; /* a damage or tail line was logged */
static bool told_damage;
static char told_line[2048];

static void watch(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	if (strstr(line, "event=journal_damage") || strstr(line, "event=journal_tail")) {
		told = true;
		told_damage |= strstr(line, "event=journal_damage") != NULL;
		snprintf(told_line, sizeof told_line, "%s", line);
	}
}

static struct slice payload_of(uint64_t seq)
{
	static char text[128];
	snprintf(text, sizeof text, "the payload of message number %llu, and a little more of it",
		(unsigned long long)seq);
	return slice_str(text);
}

static void ignore_lsn(void *ctx, uint64_t lsn)
{
	(void)ctx, (void)lsn;
}

static void ignore_room(void *ctx)
{
	(void)ctx;
}

static void ignore_failed(void *ctx, int error)
{
	(void)ctx, (void)error;
}

static int open_on(struct sim_disk *sim, struct loop *loop, struct journal **ret_j)
{
	struct journal_options options = {
		.disk = sim_disk_ops(sim),
		.loop = loop,
		.segment_bytes = 1 << 20,
		.max_bytes = 3 << 20,
		.manual = true,
		.on_durable = ignore_lsn,
		.on_room = ignore_room,
		.on_failed = ignore_failed,
	};
	return journal_open(&options, ret_j);
}

/* The key that came with a message. */
static void name_key(uint64_t seq, uint8_t ret_key[JOURNAL_KEY_LEN])
{
	memset(ret_key, 'k', JOURNAL_KEY_LEN);
	put_u64(ret_key, seq);
}

static void name_topic(uint64_t seq, char ret_name[8])
{
	snprintf(ret_name, 8, "v/%u", (unsigned)(seq % TOPICS));
}

/* A message with its key, which is the last value of another topic as well. */
static int append(struct journal *j, uint64_t seq)
{
	uint8_t key[JOURNAL_KEY_LEN], value[MAX_VALUE];
	char topic[8];
	name_key(seq, key);
	name_topic(seq, topic);
	struct message_view view = {
		.topic = slice_str("plant/a"), .order_key = slice_str("plant/a"), .payload = payload_of(seq)};
	struct message_view kept = {.topic = slice_str(topic), .order_key = view.order_key, .payload = view.payload};
	size_t len = message_encoded_size(&kept);
	if (len > sizeof value)
		abort();
	message_encode(&kept, value);
	struct journal_entry entry = {.dest = 0, .view = &view};
	const struct journal_change changes[] = {
		{.type = JOURNAL_KEY, .hash = seq, .position = KEY_UNTIL, .blob = slice_of(key, sizeof key)},
		{.type = JOURNAL_VALUE, .dest = 0, .blob = slice_of(value, len)}};
	uint64_t lsn;
	return journal_append(j, &entry, 1, changes, 2, &lsn);
}

/* A journal of MESSAGES durable messages in groups of one to three, as a crash leaves it (no SEAL). */
static struct sim_disk *small_journal(void)
{
	struct sim_disk *sim = sim_disk_new();
	struct loop *loop = loop_new_simulated(1700000000000);
	struct journal *j;
	if (open_on(sim, loop, &j) < 0 || journal_destination(j, "dest") < 0)
		abort();
	for (uint64_t seq = 1; seq <= MESSAGES; seq++) {
		if (append(j, seq) < 0)
			abort();
		if (seq % 4 != 1)
			while (journal_step(j))
				loop_sim_advance(loop, 0);
	}
	struct sim_disk *image = sim_disk_fork(sim);
	journal_close(j);
	loop_free(loop);
	sim_disk_free(sim);
	return image;
}

/* The same messages, after restarts that have each begun a segment: they stand in the overflow log. */
static struct sim_disk *spilled_journal(struct sim_disk *sim)
{
	struct loop *loop = loop_new_simulated(1700000000000);
	for (int i = 0; i < 5; i++) {
		struct journal *j;
		if (open_on(sim, loop, &j) < 0)
			abort();
		struct message_view view = {.topic = slice_str("other"), .order_key = slice_str("other")};
		struct journal_entry entry = {.dest = (uint32_t)journal_destination(j, "other"), .view = &view};
		uint64_t lsn;
		if (journal_append(j, &entry, 1, NULL, 0, &lsn) < 0)
			abort();
		while (journal_step(j))
			loop_sim_advance(loop, 0);
		journal_close(j);
	}
	loop_free(loop);
	return sim;
}

static void on_buried(int error, void *arg)
{
	(void)arg;
	if (error < 0)
		abort();
}

/* The same messages, all of them dead letters. */
static struct sim_disk *dead_journal(struct sim_disk *sim)
{
	struct loop *loop = loop_new_simulated(1700000000000);
	struct journal *j;
	if (open_on(sim, loop, &j) < 0)
		abort();
	for (uint64_t seq = 1; seq <= MESSAGES; seq++) {
		struct message_view view = {
			.topic = slice_str("plant/a"), .order_key = slice_str("plant/a"), .payload = payload_of(seq)};
		struct journal_letter letter = {.dest = 0,
			.bytes = (uint32_t)(journal_outbox(j, 0).waiting_bytes / journal_outbox(j, 0).waiting),
			.seq = seq,
			.msg = message_new(&view),
			.reason = "refused",
			.attempts = 1};
		journal_dead_letter(j, &letter, on_buried, NULL);
		while (journal_step(j))
			loop_sim_advance(loop, 0);
		message_unref(letter.msg);
	}
	journal_close(j);
	loop_free(loop);
	return sim;
}

static void on_read(const struct journal_read_result *result, void *arg)
{
	struct reading *reading = arg;
	for (size_t i = 0; i < result->n_items; i++) {
		uint64_t seq = result->items[i].seq;
		const struct message_view *view = message_view(result->items[i].msg);
		if (seq < 1 || seq > MESSAGES || !slice_equal(view->payload, payload_of(seq)) ||
			!slice_equal(view->topic, slice_str("plant/a")))
			reading->wrong = true;
		else
			reading->seen[seq] = true;
		message_unref(result->items[i].msg);
	}
	reading->at_end = result->at_end;
}

static void read_all(struct journal *j, struct loop *loop, struct reading *reading)
{
	int dest = journal_destination(j, "dest");
	if (dest < 0) {
		reading->wrong = true;
		return;
	}
	struct journal_reader *reader = journal_reader_new(j, (uint32_t)dest, 1, on_read, reading);
	for (unsigned i = 0; i < 1000 && !reading->at_end; i++) {
		journal_reader_request(reader, 100, 1 << 20);
		while (journal_step(j))
			loop_sim_advance(loop, 0);
		loop_sim_advance(loop, 0);
	}
	if (!reading->at_end)
		reading->wrong = true;
	journal_reader_free(reader);
}

static void on_letters(const struct journal_dead_result *result, void *arg)
{
	struct letters *letters = arg;
	for (size_t i = 0; i < result->n_items; i++) {
		const struct journal_dead_item *item = &result->items[i];
		if (item->seq < 1 || item->seq > MESSAGES || strcmp(item->reason, "refused") != 0 ||
			!slice_equal(message_view(item->msg)->payload, payload_of(item->seq)))
			letters->wrong = true;
		else
			letters->n_seen += !letters->seen[item->seq];
		letters->seen[item->seq <= MESSAGES ? item->seq : 0] = true;
		message_unref(item->msg);
	}
	letters->unreadable += result->unreadable;
	letters->next = result->next;
	letters->wrong |= result->error < 0;
	letters->at_end = result->at_end || result->error < 0;
}

static void read_letters(struct journal *j, struct loop *loop, struct letters *letters)
{
	for (unsigned i = 0; i < 100 && !letters->at_end; i++) {
		struct journal_dead_query query = {
			.destination = "dest", .from = letters->next, .max_messages = 7, .max_bytes = 1 << 20};
		if (!journal_dead_read(j, &query, on_letters, letters))
			abort();
		while (journal_step(j))
			loop_sim_advance(loop, 0);
	}
}

static void fail(const char *what, const char *how, const char *path, uint64_t offset)
{
	if (failures++ < 20)
		printf("# %s: %s %s at %llu; last line: %s\n", what, how, path, (unsigned long long)offset,
			told ? told_line : "(none)");
}

/* What was given waits or is lost: nothing was ever finished. */
static bool adds_up(struct journal *j, unsigned n_seen)
{
	int dest = journal_destination(j, "dest");
	struct journal_outbox box = journal_outbox(j, (uint32_t)dest);
	return dest >= 0 && box.waiting == n_seen && box.next_seq - 1 == box.waiting + box.totals[JOURNAL_LOST];
}

/* Counts keys that are not known, and topics without the value that the last message of theirs is. */
static unsigned count_missing_state(struct journal *j, bool *ret_wrong, bool *ret_hole)
{
	unsigned missing = 0;
	for (uint64_t seq = 1; seq <= MESSAGES; seq++) {
		uint8_t key[JOURNAL_KEY_LEN];
		uint64_t hash, lsn;
		name_key(seq, key);
		bool known = journal_key(j, key, &hash, &lsn);
		*ret_hole |= known && missing; /* a later one is there */
		missing += !known;
		*ret_wrong |= known && hash != seq;
	}
	for (uint64_t last = MESSAGES - TOPICS + 1; last <= MESSAGES; last++) {
		char topic[8];
		bool any = false;
		name_topic(last, topic);
		struct message *msg = journal_value(j, 0, slice_str(topic));
		missing += !msg || !slice_equal(message_view(msg)->payload, payload_of(last));
		for (uint64_t seq = last; seq >= 1 && seq <= last; seq -= TOPICS)
			any |= msg && slice_equal(message_view(msg)->payload, payload_of(seq));
		*ret_wrong |= msg && !any;
	}
	return missing;
}

/* Takes sim. */
static void check(struct sim_disk *sim, const char *how, const char *path, uint64_t offset)
{
	struct loop *loop = loop_new_simulated(1700000000000);
	struct journal *j;
	struct reading reading = {0};
	told = told_damage = false;
	states++;
	log_set_sink(watch, NULL); /* forgets repeats: each state has to be told of */
	if (open_on(sim, loop, &j) < 0) {
		fail("start-up failed", how, path, offset);
	} else {
		read_all(j, loop, &reading);
		bool wrong_state = false, hole_in_state = false;
		unsigned missing_state = count_missing_state(j, &wrong_state, &hole_in_state);
		unsigned missing = 0, last_seen = 0;
		bool hole = false;
		for (unsigned seq = 1; seq <= MESSAGES; seq++) {
			missing += !reading.seen[seq];
			hole |= reading.seen[seq] && seq != last_seen + 1;
			last_seen = reading.seen[seq] ? seq : last_seen;
		}
		missing_states += missing > 0;
		if (reading.wrong)
			fail("wrong bytes or no end", how, path, offset);
		if (missing && !told)
			fail("messages missing without a word", how, path, offset);
		if (wrong_state)
			fail("a wrong key or last value", how, path, offset);
		if ((missing_state && !told) || (hole_in_state && !told_damage))
			fail("keys or last values missing without a word", how, path, offset);
		if (hole && !told_damage)
			fail("messages missing in the middle, not called damage", how, path, offset);
		if (!adds_up(j, MESSAGES - missing))
			fail("the totals do not add up", how, path, offset);
		reported += told;
		journal_close(j);
	}
	loop_free(loop);
	sim_disk_free(sim);
}

static uint64_t used_bytes(const struct sim_disk *sim, const char *path)
{
	uint64_t size = (uint64_t)sim_disk_size(sim, path);
	uint8_t *bytes = malloc(size + 1);
	sim_disk_read(sim, path, 0, bytes, size);
	while (size && bytes[size - 1] == 0)
		size--;
	free(bytes);
	return size;
}

static void cut_everywhere(const struct sim_disk *image, const char *path, uint64_t used)
{
	uint64_t end = (used + GROUP - 1) / GROUP * GROUP;
	for (uint64_t at = end > 2 * GROUP ? end - 2 * GROUP : 0; at < used; at++) {
		struct sim_disk *sim = sim_disk_fork(image);
		sim_disk_zero_from(sim, path, at);
		check(sim, "cut", path, at);
	}
}

static void flip_everywhere(const struct sim_disk *image, const char *path, uint64_t used, unsigned long stride)
{
	uint64_t end = (used + GROUP - 1) / GROUP * GROUP;
	for (uint64_t bit = 0; bit < end * 8; bit += stride) {
		struct sim_disk *sim = sim_disk_fork(image);
		sim_disk_flip(sim, path, bit / 8, (uint8_t)(1u << bit % 8));
		check(sim, "bit flipped", path, bit / 8);
	}
}

/* Takes sim. `most`: so many letters may be missing. */
static void check_letters(struct sim_disk *sim, const char *how, const char *path, uint64_t offset, unsigned most)
{
	struct loop *loop = loop_new_simulated(1700000000000);
	struct journal *j;
	struct letters letters = {0};
	told = false;
	states++;
	if (open_on(sim, loop, &j) < 0) {
		fail("start-up failed", how, path, offset);
	} else {
		read_letters(j, loop, &letters);
		unsigned missing = MESSAGES - letters.n_seen;
		missing_states += missing > 0;
		reported += letters.unreadable > 0;
		if (letters.wrong || !letters.at_end)
			fail("wrong letters or no end", how, path, offset);
		if ((missing > 0) != (letters.unreadable > 0))
			fail("what is said to be unreadable is not what is missing", how, path, offset);
		if (missing > most)
			fail("more letters are missing than were damaged", how, path, offset);
		if (journal_outbox(j, 0).waiting)
			fail("a dead message waits", how, path, offset);
		journal_close(j);
	}
	loop_free(loop);
	sim_disk_free(sim);
}

/* Is that a byte of the length of some frame? */
static bool is_of_length(const struct sim_disk *image, const char *path, uint64_t offset, uint64_t used)
{
	uint8_t head[4];
	for (uint64_t at = DEAD_HEADER; at < used; at += get_u32(head)) {
		if (offset >= at && offset < at + 4)
			return true;
		sim_disk_read(image, path, at, head, sizeof head);
	}
	return false;
}

static void damage_letters(struct sim_disk *image, unsigned long stride)
{
	char **names = sim_disk_names(image, "dead/dest");
	unsigned long failed = failures;
	states = reported = missing_states = 0;
	check_letters(sim_disk_fork(image), "undamaged", "", 0, 0);
	for (size_t i = 0; names[i]; i++) {
		char path[300];
		snprintf(path, sizeof path, "dead/dest/%s", names[i]);
		uint64_t used = (uint64_t)sim_disk_size(image, path);
		for (uint64_t bit = DEAD_HEADER * 8; bit < used * 8; bit += stride / 20 + 1) {
			struct sim_disk *sim = sim_disk_fork(image);
			sim_disk_flip(sim, path, bit / 8, (uint8_t)(1u << bit % 8));
			check_letters(sim, "bit flipped", path, bit / 8,
				is_of_length(image, path, bit / 8, used) ? MESSAGES : 1);
		}
		for (uint64_t at = DEAD_HEADER; at < used; at++) {
			struct sim_disk *sim = sim_disk_fork(image);
			sim_disk_zero_from(sim, path, at);
			check_letters(sim, "cut", path, at, MESSAGES);
		}
	}
	sim_disk_free_names(names);
	sim_disk_free(image);
	if (missing_states == 0)
		failures++, printf("# no state had a letter missing: the test damages nothing\n");
	printf("%s 3 - damaged dead letters: %lu states, %lu with letters missing, %lu reported\n",
		failures > failed ? "not ok" : "ok", states, missing_states, reported);
}

static void damage_folder(const struct sim_disk *image, const char *folder, unsigned long stride)
{
	char **names = sim_disk_names(image, folder);
	for (size_t i = 0; names[i]; i++) {
		char path[300];
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		uint64_t used = used_bytes(image, path);
		cut_everywhere(image, path, used);
		flip_everywhere(image, path, used, stride);
	}
	sim_disk_free_names(names);
}

/* One result: takes image; `folder` is damaged. */
static void run(int number, const char *what, struct sim_disk *image, const char *folder, unsigned long stride)
{
	unsigned long failed = failures;
	states = reported = missing_states = 0;
	check(sim_disk_fork(image), "undamaged", "", 0);
	if (missing_states)
		failures++, printf("# messages are missing from the undamaged journal\n");
	damage_folder(image, folder, stride);
	sim_disk_free(image);
	if (missing_states == 0)
		failures++, printf("# no state had a message missing: the test damages nothing\n");
	printf("%s %d - %s: %lu states, %lu with messages missing, %lu reported\n", failures > failed ? "not ok" : "ok",
		number, what, states, missing_states, reported);
}

int main(int argc, char **argv)
{
	unsigned long stride = argc > 1 ? strtoul(argv[1], NULL, 10) : 251;
	stride = stride ? stride : 1;
	run(1, "damaged journals", small_journal(), "journal", stride);
	run(2, "damaged overflow logs", spilled_journal(small_journal()), "outbox/dest", stride);
	damage_letters(dead_journal(small_journal()), stride);
	printf("1..3\n");
	return failures != 0;
}
