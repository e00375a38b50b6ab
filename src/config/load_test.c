/* SPDX-License-Identifier: Apache-2.0
 *
 * One entry of `tests:`: its name, which mapping takes part, and its steps, be they written as steps or in the short form.
 */
#include "config/load_test.h"

#include <stdlib.h>
#include <string.h>

#include "config/memory.h"
#include "config/reply.h"
#include "config/sections.h"
#include "config/suggest.h"
#include "config/value.h"
#include "connectors/connector.h"

/* --- names --- */

bool test_takes_part(const struct test_reading *reading, size_t mapping)
{
	return (reading->mapping < 0 || (size_t)reading->mapping == mapping) &&
	       reading->loader->mappings.items[mapping].legs_known;
}

long test_find_connection(
	const struct test_reading *reading, const struct node *node, const char *name, const char *title)
{
	const struct loader_entries *entries = &reading->loader->connections;
	struct suggestion near = {.word = name};
	char list[256] = "";
	size_t len = 0;
	for (size_t i = 0; i < entries->n; i++) {
		const char *known = entries->items[i].name->text;
		if (strcmp(known, name) == 0)
			return (long)i;
		suggest_offer(&near, known);
		if (len < sizeof list)
			len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "", known);
	}
	if (reading->loader->unread || loader_need_unmet(reading->loader, node))
		return -1; /* it may be in the file that could not be read; or that is reported */
	if (near.best)
		table_mistake(reading->loader->report, node, 0, "%s: no connection is called '%s'; did you mean '%s'?",
			title, name, near.best);
	else
		table_mistake(reading->loader->report, node, 0, "%s: no connection is called '%s'; known: %s", title,
			name, len ? list : "none");
	return -1;
}

static void find_mapping(struct test_reading *reading, const struct node *node)
{
	const struct config *config = &reading->loader->own->config;
	struct suggestion near = {.word = reading->test->mapping};
	for (size_t i = 0; i < config->n_mappings; i++) {
		if (!config->mappings[i].name)
			continue;
		if (strcmp(config->mappings[i].name, reading->test->mapping) == 0) {
			reading->mapping = (long)i;
			return;
		}
		suggest_offer(&near, config->mappings[i].name);
	}
	reading->unknown = true;
	if (reading->loader->unread || loader_need_unmet(reading->loader, node))
		return;
	if (near.best)
		table_mistake(reading->loader->report, node, 0, "no mapping is called '%s'; did you mean '%s'?",
			reading->test->mapping, near.best);
	else
		table_mistake(reading->loader->report, node, 0, "no mapping is called '%s'; name one of this file",
			reading->test->mapping);
}

/* --- steps --- */

static struct test_step *add_step(struct test_reading *reading, enum test_step_kind kind, const struct node *node)
{
	struct test_config *test = reading->test;
	test->steps = memory_grow(test->steps, test->n_steps, sizeof *test->steps);
	struct test_step *step = &test->steps[test->n_steps++];
	*step = (struct test_step){.kind = kind};
	LOADER_PLACE(step, node);
	return step;
}

static void read_links(struct test_reading *reading, const struct node *node)
{
	if (!node || node->kind != NODE_MAP)
		return;
	struct test_step *step = add_step(reading, STEP_LINK, node);
	step->links = memory_zero((node->n + 1) * sizeof *step->links);
	for (size_t i = 0; i < node->n; i++) {
		char message[VALUE_MESSAGE];
		const struct node *item = node->items[i];
		long connection = test_find_connection(reading, node->keys[i], node->keys[i]->text, "link");
		int state;
		if (item->kind != NODE_SCALAR || item->failed)
			continue; /* reported by the table */
		struct value_text in = {item->text, item->secret || item->interpolated, message};
		const char *wrong = value_choice(&in, test_link_names, &state);
		if (wrong)
			table_mistake(reading->loader->report, item, 0, "link: %s", wrong);
		else if (connection >= 0)
			step->links[step->n++] = (struct test_link){(size_t)connection, state == 1};
	}
}

static bool is_written_to(const struct test_reading *reading, size_t connection)
{
	const struct config *config = &reading->loader->own->config;
	bool any = reading->unknown;
	for (size_t i = 0; i < config->n_mappings; i++)
		any |= test_takes_part(reading, i) && mapping_writes_to(config, &config->mappings[i], connection);
	return any;
}

