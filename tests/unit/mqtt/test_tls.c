/* SPDX-License-Identifier: Apache-2.0
 *
 * The MQTT link over TLS: who is trusted, who is not, and what the operator is told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "connectors/common/trust.h"
#include "connectors/mqtt/tls.h"
#include "tests/unit/mqtt/certificates.h"
#include "tests/unit/mqtt/rig.h"

static const char *folder;
static struct certificate ca, stranger, server, expired, elsewhere, client;

static void make_certificates(void)
{
	folder = tap_tempdir();
	certificate_authority(folder, "ca", &ca);
	certificate_authority(folder, "stranger", &stranger);
	certificate_issue(folder, "server", &ca, "DNS:localhost,IP:127.0.0.1", 2, &server);
	certificate_issue(folder, "expired", &ca, "DNS:localhost,IP:127.0.0.1", -1, &expired);
	certificate_issue(folder, "elsewhere", &ca, "DNS:broker.example", 2, &elsewhere);
	certificate_issue(folder, "client", &ca, "DNS:edge-7", 2, &client);
}

static void test_verified(void)
{
	struct rig rig;
	rig_open_tls(&rig, server.cert, server.key, NULL);
	rig.settings.tls.ca = ca.cert;
	rig_subscribe(&rig, "in/#", 1);
	rig_connect(&rig);
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 2);
	fake_broker_publish(&rig.broker, "in/a", "hello", 1, 1);
	UNTIL(&rig, rig_messages(&rig) == 1);
	CU_ASSERT_STRING_EQUAL(rig_offer(&rig, CHANGE_NONE, 0)->payload, "hello");
	rig_receipts(&rig, 1);
	rig_send(&rig, "out", "x", 1);
	rig_send(&rig, "out", "y", 0);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 2 && fake_broker_count(&rig.broker, MQTT_PUBACK) == 1);
	rig_stop_link(&rig);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_DISCONNECT) == 1);
	/* The same by name. */
	snprintf(rig.url, sizeof rig.url, "mqtts://localhost:%u", rig.broker.port);
	rig_connect(&rig);
	rig_close(&rig);
}

static void test_large_both_ways(void)
{
	enum { BYTES = 3 * 1024 * 1024 };
	struct rig rig;
	rig_open_tls(&rig, server.cert, server.key, NULL);
	rig.settings.tls.ca = ca.cert;
	rig_subscribe(&rig, "in/#", 1);
	rig_connect(&rig);
	char *payload = malloc(BYTES + 1);
	CU_ASSERT_FATAL(payload != NULL);
	memset(payload, 'x', BYTES);
	payload[BYTES] = '\0';
	fake_broker_publish(&rig.broker, "in/a", payload, 1, 1);
	struct message_view view = {.topic = slice_str("out"), .payload = slice_of(payload, BYTES), .qos = 1};
	struct message *msg = message_new(&view);
	struct delivery delivery = {
		.seq = 1, .destination_uuid = (const uint8_t *)"0123456789abcdef", .attempt = 1, .msg = msg};
	mqtt_connector.send(rig.link, &delivery);
	mqtt_connector.send_end(rig.link);
	UNTIL(&rig, rig.n_outcomes == 1 && rig_messages(&rig) == 1);
	CU_ASSERT(rig_offer(&rig, CHANGE_NONE, 0)->payload_len == BYTES);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBLISH, 0)->payload_len == BYTES);
	message_unref(msg);
	free(payload);
	rig_close(&rig);
}

static void not_trusted(const struct certificate *cert, char *trusted, const char *advice)
{
	struct rig rig;
	rig_open_tls(&rig, cert->cert, cert->key, NULL);
	rig.settings.tls.ca = trusted;
	rig_start(&rig);
	UNTIL(&rig, rig.alarms >= 2); /* it goes on trying */
	CU_ASSERT(rig.ups == 0);
	CU_ASSERT(strstr(rig.alarm, advice) != NULL);
	CU_ASSERT(fake_broker_count(&rig.broker, MQTT_CONNECT) == 0);
	rig_close(&rig);
}

static void test_not_trusted(void)
{
	not_trusted(&server, stranger.cert, "set tls.ca");
	not_trusted(&expired, ca.cert, "renew it");
	not_trusted(&elsewhere, ca.cert, "use the name that the certificate is for");
}

static void test_not_verified_when_told_so(void)
{
	struct rig rig;
	rig_open_tls(&rig, elsewhere.cert, elsewhere.key, NULL);
	rig.settings.tls.verify = false;
	rig_connect(&rig);
	rig_close(&rig);
}

