/* SPDX-License-Identifier: Apache-2.0
 *
 * libcoap alone, as plain as a sender can be: coap_out_bare COUNT SIZE PORT... sends COUNT confirmable PUTs of SIZE bytes to the devices at those
 * ports in turn, one under way at each (NSTART 1), and prints seconds and CPU seconds.
 */
#include <arpa/inet.h>
#include <coap3/coap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static unsigned long left, done, wanted;
static uint8_t *body;
static size_t size;

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void)
{
	struct rusage use;
	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void die(const char *what)
{
	fprintf(stderr, "coap_out_bare: %s\n", what);
	exit(1);
}

static void send_one(coap_session_t *session)
{
	static const char path[] = "x";
	uint8_t token[8], format[2];
	size_t token_len;
	if (left == 0)
		return;
	left--;
	coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_CON, COAP_REQUEST_CODE_PUT, coap_new_message_id(session),
		coap_session_max_pdu_size(session));
	coap_session_new_token(session, &token_len, token);
	if (!pdu || !coap_add_token(pdu, token_len, token) ||
		!coap_add_option(pdu, COAP_OPTION_URI_PATH, sizeof path - 1, (const uint8_t *)path) ||
		!coap_add_option(pdu, COAP_OPTION_CONTENT_FORMAT,
			coap_encode_var_safe(format, sizeof format, COAP_MEDIATYPE_APPLICATION_OCTET_STREAM), format) ||
		!coap_add_data(pdu, size, body) || coap_send(session, pdu) == COAP_INVALID_MID)
		die("cannot send");
}

static coap_response_t on_response(
	coap_session_t *session, const coap_pdu_t *sent, const coap_pdu_t *received, const coap_mid_t id)
{
	(void)sent, (void)id;
	if (COAP_RESPONSE_CLASS(coap_pdu_get_code(received)) != 2)
		die("not 2.xx");
	done++;
	send_one(session);
	return COAP_RESPONSE_OK;
}

static void on_nack(
	coap_session_t *session, const coap_pdu_t *sent, const coap_nack_reason_t reason, const coap_mid_t id)
{
	(void)session, (void)sent, (void)reason, (void)id;
	die("no answer");
}

static coap_session_t *connect_to(coap_context_t *context, const char *port)
{
	coap_address_t at;
	coap_address_init(&at);
	at.addr.sin.sin_family = AF_INET;
	at.addr.sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	at.addr.sin.sin_port = htons((in_port_t)strtoul(port, NULL, 10));
	at.size = sizeof at.addr.sin;
	return coap_new_client_session(context, NULL, &at, COAP_PROTO_UDP);
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: coap_out_bare COUNT SIZE PORT...\n");
		return 2;
	}
	coap_startup();
	coap_set_log_level(LOG_ERR);
	coap_context_t *context = coap_new_context(NULL);
	size = strtoul(argv[2], NULL, 10);
	body = malloc(size + 1);
	if (!context || !body)
		die("no memory");
	memset(body, 'x', size);
	coap_register_response_handler(context, on_response);
	coap_register_nack_handler(context, on_nack);
	double began = now_s(), began_cpu = cpu_s();
	wanted = left = strtoul(argv[1], NULL, 10);
	for (int i = 3; i < argc; i++) {
		coap_session_t *session = connect_to(context, argv[i]);
		if (!session)
			die("no session");
		send_one(session);
	}
	while (done < wanted)
		if (coap_io_process(context, 1000) < 0)
			die("input and output");
	printf("%.6f %.6f\n", now_s() - began, cpu_s() - began_cpu);
	coap_free_context(context);
	coap_cleanup();
	free(body);
	return 0;
}
