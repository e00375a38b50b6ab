/* SPDX-License-Identifier: Apache-2.0
 *
 * linkspan trace: what would become of one message. It goes through the router that the daemon has, and nowhere else: no
 * network, no data folder.
 */
#include "cli/trace.h"

#include <errno.h>
#include <stdarg.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "cli/command.h"
#include "cli/page.h"
#include "config/memory.h"
#include "config/suggest.h"
#include "connectors/connector.h"
#include "message/buffer.h"
#include "routing/topic_filter.h"
#include "runtime/log.h"

struct options {
	const char *path, *from, *topic, *payload, *content_type, *key;
	struct message_field headers[MESSAGE_MAX_FIELDS];
	size_t n_headers;
	long qos;
	bool retain, null, all;
	const char *live;
	long count;
	bool json;
};

static void usage(FILE *out)
{
	fputs("usage: linkspan trace FILE --topic TOPIC [OPTION...]\n"
	      "       linkspan trace --live FILTER [--count N] [--json] FILE|FOLDER\n\n"
	      "Says step by step what would become of one message: which mappings take it and with which captures, "
	      "what when and\n"
	      "payload make of it, where it would go and with which guarantee, or why not. Nothing is sent, no network "
	      "and no data\n"
	      "folder are touched; what depends on earlier messages is named.\n\n"
	      "  --from CONNECTION     that receives it; may be left out where one only has mappings for that topic\n"
	      "  --topic TOPIC         or path, as it is received\n"
	      "  --payload TEXT        @FILE: what is in the file; @-: standard input. Without it: empty\n"
	      "  --null                a null payload (a tombstone of Kafka)\n"
	      "  --key KEY             of a Kafka record\n"
	      "  --header NAME=VALUE   may be repeated (MQTT: user properties)\n"
	      "  --content-type TYPE\n"
	      "  --qos 0|1|2           it is received with; 1\n"
	      "  --retain              it has the retain flag\n"
	      "  --all                 also what does not take it, and why\n\n"
	      "With --live a running daemon shows the messages that pass, as they are routed, and what becomes of them "
	      "later. FILTER is\n"
	      "a topic filter for what is received, such as plant/#; levels end with / whatever ends them there. FILE "
	      "is its\n"
	      "configuration, FOLDER its data folder. Payloads are cut. What there is no time to show is counted; the "
	      "daemon waits\n"
	      "for nobody who watches.\n\n"
	      "  --live FILTER         what passes a running daemon, instead of one message\n"
	      "  --count N             ends after N messages, when it is known what has become of them\n"
	      "  --json                lines of JSON (doc/control-protocol.md)\n",
		out);
}

