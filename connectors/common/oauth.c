/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a client: its thread waits, fetches, tells, and waits again. The request is oauth_fetch.c's, the answer
 * oauth_answer.c's. A token is renewed when a fifth of its life is left; after a failure it is tried again after 1, 2, 4 …
 * 30 seconds.
 */
#include "connectors/common/oauth.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "connectors/common/oauth_fetch.h"

#define RETRY_FIRST_MS 1000u
#define RETRY_LAST_MS  30000u
#define SOONEST_MS     1000u /* between two fetches, whatever lifetime the endpoint gives */
#define LONGEST_MS     (24u * 3600u * 1000u) /* a token that lives longer is renewed all the same */

struct oauth_client {
	const struct oauth_settings *settings;
	void (*on_news)(const struct oauth_news *news, void *arg);
	void *arg;
	struct oauth_fetch *fetch;
	pthread_t thread;
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t changed;
	bool started, stopping, refused;
	unsigned refusals; /* tokens in a row that the peer has refused */
	uint64_t fetched_ms; /* when the last fetch ended, monotonic */
};

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t retry_ms(unsigned failures)
{
	uint64_t bound = RETRY_FIRST_MS;
	for (unsigned i = 1; i < failures && bound < RETRY_LAST_MS; i++)
		bound *= 2;
	if (bound > RETRY_LAST_MS)
		bound = RETRY_LAST_MS;
	uint32_t random = 0;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
		return bound;
	return bound / 2 + random % (bound / 2 + 1); /* a plant full of bridges must not come all at once */
}

static uint64_t refused_delay_ms(unsigned refusals)
{
	uint64_t delay_ms = OAUTH_REFUSED_MS;
	for (unsigned i = 0; i < refusals && delay_ms < OAUTH_REFUSED_LAST_MS; i++)
		delay_ms *= 2;
	return delay_ms < OAUTH_REFUSED_LAST_MS ? delay_ms : OAUTH_REFUSED_LAST_MS;
}

static uint64_t renew_ms(uint64_t lifetime_ms)
{
	uint64_t delay_ms = lifetime_ms / 5 * 4;
	return delay_ms < SOONEST_MS ? SOONEST_MS : delay_ms > LONGEST_MS ? LONGEST_MS : delay_ms;
}

/* Fetches and tells; when to do so again. */
static uint64_t fetch_once(struct oauth_client *client, unsigned *failures)
{
	struct oauth_answer answer = {.token = NULL};
	if (oauth_fetch_run(client->fetch, &answer) == -ECANCELED)
		return 0;
	struct oauth_news news = {
		.token = answer.token,
		.subject = answer.subject ? answer.subject : client->settings->client_id,
		.expires_ms = clock_ms(CLOCK_REALTIME) + answer.lifetime_ms,
		.error = answer.error,
	};
	*failures = answer.token ? 0 : *failures + 1;
	client->on_news(&news, client->arg);
	uint64_t delay_ms = answer.token ? renew_ms(answer.lifetime_ms) : retry_ms(*failures);
	oauth_answer_clear(&answer);
	return delay_ms;
}

/* Until it is time, or something has changed. True: go on. */
static bool wait_until_due(struct oauth_client *client, uint64_t delay_ms)
{
	pthread_mutex_lock(&client->lock);
	client->fetched_ms = clock_ms(CLOCK_MONOTONIC);
	client->refused = false; /* that was the token before this one */
	uint64_t refused_ms = refused_delay_ms(client->refusals);
	while (!client->stopping) {
		uint64_t wait_ms = client->refused && delay_ms > refused_ms ? refused_ms : delay_ms;
		uint64_t due_ms = client->fetched_ms + wait_ms;
		if (clock_ms(CLOCK_MONOTONIC) >= due_ms)
			break;
		struct timespec at = {.tv_sec = (time_t)(due_ms / 1000), .tv_nsec = (long)(due_ms % 1000) * 1000000};
		pthread_cond_timedwait(&client->changed, &client->lock, &at);
	}
	client->refusals = client->refused ? client->refusals + 1 : 0;
	bool go_on = !client->stopping;
	pthread_mutex_unlock(&client->lock);
	return go_on;
}

static void *client_main(void *arg)
{
	struct oauth_client *client = arg;
	unsigned failures = 0;
	while (wait_until_due(client, fetch_once(client, &failures)))
		;
	return NULL;
}

int oauth_client_new(const struct oauth_settings *settings, void (*on_news)(const struct oauth_news *news, void *arg),
	void *arg, struct oauth_client **ret_client)
{
	struct oauth_client *client = calloc(1, sizeof *client);
	if (!client)
		return -ENOMEM;
	client->settings = settings;
	client->on_news = on_news;
	client->arg = arg;
	client->fetch = oauth_fetch_new(settings);
	if (!client->fetch) {
		free(client);
		return -ENOMEM;
	}
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&client->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&client->lock, NULL);
	*ret_client = client;
	return 0;
}

int oauth_client_start(struct oauth_client *client)
{
	pthread_mutex_lock(&client->lock);
	int r = client->started ? 0 : -pthread_create(&client->thread, NULL, client_main, client);
	client->started |= r == 0;
	pthread_mutex_unlock(&client->lock);
	return r;
}

void oauth_client_free(struct oauth_client *client)
{
	if (!client)
		return;
	pthread_mutex_lock(&client->lock);
	client->stopping = true;
	pthread_cond_signal(&client->changed);
	bool started = client->started;
	pthread_mutex_unlock(&client->lock);
	oauth_fetch_cancel(client->fetch);
	if (started)
		pthread_join(client->thread, NULL);
	oauth_fetch_free(client->fetch);
	pthread_cond_destroy(&client->changed);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

void oauth_client_refused(struct oauth_client *client)
{
	pthread_mutex_lock(&client->lock);
	client->refused = true;
	pthread_cond_signal(&client->changed);
	pthread_mutex_unlock(&client->lock);
}
