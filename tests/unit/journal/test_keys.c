/* SPDX-License-Identifier: Apache-2.0 */
/* keys: the table against a model, and that each is known exactly as long as it is to be, whatever the journal goes
 * through. */
#include "journal/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "message/endian.h"
#include "tests/unit/journal/rig.h"

#define START_MS 1700000000000u
#define HOUR_MS  (3600u * 1000)

/* --- the table --- */

static void name_key(uint64_t n, uint8_t ret_key[KEYS_KEY_LEN])
{
	put_u64(ret_key, n % 5 ? n : 0);
	put_u64(ret_key + 8, n * 3);
}

struct model_key {
	uint64_t hash, expires_ms;
};

static void compare(const struct keys *keys, const struct model_key *model, size_t n)
{
	uint8_t key[KEYS_KEY_LEN];
	size_t known = 0, wrong = 0;
	for (uint64_t i = 0; i < n; i++) {
		name_key(i, key);
		const struct known_key *found = keys_find(keys, key);
		known += model[i].expires_ms != 0;
		wrong += (found != NULL) != (model[i].expires_ms != 0);
		if (found)
			wrong += found->hash != model[i].hash || found->expires_ms != model[i].expires_ms;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(keys->n, known);
}

static void test_table(void)
{
	enum { N = 3000 };
	static struct model_key model[N];
	struct keys keys = {.v = NULL}, again = {.v = NULL};
	uint8_t key[KEYS_KEY_LEN];
	uint64_t random = 3, now_ms = 1000;
	for (int round = 0; round < 60000; round++) {
		uint64_t which = sim_random(&random) % N;
		model[which] = (struct model_key){sim_random(&random), now_ms + 1 + sim_random(&random) % 2000};
		name_key(which, key);
		CU_ASSERT_EQUAL(keys_set(&keys, key, model[which].hash, model[which].expires_ms, 0), 0);
		if (sim_random(&random) % 500)
			continue;
		now_ms += sim_random(&random) % 700;
		size_t expired = 0;
		for (size_t i = 0; i < N; i++)
			if (model[i].expires_ms && model[i].expires_ms <= now_ms) {
				model[i] = (struct model_key){0};
				expired++;
			}
		CU_ASSERT_EQUAL(keys_expire(&keys, now_ms), expired);
		compare(&keys, model, N);
	}
	uint8_t *bytes = malloc(keys.n * KEYS_ENTRY_LEN); /* of its size: ASan watches its end */
	keys_encode(&keys, bytes);
	CU_ASSERT_EQUAL(keys_decode(&again, slice_of(bytes, keys.n * KEYS_ENTRY_LEN)), 0);
	compare(&again, model, N);
	CU_ASSERT_EQUAL(keys_decode(&again, slice_of(bytes, KEYS_ENTRY_LEN - 1)), -EBADMSG);
	memset(bytes + 24, 0, 8);
	CU_ASSERT_EQUAL(keys_decode(&again, slice_of(bytes, KEYS_ENTRY_LEN)), -EBADMSG);
	free(bytes);
	keys_expire(&keys, UINT64_MAX);
	CU_ASSERT_EQUAL(keys.n, 0);
	keys_clear(&again);
	keys_clear(&keys);
}

/* That it is only looked through when there can be something to find. */
static void test_table_soonest(void)
{
	struct keys keys = {.v = NULL};
	uint8_t key[KEYS_KEY_LEN];
	for (uint64_t i = 0; i < 10; i++) {
		name_key(i, key);
		CU_ASSERT_EQUAL(keys_set(&keys, key, 0, 100 + i, 0), 0);
	}
	CU_ASSERT_EQUAL(keys.soonest_ms, 100);
	CU_ASSERT_EQUAL(keys_expire(&keys, 99), 0);
	CU_ASSERT_EQUAL(keys_expire(&keys, 103), 4);
	CU_ASSERT_EQUAL(keys.soonest_ms, 104);
	CU_ASSERT_EQUAL(keys.seen_ms, 103);
	keys_clear(&keys);
}

static uint64_t expiry_of(const struct keys *keys)
{
	uint8_t key[KEYS_KEY_LEN];
	name_key(1, key);
	const struct known_key *known = keys_find(keys, key);
	return known ? known->expires_ms : 0;
}

static void test_table_clock(void)
{
	struct keys keys = {.v = NULL};
	uint8_t key[KEYS_KEY_LEN];
	name_key(1, key);
	CU_ASSERT_EQUAL(keys_set(&keys, key, 0, 5000, 0), 0);
	keys.seen_ms = 2000;
	keys_change_clock(&keys, 0, 2500); /* time has passed */
	CU_ASSERT_EQUAL(expiry_of(&keys), 5000);
	keys_change_clock(&keys, 100000, 102600); /* another clock, which stands elsewhere */
	CU_ASSERT_EQUAL(expiry_of(&keys), 105000);
	keys_change_clock(&keys, 0, 600); /* set back: it has 2400 to live, as before */
	CU_ASSERT_EQUAL(expiry_of(&keys), 3000);
	keys_change_clock(&keys, -5000, 700); /* never lost in a clock that does not reach so far */
	CU_ASSERT_EQUAL(expiry_of(&keys), 1);
	CU_ASSERT_EQUAL(keys_expire(&keys, 700), 1);
	keys_clear(&keys);
}

/* --- in the journal --- */

static struct journal_change change_of(const char *name, uint64_t expires_ms, uint8_t key[JOURNAL_KEY_LEN])
{
	memset(key, 0, JOURNAL_KEY_LEN);
	memcpy(key, name, strlen(name));
	return (struct journal_change){.type = JOURNAL_KEY,
		.position = expires_ms,
		.hash = 40 + strlen(name),
		.blob = slice_of(key, JOURNAL_KEY_LEN)};
}

/* A message with that key, as intake appends it; ttl_ms from now. */
static int append_keyed(struct rig *rig, const char *name, uint64_t ttl_ms, const char *payload)
{
	uint8_t key[JOURNAL_KEY_LEN];
	struct journal_change change = change_of(name, loop_wall_ms(rig->loop) + ttl_ms, key);
	struct message_view view = {
		.topic = slice_str("plant/a"), .order_key = slice_str("plant/a"), .payload = slice_str(payload)};
	struct journal_entry entry = {.dest = (uint32_t)rig->dest, .view = &view};
	uint64_t lsn;
	return journal_append(rig->j, &entry, 1, &change, 1, &lsn);
}

static bool knows(struct rig *rig, const char *name)
{
	uint8_t key[JOURNAL_KEY_LEN];
	uint64_t hash = 0, lsn;
	change_of(name, 0, key);
	bool known = journal_key(rig->j, key, &hash, &lsn);
	CU_ASSERT(!known || hash == 40 + strlen(name));
	return known;
}

static bool is_durable(struct rig *rig, const char *name)
{
	uint8_t key[JOURNAL_KEY_LEN];
	uint64_t hash, lsn = UINT64_MAX;
	change_of(name, 0, key);
	return journal_key(rig->j, key, &hash, &lsn) && lsn <= journal_durable_lsn(rig->j);
}

static void begin(struct rig *rig)
{
	rig_init(rig);
	rig->max_keys = 1000;
	rig_open(rig);
}

/* The next process, in the same boot or another one, with the wall clock anywhere. */
static void start_anew(struct rig *rig, char boot, uint64_t boot_ms, uint64_t wall_ms)
{
	uint8_t name[LOOP_BOOT_LEN];
	memset(name, boot, sizeof name);
	rig_crash(rig);
	loop_free(rig->loop);
	rig->loop = loop_new_simulated(wall_ms);
	loop_sim_boot(rig->loop, name, boot_ms);
	rig_open(rig);
}

/* A key is there exactly when its message is: from frames, from the CHECKPOINT, and from both. */
static void test_restarts(void)
{
	struct rig rig;
	begin(&rig);
	CU_ASSERT(!knows(&rig, "a"));
	CU_ASSERT_EQUAL(append_keyed(&rig, "a", HOUR_MS, "x"), 0);
	CU_ASSERT(knows(&rig, "a") && !is_durable(&rig, "a"));
	rig_run(&rig);
	CU_ASSERT(is_durable(&rig, "a"));
	CU_ASSERT_EQUAL(append_keyed(&rig, "b", HOUR_MS, "not durable"), 0);
	CU_ASSERT(knows(&rig, "b"));
	rig_crash(&rig);
	rig_open(&rig);
	CU_ASSERT(is_durable(&rig, "a") && !knows(&rig, "b"));
	CU_ASSERT_EQUAL(journal_outbox(rig.j, (uint32_t)rig.dest).next_seq, 2);
	rig_crash(&rig);
	rig_open(&rig);
	CU_ASSERT(is_durable(&rig, "a"));
	rig_close(&rig);
	rig_open(&rig);
	CU_ASSERT(is_durable(&rig, "a"));
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	rig_fini(&rig);
}

static void test_time_passes(void)
{
	struct rig rig;
	begin(&rig);
	CU_ASSERT_EQUAL(append_keyed(&rig, "a", 1000, "x"), 0);
	CU_ASSERT_EQUAL(append_keyed(&rig, "long", HOUR_MS, "x"), 0);
	rig_run(&rig);
	loop_sim_advance(rig.loop, 999);
	CU_ASSERT(knows(&rig, "a"));
	loop_sim_advance(rig.loop, 1);
	CU_ASSERT(!knows(&rig, "a") && knows(&rig, "long"));
	/* Once it is over, it may be taken again. */
	CU_ASSERT_EQUAL(append_keyed(&rig, "a", 1000, "x"), 0);
	CU_ASSERT(knows(&rig, "a"));
	CU_ASSERT_EQUAL(journal_keys(rig.j), 2);
	rig_fini(&rig);
}

/* The CHECKPOINT of each new segment has what is known and nothing else. */
static void test_rotation(void)
{
	struct rig rig;
	static char block[60000];
	char name[16];
	begin(&rig);
	memset(block, 'x', sizeof block - 1);
	CU_ASSERT_EQUAL(append_keyed(&rig, "first", HOUR_MS, "x"), 0);
	for (unsigned i = 0; i < 60; i++) { /* a segment holds 17 */
		snprintf(name, sizeof name, "k%u", i);
		CU_ASSERT_EQUAL(append_keyed(&rig, name, 10000, block), 0);
		rig_run(&rig);
		loop_sim_advance(rig.loop, 1500);
	}
	CU_ASSERT(journal_keys(rig.j) < 30);
	CU_ASSERT(knows(&rig, "first") && knows(&rig, "k59") && knows(&rig, "k54") && !knows(&rig, "k30"));
	rig_crash(&rig);
	rig_open(&rig);
	CU_ASSERT(knows(&rig, "first") && knows(&rig, "k59") && knows(&rig, "k54") && !knows(&rig, "k30"));
	CU_ASSERT(journal_keys(rig.j) < 10);
	rig_fini(&rig);
}

/* With as many as are allowed there is no room, until one has expired; none is forgotten for another. */
static void test_limit(void)
{
	struct rig rig;
	char name[16];
	begin(&rig);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "k%u", i);
		CU_ASSERT(journal_key_room(rig.j));
		CU_ASSERT_EQUAL(append_keyed(&rig, name, i < 10 ? 5000 : HOUR_MS, "x"), 0);
		if (i % 100 == 0)
			rig_run(&rig);
	}
	CU_ASSERT(!journal_key_room(rig.j));
	CU_ASSERT_EQUAL(journal_key_limit(rig.j), 1000);
	loop_sim_advance(rig.loop, 4000);
	CU_ASSERT(!journal_key_room(rig.j) && knows(&rig, "k3"));
	loop_sim_advance(rig.loop, 1000);
	CU_ASSERT_EQUAL(journal_key_room(rig.j), 10);
	CU_ASSERT_EQUAL(journal_keys(rig.j), 990);
	rig_close(&rig);
	rig.max_keys = 10;
	rig_open(&rig);
	CU_ASSERT(!journal_key_room(rig.j) && knows(&rig, "k999"));
	rig_fini(&rig);
}

