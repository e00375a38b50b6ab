/* SPDX-License-Identifier: Apache-2.0
 *
 * A bare listener: libmicrohttpd in one thread on its own epoll descriptor. It suspends each request when its body is
 * whole, resumes all of a turn at its end, and answers 202 as linkspan does. It keeps nothing. http_in_bare PORT; it ends
 * when its standard input does.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_SUSPENDED 4096

enum state { BEGUN, BODY, SUSPENDED };

struct request {
	enum state state;
	size_t bytes;
};

static struct MHD_Connection *suspended[MAX_SUSPENDED];
static size_t n_suspended;

static enum MHD_Result answer(struct MHD_Connection *connection)
{
	static unsigned long long n;
	char text[64];
	int len = snprintf(text, sizeof text, "{\"id\":\"%032llx\"}\n", ++n);
	struct MHD_Response *response = MHD_create_response_from_buffer((size_t)len, text, MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	enum MHD_Result r = MHD_queue_response(connection, MHD_HTTP_ACCEPTED, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *body, size_t *body_len, void **ref)
{
	struct request *request = *ref;
	(void)arg, (void)url, (void)method, (void)version, (void)body;
	if (!request) {
		*ref = calloc(1, sizeof *request);
		return *ref ? MHD_YES : MHD_NO;
	}
	request->bytes += *body_len;
	if (*body_len) {
		*body_len = 0;
		return MHD_YES;
	}
	if (request->state == SUSPENDED)
		return answer(connection);
	if (n_suspended == MAX_SUSPENDED)
		return MHD_NO;
	request->state = SUSPENDED;
	suspended[n_suspended++] = connection;
	MHD_suspend_connection(connection);
	return MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **ref, enum MHD_RequestTerminationCode code)
{
	(void)arg, (void)connection, (void)code;
	free(*ref);
	*ref = NULL;
}

static int wait_ms(struct MHD_Daemon *daemon)
{
	MHD_UNSIGNED_LONG_LONG ms;
	return MHD_get_timeout(daemon, &ms) == MHD_YES ? (int)(ms < 1000 ? ms : 1000) : 1000;
}

static void serve(struct MHD_Daemon *daemon, int epoll_fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = STDIN_FILENO}, got[2];
	int outer = epoll_create1(0);
	if (outer < 0 || epoll_ctl(outer, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
		return;
	event.data.fd = epoll_fd;
	if (epoll_ctl(outer, EPOLL_CTL_ADD, epoll_fd, &event) < 0)
		return;
	for (;;) {
		int n = epoll_wait(outer, got, 2, wait_ms(daemon));
		for (int i = 0; i < n; i++)
			if (got[i].data.fd == STDIN_FILENO)
				return;
		MHD_run(daemon);
		if (n_suspended == 0)
			continue;
		while (n_suspended)
			MHD_resume_connection(suspended[--n_suspended]);
		MHD_run(daemon);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((in_port_t)(argc > 1 ? strtoul(argv[1], NULL, 10) : 0))};
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		on_request, NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&at, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, NULL, MHD_OPTION_END);
	const union MHD_DaemonInfo *info = daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		fprintf(stderr, "http_in_bare: cannot listen\n");
		return 1;
	}
	serve(daemon, info->epoll_fd);
	_exit(0); /* without asking what is suspended */
}