/* TLS 1.3: the client learns of the refusal only after its own half of the handshake. */
static void test_client_certificate(void)
{
	struct rig rig;
	rig_open_tls(&rig, server.cert, server.key, ca.cert);
	rig.settings.tls.ca = ca.cert;
	rig_start(&rig);
	UNTIL(&rig, rig.alarms >= 1);
	CU_ASSERT(rig.ups == 0);
	CU_ASSERT(strstr(rig.alarm, "tls.cert") != NULL);
	rig_stop_link(&rig);
	rig.settings.tls.cert = client.cert;
	rig.settings.tls.key = client.key;
	rig_connect(&rig);
	rig_close(&rig);
}

static void test_plain_broker(void)
{
	struct rig rig;
	rig_open(&rig);
	snprintf(rig.url, sizeof rig.url, "mqtts://127.0.0.1:%u", rig.broker.port);
	rig.settings.tls.ca = ca.cert;
	rig.broker.swallows = true; /* else it would choke on a ClientHello */
	rig_start(&rig);
	UNTIL(&rig, rig.broker.connection != NULL);
	fake_broker_send_bytes(&rig.broker, "\x20\x02\x00\x00\x00", 5);
	UNTIL(&rig, rig.alarms >= 1);
	CU_ASSERT(strstr(rig.alarm, "does not speak TLS") != NULL);
	rig_close(&rig);
}

/* A file that goes away, or is renewed, while linkspan runs. */
static void test_files_are_read_again(void)
{
	char path[300];
	struct rig rig;
	rig_open_tls(&rig, server.cert, server.key, NULL);
	snprintf(path, sizeof path, "%s/moved.pem", folder);
	CU_ASSERT(rename(ca.cert, path) == 0);
	rig.settings.tls.ca = ca.cert;
	rig_start(&rig);
	UNTIL(&rig, rig.alarms >= 2);
	CU_ASSERT(strstr(rig.alarm, "tls.ca") != NULL && rig.broker.connections == 0);
	CU_ASSERT(rename(path, ca.cert) == 0);
	UNTIL(&rig, rig.ups == 1);
	rig_close(&rig);
}

/* Parsing a large file of authorities takes longer than a turn of the loop may. */
static void test_authorities_are_parsed_once(void)
{
	char path[300];
	struct rig rig;
	snprintf(path, sizeof path, "%s/moved.pem", folder);
	rig_open_tls(&rig, server.cert, server.key, NULL);
	rig.settings.tls.ca = ca.cert;
	rig_connect(&rig);
	rig_stop_link(&rig);
	uint64_t before = trust_parses();
	rig_connect(&rig);
	rig_stop_link(&rig);
	rig_connect(&rig);
	rig_stop_link(&rig);
	CU_ASSERT(trust_parses() == before);
	/* Renewed: by those of another authority, in its place. */
	CU_ASSERT(rename(ca.cert, path) == 0 && link(stranger.cert, ca.cert) == 0);
	rig_start(&rig);
	UNTIL(&rig, strstr(rig.alarm, "does not verify") != NULL);
	CU_ASSERT(trust_parses() == before + 1);
	CU_ASSERT(rename(path, ca.cert) == 0);
	UNTIL(&rig, rig.ups == 4);
	rig_close(&rig);
}

static void test_bad_files(void)
{
	char error[512], path[300];
	struct tls *tls;
	snprintf(path, sizeof path, "%s/garbage.pem", folder);
	FILE *file = fopen(path, "w");
	fprintf(file, "this is no certificate\n");
	fclose(file);
	struct tls_options options = {.ca = path, .host = "localhost"};
	CU_ASSERT(tls_new(&options, &tls, error, sizeof error) < 0 && strncmp(error, "tls.ca: ", 8) == 0);
	options = (struct tls_options){.cert = path, .key = client.key, .host = "localhost"};
	CU_ASSERT(tls_new(&options, &tls, error, sizeof error) < 0 && strncmp(error, "tls.cert: ", 10) == 0);
	options = (struct tls_options){.cert = client.cert, .key = server.key, .host = "localhost"};
	CU_ASSERT(tls_new(&options, &tls, error, sizeof error) < 0 && strncmp(error, "tls.key: ", 9) == 0);
}