/* However many are allowed, the CHECKPOINT leaves room in the segment, and nothing is refused for it. */
static void test_share_of_a_segment(void)
{
	struct rig rig;
	char name[16];
	unsigned n = 0;
	rig_init(&rig);
	rig.max_keys = 1000000;
	rig_open(&rig);
	for (; n < 100000 && journal_key_room(rig.j); n++) {
		snprintf(name, sizeof name, "k%u", n);
		CU_ASSERT_EQUAL_FATAL(append_keyed(&rig, name, HOUR_MS, "x"), 0);
		if (n % 100 == 0)
			rig_run(&rig);
	}
	CU_ASSERT_EQUAL(n, journal_max_keys(RIG_SEGMENT));
	CU_ASSERT_EQUAL(n, RIG_SEGMENT / 256);
	CU_ASSERT_EQUAL(journal_key_limit(rig.j), n);
	rig_run(&rig);
	rig_crash(&rig);
	rig_open(&rig);
	CU_ASSERT_EQUAL(journal_keys(rig.j), n);
	CU_ASSERT_EQUAL(append_keyed(&rig, "k7", HOUR_MS, "x"), 0);
	rig_fini(&rig);
}

/* Where other tables have taken the room there is none for keys; who does not ask is refused. */
static void test_other_tables(void)
{
	struct rig rig;
	static uint8_t partition[5000];
	char name[16];
	begin(&rig);
	int r = 0;
	for (unsigned n = 0; r == 0 && n < 100; n++) {
		partition[0] = (uint8_t)n;
		r = rig_change(&rig, (struct journal_change){.type = JOURNAL_POSITION,
					     .source = (uint32_t)rig.source,
					     .position = 1,
					     .blob = slice_of(partition, sizeof partition)});
	}
	CU_ASSERT_EQUAL(r, -EOVERFLOW);
	CU_ASSERT(!journal_key_room(rig.j));
	r = 0;
	for (unsigned n = 0; r == 0 && n < 1000; n++) {
		snprintf(name, sizeof name, "k%u", n);
		r = append_keyed(&rig, name, HOUR_MS, "x");
	}
	CU_ASSERT_EQUAL(r, -EOVERFLOW);
	rig_fini(&rig);
}

