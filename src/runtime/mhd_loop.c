/* SPDX-License-Identifier: Apache-2.0
 *
 * One poll handle and one timer for each daemon.
 */
#include "runtime/mhd_loop.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "runtime/log.h"

struct mhd_loop {
	struct MHD_Daemon *daemon;
	unsigned max_connections;
	struct loop_timer *timer;
	uv_poll_t poll;
};

struct MHD_Daemon *mhd_loop_daemon(const struct mhd_loop *watch)
{
	return watch->daemon;
}

unsigned mhd_loop_connections(const struct mhd_loop *watch)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(watch->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
	return info ? info->num_connections : 0;
}

void mhd_loop_run(struct mhd_loop *watch)
{
	MHD_UNSIGNED_LONG_LONG ms;
	bool was_full = mhd_loop_connections(watch) >= watch->max_connections;
	MHD_run(watch->daemon);
	if (was_full && mhd_loop_connections(watch) < watch->max_connections)
		MHD_run(watch->daemon);
	if (MHD_get_timeout(watch->daemon, &ms) == MHD_YES)
		loop_timer_start(watch->timer, ms);
	else
		loop_timer_stop(watch->timer);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	mhd_loop_run(poll->data);
}

static void on_timer(void *arg)
{
	mhd_loop_run(arg);
}

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle->data);
}

int mhd_loop_new(struct loop *loop, struct MHD_Daemon *daemon, unsigned max_connections, struct mhd_loop **ret_watch)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return -EINVAL;
	struct mhd_loop *watch = calloc(1, sizeof *watch);
	if (!watch)
		return -ENOMEM;
	watch->daemon = daemon;
	watch->max_connections = max_connections;
	watch->timer = loop_timer_new(loop, on_timer, watch);
	int r = watch->timer ? uv_poll_init(loop_uv(loop), &watch->poll, info->epoll_fd) : -ENOMEM;
	if (r < 0) {
		loop_timer_free(watch->timer);
		free(watch);
		return r;
	}
	watch->poll.data = watch;
	r = uv_poll_start(&watch->poll, UV_READABLE, on_poll);
	if (r < 0) {
		loop_timer_free(watch->timer);
		uv_close((uv_handle_t *)&watch->poll, on_poll_closed);
		return r;
	}
	*ret_watch = watch;
	return 0;
}

void mhd_loop_free(struct mhd_loop *watch)
{
	if (!watch)
		return;
	uv_poll_stop(&watch->poll);
	MHD_stop_daemon(watch->daemon);
	loop_timer_free(watch->timer);
	uv_close((uv_handle_t *)&watch->poll, on_poll_closed);
}

int mhd_loop_listen(const struct listen_address *address, int max_pending)
{
	int on = 1;
	int fd = socket(address->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (address->at.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, (const struct sockaddr *)&address->at, address->len) == 0 && listen(fd, max_pending) == 0)
		return fd;
	int error = -errno;
	close(fd);
	return error;
}

void mhd_loop_log_address(const char *event, const char *name, int fd)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof at;
	char host[64] = "", port[16] = "";
	if (getsockname(fd, (struct sockaddr *)&at, &len) != 0 ||
		getnameinfo((struct sockaddr *)&at, len, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	const char *open = at.ss_family == AF_INET6 ? "[" : "", *close = *open ? "]" : "";
	if (name)
		log_info(event, "connection=%s address=%s%s%s:%s", name, open, host, close, port);
	else
		log_info(event, "address=%s%s%s:%s", open, host, close, port);
}

const char *mhd_loop_explain(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "another program listens there, perhaps another linkspan: end it, or give this one another port";
	case -EADDRNOTAVAIL:
		return "this machine has no such address: correct it";
	case -EACCES:
		return "ports below 1024 need a privilege: take a higher one";
	default:
		return NULL;
	}
}
