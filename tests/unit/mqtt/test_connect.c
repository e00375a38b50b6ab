/* SPDX-License-Identifier: Apache-2.0
 *
 * What the session says when it connects, and to whom: credentials from files, several addresses, limits,
 * the will.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/log.h"
#include "tests/unit/mqtt/rig.h"

static const struct broker_packet *connected(const struct rig *rig, size_t n)
{
	const struct broker_packet *packet = fake_broker_packet(&rig->broker, MQTT_CONNECT, n);
	CU_ASSERT_FATAL(packet != NULL);
	return packet;
}

/* --- credentials from files ------------------------------------------------------------------------------------------- */

static char *path_of(const char *name)
{
	static char paths[4][300];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", tap_tempdir(), name);
	return path;
}

static void put_file(const char *path, const char *text, size_t len)
{
	FILE *file = fopen(path, "w");
	CU_ASSERT_FATAL(file != NULL);
	CU_ASSERT(fwrite(text, 1, len, file) == len);
	fclose(file);
}

static void put_text(const char *path, const char *text)
{
	put_file(path, text, strlen(text));
}

static bool told;

static void on_line(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	told = told || strstr(line, "token-");
}

static void test_credential_files(void)
{
	struct rig rig;
	char *user = path_of("user"), *password = path_of("password");
	rig_open(&rig);
	log_set_sink(on_line, NULL);
	log_set_level(LOG_LEVEL_DEBUG);
	told = false;
	put_text(user, "edge\r\n");
	put_text(password, "token-1\n");
	rig.settings.username_file = user;
	rig.settings.password_file = password;
	rig_connect(&rig);
	CU_ASSERT_STRING_EQUAL(connected(&rig, 0)->payload, "edge:token-1");
	/* A renewed token is what the next connection says; only one new line is none of it. */
	put_text(password, "token-2 \n\n");
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT_STRING_EQUAL(connected(&rig, 1)->payload, "edge:token-2 \n");
	/* So does one that has run out, without a word to anybody. */
	struct mqtt_packet expired = {.type = MQTT_DISCONNECT, .reason = MQTT_NOT_AUTHORIZED};
	fake_broker_send(&rig.broker, &expired);
	UNTIL(&rig, rig.ups == 3);
	CU_ASSERT(rig.alarms == 0);
	/* But only once: it may be something else that the broker does not allow. */
	fake_broker_send(&rig.broker, &expired);
	UNTIL(&rig, rig.ups == 4);
	CU_ASSERT(rig.alarms == 1);
	/* One that the broker refuses, too. */
	rig.broker.connack_reason = MQTT_NOT_AUTHORIZED;
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.alarms == 2);
	put_text(password, "token-3");
	rig.broker.connack_reason = 0;
	UNTIL(&rig, rig.ups == 5);
	const struct broker_packet *last = connected(&rig, fake_broker_count(&rig.broker, MQTT_CONNECT) - 1);
	CU_ASSERT_STRING_EQUAL(last->payload, "edge:token-3");
	log_set_level(LOG_LEVEL_INFO);
	log_set_sink(NULL, NULL);
	CU_ASSERT(!told);
	rig_close(&rig);
}

/* With this in the file there is an alarm and no CONNECT; once it is mended the link comes up. */
static void unusable(struct rig *rig, char **key, char *path, const char *what)
{
	unsigned ups = rig->ups, alarms = rig->alarms;
	size_t connects = fake_broker_count(&rig->broker, MQTT_CONNECT);
	*key = path;
	rig_start(rig);
	UNTIL(rig, rig->alarms >= alarms + 2); /* it goes on trying */
	if (!strstr(rig->alarm, what) || !strstr(rig->alarm, path))
		printf("# wanted \"%s\" and %s, got: %s\n", what, path, rig->alarm);
	CU_ASSERT(strstr(rig->alarm, what) != NULL && strstr(rig->alarm, path) != NULL);
	CU_ASSERT(rig->ups == ups && fake_broker_count(&rig->broker, MQTT_CONNECT) == connects);
	rmdir(path);
	put_text(path, "sound");
	UNTIL(rig, rig->ups == ups + 1);
	CU_ASSERT(strstr(connected(rig, fake_broker_count(&rig->broker, MQTT_CONNECT) - 1)->payload, "sound") != NULL);
	rig_stop_link(rig);
	*key = NULL;
}

