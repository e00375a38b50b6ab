/* SPDX-License-Identifier: Apache-2.0
 *
 * `linkspan queue`: see and mend what waits and what has died. Reads the command line, asks (queue_client), shows the
 * answer (queue_show). Import reads its file here: mistakes are told by their line before anything is sent, when the file
 * can be read twice.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/queue_client.h"
#include "cli/queue_show.h"
#include "config/json_writer.h"
#include "message/utf8.h"
#include "routing/json.h"
#include "routing/topic_filter.h"

#define DEFAULT_PEEK  10
#define MOST_MISTAKES 20

struct options {
	const char *command, *folder_name, *destination, *file;
	const char *topic, *key, *reason, *limit;
	uint64_t first, last;
	bool has_range, dead, json, yes;
	struct queue_folder folder;
};

#define OF_DESTINATION                                                                                                 \
	{                                                                                                              \
		CLI_CONFIG_OR_FOLDER, CLI_CONNECTION                                                                   \
	}

const struct cli_command cli_queue_commands[] = {
	{.name = "ls",
		.arguments = "[DEST]",
		.help = "what waits, for how long, and what has become of the rest",
		.places = OF_DESTINATION,
		.last_is_optional = true},
	{.name = "peek", .arguments = "DEST", .help = "show messages", .places = OF_DESTINATION},
	{.name = "export", .arguments = "DEST", .help = "write messages as JSON Lines", .places = OF_DESTINATION},
	{.name = "import",
		.arguments = "[FILE]",
		.help = "append messages from JSON Lines (standard input)",
		.places = {CLI_CONFIG_OR_FOLDER, CLI_FILE},
		.last_is_optional = true},
	{.name = "requeue", .arguments = "DEST", .help = "send dead letters again", .places = OF_DESTINATION},
	{.name = "purge", .arguments = "DEST", .help = "throw messages away", .places = OF_DESTINATION},
	{.name = "pause",
		.arguments = "DEST",
		.help = "send nothing more, but go on taking in",
		.places = OF_DESTINATION},
	{.name = "resume", .arguments = "DEST", .help = "send again", .places = OF_DESTINATION},
	{.name = NULL},
};

#define PICKING "peek export purge requeue"

const struct cli_option cli_queue_options[] = {
	{.name = "dead", .code = 'd', .only = "peek export purge", .help = "the dead letters, not what waits"},
	{.name = "seq", .code = 's', .value = CLI_TEXT, .only = PICKING, .help = "only these numbers, N or N-M"},
	{.name = "topic", .code = 't', .value = CLI_TEXT, .only = PICKING, .help = "only topics that a filter matches"},
	{.name = "key", .code = 'k', .value = CLI_TEXT, .only = PICKING, .help = "only messages with this key"},
	{.name = "reason",
		.code = 'r',
		.value = CLI_TEXT,
		.only = PICKING,
		.help = "only dead letters for this reason"},
	{.name = "limit", .code = 'l', .value = CLI_TEXT, .only = PICKING, .help = "so many at most"},
	{.name = "to", .code = 'T', .value = CLI_CONNECTION, .only = "import", .help = "whatever the lines say"},
	{.name = "json", .code = 'j', .help = "for programs"},
	{.name = "yes", .code = 'y', .only = "purge", .help = "do not ask"},
	{.name = NULL},
};

static void usage(FILE *out)
{
	fputs("usage: linkspan queue COMMAND DATA_DIR|CONFIG [DEST] [OPTION...]\n\n"
	      "Shows and mends what waits for a destination. Asks the daemon that runs on the data folder, or works on "
	      "the\n"
	      "files when none does.\n\n",
		out);
	for (const struct cli_command *it = cli_queue_commands; it->name; it++)
		fprintf(out, "  %-7s  %-6s  %s\n", it->name, it->arguments, it->help);
	fputs("\n"
	      "  --dead             peek, export, purge: the dead letters, not what waits\n"
	      "  --seq N[-M]        only these numbers\n"
	      "  --topic FILTER     only topics that an MQTT topic filter matches\n"
	      "  --key KEY          only messages with this key\n"
	      "  --reason TEXT      only dead letters whose reason has this in it\n"
	      "  --limit N          so many at most (peek: 10)\n"
	      "  --to DEST          import: to this destination, whatever the lines say\n"
	      "  --json             ls: one JSON document; peek: JSON Lines; others: the counts\n"
	      "  --yes              purge: do not ask\n",
		out);
}

static int __attribute__((format(printf, 1, 2))) complain(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("linkspan queue: ", stderr);
	vfprintf(stderr, format, args);
	fputs(" (linkspan queue --help)\n", stderr);
	va_end(args);
	return 2;
}

/* --- command line ---------------------------------------------------------------------------------------------------------- */

