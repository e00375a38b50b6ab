/* SPDX-License-Identifier: Apache-2.0
 *
 * Pings to a socket of the test's own, which acknowledges, resets, or says nothing.
 */
#include <arpa/inet.h>
#include <coap3/coap.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "connectors/coap/ping.h"
#include "tests/unit/tap.h"

#define PATIENCE_MS 10000
#define TURN_MS     50

static coap_context_t *context;
static coap_session_t *session;
static struct ping ping;
static struct sockaddr_storage from;
static socklen_t from_len;
static int fd;
static unsigned n_acknowledged, n_cancelled, n_reset;

static void on_over(struct ping *one, bool acknowledged)
{
	CU_ASSERT_PTR_EQUAL(one, &ping);
	CU_ASSERT_PTR_NULL(one->pdu);
	n_acknowledged += acknowledged;
	n_cancelled += !acknowledged;
}

static void on_nack(coap_session_t *of, const coap_pdu_t *sent, const coap_nack_reason_t reason, const coap_mid_t mid)
{
	(void)of, (void)mid;
	CU_ASSERT_EQUAL(coap_pdu_get_code(sent), COAP_EMPTY_CODE);
	n_reset += reason == COAP_NACK_RST;
	ping_end(&ping);
}

static void begin(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	coap_address_t to;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(fd >= 0 && bind(fd, (const struct sockaddr *)&at, len) == 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	coap_startup();
	coap_set_log_level(LOG_EMERG);
	context = coap_new_context(NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(context);
	coap_register_nack_handler(context, on_nack);
	coap_address_init(&to);
	memcpy(&to.addr.sin, &at, sizeof at);
	to.size = sizeof at;
	session = coap_new_client_session(context, NULL, &to, COAP_PROTO_UDP);
	CU_ASSERT_PTR_NOT_NULL_FATAL(session);
	n_acknowledged = n_cancelled = n_reset = 0;
}

static void end(void)
{
	ping_end(&ping);
	coap_session_release(session);
	coap_free_context(context);
	close(fd);
	CU_ASSERT_PTR_NULL(ping.pdu);
}

/* The four bytes that come, with this first byte and this code. */
static void answer_with(uint8_t first, uint8_t code)
{
	uint8_t bytes[32];
	struct pollfd waits = {.fd = fd, .events = POLLIN};
	CU_ASSERT_EQUAL_FATAL(poll(&waits, 1, PATIENCE_MS), 1);
	from_len = sizeof from;
	ssize_t n = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &from_len);
	CU_ASSERT_EQUAL_FATAL(n, 4);
	CU_ASSERT(bytes[0] == 0x40 && bytes[1] == 0);
	bytes[0] = first;
	bytes[1] = code;
	CU_ASSERT_EQUAL(sendto(fd, bytes, 4, 0, (const struct sockaddr *)&from, from_len), 4);
}

static void answer(uint8_t type)
{
	answer_with((uint8_t)(0x40 | type << 4), 0);
}

static void wait_until(const unsigned *count)
{
	for (int ms = 0; !*count && ms < PATIENCE_MS; ms += TURN_MS)
		coap_io_process(context, TURN_MS);
	CU_ASSERT_EQUAL(*count, 1);
}

static void test_acknowledged(void)
{
	begin();
	CU_ASSERT_TRUE_FATAL(ping_send(&ping, session, on_over));
	CU_ASSERT_PTR_NOT_NULL(ping.pdu);
	answer(COAP_MESSAGE_ACK);
	wait_until(&n_acknowledged);
	CU_ASSERT_EQUAL(n_reset, 0);
	CU_ASSERT_TRUE_FATAL(ping_send(&ping, session, on_over)); /* another one */
	end();
	CU_ASSERT_EQUAL(n_acknowledged, 1);
}

static void test_reset(void)
{
	begin();
	CU_ASSERT_TRUE_FATAL(ping_send(&ping, session, on_over));
	answer(COAP_MESSAGE_RST);
	wait_until(&n_reset);
	CU_ASSERT_EQUAL(n_acknowledged, 0);
	CU_ASSERT_PTR_NULL(ping.pdu);
	end();
}

/* Though libcoap sends the ping no more. Its message id, which is the right one here, says nothing: the response is confirmable. */
static void test_forged(void)
{
	begin();
	CU_ASSERT_TRUE_FATAL(ping_send(&ping, session, on_over));
	answer_with(0x40, COAP_RESPONSE_CODE_CHANGED);
	wait_until(&n_cancelled);
	CU_ASSERT_EQUAL(n_acknowledged + n_reset, 0);
	CU_ASSERT_TRUE_FATAL(ping_send(&ping, session, on_over)); /* it can be asked again */
	end();
}

static void test_unwanted(void)
{
	begin();
	CU_ASSERT_TRUE_FATAL(ping_send(&ping, session, on_over));
	ping_end(&ping);
	ping_end(&ping);
	answer(COAP_MESSAGE_ACK);
	while (!coap_can_exit(context))
		coap_io_process(context, TURN_MS);
	CU_ASSERT_EQUAL(n_acknowledged, 0);
	end();
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"an acknowledgement is told", test_acknowledged},
		{"a reset is libcoap's to tell", test_reset},
		{"a response that nobody has asked for is no acknowledgement", test_forged},
		{"what nobody waits for any more is not told", test_unwanted},
		{NULL, NULL},
	};
	return tap_main("coap pings", tests);
}