static void test_credential_files_unusable(void)
{
	struct rig rig;
	char *path = path_of("bad");
	rig_open(&rig);
	unusable(&rig, &rig.settings.password_file, path, "No such file");
	put_text(path, "\n");
	unusable(&rig, &rig.settings.password_file, path, "is empty");
	CU_ASSERT(unlink(path) == 0 && mkdir(path, 0700) == 0);
	unusable(&rig, &rig.settings.password_file, path, "not a regular file");
	CU_ASSERT(unlink(path) == 0 && mkfifo(path, 0600) == 0); /* would block */
	rig.settings.username_file = path;
	rig_start(&rig);
	UNTIL(&rig, strstr(rig.alarm, "username_file") != NULL);
	CU_ASSERT(strstr(rig.alarm, "not a regular file") != NULL);
	rig_stop_link(&rig);
	CU_ASSERT(unlink(path) == 0);
	put_text(path, "\xff");
	unusable(&rig, &rig.settings.username_file, path, "not UTF-8");
	rig_close(&rig);
}

/* 65535 bytes is what fits. */
static void test_credential_files_large(void)
{
	static char large[65537];
	struct rig rig;
	char *path = path_of("large");
	rig_open(&rig);
	memset(large, 'x', sizeof large);
	put_file(path, large, 65536);
	unusable(&rig, &rig.settings.password_file, path, "65535");
	large[65535] = '\n';
	put_file(path, large, 65536);
	rig.settings.password_file = path;
	rig_connect(&rig);
	CU_ASSERT(connected(&rig, fake_broker_count(&rig.broker, MQTT_CONNECT) - 1)->payload_len == 65536);
	rig_close(&rig);
}

/* --- several addresses ------------------------------------------------------------------------------------------------- */

static void add_url(struct rig *rig, char *url)
{
	rig->urls[rig->settings.urls.n++].value = url;
}

/* The url of a port where nobody listens. */
static void dead_url(struct rig *rig, char *url, size_t size)
{
	struct fake_broker gone;
	fake_broker_open(&gone, rig->loop, NULL, NULL, NULL);
	snprintf(url, size, "mqtt://127.0.0.1:%u", gone.port);
	fake_broker_close(&gone);
}

static void open_second(struct rig *rig, struct fake_broker *second, char *url, size_t size)
{
	fake_broker_open(second, rig->loop, NULL, NULL, NULL);
	second->version = MQTT_5_0;
	snprintf(url, size, "mqtt://127.0.0.1:%u", second->port);
}

static void test_next_address(void)
{
	char dead[64], other[64];
	struct rig rig;
	struct fake_broker second;
	rig_open(&rig);
	open_second(&rig, &second, other, sizeof other);
	dead_url(&rig, dead, sizeof dead);
	rig.urls[0].value = dead;
	add_url(&rig, other);
	add_url(&rig, rig.url);
	/* One that refuses is no better than one that is not there. */
	second.connack_reason = MQTT_SERVER_UNAVAILABLE;
	rig_connect(&rig);
	CU_ASSERT(second.connections == 1 && rig.broker.connections == 1);
	/* Nor is one that ends the connection at once; the round begins anew behind the last address. */
	second.connack_reason = 0;
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(second.connections == 2 && rig.broker.connections == 1);
	fake_broker_drop(&second);
	UNTIL(&rig, rig.ups == 3);
	CU_ASSERT(second.connections == 2 && rig.broker.connections == 2);
	rig_stop_link(&rig);
	fake_broker_close(&second);
	rig_close(&rig);
}

/* The wait grows with the rounds: were it to grow with the addresses, the sixth would come after hours. */
static void test_backoff_by_round(void)
{
	char dead[3][64];
	struct rig rig;
	rig_open(&rig);
	for (int i = 0; i < 3; i++)
		dead_url(&rig, dead[i], sizeof dead[i]);
	rig.urls[0].value = dead[0];
	add_url(&rig, dead[1]);
	add_url(&rig, dead[2]);
	rig.urls[3].value = rig.url;
	rig.settings.urls.n = 4;
	rig.settings.reconnect_min_ms = 1;
	rig.settings.reconnect_max_ms = 3600 * 1000;
	rig.broker.closes_at_once = true;
	rig_start(&rig);
	UNTIL(&rig, rig.broker.connections == 6); /* six waits of at most 1, 2, 4, 8, 16, 32 ms */
	rig.broker.closes_at_once = false;
	UNTIL(&rig, rig.ups == 1);
	rig_close(&rig);
}