static bool parse_number(const char *text, char **end, uint64_t *ret_number)
{
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret_number = strtoull(text, end, 10);
	return errno == 0;
}

static bool parse_range(const char *text, struct options *options)
{
	char *end;
	options->has_range = true;
	if (!parse_number(text, &end, &options->first))
		return false;
	options->last = options->first;
	if (*end == '-' && !parse_number(end + 1, &end, &options->last))
		return false;
	return *end == '\0' && options->first <= options->last;
}

static bool is_count(const char *text)
{
	char *end;
	uint64_t number;
	return parse_number(text, &end, &number) && *end == '\0';
}

static int take_option(int c, struct options *options)
{
	switch (c) {
	case 'd':
		options->dead = true;
		return 0;
	case 's':
		return parse_range(optarg, options) ? 0 : complain("--seq takes N or N-M, not '%s'", optarg);
	case 't':
		options->topic = optarg;
		return topic_filter_check(optarg) ? complain("--topic: %s", topic_filter_check(optarg)) : 0;
	case 'k':
		options->key = optarg;
		return utf8_valid(slice_str(optarg)) ? 0 : complain("--key is not UTF-8");
	case 'r':
		options->reason = optarg;
		return utf8_valid(slice_str(optarg)) ? 0 : complain("--reason is not UTF-8");
	case 'l':
		options->limit = optarg;
		return is_count(optarg) ? 0 : complain("--limit takes a number, not '%s'", optarg);
	case 'T':
		options->destination = optarg;
		return 0;
	case 'j':
		options->json = true;
		return 0;
	case 'y':
		options->yes = true;
		return 0;
	default:
		return 2;
	}
}

static int take_arguments(int argc, char **argv, struct options *options)
{
	if (optind >= argc) {
		usage(stderr);
		return 2;
	}
	options->command = argv[optind++];
	const struct cli_command *command = cli_find(cli_queue_commands, options->command);
	if (!command)
		return complain("there is no command '%s'", options->command);
	if (optind >= argc)
		return complain("%s needs a data folder or a configuration", options->command);
	options->folder_name = argv[optind++];
	bool import = command->places[1] == CLI_FILE;
	if (options->destination && !import)
		return complain("--to is for import, not for %s", options->command);
	if (optind < argc && import)
		options->file = argv[optind++];
	else if (optind < argc)
		options->destination = argv[optind++];
	if (optind < argc)
		return complain("'%s' is one argument too many", argv[optind]);
	if (!command->last_is_optional && !options->destination)
		return complain("%s needs a destination", options->command);
	return 0;
}

static bool is_command(const struct options *options, const char *name)
{
	return strcmp(options->command, name) == 0;
}

/* What would otherwise be left unheeded, and lead to more than was wanted. */
static int check_options(const struct options *options)
{
	bool picks = is_command(options, "peek") || is_command(options, "export") || is_command(options, "purge");
	bool requeue = is_command(options, "requeue");
	if ((options->has_range || options->topic || options->key || options->limit) && !picks && !requeue)
		return complain("%s takes no filter", options->command);
	if (options->dead && !picks && !requeue)
		return complain("%s is not about dead letters", options->command);
	if (options->reason && !options->dead && !requeue)
		return complain("--reason is about dead letters: %s needs --dead with it", options->command);
	return 0;
}

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct options *options)
{
	int c, status = 0;
	while (status == 0 && (c = cli_next_option(argc, argv, cli_queue_options)) != -1) {
		if (c == 'h') {
			usage(stdout);
			return 0;
		}
		status = take_option(c, options);
	}
	if (status == 0)
		status = take_arguments(argc, argv, options);
	if (status == 0)
		status = check_options(options);
	return status ? status : -1;
}

