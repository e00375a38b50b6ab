/* SPDX-License-Identifier: Apache-2.0
 *
 * The asking end of doc/control-protocol.md: one request to the daemon that has a data folder, or, when none has, to a
 * process forked for it that opens the files itself and answers the same way. Blocking calls only; what goes wrong is
 * told on standard error, once.
 */
#ifndef LINKSPAN_CLI_QUEUE_CLIENT_H
#define LINKSPAN_CLI_QUEUE_CLIENT_H

#include <stdio.h>
#include <sys/types.h>

#include "cli/message_json.h"
#include "message/buffer.h"

/* A data folder as the command line names it. */
struct queue_folder {
	char *path;
	uint64_t segment_bytes, max_bytes, linger_ms, min_free; /* struct journal_options */
	bool strict;
	uint64_t maybe_sent_span; /* struct queue_service_options */
};
/* `name`: a data folder, or a configuration that names one. 0, or -EINVAL, told. */
int queue_folder_find(const char *name, struct queue_folder *ret_folder) __attribute__((warn_unused_result));
void queue_folder_free(struct queue_folder *folder);

/* Answers one client on the socket, which it takes, by the files of a stopped daemon. The exit status. */
int queue_offline_serve(const struct queue_folder *folder, int fd);

struct queue_client {
	const char *title; /* of the command, before what is told */
	int fd;
	pid_t child; /* 0: a daemon answers */
	struct buffer in, out;
	size_t at; /* taken of in */
	bool told; /* that something is wrong */
};

int queue_client_open(const struct queue_folder *folder, struct queue_client *ret_client)
	__attribute__((warn_unused_result));
/* Of a running daemon alone. A negative errno: told. */
int queue_client_connect(const char *title, const char *data_dir, struct queue_client *ret_client)
	__attribute__((warn_unused_result));
/* 0, or -1 when nobody listens any more: then the answer says why. */
int queue_client_send(struct queue_client *client, struct slice bytes);
int queue_client_flush(struct queue_client *client);
int queue_client_send_message(struct queue_client *client, const struct message_view *view, const char *destination);

struct queue_answer {
	enum { ANSWER_MESSAGE, ANSWER_LINE, ANSWER_END } kind;
	struct message *msg; /* MESSAGE: the caller's */
	struct message_json about;
	struct slice line; /* LINE: a JSON object; until the next call */
	uint64_t messages, kept; /* END */
	char error[600]; /* END; "": none */
};
/* 0, or -1: told. */
int queue_client_next(struct queue_client *client, struct queue_answer *ret_answer) __attribute__((warn_unused_result));

/* 0, or 1 when the process that had the files failed. */
int queue_client_close(struct queue_client *client);

#endif
