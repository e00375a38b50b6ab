/* SPDX-License-Identifier: Apache-2.0
 *
 * linkspan trace --live: asks a running daemon to be told what passes (doc/control-protocol.md, watch), and writes it down line
 * by line until it is interrupted. What came from a peer reaches the terminal without control characters.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/queue_client.h"
#include "cli/trace.h"
#include "config/json_writer.h"
#include "routing/json.h"

#define WHO "linkspan trace"

static struct slice member(struct slice object, const char *name)
{
	struct json_step step = {.key = slice_str(name)};
	return json_find(object, &step, 1);
}

static uint64_t number(struct slice object, const char *name)
{
	struct slice raw = member(object, name);
	uint64_t value = 0;
	for (size_t i = 0; i < raw.len && raw.data[i] >= '0' && raw.data[i] <= '9'; i++)
		value = value * 10 + (uint64_t)(raw.data[i] - '0');
	return value;
}

/* C0 and C1 controls, which a terminal might obey, as a question mark. */
static void put_plain(const uint8_t *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool c1 = text[i] == 0xc2 && i + 1 < len && text[i + 1] < 0xa0;
		if (c1)
			i++;
		putchar(c1 || text[i] < ' ' || text[i] == 0x7f ? '?' : text[i]);
	}
}

/* A string, or {"hex": "…"}; nothing when it is not there. */
static void put_member(const char *before, struct slice object, const char *name)
{
	struct slice raw = member(object, name);
	bool hex = raw.data && json_kind(raw) == JSON_OBJECT;
	if (hex)
		raw = member(raw, "hex");
	if (!raw.data || json_kind(raw) != JSON_STRING)
		return;
	uint8_t *text = malloc(raw.len + 1);
	size_t len = text ? json_unescape(raw, text) : SIZE_MAX;
	fputs(before, stdout);
	fputs(hex ? "0x" : "", stdout);
	if (len != SIZE_MAX)
		put_plain(text, len);
	free(text);
}

static void show_nothing(struct slice message)
{
	static const struct {
		const char *member, *words;
	} reasons[] = {
		{"left_out", "left out by min_interval"},
		{"dropped", "dropped by on_error: drop"},
		{"looped", "passed on max_hops times already"},
	};
	uint64_t n = number(message, "n");
	bool told = false;
	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
		uint64_t count = number(message, reasons[i].member);
		if (count)
			printf("#%" PRIu64 "   %s: %" PRIu64 "\n", n, reasons[i].words, count);
		told |= count > 0;
	}
	if (!told && number(message, "outputs") == 0)
		printf("#%" PRIu64 "   goes nowhere: no mapping takes it, or none lets it through\n", n);
}

static void show_message(struct slice message)
{
	struct slice payload = member(message, "payload");
	printf("#%" PRIu64, number(message, "n"));
	put_member(" ", message, "connection");
	put_member(": ", message, "topic");
	put_member(", key ", message, "key");
	put_member("  ", message, "payload");
	printf("%s  (%" PRIu64 " bytes)\n", payload.data ? "" : "  null", number(message, "bytes"));
	show_nothing(message);
}

static void show_output(struct slice output)
{
	uint64_t seq = number(output, "seq");
	printf("#%" PRIu64, number(output, "n"));
	put_member("   ", output, "mapping");
	put_member(" -> ", output, "destination");
	put_member(": ", output, "topic");
	put_member(", key ", output, "key");
	put_member("  ", output, "what");
	if (seq)
		printf(" as %" PRIu64, seq);
	put_member(": ", output, "reason");
	putchar('\n');
}

static void show_outcome(struct slice outcome)
{
	printf("#%" PRIu64, number(outcome, "n"));
	put_member("   ", outcome, "destination");
	printf(" %" PRIu64, number(outcome, "seq"));
	put_member("  ", outcome, "what");
	put_member(": ", outcome, "reason");
	putchar('\n');
}

