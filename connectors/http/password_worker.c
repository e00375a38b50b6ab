/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread and one queue. A job belongs to the loop but for its password and hash, which the thread reads while it is
 * at it; it comes back as a loop job.
 */
#include "connectors/http/password_worker.h"

#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>

#define HASH_LEAST 31 /* characters behind the last $: bcrypt has 53, all others 43 or more */

struct password_job {
	struct password_worker *worker;
	struct password_job *next; /* of all of them, on the loop */
	struct password_job *next_waiting; /* guarded by the worker's lock */
	char password[PASSWORD_MAX_BYTES + 1];
	const char *hash;
	bool right; /* written by the thread before it posts `back` */
	struct loop_job back;
	void (*done)(void *arg, bool right); /* NULL: cancelled */
	void *arg;
};

struct password_worker {
	struct loop *loop;
	struct password_job *jobs;
	size_t n;
	pthread_t thread;
	struct crypt_data *crypt; /* the thread's; 32 KiB */
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t changed;
	struct password_job *first, *last; /* that wait */
	bool stopping;
};

bool password_hash_valid(const char *hash)
{
	/* What a person takes for a hash and is a password would be one of DES; what has a salt and no hash, a setting. */
	return hash[0] == '$' && crypt_checksalt(hash) == CRYPT_SALT_OK && strlen(strrchr(hash, '$') + 1) >= HASH_LEAST;
}

static bool compare(struct password_worker *worker, const struct password_job *job)
{
	memset(worker->crypt, 0, sizeof *worker->crypt);
	const char *made = crypt_r(job->password, job->hash, worker->crypt);
	size_t len = strlen(job->hash);
	bool right = made && made[0] == '$' && strlen(made) == len && CRYPTO_memcmp(made, job->hash, len) == 0;
	OPENSSL_cleanse(worker->crypt, sizeof *worker->crypt);
	return right;
}

static struct password_job *next_job(struct password_worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	while (!worker->first && !worker->stopping)
		pthread_cond_wait(&worker->changed, &worker->lock);
	struct password_job *job = worker->stopping ? NULL : worker->first;
	if (job)
		worker->first = job->next_waiting;
	if (!worker->first)
		worker->last = NULL;
	pthread_mutex_unlock(&worker->lock);
	return job;
}

static void *worker_main(void *arg)
{
	struct password_worker *worker = arg;
	struct password_job *job;
	while ((job = next_job(worker)) != NULL) {
		job->right = compare(worker, job);
		loop_post(worker->loop, &job->back);
	}
	return NULL;
}

int password_worker_new(struct loop *loop, struct password_worker **ret_worker)
{
	struct password_worker *worker = calloc(1, sizeof *worker);
	struct crypt_data *crypt = calloc(1, sizeof *crypt);
	int err = worker && crypt ? 0 : -ENOMEM;
	if (!err) {
		worker->loop = loop;
		worker->crypt = crypt;
		pthread_mutex_init(&worker->lock, NULL);
		pthread_cond_init(&worker->changed, NULL);
		err = -pthread_create(&worker->thread, NULL, worker_main, worker);
	}
	if (err) {
		free(worker);
		free(crypt);
	} else {
		*ret_worker = worker;
	}
	return err;
}

static void drop_job(struct password_job *job)
{
	OPENSSL_cleanse(job->password, sizeof job->password);
	free(job);
}

void password_worker_free(struct password_worker *worker)
{
	if (!worker)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->stopping = true;
	pthread_cond_signal(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	while (worker->jobs) {
		struct password_job *job = worker->jobs;
		worker->jobs = job->next;
		loop_cancel(worker->loop, &job->back);
		drop_job(job);
	}
	pthread_cond_destroy(&worker->changed);
	pthread_mutex_destroy(&worker->lock);
	free(worker->crypt);
	free(worker);
}

static void unlink_job(struct password_worker *worker, const struct password_job *job)
{
	struct password_job **at = &worker->jobs;
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	worker->n--;
}

/* On the loop. */
static void come_back(void *arg)
{
	struct password_job *job = arg;
	void (*done)(void *, bool) = job->done;
	void *done_arg = job->arg;
	bool right = job->right;
	unlink_job(job->worker, job);
	drop_job(job);
	if (done)
		done(done_arg, right);
}

static void append(struct password_worker *worker, struct password_job *job)
{
	job->next = worker->jobs;
	worker->jobs = job;
	worker->n++;
	pthread_mutex_lock(&worker->lock);
	if (worker->last)
		worker->last->next_waiting = job;
	else
		worker->first = job;
	worker->last = job;
	pthread_cond_signal(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
}

int password_worker_begin(struct password_worker *worker, struct slice password, const char *hash,
	void (*done)(void *arg, bool right), void *arg, struct password_job **ret_job)
{
	if (password.len > PASSWORD_MAX_BYTES || (password.len && memchr(password.data, 0, password.len)))
		return -EINVAL;
	if (worker->n == PASSWORD_WORKER_MOST)
		return -EBUSY;
	struct password_job *job = calloc(1, sizeof *job);
	if (!job)
		return -ENOMEM;
	if (password.len)
		memcpy(job->password, password.data, password.len);
	job->worker = worker;
	job->hash = hash;
	job->done = done;
	job->arg = arg;
	loop_job_init(&job->back, come_back, job);
	append(worker, job);
	*ret_job = job;
	return 0;
}

void password_worker_cancel(struct password_job *job)
{
	job->done = NULL;
}
