/* SPDX-License-Identifier: Apache-2.0
 *
 * The conformance suite's main part: which tests this peer can play, and what they share.
 */
#include "tests/conformance/suite.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"

#define MAX_TESTS 64

const struct peer *suite_peer;

/* --- the log -------------------------------------------------------------------------------------------------- */

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static char *log_text; /* all lines of the current test; guarded by log_mutex */
static size_t log_size;

static void on_log(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	size_t len = strlen(line);
	pthread_mutex_lock(&log_mutex);
	char *text = realloc(log_text, log_size + len + 2);
	if (text) {
		memcpy(text + log_size, line, len);
		log_size += len;
		text[log_size++] = '\n';
		text[log_size] = '\0';
		log_text = text;
	}
	pthread_mutex_unlock(&log_mutex);
}

static void log_forget(void)
{
	pthread_mutex_lock(&log_mutex);
	if (getenv("V") && log_text)
		fprintf(stderr, "%s", log_text);
	free(log_text);
	log_text = NULL;
	log_size = 0;
	pthread_mutex_unlock(&log_mutex);
}

bool suite_logged(const struct fake_host *fake, const char *word)
{
	char name[64];
	snprintf(name, sizeof name, "connection=%s ", fake->name);
	bool found = false;
	pthread_mutex_lock(&log_mutex);
	for (char *line = log_text; line && *line && !found;) {
		char *end = strchr(line, '\n');
		*end = '\0';
		found = strstr(line, name) && (!word || strstr(line, word));
		*end = '\n';
		line = end + 1;
	}
	pthread_mutex_unlock(&log_mutex);
	return found;
}

struct log_wanted {
	const struct fake_host *fake;
	const char *word;
};

static bool is_logged(void *arg)
{
	const struct log_wanted *wanted = arg;
	return suite_logged(wanted->fake, wanted->word) || (!wanted->word && wanted->fake->alarms > 0);
}

bool suite_run_until_logged(struct fake_host *fake, const char *word)
{
	struct log_wanted wanted = {fake, word};
	return fake_host_run_until(fake, is_logged, &wanted);
}

/* --- links and messages --------------------------------------------------------------------------------------- */

static struct fake_journal journal; /* of the current test */

bool suite_repeats_allowed(void)
{
	return !suite_peer->exactly_once;
}

struct fake_host *suite_link(bool with_source)
{
	with_source = with_source && suite_peer->subscription;
	struct fake_host *fake = fake_host_new(suite_peer->connector, suite_peer->settings(),
		suite_peer->connector->can_sink, with_source ? suite_peer->subscription : NULL, with_source ? 1 : 0);
	fake->journal = &journal;
	return fake;
}

void suite_end(struct fake_host *fake)
{
	if (!fake->stops)
		CU_ASSERT_TRUE(fake_host_stop(fake));
	CU_ASSERT_EQUAL(fake->breaches, 0);
	fake_host_free(fake);
}

struct message_view suite_message(struct slice payload)
{
	return (struct message_view){
		.topic = slice_str(suite_peer->target),
		.payload = payload,
		.key = slice_str("k"),
		.order_key = slice_str("k"),
		.qos = suite_peer->qos,
		.origin_ms = 1700000000000,
	};
}

void suite_deliver_numbers(struct fake_host *fake, unsigned first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char text[16];
		snprintf(text, sizeof text, "%u", first + i);
		struct message_view view = suite_message(slice_str(text));
		fake_host_deliver(fake, &view);
	}
}

static bool has_arrived(void *arg)
{
	return suite_peer->arrived()->n >= *(size_t *)arg;
}

bool suite_run_until_arrived(struct fake_host *fake, size_t n)
{
	return fake_host_run_until(fake, has_arrived, &n);
}

unsigned suite_number(struct slice payload)
{
	unsigned number = 0;
	CU_ASSERT_TRUE_FATAL(payload.len > 0 && payload.len < 9);
	for (size_t i = 0; i < payload.len; i++) {
		CU_ASSERT_TRUE_FATAL(payload.data[i] >= '0' && payload.data[i] <= '9');
		number = number * 10 + (unsigned)(payload.data[i] - '0');
	}
	return number;
}

