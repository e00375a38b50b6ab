/* SPDX-License-Identifier: Apache-2.0
 *
 * One poll handle for each context. How many datagrams wait is not known: an endpoint is read as often as there were some the
 * last time, and again until libcoap complains that nothing is there.
 */
#include "connectors/coap/coap_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <uv.h>

#include "runtime/log.h"

#define MAX_EVENTS     64
#define MAX_A_TURN     256 /* datagrams, or events of sockets */
#define TICK_MS        50u /* while something waits for an acknowledgement */
#define IDLE_TICK_MS   500u
#define MAX_A_TURN_US  10000u
#define REASON_SIZE    256
#define NOTHING_TO_GET "coap_network_read:"

struct coap_loop {
	struct loop *loop;
	coap_context_t *context;
	bool only_endpoints;
	unsigned expected; /* datagrams of one endpoint */
	bool was_polled; /* since the last tick */
	struct loop_timer *ticker;
	uv_poll_t poll;
};

static char reason[REASON_SIZE];
static unsigned n_empty_reads;

/* --- what libcoap says ------------------------------------------------------------------------------------------------ */

const char *coap_loop_reason(void)
{
	return reason;
}

void coap_loop_forget_reason(void)
{
	reason[0] = '\0';
}

static void take_line(coap_log_t level, const char *text)
{
	size_t len = strlen(text);
	if (strncmp(text, NOTHING_TO_GET, sizeof NOTHING_TO_GET - 1) == 0) {
		n_empty_reads++;
		return;
	}
	if (level > LOG_WARNING && log_get_level() < LOG_LEVEL_DEBUG)
		return;
	while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	while (len && (*text == ' ' || *text == '*')) {
		text++;
		len--;
	}
	if (len >= REASON_SIZE)
		len = REASON_SIZE - 1;
	memcpy(reason, text, len);
	reason[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (reason[i] == '"')
			reason[i] = '\'';
	log_debug("coap_library", "level=%d text=\"%s\"", level, reason);
}

/* errno is that of what has failed, for whoever asked for it. */
static void on_log(coap_log_t level, const char *text)
{
	int error = errno;
	take_line(level, text);
	errno = error;
}

static void set_up_library(void)
{
	static bool done;
	if (!done) {
		coap_startup();
		coap_set_log_handler(on_log);
		coap_set_log_level(LOG_WARNING);
		coap_dtls_set_log_level(LOG_WARNING);
	}
	done = true;
}

/* --- what libcoap answers by itself ------------------------------------------------------------------------------------- */

/* libcoap calls this through its table of imports, so the program's own takes its place: for what never gets to a handler (methods and
 * critical options that it does not know, a proxy's options, a spent Hop-Limit). Its own one puts a phrase and what the request had into the answer, up to six times as many
 * bytes as a short request, and that to addresses which nobody has validated; here an answer is a code and the token. For 5.08 coap_send would write the address
 * of this machine into it (with the overflow that is CVE-2023-30362); we are no proxy, so 5.05 says the same. */
coap_pdu_t *coap_new_error_response(const coap_pdu_t *request, coap_pdu_code_t code, coap_opt_filter_t *opts)
{
	coap_bin_const_t token = coap_pdu_get_token(request);
	coap_pdu_type_t type = coap_pdu_get_type(request) == COAP_MESSAGE_CON ? COAP_MESSAGE_ACK : COAP_MESSAGE_NON;
	(void)opts;
	if (code == COAP_RESPONSE_CODE_HOP_LIMIT_REACHED)
		code = COAP_RESPONSE_CODE_PROXYING_NOT_SUPPORTED;
	coap_pdu_t *pdu = coap_pdu_init(type, code, coap_pdu_get_mid(request), token.length);
	if (!pdu || coap_add_token(pdu, token.length, token.s))
		return pdu;
	coap_delete_pdu(pdu);
	return NULL;
}

/* --- turns ------------------------------------------------------------------------------------------------------------- */

/* Repeats the events of endpoints, which are there as long as the context. */
static int repeat(struct epoll_event *events, int n, unsigned times)
{
	int total = n;
	for (unsigned i = 1; i < times; i++)
		for (int j = 0; j < n && total < MAX_EVENTS; j++)
			if (events[j].data.ptr)
				events[total++] = events[j];
	return total;
}

/* Returns how many events were worth it; 0: there were none. */
static unsigned take_some(struct coap_loop *watch)
{
	struct epoll_event events[MAX_EVENTS];
	int n = epoll_wait(coap_context_get_coap_fd(watch->context), events, MAX_EVENTS, 0);
	if (n <= 0)
		return 0;
	if (!watch->only_endpoints) {
		coap_io_do_epoll(watch->context, events, (size_t)n);
		return (unsigned)n;
	}
	int total = repeat(events, n, watch->expected);
	n_empty_reads = 0;
	coap_io_do_epoll(watch->context, events, (size_t)total);
	unsigned read = (unsigned)total > n_empty_reads ? (unsigned)total - n_empty_reads : 1;
	if (n_empty_reads)
		watch->expected = read;
	else if (watch->expected < MAX_EVENTS)
		watch->expected *= 2;
	return read;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct coap_loop *watch = poll->data;
	(void)status, (void)events;
	watch->was_polled = true;
	uint64_t began_us = loop_fresh_us(watch->loop);
	for (unsigned n = 0; n < MAX_A_TURN && loop_fresh_us(watch->loop) - began_us < MAX_A_TURN_US;) {
		unsigned read = take_some(watch);
		if (!read)
			return;
		n += read;
	}
}

/* libcoap sets its timer from a time that it took before it walked over all sessions: when that has passed meanwhile it turns the
 * timer off, and sends nothing again until something comes. */
static void on_tick(void *arg)
{
	struct coap_loop *watch = arg;
	coap_tick_t now;
	if (!watch->was_polled) {
		coap_ticks(&now);
		coap_io_prepare_epoll(watch->context, now);
	}
	watch->was_polled = false;
	loop_timer_start(watch->ticker, coap_can_exit(watch->context) ? IDLE_TICK_MS : TICK_MS);
}

/* --- making ------------------------------------------------------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

int coap_loop_new(struct loop *loop, bool only_endpoints, void *arg, struct coap_loop **ret_watch)
{
	struct coap_loop *watch = calloc(1, sizeof *watch);
	if (!watch)
		return -ENOMEM;
	set_up_library();
	watch->loop = loop;
	watch->only_endpoints = only_endpoints;
	watch->expected = 1;
	watch->ticker = loop_timer_new(loop, on_tick, watch);
	watch->context = watch->ticker ? coap_new_context(NULL) : NULL;
	int r = watch->context ? uv_poll_init(loop_uv(loop), &watch->poll, coap_context_get_coap_fd(watch->context))
			       : -ENOMEM;
	if (r < 0) {
		coap_free_context(watch->context);
		loop_timer_free(watch->ticker);
		free(watch);
		return r;
	}
	watch->poll.data = watch;
	coap_set_app_data(watch->context, arg);
	r = uv_poll_start(&watch->poll, UV_READABLE, on_poll);
	if (r == 0) {
		loop_timer_start(watch->ticker, IDLE_TICK_MS);
		*ret_watch = watch;
		return 0;
	}
	coap_loop_free(watch);
	return r;
}

coap_context_t *coap_loop_context(const struct coap_loop *watch)
{
	return watch->context;
}

void coap_loop_free(struct coap_loop *watch)
{
	if (!watch)
		return;
	uv_poll_stop(&watch->poll);
	loop_timer_free(watch->ticker);
	coap_free_context(watch->context);
	watch->context = NULL;
	uv_close((uv_handle_t *)&watch->poll, on_closed);
}
