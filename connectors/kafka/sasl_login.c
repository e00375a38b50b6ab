/* SPDX-License-Identifier: Apache-2.0
 *
 * Kafka's frames as far as they are needed here: SaslHandshake version 1, SaslAuthenticate version 0.
 */
#include "connectors/kafka/sasl_login.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/diagnosis.h"
#include "connectors/kafka/scram.h"
#include "message/slice.h"

#define SASL_HANDSHAKE    17
#define SASL_AUTHENTICATE 36
#define MOST_BYTES        16384u /* of a request or an answer */

#define UNSUPPORTED_SASL_MECHANISM 33
#define ILLEGAL_SASL_STATE         34

struct login {
	struct channel *channel;
	const struct kafka_sasl *sasl;
	const char *client_id;
	int32_t correlation;
	uint8_t bytes[MOST_BYTES];
	size_t len, at; /* at: what of an answer has been read */
	bool short_answer;
};

/* --- requests ------------------------------------------------------------------------------------------------------- */

static void put(struct login *login, const void *data, size_t len)
{
	if (len > sizeof login->bytes - login->len)
		len = sizeof login->bytes - login->len; /* the lengths below are bounded; the broker would refuse it */
	memcpy(login->bytes + login->len, data, len);
	login->len += len;
}

static void put_16(struct login *login, uint16_t value)
{
	uint8_t bytes[] = {(uint8_t)(value >> 8), (uint8_t)value};
	put(login, bytes, sizeof bytes);
}

static void put_32(struct login *login, uint32_t value)
{
	put_16(login, (uint16_t)(value >> 16));
	put_16(login, (uint16_t)value);
}

static void put_string(struct login *login, const char *text)
{
	size_t len = strlen(text);
	put_16(login, (uint16_t)len);
	put(login, text, len);
}

static void begin(struct login *login, uint16_t key, uint16_t version)
{
	login->len = 0;
	put_32(login, 0); /* the length, set by ask() */
	put_16(login, key);
	put_16(login, version);
	put_32(login, (uint32_t)++login->correlation);
	put_string(login, login->client_id);
}

/* --- answers ---------------------------------------------------------------------------------------------------------- */

static struct slice get(struct login *login, size_t len)
{
	if (len > login->len - login->at) {
		login->short_answer = true;
		return (struct slice){login->bytes, 0};
	}
	login->at += len;
	return (struct slice){login->bytes + login->at - len, len};
}

static uint32_t get_number(struct login *login, size_t size)
{
	struct slice bytes = get(login, size);
	uint32_t value = 0;
	for (size_t i = 0; i < bytes.len; i++)
		value = value << 8 | bytes.data[i];
	return value;
}

/* A string with a length of two bytes; -1, which is null, becomes empty. */
static struct slice get_string(struct login *login)
{
	uint32_t len = get_number(login, 2);
	return get(login, len == 0xffff ? 0 : len);
}

/* Sends what has been put and reads the answer up to behind its correlation id. */
static int ask(struct login *login)
{
	uint32_t size = (uint32_t)login->len - 4;
	uint8_t head[4] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size};
	memcpy(login->bytes, head, sizeof head);
	int r = channel_write_all(login->channel, login->bytes, login->len);
	if (r == 0)
		r = channel_read_all(login->channel, head, sizeof head);
	if (r < 0)
		return r;
	login->len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	login->at = 0;
	login->short_answer = false;
	if (head[0] == 21 && head[1] == 3) /* a TLS alert (RFC 8446 §5.1) */
		return -EPROTONOSUPPORT;
	if (login->len > sizeof login->bytes)
		return -EPROTO;
	r = channel_read_all(login->channel, login->bytes, login->len);
	if (r < 0)
		return r;
	return get_number(login, 4) == (uint32_t)login->correlation ? 0 : -EPROTO;
}

/* --- the two steps ------------------------------------------------------------------------------------------------------ */

/* ", "-separated, what is not printable left out. */
static void read_mechanisms(struct login *login, char *text, size_t size)
{
	uint32_t n = get_number(login, 4);
	size_t used = 0;
	text[0] = '\0';
	for (uint32_t i = 0; i < n && !login->short_answer && used + 1 < size; i++) {
		struct slice name = get_string(login);
		used += (size_t)snprintf(text + used, size - used, "%s", i ? "," : "");
		for (size_t k = 0; k < name.len && used + 1 < size; k++)
			if (name.data[k] > ' ' && name.data[k] < 0x7f && name.data[k] != '"')
				text[used++] = (char)name.data[k];
		text[used < size ? used : size - 1] = '\0';
	}
}

