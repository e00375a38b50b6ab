/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads a configuration: opens the file and those it includes, gathers their connections, mappings and tests, has each
 * read, and prints all mistakes at the end. Included files come before the file that names them, in its order.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/listen.h"
#include "config/load_include.h"
#include "config/loader.h"
#include "config/memory.h"
#include "config/reply.h"
#include "config/sections.h"
#include "routing/jq_pool.h"

/* --- names that must not occur twice --- */

/* Compares entries by name, and those of one name by the order in which they were read. */
struct named {
	const char *name;
	const struct node *at;
	size_t index;
};

static int compare_named(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	return order ? order : x->index < y->index ? -1 : x->index > y->index;
}

static void refuse_same_names(struct loader *loader, struct named *names, size_t n, const char *what)
{
	if (n)
		qsort(names, n, sizeof *names, compare_named);
	for (size_t i = 1, first = 0; i < n; i++) {
		if (strcmp(names[first].name, names[i].name) != 0)
			first = i;
		else if (names[i].at != names[first].at)
			table_mistake(loader->report, names[i].at, 0,
				"a %s '%s' stands already in %s, line %d; give each its own name", what, names[i].name,
				names[first].at->source->path, names[first].at->line);
	}
	free(names);
}

/* Two connections of one name in one file are a duplicate key and reported as such. */
static void check_connection_names(struct loader *loader)
{
	size_t n = loader->connections.n;
	struct named *names = memory_zero(n * sizeof *names);
	for (size_t i = 0; i < n; i++) {
		const struct node *name = loader->connections.items[i].name;
		names[i] = (struct named){name->text, name, i};
	}
	if (n)
		qsort(names, n, sizeof *names, compare_named);
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || names[i].at->source != names[kept - 1].at->source ||
			strcmp(names[i].name, names[kept - 1].name) != 0)
			names[kept++] = names[i];
	refuse_same_names(loader, names, kept, "connection");
}

static void check_mapping_names(struct loader *loader)
{
	size_t n = 0;
	struct named *names = memory_zero(loader->mappings.n * sizeof *names);
	for (size_t i = 0; i < loader->mappings.n; i++) {
		const struct node *node = loader->mappings.items[i].value;
		if (loader->own->config.mappings[i].name)
			names[n++] = (struct named){loader->own->config.mappings[i].name, node_get(node, "name"), i};
	}
	refuse_same_names(loader, names, n, "mapping");
}

static void check_test_names(struct loader *loader)
{
	size_t n = 0;
	struct named *names = memory_zero(loader->tests.n * sizeof *names);
	for (size_t i = 0; i < loader->tests.n; i++) {
		const struct node *name = node_get(loader->tests.items[i].value, "name");
		if (name && name->kind == NODE_SCALAR && !name->failed)
			names[n++] = (struct named){name->text, name, i};
	}
	refuse_same_names(loader, names, n, "test");
}

/* --- the parts --- */

static void read_connections(struct loader *loader)
{
	struct config *config = &loader->own->config;
	config->n_connections = loader->connections.n;
	config->connections = memory_zero(config->n_connections * sizeof *config->connections);
	for (size_t i = 0; i < config->n_connections; i++)
		loader_read_connection(loader, i);
	check_connection_names(loader);
}

static void on_wrong_program(void *arg, size_t mapping)
{
	struct loader *loader = arg;
	loader->mappings.items[mapping].sound = false;
}

static void read_mappings(struct loader *loader)
{
	struct config *config = &loader->own->config;
	config->n_mappings = loader->mappings.n;
	config->mappings = memory_zero(config->n_mappings * sizeof *config->mappings);
	config->programs = loader->programs.pool = jq_pool_new();
	if (!config->programs)
		memory_out();
	for (size_t i = 0; i < config->n_mappings; i++)
		loader_read_mapping(loader, i);
	program_list_check(&loader->programs, loader->report, on_wrong_program, loader);
	check_mapping_names(loader);
	for (size_t i = 0; i < loader->tests.n; i++)
		loader_read_test(loader, loader->tests.items[i].value);
	check_test_names(loader);
}