static int __attribute__((format(printf, 1, 2))) complain(const char *format, ...)
{
	va_list args;
	fputs("linkspan trace: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return 2;
}

/* --- arguments ------------------------------------------------------------------------------------------------------------- */

enum {
	OPTION_FROM = 256,
	OPTION_TOPIC,
	OPTION_PAYLOAD,
	OPTION_NULL,
	OPTION_KEY,
	OPTION_HEADER,
	OPTION_CONTENT_TYPE,
	OPTION_QOS,
	OPTION_RETAIN,
	OPTION_ALL,
	OPTION_LIVE,
	OPTION_COUNT,
	OPTION_JSON
};

const struct cli_option cli_trace_options[] = {
	{.name = "from", .code = OPTION_FROM, .value = CLI_CONNECTION, .help = "connection that receives it"},
	{.name = "topic", .code = OPTION_TOPIC, .value = CLI_TEXT, .help = "or path, as it is received"},
	{.name = "payload", .code = OPTION_PAYLOAD, .value = CLI_TEXT, .help = "text, or @FILE"},
	{.name = "null", .code = OPTION_NULL, .help = "a null payload (a tombstone of Kafka)"},
	{.name = "key", .code = OPTION_KEY, .value = CLI_TEXT, .help = "of a Kafka record"},
	{.name = "header", .code = OPTION_HEADER, .value = CLI_TEXT, .repeats = true, .help = "NAME=VALUE"},
	{.name = "content-type", .code = OPTION_CONTENT_TYPE, .value = CLI_TEXT, .help = "of the payload"},
	{.name = "qos", .code = OPTION_QOS, .value = CLI_CHOICE, .choices = "0 1 2", .help = "it is received with"},
	{.name = "retain", .code = OPTION_RETAIN, .help = "it has the retain flag"},
	{.name = "all", .code = OPTION_ALL, .help = "also what does not take it, and why"},
	{.name = "live", .code = OPTION_LIVE, .value = CLI_TEXT, .help = "show what passes a running daemon"},
	{.name = "count", .code = OPTION_COUNT, .value = CLI_TEXT, .help = "with --live: end after so many"},
	{.name = "json", .code = OPTION_JSON, .help = "with --live: lines of JSON"},
	{.name = NULL},
};

static int take_header(struct options *options, const char *text)
{
	const char *equals = strchr(text, '=');
	if (!equals || equals == text)
		return complain("--header takes NAME=VALUE, not '%s'", text);
	if (options->n_headers == MESSAGE_MAX_FIELDS)
		return complain("%s", "a message has no more headers than that");
	options->headers[options->n_headers++] =
		(struct message_field){slice_of(text, (size_t)(equals - text)), slice_str(equals + 1)};
	return 0;
}

static int take_option(int c, struct options *options)
{
	char *end;
	switch (c) {
	case OPTION_FROM:
		options->from = optarg;
		return 0;
	case OPTION_TOPIC:
		options->topic = optarg;
		return 0;
	case OPTION_PAYLOAD:
		options->payload = optarg;
		return 0;
	case OPTION_NULL:
		options->null = true;
		return 0;
	case OPTION_KEY:
		options->key = optarg;
		return 0;
	case OPTION_HEADER:
		return take_header(options, optarg);
	case OPTION_CONTENT_TYPE:
		options->content_type = optarg;
		return 0;
	case OPTION_QOS:
		options->qos = strtol(optarg, &end, 10);
		if (end == optarg || *end || options->qos < 0 || options->qos > 2)
			return complain("--qos takes 0, 1 or 2, not '%s'", optarg);
		return 0;
	case OPTION_RETAIN:
		options->retain = true;
		return 0;
	case OPTION_ALL:
		options->all = true;
		return 0;
	case OPTION_LIVE:
		options->live = optarg;
		return 0;
	case OPTION_COUNT:
		options->count = strtol(optarg, &end, 10);
		if (end == optarg || *end || options->count < 1)
			return complain("--count takes a number from 1, not '%s'", optarg);
		return 0;
	case OPTION_JSON:
		options->json = true;
		return 0;
	default:
		return 2; /* getopt has told */
	}
}

/* -1: go on; else the exit status. */
static int check_live(const struct options *options)
{
	const char *wrong = topic_filter_check(options->live);
	if (wrong)
		return complain("--live: %s", wrong);
	if (options->from || options->topic || options->payload || options->null || options->key ||
		options->n_headers || options->content_type || options->retain || options->all)
		return complain("%s", "--live shows what passes: only --count and --json go with it");
	return -1;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct options *options)
{
	for (int c; (c = cli_next_option(argc, argv, cli_trace_options)) != -1;) {
		if (c == 'h') {
			usage(stdout);
			return 0;
		}
		int status = take_option(c, options);
		if (status)
			return status;
	}
	if (optind + 1 != argc) {
		usage(stderr);
		return 2;
	}
	options->path = argv[optind];
	if (options->live)
		return check_live(options);
	if (options->count || options->json)
		return complain("%s", "--count and --json go with --live");
	if (!options->topic)
		return complain(
			"%s", "--topic is missing: say where the message comes in, as in --topic plant/l1/value");
	if (options->null && options->payload)
		return complain("%s", "--null and --payload exclude each other");
	return -1;
}

/* --- the message ----------------------------------------------------------------------------------------------------------- */

static int read_all(FILE *in, struct buffer *payload)
{
	for (;;) {
		if (buffer_reserve(payload, 65536) < 0)
			return -EFBIG;
		size_t n = fread(payload->data + payload->len, 1, 65536, in);
		payload->len += n;
		if (n == 0)
			return ferror(in) ? -errno : 0;
	}
}

/* 0, or the exit status. */
static int read_payload(const char *text, struct buffer *payload, struct slice *ret_payload)
{
	*ret_payload = slice_str(text ? text : "");
	if (!text || *text != '@')
		return 0;
	const char *name = text + 1;
	FILE *in = strcmp(name, "-") == 0 ? stdin : fopen(name, "rbe");
	int r = in ? read_all(in, payload) : -errno;
	if (in && in != stdin)
		fclose(in);
	if (r < 0) {
		fprintf(stderr, "linkspan trace: %s: %s\n", name, strerror(-r));
		return 1;
	}
	*ret_payload = payload->len ? buffer_slice(payload) : slice_str("");
	return 0;
}

static bool is_source(const struct config *config, size_t connection)
{
	if (config->connections[connection].is_aggregator)
		return false;
	for (size_t m = 0; m < config->n_mappings; m++)
		if (config->mappings[m].from_connection == connection)
			return true;
	return false;
}

static int complain_of_connection(const struct config *config, const char *name)
{
	struct suggestion near = {.word = name ? name : ""};
	if (name)
		fprintf(stderr, "linkspan trace: no connection '%s' is read from", name);
	else
		fprintf(stderr, "linkspan trace: several connections are read from");
	for (size_t i = 0; i < config->n_connections; i++)
		if (is_source(config, i))
			suggest_offer(&near, config->connections[i].name);
	if (name && near.best) {
		fprintf(stderr, "; did you mean '%s'?\n", near.best);
		return 2;
	}
	fputs("; say --from with one of:", stderr);
	for (size_t i = 0; i < config->n_connections; i++)
		if (is_source(config, i))
			fprintf(stderr, " %s", config->connections[i].name);
	fputc('\n', stderr);
	return 2;
}

/* Does some mapping take the message if that connection receives it? */
static bool takes(
	const struct config *config, struct router *router, size_t connection, const struct message_view *view)
{
	struct route_result result;
	return is_source(config, connection) && router_route(router, connection, -1, view, &result) == 0 &&
	       result.matched > 0;
}

/* The one of that name; without a name the only one that is read from, or whose mappings take the message. 0, or the exit
 * status. */
static int find_connection(const struct config *config, const char *name, struct router *router,
	const struct message_view *view, size_t *ret_connection)
{
	size_t found = SIZE_MAX, n = 0, taker = SIZE_MAX, n_takers = 0;
	for (size_t i = 0; i < config->n_connections; i++) {
		if (!is_source(config, i) || (name && strcmp(name, config->connections[i].name) != 0))
			continue;
		found = i;
		n++;
		if (name || !takes(config, router, i, view))
			continue;
		taker = i;
		n_takers++;
	}
	if (n != 1 && n_takers != 1)
		return complain_of_connection(config, name);
	*ret_connection = n == 1 ? found : taker;
	return 0;
}

static uint64_t now_ms(void)
{
	struct timeval now;
	gettimeofday(&now, NULL);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_usec / 1000;
}

static struct slice text_or_absent(const char *text)
{
	return text ? slice_str(text) : (struct slice){NULL, 0};
}

static int run(const struct config *config, const struct options *options, struct slice payload)
{
	struct message_view view = {
		.topic = slice_str(options->topic),
		.payload = payload,
		.content_type = text_or_absent(options->content_type),
		.key = text_or_absent(options->key),
		.headers = options->headers,
		.n_headers = options->n_headers,
		.origin_ms = now_ms(),
		.qos = (uint8_t)options->qos,
		.retain = options->retain,
	};
	struct trace trace = {
		.config = config, .view = &view, .all = options->all, .out = stdout, .width = page_width(stdout)};
	struct router *router = router_new(config);
	struct route_result result;
	if (!router)
		return complain("%s", "out of memory");
	int status = find_connection(config, options->from, router, &view, &trace.connection);
	if (status) {
		router_free(router);
		return status;
	}
	trace_begin(&trace);
	router_watch(router, &trace.watcher);
	int r = router_route(router, trace.connection, -1, &view, &result);
	if (r < 0)
		fprintf(stderr, "linkspan trace: %s\n", strerror(-r));
	else
		trace_end(&trace, &result);
	trace_free(&trace);
	router_free(router);
	return r < 0;
}

int cli_trace(int argc, char **argv)
{
	static struct options options; /* with 1,024 headers too large for a stack */
	struct config *config;
	struct buffer payload;
	size_t mistakes;
	options.qos = 1;
	int status = parse(argc, argv, &options);
	if (status >= 0)
		return status;
	if (options.live)
		return trace_live(
			&(struct trace_live){options.path, options.live, (unsigned long)options.count, options.json});
	const char *wrong = topic_name_check(slice_str(options.topic));
	if (wrong)
		return complain("--topic: %s", wrong);
	buffer_init(&payload, MESSAGE_MAX_PAYLOAD + 65536);
	struct slice bytes = {NULL, 0};
	status = options.null ? 0 : read_payload(options.payload, &payload, &bytes);
	if (status == 0 && config_load(options.path, stderr, &config, &mistakes) < 0) {
		fprintf(stderr, "%s: %zu mistake%s\n", options.path, mistakes, mistakes == 1 ? "" : "s");
		status = 1;
	} else if (status == 0) {
		log_set_level(LOG_LEVEL_ERROR); /* what the router logs is told below */
		status = run(config, &options, bytes);
		config_free(config);
	}
	buffer_free(&payload);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	perror("linkspan trace");
	return 1;
}
