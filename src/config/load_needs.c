/* SPDX-License-Identifier: Apache-2.0
 *
 * needs: the connections that an included file refers to and leaves to the file that includes it. One that is not there,
 * or is of another type, is said once, where the file is included, and not again at each mapping of a file that the user
 * has not written.
 */
#include <string.h>

#include "config/loader.h"
#include "config/memory.h"

static struct node *find_connection(const struct loader *loader, const char *name, size_t *ret_index)
{
	for (size_t i = 0; i < loader->connections.n; i++)
		if (strcmp(loader->connections.items[i].name->text, name) == 0) {
			*ret_index = i;
			return loader->connections.items[i].value;
		}
	return NULL;
}

void loader_gather_needs(struct loader *loader, const struct node *root)
{
	const struct node *needs = node_get(root, "needs");
	for (size_t i = 0; needs && needs->kind == NODE_MAP && i < needs->n; i++) {
		if (needs->items[i]->kind != NODE_SCALAR || needs->items[i]->failed)
			continue; /* reported by the table */
		loader->needs = memory_grow(loader->needs, loader->n_needs, sizeof *loader->needs);
		loader->needs[loader->n_needs++] = (struct loader_need){
			.name = needs->keys[i], .type = needs->items[i], .include = loader->including};
	}
}

static void check_need(struct loader *loader, struct loader_need *need)
{
	const char *name = need->name->text, *type = need->type->text;
	size_t index = 0;
	const struct node *section = find_connection(loader, name, &index);
	const struct node *given = section ? node_get(section, "type") : NULL;
	if (!section && !loader->unread)
		table_mistake(loader->report, need->include, 0,
			"include: '%s' needs a connection of type %s that is called '%s'; define it, as in "
			"connections: "
			"{%s: {type: %s, …}}",
			need->include->text, type, name, name, type);
	need->unmet = !section;
	if (!given || given->kind != NODE_SCALAR || given->failed || strcmp(given->text, type) == 0)
		return;
	table_mistake(loader->report, given, 0,
		"type: '%s', which is included, needs the connection '%s' to be of type %s; call this one otherwise",
		need->include->text, name, type);
	need->unmet = true;
}

void loader_check_needs(struct loader *loader)
{
	for (size_t i = 0; i < loader->n_needs; i++)
		check_need(loader, &loader->needs[i]);
}

bool loader_need_unmet(const struct loader *loader, const struct node *node)
{
	for (size_t i = 0; i < loader->n_needs; i++)
		if (loader->needs[i].unmet && loader->needs[i].name->source == node->source &&
			strcmp(loader->needs[i].name->text, node->text) == 0)
			return true;
	return false;
}