/* Connections that cannot be read from and written to at once. */
static void check_roles(struct loader *loader, size_t connection)
{
	const struct config *config = &loader->own->config;
	const struct connection_config *conn = &config->connections[connection];
	if (!loader->connections.items[connection].sound || !conn->connector->check_roles)
		return;
	bool source = false, sink = false;
	for (size_t i = 0; i < config->n_mappings; i++) {
		const struct mapping_config *map = &config->mappings[i];
		if (!loader->mappings.items[i].legs_known)
			continue;
		source |= map->from_connection == connection;
		sink |= mapping_writes_to(config, map, connection);
	}
	const char *wrong = conn->connector->check_roles(conn->settings, source, sink);
	if (wrong)
		report_mistake(loader->report, loader->connections.items[connection].name->source, conn->line,
			conn->column, "connection '%s': %s", conn->name, wrong);
}

/* Connections that cannot be there at once. */
static void check_pairs(struct loader *loader, size_t second)
{
	const struct config *config = &loader->own->config;
	const struct connection_config *conn = &config->connections[second];
	if (!loader->connections.items[second].sound || !conn->connector->check_pair)
		return;
	for (size_t i = 0; i < second; i++) {
		const struct connection_config *first = &config->connections[i];
		if (!loader->connections.items[i].sound || first->connector != conn->connector)
			continue;
		const char *wrong = conn->connector->check_pair(first->settings, conn->settings);
		if (wrong)
			report_mistake(loader->report, loader->connections.items[second].name->source, conn->line,
				conn->column, "connections '%s' (line %d) and '%s': %s", first->name, first->line,
				conn->name, wrong);
	}
}

static void check_whole(struct loader *loader, const struct node *root)
{
	const struct config *config = &loader->own->config;
	if (loader->unread)
		return;
	const struct node *connections = node_get(root, "connections"), *mappings = node_get(root, "mappings");
	if (config->n_connections == 0 && (!connections || connections->kind == NODE_MAP))
		table_mistake(loader->report, connections ? connections : root, 0,
			"there are no connections; a bridge has at least one");
	if (config->n_mappings == 0 && (!mappings || mappings->kind == NODE_LIST))
		table_mistake(loader->report, mappings ? mappings : root, 0,
			"there are no mappings, so nothing would be bridged; write at least one");
	bool *used = memory_zero(config->n_connections + 1);
	for (size_t i = 0; i < config->n_mappings; i++) {
		const struct mapping_config *map = &config->mappings[i];
		if (!loader->mappings.items[i].legs_known)
			continue;
		used[map->from_connection] = true;
		for (size_t j = 0; j < config->n_connections; j++)
			used[j] |= mapping_writes_to(config, map, j);
		loader_check_guarantees(loader, map, loader->mappings.items[i].value);
		loader_check_markers(loader, map, loader->mappings.items[i].value);
	}
	loader_check_subscriptions(loader);
	loader_check_cycles(loader);
	for (size_t i = 0; i < config->n_connections; i++) {
		check_roles(loader, i);
		check_pairs(loader, i);
	}
	if (report_mistakes(loader->report) == 0)
		loader_check_use(loader);
	for (size_t i = 0; i < config->n_connections && report_mistakes(loader->report) == 0; i++)
		if (!used[i])
			report_warning(loader->report, loader->connections.items[i].name->source,
				config->connections[i].line, config->connections[i].column,
				"no mapping uses connection '%s'", config->connections[i].name);
	free(used);
}

