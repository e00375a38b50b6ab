/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl 7.88 on the loop. It must not be called from inside its own callbacks: the timer's says that there is something
 * to do, and whoever has called libcurl looks at that afterwards.
 */
#include "connectors/http/out_client.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "connectors/common/trust.h"
#include "connectors/http/out_caches.h"
#include "connectors/http/out_sockets.h"
#include "runtime/failpoint.h"

#define MOST_KICKS     8 /* without a look at the loop */
#define MOST_URL_BYTES (64u * 1024)
#define MOST_LINES     (256u * 1024) /* bytes of all header lines of a request */
#define KEPT_BYTES     (64u * 1024) /* of a reply's buffer */

/* In one piece, which is wiped: a private key is in it. */
struct tls_texts {
	struct http_client_tls tls;
	size_t len;
	uint8_t bytes[];
};

struct http_client {
	struct http_client_options options;
	struct tls_texts *tls; /* NULL: none */
	CURLM *multi;
	struct loop_timer *timer;
	struct http_call *calls; /* options.calls of them */
	struct http_call *idle;
	struct http_call *ended, **ended_end; /* not told yet */
	struct http_sockets *sockets;
	struct http_caches *caches; /* NULL: HTTP/2, where requests share a connection */
	bool kick; /* libcurl wants to be called as for a time-out */
	bool driving; /* below http_client_run or an event */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_begin(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* --- sockets ------------------------------------------------------------------------------------------------------ */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
	struct http_client *client = arg;
	(void)easy, (void)assigned;
	return http_sockets_want(client->sockets, fd, what); /* not 0: libcurl ends the calls */
}

static bool may_reach(struct http_call *call, const struct sockaddr *address, socklen_t len)
{
	char text[64] = "";
	const char *what = call->guarded ? call->client->options.refusal(address, len) : NULL;
	if (!what)
		return true;
	getnameinfo(address, len, text, sizeof text, NULL, 0, NI_NUMERICHOST);
	snprintf(call->refused, sizeof call->refused, "%s is %s", text, what);
	return false;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_call *call = arg;
	(void)purpose;
	if (!may_reach(call, &address->addr, address->addrlen))
		return CURL_SOCKET_BAD;
	call->tried = true;
	return http_sockets_open(call->client->sockets, address);
}

static int on_close(void *arg, curl_socket_t fd)
{
	struct http_client *client = arg;
	return http_sockets_close(client->sockets, fd);
}

/* A connection that is used once more was perhaps made by a call without guard. */
static int on_request(void *arg, char *peer, char *own, int peer_port, int own_port)
{
	struct http_call *call = arg;
	(void)own;
	http_sockets_note_kept(call->client->sockets, peer, peer_port, own_port);
	if (!call->guarded)
		return CURL_PREREQFUNC_OK;
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM},
			*found = NULL;
	char port[12];
	snprintf(port, sizeof port, "%d", peer_port);
	if (getaddrinfo(peer, port, &hints, &found) != 0)
		return CURL_PREREQFUNC_ABORT;
	bool may = may_reach(call, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return may ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static int on_timer_wish(CURLM *multi, long ms, void *arg)
{
	struct http_client *client = arg;
	(void)multi;
	client->kick = ms == 0;
	if (ms > 0)
		loop_timer_start(client->timer, (uint64_t)ms);
	else
		loop_timer_stop(client->timer);
	if (client->kick && !client->driving) /* else whoever drives looks at it */
		loop_timer_start(client->timer, 0);
	return 0;
}

/* --- responses ---------------------------------------------------------------------------------------------------- */

static size_t on_head(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	struct slice line = slice_of(data, size * n);
	/* libcurl takes a head for whole when the connection ends within it; trailers come here too, behind its empty line. */
	if (line.len > 5 && memcmp(line.data, "HTTP/", 5) == 0)
		call->head_ended = false;
	else if (line.len > 0 && (line.data[0] == '\r' || line.data[0] == '\n'))
		call->head_ended = true;
	call->head_bytes += size * n;
	return call->head_bytes > HTTP_MAX_HEAD_BYTES ? 0 : size * n;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	size_t len = size * n, most = call->wants_reply ? HTTP_MAX_REPLY_BYTES : HTTP_EXCERPT_BYTES;
	size_t room = most - call->reply.len, keep = len < room ? len : room;
	if (keep > 0 && buffer_append(&call->reply, slice_of(data, keep)) < 0)
		return 0;
	call->body_bytes += len;
	call->capped = call->body_bytes > HTTP_MAX_REPLY_BYTES;
	return call->capped ? 0 : len;
}

/* What a response must have so that its end is known, whatever has happened to the connection since. */
static bool is_complete(const struct http_call *call)
{
	curl_off_t announced = -1;
	if (!call->head_ended)
		return false;
	if (call->code == CURLE_OK || call->status == 204 || call->status == 205 || call->status == 304)
		return true;
	curl_easy_getinfo(call->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
	return announced >= 0 && (curl_off_t)call->body_bytes >= announced;
}

static void note_end(struct http_call *call, CURLcode code)
{
	long bytes = 0;
	call->code = code;
	call->status = 0;
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &call->status);
	curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &bytes);
	call->sent = bytes > 0;
	if (call->status < 200)
		call->status = 0; /* an interim answer, and then nothing */
	call->complete = call->status != 0 && is_complete(call);
	if (call->tried) /* of a name with several addresses: another one may answer next time */
		call->refused[0] = '\0';
}

/* --- driving ------------------------------------------------------------------------------------------------------ */

/* For a fail point alone: the request of some call has been written. */
static void note_sent(struct http_client *client)
{
	for (unsigned i = 0; i < client->options.calls; i++) {
		struct http_call *call = &client->calls[i];
		long bytes = 0;
		if (!call->active || call->sent_noted ||
			curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &bytes) != CURLE_OK || bytes == 0)
			continue;
		call->sent_noted = true;
		FAILPOINT("http.after_send");
	}
}

