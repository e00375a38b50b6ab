/* SPDX-License-Identifier: Apache-2.0
 *
 * A socket that never came to a request libcurl closes by itself, and only then says REMOVE, perhaps never if the next
 * socket has its number: so such a one is not polled any longer than it is wanted, and what was polled under a number
 * ends when a socket with that number is opened. libuv would abort the process over a descriptor that is not there.
 *
 * What is ready in a turn is told first, all of it, and what follows from that is done behind it: for many connections
 * the same code runs many times in a row, which costs a third less than all of it for one after the other.
 */
#include "connectors/http/out_sockets.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define PORT_SLOTS 512u

struct watch {
	uv_poll_t poll;
	struct http_sockets *sockets; /* NULL: it is being closed */
	struct watch *next, **at;
	curl_socket_t fd;
	int events; /* UV_READABLE…; polled for */
	bool wanted; /* by libcurl */
	bool kept; /* a request has begun on it */
	char peer[INET6_ADDRSTRLEN]; /* how it is known again at that; empty: not opened here */
	int peer_port, own_port; /* own_port 0: not looked for yet */
};

struct watch_at {
	struct watch *watch; /* or NULL */
};

struct http_sockets {
	struct http_sockets_options options;
	uv_check_t *after_poll; /* runs from the first that is ready to the end of the turn; NULL: a simulated loop */
	struct watch *watches;
	struct watch_at *by_fd; /* n_by_fd of them */
	size_t n_by_fd;
	struct watch *by_port[PORT_SLOTS]; /* a hint: the last with such an own port that was kept; or NULL */
	uint64_t opened;
};

/* --- watches ------------------------------------------------------------------------------------------------------ */