static void check_admin(struct config_scope *scope, const struct config *config)
{
	if (config_failed(scope, "admin", NULL) || config_failed(scope, "admin", "listen"))
		return;
	if (config_given(scope, "admin", NULL) && config->admin.listen.n == 0)
		config_complain(scope, "admin", NULL, "nothing to listen on; write listen: 127.0.0.1:9464");
	for (size_t i = 0; i < config->admin.listen.n; i++) {
		struct listen_address address;
		const char *text = config->admin.listen.items[i].value;
		const char *wrong = listen_parse(text, &address);
		char place[32];
		snprintf(place, sizeof place, "listen.%zu", i);
		if (wrong)
			config_complain(scope, "admin", place, "'%s': %s", text, wrong);
		else if (!address.loopback && !config->admin.public && !config_failed(scope, "admin", "public"))
			config_complain(scope, "admin", place,
				"other machines can reach %s, and nobody has to log in; listen on 127.0.0.1, or write "
				"public: true beside it if that is meant",
				text);
	}
}

/* What the file says of the process itself; only the main file may. */
static void read_top(struct loader *loader, const struct node *root)
{
	struct section_include include = {0};
	struct config *config = &loader->own->config;
	struct config_scope scope = {
		.report = loader->report,
		.node = root,
		.anchor = root,
		.title = "the configuration",
		.place = LOADER_AT_TOP,
		.others = loader->others,
		.elsewhere = section_top_elsewhere,
		.parts = {{section_top_keys, config}, {section_include_keys, &include}},
	};
	table_read(&scope);
	table_free(section_include_keys, &include);
	if (config->journal.segment_bytes % 4096 != 0)
		config_complain(
			&scope, "journal", "segment_size", "not a multiple of 4KiB; write a size such as 64MiB");
	check_admin(&scope, config);
	if (config->data_dir) {
		char *absolute = source_join(root->source->folder, config->data_dir);
		free(config->data_dir);
		config->data_dir = absolute;
	}
}

/* --- keys in the wrong section --- */

static void add_other(struct loader *loader, size_t *n, const char *place, const struct config_key *keys)
{
	if (!keys)
		return;
	loader->others = memory_grow(loader->others, *n, sizeof *loader->others);
	loader->others[(*n)++] = (struct table_other){place, keys};
}

static void collect_others(struct loader *loader)
{
	static const struct config_key topic[] = {{.name = "topic"}, {0}};
	static const struct config_key end[] = {{0}};
	size_t n = 0;
	add_other(loader, &n, LOADER_IN_FROM, section_from_keys);
	add_other(loader, &n, LOADER_IN_TO, section_to_keys);
	add_other(loader, &n, LOADER_IN_TO, topic);
	add_other(loader, &n, LOADER_IN_MAPPING, section_mapping_keys);
	add_other(loader, &n, LOADER_IN_CONNECTION, section_connection_keys);
	for (const struct config_key *key = section_connection_keys; key->name; key++)
		if (strcmp(key->name, "outbox") == 0)
			add_other(loader, &n, "under 'outbox' of a connection", key->children);
	add_other(loader, &n, LOADER_AT_TOP, section_top_keys);
	for (const struct connector *const *it = loader->options->connectors; *it; it++) {
		add_other(loader, &n, LOADER_IN_FROM, (*it)->from_keys);
		add_other(loader, &n, LOADER_IN_TO, (*it)->to_keys);
		add_other(loader, &n, LOADER_IN_CONNECTION, (*it)->connection_keys);
	}
	add_other(loader, &n, NULL, end);
}

static void load(struct loader *loader, const char *path)
{
	collect_others(loader);
	const struct node *root = loader_open(loader, path);
	if (!root)
		return;
	read_top(loader, root);
	read_connections(loader);
	loader_check_needs(loader);
	read_mappings(loader);
	check_whole(loader, root);
}

/* --- entry points --- */

static void forget_files(struct loader *loader)
{
	for (size_t i = 0; i < loader->own->n_trees; i++)
		yaml_tree_free(loader->own->trees[i]);
	free(loader->own->trees);
	loader->own->trees = NULL;
	loader->own->n_trees = 0;
	program_list_free(&loader->programs);
	for (size_t i = 0; i < loader->mappings.n; i++)
		loader_forget_mapping(&loader->mappings.items[i]);
	free(loader->connections.items);
	free(loader->mappings.items);
	free(loader->tests.items);
	free(loader->needs);
	free(loader->others);
	report_forget_texts(loader->report);
}