static int join(struct http_call *call)
{
	struct http_client *client = call->client;
	call->cache = client->caches && !call->roams ? http_caches_lend(client->caches, call->easy) : NULL;
	CURLMcode code = curl_multi_add_handle(client->multi, call->easy);
	call->active = code == CURLM_OK;
	if (call->active)
		return 0;
	http_caches_give_back(client->caches, call->cache, call->easy);
	call->cache = NULL;
	snprintf(call->error, sizeof call->error, "%s", curl_multi_strerror(code));
	return code == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

static void leave(struct http_call *call)
{
	struct http_client *client = call->client;
	curl_multi_remove_handle(client->multi, call->easy);
	call->active = false;
	http_caches_give_back(client->caches, call->cache, call->easy);
	call->cache = NULL;
}

static void collect(struct http_client *client)
{
	CURLMsg *msg;
	int left;
	while ((msg = curl_multi_info_read(client->multi, &left)) != NULL) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		struct http_call *call = NULL;
		CURLcode code = msg->data.result;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
		leave(call);
		note_end(call, code);
		call->link = NULL;
		*client->ended_end = call;
		client->ended_end = &call->link;
	}
}

static void tell(struct http_client *client)
{
	while (client->ended) {
		struct http_call *call = client->ended;
		client->ended = call->link;
		if (!client->ended)
			client->ended_end = &client->ended;
		client->options.on_done(call, client->options.arg);
	}
}

/* Until there is nothing more to do at once. timeout: libcurl is to look at its clock first. */
static void drive(struct http_client *client, bool timeout)
{
	int running;
	if (client->driving) {
		client->kick |= timeout;
		return;
	}
	client->driving = true;
	for (int i = 0;; i++) {
		if (timeout)
			curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
		if (failpoint_armed)
			note_sent(client);
		collect(client);
		tell(client);
		timeout = client->kick;
		if (!timeout || i == MOST_KICKS)
			break;
		client->kick = false;
	}
	client->driving = false;
	if (client->kick)
		loop_timer_start(client->timer, 0);
}

static void on_ready(curl_socket_t fd, int mask, void *arg)
{
	struct http_client *client = arg;
	int running;
	client->driving = true; /* what has ended, and what libcurl wants, is looked at in on_all_ready */
	curl_multi_socket_action(client->multi, fd, mask, &running);
	client->driving = false;
}

static void on_all_ready(void *arg)
{
	struct http_client *client = arg;
	drive(client, false);
}

static void on_timer(void *arg)
{
	struct http_client *client = arg;
	client->kick = false;
	drive(client, true);
}

void http_client_run(struct http_client *client)
{
	if (client->kick && !client->driving) {
		client->kick = false;
		drive(client, true);
	}
}

/* --- TLS ---------------------------------------------------------------------------------------------------------- */

/* Left to itself libcurl would parse the system's file at each connection. It adds its flags to the store later, which is
 * this connection's own. */
static CURLcode on_context(CURL *easy, void *ctx, void *arg)
{
	(void)easy, (void)arg;
	return trust_add(NULL, SSL_CTX_get_cert_store(ctx)) == 0 ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

/* Whom to trust is said by on_context or the blob alone: Debian's libcurl would look into the system's folder beside the
 * blob, and keep a store in the multi handle for a day. */
static bool set_no_authorities(CURL *easy)
{
	return curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L) == CURLE_OK;
}

