/* SPDX-License-Identifier: Apache-2.0
 *
 * What is expected and what has happened are laid beside each other for each destination and kind of outcome. What is left on
 * both sides may be the same message at another place: then it is out of order, or has gone elsewhere, and is told as that.
 */
#define _GNU_SOURCE /* asprintf */
#include "simulation/trial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation/alignment.h"
#include "simulation/comparison.h"
#include "simulation/simulation.h"

#define INDENT "  "

/* An expectation or an event, in its row: those of one destination and one outcome. */
struct item {
	size_t connection;
	enum test_outcome outcome;
	size_t ordinal; /* in the row, from 1 */
	size_t partner; /* on the other side, at the same place; ALIGNMENT_NONE: none */
	bool settled; /* nothing is left to say of it */
};

struct expecting {
	const struct config *config;
	const struct test_step *step;
	const struct simulation_event *events;
	struct trial *trial;
	struct item *wants, *gots;
	size_t n_wants, n_gots;
	size_t *row_wants, *row_gots; /* indices of one row, scratch */
	bool failed;
	int error;
};

/* --- failures -------------------------------------------------------------------------------------------------------- */

/* Takes the text. */
static int add_failure(struct trial *trial, const char *file, int line, char *text)
{
	struct trial_failure *failures =
		text ? realloc(trial->failures, (trial->n_failures + 1) * sizeof *failures) : NULL;
	if (!failures) {
		free(text);
		return -ENOMEM;
	}
	trial->failures = failures;
	failures[trial->n_failures++] = (struct trial_failure){file, line, text};
	return 0;
}

struct telling {
	FILE *out;
	char *text;
	size_t len;
};

static FILE *begin_text(struct expecting *expecting, struct telling *telling)
{
	*telling = (struct telling){.out = NULL};
	telling->out = open_memstream(&telling->text, &telling->len);
	if (!telling->out)
		expecting->error = -ENOMEM;
	expecting->failed = true;
	return telling->out;
}

/* want: the expectation that it is about; ALIGNMENT_NONE: the whole list. */
static void end_text(struct expecting *expecting, struct telling *telling, size_t want)
{
	const struct test_step *step = expecting->step;
	const struct test_expected *expected = want == ALIGNMENT_NONE ? NULL : &step->expected[want];
	bool good = fclose(telling->out) == 0;
	if (!good) {
		free(telling->text);
		expecting->error = -ENOMEM;
	} else if (add_failure(expecting->trial, expected ? expected->file : step->file,
			   expected ? expected->line : step->line, telling->text) < 0) {
		expecting->error = -ENOMEM;
	}
}

static const char *name_of(const struct expecting *expecting, size_t connection)
{
	return expecting->config->connections[connection].name;
}

static size_t row_length(const struct item *items, size_t n, const struct item *like)
{
	size_t length = 0;
	for (size_t i = 0; i < n; i++)
		length += items[i].connection == like->connection && items[i].outcome == like->outcome;
	return length;
}

static const char *noun(enum test_outcome outcome)
{
	static const char *const nouns[] = {"message", "dead letter", "expired message", "dropped message"};
	return nouns[outcome];
}

/* "'lake', message 2 of 3" */
static void put_place(FILE *out, const struct expecting *expecting, const struct item *want)
{
	fprintf(out, "'%s', %s %zu of %zu", name_of(expecting, want->connection), noun(want->outcome), want->ordinal,
		row_length(expecting->wants, expecting->n_wants, want));
}

static void tell_difference(struct expecting *expecting, size_t want)
{
	struct telling telling;
	struct item *item = &expecting->wants[want];
	FILE *out = begin_text(expecting, &telling);
	if (!out)
		return;
	put_place(out, expecting, item);
	fputs(" is another one:\n", out);
	(void)comparison_equal(
		expecting->config, &expecting->step->expected[want], &expecting->events[item->partner], out, INDENT);
	end_text(expecting, &telling, want);
}

static void tell_missing(struct expecting *expecting, size_t want)
{
	struct telling telling;
	FILE *out = begin_text(expecting, &telling);
	if (!out)
		return;
	put_place(out, expecting, &expecting->wants[want]);
	fputs(" is missing:\n" INDENT, out);
	comparison_show_expected(expecting->config, &expecting->step->expected[want], out);
	fputc('\n', out);
	end_text(expecting, &telling, want);
}

static void tell_extra(struct expecting *expecting, size_t got)
{
	struct telling telling;
	const struct item *item = &expecting->gots[got];
	FILE *out = begin_text(expecting, &telling);
	if (!out)
		return;
	fprintf(out, "'%s': %s that is not expected:\n" INDENT, name_of(expecting, item->connection),
		noun(item->outcome));
	comparison_show_event(expecting->config, &expecting->events[got], out);
	fputc('\n', out);
	end_text(expecting, &telling, ALIGNMENT_NONE);
}

