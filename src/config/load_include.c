/* SPDX-License-Identifier: Apache-2.0
 *
 * include: a name without a slash and without .yaml is a ready-made file of $LINKSPAN_MAPPINGS or of the installation;
 * anything else is a path that starts at the folder of the file that names it. A file that includes itself, directly or
 * through others, is a mistake; one that is reached twice on different ways is read once.
 */
#define _GNU_SOURCE
#include "config/load_include.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/memory.h"
#include "config/sections.h"
#include "config/suggest.h"

#define MAX_DEPTH (sizeof((struct loader *)0)->chain / sizeof(struct source *))

static const struct node *read_file(struct loader *loader, struct source *source);

static void gather(struct loader_entries *entries, const struct node *name, struct node *value)
{
	entries->items = memory_grow(entries->items, entries->n, sizeof *entries->items);
	entries->items[entries->n++] = (struct loader_entry){.name = name, .value = value};
}

static void gather_connections(struct loader *loader, const struct node *root)
{
	const struct node *node = node_get(root, "connections");
	if (node && node->kind == NODE_LIST) {
		table_mistake(loader->report, node, 0,
			"connections is a list; write each as its name and a colon, and below that its keys, without a "
			"'-'");
		loader->unread = true;
		return;
	}
	if (!node || !table_expect_map(loader->report, node, "connections")) {
		loader->unread |= node != NULL;
		return;
	}
	for (size_t i = 0; i < node->n; i++)
		gather(&loader->connections, node->keys[i], node->items[i]);
}

static void gather_list(
	struct loader *loader, const struct node *root, const char *name, struct loader_entries *entries)
{
	const struct node *node = node_get(root, name);
	if (node && node->kind == NODE_LIST)
		for (size_t i = 0; i < node->n; i++)
			gather(entries, NULL, node->items[i]);
	else if (node && !node->failed)
		table_mistake(loader->report, node, 0, "%s is no list; write each entry as '- name: …'", name);
	loader->unread |= node && node->kind != NODE_LIST;
}

/* --- finding the file --- */

static bool is_ready_made(const char *text)
{
	size_t len = strlen(text);
	return !strchr(text, '/') && !(len > 5 && strcmp(text + len - 5, ".yaml") == 0) &&
	       !(len > 4 && strcmp(text + len - 4, ".yml") == 0);
}

static const char *mappings_dir(const struct loader *loader)
{
	const char *set = getenv("LINKSPAN_MAPPINGS");
	if (loader->options->mappings_dir)
		return loader->options->mappings_dir;
	return set && *set ? set : LINKSPAN_DATADIR "/mappings";
}

/* The path as messages print it: as short as the user's own paths are. */
static char *include_path(const struct loader *loader, const struct node *node)
{
	if (is_ready_made(node->text))
		return memory_format("%s/%s.yaml", mappings_dir(loader), node->text);
	const char *slash = strrchr(node->source->path, '/');
	if (*node->text == '/' || !slash)
		return memory_text(node->text);
	return memory_format("%.*s/%s", (int)(slash - node->source->path), node->source->path, node->text);
}

static int is_yaml_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);
	return len > strlen(".yaml") && strcmp(entry->d_name + len - strlen(".yaml"), ".yaml") == 0;
}

static void complain_no_ready_made(struct loader *loader, const struct node *node)
{
	struct suggestion near = {.word = node->text};
	char list[400] = "";
	size_t len = 0;
	struct dirent **entries = NULL;
	int n = scandir(mappings_dir(loader), &entries, is_yaml_file, alphasort);
	for (int i = 0; i < n; i++) {
		char *name = entries[i]->d_name;
		name[strlen(name) - strlen(".yaml")] = '\0';
		suggest_offer(&near, name);
		if (len < sizeof list)
			len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "", name);
	}
	if (near.best)
		table_mistake(loader->report, node, 0, "include: no ready-made file is called '%s'; did you mean '%s'?",
			node->text, near.best);
	else if (n > 0)
		table_mistake(loader->report, node, 0,
			"include: no ready-made file is called '%s' (in %s: %s); a path of your own has a slash or "
			"ends in .yaml",
			node->text, mappings_dir(loader), list);
	else
		table_mistake(loader->report, node, 0,
			"include: the ready-made file '%s' is not there, and no other either: %s has none. make "
			"install "
			"puts them there, or LINKSPAN_MAPPINGS names their folder; a path of your own has a slash or "
			"ends in "
			".yaml",
			node->text, mappings_dir(loader));
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
}

static void complain_unreadable(struct loader *loader, const struct node *node, int r)
{
	if (r == -ENOENT && is_ready_made(node->text))
		complain_no_ready_made(loader, node);
	else if (r == -EFBIG)
		table_mistake(loader->report, node, 0, "include: the file is larger than 16 MiB; divide it");
	else if (r == -EINVAL)
		table_mistake(loader->report, node, 0, "include: not a regular file; name a regular file");
	else if (strpbrk(node->text, "*?"))
		table_mistake(loader->report, node, 0,
			"include: there is no such file, and patterns are not looked up; name each file");
	else if (strstr(node->text, "://"))
		table_mistake(loader->report, node, 0, "include: files alone are read; put it beside this file");
	else
		table_mistake(loader->report, node, 0,
			"include: the file cannot be read: %s; a relative path starts at the folder of this file",
			strerror(-r));
}