/* --- asking ---------------------------------------------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void put_text(FILE *out, const char *name, const char *text)
{
	if (!text)
		return;
	fprintf(out, ",\"%s\":", name);
	/* A string even where base64 would be shorter: a request has no bytes. */
	struct json_writer json = {.out = out, .depth = 1, .compact = true};
	json_text(&json, NULL, text);
}

static int send_request(const struct options *options, const char *op, struct queue_client *client)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return -1;
	fprintf(out, "{\"op\":\"%s\"", op);
	put_text(out, "destination", options->destination);
	put_text(out, "topic", options->topic);
	put_text(out, "key", options->key);
	put_text(out, "reason", options->reason);
	if (options->dead)
		fputs(",\"dead\":true", out);
	if (options->has_range)
		fprintf(out, ",\"first\":%" PRIu64 ",\"last\":%" PRIu64, options->first, options->last);
	if (options->limit)
		fprintf(out, ",\"limit\":%s", options->limit);
	else if (strcmp(op, "peek") == 0)
		fprintf(out, ",\"limit\":%d", DEFAULT_PEEK);
	fputs("}\n", out);
	int r = fclose(out);
	if (r == 0)
		r = queue_client_send(client, slice_of(text, len));
	if (r == 0)
		r = queue_client_flush(client);
	free(text);
	return r;
}

static int end_status(const struct queue_answer *end)
{
	if (end->error[0])
		fprintf(stderr, "linkspan queue: %s\n", end->error);
	return end->error[0] ? 1 : 0;
}

static void show_message(const struct options *options, struct queue_answer *answer, uint64_t now)
{
	const struct message_view *view = message_view(answer->msg);
	if (!answer->about.destination[0])
		snprintf(answer->about.destination, sizeof answer->about.destination, "%s", options->destination);
	if (options->json || is_command(options, "export"))
		message_json_write(stdout, view, &answer->about);
	else
		queue_show_message(stdout, view, &answer->about, now);
	message_unref(answer->msg);
}

static struct slice row_of(struct slice line)
{
	struct json_step step = {.key = slice_str("destination")};
	return json_find(line, &step, 1);
}

static void show_row(const struct options *options, struct slice row, uint64_t now, size_t before)
{
	if (!options->json) {
		if (before == 0)
			queue_show_head(stdout);
		queue_show_row(stdout, row, now);
		return;
	}
	fputs(before ? ",\n" : "{\"destinations\":[\n", stdout);
	fwrite(row.data, 1, row.len, stdout);
}

/* Reads the answer to its end. The exit status. */
static int show_answer(const struct options *options, struct queue_client *client, struct queue_answer *answer)
{
	uint64_t now = now_ms();
	size_t rows = 0, messages = 0;
	bool ls = is_command(options, "ls"), peek = is_command(options, "peek");
	for (;;) {
		if (queue_client_next(client, answer) < 0)
			return 1;
		if (answer->kind == ANSWER_END)
			break;
		messages += answer->kind == ANSWER_MESSAGE;
		if (answer->kind == ANSWER_MESSAGE)
			show_message(options, answer, now);
		else if (ls && row_of(answer->line).data)
			show_row(options, row_of(answer->line), now, rows++);
		if (ferror(stdout))
			return 1; /* nobody reads it any more */
	}
	if (ls && options->json && !answer->error[0])
		fputs(rows ? "\n]}\n" : "{\"destinations\":[]}\n", stdout);
	else if (ls && rows == 0 && !answer->error[0])
		puts("no destinations");
	else if (peek && messages == 0 && !options->json && !answer->error[0])
		puts("no messages");
	return end_status(answer);
}

