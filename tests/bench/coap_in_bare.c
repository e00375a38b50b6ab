/* SPDX-License-Identifier: Apache-2.0
 *
 * A bare listener: libcoap in one thread, which answers every POST and PUT with 2.04 in its handler, piggybacked, and keeps
 * nothing. coap_in_bare PORT [IDENTITY KEY]: coap, and with a key coaps at the same port. It ends when its standard input does.
 */
#include <arpa/inet.h>
#include <coap3/coap.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_request(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
	const coap_string_t *query, coap_pdu_t *response)
{
	(void)resource, (void)session, (void)request, (void)query;
	coap_pdu_set_code(response, COAP_RESPONSE_CODE_CHANGED);
}

/* Any identity: who they are is not measured. */
static const coap_bin_const_t *on_identity(coap_bin_const_t *identity, coap_session_t *session, void *arg)
{
	(void)identity, (void)session;
	return arg;
}

static int use_key(coap_context_t *context, const char *key)
{
	static coap_bin_const_t secret;
	coap_dtls_spsk_t setup = {.version = COAP_DTLS_SPSK_SETUP_VERSION,
		.validate_id_call_back = on_identity,
		.id_call_back_arg = &secret};
	secret = (coap_bin_const_t){strlen(key), (const uint8_t *)key};
	setup.psk_info.key = secret;
	return coap_context_set_psk2(context, &setup);
}

static bool input_ended(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	return poll(&input, 1, 0) != 0;
}

static coap_context_t *listen_at(const char *port, const char *key)
{
	coap_address_t at;
	coap_address_init(&at);
	at.addr.sin.sin_family = AF_INET;
	at.addr.sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	at.addr.sin.sin_port = htons((in_port_t)strtoul(port, NULL, 10));
	at.size = sizeof at.addr.sin;
	coap_context_t *context = coap_new_context(NULL);
	coap_resource_t *any = context ? coap_resource_unknown_init(on_request) : NULL;
	if (!any || (key && !use_key(context, key)))
		return NULL;
	coap_register_request_handler(any, COAP_REQUEST_POST, on_request);
	coap_add_resource(context, any);
	coap_context_set_max_handshake_sessions(context, 4096);
	return coap_new_endpoint(context, &at, key ? COAP_PROTO_DTLS : COAP_PROTO_UDP) ? context : NULL;
}

int main(int argc, char **argv)
{
	coap_startup();
	coap_set_log_level(LOG_ERR);
	coap_context_t *context = argc > 1 ? listen_at(argv[1], argc > 3 ? argv[3] : NULL) : NULL;
	if (!context) {
		fprintf(stderr, "coap_in_bare: cannot listen\n");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	int took_ms = 0;
	for (unsigned turn = 1; took_ms >= 0 && ((turn % 1024 && took_ms < 50) || !input_ended()); turn++)
		took_ms = coap_io_process(context, 100);
	coap_free_context(context);
	coap_cleanup();
	return 0;
}
