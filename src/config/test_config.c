/* SPDX-License-Identifier: Apache-2.0
 *
 * What a test holds. Any thread; nothing blocks.
 */
#include "config/test_config.h"

#include <stdlib.h>

#include "config/sections.h"
#include "config/table.h"

static void free_list(struct config_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->items[i].name);
		free(list->items[i].value);
	}
	free(list->items);
}

static void free_step(struct test_step *step)
{
	for (size_t i = 0; step->answers && i < step->n; i++)
		free(step->answers[i].items);
	for (size_t i = 0; step->given && i < step->n; i++) {
		table_free(section_given_keys, &step->given[i]);
		free(step->given[i].decoded);
	}
	for (size_t i = 0; step->expected && i < step->n; i++) {
		struct test_expected *expected = &step->expected[i];
		table_free(section_expected_keys, expected);
		free_list(&expected->params);
		free(expected->target);
		free(expected->decoded);
	}
	free(step->links);
	free(step->answers);
	free(step->given);
	free(step->expected);
}

void test_config_free(struct test_config *test)
{
	for (size_t i = 0; i < test->n_steps; i++)
		free_step(&test->steps[i]);
	free(test->steps);
	free(test->name);
	free(test->mapping);
}

struct slice test_given_payload(const struct test_given *given)
{
	if (given->null_payload)
		return (struct slice){NULL, 0};
	if (given->decoded)
		return slice_of(given->decoded, given->n_decoded);
	return slice_str(given->payload ? given->payload : "");
}

struct slice test_expected_payload(const struct test_expected *expected, bool *ret_said)
{
	*ret_said = expected->payload || expected->decoded || (expected->says_null && expected->null_payload);
	if (expected->decoded)
		return slice_of(expected->decoded, expected->n_decoded);
	return slice_str(expected->payload);
}