static void show_counts(
	const struct options *options, const struct queue_answer *end, const char *done, const char *why_kept)
{
	if (options->json) {
		printf("{\"messages\":%" PRIu64 ",\"kept\":%" PRIu64 "}\n", end->messages, end->kept);
		return;
	}
	if (end->error[0] && end->messages == 0 && end->kept == 0)
		return;
	printf("%" PRIu64 " message%s %s\n", end->messages, end->messages == 1 ? "" : "s", done);
	if (end->kept)
		printf("%" PRIu64 " kept: %s\n", end->kept, why_kept);
}

static int ask(const struct options *options)
{
	struct queue_client client;
	struct queue_answer answer = {.kind = ANSWER_LINE};
	if (queue_client_open(&options->folder, &client) < 0)
		return 1;
	send_request(options, options->command, &client); /* if nobody hears it, nobody answers */
	int status = show_answer(options, &client, &answer);
	if (answer.kind == ANSWER_END && is_command(options, "purge"))
		show_counts(options, &answer, "purged", "in flight, or the peer may have them in part (QoS 2)");
	else if (answer.kind == ANSWER_END && is_command(options, "requeue"))
		show_counts(options, &answer, "queued again",
			"the time by which their sender wanted them delivered has passed");
	int closed = queue_client_close(&client);
	return status ? status : closed;
}

/* --- purge ------------------------------------------------------------------------------------------------------------------- */

/* How many are there, of all. -1: told. */
static int64_t count(const struct options *options)
{
	struct options ls = {.command = "ls", .destination = options->destination, .folder = options->folder};
	struct queue_client client;
	struct queue_answer answer;
	int64_t n = -1;
	if (queue_client_open(&options->folder, &client) < 0)
		return -1;
	send_request(&ls, "ls", &client);
	while (queue_client_next(&client, &answer) == 0 && answer.kind == ANSWER_LINE)
		if (row_of(answer.line).data)
			n = (int64_t)queue_show_number(row_of(answer.line), options->dead ? "dead" : "waiting");
	if (answer.kind == ANSWER_END)
		end_status(&answer);
	return queue_client_close(&client) ? -1 : n;
}

static bool is_sure(const struct options *options)
{
	char line[16] = "";
	if (options->yes)
		return true;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		fprintf(stderr, "linkspan queue: purge throws messages away: say --yes\n");
		return false;
	}
	int64_t n = count(options);
	if (n < 0)
		return false;
	bool picks = options->has_range || options->topic || options->key || options->reason || options->limit;
	fprintf(stderr, "%s has %" PRId64 " %s. Throw %s away? [y/N] ", options->destination, n,
		options->dead ? "dead letters" : "messages waiting", picks ? "those that fit" : "them");
	return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

/* --- import ------------------------------------------------------------------------------------------------------------------ */

struct import {
	FILE *in;
	const char *name; /* of the file, for messages */
	struct buffer line;
	uint64_t number, mistakes, origin_ms;
	const char *to; /* NULL: where each line says */
};

/* The next line that is not empty: 1, 0 at the end, -1: told. */
static int next_line(struct import *import)
{
	int c = 0;
	while (c != EOF) {
		buffer_clear(&import->line);
		import->number++;
		while ((c = getc_unlocked(import->in)) != EOF && c != '\n') {
			if (import->line.len == import->line.capacity && buffer_reserve(&import->line, 1) < 0) {
				fprintf(stderr, "%s:%" PRIu64 ": the line is too long\n", import->name, import->number);
				return -1;
			}
			import->line.data[import->line.len++] = (uint8_t)c;
		}
		if (import->line.len && import->line.data[import->line.len - 1] == '\r')
			import->line.len--;
		if (import->line.len)
			return 1;
	}
	if (ferror(import->in))
		fprintf(stderr, "%s: %s\n", import->name, strerror(errno));
	return ferror(import->in) ? -1 : 0;
}