struct numbers_wanted {
	bool *seen;
	size_t n, distinct, looked_at;
};

static bool have_arrived(void *arg)
{
	struct numbers_wanted *wanted = arg;
	const struct arrivals *arrivals = suite_peer->arrived();
	for (; wanted->looked_at < arrivals->n; wanted->looked_at++) {
		unsigned number = suite_number(message_view(arrivals->items[wanted->looked_at])->payload);
		if (number >= wanted->n || wanted->seen[number])
			continue;
		wanted->seen[number] = true;
		wanted->distinct++;
	}
	return wanted->distinct == wanted->n;
}

bool suite_run_until_numbers(struct fake_host *fake, unsigned n)
{
	struct numbers_wanted wanted = {.seen = calloc(n, sizeof(bool)), .n = n};
	bool all = fake_host_run_until(fake, have_arrived, &wanted);
	free(wanted.seen);
	return all;
}

void suite_check_numbers(struct message *const *items, size_t n_items, unsigned n, bool repeats_allowed)
{
	size_t *last = calloc(n, sizeof *last);
	unsigned repeated = 0, missing = 0, disordered = 0;
	for (size_t i = 0; i < n_items; i++) {
		unsigned number = suite_number(message_view(items[i])->payload);
		CU_ASSERT_TRUE_FATAL(number < n);
		repeated += last[number] != 0;
		last[number] = i + 1;
	}
	for (unsigned i = 0; i < n; i++) {
		missing += last[i] == 0;
		disordered += i > 0 && last[i] < last[i - 1];
	}
	CU_ASSERT_EQUAL(missing, 0);
	CU_ASSERT_EQUAL(disordered, 0);
	CU_ASSERT_TRUE(repeated == 0 || repeats_allowed);
	if (missing || disordered || repeated)
		printf("# of %u numbers: %u missing, %u out of order, %u repeated\n", n, missing, disordered, repeated);
	free(last);
}

unsigned suite_count(const struct fake_host *fake, enum outcome_kind kind)
{
	unsigned n = 0;
	for (uint64_t seq = 1; seq <= fake->n_deliveries; seq++) {
		const struct fake_delivery *item = fake_host_delivery(fake, seq);
		n += item->state == FAKE_ENDED && item->outcome == kind;
	}
	return n;
}

/* --- main ----------------------------------------------------------------------------------------------------- */

static unsigned abilities(void)
{
	unsigned can = 0;
	can |= suite_peer->connector->can_sink && suite_peer->target ? NEEDS_SINK : 0;
	can |= suite_peer->connector->can_source && suite_peer->subscription ? NEEDS_SOURCE : 0;
	can |= suite_peer->lose ? NEEDS_LOSE : 0;
	can |= suite_peer->slow ? NEEDS_SLOW : 0;
	can |= suite_peer->wrong_credentials ? NEEDS_CREDENTIALS : 0;
	can |= suite_peer->repeats ? NEEDS_REPEATS : 0;
	return can;
}

/* CUnit's tests have no argument, so each finds itself by its turn. */
static const struct suite_test *chosen[MAX_TESTS];
static size_t n_chosen, turn;

static void run_next(void)
{
	suite_peer->begin();
	chosen[turn++]->run();
	suite_peer->end();
	fake_journal_clear(&journal);
	log_forget();
}

static void choose(const struct suite_test *tests)
{
	for (; tests->name; tests++)
		if ((tests->needs & ~abilities()) == 0 && n_chosen < MAX_TESTS)
			chosen[n_chosen++] = tests;
}

int conformance_main(const struct peer *peer)
{
	suite_peer = peer;
	const char *why = peer->unavailable ? peer->unavailable() : NULL;
	if (why) {
		printf("1..0 # SKIP %s\n", why);
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	log_set_sink(on_log, NULL);
	choose(suite_life_tests);
	choose(suite_sink_tests);
	choose(suite_source_tests);
	struct tap_test tests[MAX_TESTS + 1] = {{NULL, NULL}};
	for (size_t i = 0; i < n_chosen; i++)
		tests[i] = (struct tap_test){chosen[i]->name, run_next};
	int status = tap_main(peer->name, tests);
	log_set_sink(NULL, NULL);
	return status;
}
