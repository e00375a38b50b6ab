/* SPDX-License-Identifier: Apache-2.0
 *
 * The other sides of the benchmark http-out: a receiver on libmicrohttpd that answers as soon as it has a request, and
 * libcurl alone, as plain as a sender of such requests, with as many under way, can be.
 *   http_bare receive            prints its port; at each line of input prints how many requests it has answered, and the 99th
 *                                percentile in milliseconds of their age, for bodies of 8 bytes (mqtt_load, round), since
 *                                the line before
 *   http_bare send URL COUNT N SIZE   COUNT posts, N under way; prints seconds and CPU seconds
 */
#include <curl/curl.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define MOST_AGES 4000000u

static void die(const char *what)
{
	perror(what);
	exit(1);
}

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

/* --- receive ------------------------------------------------------------------------------------------------------ */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned long answered; /* this and all below guarded by mutex */
static double *ages_s;
static size_t n_ages;
static struct MHD_Response *thanks;

static void note_age(const char *body, size_t len)
{
	double sent;
	if (len != sizeof sent)
		return;
	memcpy(&sent, body, sizeof sent);
	pthread_mutex_lock(&mutex);
	if (n_ages < MOST_AGES)
		ages_s[n_ages++] = now_s() - sent;
	pthread_mutex_unlock(&mutex);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
	const char *version, const char *body, size_t *len, void **seen)
{
	(void)arg, (void)path, (void)method, (void)version;
	if (!*seen) {
		*seen = thanks;
		return MHD_YES;
	}
	if (*len > 0) {
		note_age(body, *len);
		*len = 0;
		return MHD_YES;
	}
	pthread_mutex_lock(&mutex);
	answered++;
	pthread_mutex_unlock(&mutex);
	return MHD_queue_response(connection, MHD_HTTP_NO_CONTENT, thanks);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void report(void)
{
	pthread_mutex_lock(&mutex);
	qsort(ages_s, n_ages, sizeof *ages_s, compare);
	printf("%lu %.3f\n", answered, n_ages ? ages_s[n_ages - 1 - n_ages / 100] * 1e3 : 0);
	n_ages = 0;
	pthread_mutex_unlock(&mutex);
	fflush(stdout);
}

static int receive(void)
{
	static char nothing[] = "";
	char line[64];
	ages_s = calloc(MOST_AGES, sizeof *ages_s);
	thanks = MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
	struct MHD_Daemon *server =
		MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, NULL, MHD_OPTION_END);
	if (!ages_s || !thanks || !server)
		die("receive");
	printf("%d\n", MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT)->port);
	fflush(stdout);
	while (fgets(line, sizeof line, stdin))
		report();
	MHD_stop_daemon(server);
	MHD_destroy_response(thanks);
	free(ages_s);
	return 0;
}

/* --- send --------------------------------------------------------------------------------------------------------- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	(void)data, (void)arg;
	return size * n;
}

static CURL *new_handle(const char *url, const char *body, long size, struct curl_slist *headers)
{
	CURL *easy = curl_easy_init();
	if (!easy)
		die("curl");
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 30000L);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, size);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	return easy;
}

/* Takes what has ended and begins as many as there are still to be sent; returns how many have ended. */
static unsigned long turn(CURLM *multi, unsigned long *left)
{
	unsigned long n = 0;
	int more;
	for (CURLMsg *msg; (msg = curl_multi_info_read(multi, &more)) != NULL;) {
		CURL *easy = msg->easy_handle;
		long status = 0;
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
		if (msg->data.result != CURLE_OK || status != 204)
			die(curl_easy_strerror(msg->data.result));
		curl_multi_remove_handle(multi, easy);
		n++;
		if (*left > 0) {
			(*left)--;
			curl_multi_add_handle(multi, easy);
		}
	}
	return n;
}

static int send_all(char **args)
{
	const char *url = args[0];
	unsigned long count = strtoul(args[1], NULL, 10), under_way = strtoul(args[2], NULL, 10), done = 0;
	long size = strtol(args[3], NULL, 10);
	char *body = malloc((size_t)size + 1);
	if (!body || count < under_way)
		die("send");
	memset(body, 'x', (size_t)size + 1);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	headers = curl_slist_append(headers, "content-type: application/octet-stream");
	headers = curl_slist_append(headers, "webhook-id: msg_aebagbafaydqqcikbmga2dqpca.100000");
	headers = curl_slist_append(headers, "idempotency-key: \"msg_aebagbafaydqqcikbmga2dqpca.100000\"");
	CURLM *multi = curl_multi_init();
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)under_way);
	double began = now_s(), began_cpu = cpu_s();
	unsigned long left = count - under_way;
	for (unsigned long i = 0; i < under_way; i++)
		curl_multi_add_handle(multi, new_handle(url, body, size, headers));
	while (done < count) {
		int running;
		curl_multi_perform(multi, &running);
		unsigned long n = turn(multi, &left);
		done += n;
		if (n == 0)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	printf("%.6f %.6f\n", now_s() - began, cpu_s() - began_cpu);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "receive") == 0)
		return receive();
	if (argc == 6 && strcmp(argv[1], "send") == 0)
		return send_all(argv + 2);
	fprintf(stderr, "usage: http_bare receive | send URL COUNT N SIZE\n");
	return 2;
}