/* What is not appended is not known. */
static void test_refused(void)
{
	struct rig rig;
	static char huge[2 * RIG_SEGMENT];
	begin(&rig);
	memset(huge, 'x', sizeof huge - 1);
	CU_ASSERT_EQUAL(append_keyed(&rig, "a", HOUR_MS, huge), -EMSGSIZE);
	CU_ASSERT(!knows(&rig, "a"));
	CU_ASSERT_EQUAL(journal_keys(rig.j), 0);
	rig_fini(&rig);
}

/* Within a boot a key has exactly the time left that it had, wherever the wall clock was set between. */
static void test_clock_set_within_a_boot(void)
{
	struct rig rig;
	begin(&rig);
	start_anew(&rig, 'b', HOUR_MS, START_MS);
	CU_ASSERT_EQUAL(append_keyed(&rig, "a", HOUR_MS, "x"), 0);
	rig_run(&rig);
	start_anew(&rig, 'b', HOUR_MS + 60000, START_MS + 1000ull * HOUR_MS); /* a minute later */
	CU_ASSERT(knows(&rig, "a"));
	loop_sim_advance(rig.loop, HOUR_MS - 60001);
	CU_ASSERT(knows(&rig, "a"));
	start_anew(&rig, 'b', 2 * HOUR_MS - 1, 5000); /* 1970 */
	CU_ASSERT(knows(&rig, "a"));
	loop_sim_advance(rig.loop, 1);
	CU_ASSERT(!knows(&rig, "a"));
	rig_fini(&rig);
}

