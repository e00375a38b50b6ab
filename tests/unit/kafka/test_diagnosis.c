/* SPDX-License-Identifier: Apache-2.0
 *
 * Which part is named for which of the library's sentences. The sentences are those of librdkafka 2.0.2 with Apache Kafka
 * 4.1; tests/integration/kafka_security.py has both.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/x509_vfy.h>

#include "connectors/kafka/diagnosis.h"
#include "tests/unit/tap.h"

enum { PLAIN, SCRAM_SHA_256, SCRAM_SHA_512, OAUTHBEARER };

static const struct row {
	int mechanism;
	bool cert, was_up;
	rd_kafka_resp_err_t err;
	const char *text;
	const char *words; /* of the alarm; NULL: none */
} rows[] = {
	{PLAIN, false, false, RD_KAFKA_RESP_ERR__TRANSPORT,
		"k1: Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number "
		"116 "
		"(after 1ms in state APIVERSION_QUERY)",
		"the broker wants a client certificate"},
	{PLAIN, true, true, RD_KAFKA_RESP_ERR__TRANSPORT,
		"k1: Receive failed: SSL routines::sslv3 alert certificate expired: SSL alert number 45",
		"refuses our client certificate (expired)"},
	{PLAIN, true, false, RD_KAFKA_RESP_ERR__TRANSPORT,
		"k1: Receive failed: SSL routines::tlsv1 alert unknown ca: SSL alert number 48",
		"refuses our client certificate (unknown authority)"},
	{PLAIN, false, false, RD_KAFKA_RESP_ERR__TRANSPORT, "k1: Disconnected (after 5ms in state SSL_HANDSHAKE)",
		"TLS handshake"},
	{PLAIN, false, true, RD_KAFKA_RESP_ERR__TRANSPORT, "k1: Disconnected (after 5ms in state SSL_HANDSHAKE)", NULL},
	{PLAIN, false, false, RD_KAFKA_RESP_ERR__SSL,
		"ssl://k1: SSL handshake failed: error:0A000126:SSL routines::unexpected eof while reading (after 8ms "
		"in "
		"state SSL_HANDSHAKE)",
		"is this its TLS listener?"},
	{PLAIN, false, true, RD_KAFKA_RESP_ERR__SSL,
		"ssl://k1: SSL handshake failed: error:0A000126:SSL routines::unexpected eof while reading (after 8ms "
		"in "
		"state SSL_HANDSHAKE)",
		NULL},
	{PLAIN, false, false, RD_KAFKA_RESP_ERR__TRANSPORT, "k1: Disconnected (after 5ms in state UP)", NULL},
	{PLAIN, false, false, RD_KAFKA_RESP_ERR__TRANSPORT,
		"k1: Connect to ipv4#127.0.0.1:1 failed: Connection refused", NULL},
	{PLAIN, false, false, RD_KAFKA_RESP_ERR__TRANSPORT,
		"k1: Disconnected while requesting ApiVersion: might be caused by incorrect security.protocol "
		"configuration "
		"(connecting to a SSL listener?) or broker version is < 0.10 (after 0ms in state APIVERSION_QUERY)",
		"does this listener want TLS?"},
	{PLAIN, false, false, RD_KAFKA_RESP_ERR__TRANSPORT,
		"k1: Disconnected: verify that security.protocol is correctly configured, broker might require SASL "
		"authentication (after 0ms in state UP)",
		"does this listener want SASL?"},
	{PLAIN, false, true, RD_KAFKA_RESP_ERR__TRANSPORT,
		"k1: Disconnected: verify that security.protocol is correctly configured, broker might require SASL "
		"authentication (after 0ms in state UP)",
		NULL},
	{PLAIN, false, true, RD_KAFKA_RESP_ERR__AUTHENTICATION,
		"k1: SASL PLAIN mechanism handshake failed: Broker: Request not valid in current SASL state: broker's "
		"supported mechanisms:  (after 4ms in state AUTH_HANDSHAKE)",
		"does not use SASL"},
	{SCRAM_SHA_512, false, false, RD_KAFKA_RESP_ERR__AUTHENTICATION,
		"k1: SASL SCRAM-SHA-512 mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's "
		"supported "
		"mechanisms: PLAIN,OAUTHBEARER (after 301ms in state AUTH_HANDSHAKE)",
		"does not offer SCRAM-SHA-512 here but PLAIN,OAUTHBEARER;"},
	{PLAIN, false, false, RD_KAFKA_RESP_ERR__AUTHENTICATION,
		"k1: SASL authentication error: Authentication failed: Invalid username or password (after 301ms in "
		"state "
		"AUTH_REQ)",
		"refuses user name or password (it says: Authentication failed: Invalid username or password)"},
	{OAUTHBEARER, false, true, RD_KAFKA_RESP_ERR__AUTHENTICATION,
		"k1: SASL authentication error: {\"status\":\"invalid_token\"} (after 301ms in state AUTH_REQ)",
		"refuses the token (it says: {'status':'invalid_token'})"},
	{OAUTHBEARER, false, false, RD_KAFKA_RESP_ERR__AUTHENTICATION,
		"k1: SASL authentication error: SaslAuthenticateRequest failed: Local: Broker transport failure (after "
		"3001ms in state AUTH_REQ)",
		NULL},
	{OAUTHBEARER, false, false, RD_KAFKA_RESP_ERR__TRANSPORT,
		"k1: SASL authentication error: SaslAuthenticateRequest failed: Local: Broker transport failure (after "
		"3001ms in state AUTH_REQ)",
		NULL},
	{OAUTHBEARER, false, false, RD_KAFKA_RESP_ERR__AUTHENTICATION,
		"k1: SASL OAUTHBEARER mechanism handshake failed: Local: Broker transport failure: broker's supported "
		"mechanisms: (n/a) (after 3001ms in state AUTH_HANDSHAKE)",
		NULL},
	{OAUTHBEARER, false, true, RD_KAFKA_RESP_ERR__AUTHENTICATION,
		"Failed to acquire SASL OAUTHBEARER token: the token endpoint cannot be reached",
		"no token to log in with: the token endpoint cannot be reached"},
	{PLAIN, false, true, RD_KAFKA_RESP_ERR__SSL,
		"ssl://k1: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker "
		"certificate could not be verified (after 8ms in state SSL_HANDSHAKE)",
		"the finding"},
	/* One that nobody foresaw: the library's own words. */
	{PLAIN, false, true, RD_KAFKA_RESP_ERR__SSL, "k1: something new (after 3ms in state X, 2 identical error(s))",
		"k1: something new"},
};

