/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams into the CoAP listener, through libcoap and real sockets, beside a model of its host (coap/model.h, where stands what must hold). The
 * bytes are a play: peers write, read, observe, send blocks, repeat, garble and answer; the journal takes its time, is busy or
 * refuses; values change; time passes.
 */
#include <stdio.h>
#include <string.h>

#include "connectors/coap/settings.h"
#include "runtime/log.h"
#include "tests/fuzz/coap/model.h"
#include "tests/fuzz/fuzz.h"

#define MAX_STEPS     150
#define MAX_PASSED_MS 300000u
#define NOBODY        0xffffu
#define MAX_TAGS      4u

enum step {
	WRITE,
	WRITE_SAME_ID,
	AGAIN,
	GARBLED,
	BLOCK,
	READ,
	RAW,
	RECEIPT,
	MOOD,
	RESUME,
	PASS,
	VALUE,
	MANNERS,
	REJECT,
	STEPS
};

struct play {
	const uint8_t *at, *end;
	struct model model;
	uint16_t mid[PLAY_PEERS];
	struct body {
		size_t first; /* datagram of the last one that was sent block by block */
		bool has_mark; /* it was long enough for one */
		bool is_there;
		bool follows_raw; /* bytes of any kind may have begun one in its place */
	} bodies[PLAY_PEERS][2][MAX_TAGS]; /* by method and Request-Tag */
	uint64_t passed_ms;
};

static unsigned take(struct play *play, unsigned below)
{
	return play->at < play->end ? *play->at++ % below : 0;
}

static size_t take_bytes(struct play *play, size_t most, const uint8_t **ret_data)
{
	size_t len = take(play, 256), left = (size_t)(play->end - play->at);
	len = len < most ? len : most;
	len = len < left ? len : left;
	*ret_data = play->at;
	play->at += len;
	return len;
}

/* --- datagrams --------------------------------------------------------------------------------------------------------- */

static const char *const write_paths[] = {
	"/in/a", "/in/a/b/c", "/made/x", "/gone/x", "/nobody", "/in/%C3%A9 x", "/state/a", "/"};
static const uint8_t write_codes[] = {2, 3, 4, 7}; /* POST, PUT, DELETE, iPATCH */

static void begin(struct play_datagram *d, unsigned kind, uint8_t code, uint16_t mid, size_t number)
{
	uint8_t mark[MODEL_MARK_LEN];
	model_mark(number, mark);
	play_head(d, kind & 1 ? PLAY_NON : PLAY_CON, code, mid, mark, sizeof mark);
}

/* Returns whether one of them makes it a block. */
static bool put_options(struct play *play, struct play_datagram *d, unsigned which)
{
	const uint8_t *value;
	size_t len = which & 3 ? take_bytes(play, 12, &value) : 0;
	unsigned number = 0;
	if (which & 1)
		play_option(d, PLAY_URI_QUERY, value, len);
	if (which & 2) {
		number = take(play, 64) + (which & 4 ? 12u : 2040u);
		play_option(d, number, value, len);
	}
	return number == PLAY_BLOCK1;
}

static void write_one(struct play *play, bool same_id)
{
	size_t peer = take(play, PLAY_PEERS), number = play->model.n_sent;
	unsigned how = take(play, 256);
	struct play_datagram d;
	uint8_t payload[MODEL_MARK_LEN + 64];
	const uint8_t *more;
	if (!same_id)
		play->mid[peer]++;
	begin(&d, how >> 7, write_codes[how & 3], play->mid[peer], number);
	if ((how & 0x60) == 0x60)
		play_option(&d, PLAY_IF_NONE_MATCH, NULL, 0);
	play_path(&d, write_paths[how >> 2 & 7]);
	if ((how & 0x60) == 0x20)
		play_number(&d, PLAY_CONTENT_FORMAT, take(play, 256));
	bool is_block = (how & 0x60) == 0x40 && put_options(play, &d, take(play, 256));
	model_mark(number, payload);
	size_t len = take_bytes(play, sizeof payload - MODEL_MARK_LEN, &more);
	if (len)
		memcpy(payload + MODEL_MARK_LEN, more, len);
	play_payload(&d, payload, MODEL_MARK_LEN + len);
	if (model_send(&play->model, peer, &d, true, number, true) < MODEL_SENT && is_block)
		play->model.writes[number].is_anybodys = true;
}