/* A renewed connection is no failure: it goes to the same address. */
static void test_renewed_connection(void)
{
	char other[64];
	struct rig rig;
	struct fake_broker second;
	rig_open(&rig);
	open_second(&rig, &second, other, sizeof other);
	rig.urls[0].value = other;
	add_url(&rig, rig.url);
	second.connack_reason = MQTT_SERVER_BUSY;
	rig.settings.hold_bytes = 1000;
	rig_subscribe(&rig, "in/#", 1);
	rig_connect(&rig);
	second.connack_reason = 0;
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 2);
	rig.n_receipts = rig.n_offers;
	rig.busy = true;
	/* More than may be held, so that the link fetches the rest by a new connection. */
	for (uint16_t id = 1; id <= 100; id++)
		fake_broker_publish(&rig.broker, "in/a", "a message of more than ten bytes", 1, id);
	rig_send(&rig, "out", "marker", 1);
	rig_send_end(&rig);
	UNTIL(&rig, rig.n_outcomes == 1);
	rig_resume(&rig);
	rig_receipts(&rig, rig_messages(&rig));
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(rig.broker.connections == 2 && second.connections == 1);
	rig_stop_link(&rig);
	fake_broker_close(&second);
	rig_close(&rig);
}

/* --- server references ---------------------------------------------------------------------------------------------- */

static void refer_in_connack(struct fake_broker *broker, uint8_t reason, const char *server)
{
	broker->connack_reason = reason;
	broker->connack_props.server_reference = slice_str(server);
}

static void refer_in_disconnect(struct fake_broker *broker, uint8_t reason, const char *server)
{
	struct mqtt_packet packet = {.type = MQTT_DISCONNECT, .reason = reason};
	packet.props.server_reference = slice_str(server);
	fake_broker_send(broker, &packet);
}

static void open_referring(struct rig *rig, struct fake_broker *second, char *server, size_t size)
{
	char url[64];
	rig_open(rig);
	open_second(rig, second, url, sizeof url);
	snprintf(server, size, "127.0.0.1:%u", second->port);
	rig->settings.server_reference = SERVER_REFERENCE_FOLLOW;
}

static void test_reference_ignored(void)
{
	struct rig rig;
	rig_open(&rig);
	refer_in_connack(&rig.broker, MQTT_SERVER_MOVED, "new.example:99");
	rig_start(&rig);
	UNTIL(&rig, rig.alarms == 2); /* it goes on trying where it is told to */
	CU_ASSERT(strstr(rig.alarm, "new.example:99") && strstr(rig.alarm, "server_reference: follow"));
	CU_ASSERT(rig.broker.connections >= 2 && rig.ups == 0);
	refer_in_connack(&rig.broker, 0, NULL);
	UNTIL(&rig, rig.ups == 1);
	rig.alarm[0] = '\0';
	refer_in_disconnect(&rig.broker, MQTT_USE_ANOTHER_SERVER, "new.example");
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(strstr(rig.alarm, "new.example") != NULL);
	rig_close(&rig);
}

static void test_reference_followed_once(void)
{
	char server[64];
	struct rig rig;
	struct fake_broker second;
	open_referring(&rig, &second, server, sizeof server);
	refer_in_connack(&rig.broker, MQTT_USE_ANOTHER_SERVER, server);
	rig_connect(&rig);
	CU_ASSERT(rig.broker.connections == 1 && second.connections == 1 && rig.alarms == 0);
	CU_ASSERT_STRING_EQUAL(fake_broker_packet(&second, MQTT_CONNECT, 0)->topic, "tester");
	/* The next connection begins at the url again. */
	fake_broker_drop(&second);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(rig.broker.connections == 2 && second.connections == 2);
	/* So it does by way of a DISCONNECT. */
	refer_in_connack(&rig.broker, 0, NULL);
	fake_broker_drop(&second);
	UNTIL(&rig, rig.ups == 3);
	CU_ASSERT(rig.broker.connections == 3 && second.connections == 2);
	refer_in_disconnect(&rig.broker, MQTT_USE_ANOTHER_SERVER, server);
	UNTIL(&rig, rig.ups == 4);
	CU_ASSERT(rig.broker.connections == 3 && second.connections == 3 && rig.alarms == 0);
	rig_stop_link(&rig);
	fake_broker_close(&second);
	rig_close(&rig);
}

