/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks for mappings by which a message comes round to where it was: what each makes of the topics that reach it is
 * followed from mapping to mapping (routing/topic_shape.h), and a way that comes back is followed for some more rounds,
 * since most of them end by themselves. What is found is a mistake when nothing that depends on a message can end it,
 * else a warning; at run time max_hops ends what is not seen here.
 *
 * Only what is written and read over the same connection is seen: No Local can end that, and two connections may or may
 * not lead to the same broker.
 */
#include <stdlib.h>
#include <string.h>

#include "config/loader.h"
#include "config/memory.h"
#include "config/reply.h"
#include "routing/topic_filter.h"
#include "routing/topic_shape.h"

#define MAX_STEPS    8 /* mappings on a cycle */
#define MORE_ROUNDS  3
#define MAX_MEETINGS 5000000 /* of a target and a filter, in all */

/* A filter of a mapping, by the connection that it reads from. */
struct reader {
	size_t connection;
	struct slice levels[2]; /* the first ones; absent: a wildcard, or none */
	size_t mapping;
	const char *filter; /* without $share */
};

struct compiled { /* parallel to the mappings */
	struct template **targets; /* NULL: the topic unchanged; behind them those of replies */
	char **captures;
	size_t n_captures;
};

struct step {
	size_t mapping, target; /* from n_targets on: the reply of a target */
	const char *filter; /* by which the message came */
};

struct search {
	struct loader *loader;
	const struct config *config;
	struct reader *readers; /* sorted */
	size_t n_readers;
	struct compiled *compiled;
	struct step path[MAX_STEPS];
	size_t n_path;
	struct arena arena;
	size_t meetings;
	bool *reported; /* by mapping */
};

static const struct mapping_config *mapping_at(const struct search *search, size_t m)
{
	return &search->config->mappings[m];
}

/* Replies to a topic that a message names can go anywhere: max_hops ends what they begin. */
static const struct connection_config *written_to(const struct search *search, const struct step *step)
{
	const struct mapping_config *map = mapping_at(search, step->mapping);
	bool reply = step->target >= map->n_targets;
	const struct target_config *target = &map->targets[step->target % map->n_targets];
	long connection = (long)target->connection;
	if (reply)
		connection = target->reply.topic ? target_reply_connection(search->config, map, target) : -1;
	return connection >= 0 ? &search->config->connections[connection] : NULL;
}

static size_t index_of(const struct search *search, const struct connection_config *conn)
{
	return (size_t)(conn - search->config->connections);
}

/* --- readers ------------------------------------------------------------------------------------------------------------ */