/* For --count: what is still to come. */
struct progress {
	unsigned long messages;
	uint64_t outputs, undelivered;
	bool lost; /* then nobody can tell */
};

static bool is_final(struct slice outcome)
{
	static const char *const words[] = {"\"delivered\"", "\"expired\"", "\"dropped\"", "\"dead letter\""};
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (slice_equal(member(outcome, "what"), slice_str(words[i])))
			return true;
	return false;
}

/* False: it is about a message beyond --count. */
static bool note_line(const struct trace_live *live, struct slice line, struct progress *progress)
{
	struct slice message = member(line, "message"), output = member(line, "output"),
		     outcome = member(line, "outcome");
	struct slice about = message.data ? message : output.data ? output : outcome;
	bool beyond = live->count && about.data && number(about, "n") > live->count;
	progress->lost |= member(line, "lost").data != NULL;
	progress->messages += message.data != NULL;
	if (beyond)
		return false;
	if (message.data)
		progress->outputs += number(message, "outputs");
	else if (output.data && progress->outputs)
		progress->outputs--;
	if (output.data && number(output, "seq"))
		progress->undelivered++;
	else if (outcome.data && progress->undelivered && is_final(outcome))
		progress->undelivered--;
	return true;
}

static bool is_complete(const struct trace_live *live, const struct progress *progress)
{
	if (!live->count || progress->messages < live->count)
		return false;
	return progress->lost || (progress->outputs == 0 && progress->undelivered == 0);
}

static void show_line(const struct trace_live *live, struct slice line)
{
	struct slice message = member(line, "message"), output = member(line, "output"),
		     outcome = member(line, "outcome");
	if (live->json) {
		fwrite(line.data, 1, line.len, stdout);
		putchar('\n');
	} else if (message.data) {
		show_message(message);
	} else if (output.data) {
		show_output(output);
	} else if (outcome.data) {
		show_outcome(outcome);
	} else if (member(line, "lost").data) {
		printf("… %" PRIu64 " lines are missing here: there was no time to tell them\n", number(line, "lost"));
	}
	if (member(line, "watching").data)
		fprintf(stderr, WHO ": watching %s; end it with Ctrl-C\n", live->filter);
}

static int request(const struct trace_live *live, struct queue_client *client)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	struct json_writer json = {.out = out, .compact = true};
	if (!out)
		return -1;
	json_open(&json, NULL, '{');
	json_text(&json, "op", "watch");
	json_text(&json, "topic", live->filter);
	json_close(&json, '}');
	int r = fclose(out) == 0 ? queue_client_send(client, slice_of(text, len)) : -1;
	free(text);
	return r == 0 ? queue_client_flush(client) : r;
}

static int watch(const struct trace_live *live, struct queue_client *client)
{
	struct queue_answer answer;
	struct progress progress = {0};
	if (request(live, client) < 0)
		fprintf(stderr, WHO ": the daemon does not listen\n"); /* and perhaps says why */
	for (;;) {
		if (queue_client_next(client, &answer) < 0)
			return 1;
		if (answer.kind == ANSWER_END && *answer.error)
			fprintf(stderr, WHO ": %s\n", answer.error);
		if (answer.kind == ANSWER_END)
			return *answer.error != '\0';
		if (answer.kind != ANSWER_LINE)
			continue;
		if (note_line(live, answer.line, &progress))
			show_line(live, answer.line);
		if (fflush(stdout) != 0)
			return 1; /* nobody reads any more */
		if (is_complete(live, &progress))
			return 0;
	}
}

int trace_live(const struct trace_live *live)
{
	struct queue_folder folder;
	struct queue_client client;
	if (queue_folder_find(live->path, &folder) < 0)
		return 1;
	int status = queue_client_connect(WHO, folder.path, &client) < 0;
	if (status == 0) {
		status = watch(live, &client);
		int failed = queue_client_close(&client);
		status |= failed;
	}
	queue_folder_free(&folder);
	return status;
}