static void test_reference_followed_for_good(void)
{
	char server[64];
	struct rig rig;
	struct fake_broker second;
	open_referring(&rig, &second, server, sizeof server);
	refer_in_connack(&rig.broker, MQTT_SERVER_MOVED, server);
	rig_connect(&rig);
	CU_ASSERT(rig.broker.connections == 1 && second.connections == 1 && rig.alarms == 0);
	/* The url is still there for when the new one fails, */
	refer_in_connack(&rig.broker, 0, NULL);
	fake_broker_drop(&second);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT(rig.broker.connections == 2 && second.connections == 1);
	/* and each round begins with the new one. */
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 3);
	CU_ASSERT(rig.broker.connections == 2 && second.connections == 2);
	rig_stop_link(&rig);
	/* Another process knows nothing of it. */
	rig_connect(&rig);
	CU_ASSERT(rig.broker.connections == 3 && second.connections == 2);
	refer_in_disconnect(&rig.broker, MQTT_SERVER_MOVED, server);
	UNTIL(&rig, rig.ups == 5);
	CU_ASSERT(second.connections == 3);
	rig_stop_link(&rig);
	fake_broker_close(&second);
	rig_close(&rig);
}

static void test_reference_loop(void)
{
	char server[64], back[64];
	struct rig rig;
	struct fake_broker second;
	open_referring(&rig, &second, server, sizeof server);
	snprintf(back, sizeof back, "127.0.0.1:%u", rig.broker.port);
	refer_in_connack(&rig.broker, MQTT_USE_ANOTHER_SERVER, server);
	refer_in_connack(&second, MQTT_USE_ANOTHER_SERVER, back);
	rig_start(&rig);
	UNTIL(&rig, rig.alarms == 1);
	CU_ASSERT(strstr(rig.alarm, "five servers in a row") != NULL);
	CU_ASSERT(rig.broker.connections == 3 && second.connections == 3);
	refer_in_connack(&rig.broker, MQTT_USE_ANOTHER_SERVER, "not:understood");
	UNTIL(&rig, strstr(rig.alarm, "no server that can be understood") != NULL);
	refer_in_connack(&rig.broker, MQTT_USE_ANOTHER_SERVER, NULL);
	rig.alarm[0] = '\0';
	UNTIL(&rig, strstr(rig.alarm, "no server that can be understood") != NULL);
	rig.broker.connack_reason = 0;
	UNTIL(&rig, rig.ups == 1);
	rig_stop_link(&rig);
	fake_broker_close(&second);
	rig_close(&rig);
}

/* --- the client identifier ------------------------------------------------------------------------------------------- */

static const char *id_of(const struct rig *rig, size_t n)
{
	return connected(rig, n)->topic;
}

static void test_assigned_client_id(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.client_id = NULL;
	rig.settings.clean_start = true;
	rig.broker.connack_props.assigned_client_identifier = slice_str("auto-17");
	rig_connect(&rig);
	CU_ASSERT_STRING_EQUAL(id_of(&rig, 0), "");
	rig.broker.connack_props.assigned_client_identifier = (struct slice){NULL, 0};
	for (unsigned i = 1; i <= 2; i++) {
		fake_broker_drop(&rig.broker);
		UNTIL(&rig, rig.ups == i + 1);
		CU_ASSERT_STRING_EQUAL(id_of(&rig, i), "auto-17");
	}
	rig_stop_link(&rig);
	rig_connect(&rig); /* another process */
	CU_ASSERT_STRING_EQUAL(id_of(&rig, 3), "");
	rig_close(&rig);
}