static int choose_mechanism(struct login *login, struct channel_failure *failure)
{
	char offered[200];
	begin(login, SASL_HANDSHAKE, 1);
	put_string(login, kafka_sasl_mechanism(login->sasl));
	int r = ask(login);
	if (r < 0)
		return r;
	uint32_t error = get_number(login, 2);
	read_mechanisms(login, offered, sizeof offered);
	if (login->short_answer)
		return -EPROTO;
	if (error == 0)
		return 0;
	failure->person = true;
	if (error == UNSUPPORTED_SASL_MECHANISM)
		kafka_diagnose_mechanism(login->sasl, offered, failure->sentence, sizeof failure->sentence);
	else if (error == ILLEGAL_SASL_STATE)
		snprintf(failure->sentence, sizeof failure->sentence, "%s", kafka_hint_not_sasl);
	else
		snprintf(failure->sentence, sizeof failure->sentence, "the broker refuses the login with error %u",
			(unsigned)error);
	return -EACCES;
}

/* One message of SCRAM there and one back, which is valid until the next call. */
static int say(struct login *login, const char *message, struct slice *ret_answer, struct channel_failure *failure)
{
	begin(login, SASL_AUTHENTICATE, 0);
	put_32(login, (uint32_t)strlen(message));
	put(login, message, strlen(message));
	int r = ask(login);
	if (r < 0)
		return r;
	uint32_t error = get_number(login, 2);
	struct slice said = get_string(login);
	uint32_t len = get_number(login, 4);
	*ret_answer = get(login, len == UINT32_MAX ? 0 : len);
	if (login->short_answer)
		return -EPROTO;
	if (error == 0)
		return 0;
	char text[200];
	size_t used = 0;
	for (size_t i = 0; i < said.len && used + 1 < sizeof text; i++)
		text[used++] = said.data[i] >= ' ' && said.data[i] < 0x7f ? (char)said.data[i] : '?';
	text[used] = '\0';
	failure->person = true;
	kafka_diagnose_login(login->sasl, text, failure->sentence, sizeof failure->sentence);
	return -EACCES;
}

static int prove(struct login *login, struct scram *scram, struct channel_failure *failure)
{
	struct slice answer;
	int r = say(login, scram_first(scram), &answer, failure);
	const char *final = r == 0 ? scram_final(scram, answer) : NULL;
	if (r == 0 && !final)
		return -EPROTO;
	if (r == 0)
		r = say(login, final, &answer, failure);
	if (r < 0 || scram_verify(scram, answer))
		return r;
	failure->person = true;
	snprintf(failure->sentence, sizeof failure->sentence,
		"the broker has not proved that it knows the password itself; is it the one that it should be?");
	return -EACCES;
}

static void describe(struct login *login, int r, bool tls, struct channel_failure *failure)
{
	if (failure->sentence[0] || r == -ECANCELED)
		return;
	if (r == -EPIPE && channel_refusal(login->channel, failure))
		return;
	failure->person = r == -EPIPE || r == -EPROTO || r == -EPROTONOSUPPORT;
	failure->hang_up = r == -EPIPE;
	snprintf(failure->sentence, sizeof failure->sentence, "%s",
		r == -EPIPE && tls                     ? kafka_hint_login_cut
		: r == -EPIPE || r == -EPROTONOSUPPORT ? kafka_hint_wants_tls
		: r == -EPROTO                         ? "what answers at login is no Kafka broker; see brokers"
						       : strerror(-r));
}

int sasl_login(struct channel *channel, const struct kafka_sasl *sasl, bool tls, const char *client_id,
	struct channel_failure *ret_failure)
{
	struct login *login = calloc(1, sizeof *login);
	bool sha512 = strcmp(kafka_sasl_mechanism(sasl), "SCRAM-SHA-512") == 0;
	struct scram *scram = scram_new(sha512, sasl->username, sasl->password, NULL);
	int r = login && scram ? 0 : -ENOMEM;
	*ret_failure = (struct channel_failure){.person = false};
	if (r == 0) {
		login->channel = channel;
		login->sasl = sasl;
		login->client_id = client_id;
		r = choose_mechanism(login, ret_failure);
		if (r == 0)
			r = prove(login, scram, ret_failure);
		if (r < 0)
			describe(login, r, tls, ret_failure);
	}
	scram_free(scram);
	free(login);
	return r;
}