static void tell_elsewhere(struct expecting *expecting, size_t want, size_t got)
{
	struct telling telling;
	const struct item *a = &expecting->wants[want], *b = &expecting->gots[got];
	FILE *out = begin_text(expecting, &telling);
	if (!out)
		return;
	put_place(out, expecting, a);
	if (a->connection == b->connection && a->outcome == b->outcome)
		fprintf(out, " is out of order, it came as %zu of %zu:\n" INDENT, b->ordinal,
			row_length(expecting->gots, expecting->n_gots, b));
	else if (a->connection == b->connection)
		fprintf(out, " is %s %s instead:\n" INDENT, b->outcome == TEST_EXPIRED ? "an" : "a", noun(b->outcome));
	else
		fprintf(out, " went to '%s' instead%s:\n" INDENT, name_of(expecting, b->connection),
			b->outcome == TEST_DEAD_LETTER ? ", as a dead letter" : "");
	comparison_show_event(expecting->config, &expecting->events[got], out);
	fputc('\n', out);
	end_text(expecting, &telling, want);
}

/* --- rows ------------------------------------------------------------------------------------------------------------- */

static bool is_same(void *arg, size_t want, size_t got)
{
	struct expecting *expecting = arg;
	return comparison_equal(expecting->config, &expecting->step->expected[expecting->row_wants[want]],
		&expecting->events[expecting->row_gots[got]], NULL, "");
}

static size_t list_row(struct item *items, size_t n, const struct item *like, size_t *indices)
{
	size_t length = 0;
	for (size_t i = 0; i < n; i++)
		if (items[i].connection == like->connection && items[i].outcome == like->outcome) {
			indices[length++] = i;
			items[i].ordinal = length;
		}
	return length;
}

static void align_row(struct expecting *expecting, const struct item *like)
{
	size_t n_wants = list_row(expecting->wants, expecting->n_wants, like, expecting->row_wants);
	size_t n_gots = list_row(expecting->gots, expecting->n_gots, like, expecting->row_gots), n = 0;
	struct alignment_pair *pairs = alignment_new(n_wants, n_gots, is_same, expecting, &n);
	if (!pairs)
		expecting->error = -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		size_t want = pairs[i].want == ALIGNMENT_NONE ? ALIGNMENT_NONE : expecting->row_wants[pairs[i].want];
		size_t got = pairs[i].got == ALIGNMENT_NONE ? ALIGNMENT_NONE : expecting->row_gots[pairs[i].got];
		if (want != ALIGNMENT_NONE) {
			expecting->wants[want].partner = got;
			expecting->wants[want].settled = pairs[i].same;
		}
		if (got != ALIGNMENT_NONE) {
			expecting->gots[got].partner = want;
			expecting->gots[got].settled = pairs[i].same;
		}
	}
	free(pairs);
}

static void align_all(struct expecting *expecting)
{
	for (size_t i = 0; i < expecting->n_wants; i++)
		if (expecting->wants[i].ordinal == 0)
			align_row(expecting, &expecting->wants[i]);
	for (size_t i = 0; i < expecting->n_gots; i++)
		if (expecting->gots[i].ordinal == 0)
			align_row(expecting, &expecting->gots[i]);
}

/* The same message at another place; in its row first. */
static size_t find_elsewhere(struct expecting *expecting, size_t want, bool in_row)
{
	const struct item *item = &expecting->wants[want];
	for (size_t i = 0; i < expecting->n_gots; i++) {
		const struct item *got = &expecting->gots[i];
		bool same_row = got->connection == item->connection && got->outcome == item->outcome;
		if (!got->settled && same_row == in_row &&
			comparison_equal(
				expecting->config, &expecting->step->expected[want], &expecting->events[i], NULL, ""))
			return i;
	}
	return ALIGNMENT_NONE;
}

static void settle_elsewhere(struct expecting *expecting, bool in_row)
{
	for (size_t want = 0; want < expecting->n_wants; want++) {
		size_t got = expecting->wants[want].settled ? ALIGNMENT_NONE : find_elsewhere(expecting, want, in_row);
		if (got == ALIGNMENT_NONE)
			continue;
		tell_elsewhere(expecting, want, got);
		expecting->wants[want].settled = expecting->gots[got].settled = true;
	}
}

static void tell_rest(struct expecting *expecting)
{
	for (size_t want = 0; want < expecting->n_wants; want++) {
		struct item *item = &expecting->wants[want];
		if (item->settled)
			continue;
		if (item->partner != ALIGNMENT_NONE && !expecting->gots[item->partner].settled) {
			tell_difference(expecting, want);
			expecting->gots[item->partner].settled = true;
		} else {
			tell_missing(expecting, want);
		}
	}
	for (size_t got = 0; got < expecting->n_gots; got++)
		if (!expecting->gots[got].settled)
			tell_extra(expecting, got);
}