/* A broker that does not like the identifier that it gave, and one that gives none. */
static void test_client_id_refused(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.client_id = NULL;
	rig.settings.clean_start = true;
	rig.broker.connack_props.assigned_client_identifier = slice_str("auto-17");
	rig_connect(&rig);
	rig.broker.connack_props.assigned_client_identifier = (struct slice){NULL, 0};
	rig.broker.connack_reason = MQTT_CLIENT_IDENTIFIER_NOT_VALID;
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.alarms == 1);
	CU_ASSERT_STRING_EQUAL(id_of(&rig, 1), "auto-17");
	CU_ASSERT_STRING_EQUAL(id_of(&rig, 2), "");
	CU_ASSERT(strncmp(id_of(&rig, 3), "linkspan-", 9) == 0); /* that one is the alarm's */
	CU_ASSERT(strstr(rig.alarm, "client_id") != NULL);
	rig.broker.connack_reason = 0;
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT_STRING_EQUAL(id_of(&rig, fake_broker_count(&rig.broker, MQTT_CONNECT) - 1), id_of(&rig, 3));
	rig_stop_link(&rig);
	/* A broker that only says that something is wrong. */
	size_t first = fake_broker_count(&rig.broker, MQTT_CONNECT);
	rig.broker.connack_reason = MQTT_UNSPECIFIED_ERROR;
	rig_start(&rig);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_CONNECT) >= first + 3);
	CU_ASSERT_STRING_EQUAL(id_of(&rig, first), "");
	CU_ASSERT(strncmp(id_of(&rig, first + 1), "linkspan-", 9) == 0);
	CU_ASSERT_STRING_EQUAL(id_of(&rig, first + 2), id_of(&rig, first + 1));
	rig_close(&rig);
}

static void test_made_up_client_id(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.client_id = NULL;
	rig.settings.clean_start = true;
	rig.settings.version = 1;
	rig_connect(&rig);
	CU_ASSERT(strncmp(id_of(&rig, 0), "linkspan-", 9) == 0 && connected(&rig, 0)->clean_start);
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 2);
	CU_ASSERT_STRING_EQUAL(id_of(&rig, 1), id_of(&rig, 0));
	rig_stop_link(&rig);
	/* One that is given is used, also where the broker would rather assign one. */
	static char mine[] = "mine";
	rig.settings.version = 0;
	rig.settings.client_id = mine;
	rig.broker.connack_props.assigned_client_identifier = slice_str("auto-17");
	rig_connect(&rig);
	fake_broker_drop(&rig.broker);
	UNTIL(&rig, rig.ups == 4);
	CU_ASSERT_STRING_EQUAL(id_of(&rig, 3), "mine");
	rig_close(&rig);
}

/* --- limits ------------------------------------------------------------------------------------------------------------- */

static void test_max_packet_size(void)
{
	char payload[291];
	memset(payload, 'x', sizeof payload - 1);
	payload[sizeof payload - 1] = '\0';
	struct rig rig;
	rig_open(&rig);
	rig_subscribe(&rig, "in/#", 1);
	rig_connect(&rig);
	CU_ASSERT(connected(&rig, 0)->maximum_packet_size == 0);
	UNTIL(&rig, rig_changes(&rig, CHANGE_SUBSCRIPTIONS) == 2);
	fake_broker_publish(&rig.broker, "in/a", payload, 0, 0);
	UNTIL(&rig, rig_messages(&rig) == 1);
	rig_stop_link(&rig);
	rig.settings.max_packet_size = 300; /* 3 fixed header, 6 topic, 1 property length, 290 payload */
	rig_connect(&rig);
	CU_ASSERT(connected(&rig, 1)->maximum_packet_size == 300);
	fake_broker_publish(&rig.broker, "in/a", payload, 0, 0);
	UNTIL(&rig, rig_messages(&rig) == 2);
	size_t ends = fake_broker_count(&rig.broker, MQTT_DISCONNECT);
	fake_broker_publish(&rig.broker, "in/ab", payload, 0, 0);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_DISCONNECT) == ends + 1);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_DISCONNECT, ends)->reason == MQTT_PACKET_TOO_LARGE);
	UNTIL(&rig, rig.ups == 3);
	CU_ASSERT(rig_messages(&rig) == 2);
	rig_stop_link(&rig);
	rig.settings.version = 1;
	rig_connect(&rig);
	fake_broker_publish(&rig.broker, "in/ab", payload, 0, 0);
	UNTIL(&rig, rig_messages(&rig) == 3);
	rig_close(&rig);
}

/* --- the will and user properties ------------------------------------------------------------------------------------- */

static char topic[] = "status", payload[] = "gone", content_type[] = "text/plain", response[] = "status/ask",
	    correlation[] = "c-1", site[] = "site", north[] = "north", line[] = "line", seven[] = "7";