int config_load_with(const struct config_options *options, const char *path, FILE *errors, struct config **ret_config,
	size_t *ret_mistakes)
{
	struct loader loader = {.options = options};
	loader.own = memory_zero(sizeof *loader.own);
	loader.report = loader.own->report = report_new();
	load(&loader, path);
	report_print(loader.report, errors);
	size_t mistakes = report_mistakes(loader.report);
	loader.own->config.n_warnings = report_warnings(loader.report);
	forget_files(&loader);
	if (ret_mistakes)
		*ret_mistakes = mistakes;
	if (mistakes) {
		config_free(&loader.own->config);
		return -EINVAL;
	}
	loader.own->config.report = loader.report;
	loader_split_aggregates(&loader.own->config);
	loader_resolve_tests(&loader.own->config);
	*ret_config = &loader.own->config;
	return 0;
}

int config_load(const char *path, FILE *errors, struct config **ret_config, size_t *ret_mistakes)
{
	struct config_options options = {.connectors = connectors};
	return config_load_with(&options, path, errors, ret_config, ret_mistakes);
}

char *config_data_dir(const char *path)
{
	struct config_options options = {.connectors = connectors};
	struct loader loader = {.options = &options};
	loader.own = memory_zero(sizeof *loader.own);
	loader.report = loader.own->report = report_new();
	collect_others(&loader);
	const struct node *root = loader_open(&loader, path);
	if (root)
		read_top(&loader, root);
	char *folder = loader.own->config.data_dir;
	loader.own->config.data_dir = NULL;
	forget_files(&loader);
	config_free(&loader.own->config);
	return folder;
}

static const char *text_of(const struct node *section, const char *key)
{
	const struct node *node = node_get(section, key);
	return node && node->kind == NODE_SCALAR && !node->failed ? node->text : NULL;
}

void config_destinations(const char *path, void (*fn)(const char *name, const char *type, void *arg), void *arg)
{
	struct config_options options = {.connectors = connectors};
	struct loader loader = {.options = &options};
	loader.own = memory_zero(sizeof *loader.own);
	loader.report = loader.own->report = report_new();
	const struct node *root = loader_open(&loader, path);
	for (size_t i = 0; root && i < loader.connections.n; i++) {
		const struct loader_entry *entry = &loader.connections.items[i];
		const char *type = entry->value->kind == NODE_MAP ? text_of(entry->value, "type") : NULL;
		if (entry->name->kind == NODE_SCALAR)
			fn(entry->name->text, type ? type : "", arg);
	}
	for (size_t i = 0; root && i < loader.mappings.n; i++) {
		const struct node *mapping = loader.mappings.items[i].value;
		const char *name = mapping->kind == NODE_MAP ? text_of(mapping, "name") : NULL;
		if (name && node_get(mapping, "aggregate"))
			fn(name, "aggregate", arg);
	}
	forget_files(&loader);
	config_free(&loader.own->config);
}

char *config_redact(const struct config *config, const char *text)
{
	return report_redact(config->report, text);
}

void config_show_place(const struct config *config, const char *file, int line, int column, FILE *out)
{
	report_show_place(config->report, file, line, column, out);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	struct config_own *own = (struct config_own *)config;
	for (size_t i = 0; i < config->n_mappings; i++)
		loader_free_mapping(config, &config->mappings[i]);
	free(config->mappings);
	for (size_t i = 0; i < config->n_connections; i++)
		loader_free_connection(&config->connections[i]);
	free(config->connections);
	for (size_t i = 0; i < config->n_tests; i++)
		test_config_free(&config->tests[i]);
	free(config->tests);
	table_free(section_top_keys, config);
	jq_pool_free(config->programs);
	report_free(own->report);
	free(own);
}