/* --- one entry of include: --- */

static bool in_chain(const struct loader *loader, const struct source *source)
{
	for (size_t i = 0; i < loader->n_chain; i++)
		if (strcmp(loader->chain[i]->real_path, source->real_path) == 0)
			return true;
	return false;
}

static char *write_chain(const struct loader *loader, const struct source *last)
{
	char *text = memory_text("");
	bool inside = false;
	for (size_t i = 0; i < loader->n_chain; i++) {
		inside |= strcmp(loader->chain[i]->real_path, last->real_path) == 0;
		if (!inside)
			continue;
		char *longer = memory_format("%s%s > ", text, loader->chain[i]->path);
		free(text);
		text = longer;
	}
	char *whole = memory_format("%s%s", text, last->path);
	free(text);
	return whole;
}

static void include_source(struct loader *loader, const struct node *node, struct source *source)
{
	if (in_chain(loader, source)) {
		char *chain = write_chain(loader, source);
		table_mistake(loader->report, node, 0,
			"include: this file includes itself (%s); remove one of the includes", chain);
		free(chain);
		source_free(source);
	} else if (report_find_source(loader->report, source->real_path)) {
		source_free(source); /* it has been read on another way */
	} else if (loader->n_chain == MAX_DEPTH) {
		table_mistake(loader->report, node, 0,
			"include: more than %zu files include one another; include it from the main file", MAX_DEPTH);
		source_free(source);
	} else {
		const struct node *outer = loader->including;
		loader->including = node;
		if (!read_file(loader, source))
			loader->unread = true;
		loader->including = outer;
	}
}

static void include_one(struct loader *loader, const struct node *node)
{
	const char *text = table_text(loader->report, node, "include");
	if (!text) {
		loader->unread = true;
		return;
	}
	char *path = include_path(loader, node);
	/* A relative path of the user's is opened from where the user stands, as the main file was. */
	struct source *source = NULL;
	int r = source_open(path, &source);
	free(path);
	if (r < 0) {
		complain_unreadable(loader, node, r);
		loader->unread = true;
		return;
	}
	include_source(loader, node, source);
}

static void include_all(struct loader *loader, const struct node *root)
{
	const struct node *node = node_get(root, "include");
	if (node && node->kind == NODE_SCALAR)
		include_one(loader, node);
	for (size_t i = 0; node && node->kind == NODE_LIST && i < node->n; i++)
		include_one(loader, node->items[i]);
}

/* --- files --- */

/* Whatever a main file may hold besides is not for included ones. */
static void check_included(struct loader *loader, const struct node *root)
{
	struct section_include include = {0};
	struct section_included included = {0};
	const char *elsewhere[32];
	size_t n = 0;
	for (const char *const *name = section_top_elsewhere; *name; name++)
		elsewhere[n++] = *name;
	for (const struct config_key *key = section_top_keys; key->name; key++)
		for (size_t i = 0; i < root->n; i++) {
			if (strcmp(root->keys[i]->text, key->name) != 0)
				continue;
			table_mistake(loader->report, root->keys[i], 0,
				"'%s' belongs in the main file; an included one holds connections, mappings, tests, "
				"include and needs",
				key->name);
			elsewhere[n++] = key->name; /* known, though not here */
			break;
		}
	elsewhere[n] = NULL;
	struct config_scope scope = {
		.report = loader->report,
		.node = root,
		.anchor = root,
		.title = "an included file",
		.elsewhere = elsewhere,
		.parts = {{section_include_keys, &include}, {section_included_keys, &included}},
	};
	table_read(&scope);
	table_free(section_include_keys, &include);
	table_free(section_included_keys, &included);
}

static const struct node *read_file(struct loader *loader, struct source *source)
{
	report_add_source(loader->report, source);
	struct config_own *own = loader->own;
	struct yaml_tree *tree = yaml_tree_read(source, loader->report);
	own->trees = memory_grow(own->trees, own->n_trees, sizeof(struct yaml_tree *));
	own->trees[own->n_trees++] = tree;
	const struct node *root = tree->root;
	if (!root || !table_expect_map(loader->report, root, "the file"))
		return NULL;
	loader->chain[loader->n_chain++] = source;
	include_all(loader, root);
	loader->n_chain--;
	if (loader->n_chain > 0) {
		check_included(loader, root);
		loader_gather_needs(loader, root);
	}
	gather_connections(loader, root);
	gather_list(loader, root, "mappings", &loader->mappings);
	gather_list(loader, root, "tests", &loader->tests);
	return root;
}

const struct node *loader_open(struct loader *loader, const char *path)
{
	struct source *source;
	int r = source_open(path, &source);
	if (r == 0)
		return read_file(loader, source);
	if (r == -EFBIG)
		report_failure(loader->report, path, "larger than 16 MiB; divide it and use include");
	else if (r == -EINVAL)
		report_failure(loader->report, path, "not a regular file; name a regular file");
	else
		report_failure(loader->report, path,
			"cannot be read: %s; name a file that exists and that you may read", strerror(-r));
	return NULL;
}
