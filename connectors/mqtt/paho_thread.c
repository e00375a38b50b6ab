/* SPDX-License-Identifier: Apache-2.0
 *
 * The one thread of ours that calls into Paho, for all sessions of the process. It takes orders from a queue, in their
 * order. A call may wait as long as a callback of Paho's does, that is for one fdatasync; nobody waits for this thread.
 * It is started by the first session and stays, as Paho's own threads do.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "connectors/mqtt/paho.h"

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Guarded by lock: */
	struct paho_order *first, **last;
	bool started;
	/* The thread's: */
	struct mqtt_decoder *decoder;
} thread = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static int thread_publish(struct paho_request *request)
{
	struct mqtt_packet packet;
	struct mqtt_error error;
	mqtt_decoder_init(thread.decoder, request->conn->version, MQTT_CLIENT);
	if (mqtt_decode(thread.decoder, buffer_slice(&request->packet), &packet, &error) < 0)
		return -1;
	return paho_call_publish(request, &packet);
}

static void thread_request(struct paho_request *request)
{
	int r = request->type == MQTT_PUBLISH ? thread_publish(request) : paho_call_subscribe(request);
	if (r != 0) /* then no callback follows */
		paho_answer(request, true, 0, NULL, 0);
}

static void thread_connect(struct paho_connection *conn)
{
	int r = paho_call_anchor();
	if (r == 0)
		r = paho_call_connect(conn);
	if (r == 0)
		return;
	conn->connected.type = PAHO_REFUSED;
	paho_post(conn, &conn->connected);
}

static void thread_carry_out(struct paho_order *order)
{
	struct paho_connection *conn = order->conn;
	switch (order->type) {
	case PAHO_CONNECT:
		thread_connect(conn);
		break;
	case PAHO_REQUEST:
		thread_request(order->request);
		break;
	case PAHO_DISCONNECT:
		if (paho_call_disconnect(conn) != 0)
			paho_post(conn, &conn->left);
		break;
	case PAHO_DESTROY:
		paho_call_destroy(conn);
		loop_post(conn->loop, &conn->destroyed_job); /* the memory may be gone now */
		break;
	}
}

static void *thread_run(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&thread.lock);
	for (;;) {
		while (!thread.first)
			pthread_cond_wait(&thread.wake, &thread.lock);
		struct paho_order *order = thread.first;
		thread.first = order->next;
		if (!thread.first)
			thread.last = &thread.first;
		pthread_mutex_unlock(&thread.lock);
		thread_carry_out(order);
		pthread_mutex_lock(&thread.lock);
	}
	return NULL;
}

/* Signals are the loop's: this thread blocks them, and Paho's threads inherit that. */
static int thread_create(void)
{
	pthread_t id;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&id, NULL, thread_run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		pthread_detach(id);
	return -r;
}

int paho_thread_start(void)
{
	int r = 0;
	pthread_mutex_lock(&thread.lock);
	if (!thread.started) {
		thread.last = &thread.first;
		if (!thread.decoder)
			thread.decoder = malloc(sizeof *thread.decoder);
		r = thread.decoder ? thread_create() : -ENOMEM;
		thread.started = r == 0;
	}
	pthread_mutex_unlock(&thread.lock);
	return r;
}

void paho_thread_order(struct paho_order *order)
{
	order->next = NULL;
	pthread_mutex_lock(&thread.lock);
	*thread.last = order;
	thread.last = &order->next;
	pthread_cond_signal(&thread.wake);
	pthread_mutex_unlock(&thread.lock);
}