static void on_after_poll(uv_check_t *check)
{
	struct http_sockets *sockets = check->data;
	uv_check_stop(check);
	sockets->options.on_all_ready(sockets->options.arg);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;
	struct http_sockets *sockets = watch->sockets;
	if (!sockets)
		return;
	if (!watch->wanted) { /* an idle connection: the peer has closed it, which libcurl sees when it wants to use it */
		uv_poll_stop(poll);
		watch->events = 0;
		return;
	}
	int mask = (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0) |
		   (status < 0 ? CURL_CSELECT_ERR : 0);
	uv_check_start(sockets->after_poll, on_after_poll);
	sockets->options.on_ready(watch->fd, mask, sockets->options.arg);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static struct watch **slot_of(struct http_sockets *sockets, int own_port)
{
	return &sockets->by_port[(unsigned)own_port % PORT_SLOTS];
}

static void watch_end(struct watch *watch)
{
	struct http_sockets *sockets = watch->sockets;
	*watch->at = watch->next;
	if (watch->next)
		watch->next->at = watch->at;
	sockets->by_fd[watch->fd].watch = NULL;
	if (*slot_of(sockets, watch->own_port) == watch)
		*slot_of(sockets, watch->own_port) = NULL;
	watch->sockets = NULL;
	uv_poll_stop(&watch->poll);
	uv_close((uv_handle_t *)&watch->poll, on_closed);
}

static struct watch *watch_find(const struct http_sockets *sockets, curl_socket_t fd)
{
	return fd >= 0 && (size_t)fd < sockets->n_by_fd ? sockets->by_fd[fd].watch : NULL;
}

static bool make_room(struct http_sockets *sockets, curl_socket_t fd)
{
	size_t least = (size_t)fd + 1, n = sockets->n_by_fd;
	if (n >= least)
		return true;
	size_t wished = least > 2 * n ? least : 2 * n;
	struct watch_at *by_fd = realloc(sockets->by_fd, wished * sizeof *by_fd);
	if (!by_fd)
		return false;
	memset(by_fd + n, 0, (wished - n) * sizeof *by_fd);
	sockets->by_fd = by_fd;
	sockets->n_by_fd = wished;
	return true;
}

static struct watch *watch_new(struct http_sockets *sockets, curl_socket_t fd)
{
	struct watch *stale = watch_find(sockets, fd);
	if (stale)
		watch_end(stale);
	struct watch *watch = make_room(sockets, fd) ? calloc(1, sizeof *watch) : NULL;
	if (!watch)
		return NULL;
	if (uv_poll_init_socket(loop_uv(sockets->options.loop), &watch->poll, fd) < 0) {
		free(watch);
		return NULL;
	}
	watch->poll.data = watch;
	watch->sockets = sockets;
	watch->fd = fd;
	watch->next = sockets->watches;
	watch->at = &sockets->watches;
	if (watch->next)
		watch->next->at = &watch->next;
	sockets->watches = watch;
	sockets->by_fd[fd].watch = watch;
	return watch;
}

static void watch_for(struct watch *watch, int events)
{
	watch->wanted = true;
	if (watch->events == events)
		return;
	watch->events = events;
	uv_poll_start(&watch->poll, events, on_poll);
}

int http_sockets_want(struct http_sockets *sockets, curl_socket_t fd, int what)
{
	struct watch *watch = watch_find(sockets, fd);
	if (what == CURL_POLL_REMOVE) {
		if (watch && watch->kept)
			watch->wanted = false;
		else if (watch)
			watch_end(watch);
		return 0;
	}
	if (!watch)
		watch = watch_new(sockets, fd);
	if (!watch)
		return -1;
	watch_for(watch, (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0));
	return 0;
}

/* --- connections -------------------------------------------------------------------------------------------------- */

static int port_of(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
	return address->ss_family == AF_INET ? ntohs(((const struct sockaddr_in *)address)->sin_port) : 0;
}

static void note_peer(struct watch *watch, const struct curl_sockaddr *peer)
{
	struct sockaddr_storage address = {0};
	memcpy(&address, &peer->addr, peer->addrlen < sizeof address ? peer->addrlen : sizeof address);
	watch->peer_port = port_of(&address);
	if (getnameinfo((struct sockaddr *)&address, peer->addrlen, watch->peer, sizeof watch->peer, NULL, 0,
		    NI_NUMERICHOST) != 0)
		watch->peer[0] = '\0';
}

static int own_port_of(struct watch *watch)
{
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof address;
	if (watch->own_port == 0 && getsockname(watch->fd, (struct sockaddr *)&address, &len) == 0)
		watch->own_port = port_of(&address);
	return watch->own_port;
}

static bool is_between(const struct watch *watch, const char *peer, int peer_port, int own_port)
{
	return watch->own_port == own_port && watch->peer_port == peer_port && strcmp(watch->peer, peer) == 0;
}

void http_sockets_note_kept(struct http_sockets *sockets, const char *peer, int peer_port, int own_port)
{
	struct watch **hint = slot_of(sockets, own_port);
	if (*hint && is_between(*hint, peer, peer_port, own_port))
		return;
	for (struct watch *watch = sockets->watches; watch; watch = watch->next) {
		if (!watch->peer[0] || (watch->kept && watch->own_port != own_port) || own_port_of(watch) != own_port)
			continue;
		if (!is_between(watch, peer, peer_port, own_port))
			continue;
		watch->kept = true;
		*hint = watch;
		return;
	}
}

curl_socket_t http_sockets_open(struct http_sockets *sockets, struct curl_sockaddr *address)
{
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	struct watch *watch = watch_new(sockets, fd);
	if (!watch) {
		close(fd);
		return CURL_SOCKET_BAD;
	}
	note_peer(watch, address);
	sockets->opened++;
	return fd;
}

int http_sockets_close(struct http_sockets *sockets, curl_socket_t fd)
{
	struct watch *watch = watch_find(sockets, fd);
	if (watch)
		watch_end(watch);
	return close(fd);
}

uint64_t http_sockets_opened(const struct http_sockets *sockets)
{
	return sockets->opened;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static uv_check_t *check_new(struct http_sockets *sockets)
{
	uv_check_t *check = calloc(1, sizeof *check);
	if (!check)
		return NULL;
	uv_check_init(loop_uv(sockets->options.loop), check); /* cannot fail */
	check->data = sockets;
	return check;
}

static void check_end(uv_check_t *check)
{
	uv_check_stop(check);
	check->data = check;
	uv_close((uv_handle_t *)check, on_closed);
}

struct http_sockets *http_sockets_new(const struct http_sockets_options *options)
{
	struct http_sockets *sockets = calloc(1, sizeof *sockets);
	if (!sockets)
		return NULL;
	sockets->options = *options;
	if (!loop_uv(options->loop))
		return sockets;
	sockets->after_poll = check_new(sockets);
	if (sockets->after_poll)
		return sockets;
	free(sockets);
	return NULL;
}

void http_sockets_free(struct http_sockets *sockets)
{
	if (!sockets)
		return;
	while (sockets->watches)
		watch_end(sockets->watches);
	if (sockets->after_poll)
		check_end(sockets->after_poll);
	free(sockets->by_fd);
	free(sockets);
}