static void test_rows(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *row = &rows[i];
		char sentence[400] = "";
		struct kafka_settings settings = {.sasl = {.mechanism = row->mechanism}};
		settings.tls.cert = row->cert ? (char *)(uintptr_t) "/c.pem" : NULL;
		bool is = kafka_diagnose(
			&settings, row->was_up, row->err, row->text, "the finding", sentence, sizeof sentence);
		if (is != (row->words != NULL) || (is && !strstr(sentence, row->words)))
			printf("# row %zu: %s\n", i, sentence);
		CU_ASSERT_EQUAL(is, row->words != NULL);
		CU_ASSERT_TRUE(!is || strstr(sentence, row->words));
		CU_ASSERT_PTR_NULL(strstr(sentence, "(after"));
		CU_ASSERT_PTR_NULL(strchr(sentence, '"'));
	}
}

static void test_certificates(void)
{
	static const struct {
		int error, depth;
		const char *words;
	} errors[] = {
		{X509_V_ERR_CERT_HAS_EXPIRED, 0, "the broker's certificate has expired (broker k1:9093)"},
		{X509_V_ERR_CERT_HAS_EXPIRED, 1, "an authority's certificate"},
		{X509_V_ERR_CERT_NOT_YET_VALID, 0, "not valid yet"},
		{X509_V_ERR_HOSTNAME_MISMATCH, 0, "for another host than k1:9093"},
		{X509_V_ERR_IP_ADDRESS_MISMATCH, 0, "for another host than k1:9093"},
		{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, 0, "not trusted here"},
		{X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, 1, "not trusted here"},
		{X509_V_ERR_CERT_REVOKED, 0, "revoked"},
	};
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		char sentence[400];
		kafka_diagnose_certificate(sentence, sizeof sentence, errors[i].error, errors[i].depth, "k1:9093");
		CU_ASSERT_PTR_NOT_NULL(strstr(sentence, errors[i].words));
	}
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"each sentence of the library", test_rows},
		{"why a certificate is refused", test_certificates},
		{NULL, NULL},
	};
	return tap_main("kafka diagnosis", tests);
}