/* Over a reboot the wall clock counts, unless it has been set back: then a key has the time left that it had. */
static void test_reboot(void)
{
	struct rig rig;
	begin(&rig);
	start_anew(&rig, 'b', HOUR_MS, START_MS);
	CU_ASSERT_EQUAL(append_keyed(&rig, "a", HOUR_MS, "x"), 0);
	rig_run(&rig);
	start_anew(&rig, 'c', 1000, START_MS + HOUR_MS / 2);
	CU_ASSERT(knows(&rig, "a"));
	/* No clock that has not been set: three times in a row, and the key does not become immortal. */
	for (int i = 0; i < 3; i++) {
		start_anew(&rig, (char)('d' + i), 1000, 5000);
		CU_ASSERT(knows(&rig, "a"));
		loop_sim_advance(rig.loop, HOUR_MS / 8);
		CU_ASSERT_EQUAL(append_keyed(&rig, "b", HOUR_MS, "x"), 0); /* tells how late it is */
		rig_run(&rig);
	}
	loop_sim_advance(rig.loop, HOUR_MS / 8 - 1);
	CU_ASSERT(knows(&rig, "a"));
	loop_sim_advance(rig.loop, 1);
	CU_ASSERT(!knows(&rig, "a") && knows(&rig, "b"));
	/* A clock that has gone forward: nobody can tell from a long time without power. It is told. */
	rig_forget_log();
	start_anew(&rig, 'z', 1000, START_MS + 1000ull * HOUR_MS);
	CU_ASSERT(!knows(&rig, "b"));
	CU_ASSERT_EQUAL(rig_logged("kept=0 boot=other"), 1);
	rig_fini(&rig);
}