static struct config_text headers[] = {{.name = site, .value = north}, {.name = line, .value = seven}};

static void test_will(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.will = (struct mqtt_own_message){
		.topic = topic,
		.payload = payload,
		.qos = 2,
		.retain = true,
		.delay_ms = 1500,
		.expiry_ms = 60000,
		.content_type = content_type,
		.response_topic = response,
		.correlation = correlation,
		.utf8 = true,
		.headers = {headers, 2},
	};
	rig.settings.connect_headers = (struct config_list){headers + 1, 1};
	rig_connect(&rig);
	const struct broker_will *will = &connected(&rig, 0)->will;
	CU_ASSERT_STRING_EQUAL(will->topic, "status");
	CU_ASSERT_STRING_EQUAL(will->payload, "gone");
	CU_ASSERT_STRING_EQUAL(will->content_type, "text/plain");
	CU_ASSERT_STRING_EQUAL(will->response_topic, "status/ask");
	CU_ASSERT_STRING_EQUAL(will->correlation, "c-1");
	CU_ASSERT_STRING_EQUAL(will->user, "site=north;line=7;");
	CU_ASSERT(will->qos == 2 && will->retain && will->delay == 2 && will->expiry == 60);
	CU_ASSERT(will->payload_format == 1);
	CU_ASSERT_STRING_EQUAL(connected(&rig, 0)->user, "line=7;");
	rig_close(&rig);
}

static void test_will_without_properties(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.will = (struct mqtt_own_message){.topic = topic};
	rig_connect(&rig);
	const struct broker_will *will = &connected(&rig, 0)->will;
	CU_ASSERT(will->qos == 0 && !will->retain && will->delay == 0 && will->expiry == 0);
	CU_ASSERT(will->payload_format == 0 && !will->user[0] && !will->content_type[0] && !will->payload[0]);
	CU_ASSERT_STRING_EQUAL(connected(&rig, 0)->user, "");
	rig_close(&rig);
}

/* Nobody stays to answer a PUBREC, so the farewell that takes the will's place has QoS 1. */
static void test_will_3_1_1(void)
{
	struct rig rig;
	rig_open(&rig);
	rig.settings.version = 1;
	rig.settings.will = (struct mqtt_own_message){.topic = topic, .payload = payload, .qos = 2};
	rig_connect(&rig);
	CU_ASSERT(connected(&rig, 0)->will.qos == 2);
	rig_stop_link(&rig);
	CU_ASSERT(fake_broker_packet(&rig.broker, MQTT_PUBLISH, 0)->qos == 1);
	rig_close(&rig);
}

/* A 3.1.1 broker refuses a CONNECT of version 5 in its own form: that needs a person. */
static void test_broker_of_3_1_1(void)
{
	static const uint8_t refusal[] = {0x20, 2, 0, 1};
	struct rig rig;
	rig_open(&rig);
	rig.broker.silent = true;
	rig_start(&rig);
	UNTIL(&rig, fake_broker_count(&rig.broker, MQTT_CONNECT) == 1);
	fake_broker_send_bytes(&rig.broker, refusal, sizeof refusal);
	UNTIL(&rig, rig.alarms == 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.alarm, "version: 3.1.1"));
	rig_close(&rig);
}

static const struct tap_test tests[] = {
	{"credentials from files, read at each connect", test_credential_files},
	{"files of credentials that cannot be used", test_credential_files_unusable},
	{"files of credentials that are as large as can be", test_credential_files_large},
	{"a broker of 3.1.1", test_broker_of_3_1_1},
	{"the next address after a failure", test_next_address},
	{"the back-off grows once per round", test_backoff_by_round},
	{"a renewed connection keeps its address", test_renewed_connection},
	{"a server reference is ignored", test_reference_ignored},
	{"a server reference is followed once", test_reference_followed_once},
	{"a server reference is followed for good", test_reference_followed_for_good},
	{"server references in a loop", test_reference_loop},
	{"an assigned client identifier", test_assigned_client_id},
	{"client identifiers that are refused", test_client_id_refused},
	{"a client identifier that is made up or given", test_made_up_client_id},
	{"a maximum packet size", test_max_packet_size},
	{"a will with all its properties, and those of the CONNECT", test_will},
	{"a will with nothing", test_will_without_properties},
	{"a will of qos 2 in 3.1.1", test_will_3_1_1},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt connect", tests);
}