static CURLcode set_blob(CURL *easy, CURLoption option, struct slice pem)
{
	struct curl_blob blob = {(void *)(uintptr_t)pem.data, pem.len, CURL_BLOB_COPY};
	return curl_easy_setopt(easy, option, pem.len ? &blob : NULL);
}

static CURLcode set_tls(CURL *easy, const struct http_client_tls *tls)
{
	curl_ssl_ctx_callback system = tls->ca.len ? NULL : on_context;
	CURLcode code = curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, system);
	if (code == CURLE_OK)
		code = set_blob(easy, CURLOPT_CAINFO_BLOB, tls->ca);
	if (code == CURLE_OK)
		code = set_blob(easy, CURLOPT_SSLCERT_BLOB, tls->cert);
	if (code == CURLE_OK)
		code = set_blob(easy, CURLOPT_SSLKEY_BLOB, tls->key);
	return code;
}

/* Not while a request is under way: libcurl reads what its handle holds as late as in the handshake. */
static CURLcode bring_tls(struct http_call *call)
{
	CURLcode code = call->tls_due ? set_tls(call->easy, &call->client->tls->tls) : CURLE_OK;
	call->tls_due = code != CURLE_OK;
	return code;
}

static struct slice add_text(struct tls_texts *texts, struct slice pem)
{
	struct slice copy = slice_of(texts->bytes + texts->len, pem.len);
	if (pem.len)
		memcpy(texts->bytes + texts->len, pem.data, pem.len);
	texts->len += pem.len;
	return copy;
}

static void texts_free(struct tls_texts *texts)
{
	if (texts)
		explicit_bzero(texts->bytes, texts->len);
	free(texts);
}

/* Connections are only used again for what was set up in the same way: those made before end when they are idle. */
int http_client_set_tls(struct http_client *client, const struct http_client_tls *tls)
{
	struct tls_texts *texts = calloc(1, sizeof *texts + tls->ca.len + tls->cert.len + tls->key.len);
	if (!texts)
		return -ENOMEM;
	texts->tls.ca = add_text(texts, tls->ca);
	texts->tls.cert = add_text(texts, tls->cert);
	texts->tls.key = add_text(texts, tls->key);
	texts_free(client->tls);
	client->tls = texts;
	CURLcode worst = CURLE_OK;
	for (unsigned i = 0; i < client->options.calls; i++) {
		struct http_call *call = &client->calls[i];
		call->tls_due = true;
		CURLcode code = call->active ? CURLE_OK : bring_tls(call);
		if (code != CURLE_OK)
			worst = code;
	}
	if (client->caches)
		http_caches_renew(client->caches);
	return worst == CURLE_OK ? 0 : worst == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

static bool set_up(struct http_client *client, struct http_call *call)
{
	const struct http_client_options *options = &client->options;
	call->client = client;
	buffer_init(&call->url, MOST_URL_BYTES);
	buffer_init(&call->lines, MOST_LINES);
	buffer_init(&call->reply, HTTP_MAX_REPLY_BYTES);
	buffer_init(&call->url_set, MOST_URL_BYTES);
	CURL *easy = call->easy = curl_easy_init();
	call->parsed = curl_url();
	if (!easy || !call->parsed)
		return false;
	curl_easy_setopt(easy, CURLOPT_CURLU, call->parsed);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
		options->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, client);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_context);
	/* A proxy of the environment would be asked in place of the guard. With this libcurl looks for none. */
	return set_no_authorities(easy) && curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
}

struct http_call *http_client_take(struct http_client *client)
{
	struct http_call *call = client->idle;
	if (!call)
		return NULL;
	client->idle = call->link;
	call->link = NULL;
	return call;
}

static void forget_response(struct http_call *call)
{
	buffer_clear(&call->reply);
	if (call->reply.capacity > KEPT_BYTES)
		buffer_free(&call->reply);
	call->head_bytes = call->body_bytes = 0;
	call->code = CURLE_OK;
	call->status = 0;
	call->complete = call->head_ended = call->capped = call->sent = call->sent_noted = call->tried = false;
	call->refused[0] = call->error[0] = '\0';
}

void http_client_give_back(struct http_call *call)
{
	struct http_client *client = call->client;
	forget_response(call);
	http_call_clear_headers(call);
	buffer_clear(&call->url);
	call->body = slice_of(NULL, 0);
	call->guarded = call->roams = call->wants_reply = call->no_body = false;
	call->owner = NULL;
	call->next = NULL;
	call->link = client->idle;
	client->idle = call;
}