static void read_answers_of(struct test_reading *reading, const struct node *node, struct test_answers *answers)
{
	bool list = node->kind == NODE_LIST;
	answers->items = memory_zero((node->n + 1) * sizeof *answers->items);
	for (size_t i = 0; i < (list ? node->n : 1); i++) {
		char message[VALUE_MESSAGE];
		const struct node *item = list ? node->items[i] : node;
		const char *text = table_text(reading->loader->report, item, "answer");
		int answer;
		if (!text)
			continue;
		struct value_text in = {text, item->secret || item->interpolated, message};
		const char *wrong = value_choice(&in, test_answer_names, &answer);
		if (wrong)
			table_mistake(reading->loader->report, item, 0, "answer: %s", wrong);
		else
			answers->items[answers->n++] = (enum test_answer)answer;
	}
}

static void read_answers(struct test_reading *reading, const struct node *node)
{
	if (!node || !table_expect_map(reading->loader->report, node, "answer"))
		return;
	struct test_step *step = add_step(reading, STEP_ANSWER, node);
	step->answers = memory_zero((node->n + 1) * sizeof *step->answers);
	for (size_t i = 0; i < node->n; i++) {
		const struct node *name = node->keys[i];
		long connection = test_find_connection(reading, name, name->text, "answer");
		if (connection < 0)
			continue;
		if (!is_written_to(reading, (size_t)connection))
			table_mistake(reading->loader->report, name, 0,
				"answer: no mapping of this test writes to '%s', so there is nothing to answer; name a "
				"destination",
				name->text);
		struct test_answers *answers = &step->answers[step->n++];
		answers->connection = (size_t)connection;
		read_answers_of(reading, node->items[i], answers);
	}
}

static void read_given(struct test_reading *reading, const struct node *node)
{
	if (!node)
		return;
	bool list = node->kind == NODE_LIST;
	if (list && node->n == 0)
		table_mistake(
			reading->loader->report, node, 0, "given is an empty list; write a message as {topic: …}");
	struct test_step *step = add_step(reading, STEP_GIVEN, node);
	step->given = memory_zero((node->n + 1) * sizeof *step->given);
	for (size_t i = 0; i < (list ? node->n : 1); i++) {
		const struct node *item = list ? node->items[i] : node;
		if (table_expect_map(reading->loader->report, item, "given"))
			test_read_given(reading, item, &step->given[step->n++]);
	}
}

static void read_expect(struct test_reading *reading, const struct node *node, bool in_the_end)
{
	if (!node)
		return;
	bool list = node->kind == NODE_LIST;
	if (node->kind == NODE_SCALAR || (!list && node->n == 0)) {
		if (!node->failed)
			table_mistake(reading->loader->report, node, 0,
				"expect is no message; write one as {topic: …}, several as a list, [] for none and "
				"[{}] "
				"for any");
		return;
	}
	struct test_step *step = add_step(reading, STEP_EXPECT, node);
	step->in_the_end = in_the_end;
	step->expected = memory_zero((node->n + 1) * sizeof *step->expected);
	for (size_t i = 0; i < (list ? node->n : 1); i++) {
		const struct node *item = list ? node->items[i] : node;
		if (table_expect_map(reading->loader->report, item, "a message of expect"))
			test_read_expected(reading, item, &step->expected[step->n++]);
	}
}

/* One thing, so that what comes before what is never in doubt. */
static void read_step(struct test_reading *reading, const struct node *node)
{
	if (!table_expect_map(reading->loader->report, node, "a step"))
		return;
	struct section_step section = {.wait_ms = 0};
	struct config_scope scope = {
		.report = reading->loader->report,
		.node = node,
		.anchor = node,
		.title = "this step",
		.elsewhere = section_step_elsewhere,
		.parts = {{section_step_keys, &section}},
	};
	table_read(&scope);
	if (node->n != 1 && !scope.failed)
		table_mistake(reading->loader->report, node, 0,
			"a step is one thing: link, answer, given, wait, restart or expect; give each a step of its "
			"own");
	read_links(reading, node_get(node, "link"));
	read_answers(reading, node_get(node, "answer"));
	read_given(reading, node_get(node, "given"));
	const struct node *wait = node_get(node, "wait"), *restart = node_get(node, "restart");
	if (wait && !wait->failed)
		add_step(reading, STEP_WAIT, wait)->wait_ms = section.wait_ms;
	if (restart && !restart->failed && !section.restart)
		table_mistake(reading->loader->report, restart, 0, "restart: write true, or leave the step out");
	else if (restart && !restart->failed)
		(void)add_step(reading, STEP_RESTART, restart);
	read_expect(reading, node_get(node, "expect"), false);
	table_free(section_step_keys, &section);
}