/* A broker that is reached by another name than its certificate's: through a tunnel, or by its address. */
static void test_server_name(void)
{
	static char name[] = "broker.example", wrong[] = "other.example", address[] = "127.0.0.1";
	struct rig rig;
	rig_open_tls(&rig, elsewhere.cert, elsewhere.key, NULL);
	rig.settings.tls.ca = ca.cert;
	rig.settings.tls.server_name = name;
	rig_connect(&rig);
	CU_ASSERT_STRING_EQUAL(rig.broker.tls_name, "broker.example");
	rig_stop_link(&rig);
	/* It is what is verified, not the host of the url. */
	rig.settings.tls.server_name = wrong;
	rig_start(&rig);
	UNTIL(&rig, rig.alarms >= 1);
	CU_ASSERT_STRING_EQUAL(rig.broker.tls_name, "other.example");
	CU_ASSERT(rig.ups == 1 && strstr(rig.alarm, "tls.server_name") != NULL);
	rig_stop_link(&rig);
	rig.broker.only_name = "broker.example";
	rig_start(&rig);
	UNTIL(&rig, strstr(rig.alarm, "does not serve this name") != NULL);
	rig_stop_link(&rig);
	rig_close(&rig);
	/* An address is verified and not sent, RFC 6066 §3. */
	rig_open_tls(&rig, server.cert, server.key, NULL);
	rig.settings.tls.ca = ca.cert;
	rig.settings.tls.server_name = address;
	snprintf(rig.url, sizeof rig.url, "mqtts://localhost:%u", rig.broker.port);
	rig_connect(&rig);
	CU_ASSERT_STRING_EQUAL(rig.broker.tls_name, "");
	rig_stop_link(&rig);
	rig.settings.tls.server_name = NULL;
	rig_connect(&rig);
	CU_ASSERT_STRING_EQUAL(rig.broker.tls_name, "localhost");
	rig_close(&rig);
}

static void test_alpn(void)
{
	static char mqtt[] = "mqtt", custom[] = "x-amzn-mqtt-ca";
	struct config_text names[] = {{.value = custom}, {.value = mqtt}};
	struct rig rig;
	rig_open_tls(&rig, server.cert, server.key, NULL);
	rig.settings.tls.ca = ca.cert;
	rig_connect(&rig);
	CU_ASSERT_STRING_EQUAL(rig.broker.tls_offered, "");
	rig_stop_link(&rig);
	rig.settings.tls.alpn = (struct config_list){names, 2};
	rig_connect(&rig); /* a broker without ALPN is a broker too */
	CU_ASSERT_STRING_EQUAL(rig.broker.tls_offered, "x-amzn-mqtt-ca,mqtt,");
	CU_ASSERT_STRING_EQUAL(rig.broker.tls_alpn, "");
	rig_stop_link(&rig);
	rig.broker.alpn = "mqtt";
	rig_connect(&rig);
	CU_ASSERT_STRING_EQUAL(rig.broker.tls_alpn, "mqtt");
	rig_stop_link(&rig);
	rig.settings.tls.alpn.n = 1;
	rig_start(&rig);
	UNTIL(&rig, rig.alarms >= 1);
	CU_ASSERT_STRING_EQUAL(rig.broker.tls_offered, "x-amzn-mqtt-ca,");
	CU_ASSERT(rig.ups == 3 && strstr(rig.alarm, "tls.alpn") != NULL);
	rig_close(&rig);
}

static void test_min_version(void)
{
	struct rig rig;
	rig_open_tls(&rig, server.cert, server.key, NULL);
	rig.settings.tls.ca = ca.cert;
	rig_connect(&rig);
	CU_ASSERT(rig.broker.tls_version == TLS1_3_VERSION);
	rig_stop_link(&rig);
	rig.broker.tls_max = TLS1_2_VERSION;
	rig_connect(&rig);
	CU_ASSERT(rig.broker.tls_version == TLS1_2_VERSION);
	rig_stop_link(&rig);
	rig.settings.tls.min_version = 1;
	rig_start(&rig);
	UNTIL(&rig, rig.alarms >= 1);
	CU_ASSERT(rig.ups == 2 && strstr(rig.alarm, "tls.min_version") != NULL);
	rig.broker.tls_max = 0;
	UNTIL(&rig, rig.ups == 3);
	CU_ASSERT(rig.broker.tls_version == TLS1_3_VERSION);
	rig_close(&rig);
}

/* Below 1.2 nothing is spoken, whatever the broker offers. */
static void test_old_version(void)
{
	struct rig rig;
	rig_open_tls(&rig, server.cert, server.key, NULL);
	rig.settings.tls.ca = ca.cert;
	rig.broker.tls_max = TLS1_1_VERSION;
	rig_start(&rig);
	UNTIL(&rig, rig.alarms >= 1);
	CU_ASSERT(rig.ups == 0 && strstr(rig.alarm, "tls.min_version") != NULL);
	rig_close(&rig);
}

static const struct tap_test tests[] = {
	{"the name of the server", test_server_name},
	{"ALPN", test_alpn},
	{"the lowest version", test_min_version},
	{"a broker with an old version", test_old_version},
	{"a verified broker, by address and by name", test_verified},
	{"large messages both ways", test_large_both_ways},
	{"a broker that is not trusted", test_not_trusted},
	{"verification can be turned off", test_not_verified_when_told_so},
	{"client certificates", test_client_certificate},
	{"a broker without TLS", test_plain_broker},
	{"files are read again at each connect", test_files_are_read_again},
	{"authorities are parsed once", test_authorities_are_parsed_once},
	{"files that cannot be used", test_bad_files},
	{NULL, NULL},
};

int main(void)
{
	make_certificates();
	return tap_main("mqtt tls", tests);
}
