/* SPDX-License-Identifier: Apache-2.0
 *
 * Paho MQTT C as a publisher, to stand beside linkspan: COUNT messages of SIZE bytes at QoS 1, MQTT 5, with WINDOW of
 * them unacknowledged at most. Prints the seconds between the first and the last tenth of the acknowledgements.
 *   paho_out PORT TOPIC COUNT SIZE WINDOW
 * The acknowledgements come on the library's thread.
 */
#include <MQTTAsync.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool connected; /* guarded by mutex, as the next */
static unsigned long acked, count;
static double began, ended;

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	fprintf(stderr, "paho_out: %s\n", what);
	exit(1);
}

static void on_connect(void *context, MQTTAsync_successData5 *data)
{
	(void)context, (void)data;
	pthread_mutex_lock(&mutex);
	connected = true;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&mutex);
}

static void on_acked(void *context, MQTTAsync_successData5 *data)
{
	(void)context, (void)data;
	pthread_mutex_lock(&mutex);
	acked++;
	if (acked == count / 10)
		began = now_s();
	if (acked == count - count / 10)
		ended = now_s();
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&mutex);
}

static void on_failure(void *context, MQTTAsync_failureData5 *data)
{
	(void)context;
	fail(data->message ? data->message : "refused");
}

static MQTTAsync open_client(const char *port, int window)
{
	MQTTAsync client;
	char url[64];
	MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer5;
	MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer5;
	create.maxBufferedMessages = window;
	connect.maxInflight = window;
	connect.onSuccess5 = on_connect;
	connect.onFailure5 = on_failure;
	snprintf(url, sizeof url, "tcp://127.0.0.1:%s", port);
	if (MQTTAsync_createWithOptions(&client, url, "bench-paho", MQTTCLIENT_PERSISTENCE_NONE, NULL, &create) ||
		MQTTAsync_connect(client, &connect))
		fail("cannot connect");
	pthread_mutex_lock(&mutex);
	while (!connected)
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
	return client;
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: paho_out PORT TOPIC COUNT SIZE WINDOW\n");
		return 2;
	}
	count = strtoul(argv[3], NULL, 10);
	unsigned long size = strtoul(argv[4], NULL, 10), window = strtoul(argv[5], NULL, 10);
	char *payload = malloc(size + 1);
	if (!payload)
		fail("out of memory");
	memset(payload, 'x', size);
	MQTTAsync client = open_client(argv[1], (int)window);
	MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
	options.onSuccess5 = on_acked;
	options.onFailure5 = on_failure;
	for (unsigned long sent = 0; sent < count; sent++) {
		pthread_mutex_lock(&mutex);
		while (sent - acked >= window)
			pthread_cond_wait(&changed, &mutex);
		pthread_mutex_unlock(&mutex);
		if (MQTTAsync_send(client, argv[2], (int)size, payload, 1, 0, &options))
			fail("cannot send");
	}
	pthread_mutex_lock(&mutex);
	while (acked < count)
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
	printf("%.6f\n", ended - began);
	MQTTAsync_destroy(&client);
	free(payload);
	return 0;
}