static void write_block(struct play *play)
{
	static uint8_t payload[1100];
	size_t peer = take(play, PLAY_PEERS), number = play->model.n_sent;
	unsigned how = take(play, 256), num = take(play, 8), szx = how >> 4 & 7;
	uint8_t tag = (uint8_t)take(play, MAX_TAGS); /* 0: none */
	bool more = (how & 1) == 0;
	struct body *body = &play->bodies[peer][how >> 2 & 1][tag];
	struct play_datagram d;
	size_t len = more || (how & 2) ? (size_t)16 << (szx == 7 ? 6 : szx) : take(play, 200);
	if (how & 8)
		len = take(play, 250);
	/* Until the listener takes a first block, it still waits for the next one. */
	bool is_open = num == 0 && (body->is_there || body->follows_raw);
	if (is_open && body->is_there)
		play->model.writes[body->first].is_anybodys = true;
	if (num == 0)
		*body = (struct body){.first = number, .has_mark = len >= MODEL_MARK_LEN, .is_there = true};
	if (!body->is_there)
		return;
	begin(&d, 0, write_codes[how >> 2 & 1], ++play->mid[peer], body->has_mark ? body->first : NOBODY);
	play_path(&d, "/in/blocks");
	play_number(&d, PLAY_BLOCK1, num << 4 | (more ? 8u : 0u) | szx);
	if (take(play, 4) == 3)
		play_number(&d, PLAY_SIZE1, take(play, 256) << take(play, 25));
	if (tag)
		play_option(&d, PLAY_REQUEST_TAG, &tag, 1);
	memset(payload, 'b', sizeof payload);
	if (num == 0 && body->has_mark)
		model_mark(body->first, payload);
	play_payload(&d, payload, len);
	if (model_send(&play->model, peer, &d, body->has_mark, body->first, !more) < MODEL_SENT && is_open)
		play->model.writes[number].is_anybodys = true;
}

static const char *const read_paths[] = {
	"/state/a", "/state/b/c", "/state/large", "/.well-known/core", "/in/a", "/none"};

static void read_one(struct play *play)
{
	size_t peer = take(play, PLAY_PEERS);
	unsigned how = take(play, 256), which = take(play, 6);
	struct play_datagram d;
	begin(&d, how & 1, 1, ++play->mid[peer], how & 2 ? 0 : play->model.n_sent);
	if (how & 4)
		play_number(&d, PLAY_OBSERVE, how >> 3 & 1);
	play_path(&d, read_paths[which]);
	if ((how & 0x30) == 0x10) {
		const uint8_t *query;
		size_t len = take_bytes(play, 20, &query);
		play_option(&d, PLAY_URI_QUERY, query, len);
	}
	if (how & 0x40)
		play_number(&d, PLAY_ACCEPT, take(play, 256));
	if (how & 0x80)
		play_number(&d, PLAY_BLOCK2, take(play, 256) << 4 | take(play, 16));
	/* Told apart by their ids alone. */
	model_send(&play->model, peer, &d, false, play->model.n_sent, false);
}

/* It may be a block: bodies begin anew. */
static void send_raw(struct play *play, size_t peer, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < MAX_TAGS; i++)
		play->bodies[peer][0][i] = play->bodies[peer][1][i] = (struct body){.follows_raw = true};
	model_send_raw(&play->model, peer, data, len);
}

/* Of one that was sent, with a byte changed and more or less of it. */
static void garble(struct play *play)
{
	uint8_t data[PLAY_MAX_DATAGRAM];
	if (play->model.n_sent == 0)
		return;
	const struct model_sent *sent = &play->model.sent[take(play, 256) % play->model.n_sent];
	size_t at = take(play, 48), len = sent->len;
	memcpy(data, sent->data, len);
	if (at < len)
		data[at] ^= (uint8_t)take(play, 256);
	if (take(play, 4) == 3)
		len = take(play, 256) < len ? take(play, 256) % (len + 1) : len;
	/* What names it, no more does. */
	for (size_t i = 0; i + 1 < len; i++)
		if (data[i] == 0xfb && data[i + 1] == 0xfe)
			data[i] = 0xfa;
	send_raw(play, sent->peer, data, len);
}