static int compare_slices(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len ? memcmp(a.data, b.data, len) : 0;
	if (!a.data != !b.data)
		return a.data ? 1 : -1; /* wildcards first */
	return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

static int compare_readers(const void *a, const void *b)
{
	const struct reader *x = a, *y = b;
	if (x->connection != y->connection)
		return x->connection < y->connection ? -1 : 1;
	int order = compare_slices(x->levels[0], y->levels[0]);
	if (order == 0)
		order = compare_slices(x->levels[1], y->levels[1]);
	return order ? order : x->mapping < y->mapping ? -1 : x->mapping > y->mapping;
}

static void add_reader(struct search *search, size_t m, const char *text)
{
	struct reader *reader = &search->readers[search->n_readers++];
	*reader = (struct reader){
		.connection = mapping_at(search, m)->from_connection,
		.mapping = m,
		.filter = topic_filter_without_share(text),
	};
	struct slice rest = slice_str(reader->filter), level;
	for (size_t i = 0; i < 2 && topic_next_level(&rest, &level); i++) {
		if ((level.len == 1 && (level.data[0] == '+' || level.data[0] == '#')) ||
			topic_filter_capture(level).data)
			continue;
		reader->levels[i] = level;
	}
}

static bool ignores_own(const struct search *search, size_t m)
{
	const struct mapping_config *map = mapping_at(search, m);
	const struct connection_config *from = &search->config->connections[map->from_connection];
	return from->connector->ignores_own && from->connector->ignores_own(from->settings, map->from_settings);
}

/* A mapping that takes nothing of what its own link has written is never come back to. */
static bool may_come_back(const struct search *search, size_t m)
{
	return search->loader->mappings.items[m].sound && !ignores_own(search, m);
}

static void collect_readers(struct search *search)
{
	size_t n = 0;
	for (size_t m = 0; m < search->config->n_mappings; m++)
		n += mapping_at(search, m)->filters.n;
	search->readers = memory_zero((n + 1) * sizeof *search->readers);
	for (size_t m = 0; m < search->config->n_mappings; m++)
		for (size_t i = 0; may_come_back(search, m) && i < mapping_at(search, m)->filters.n; i++)
			add_reader(search, m, mapping_at(search, m)->filters.items[i].value);
	if (search->n_readers)
		qsort(search->readers, search->n_readers, sizeof *search->readers, compare_readers);
}

/* The first reader that is not below. */
static size_t find_reader(const struct search *search, size_t connection, struct slice first, struct slice second)
{
	struct reader key = {.connection = connection, .levels = {first, second}};
	size_t low = 0, high = search->n_readers;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare_readers(&search->readers[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* --- templates ---------------------------------------------------------------------------------------------------------- */

static void on_capture(struct slice name, void *arg)
{
	struct compiled *compiled = arg;
	compiled->captures = memory_grow(compiled->captures, compiled->n_captures, sizeof(char *));
	compiled->captures[compiled->n_captures++] = memory_bytes((const char *)name.data, name.len);
}

static void compile(struct search *search, size_t m)
{
	const struct mapping_config *map = mapping_at(search, m);
	struct compiled *compiled = &search->compiled[m];
	if (compiled->targets)
		return;
	for (size_t i = 0; i < map->filters.n; i++)
		topic_filter_captures(map->filters.items[i].value, on_capture, compiled);
	compiled->targets = memory_zero((2 * map->n_targets + 1) * sizeof(struct template *));
	for (size_t i = 0; i < 2 * map->n_targets; i++) {
		const struct target_config *target = &map->targets[i % map->n_targets];
		const char *text = i < map->n_targets ? target->target : target->reply.topic;
		if (text && template_new(text, (const char *const *)compiled->captures, compiled->n_captures,
				    &compiled->targets[i]) < 0)
			compiled->targets[i] =
				NULL; /* the mapping is sound, so memory is out: whatever is found is wrong */
	}
}

static void free_compiled(struct search *search)
{
	for (size_t m = 0; m < search->config->n_mappings; m++) {
		struct compiled *compiled = &search->compiled[m];
		for (size_t i = 0; compiled->targets && i < 2 * mapping_at(search, m)->n_targets; i++)
			template_free(compiled->targets[i]);
		for (size_t i = 0; i < compiled->n_captures; i++)
			free(compiled->captures[i]);
		free(compiled->targets);
		free(compiled->captures);
	}
	free(search->compiled);
}

/* The two ends of a step. */
struct ends {
	const struct connection_config *from, *to;
};

/* A level of a received topic, or what stands between two, as it gets into a target. */
static int insert(const void *insert_with, struct slice text, struct arena *arena, struct slice *ret_text)
{
	const struct ends *ends = insert_with;
	const struct connector *from = ends->from->connector, *to = ends->to->connector;
	int err = from->restore_topic ? from->restore_topic(ends->from->settings, text, arena, &text, NULL) : 0;
	if (!err && to->insert_in_target)
		err = to->insert_in_target(ends->to->settings, text, arena, &text);
	if (!err)
		*ret_text = text;
	return err;
}

static struct topic_shape_notation notation_of(struct search *search, const struct ends *ends)
{
	const struct connector *from = ends->from->connector, *to = ends->to->connector;
	struct topic_shape_notation notation = topic_shape_plain;
	char separator = connector_separator(from);
	struct slice joint = arena_copy(&search->arena, slice_of(&separator, 1));
	notation.separator = connector_separator(to);
	if (joint.data && insert(ends, joint, &search->arena, &joint) == 0)
		notation.joint = joint;
	if (from->restore_topic || to->insert_in_target) {
		notation.insert = insert;
		notation.insert_with = ends;
	}
	return notation;
}

static bool render_step(
	struct search *search, const struct step *step, const struct topic_shape *shape, struct topic_shape *ret_shape)
{
	const struct mapping_config *map = mapping_at(search, step->mapping);
	struct ends ends = {&search->config->connections[map->from_connection], written_to(search, step)};
	struct topic_shape_notation notation = notation_of(search, &ends);
	compile(search, step->mapping);
	struct compiled *compiled = &search->compiled[step->mapping];
	return topic_shape_render(shape, step->filter, compiled->targets[step->target],
		(const char *const *)compiled->captures, &notation, &search->arena, ret_shape);
}

/* --- cycles ---------------------------------------------------------------------------------------------------------------- */

static bool enter(
	struct search *search, struct step *step, const struct topic_shape *shape, struct topic_shape *ret_shape)
{
	const struct config_list *filters = &mapping_at(search, step->mapping)->filters;
	for (size_t i = 0; i < filters->n; i++) {
		const char *filter = topic_filter_without_share(filters->items[i].value);
		if (topic_shape_meet(shape, filter, ret_shape)) {
			step->filter = filter;
			return true;
		}
	}
	return false;
}

/* Follows what has come back to the first mapping of the path. */
static bool goes_on(struct search *search, const struct topic_shape *back, bool *ret_loose)
{
	struct topic_shape here = *back, there;
	struct step path[MAX_STEPS];
	memcpy(path, search->path, sizeof path);
	for (size_t i = 0; i <= MORE_ROUNDS * search->n_path; i++) {
		struct step *step = &path[i % search->n_path];
		if (!enter(search, step, &here, &there) || !render_step(search, step, &there, &here))
			return false;
	}
	*ret_loose = here.loose;
	return true;
}

static char *describe_path(const struct search *search)
{
	char *text = memory_text("");
	for (size_t i = 0; i <= search->n_path; i++) {
		const char *name = mapping_at(search, search->path[i % search->n_path].mapping)->name;
		char *longer = memory_format("%s%s'%s'", text, i ? " → " : "", name);
		free(text);
		text = longer;
	}
	return text;
}

static bool is_conditional(const struct search *search)
{
	for (size_t i = 0; i < search->n_path; i++) {
		const struct step *step = &search->path[i];
		const struct mapping_config *map = mapping_at(search, step->mapping);
		if (map->when || step->target >= map->n_targets) /* not everything is answered */
			return true;
	}
	return false;
}

static void report_cycle(struct search *search, bool loose)
{
	static const char remedy[] = "set no_local: true under 'from' (MQTT 5), or write to topics that are not read";
	const struct step *last = &search->path[search->n_path - 1];
	const struct mapping_config *map = mapping_at(search, last->mapping);
	const struct target_config *target = &map->targets[last->target % map->n_targets];
	const struct source *source = search->loader->mappings.items[last->mapping].value->source;
	char *path = describe_path(search);
	for (size_t i = 0; i < search->n_path; i++)
		search->reported[search->path[i].mapping] = true;
	if (loose || is_conditional(search))
		report_warning(search->loader->report, source, target->line, target->column,
			"what is written here may go round for ever: %s; %s", path, remedy);
	else
		report_mistake(search->loader->report, source, target->line, target->column,
			"what is written here goes round for ever: %s; %s", path, remedy);
	free(path);
}

static void follow(struct search *search, size_t m, const char *filter, const struct topic_shape *shape);

/* What a mapping of the path has written meets a reader. */
static void arrive(struct search *search, const struct reader *reader, const struct topic_shape *written)
{
	struct topic_shape shape;
	size_t start = search->path[0].mapping;
	bool loose;
	search->meetings++;
	/* A cycle is looked for from its first mapping. */
	if (reader->mapping < start || search->reported[start])
		return;
	if (!topic_shape_meet(written, reader->filter, &shape))
		return;
	if (reader->mapping == start) {
		if (goes_on(search, &shape, &loose))
			report_cycle(search, loose);
		return;
	}
	for (size_t i = 0; i < search->n_path; i++)
		if (search->path[i].mapping == reader->mapping)
			return;
	if (!search->reported[reader->mapping])
		follow(search, reader->mapping, reader->filter, &shape);
}

static void arrive_range(struct search *search, size_t begin, size_t end, const struct topic_shape *written)
{
	for (size_t i = begin; i < end && search->meetings < MAX_MEETINGS; i++)
		arrive(search, &search->readers[i], written);
}

static bool is_literal(const struct topic_shape *shape, size_t level)
{
	return level < shape->n && !shape->levels[level].wild;
}

/* To the readers that are not known at once by their first two levels to take none of it. */
static void spread(struct search *search, size_t connection, const struct topic_shape *written)
{
	struct slice wild = {NULL, 0}, lowest = slice_str("");
	size_t begin = find_reader(search, connection, wild, wild);
	size_t end = find_reader(search, connection + 1, wild, wild);
	if (begin == end || !is_literal(written, 0)) {
		arrive_range(search, begin, end, written);
		return;
	}
	arrive_range(search, begin, find_reader(search, connection, lowest, wild), written);
	struct slice first = written->levels[0].prefix;
	begin = find_reader(search, connection, first, wild);
	if (is_literal(written, 1)) {
		arrive_range(search, begin, find_reader(search, connection, first, lowest), written);
		begin = find_reader(search, connection, first, written->levels[1].prefix);
	}
	for (end = begin; end < search->n_readers; end++) {
		const struct reader *reader = &search->readers[end];
		if (reader->connection != connection || compare_slices(reader->levels[0], first) != 0)
			break;
		if (is_literal(written, 1) && compare_slices(reader->levels[1], written->levels[1].prefix) != 0)
			break;
	}
	arrive_range(search, begin, end, written);
}

static void follow(struct search *search, size_t m, const char *filter, const struct topic_shape *shape)
{
	struct topic_shape written;
	if (search->n_path == MAX_STEPS)
		return;
	struct step *step = &search->path[search->n_path++];
	for (size_t i = 0; i < 2 * mapping_at(search, m)->n_targets; i++) {
		*step = (struct step){m, i, filter};
		const struct connection_config *to = written_to(search, step);
		if (to && search->loader->connections.items[index_of(search, to)].sound &&
			render_step(search, step, shape, &written))
			spread(search, index_of(search, to), &written);
	}
	search->n_path--;
}

static void start_at(struct search *search, size_t m)
{
	const struct config_list *filters = &mapping_at(search, m)->filters;
	for (size_t i = 0; i < filters->n && !search->reported[m]; i++) {
		const char *filter = topic_filter_without_share(filters->items[i].value);
		struct topic_shape shape;
		topic_shape_of_filter(filter, &shape);
		follow(search, m, filter, &shape);
		arena_reset(&search->arena);
	}
}

/* --- echoes ---------------------------------------------------------------------------------------------------------------- */

/* Does this mapping write what it has got so to that connection that the other one would read it, were it not its own? */
static bool writes_back(
	struct search *search, const struct reader *reader, const struct topic_shape *got, size_t connection, size_t m)
{
	struct topic_shape back, met;
	struct step step = {.mapping = reader->mapping, .filter = reader->filter}, there = {.mapping = m};
	for (; step.target < mapping_at(search, reader->mapping)->n_targets; step.target++)
		if (index_of(search, written_to(search, &step)) == connection &&
			render_step(search, &step, got, &back) && enter(search, &there, &back, &met))
			return true;
	return false;
}

/* Is what is written to the connection that this mapping reads from a value for others, which nobody receives? */
static bool keeps_own(const struct search *search, size_t m)
{
	return search->config->connections[mapping_at(search, m)->from_connection].connector->keeps_values;
}

/* A mirror whose one half ignores what its own link has written and whose other half does not: what the first half
 * passes on comes back, once. */
static void look_for_echo(struct search *search, size_t m, const struct step *step, const struct topic_shape *shape)
{
	struct topic_shape written, got;
	const struct mapping_config *map = mapping_at(search, m);
	size_t connection = map->targets[step->target].connection;
	struct slice wild = {NULL, 0};
	if (connection == map->from_connection || !render_step(search, step, shape, &written))
		return;
	for (size_t i = find_reader(search, connection, wild, wild);
		i < find_reader(search, connection + 1, wild, wild) && search->meetings < MAX_MEETINGS; i++) {
		const struct reader *reader = &search->readers[i];
		const struct mapping_config *other = mapping_at(search, reader->mapping);
		search->meetings++;
		if (search->reported[reader->mapping] || !topic_shape_meet(&written, reader->filter, &got) ||
			!writes_back(search, reader, &got, map->from_connection, m))
			continue;
		search->reported[reader->mapping] = true;
		report_warning(search->loader->report, search->loader->mappings.items[reader->mapping].value->source,
			other->filters.items[0].line, other->filters.items[0].column,
			"what mapping '%s' passes on comes back once by mapping '%s', which has no no_local; a mirror "
			"in "
			"both directions needs no_local: true under 'from' on both sides",
			map->name, other->name);
	}
}

static void look_for_echoes(struct search *search, size_t m)
{
	const struct mapping_config *map = mapping_at(search, m);
	struct step step = {.mapping = m};
	for (size_t i = 0; i < map->filters.n; i++) {
		struct topic_shape shape;
		step.filter = topic_filter_without_share(map->filters.items[i].value);
		topic_shape_of_filter(step.filter, &shape);
		for (step.target = 0; step.target < map->n_targets; step.target++)
			look_for_echo(search, m, &step, &shape);
		arena_reset(&search->arena);
	}
}

void loader_check_cycles(struct loader *loader)
{
	const struct config *config = &loader->own->config;
	struct search search = {.loader = loader, .config = config};
	search.compiled = memory_zero((config->n_mappings + 1) * sizeof *search.compiled);
	search.reported = memory_zero(config->n_mappings + 1);
	collect_readers(&search);
	for (size_t m = 0; m < config->n_mappings && search.meetings < MAX_MEETINGS; m++)
		if (may_come_back(&search, m))
			start_at(&search, m);
	for (size_t m = 0; m < config->n_mappings && search.meetings < MAX_MEETINGS; m++)
		if (loader->mappings.items[m].sound && ignores_own(&search, m) && !keeps_own(&search, m))
			look_for_echoes(&search, m);
	if (search.meetings >= MAX_MEETINGS)
		report_warning(loader->report, loader->mappings.items[0].value->source, config->mappings[0].line,
			config->mappings[0].column,
			"there are too many mappings to look at all ways that a message could come back by; max_hops "
			"ends those that were not seen");
	free_compiled(&search);
	arena_free(&search.arena);
	free(search.readers);
	free(search.reported);
}