void http_call_clear_headers(struct http_call *call)
{
	buffer_clear(&call->lines);
	call->n_lines = 0;
}

static bool is_clean_byte(uint8_t c)
{
	return (c >= ' ' || c == '\t') && c != 0x7f;
}

/* Of eight bytes: is none below ' ', and none 0x7f? */
static bool are_plain(const uint8_t *bytes)
{
	const uint64_t ones = 0x0101010101010101, high = ones << 7;
	uint64_t word;
	memcpy(&word, bytes, sizeof word);
	uint64_t deleted = word ^ ones * 0x7f;
	return !((((word - ones * ' ') & ~word) | ((deleted - ones) & ~deleted)) & high);
}

static bool is_clean(struct slice text)
{
	size_t i = 0;
	while (i < text.len) {
		if (text.len - i >= 8 && are_plain(text.data + i))
			i += 8;
		else if (is_clean_byte(text.data[i]))
			i++;
		else
			return false;
	}
	return true;
}

static int grow_lines(struct http_call *call)
{
	size_t capacity = call->lines_capacity ? call->lines_capacity * 2 : 32;
	size_t *offsets = realloc(call->offsets, capacity * sizeof *offsets);
	if (!offsets)
		return -ENOMEM;
	call->offsets = offsets;
	struct curl_slist *nodes = realloc(call->nodes, capacity * sizeof *nodes);
	if (!nodes)
		return -ENOMEM;
	call->nodes = nodes;
	call->lines_capacity = capacity;
	return 0;
}

static uint8_t *add_line(struct http_call *call, size_t len)
{
	struct buffer *lines = &call->lines;
	if (call->n_lines == call->lines_capacity && grow_lines(call) < 0)
		return NULL;
	if (buffer_reserve(lines, len + 1) < 0)
		return NULL;
	uint8_t *line = lines->data + lines->len;
	call->offsets[call->n_lines++] = lines->len;
	lines->len += len + 1;
	line[len] = '\0';
	return line;
}

int http_call_add_header(struct http_call *call, struct slice name, struct slice value)
{
	if (name.len == 0 || !is_clean(name) || !is_clean(value) || memchr(name.data, ':', name.len))
		return -EINVAL;
	uint8_t *line = add_line(call, name.len + (value.len ? value.len + 2 : 1));
	if (!line)
		return -ENOMEM;
	memcpy(line, name.data, name.len);
	if (value.len == 0) {
		line[name.len] = ';'; /* so libcurl wants a header without a value */
		return 0;
	}
	memcpy(line + name.len, ": ", 2);
	memcpy(line + name.len + 2, value.data, value.len);
	return 0;
}

int http_call_add_raw(struct http_call *call, const char *text)
{
	size_t len = strlen(text);
	uint8_t *line = add_line(call, len);
	if (!line)
		return -ENOMEM;
	memcpy(line, text, len);
	return 0;
}

void http_call_drop_header(struct http_call *call, const char *name)
{
	size_t kept = 0, len = strlen(name);
	for (size_t i = 0; i < call->n_lines; i++) {
		const char *line = (const char *)call->lines.data + call->offsets[i];
		if (strncmp(line, name, len) != 0 || (line[len] != ':' && line[len] != ';'))
			call->offsets[kept++] = call->offsets[i];
	}
	call->n_lines = kept;
}

/* libcurl only reads the list: it needs none of its own memory. */
static struct curl_slist *headers_of(struct http_call *call)
{
	for (size_t i = 0; i < call->n_lines; i++) {
		call->nodes[i].data = (char *)call->lines.data + call->offsets[i];
		call->nodes[i].next = i + 1 < call->n_lines ? &call->nodes[i + 1] : NULL;
	}
	return call->n_lines ? call->nodes : NULL;
}

static void set_method(struct http_call *call)
{
	CURL *easy = call->easy;
	if (call->method == call->method_set && call->no_body == call->no_body_set)
		return;
	bool get = strcmp(call->method, "GET") == 0, head = strcmp(call->method, "HEAD") == 0;
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
	curl_easy_setopt(easy, CURLOPT_NOBODY, head ? 1L : 0L);
	if (!head)
		curl_easy_setopt(easy, call->no_body ? CURLOPT_HTTPGET : CURLOPT_POST, 1L);
	if (!head && !(get && call->no_body) && !(strcmp(call->method, "POST") == 0 && !call->no_body))
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
	call->method_set = call->method;
	call->no_body_set = call->no_body;
}