static void raw(struct play *play)
{
	uint8_t data[256];
	const uint8_t *bytes;
	size_t peer = take(play, PLAY_PEERS), len = take_bytes(play, sizeof data, &bytes);
	if (len)
		memcpy(data, bytes, len);
	for (size_t i = 0; i < len; i++)
		data[i] = data[i] == 0xfb ? 0xfa : data[i];
	send_raw(play, peer, data, len);
}

/* --- the others -------------------------------------------------------------------------------------------------------- */

static void set_value(struct play *play)
{
	static uint8_t large[3000];
	unsigned which = take(play, MODEL_VALUES), how = take(play, 8);
	const uint8_t *data = NULL;
	size_t len = how ? take_bytes(play, 200, &data) : 0;
	if (how && which == 2) {
		data = large;
		len = sizeof large - len;
	}
	model_set_value(&play->model, which, data, len);
}

static void pass(struct play *play)
{
	static const uint64_t ms[] = {100, 999, 2000, 5000, 20000, 60000};
	uint64_t step = ms[take(play, 6)];
	if (play->passed_ms + step <= MAX_PASSED_MS) {
		play->passed_ms += step;
		model_advance(&play->model, step);
	}
}

static void step(struct play *play)
{
	struct model *model = &play->model;
	struct play_datagram d;
	size_t peer;
	switch ((enum step)take(play, STEPS)) {
	case WRITE:
		write_one(play, false);
		break;
	case WRITE_SAME_ID:
		write_one(play, true);
		break;
	case AGAIN:
		if (model->n_sent)
			model_send_again(model, model->n_sent - 1 - take(play, 8) % model->n_sent);
		break;
	case GARBLED:
		garble(play);
		break;
	case BLOCK:
		write_block(play);
		break;
	case READ:
		read_one(play);
		break;
	case RAW:
		raw(play);
		break;
	case RECEIPT:
		model_give_receipts(model, take(play, 4) + 1, RECEIPT_DURABLE);
		break;
	case MOOD:
		model->mood = (enum model_mood)take(play, MODEL_MOODS);
		model->keys_full = take(play, 4) == 3;
		break;
	case RESUME:
		model_resume(model);
		break;
	case PASS:
		pass(play);
		break;
	case VALUE:
		set_value(play);
		break;
	case MANNERS:
		peer = take(play, PLAY_PEERS);
		model->peers[peer].answers_pings = take(play, 2);
		model->peers[peer].acknowledges = take(play, 2);
		break;
	case REJECT:
		peer = take(play, PLAY_PEERS);
		play_head(&d, take(play, 2) ? PLAY_RST : PLAY_ACK, 0, model->peers[peer].last_con, NULL, 0);
		model->peers[peer].is_validated = true;
		model_send_raw(model, peer, d.data, d.len);
		break;
	case STEPS:
		break;
	}
	model_settle(model);
}

static void no_log(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct play play;
	static const struct coap_from_settings changed = {0}, created = {.success = COAP_SUCCESS_CREATED},
					       deleted = {.delete = true};
	static const struct link_subscription subscriptions[] = {
		{.filter = "/in/#", .qos = 1, .from_settings = &changed},
		{.filter = "/made/+", .qos = 1, .from_settings = &created},
		{.filter = "/gone/+", .qos = 1, .from_settings = &deleted}};
	char listen[40];
	struct config_text address = {.value = listen};
	log_set_sink(no_log, NULL);
	play = (struct play){.at = data, .end = data + size};
	unsigned how = take(&play, 256);
	struct coap_settings settings = {.listen = {&address, 1},
		.in = {.dedupe = how & 1 ? COAP_DEDUPE_MEMORY : COAP_DEDUPE_DURABLE,
			.max_age_ms = 60000,
			.limits = {.max_body = 2048,
				.max_buffered = 6000,
				.max_waiting = 6,
				.max_sessions = 100,
				.max_handshakes = 10,
				.session_timeout_ms = 300000,
				.max_observers = 4,
				.max_resources = 2,
				.rate = how & 2 ? 5 : 0,
				.rate_burst = 10,
				.busy_timeout_ms = how & 4 ? 0 : 10000,
				.max_list = 1024}}};
	snprintf(listen, sizeof listen, "coap://127.0.0.1:%u", play_port());
	model_begin(&play.model, &settings, subscriptions, sizeof subscriptions / sizeof *subscriptions);
	for (int i = 0; i < MAX_STEPS && play.at < play.end; i++)
		step(&play);
	model_end(&play.model);
	return 0;
}