/* --- expect ----------------------------------------------------------------------------------------------------------- */

static int list_items(struct expecting *expecting)
{
	const struct test_step *step = expecting->step;
	expecting->n_wants = step->n;
	expecting->wants = calloc(step->n + 1, sizeof *expecting->wants);
	expecting->gots = calloc(expecting->n_gots + 1, sizeof *expecting->gots);
	expecting->row_wants = calloc(step->n + 1, sizeof(size_t));
	expecting->row_gots = calloc(expecting->n_gots + 1, sizeof(size_t));
	if (!expecting->wants || !expecting->gots || !expecting->row_wants || !expecting->row_gots)
		return -ENOMEM;
	for (size_t i = 0; i < step->n; i++)
		expecting->wants[i] = (struct item){.connection = step->expected[i].to,
			.outcome = (enum test_outcome)step->expected[i].outcome,
			.partner = ALIGNMENT_NONE};
	for (size_t i = 0; i < expecting->n_gots; i++)
		expecting->gots[i] = (struct item){.connection = expecting->events[i].connection,
			.outcome = expecting->events[i].outcome,
			.partner = ALIGNMENT_NONE};
	return 0;
}

static int check(
	const struct config *config, const struct test_step *step, struct simulation *simulation, struct trial *trial)
{
	struct expecting expecting = {.config = config, .step = step, .trial = trial};
	expecting.events = simulation_events(simulation, &expecting.n_gots);
	expecting.error = list_items(&expecting);
	if (expecting.error == 0) {
		align_all(&expecting);
		settle_elsewhere(&expecting, true);
		settle_elsewhere(&expecting, false);
		tell_rest(&expecting);
	}
	const char *refused = simulation_refused(simulation);
	if (expecting.failed && refused)
		expecting.error = add_failure(trial, step->file, step->line, strdup(refused));
	free(expecting.wants);
	free(expecting.gots);
	free(expecting.row_wants);
	free(expecting.row_gots);
	simulation_forget(simulation);
	return expecting.error;
}

/* --- steps ------------------------------------------------------------------------------------------------------------ */

static int settle(const struct test_step *step, struct simulation *simulation, struct trial *trial)
{
	char *what = NULL;
	if (simulation_settle(simulation, &what))
		return 0;
	return add_failure(trial, step->file, step->line, what);
}

static int do_step(
	const struct config *config, const struct test_step *step, struct simulation *simulation, struct trial *trial)
{
	int r = 0;
	switch (step->kind) {
	case STEP_LINK:
		for (size_t i = 0; i < step->n; i++)
			simulation_link(simulation, step->links[i].connection, step->links[i].up);
		return 0;
	case STEP_ANSWER:
		for (size_t i = 0; r == 0 && i < step->n; i++)
			r = simulation_answer(simulation, &step->answers[i]);
		return r;
	case STEP_GIVEN:
		for (size_t i = 0; r == 0 && i < step->n; i++)
			r = simulation_give(simulation, &step->given[i]);
		return r;
	case STEP_WAIT:
		simulation_wait(simulation, step->wait_ms);
		trial->simulated_ms += step->wait_ms;
		return 0;
	case STEP_RESTART:
		return simulation_restart(simulation);
	case STEP_EXPECT:
		if (step->in_the_end)
			r = settle(step, simulation, trial);
		return r < 0 ? r : check(config, step, simulation, trial);
	}
	return 0;
}

static int fail_to_run(const struct test_config *test, struct trial *trial, int error, const char *why)
{
	char *text = NULL;
	if (asprintf(&text, "it cannot be run: %s\n" INDENT "%s", strerror(-error), why ? why : "") < 0)
		return error;
	int r = add_failure(trial, test->file, test->line, text);
	(void)r; /* it is told if there is memory for that */
	return error;
}

int trial_run(const struct config *config, const struct test_config *test, struct trial *ret_trial)
{
	struct simulation *simulation;
	char *why;
	*ret_trial = (struct trial){.n_failures = 0};
	int r = simulation_open(config, test->mapping, &simulation, &why);
	if (r < 0) {
		r = fail_to_run(test, ret_trial, r, why);
		free(why);
		return r;
	}
	for (size_t i = 0; r == 0 && i < test->n_steps; i++)
		r = do_step(config, &test->steps[i], simulation, ret_trial);
	if (r < 0)
		r = fail_to_run(test, ret_trial, r, NULL);
	simulation_close(simulation);
	return r;
}

void trial_free(struct trial *trial)
{
	for (size_t i = 0; i < trial->n_failures; i++)
		free(trial->failures[i].text);
	free(trial->failures);
	*trial = (struct trial){.n_failures = 0};
}