/* The lost group had it, and its message; what stands around it stays known. */
static void test_damage(void)
{
	struct rig rig;
	char path[300];
	uint64_t offset;
	begin(&rig);
	CU_ASSERT_EQUAL(append_keyed(&rig, "before", HOUR_MS, "x"), 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(append_keyed(&rig, "the needle", HOUR_MS, "x"), 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(append_keyed(&rig, "after", HOUR_MS, "x"), 0);
	rig_run(&rig);
	rig_crash(&rig);
	CU_ASSERT_FATAL(rig_find(&rig, "the needle", path, &offset));
	sim_disk_flip(rig.sim, path, offset, 4);
	rig_open(&rig);
	CU_ASSERT(rig_logged("event=journal_damage") >= 1);
	CU_ASSERT(knows(&rig, "before") && knows(&rig, "after") && !knows(&rig, "the needle"));
	rig_fini(&rig);
}

static void test_senseless(void)
{
	struct rig rig;
	uint8_t key[JOURNAL_KEY_LEN];
	begin(&rig);
	CU_ASSERT_EQUAL(
		rig_change(
			&rig, (struct journal_change){.type = JOURNAL_KEY, .position = 1, .blob = slice_str("short")}),
		-EINVAL);
	CU_ASSERT_EQUAL(rig_change(&rig, change_of("a", 0, key)), -EINVAL);
	CU_ASSERT_EQUAL(journal_keys(rig.j), 0);
	rig_fini(&rig);
}

static const struct tap_test tests[] = {
	{"the table against a model", test_table},
	{"when the next one expires", test_table_soonest},
	{"another clock", test_table_clock},
	{"keys over crashes and restarts", test_restarts},
	{"keys expire, and may come again", test_time_passes},
	{"keys over many segments", test_rotation},
	{"as many keys as are allowed", test_limit},
	{"as many keys as a CHECKPOINT can hold", test_share_of_a_segment},
	{"room that other tables have taken", test_other_tables},
	{"what is refused is not known", test_refused},
	{"a clock that is set within a boot", test_clock_set_within_a_boot},
	{"a clock that is wrong after a reboot", test_reboot},
	{"damage", test_damage},
	{"changes that make no sense", test_senseless},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("journal keys", tests);
}
