/* SPDX-License-Identifier: Apache-2.0
 *
 * The CoAP client over DTLS, TLS and TCP: pre-shared keys and certificates, the right ones and others, files that are read again. The
 * device is libcoap's server, on the same loop.
 */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/coap/coap.h"
#include "connectors/coap/coap_loop.h"
#include "connectors/coap/settings.h"
#include "message/buffer.h"
#include "tests/conformance/fake_host.h"
#include "tests/conformance/proxy.h"
#include "tests/unit/tap.h"

static struct coap_settings settings;
static struct coap_loop *server;
static coap_endpoint_t *endpoint;
static coap_proto_t proto;
static int port;
static char url[120];
static struct buffer arrived; /* the bodies, each with a newline */
static unsigned n_arrived, n_sessions;
static bool takes_anybody; /* asks for no certificate */

/* --- certificates ----------------------------------------------------------------------------------------------------------- */

struct pair {
	EVP_PKEY *key;
	X509 *cert;
};

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	CU_ASSERT_PTR_NOT_NULL_FATAL(extension);
	X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
}

/* By itself if issuer is NULL. */
static struct pair make_pair(const char *name, const char *alt_names, const struct pair *issuer)
{
	static long serial = 1;
	struct pair pair = {EVP_EC_gen("P-256"), X509_new()};
	X509_set_version(pair.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(pair.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(pair.cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(pair.cert), 86400 * 365);
	X509_set_pubkey(pair.cert, pair.key);
	X509_NAME *subject = X509_get_subject_name(pair.cert);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(pair.cert, X509_get_subject_name(issuer ? issuer->cert : pair.cert));
	X509 *signer = issuer ? issuer->cert : pair.cert;
	if (!issuer)
		add_extension(pair.cert, signer, NID_basic_constraints, "critical,CA:TRUE");
	if (alt_names)
		add_extension(pair.cert, signer, NID_subject_alt_name, alt_names);
	CU_ASSERT_TRUE_FATAL(X509_sign(pair.cert, issuer ? issuer->key : pair.key, EVP_sha256()) > 0);
	return pair;
}

static void free_pair(struct pair *pair)
{
	EVP_PKEY_free(pair->key);
	X509_free(pair->cert);
}

static char *path_of(const char *name)
{
	static char paths[8][300];
	static unsigned next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof paths[0], "%s/%s", tap_tempdir(), name);
	return path;
}

static void write_cert(const char *path, const struct pair *pair)
{
	FILE *out = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	PEM_write_X509(out, pair->cert);
	fclose(out);
}

static void write_key(const char *path, const struct pair *pair)
{
	FILE *out = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	PEM_write_PrivateKey(out, pair->key, NULL, NULL, 0, NULL, NULL);
	fclose(out);
}

static char ca_path[300], cert_path[300], key_path[300], server_cert_path[300], server_key_path[300];

/* An authority, and what it has signed for the device and for us. */
static void write_files(const char *device_names)
{
	struct pair ca = make_pair("authority", NULL, NULL);
	struct pair device = make_pair("device", device_names, &ca);
	struct pair own = make_pair("client", NULL, &ca);
	snprintf(ca_path, sizeof ca_path, "%s", path_of("ca.pem"));
	snprintf(cert_path, sizeof cert_path, "%s", path_of("cert.pem"));
	snprintf(key_path, sizeof key_path, "%s", path_of("key.pem"));
	snprintf(server_cert_path, sizeof server_cert_path, "%s", path_of("server.pem"));
	snprintf(server_key_path, sizeof server_key_path, "%s", path_of("server-key.pem"));
	write_cert(ca_path, &ca);
	write_cert(cert_path, &own);
	write_key(key_path, &own);
	write_cert(server_cert_path, &device);
	write_key(server_key_path, &device);
	free_pair(&ca);
	free_pair(&device);
	free_pair(&own);
}

/* --- the device -------------------------------------------------------------------------------------------------------------- */

static void on_put(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
	const coap_string_t *query, coap_pdu_t *response)
{
	size_t len = 0;
	const uint8_t *data = NULL;
	(void)resource, (void)session, (void)query;
	coap_get_data(request, &len, &data);
	CU_ASSERT_EQUAL(buffer_append(&arrived, slice_of(len ? (const void *)data : "", len)), 0);
	CU_ASSERT_EQUAL(buffer_append(&arrived, slice_str("\n")), 0);
	n_arrived++;
	coap_pdu_set_code(response, COAP_RESPONSE_CODE_CHANGED);
}

static int on_event(coap_session_t *session, coap_event_t event)
{
	n_sessions += event == COAP_EVENT_SERVER_SESSION_NEW;
	(void)session;
	return 0;
}

static coap_address_t address(void)
{
	coap_address_t at;
	coap_address_init(&at);
	at.size = sizeof at.addr.sin;
	at.addr.sin.sin_family = AF_INET;
	at.addr.sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	at.addr.sin.sin_port = htons((uint16_t)port);
	return at;
}

static void set_psk(coap_context_t *context, const char *key)
{
	coap_dtls_spsk_t setup = {.version = COAP_DTLS_SPSK_SETUP_VERSION};
	setup.psk_info.key = (coap_bin_const_t){strlen(key), (const uint8_t *)key};
	setup.psk_info.hint = (coap_bin_const_t){4, (const uint8_t *)"hint"};
	CU_ASSERT_EQUAL(coap_context_set_psk2(context, &setup), 1);
}

static void set_pki(coap_context_t *context)
{
	coap_dtls_pki_t setup = {
		.version = COAP_DTLS_PKI_SETUP_VERSION,
		.verify_peer_cert = !takes_anybody,
		.check_common_ca = 1,
		.cert_chain_validation = 1,
		.cert_chain_verify_depth = 3,
	};
	setup.pki_key.key_type = COAP_PKI_KEY_PEM;
	setup.pki_key.key.pem.ca_file = ca_path;
	setup.pki_key.key.pem.public_cert = server_cert_path;
	setup.pki_key.key.pem.private_key = server_key_path;
	CU_ASSERT_EQUAL(coap_context_set_pki(context, &setup), 1);
}

static void open_server(struct loop *loop, const char *psk)
{
	CU_ASSERT_EQUAL_FATAL(coap_loop_new(loop, false, NULL, &server), 0);
	coap_context_t *context = coap_loop_context(server);
	if (psk)
		set_psk(context, psk);
	else if (proto == COAP_PROTO_DTLS || proto == COAP_PROTO_TLS)
		set_pki(context);
	coap_address_t at = address();
	endpoint = coap_new_endpoint(context, &at, proto);
	CU_ASSERT_PTR_NOT_NULL_FATAL(endpoint);
	coap_context_set_block_mode(context, COAP_BLOCK_USE_LIBCOAP);
	coap_add_resource(context, coap_resource_unknown_init(on_put));
	coap_register_event_handler(context, on_event);
}

static void begin(coap_proto_t with, const char *scheme, const char *host)
{
	proto = with;
	port = tap_free_port();
	snprintf(url, sizeof url, "%s://%s:%d", scheme, host, port);
	settings = (struct coap_settings){
		.url = url,
		.out =
			{
				.timeout_ms = 20000,
				.concurrency = 8,
				.block_size = 6,
				.transmission = {.ack_timeout_ms = 1000, .max_retransmit = 4, .nstart = 4},
				.max_response = 65536,
				.max_peers = 4,
				.allow_private = true,
			},
	};
	buffer_init(&arrived, 16 * 1024 * 1024);
	n_arrived = n_sessions = 0;
	takes_anybody = false;
}

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static void use_psk(const char *key)
{
	settings.psk.identity = text("bridge");
	settings.psk.key = text(key);
}

static void use_certificates(void)
{
	settings.tls.ca = ca_path;
	settings.tls.cert = cert_path;
	settings.tls.key = key_path;
}

static struct fake_host *start(const char *server_psk)
{
	struct fake_host *fake = fake_host_new(&coap_connector, &settings, true, NULL, 0);
	fake->resend_retries = true;
	open_server(fake->loop, server_psk);
	fake_host_start(fake);
	return fake;
}

static void finish(struct fake_host *fake)
{
	CU_ASSERT_TRUE(fake_host_stop(fake));
	CU_ASSERT_EQUAL(fake->breaches, 0);
	coap_loop_free(server);
	server = NULL;
	fake_host_free(fake);
	buffer_free(&arrived);
}

static void deliver(struct fake_host *fake, struct slice payload)
{
	struct message_view view = {
		.topic = slice_str("/a"), .payload = payload, .order_key = slice_str("k"), .qos = 1};
	fake_host_deliver(fake, &view);
}

static void check_delivers(struct fake_host *fake)
{
	for (int i = 0; i < 50; i++)
		deliver(fake, slice_str("hello"));
	CU_ASSERT_TRUE_FATAL(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(n_arrived, 50);
	CU_ASSERT_TRUE(n_sessions <= 1);
	CU_ASSERT_EQUAL(fake->alarms, 0);
	if (fake->alarms)
		printf("# %s\n", fake->last_alarm);
}

/* --- tests -------------------------------------------------------------------------------------------------------------------- */

static void test_tcp(void)
{
	begin(COAP_PROTO_TCP, "coap+tcp", "127.0.0.1");
	struct fake_host *fake = start(NULL);
	check_delivers(fake);
	finish(fake);
}

static void check_large(struct fake_host *fake, size_t size)
{
	char *bytes = malloc(size);
	memset(bytes, 'x', size);
	deliver(fake, slice_of(bytes, size));
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	size_t n = 0;
	for (size_t i = 0; i < arrived.len; i++)
		n += arrived.data[i] == 'x';
	CU_ASSERT_EQUAL(n, size);
	free(bytes);
	finish(fake);
}

static void test_large(void)
{
	begin(COAP_PROTO_TCP, "coap+tcp", "127.0.0.1");
	check_large(start(NULL), 200000);
	begin(COAP_PROTO_DTLS, "coaps", "127.0.0.1");
	use_psk("secret");
	check_large(start("secret"), 200000);
	begin(COAP_PROTO_TLS, "coaps+tcp", "127.0.0.1");
	use_psk("secret");
	check_large(start("secret"), 200000);
}

static void test_psk(void)
{
	begin(COAP_PROTO_DTLS, "coaps", "127.0.0.1");
	use_psk("hex:736563726574");
	struct fake_host *fake = start("secret");
	check_delivers(fake);
	finish(fake);
	begin(COAP_PROTO_TLS, "coaps+tcp", "127.0.0.1");
	use_psk("secret");
	fake = start("secret");
	check_delivers(fake);
	finish(fake);
}

static void test_wrong_psk(void)
{
	begin(COAP_PROTO_TLS, "coaps+tcp", "127.0.0.1");
	use_psk("wrong");
	struct fake_host *fake = start("secret");
	deliver(fake, slice_str("x"));
	CU_ASSERT_TRUE(fake_host_run_until_alarm(fake));
	CU_ASSERT_EQUAL(fake->downs, 1);
	CU_ASSERT_EQUAL(n_arrived, 0);
	finish(fake);
}

/* Who knows no key, and shows a certificate instead. */
static void check_impostor(coap_proto_t with, const char *scheme)
{
	write_files("IP:127.0.0.1");
	begin(with, scheme, "127.0.0.1");
	use_psk("secret");
	takes_anybody = true;
	struct fake_host *fake = start(NULL);
	deliver(fake, slice_str("x"));
	CU_ASSERT_TRUE(fake_host_run_until_alarm(fake));
	CU_ASSERT_EQUAL(n_arrived, 0);
	finish(fake);
}

static void test_impostor(void)
{
	check_impostor(COAP_PROTO_TLS, "coaps+tcp");
	check_impostor(COAP_PROTO_DTLS, "coaps");
}

static void check_certificates(coap_proto_t with, const char *scheme, const char *host, const char *names)
{
	write_files(names);
	begin(with, scheme, host);
	use_certificates();
	struct fake_host *fake = start(NULL);
	check_delivers(fake);
	finish(fake);
}

static void test_certificates(void)
{
	check_certificates(COAP_PROTO_DTLS, "coaps", "127.0.0.1", "IP:127.0.0.1");
	check_certificates(COAP_PROTO_DTLS, "coaps", "localhost", "DNS:other,DNS:localhost");
	check_certificates(COAP_PROTO_TLS, "coaps+tcp", "localhost", "DNS:localhost");
	check_certificates(COAP_PROTO_TLS, "coaps+tcp", "127.0.0.1", "IP:127.0.0.1");
}

static void check_refused(struct fake_host *fake, const char *word)
{
	deliver(fake, slice_str("x"));
	CU_ASSERT_TRUE(fake_host_run_until_alarm(fake));
	CU_ASSERT_PTR_NOT_NULL(strstr(fake->last_alarm, word));
	if (!strstr(fake->last_alarm, word))
		printf("# %s\n", fake->last_alarm);
	CU_ASSERT_EQUAL(fake->downs, 1);
	CU_ASSERT_EQUAL(n_arrived, 0);
	finish(fake);
}

static void test_wrong_name(void)
{
	write_files("DNS:elsewhere,IP:127.0.0.2");
	begin(COAP_PROTO_DTLS, "coaps", "127.0.0.1");
	use_certificates();
	check_refused(start(NULL), "not for 127.0.0.1");
	begin(COAP_PROTO_TLS, "coaps+tcp", "localhost");
	use_certificates();
	check_refused(start(NULL), "not for localhost");
}

static void test_wrong_authority(void)
{
	write_files("IP:127.0.0.1");
	begin(COAP_PROTO_DTLS, "coaps", "127.0.0.1");
	struct fake_host *fake = start(NULL); /* the system's authorities */
	check_refused(fake, "certificate is not accepted");
}

static void test_no_certificate(void)
{
	write_files("IP:127.0.0.1");
	begin(COAP_PROTO_DTLS, "coaps", "127.0.0.1");
	settings.tls.ca = ca_path;
	check_refused(start(NULL), "alert handshake failure");
}

/* An authority that the files name no more is not trusted any more; sessions that are there stay. */
static void test_reload(void)
{
	write_files("IP:127.0.0.1");
	begin(COAP_PROTO_DTLS, "coaps", "127.0.0.1");
	use_certificates();
	struct fake_host *fake = start(NULL);
	deliver(fake, slice_str("x"));
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	write_files("IP:127.0.0.1"); /* the device's ones too */
	fake->connector->reload(fake->link);
	deliver(fake, slice_str("x"));
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(n_sessions, 1);
	coap_loop_free(server); /* says goodbye */
	open_server(fake->loop, NULL);
	n_sessions = 0;
	deliver(fake, slice_str("x"));
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	CU_ASSERT_TRUE(n_sessions >= 1);
	CU_ASSERT_EQUAL(fake->alarms, 0);
	/* What cannot be used is not. */
	FILE *out = fopen(ca_path, "w");
	fputs("nothing", out);
	fclose(out);
	fake->connector->reload(fake->link);
	deliver(fake, slice_str("x"));
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(n_arrived, 4);
	finish(fake);
}

/* The device begins anew: its sessions are gone. */
static void test_restart(void)
{
	begin(COAP_PROTO_TCP, "coap+tcp", "127.0.0.1");
	struct fake_host *fake = start(NULL);
	for (int i = 0; i < 5; i++) {
		deliver(fake, slice_str("x"));
		CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
		coap_loop_free(server);
		open_server(fake->loop, NULL);
	}
	CU_ASSERT_EQUAL(n_arrived, 5);
	CU_ASSERT_EQUAL(fake->downs, 0);
	finish(fake);
}

static const struct tap_test tests[] = {
	{"coap+tcp", test_tcp},
	{"pre-shared keys", test_psk},
	{"TD_COAP_DTLS_02 as a client: a key that is not the right one", test_wrong_psk},
	{"a server that knows no key", test_impostor},
	{"certificates", test_certificates},
	{"a certificate for another host", test_wrong_name},
	{"a certificate of another authority", test_wrong_authority},
	{"no certificate of ours", test_no_certificate},
	{"files are read again", test_reload},
	{"a device that begins anew", test_restart},
	{"large bodies", test_large},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("conformance coap out secure", tests);
}