static void read_steps(struct test_reading *reading, const struct node *test, const struct node *steps)
{
	static const char *const short_form[] = {"link", "answer", "given", "expect"};
	for (size_t i = 0; i < sizeof short_form / sizeof short_form[0]; i++)
		for (size_t k = 0; k < test->n; k++)
			if (strcmp(test->keys[k]->text, short_form[i]) == 0)
				table_mistake(reading->loader->report, test->keys[k], 0,
					"'%s' beside 'steps'; make it a step", short_form[i]);
	if (steps->kind != NODE_LIST) {
		if (!steps->failed)
			table_mistake(reading->loader->report, steps, 0,
				"steps is no list; write each step as '- given: …' or '- expect: …'");
		return;
	}
	for (size_t i = 0; i < steps->n; i++)
		read_step(reading, steps->items[i]);
}

static bool has_expect(const struct node *node)
{
	const struct node *steps = node_get(node, "steps");
	bool any = node_get(node, "expect") != NULL;
	for (size_t i = 0; steps && steps->kind == NODE_LIST && i < steps->n; i++)
		any |= node_get(steps->items[i], "expect") != NULL;
	return any || (steps && steps->kind != NODE_LIST);
}

static void read_body(struct test_reading *reading, const struct node *node, bool failed)
{
	const struct node *steps = node_get(node, "steps");
	if (steps) {
		read_steps(reading, node, steps);
	} else {
		read_links(reading, node_get(node, "link"));
		read_answers(reading, node_get(node, "answer"));
		read_given(reading, node_get(node, "given"));
		read_expect(reading, node_get(node, "expect"), true);
		if (!node_get(node, "given") && !failed)
			table_mistake(reading->loader->report, node, 0,
				"%s gives nothing: write given: {topic: …}, or steps", reading->title);
	}
	if (!has_expect(node) && !failed)
		table_mistake(reading->loader->report, node, 0,
			"%s expects nothing; write expect: with a list of messages, [] for none", reading->title);
}

static bool are_unknown(const struct loader *loader)
{
	bool unknown = loader->unread;
	for (size_t i = 0; i < loader->mappings.n; i++)
		unknown |= !loader->mappings.items[i].legs_known;
	return unknown;
}

void loader_read_test(struct loader *loader, const struct node *node)
{
	if (!table_expect_map(loader->report, node, "a test"))
		return;
	struct config *config = &loader->own->config;
	config->tests = memory_grow(config->tests, config->n_tests, sizeof *config->tests);
	struct test_config *test = &config->tests[config->n_tests++];
	*test = (struct test_config){.name = NULL};
	LOADER_PLACE(test, node);
	struct section_test section = {.name = NULL};
	struct config_scope scope = {
		.report = loader->report,
		.node = node,
		.anchor = node,
		.title = "this test",
		.elsewhere = section_test_elsewhere,
		.parts = {{section_test_keys, &section}},
	};
	size_t before = report_mistakes(loader->report);
	table_read(&scope);
	test->name = section.name;
	test->mapping = section.mapping;
	char *title = test->name ? memory_format("test '%s'", test->name) : memory_text("this test");
	struct test_reading reading = {loader, test, title, -1, are_unknown(loader)};
	if (test->mapping)
		find_mapping(&reading, node_get(node, "mapping"));
	read_body(&reading, node, report_mistakes(loader->report) != before);
	section.name = section.mapping = NULL;
	table_free(section_test_keys, &section);
	free(title);
}

static size_t find_split(const struct config *config, const char *name)
{
	size_t i = 0;
	while (strcmp(config->connections[i].name, name) != 0)
		i++;
	return i;
}

void loader_resolve_tests(struct config *config)
{
	for (size_t t = 0; t < config->n_tests; t++)
		for (size_t s = 0; s < config->tests[t].n_steps; s++) {
			struct test_step *step = &config->tests[t].steps[s];
			for (size_t i = 0; step->expected && i < step->n; i++)
				if (step->expected[i].to == SIZE_MAX)
					step->expected[i].to = find_split(config, step->expected[i].connection);
		}
}