/* libcurl parses CURLOPT_URL for each request anew and puts it together again; a URL that is parsed already spares it
 * both, if it has the text as well. Many requests go to the same one. */
static int set_url(struct http_call *call)
{
	const char *url = (const char *)call->url.data;
	if (call->url_set.len && slice_equal(buffer_slice(&call->url), buffer_slice(&call->url_set)))
		return 0;
	buffer_clear(&call->url_set);
	CURLUcode code = curl_url_set(call->parsed, CURLUPART_URL, url, CURLU_PATH_AS_IS);
	if (code != CURLUE_OK) {
		snprintf(call->error, sizeof call->error, "%s", curl_url_strerror(code));
		return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
	}
	if (curl_easy_setopt(call->easy, CURLOPT_URL, url) != CURLE_OK)
		return -ENOMEM;
	return buffer_append(&call->url_set, buffer_slice(&call->url));
}

int http_client_begin(struct http_call *call)
{
	CURL *easy = call->easy;
	forget_response(call);
	if (bring_tls(call) != CURLE_OK)
		return -ENOMEM;
	set_method(call);
	int err = set_url(call);
	if (err)
		return err;
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_of(call));
	if (!call->no_body) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body.len ? (const char *)call->body.data : "");
	}
	return join(call);
}

struct slice http_call_header(const struct http_call *call, const char *name)
{
	struct curl_header *header;
	if (curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return slice_of(NULL, 0);
	return slice_str(header->value);
}

bool http_call_next_header(const struct http_call *call, void **cursor, struct slice *ret_name, struct slice *ret_value)
{
	struct curl_header *header = curl_easy_nextheader(call->easy, CURLH_HEADER, -1, *cursor);
	if (!header)
		return false;
	*cursor = header;
	*ret_name = slice_str(header->name);
	*ret_value = slice_str(header->value);
	return true;
}

const char *http_call_redirect(const struct http_call *call)
{
	char *url = NULL;
	curl_easy_getinfo(call->easy, CURLINFO_REDIRECT_URL, &url);
	return url;
}

uint64_t http_client_connections(const struct http_client *client)
{
	return http_sockets_opened(client->sockets);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static bool start(struct http_client *client)
{
	const struct http_sockets_options sockets = {client->options.loop, on_ready, on_all_ready, client};
	CURLM *multi = client->multi = curl_multi_init();
	client->sockets = http_sockets_new(&sockets);
	client->timer = loop_timer_new(client->options.loop, on_timer, client);
	client->calls = calloc(client->options.calls, sizeof *client->calls);
	client->caches = client->options.http2 ? NULL : http_caches_new(client->options.connections);
	if (!multi || !client->sockets || !client->timer || !client->calls)
		return false;
	if (!client->caches && !client->options.http2)
		return false;
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)client->options.connections);
	curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)client->options.connections);
	for (unsigned i = 0; i < client->options.calls; i++) {
		if (!set_up(client, &client->calls[i]))
			return false;
		client->calls[i].link = client->idle;
		client->idle = &client->calls[i];
	}
	return true;
}

struct http_client *http_client_new(const struct http_client_options *options)
{
	pthread_once(&curl_once, curl_begin);
	struct http_client *client = calloc(1, sizeof *client);
	if (!client)
		return NULL;
	client->options = *options;
	client->ended_end = &client->ended;
	if (start(client))
		return client;
	http_client_free(client);
	return NULL;
}

void http_client_abort(struct http_client *client, void (*fn)(struct http_call *call, void *arg), void *arg)
{
	for (unsigned i = 0; i < client->options.calls; i++) {
		struct http_call *call = &client->calls[i];
		if (!call->active)
			continue;
		leave(call);
		fn(call, arg);
	}
}

static void call_free(struct http_call *call)
{
	if (call->active)
		leave(call);
	curl_easy_cleanup(call->easy);
	curl_url_cleanup(call->parsed);
	buffer_free(&call->url);
	buffer_free(&call->url_set);
	buffer_free(&call->lines);
	buffer_free(&call->reply);
	free(call->offsets);
	free(call->nodes);
}

void http_client_free(struct http_client *client)
{
	if (!client)
		return;
	for (unsigned i = 0; client->calls && i < client->options.calls; i++)
		call_free(&client->calls[i]);
	http_caches_free(client->caches);
	curl_multi_cleanup(client->multi);
	http_sockets_free(client->sockets);
	loop_timer_free(client->timer);
	texts_free(client->tls);
	free(client->calls);
	free(client);
}
