/* SPDX-License-Identifier: Apache-2.0
 *
 * Gathers, compiles once, complains.
 */
#include "config/program_list.h"

#include <errno.h>
#include <stdlib.h>

#include "config/memory.h"
#include "config/report.h"
#include "config/table_value.h"
#include "routing/transform.h"

void program_list_add(
	struct program_list *list, const struct table_captures *captures, const struct node *node, const char *name)
{
	struct transform *transform;
	if (transform_new(list->pool, node->text, captures->names, captures->n, &transform) != 0)
		memory_out();
	list->entries = memory_grow(list->entries, list->n, sizeof *list->entries);
	list->entries[list->n++] = (struct program_entry){captures, node, name, list->mapping, transform};
}

void program_list_check(
	struct program_list *list, struct report *report, void (*on_wrong)(void *arg, size_t mapping), void *arg)
{
	if (jq_pool_compile(list->pool) == -ENOMEM)
		memory_out();
	for (size_t i = 0; i < list->n; i++) {
		const struct program_entry *entry = &list->entries[i];
		int line;
		const char *wrong = transform_complaint(entry->transform, &line);
		if (!wrong) {
			table_doubt_jq(report, entry->captures, entry->node, entry->name);
			continue;
		}
		table_complain_jq(report, entry->captures, entry->node, entry->name, wrong, line);
		on_wrong(arg, entry->mapping);
	}
}

void program_list_free(struct program_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		transform_free(list->entries[i].transform);
	free(list->entries);
}
