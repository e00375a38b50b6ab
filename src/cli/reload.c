/* SPDX-License-Identifier: Apache-2.0
 *
 * `linkspan reload`: has the daemon that runs on a data folder read its configuration again, and says what came of it. The
 * daemon reads the file that it was started with; a configuration named here only says where its data folder is, and is not
 * checked unless that cannot be read: what is wrong with it is the daemon's to say.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/queue_client.h"
#include "config/config.h"
#include "config/json_writer.h"
#include "routing/json.h"
#include "runtime/control.h"

#define MAX_NAMES 64

struct options {
	const char *drop[MAX_NAMES], *drain[MAX_NAMES];
	size_t n_drop, n_drain;
	const char *folder;
};

const struct cli_option cli_reload_options[] = {
	{.name = "drop",
		.code = 'd',
		.value = CLI_CONNECTION,
		.repeats = true,
		.help = "throw away what waits for a destination"},
	{.name = "drain",
		.code = 'D',
		.value = CLI_CONNECTION,
		.repeats = true,
		.help = "deliver what waits for a destination, then remove it"},
	{.name = NULL},
};

static void usage(FILE *out)
{
	fputs("usage: linkspan reload [OPTION...] DATA_DIR|CONFIG\n\n"
	      "Has the daemon that runs on the data folder read its configuration again: the file that it was started "
	      "with, which\n"
	      "need not be the one that is named here to find the folder. It checks the file and applies what has\n"
	      "changed: connections that are as they were stay connected, and what waits for a destination goes on "
	      "waiting as it\n"
	      "was rendered. A file with mistakes changes nothing. SIGHUP does the same, and says in the log what came "
	      "of it.\n\n"
	      "A destination that no mapping writes to any more, and that has messages waiting, is not removed unless "
	      "told:\n\n"
	      "  --drain NAME  deliver what waits for NAME, then remove it\n"
	      "  --drop NAME   throw away what waits for NAME\n",
		out);
}

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct options *options)
{
	int c;
	while ((c = cli_next_option(argc, argv, cli_reload_options)) != -1) {
		if (c == 'h') {
			usage(stdout);
			return 0;
		}
		if (c == 'd' && options->n_drop < MAX_NAMES)
			options->drop[options->n_drop++] = optarg;
		else if (c == 'D' && options->n_drain < MAX_NAMES)
			options->drain[options->n_drain++] = optarg;
		else
			return 2;
	}
	if (optind + 1 != argc) {
		fprintf(stderr,
			"linkspan reload: takes the data folder, or the configuration that names it (linkspan reload "
			"--help)\n");
		return 2;
	}
	options->folder = argv[optind];
	return -1;
}

/* --- the daemon ------------------------------------------------------------------------------------------------------- */

/* What hides the data folder in a file. */
static void tell_mistakes(const char *path)
{
	struct config *config;
	if (config_load(path, stderr, &config, NULL) == 0)
		config_free(config);
}

/* Of a configuration that may have mistakes: those are the daemon's to say, if it can be found. NULL: told. */
static char *find_folder(const char *name)
{
	struct stat st;
	if (stat(name, &st) < 0) {
		fprintf(stderr, "linkspan reload: %s: %s\n", name, strerror(errno));
		return NULL;
	}
	if (S_ISDIR(st.st_mode))
		return strdup(name);
	char *folder = config_data_dir(name);
	if (!folder) {
		tell_mistakes(name);
		fprintf(stderr,
			"linkspan reload: nothing has changed: %s names no data folder that can be read; name the "
			"folder instead\n",
			name);
	}
	return folder;
}

static void put_names(FILE *out, const char *member, const char *const *names, size_t n)
{
	struct json_writer json = {.out = out, .depth = 1, .compact = true};
	fprintf(out, ",\"%s\":[", member);
	for (size_t i = 0; i < n; i++) {
		if (i)
			fputc(',', out);
		json_text(&json, NULL, names[i]);
		json = (struct json_writer){.out = out, .depth = 1, .compact = true};
	}
	fputc(']', out);
}

static int ask(struct queue_client *client, const struct options *options)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return -1;
	fputs("{\"op\":\"reload\"", out);
	put_names(out, "drop", options->drop, options->n_drop);
	put_names(out, "drain", options->drain, options->n_drain);
	fputs("}\n", out);
	int r = fclose(out) == 0 ? queue_client_send(client, slice_of(text, len)) : -1;
	free(text);
	return r < 0 ? r : queue_client_flush(client);
}

static void show_text(struct slice line)
{
	struct json_step step = {.key = slice_str("text")};
	struct slice raw = json_find(line, &step, 1);
	uint8_t *text = raw.data && json_kind(raw) == JSON_STRING ? malloc(raw.len) : NULL;
	size_t len = text ? json_unescape(raw, text) : 0;
	if (len && len != SIZE_MAX) {
		fwrite(text, 1, len, stderr);
		if (text[len - 1] != '\n')
			fputc('\n', stderr);
	}
	free(text);
}

static int show_answer(struct queue_client *client)
{
	struct queue_answer answer;
	do {
		if (queue_client_next(client, &answer) < 0)
			return 1;
		if (answer.kind == ANSWER_LINE)
			show_text(answer.line);
	} while (answer.kind != ANSWER_END);
	if (answer.error[0])
		fprintf(stderr, "linkspan reload: %s\n", answer.error);
	return answer.error[0] ? 1 : 0;
}

int cli_reload(int argc, char **argv)
{
	struct options options = {.n_drop = 0};
	int status = parse(argc, argv, &options);
	if (status >= 0)
		return status;
	char *folder = find_folder(options.folder);
	if (!folder)
		return 1;
	struct queue_client client;
	status = 1;
	if (queue_client_connect("linkspan reload", folder, &client) == 0) {
		/* If nobody hears it, nobody answers. */
		int r = ask(&client, &options);
		(void)r;
		status = show_answer(&client);
		queue_client_close(&client);
	}
	free(folder);
	return status;
}