/* A dead letter is imported to be sent: what it was rejected for does not hold any more. */
static int read_message(struct import *import, struct message **ret_msg, struct message_json *about)
{
	char wrong[200] = "out of memory";
	int r = message_json_read(buffer_slice(&import->line), import->origin_ms, ret_msg, about, wrong, sizeof wrong);
	if (r == 0 && !about->destination[0] && !import->to) {
		message_unref(*ret_msg);
		snprintf(wrong, sizeof wrong, "the line names no destination: add one, or say --to DEST");
		r = -EINVAL;
	}
	if (r == 0)
		return 0;
	fprintf(stderr, "%s:%" PRIu64 ": %s\n", import->name, import->number, wrong);
	import->mistakes++;
	return r;
}

/* Tells every mistake of a file, up to a number. */
static bool is_good(struct import *import)
{
	struct message *msg;
	struct message_json about;
	int r;
	while (import->mistakes < MOST_MISTAKES && (r = next_line(import)) != 0) {
		if (r < 0)
			return false;
		if (read_message(import, &msg, &about) == 0)
			message_unref(msg);
	}
	if (import->mistakes == 0) {
		rewind(import->in);
		import->number = 0;
	}
	return import->mistakes == 0;
}

static int send_message(
	struct import *import, struct queue_client *client, struct message *msg, const struct message_json *about)
{
	struct message_view view = *message_view(msg);
	if (about->dead)
		view.reject_reason = (struct slice){NULL, 0};
	int r = queue_client_send_message(client, &view, import->to ? import->to : about->destination);
	message_unref(msg);
	return r;
}

/* False: a mistake that has been told. The server may have ended it: then its answer says why. */
static bool send_all(struct import *import, struct queue_client *client)
{
	static const char end[] = "{\"end\":true}\n";
	struct message *msg;
	struct message_json about;
	int r, sent = 0;
	while (sent == 0 && (r = next_line(import)) != 0) {
		if (r < 0 || read_message(import, &msg, &about) < 0)
			import->mistakes++;
		if (import->mistakes)
			break;
		sent = send_message(import, client, msg, &about);
	}
	if (sent == 0 && queue_client_send(client, slice_of(end, sizeof end - 1)) == 0)
		queue_client_flush(client);
	return import->mistakes == 0;
}

static int import_from(const struct options *options, struct import *import)
{
	struct queue_client client;
	struct queue_answer answer = {.kind = ANSWER_LINE};
	struct stat st;
	if (fstat(fileno(import->in), &st) == 0 && S_ISREG(st.st_mode) && !is_good(import)) {
		fprintf(stderr, "linkspan queue: nothing was imported\n");
		return 1;
	}
	if (queue_client_open(&options->folder, &client) < 0)
		return 1;
	bool good = send_request(options, "import", &client) < 0 || send_all(import, &client);
	int status = show_answer(options, &client, &answer);
	if (answer.kind == ANSWER_END)
		show_counts(options, &answer, "imported, durably", "");
	int closed = queue_client_close(&client);
	return good && status == 0 ? closed : 1;
}

static int run_import(const struct options *options)
{
	bool named = options->file && strcmp(options->file, "-") != 0;
	struct import import = {
		.in = named ? fopen(options->file, "re") : stdin,
		.name = named ? options->file : "standard input",
		.origin_ms = now_ms(),
		.to = options->destination,
	};
	if (!import.in) {
		fprintf(stderr, "linkspan queue: %s: %s\n", options->file, strerror(errno));
		return 1;
	}
	buffer_init(&import.line, MESSAGE_JSON_MAX);
	int status = import_from(options, &import);
	buffer_free(&import.line);
	if (named)
		fclose(import.in);
	return status;
}

int cli_queue(int argc, char **argv)
{
	struct options options = {.command = NULL};
	int status = parse(argc, argv, &options);
	if (status >= 0)
		return status;
	if (queue_folder_find(options.folder_name, &options.folder) < 0)
		return 1;
	if (is_command(&options, "import"))
		status = run_import(&options);
	else if (is_command(&options, "purge") && !is_sure(&options))
		status = 1;
	else
		status = ask(&options);
	queue_folder_free(&options.folder);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	if (errno != EPIPE) /* else who reads has had enough */
		perror("linkspan queue");
	return 1;
}
